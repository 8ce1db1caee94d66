//! A queue's part in transactions. A commit comes in three steps, so that it is all or nothing
//! without two locks held at once: `reserve` and `prepare` emit the durable changes of each queue,
//! the caller makes them durable as one, then `place` and `apply` make them effective.

use std::sync::Arc;

use super::super::effect::{Effects, SubscriptionKey};
use super::super::error::Refusal;
use super::super::id::{Position, TransactionId};
use super::super::message::Message;
use super::super::pending::Entry;
use super::super::persist::Persist;
use super::super::policy::Keep;
use super::super::request::{Outcome, Tags};
use super::super::time::Now;
use super::{Queue, signed};

/// A place that a queue keeps for a message of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    position: Position,
    stored: bool,
    covered: bool,
}

impl Reserved {
    /// Whether the message is one that is stored, by the last change that `reserve` emitted.
    pub fn is_stored(&self) -> bool {
        self.stored
    }
}

impl Queue {
    /// Lets a transaction settle deliveries when it commits. Until then they do not count against the
    /// prefetch, so that delivery goes on within the transaction.
    ///
    /// # Errors
    /// [`Refusal::NoSubscription`], or [`Refusal::NoDelivery`] when none of the tags is unsettled.
    pub fn mark(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        tags: Tags,
        transaction: TransactionId,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if self.is_browser(key) {
            self.seen(now, key, tags, effects);
            return Ok(());
        }
        let subscription = self
            .subscriptions
            .get_mut(key)
            .ok_or(Refusal::NoSubscription)?;
        if subscription.inflight.mark(tags, transaction, outcome) == 0 {
            return Err(Refusal::NoDelivery);
        }
        self.regain(key);
        self.dispatch(now, effects);
        self.check_invariants();
        Ok(())
    }

    /// Undoes what a transaction settled: the deliveries are unsettled again, and nothing is
    /// redelivered unless the subscription has ended meanwhile.
    pub fn unmark(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        transaction: TransactionId,
        effects: &mut Effects,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(key) else {
            return;
        };
        subscription.inflight.unmark(transaction);
        subscription.shares_credit();
        if subscription.ended {
            self.unsubscribe(now, key, None, effects);
        }
        self.check_invariants();
    }

    /// Emits the durable changes of what a transaction accepts here; nothing else changes yet.
    pub fn prepare(&self, key: SubscriptionKey, transaction: TransactionId, effects: &mut Effects) {
        let Some(subscription) = self.subscriptions.get(key) else {
            return;
        };
        let stored = subscription
            .inflight
            .accepted_by(transaction)
            .filter(|entry| entry.stored);
        effects.persist.extend(stored.map(|entry| Persist::Remove {
            at: self.at(entry.position),
        }));
    }

    /// Makes effective what a transaction settled here; what it accepts is durable already.
    pub fn apply(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        transaction: TransactionId,
        effects: &mut Effects,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(key) else {
            return;
        };
        for (outcome, mut entry) in subscription.inflight.take_marked(transaction) {
            if outcome == Outcome::Accept {
                entry.stored = false;
            }
            self.conclude(now, key, entry, (outcome, true), effects);
        }
        self.remove_if_over(key);
        self.regain(key);
        self.dispatch(now, effects);
        self.check_invariants();
    }

    /// Keeps a place for a message that a transaction sends, and emits the change that stores it, if
    /// it is to be stored, be it only because memory has no room for it. With `behind_stored`, one
    /// before it was stored: it has to be where that is, or it might overtake it.
    pub fn reserve(
        &mut self,
        message: &Arc<Message>,
        behind_stored: bool,
        pressed: bool,
        effects: &mut Effects,
    ) -> Reserved {
        self.last_position = self.last_position.next();
        let position = self.last_position;
        let mut stored = message.persistent && self.policy.keep == Keep::All;
        if stored {
            self.put(position, message, effects);
        } else if behind_stored || self.has_no_room(position, message, pressed) {
            stored = true;
            self.spill(position, Arc::clone(message), effects);
        }
        self.pending.reserve(position);
        Reserved {
            position,
            stored,
            covered: position <= self.horizon.requested(),
        }
    }

    /// Puts a message in the place that was reserved for it, durable by now if it is to be.
    pub fn place(
        &mut self,
        now: Now,
        reserved: Reserved,
        message: Arc<Message>,
        pressed: bool,
        effects: &mut Effects,
    ) {
        effects.tally.received += 1;
        effects.tally.routed += 1;
        self.pending.forget(reserved.position);
        if self.drops(&message) {
            effects.tally.dropped += 1;
            if reserved.stored {
                let at = self.at(reserved.position);
                effects.persist.push(Persist::Remove { at });
            }
            return;
        }
        let entry = Entry {
            position: reserved.position,
            message,
            state: None,
            group: None,
            stored: reserved.stored,
            covered: reserved.covered,
        };
        let priority = entry.message.priority;
        if !entry.stored {
            // Pages may have passed its place by: it stays in memory.
            effects.tally.ready_delta += 1;
            effects.tally.memory_delta += signed(entry.bytes());
            self.pending.push(entry);
        } else if self.pending.awaits_page(entry.position, priority) {
            effects.tally.memory_delta += signed(entry.bytes());
            self.pending.keep_aside(entry);
        } else {
            self.wait(entry, pressed, effects);
        }
        self.dispatch(now, effects);
        self.make_room(now, effects);
        self.check_invariants();
    }

    /// Gives up a place: the commit failed.
    pub fn abandon(&mut self, reserved: Reserved) {
        self.pending.forget(reserved.position);
    }
}
