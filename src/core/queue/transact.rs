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
    covered: bool,
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
        let subscription = self
            .subscriptions
            .get_mut(key)
            .ok_or(Refusal::NoSubscription)?;
        if subscription.inflight.mark(tags, transaction, outcome) == 0 {
            return Err(Refusal::NoDelivery);
        }
        self.rejoin(key);
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
            self.conclude(now, entry, outcome, effects);
        }
        self.remove_if_over(key);
        self.rejoin(key);
        self.dispatch(now, effects);
        self.check_invariants();
    }

    /// Emits the durable change of a message that a transaction sends, and keeps a place for it. A
    /// message that is not to be stored needs none: it is enqueued when the commit is durable.
    pub fn reserve(&mut self, message: &Arc<Message>, effects: &mut Effects) -> Option<Reserved> {
        if !message.persistent || self.policy.keep != Keep::All {
            return None;
        }
        self.last_position = self.last_position.next();
        let position = self.last_position;
        self.put(position, message, effects);
        self.pending.reserve(position);
        Some(Reserved {
            position,
            covered: position <= self.horizon.requested(),
        })
    }

    /// Puts a durable message in the place that was reserved for it.
    pub fn place(
        &mut self,
        now: Now,
        reserved: Reserved,
        message: Arc<Message>,
        effects: &mut Effects,
    ) {
        effects.tally.received += 1;
        effects.tally.routed += 1;
        effects.tally.ready_delta += 1;
        let Reserved { position, covered } = reserved;
        let entry = Entry {
            position,
            message,
            state: None,
            stored: true,
            covered,
        };
        let before = self.pending.resident_bytes();
        self.pending.insert(entry);
        effects.tally.memory_delta += signed(self.pending.resident_bytes()) - signed(before);
        self.dispatch(now, effects);
        self.check_invariants();
    }

    /// Gives up a place: the commit failed.
    pub fn abandon(&mut self, reserved: Reserved) {
        self.pending.forget(reserved.position);
    }
}
