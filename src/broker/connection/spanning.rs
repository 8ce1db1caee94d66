//! A connection's subscriptions to wildcards and composite destinations. Deliveries of all parts are
//! numbered anew in the order in which the connection finds them, so that an acknowledgement that
//! stands for all before it means what the client has seen.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::cell::{Cell, Destination, Work};
use super::super::spanning::{Part, Spanning, Wildcards, part_of, spans};
use super::{Connection, unsubscribe};
use crate::core::{
    DeliveryTag, DestinationName, Done, Kind, Now, Outcome, Pattern, Refusal, SubscribeOptions,
    SubscriptionId, Tags, Token, TransactionId,
};
use crate::store::Durable;

/// One such subscription, and what of it is unsettled.
#[derive(Debug)]
pub(super) struct Span {
    spanning: Arc<Spanning>,
    /// Deliveries in the order of the tags that the client knows them by.
    given: VecDeque<Given>,
    /// The tag of the first of them.
    first: u64,
    /// The number of the part that may have free credit next.
    turn: usize,
}

/// A delivery, by the tag that its part gave it.
#[derive(Clone, Copy, Debug)]
struct Given {
    tag: DeliveryTag,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Held(TransactionId),
    Done,
}

impl Span {
    fn new(spanning: Arc<Spanning>) -> Self {
        Self {
            spanning,
            given: VecDeque::new(),
            first: 1,
            turn: 0,
        }
    }

    /// Notes a delivery. Returns the tag that the client knows it by.
    fn note(&mut self, tag: DeliveryTag) -> DeliveryTag {
        let state = State::Open;
        self.given.push_back(Given { tag, state });
        DeliveryTag(self.first + self.given.len() as u64 - 1)
    }

    /// Settles what the client means by these tags. Returns that in the words of the parts: each with
    /// its number.
    fn settle(&mut self, tags: Tags, state: State) -> Vec<(usize, Tags)> {
        let (Tags::One(tag) | Tags::Through(tag)) = tags;
        let behind = tag.0.saturating_add(1).saturating_sub(self.first);
        let behind = usize::try_from(behind)
            .unwrap_or(usize::MAX)
            .min(self.given.len());
        let first = match tags {
            Tags::One(_) => behind.saturating_sub(1),
            Tags::Through(_) => 0,
        };
        let exact =
            matches!(tags, Tags::Through(_)) || tag.0 < self.first + self.given.len() as u64;
        let mut found: Vec<(usize, Tags)> = Vec::new();
        for given in self.given.range_mut(first..behind) {
            if !exact || given.state != State::Open {
                continue;
            }
            given.state = state;
            let part = part_of(given.tag);
            match tags {
                Tags::One(_) => found.push((part, Tags::One(given.tag))),
                Tags::Through(_) => {
                    // Tags of one part grow: the last one stands for those before.
                    found.retain(|(other, _)| *other != part);
                    found.push((part, Tags::Through(given.tag)));
                }
            }
        }
        self.trim();
        found
    }

