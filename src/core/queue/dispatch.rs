//! Who gets the next message: the subscriptions that have credit, in turn.

use super::super::delivery::Delivery;
use super::super::effect::{Effects, SubscriptionKey};
use super::super::pending::{Entry, Next};
use super::super::persist::Persist;
use super::super::policy::Keep;
use super::super::time::Now;
use super::{Queue, Subscription, signed};

impl Queue {
    /// Gives waiting messages to subscriptions until one or the other runs out.
    pub(super) fn dispatch(&mut self, now: Now, effects: &mut Effects) {
        loop {
            if self.aside.is_some() && self.serve_from_aside(now, effects) {
                continue;
            }
            if self.ring_front().is_none() || self.aside_is_full() {
                break;
            }
            let before = self.pending.count();
            match self.take_next(now, effects) {
                Some(entry) => self.place_entry(now, entry, effects),
                // Something has expired: what was set aside may come before what is next now.
                None if self.aside.is_some() && self.pending.count() < before => {}
                None => break,
            }
        }
        if let Some(aside) = &mut self.aside {
            effects.tally.memory_delta += aside.overhead_delta();
        }
        self.drop_aside_if_over();
        self.ask_page(effects);
    }

    /// Lets a subscription take its turns, if it has credit and does not already.
    pub(super) fn rejoin(&mut self, key: SubscriptionKey) {
        if !self.is_ready(key) {
            return;
        }
        self.make_hungry(key);
        if let Some(subscription) = self.subscriptions.get_mut(key)
            && !subscription.in_ring
        {
            subscription.in_ring = true;
            self.ring.push(subscription.options.priority, key);
        }
    }

    /// Lets a subscription go on after deliveries to it were settled.
    pub(super) fn regain(&mut self, key: SubscriptionKey) {
        let subscription = self.subscriptions.get_mut(key);
        if !subscription.is_some_and(Subscription::shares_credit) {
            self.rejoin(key);
        }
    }

    /// Takes the credit for a delivery to a subscription that is ready.
    pub(super) fn book(&mut self, key: SubscriptionKey) -> bool {
        let subscription = self.subscriptions.get_mut(key);
        subscription.is_some_and(Subscription::book)
    }

    /// Lets all take their turns that can be given something.
    pub(super) fn all_rejoin(&mut self) {
        let keys: Vec<_> = self.subscriptions.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.rejoin(key);
        }
    }

    /// The subscription whose turn it is. Those that can be given nothing any more lose their turn.
    pub(super) fn ring_front(&mut self) -> Option<SubscriptionKey> {
        while let Some(key) = self.ring.front() {
            if self.is_ready(key) {
                return Some(key);
            }
            if let Some(subscription) = self.subscriptions.get_mut(key) {
                subscription.in_ring = false;
            }
            self.ring.pop_front();
        }
        None
    }

    /// Gives a waiting message to a subscription that is ready, and the turn to the next.
    pub(super) fn give(
        &mut self,
        key: SubscriptionKey,
        entry: Entry,
        first_of_group: bool,
        effects: &mut Effects,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(key) else {
            return;
        };
        let tag = subscription.next_tag();
        let state = entry.state();
        effects.tally.ready_delta -= 1;
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
                first_of_group,
                end_of_browse: false,
                concrete: None,
            },
        );
        subscription.inflight.push(tag, entry);
        subscription.in_ring = subscription.has_credit();
        let (stays, priority) = (subscription.in_ring, subscription.options.priority);
        if self.ring.front() != Some(key) {
            self.ring.remove(key);
            if stays {
                self.ring.push(priority, key);
            }
        } else if stays {
            self.ring.rotate();
        } else {
            self.ring.pop_front();
        }
    }

    /// Takes the next message that may be delivered, dropping expired ones on the way.
    fn take_next(&mut self, now: Now, effects: &mut Effects) -> Option<Entry> {
        while self.pending.next() == Next::Resident {
            let entry = self.pending.peek()?;
            if entry.message.expired(now.wall) {
                let entry = self.pending.pop()?;
                self.expire(now, &entry, effects);
                if self.aside.is_some() {
                    return None;
                }
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
