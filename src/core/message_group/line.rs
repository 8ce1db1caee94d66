//! The messages of one group that wait, in the order in which they came.

use std::collections::VecDeque;

use super::super::id::Position;
use super::super::message::Priority;
use super::super::pending::Entry;
use super::Rank;

/// A message that waits aside: in memory, or on disk only.
#[derive(Debug)]
pub(in crate::core) enum Slot {
    Here(Entry),
    OnDisk { bytes: u64, priority: Priority },
}

impl Slot {
    /// What a place costs beside its message, for the accounts, in bytes.
    pub(in crate::core) const COST: u64 = 48;

    /// Bytes of the message, wherever it is.
    pub(in crate::core) fn bytes(&self) -> u64 {
        match self {
            Self::Here(entry) => entry.bytes(),
            Self::OnDisk { bytes, .. } => *bytes,
        }
    }

    /// Bytes of the message in memory.
    pub(in crate::core) fn resident(&self) -> u64 {
        match self {
            Self::Here(entry) => entry.bytes(),
            Self::OnDisk { .. } => 0,
        }
    }

    pub(in crate::core) fn priority(&self) -> Priority {
        match self {
            Self::Here(entry) => entry.message.priority,
            Self::OnDisk { priority, .. } => *priority,
        }
    }
}

/// A message in the line of its group.
#[derive(Debug)]
pub(in crate::core) struct Waiting {
    pub(in crate::core) position: Position,
    pub(in crate::core) slot: Slot,
    /// What its sender asks for: 1, 0 or -1.
    pub(in crate::core) sequence: i8,
    /// It was refused, and its time to be delivered again has not come.
    pub(in crate::core) delayed: bool,
}

impl Waiting {
    pub(in crate::core) fn rank(&self) -> Rank {
        Rank::new(self.slot.priority(), self.position)
    }
}

/// The line of one group.
#[derive(Debug, Default)]
pub(super) struct Line(VecDeque<Waiting>);

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a message in its place, which mostly is the last.
    pub(super) fn push(&mut self, waiting: Waiting) {
        let position = waiting.position;
        let at = if self.0.back().is_none_or(|last| last.position < position) {
            self.0.len()
        } else {
            self.0.partition_point(|other| other.position < position)
        };
        self.0.insert(at, waiting);
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.0.front()
    }

    pub(super) fn last_priority(&self) -> Option<Priority> {
        self.0.back().map(|last| last.slot.priority())
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let taken = self.0.pop_front();
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        taken
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().map(|waiting| &waiting.slot)
    }

    pub(super) fn take_at(&mut self, position: Position) -> Option<Waiting> {
        let at = self
            .0
            .binary_search_by_key(&position, |waiting| waiting.position)
            .ok()?;
        self.0.remove(at)
    }

    /// The message at a position is delayed no more.
    pub(super) fn end_rest(&mut self, position: Position) {
        let found = self
            .0
            .binary_search_by_key(&position, |waiting| waiting.position);
        if let Some(waiting) = found.ok().and_then(|at| self.0.get_mut(at)) {
            waiting.delayed = false;
        }
    }

    pub(super) fn slot_mut(&mut self, position: Position) -> Option<&mut Slot> {
        let at = self
            .0
            .binary_search_by_key(&position, |waiting| waiting.position)
            .ok()?;
        self.0.get_mut(at).map(|waiting| &mut waiting.slot)
    }
}