    /// Ends a transaction's hold.
    fn release(&mut self, transaction: TransactionId, state: State) {
        for given in &mut self.given {
            if given.state == State::Held(transaction) {
                given.state = state;
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        let done = |given: &mut Given| given.state == State::Done;
        while self.given.pop_front_if(done).is_some() {
            self.first += 1;
        }
        if self.given.is_empty() && self.given.capacity() > 64 {
            self.given = VecDeque::new();
        }
    }

    /// The oldest unsettled delivery that the client was sent, by its part.
    fn oldest(&self, written: DeliveryTag) -> Option<DeliveryTag> {
        let sent = usize::try_from(written.0.saturating_add(1).saturating_sub(self.first)).ok()?;
        let mut open = self.given.iter().take(sent);
        let found = open.find(|given| given.state == State::Open);
        found.map(|given| given.tag)
    }
}

impl Connection {
    /// Subscribes to all that a wildcard or composite destination stands for.
    pub(super) fn subscribe_spanning(
        &mut self,
        work: &mut Work,
        now: Now,
        id: SubscriptionId,
        destination: &DestinationName,
        options: SubscribeOptions,
    ) -> Result<(), Refusal> {
        let mut patterns = Vec::new();
        let mut cells = Vec::new();
        let mut named = Vec::new();
        let parts = destination.parts();
        for part in parts
            .as_deref()
            .unwrap_or(std::slice::from_ref(destination))
        {
            let pattern = Pattern::new(part.name());
            if pattern.is_wildcard() {
                patterns.push((part.kind(), pattern));
            } else {
                self.may_receive(part)?;
                cells.push(self.shared.registry.get(part, self.id, &self.shared)?);
                named.push(part.clone());
            }
        }
        // There is one window for all, and no policy that would be for all: what holds for everything
        // holds, and for topics only if nothing else is named.
        let base = self.shared.policies.base();
        let only_topics = cells.iter().all(|cell| cell.name.kind() == Kind::Topic)
            && patterns.iter().all(|(kind, _)| *kind == Kind::Topic);
        let prefetch = options.prefetch.unwrap_or(if only_topics {
            base.topic_prefetch
        } else {
            base.prefetch
        });
        let spanning = Spanning::new(id, &self.outbox, options, prefetch, patterns);
        let shared = Arc::clone(&self.shared);
        // Whatever comes to life from here on joins by itself.
        shared.registry.wildcards().add(&spanning);
        let known = shared.registry.snapshot();
        cells.extend(Wildcards::covered(&spanning, known));
        for cell in cells {
            let mut next = Some(cell);
            while let Some(cell) = next {
                let joined = spanning.join(&cell, |id, options, outbox| {
                    let (key, _) = cell.with(&shared, work, None, |state, effects, _| {
                        if !state.enter(now) {
                            return None;
                        }
                        let key = state.subscribe(now, id, options, outbox, effects);
                        if !named.contains(&cell.name) {
                            state.note_guest(key);
                        }
                        Some(key)
                    });
                    key
                });
                // One that a wildcard covers joins by itself when it is there again.
                let again = !joined && named.contains(&cell.name);
                let there = || shared.registry.again(&cell.name, &shared);
                next = again.then(there).flatten();
            }
        }
        self.spans.insert(id, Span::new(spanning));
        Ok(())
    }

    /// Gives the deliveries that came last the tags and names that the client knows them by.
    pub(super) fn number_spanning(&mut self, from: usize) {
        if self.spans.is_empty() {
            return;
        }
        for delivery in self.mail.deliveries.range_mut(from..) {
            let Some(span) = self.spans.get_mut(&delivery.subscription) else {
                continue;
            };
            let parts = span.spanning.parts();
            let part = parts
                .list
                .get(part_of(delivery.tag))
                .and_then(Option::as_ref);
            delivery.concrete = part.map(|part| Arc::clone(&part.name));
            drop(parts);
            delivery.tag = span.note(delivery.tag);
        }
    }

    /// Settles deliveries of all the destinations that they came from.
    pub(super) fn settle_spanning(
        &mut self,
        work: &mut Work,
        now: Now,
        id: SubscriptionId,
        tags: Tags,
        outcome: Outcome,
        token: Option<Token>,
    ) -> Result<Done, Refusal> {
        let span = self.spans.get_mut(&id).ok_or(Refusal::NoSubscription)?;
        let found = span.settle(tags, State::Done);
        if found.is_empty() {
            return Err(Refusal::NoDelivery);
        }
        let shared = Arc::clone(&self.shared);
        for (part, tags) in self.parts(id, found) {
            // What a destination has taken back by itself is nothing to be told of.
            let _ = part.cell.with(&shared, work, None, |state, effects, _| {
                match &mut state.destination {
                    Destination::Queue(queue) => queue
                        .settle(now, part.key, tags, outcome, effects)
                        .map(|_| ()),
                    Destination::Topic(topic) => {
                        topic.settle(now, part.key, tags, outcome, effects)
                    }
                }
            });
        }
        self.share_out(work, now, id);
        Ok(token.map_or(Done::Now, |_| {
            let waiter = Arc::clone(&self.outbox) as Arc<dyn Durable>;
            self.done(shared.writer.sync(&waiter))
        }))
    }

    /// What a transaction settles here, by destination.
    pub(super) fn hold_spanning(
        &mut self,
        id: SubscriptionId,
        tags: Tags,
        transaction: TransactionId,
    ) -> Result<Vec<(Part, Tags)>, Refusal> {
        let span = self.spans.get_mut(&id).ok_or(Refusal::NoSubscription)?;
        let found = span.settle(tags, State::Held(transaction));
        if found.is_empty() {
            return Err(Refusal::NoDelivery);
        }
        Ok(self.parts(id, found))
    }

    /// A transaction has ended: what it held is done, or open again.
    pub(super) fn release_spanning(
        &mut self,
        work: &mut Work,
        now: Now,
        transaction: TransactionId,
        done: bool,
    ) {
        if self.spans.is_empty() {
            return;
        }
        let state = if done { State::Done } else { State::Open };
        let mut ids: Vec<_> = self.spans.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if let Some(span) = self.spans.get_mut(&id) {
                span.release(transaction, state);
            }
            self.share_out(work, now, id);
        }
    }

    fn parts(&self, id: SubscriptionId, found: Vec<(usize, Tags)>) -> Vec<(Part, Tags)> {
        let Some(span) = self.spans.get(&id) else {
            return Vec::new();
        };
        let parts = span.spanning.parts();
        let part = |(number, tags): (usize, Tags)| Some((parts.list.get(number)?.clone()?, tags));
        found.into_iter().filter_map(part).collect()
    }

    /// Lets parts go on that went without credit, in turn, as long as there is any.
    pub(super) fn share_out(&mut self, work: &mut Work, now: Now, id: SubscriptionId) {
        let Some(span) = self.spans.get_mut(&id) else {
            return;
        };
        let spanning = Arc::clone(&span.spanning);
        if !spanning.window.take_starved() {
            return;
        }
        let parts = spanning.parts();
        let count = parts.list.len();
        let from = span.turn;
        for step in 0..count {
            if !spanning.window.has_room() {
                spanning.window.note_starved();
                break;
            }
            let number = (from + step) % count;
            if let Some(Some(part)) = parts.list.get(number)
                && part.share.take_starved()
            {
                span.turn = number + 1;
                resume(&self.shared, work, now, part);
            }
        }
    }

    /// The client takes deliveries again.
    pub(super) fn resume_spanning(&self, work: &mut Work, now: Now, id: SubscriptionId) {
        if let Some(span) = self.spans.get(&id) {
            for part in span.spanning.parts().list.iter().flatten() {
                resume(&self.shared, work, now, part);
            }
        }
    }

    /// Lets all parts of all such subscriptions take nothing more.
    pub(super) fn pause_spanning(&self, work: &mut Work) {
        for span in self.spans.values() {
            for part in span.spanning.parts().list.iter().flatten() {
                part.cell.with(&self.shared, work, None, |state, _, _| {
                    state.destination.pause(part.key);
                });
            }
        }
    }

    /// Ends a subscription at all its destinations. `written` is the last delivery that a client was
    /// sent which vanished.
    pub(super) fn end_spanning(
        &mut self,
        work: &mut Work,
        now: Now,
        id: SubscriptionId,
        written: Option<DeliveryTag>,
    ) -> Result<Done, Refusal> {
        let span = self.spans.remove(&id).ok_or(Refusal::NoSubscription)?;
        self.shared.registry.wildcards().remove(&span.spanning);
        let oldest = written.and_then(|written| span.oldest(written));
        for (number, part) in span.spanning.close().into_iter().enumerate() {
            let Some(part) = part else { continue };
            let failed = oldest.filter(|tag| part_of(*tag) == number);
            unsubscribe(&self.shared, work, now, &part.cell, part.key, failed);
        }
        Ok(Done::Now)
    }

    /// The destinations, among those that a subscription names, which exist from its start on.
    pub(super) fn named(destination: &DestinationName) -> Vec<DestinationName> {
        let names = destination.parts();
        let mut names = names.unwrap_or_else(|| vec![destination.clone()]);
        names.retain(|name| !spans(name));
        names
    }
}

fn resume(shared: &super::Shared, work: &mut Work, now: Now, part: &Part) {
    let cell: &Arc<Cell> = &part.cell;
    cell.with(shared, work, None, |state, effects, _| {
        match &mut state.destination {
            Destination::Queue(queue) => queue.resume(now, part.key, effects),
            Destination::Topic(topic) => topic.resume(now, part.key, effects),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::AckMode;

    fn span() -> Span {
        let broker = super::super::super::Outbox::new(crate::core::ConnectionId(1), 1000);
        let options = SubscribeOptions::new(10, AckMode::Client);
        Span::new(Spanning::new(
            SubscriptionId(1),
            &Arc::new(broker),
            options,
            10,
            Vec::new(),
        ))
    }

    fn inner(part: u64, number: u64) -> DeliveryTag {
        DeliveryTag(part << 40 | number)
    }

    #[test]
    fn what_stands_for_all_before_it_is_told_to_each_part_once() {
        let mut span = span();
        for (part, number) in [(0, 1), (1, 1), (0, 2), (2, 1), (0, 3)] {
            span.note(inner(part, number));
        }
        let through = span.settle(Tags::Through(DeliveryTag(4)), State::Done);
        let expected = [
            (1, Tags::Through(inner(1, 1))),
            (0, Tags::Through(inner(0, 2))),
            (2, Tags::Through(inner(2, 1))),
        ];
        assert_eq!(through, expected);
        assert!(
            span.settle(Tags::One(DeliveryTag(4)), State::Done)
                .is_empty()
        );
        assert!(
            span.settle(Tags::One(DeliveryTag(6)), State::Done)
                .is_empty()
        );
        let last = span.settle(Tags::One(DeliveryTag(5)), State::Done);
        assert_eq!(last, [(0, Tags::One(inner(0, 3)))]);
        assert_eq!(span.note(inner(1, 2)), DeliveryTag(6));
    }

    #[test]
    fn what_an_aborted_transaction_held_is_open_again() {
        let mut span = span();
        span.note(inner(0, 1));
        span.note(inner(1, 1));
        let held = State::Held(TransactionId(3));
        assert_eq!(span.settle(Tags::Through(DeliveryTag(2)), held).len(), 2);
        assert!(
            span.settle(Tags::One(DeliveryTag(1)), State::Done)
                .is_empty()
        );
        span.release(TransactionId(3), State::Open);
        assert_eq!(span.oldest(DeliveryTag(2)), Some(inner(0, 1)));
        assert_eq!(span.settle(Tags::One(DeliveryTag(1)), held).len(), 1);
        span.release(TransactionId(3), State::Done);
        assert_eq!(span.oldest(DeliveryTag(1)), None);
        assert_eq!(span.oldest(DeliveryTag(2)), Some(inner(1, 1)));
    }
}
