//! Messages that are past their turn: they wait for the consumer of their group, or for one that
//! wants them, and hold up nobody. Beyond the memory window only their places are kept, and they are
//! read back from the store when they can be given.

use std::collections::VecDeque;

use super::super::effect::SubscriptionKey;
use super::super::id::Position;
use super::super::message::Priority;
use super::super::message_group::{GroupKey, Groups, Slot};
use super::super::pending::Entry;
use super::signed;
use super::unmatched::Unmatched;

/// Messages set aside, and who looks for some among them.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) groups: Groups,
    pub(super) unmatched: Unmatched,
    /// Subscriptions that can be given something and may find it here, those of the highest consumer
    /// priority first.
    hungry: VecDeque<(i8, SubscriptionKey)>,
    /// What is being read back from the store.
    pub(super) fetching: Option<Place>,
    /// Bytes of messages that wait here, wherever they are.
    pub(super) bytes: u64,
    /// Bytes of those in memory.
    pub(super) resident: u64,
    /// What is booked as memory for places and groups.
    booked: u64,
}

/// Where a message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In the line of a group, or with those that nobody wanted.
    pub(super) group: Option<GroupKey>,
    pub(super) priority: Priority,
    pub(super) position: Position,
}

impl Aside {
    /// How many messages wait here.
    pub(super) fn len(&self) -> u64 {
        self.groups.waiting() + self.unmatched.len()
    }

    /// What places, and groups that have messages, cost beside the messages, in bytes.
    pub(super) fn overhead(&self) -> u64 {
        self.len() * Slot::COST + self.groups.busy() as u64 * Groups::COST
    }

    /// Forgets all that waits here.
    pub(super) fn clear(&mut self) {
        self.groups = Groups::default();
        self.unmatched = Unmatched::default();
    }

    #[cfg(any(debug_assertions, test))]
    pub(super) fn is_booked(&self) -> bool {
        self.booked == self.overhead()
    }

    /// How much more, or less, that is than when this was asked last.
    pub(super) fn overhead_delta(&mut self) -> i64 {
        let now = self.overhead();
        let before = std::mem::replace(&mut self.booked, now);
        signed(now) - signed(before)
    }

    /// Whether nothing of it is needed any more.
    pub(super) fn is_over(&self) -> bool {
        self.len() == 0 && self.groups.len() == 0 && self.fetching.is_none()
    }

    /// A subscription may find something here.
    pub(super) fn add_hungry(&mut self, priority: i8, key: SubscriptionKey) {
        let place = self.hungry.partition_point(|(other, _)| *other >= priority);
        self.hungry.insert(place, (priority, key));
    }

    /// A subscription has ended.
    pub(super) fn forget_hungry(&mut self, key: SubscriptionKey) {
        self.hungry.retain(|(_, other)| *other != key);
    }

    #[cfg(any(debug_assertions, test))]
    pub(super) fn is_hungry(&self, key: SubscriptionKey) -> bool {
        self.hungry.iter().any(|(_, other)| *other == key)
    }

    /// A subscription that is to look, behind so many others.
    pub(super) fn hungry(&self, place: usize) -> Option<SubscriptionKey> {
        self.hungry.get(place).map(|(_, key)| *key)
    }

    /// It found something, and lets others look before it looks again.
    pub(super) fn served(&mut self, place: usize) {
        if let Some((priority, key)) = self.hungry.remove(place) {
            self.add_hungry(priority, key);
        }
    }

    /// It found nothing.
    pub(super) fn sated(&mut self, place: usize) {
        self.hungry.remove(place);
    }

    /// The place of a message, if it has one.
    pub(super) fn slot_mut(&mut self, place: Place) -> Option<&mut Slot> {
        match place.group {
            Some(group) => self.groups.slot_mut(group, place.position),
            None => self.unmatched.slot_mut(place.priority, place.position),
        }
    }

    /// Takes a message out: the first of its group, or one that nobody wanted.
    pub(super) fn take(&mut self, place: Place) -> Option<Slot> {
        let slot = match place.group {
            Some(group) => self.groups.take_head(group).map(|waiting| waiting.slot)?,
            None => self.unmatched.take(place.priority, place.position)?,
        };
        self.bytes -= slot.bytes();
        self.resident -= slot.resident();
        Some(slot)
    }

    /// Takes a message out, wherever it stands in its line.
    pub(super) fn take_anywhere(&mut self, place: Place) -> Option<Slot> {
        let slot = match place.group {
            Some(group) => self.groups.take_at(group, place.position)?,
            None => self.unmatched.take(place.priority, place.position)?,
        };
        self.bytes -= slot.bytes();
        self.resident -= slot.resident();
        Some(slot)
    }

    /// The messages in memory.
    pub(super) fn residents(&self) -> impl Iterator<Item = &Entry> {
        let slots = self.groups.slots().chain(self.unmatched.slots());
        slots.filter_map(|slot| match slot {
            Slot::Here(entry) => Some(entry),
            Slot::OnDisk { .. } => None,
        })
    }

    /// Counts a message that was added.
    pub(super) fn added(&mut self, bytes: u64, resident: u64) {
        self.bytes += bytes;
        self.resident += resident;
    }
}
