//! Who gets the next message: the subscriptions that have credit, in turn.

use super::super::delivery::Delivery;
use super::super::effect::{Effects, SubscriptionKey};
use super::super::pending::{Entry, Next};
use super::super::persist::Persist;
use super::super::policy::Keep;
use super::super::time::Now;
use super::{Queue, signed};

impl Queue {
    /// Gives waiting messages to subscriptions until one or the other runs out.
    pub(super) fn dispatch(&mut self, now: Now, effects: &mut Effects) {
        while self.ring_front().is_some() {
            let Some(entry) = self.take_next(now, effects) else {
                break;
            };
            effects.tally.ready_delta -= 1;
            self.give_to_next(entry, effects);
        }
        self.ask_page(effects);
    }

    /// Lets a subscription take its turns, if it has credit and does not already.
    pub(super) fn rejoin(&mut self, key: SubscriptionKey) {
        if let Some(subscription) = self.subscriptions.get_mut(key)
            && !subscription.in_ring
            && subscription.has_credit()
        {
            subscription.in_ring = true;
            self.ring.push_back(key);
        }
    }

    /// The subscription whose turn it is. Those that have lost their credit lose their turn.
    pub(super) fn ring_front(&mut self) -> Option<SubscriptionKey> {
        while let Some(key) = self.ring.front().copied() {
            match self.subscriptions.get_mut(key) {
                Some(subscription) if subscription.has_credit() => return Some(key),
                Some(subscription) => subscription.in_ring = false,
                None => {}
            }
            self.ring.pop_front();
        }
        None
    }

    /// Gives a message to the subscription whose turn it is, and the turn to the next.
    pub(super) fn give_to_next(&mut self, entry: Entry, effects: &mut Effects) {
        let Some(key) = self.ring.pop_front() else {
            return;
        };
        let Some(subscription) = self.subscriptions.get_mut(key) else {
            return;
        };
        let tag = subscription.next_tag();
        let state = entry.state();
        effects.tally.delivered += 1;
        effects.tally.redelivered += u64::from(state.redelivered);
        effects.tally.unsettled_delta += 1;
        self.unsettled += 1;
        effects.deliver(
            key,
            Delivery {
                message: entry.message.clone(),
                tag,
                subscription: subscription.id,
                count: state.deliveries.saturating_add(1),
                redelivered: state.redelivered,
            },
        );
        subscription.inflight.push(tag, entry);
        subscription.in_ring = subscription.has_credit();
        if subscription.in_ring {
            self.ring.push_back(key);
        }
    }

    /// Takes the next message that may be delivered, dropping expired ones on the way.
    fn take_next(&mut self, now: Now, effects: &mut Effects) -> Option<Entry> {
        while self.pending.next() == Next::Resident {
            let entry = self.pending.peek()?;
            if entry.message.expired(now.wall) {
                let entry = self.pending.pop()?;
                effects.tally.ready_delta -= 1;
                effects.tally.expired += 1;
                self.drop_entry(&entry, effects);
                continue;
            }
            if self.policy.keep == Keep::All
                && entry.stored
                && !entry.covered
                && entry.message.persistent
            {
                let position = entry.position;
                self.horizon.want(self.id, position, effects);
                if !self.horizon.allows(position) {
                    return None;
                }
            }
            return self.pending.pop();
        }
        None
    }

    /// Forgets a message for good.
    pub(super) fn drop_entry(&mut self, entry: &Entry, effects: &mut Effects) {
        effects.tally.memory_delta -= signed(entry.bytes());
        if entry.stored {
            effects.persist.push(Persist::Remove {
                at: self.at(entry.position),
            });
        }
    }
}
