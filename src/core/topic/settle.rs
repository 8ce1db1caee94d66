//! What becomes of a topic's deliveries. What fails is delivered again to the same subscription only.

use super::super::dead_letter::{End, Fate, dead_letter};
use super::super::destination::DestinationName;
use super::super::effect::{Effects, Forward, SubscriptionKey};
use super::super::error::Refusal;
use super::super::id::{DeliveryTag, TransactionId};
use super::super::message::{DeliveryState, Message};
use super::super::pending::Entry;
use super::super::redelivery::{Verdict, judge};
use super::super::request::{Outcome, Tags};
use super::super::time::Now;
use super::{Topic, signed};

impl Topic {
    /// Settles deliveries of a subscription.
    ///
    /// # Errors
    /// [`Refusal::NoSubscription`], or [`Refusal::NoDelivery`] when none of the tags is unsettled.
    pub fn settle(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        tags: Tags,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let reader = self.readers.get_mut(key).ok_or(Refusal::NoSubscription)?;
        if reader.subscription.counts_only() {
            let (Tags::Through(tag) | Tags::One(tag)) = tags;
            let count = reader.subscription.count_through(tag);
            self.unsettled -= count;
            effects.tally.accepted += count;
            effects.tally.unsettled_delta -= signed(count);
            self.regain(now, key, effects);
            return Ok(());
        }
        let mut taken = Vec::new();
        match tags {
            Tags::One(tag) => taken.extend(reader.subscription.inflight.take_one(tag)),
            Tags::Through(tag) => {
                taken.extend(std::iter::from_fn(|| {
                    reader.subscription.inflight.take_through(tag)
                }));
            }
        }
        if taken.is_empty() {
            return Err(Refusal::NoDelivery);
        }
        for entry in taken {
            self.conclude(now, key, entry, outcome, effects);
        }
        self.regain(now, key, effects);
        Ok(())
    }

    /// Lets a transaction settle deliveries when it commits.
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
        let reader = self.readers.get_mut(key).ok_or(Refusal::NoSubscription)?;
        if reader
            .subscription
            .inflight
            .mark(tags, transaction, outcome)
            == 0
        {
            return Err(Refusal::NoDelivery);
        }
        self.regain(now, key, effects);
        Ok(())
    }

    /// Undoes what a transaction settled.
    pub fn unmark(
        &mut self,
        key: SubscriptionKey,
        transaction: TransactionId,
        effects: &mut Effects,
    ) {
        let Some(reader) = self.readers.get_mut(key) else {
            return;
        };
        reader.subscription.inflight.unmark(transaction);
        reader.subscription.shares_credit();
        if reader.subscription.ended {
            self.unsubscribe(key, effects);
        }
    }

    /// Makes effective what a transaction settled.
    pub fn apply(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        transaction: TransactionId,
        effects: &mut Effects,
    ) {
        let Some(reader) = self.readers.get_mut(key) else {
            return;
        };
        for (outcome, entry) in reader.subscription.inflight.take_marked(transaction) {
            self.conclude(now, key, entry, outcome, effects);
        }
        self.regain(now, key, effects);
        self.remove_if_over(key);
    }

    /// Ends a subscription. What it has not read or settled is not for anybody else.
    pub fn unsubscribe(&mut self, key: SubscriptionKey, effects: &mut Effects) {
        let Some(reader) = self.readers.get_mut(key) else {
            return;
        };
        let before = self.log.bytes();
        if !reader.subscription.ended {
            reader.subscription.ended = true;
            self.log.leave(reader.cursor);
        }
        let gone = reader.subscription.count_through(DeliveryTag(u64::MAX));
        let dropped = reader.subscription.inflight.take_unmarked();
        reader.subscription.shares_credit();
        let gone = gone + dropped.len() as u64;
        let own = std::iter::from_fn(|| reader.take_own()).collect::<Vec<_>>();
        let bytes: u64 = dropped
            .iter()
            .map(|(_, entry)| entry)
            .chain(&own)
            .map(Entry::bytes)
            .sum();
        self.unsettled -= gone;
        effects.tally.unsettled_delta -= signed(gone);
        effects.tally.memory_delta += signed(self.log.bytes()) - signed(before) - signed(bytes);
        self.remove_if_over(key);
        self.forget_spilled(effects);
    }

    fn remove_if_over(&mut self, key: SubscriptionKey) {
        let over = self.readers.get(key).is_some_and(|reader| {
            reader.subscription.ended && reader.subscription.inflight.live() == 0
        });
        if over {
            self.readers.remove(key);
        }
    }

    fn conclude(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        entry: Entry,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        self.unsettled -= 1;
        effects.tally.unsettled_delta -= 1;
        if outcome == Outcome::Accept {
            effects.tally.accepted += 1;
            effects.tally.memory_delta -= signed(entry.bytes());
            return;
        }
        effects.tally.returned += 1;
        let (state, cause) = match judge(&self.policy, entry.state(), outcome, now.wall) {
            Verdict::Again(state) => return self.put_back(key, entry, state, effects),
            Verdict::DeadLetter(state, cause) => (state, cause),
        };
        match self.policy.dead_letter.fate(&entry.message, &self.name) {
            Fate::Stays => return self.put_back(key, entry, state, effects),
            Fate::Dropped => effects.tally.dropped += 1,
            Fate::Moves(queue) => {
                effects.tally.dead_lettered += 1;
                let reader = self.readers.get(key);
                let end = End {
                    state,
                    cause,
                    consumer: reader.and_then(|r| r.subscription.options.name.as_deref()),
                    now: now.wall,
                };
                self.bury(&entry.message, queue, &end, effects);
            }
        }
        effects.tally.memory_delta -= signed(entry.bytes());
    }

    /// Lets a delivery that failed wait for the same subscription.
    fn put_back(
        &mut self,
        key: SubscriptionKey,
        mut entry: Entry,
        state: DeliveryState,
        effects: &mut Effects,
    ) {
        entry.state = Some(Box::new(state));
        match self.readers.get_mut(key) {
            Some(reader) if !reader.subscription.ended => {
                let place = reader
                    .returned
                    .partition_point(|other| other.position < entry.position);
                reader.returned.insert(place, entry);
            }
            // Nobody is left whom it could be given to.
            _ => effects.tally.memory_delta -= signed(entry.bytes()),
        }
    }

    /// Sends a message to a dead-letter queue.
    pub(super) fn bury(
        &self,
        message: &Message,
        queue: DestinationName,
        end: &End<'_>,
        effects: &mut Effects,
    ) {
        let ttl = self.policy.dead_letter.ttl;
        effects.forwards.push(Forward {
            target: queue,
            message: dead_letter(message, &self.name, end, ttl),
            with: Vec::new(),
        });
    }
}
