//! Taking out what nobody is to be given any more.

use super::super::id::Position;
use super::super::message::Priority;
use super::{Entry, Level, Pending, Tail};

impl Pending {
    /// Nothing up to a position is to wait on disk only from here on.
    pub(in crate::core) fn pass_all(&mut self, until: Position) {
        self.newest = self.newest.max(until);
    }

    /// Takes out at most so many of those in memory up to a position.
    pub(in crate::core) fn take_up_to(&mut self, until: Position, most: usize) -> Vec<Entry> {
        let mut taken = Vec::new();
        for number in (0..Priority::COUNT).filter_map(|number| i64::try_from(number).ok()) {
            let priority = Priority::clamped(number);
            if self.level(priority).is_none_or(|l| l.resident.is_empty()) {
                continue;
            }
            let level = self.level_mut(priority);
            let up_to = |entry: &mut Entry| entry.position <= until;
            while taken.len() < most
                && let Some(entry) = level.resident.pop_front_if(up_to)
            {
                taken.push(entry);
            }
            self.note_level(priority);
        }
        let bytes: u64 = taken.iter().map(Entry::bytes).sum();
        self.count -= taken.len() as u64;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.resident_bytes -= bytes;
        taken
    }

    /// Forgets a message that waits on disk only, of which all before it are gone. Returns false if it
    /// does not.
    pub(in crate::core) fn drop_on_disk(
        &mut self,
        position: Position,
        priority: Priority,
        bytes: u64,
    ) -> bool {
        let elsewhere = self.reserved.contains(&position)
            || self.gone.contains(&(priority, position))
            || self.late().any(|entry| entry.position == position);
        let tail = self.level(priority).map(|level| level.tail);
        let here = |tail: &Tail| tail.count > 0 && tail.from <= position;
        if elsewhere || !tail.as_ref().is_some_and(here) {
            return false;
        }
        let tail = &mut self.level_mut(priority).tail;
        tail.from = position.next();
        tail.count -= 1;
        let bytes = bytes.min(tail.bytes);
        tail.bytes -= bytes;
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.note_level(priority);
        if let Some(asked) = &mut self.asked {
            asked.dropped = asked.dropped.max(position);
        }
        true
    }

    /// Notes whether a priority has messages.
    fn note_level(&mut self, priority: Priority) {
        if self.level(priority).is_none_or(Level::is_empty) {
            self.occupied &= !(1 << priority.get());
        }
    }

    /// Bytes of what was kept aside for a page.
    pub(in crate::core) fn late_bytes(&self) -> u64 {
        self.late().map(Entry::bytes).sum()
    }

    /// Forgets all that waits. Places that transactions have stay theirs.
    pub(in crate::core) fn clear(&mut self) {
        let reserved = std::mem::take(&mut self.reserved);
        *self = Self {
            reserved,
            ..Self::default()
        };
    }
}
