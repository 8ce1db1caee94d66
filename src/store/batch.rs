//! A batch: changes in the order of the log, made durable together.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::writer::Durable;
use crate::core::{Persist, Sequence, StoredAt};

/// What a change costs beside a message's own bytes, for the bounds of a batch.
const CHANGE_BYTES: usize = 48;

/// Changes that are gathered for one commit. A `Put` and the `Remove` of the same message cancel each
/// other while both are in one open batch: nobody needs to store what is done with.
#[derive(Clone, Debug)]
pub struct Batch {
    first: Sequence,
    /// Each with its sequence by index; `None` where a pair was cancelled.
    changes: Vec<Option<Persist>>,
    /// The messages that can still be cancelled.
    puts: FxHashMap<StoredAt, PutIndex>,
    cancelled: usize,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct PutIndex {
    index: usize,
    waiter: Option<Arc<dyn Durable>>,
    /// It came together with changes that have to be stored, such as its removal elsewhere: until they
    /// are, nobody is done with it.
    bound: bool,
}

/// What ties a change to others of its append.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ties {
    /// Its waiter waits for others before it as well.
    pub(super) joint: bool,
    /// Whoever removes what it puts waits for the others.
    pub(super) bound: bool,
}

/// A pair that was cancelled: whom to tell, and the sequences that they wait for.
pub(super) type Cancelled = (Arc<dyn Durable>, Sequence);

impl Batch {
    /// An empty batch whose first change will have this sequence.
    pub fn new(first: Sequence) -> Self {
        Self {
            first,
            changes: Vec::new(),
            puts: FxHashMap::default(),
            cancelled: 0,
            bytes: 0,
        }
    }

    /// The sequence that the next change gets.
    pub fn next(&self) -> Sequence {
        Sequence(self.first.0 + self.changes.len() as u64)
    }

    /// The sequence of its last change, or the one before its first.
    pub fn last(&self) -> Sequence {
        Sequence(self.next().0 - 1)
    }

    /// The sequence of its first change.
    pub fn first(&self) -> Sequence {
        self.first
    }

    /// Whether no change was ever added.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes that it holds in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many changes are to be stored.
    pub fn live(&self) -> usize {
        self.changes.len() - self.cancelled
    }

    /// How many changes cancelled each other.
    pub fn cancelled(&self) -> usize {
        self.cancelled
    }

    /// The changes to be stored, in order.
    pub fn changes(&self) -> impl Iterator<Item = &Persist> {
        self.changes.iter().flatten()
    }

    /// Adds a change that nobody waits for.
    pub fn add(&mut self, change: Persist) {
        self.push(change, None, Ties::default(), &mut Vec::new());
    }

    /// Adds a change. The waiter, if there is one, waits for this very change. Reports in `told` who need not wait any longer, the waiter of this
    /// change perhaps among them; returns whether this change is still to be waited for.
    pub(super) fn push(
        &mut self,
        change: Persist,
        waiter: Option<&Arc<dyn Durable>>,
        ties: Ties,
        told: &mut Vec<Cancelled>,
    ) -> bool {
        let index = self.changes.len();
        match &change {
            Persist::Put { at, message, .. } => {
                self.bytes += message.footprint();
                self.puts.insert(
                    *at,
                    PutIndex {
                        index,
                        waiter: waiter.cloned(),
                        bound: ties.bound,
                    },
                );
            }
            Persist::Remove { at } => {
                if let Some(put) = self.puts.remove(at) {
                    let waits = ties.joint || put.bound;
                    self.cancel(&put, waiter.filter(|_| !waits), told);
                    return waits && waiter.is_some();
                }
            }
            Persist::Define { .. }
            | Persist::Undefine { .. }
            | Persist::Returned { .. }
            | Persist::Horizon { .. } => {}
        }
        self.bytes += CHANGE_BYTES;
        self.changes.push(Some(change));
        waiter.is_some()
    }

    /// Drops a message that was put in this batch, with the removal that would be the next change.
    fn cancel(
        &mut self,
        put: &PutIndex,
        waiter: Option<&Arc<dyn Durable>>,
        told: &mut Vec<Cancelled>,
    ) {
        if let Some(Persist::Put { message, .. }) =
            self.changes.get_mut(put.index).and_then(Option::take)
        {
            self.bytes = self
                .bytes
                .saturating_sub(message.footprint() + CHANGE_BYTES);
        }
        let sequence = |index| Sequence(self.first.0 + index as u64);
        told.extend(
            put.waiter
                .clone()
                .map(|waiter| (waiter, sequence(put.index))),
        );
        told.extend(
            waiter
                .cloned()
                .map(|waiter| (waiter, sequence(self.changes.len()))),
        );
        self.changes.push(None);
        self.cancelled += 2;
    }
}
