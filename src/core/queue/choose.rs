//! Which subscription a message is for: the one that has its group, or the first in turn that wants
//! it. A message that can be given to nobody is set aside, and those behind it go on.

use super::super::effect::{Effects, SubscriptionKey};
use super::super::message::{DeliveryState, Message};
use super::super::message_group::Slot;
use super::super::pending::Entry;
use super::super::policy::Keep;
use super::super::subscription::Subscription;
use super::super::time::Now;
use super::{Queue, signed};

/// Places and groups may take this many times the memory window, beside what is in it.
const OVERHEAD_SHARE: u64 = 16;

/// Among how many consumers the one with the fewest groups is looked for.
const NEXT_FEW: usize = 8;

impl Queue {
    /// Whether somebody is there who wants a message, or nobody is there who could.
    pub fn may_want(&self, message: &Message) -> bool {
        let mut consumers = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| !subscription.options.browse)
            .peekable();
        let nobody = consumers.peek().is_none();
        nobody || consumers.any(|(_, one)| one.wants(message, DeliveryState::default()))
    }

    /// Gives a waiting message that has just been taken from the front to somebody, or sets it aside.
    pub(super) fn place_entry(&mut self, now: Now, entry: Entry, effects: &mut Effects) {
        if entry.message.grouped {
            self.place_grouped(now, entry, effects);
        } else {
            self.place_plain(entry, effects);
        }
    }

    /// The same for a message that belongs to no group.
    pub(super) fn place_plain(&mut self, entry: Entry, effects: &mut Effects) {
        while let Some(key) = self.first_who_wants(&entry) {
            if self.book(key) {
                return self.give(key, entry, false, effects);
            }
        }
        let (priority, position) = (entry.message.priority, entry.position);
        let slot = self.slot_for(entry, effects);
        let aside = self.aside.get_or_insert_default();
        aside.added(slot.bytes(), slot.resident());
        if aside.unmatched.push(priority, position, slot) {
            for (_, subscription) in self.subscriptions.iter_mut() {
                if let Some(cursors) = &mut subscription.cursors {
                    cursors.return_to(priority, position);
                }
            }
        }
    }

    /// The first in turn that wants a message.
    fn first_who_wants(&mut self, entry: &Entry) -> Option<SubscriptionKey> {
        if self.picky == 0 {
            return self.ring_front();
        }
        let mut turns = self.ring.iter();
        let found = turns.find(|(_, key)| self.if_ready(*key, entry).is_some());
        found.map(|(_, key)| key)
    }

    /// Who should have a group of which this is the next message: of those of the highest consumer
    /// priority, and of the next few in turn, the one that has the fewest.
    pub(super) fn new_owner(&self, entry: &Entry) -> Option<SubscriptionKey> {
        let ready = self.ring.iter();
        let mut ready = ready.filter(|(_, key)| self.if_ready(*key, entry).is_some());
        let (highest, first) = ready.next()?;
        let owned = |key| {
            let aside = self.aside.as_ref();
            aside.map_or(0, |aside| aside.groups.owned_by(key))
        };
        let equals = ready.take_while(|(priority, _)| *priority == highest);
        let equals = std::iter::once(first).chain(equals.map(|(_, key)| key));
        equals.take(NEXT_FEW).min_by_key(|key| owned(*key))
    }

    pub(super) fn if_ready(&self, key: SubscriptionKey, entry: &Entry) -> Option<SubscriptionKey> {
        let wants = |s: &Subscription| s.wants(&entry.message, entry.state());
        let wanted = self.subscriptions.get(key).is_some_and(wants);
        (wanted && self.is_ready(key)).then_some(key)
    }

    /// How a message waits that is set aside: on disk only if memory has no room for it.
    pub(super) fn slot_for(&mut self, entry: Entry, effects: &mut Effects) -> Slot {
        let bytes = entry.bytes();
        let room = self.resident_bytes() + bytes <= self.policy.memory_window_bytes;
        // The store knows what has happened to a message only if it is persistent and was there; a page
        // that is on its way may be older than that.
        let page_comes = self.aside.as_ref().is_some_and(|a| a.fetching.is_some());
        let known_there = entry.stored && entry.message.persistent && !page_comes;
        let known = entry.state.is_none() || known_there;
        if room || !known || self.policy.keep == Keep::Nothing {
            return Slot::Here(entry);
        }
        if !entry.stored {
            self.spill(entry.position, entry.message.clone(), effects);
        }
        effects.tally.memory_delta -= signed(bytes);
        let priority = entry.message.priority;
        Slot::OnDisk { bytes, priority }
    }

    /// Whether so much waits aside that the rest of the queue has to wait too.
    pub(super) fn aside_is_full(&self) -> bool {
        let most = self
            .policy
            .memory_window_bytes
            .saturating_mul(OVERHEAD_SHARE);
        self.aside
            .as_ref()
            .is_some_and(|aside| aside.overhead() > most)
    }
}
