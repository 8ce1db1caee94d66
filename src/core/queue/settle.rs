//! What becomes of deliveries: settlements, and what returns when a subscription ends.

use super::super::effect::{Effects, SubscriptionKey};
use super::super::error::Refusal;
use super::super::id::DeliveryTag;
use super::super::message::DeliveryState;
use super::super::pending::Entry;
use super::super::persist::Persist;
use super::super::redelivery::{Verdict, judge};
use super::super::request::{Outcome, Tags};
use super::super::time::{Now, Tick};
use super::Queue;

impl Queue {
    /// Settles deliveries of a subscription. Returns the place in `effects.persist` of the last change
    /// that makes it durable, if there is any.
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
    ) -> Result<Option<usize>, Refusal> {
        if self.is_browser(key) {
            self.seen(now, key, tags, effects);
            return Ok(None);
        }
        let from = effects.next_change();
        let mut settled = 0;
        loop {
            let subscription = self
                .subscriptions
                .get_mut(key)
                .ok_or(Refusal::NoSubscription)?;
            let entry = match tags {
                Tags::One(_) if settled > 0 => None,
                Tags::One(tag) => subscription.inflight.take_one(tag),
                Tags::Through(tag) => subscription.inflight.take_through(tag),
            };
            let Some(entry) = entry else { break };
            settled += 1;
            self.conclude(now, key, entry, (outcome, true), effects);
        }
        if settled == 0 {
            return Err(Refusal::NoDelivery);
        }
        let last = effects
            .next_change()
            .checked_sub(1)
            .filter(|last| *last >= from);
        self.regain(key);
        self.dispatch(now, effects);
        self.check_invariants();
        Ok(last)
    }

    /// Ends a subscription. What it has not settled returns to its place, flagged as redelivered; with
    /// `failed_through` the oldest of them counts as a failed try if the client had been sent it.
    pub fn unsubscribe(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        failed_through: Option<DeliveryTag>,
        effects: &mut Effects,
    ) {
        if self.is_browser(key) {
            return self.end_browser(key, effects);
        }
        let Some(subscription) = self.subscriptions.get_mut(key) else {
            return;
        };
        let picky = usize::from(subscription.is_picky() && !subscription.ended);
        subscription.ended = true;
        self.picky -= picky;
        let taken = subscription.inflight.take_unmarked();
        let written = failed_through.unwrap_or_default();
        for (index, (tag, entry)) in taken.into_iter().enumerate() {
            let failed = index == 0 && tag <= written;
            let outcome = Outcome::Modify { failed };
            // Nobody has refused it: another consumer may have it at once.
            self.conclude(now, key, entry, (outcome, false), effects);
        }
        self.regain(key);
        self.leave_groups(now, key);
        self.pass_exclusive_on(key);
        self.remove_if_over(key);
        self.dispatch(now, effects);
        self.check_invariants();
    }

    /// Frees the place of a subscription that has ended and holds nothing any more.
    pub(super) fn remove_if_over(&mut self, key: SubscriptionKey) {
        let over = |s: &super::Subscription| s.ended && s.inflight.live() == 0;
        if self.subscriptions.get(key).is_some_and(over) {
            self.subscriptions.remove(key);
            self.ring.remove(key);
            if let Some(aside) = &mut self.aside {
                aside.forget_hungry(key);
            }
        }
    }

    /// Carries out what became of one delivery of a subscription; the flag says whether a message that
    /// failed is delayed.
    pub(super) fn conclude(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        entry: Entry,
        (outcome, delays_it): (Outcome, bool),
        effects: &mut Effects,
    ) {
        self.unsettled -= 1;
        effects.tally.unsettled_delta -= 1;
        if outcome == Outcome::Accept {
            effects.tally.accepted += 1;
            self.drop_entry(&entry, effects);
            if let Some(group) = entry.group {
                self.group_settled(now, group);
            }
            return;
        }
        effects.tally.returned += 1;
        let (state, cause) = match judge(&self.policy, entry.state(), outcome, now.wall) {
            Verdict::Again(state) => {
                let failed = outcome == Outcome::Modify { failed: true };
                let delays = &self.policy.redelivery;
                let wait = delays.before(entry.message.id, state.attempts);
                let until = (failed && delays_it && wait > 0).then(|| now.tick.after(wait));
                return self.put_back(now, entry, state, until, effects);
            }
            Verdict::DeadLetter(state, cause) => (state, cause),
        };
        let group = entry.group;
        if let Some(entry) = self.give_up(now, key, entry, (state, cause), effects) {
            self.put_back(now, entry, state, None, effects);
        } else if let Some(group) = group {
            self.group_settled(now, group);
        }
    }

    fn put_back(
        &mut self,
        now: Now,
        mut entry: Entry,
        state: DeliveryState,
        until: Option<Tick>,
        effects: &mut Effects,
    ) {
        if state != entry.state() {
            entry.state = Some(Box::new(state));
            if entry.stored && entry.message.persistent {
                effects.persist.push(Persist::Returned {
                    at: self.at(entry.position),
                    state,
                });
            }
        }
        effects.tally.ready_delta += 1;
        if let Some(until) = until {
            self.delay(now, entry, until, effects);
        } else if entry.group.is_some() {
            self.rejoin_line(now, entry, false, effects);
        } else {
            self.pending.push(entry);
        }
    }
}
