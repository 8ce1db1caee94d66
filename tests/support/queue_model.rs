//! A queue against a small model of what it should do: every operation is a few bytes, so that a
//! fuzzer can make them up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate::internal::core::{
    AckMode, ConnectionId, DeliveryState, DeliveryTag, DestinationId, DestinationName,
    DestinationPolicy, Effects, Encoded, Keep, Message, MessageId, Now, Outcome, Persist, Position,
    Priority, Queue, StoredMessage, StoredPage, SubscribeOptions, SubscriptionId, SubscriptionKey,
    Tags, Tally, Tick, Timestamp, TransactionId,
};

const REDELIVERIES: u32 = 2;

/// What the model knows of a message.
#[derive(Clone, Copy, Debug)]
struct Known {
    priority: u8,
    expires: Option<u64>,
    attempts: u32,
    /// The subscription and tag that hold it.
    held: Option<(usize, u64)>,
    /// A transaction that has settled it, and how.
    marked: Option<(u32, bool)>,
}

/// What the model knows of a subscription.
#[derive(Clone, Copy, Debug)]
struct Consumer {
    key: SubscriptionKey,
    prefetch: u32,
    /// Acknowledgements that a transaction undid may leave it above its prefetch.
    aborted: bool,
    ended: bool,
}

struct Check {
    queue: Queue,
    effects: Effects,
    now: Now,
    /// By number, which is also their order.
    messages: BTreeMap<u64, Known>,
    dead: BTreeSet<u64>,
    consumers: Vec<Consumer>,
    last_number: u64,
    last_tag: BTreeMap<usize, u64>,
    stored: BTreeMap<Position, (Arc<Message>, DeliveryState)>,
    transactions: u32,
}

/// Carries out what the bytes say.
#[allow(unreachable_pub, reason = "shared with the fuzz target")]
pub fn run(bytes: &[u8]) {
    let mut check = Check::new(bytes.first().copied().unwrap_or_default());
    for operation in bytes.get(1..).unwrap_or_default().chunks_exact(3).take(400) {
        check.operate(operation[0], operation[1], operation[2]);
        check.settle_effects();
        check.compare();
    }
    check.finish();
}

impl Check {
    fn new(settings: u8) -> Self {
        let name = DestinationName::queue("q").unwrap();
        let policy = Arc::new(DestinationPolicy {
            keep: if settings & 1 == 0 {
                Keep::All
            } else {
                Keep::Nothing
            },
            memory_window_bytes: if settings & 2 == 0 { 1 << 20 } else { 700 },
            max_bytes: u64::MAX,
            redelivery_max: REDELIVERIES,
            dead_letter_queue: DestinationName::queue("dead").unwrap(),
        });
        Self {
            queue: Queue::new(DestinationId(1), name, policy),
            effects: Effects::default(),
            now: Now {
                wall: Timestamp(1_000),
                tick: Tick(0),
            },
            messages: BTreeMap::new(),
            dead: BTreeSet::new(),
            consumers: Vec::new(),
            last_number: 0,
            last_tag: BTreeMap::new(),
            stored: BTreeMap::new(),
            transactions: 0,
        }
    }

    fn operate(&mut self, code: u8, a: u8, b: u8) {
        match code % 12 {
            0..=3 => self.enqueue(a, b),
            4 => self.subscribe(a),
            5 => self.unsubscribe(a),
            6..=8 => self.settle(a, b),
            9 => self.transact(a, b),
            10 => self.now.wall.0 += u64::from(a),
            _ => self.pause(a, b),
        }
    }

    fn enqueue(&mut self, a: u8, b: u8) {
        self.last_number += 1;
        let number = self.last_number;
        let priority = if a < 200 { 4 } else { a % 10 };
        let expires = (b > 240).then_some(self.now.wall.0 + u64::from(b % 16) * 10 + 1);
        let message = Message {
            id: MessageId {
                connection: ConnectionId(1),
                number,
            },
            timestamp: self.now.wall,
            expiration: expires.map(Timestamp),
            priority: Priority::clamped(i64::from(priority)),
            persistent: !b.is_multiple_of(3),
            body_kind: tidegate::internal::core::BodyKind::Text,
            encoded: Encoded {
                bytes: vec![0; usize::from(b)].into(),
                ..Encoded::default()
            },
            provenance: None,
        };
        let (attempts, held, marked) = (0, None, None);
        self.messages.insert(
            number,
            Known {
                priority,
                expires,
                attempts,
                held,
                marked,
            },
        );
        self.queue
            .enqueue(self.now, Arc::new(message), false, &mut self.effects)
            .unwrap();
    }

    fn subscribe(&mut self, a: u8) {
        if self
            .consumers
            .iter()
            .filter(|consumer| !consumer.ended)
            .count()
            >= 4
        {
            return;
        }
        let prefetch = 1 + u32::from(a % 5);
        let options = SubscribeOptions {
            prefetch,
            mode: AckMode::ClientIndividual,
        };
        let id = SubscriptionId(u32::try_from(self.consumers.len()).unwrap());
        let key = self
            .queue
            .subscribe(self.now, id, options, &mut self.effects);
        self.consumers.push(Consumer {
            key,
            prefetch,
            aborted: false,
            ended: false,
        });
    }

    fn live(&self, a: u8) -> Option<usize> {
        let live: Vec<_> = (0..self.consumers.len())
            .filter(|i| !self.consumers[*i].ended)
            .collect();
        (!live.is_empty()).then(|| live[usize::from(a) % live.len()])
    }

    /// Messages that a consumer holds and no transaction has settled, by tag.
    fn open(&self, consumer: usize) -> Vec<(u64, u64)> {
        let held = self
            .messages
            .iter()
            .filter_map(|(number, known)| match known.held {
                Some((who, tag)) if who == consumer && known.marked.is_none() => {
                    Some((tag, *number))
                }
                _ => None,
            });
        let mut open: Vec<_> = held.collect();
        open.sort_unstable();
        open
    }

    fn unsubscribe(&mut self, a: u8) {
        let Some(consumer) = self.live(a) else { return };
        // A transaction that holds deliveries would outlive it; that is another test's.
        let held = |known: &Known| {
            known.marked.is_some() && known.held.is_some_and(|(who, _)| who == consumer)
        };
        if self.messages.values().any(held) {
            return;
        }
        let open = self.open(consumer);
        let written = if a.is_multiple_of(2) {
            None
        } else {
            open.first().map(|(tag, _)| DeliveryTag(*tag))
        };
        for (index, (_, number)) in open.iter().enumerate() {
            self.come_back(*number, index == 0 && written.is_some());
        }
        self.consumers[consumer].ended = true;
        let key = self.consumers[consumer].key;
        self.queue
            .unsubscribe(self.now, key, written, &mut self.effects);
    }

    /// A delivery ends in vain.
    fn come_back(&mut self, number: u64, failed: bool) {
        let known = self.messages.get_mut(&number).unwrap();
        known.held = None;
        known.attempts += u32::from(failed);
        if known.attempts > REDELIVERIES {
            self.messages.remove(&number);
            self.dead.insert(number);
        }
    }

    fn settle(&mut self, a: u8, b: u8) {
        let Some(consumer) = self.live(a) else { return };
        let open = self.open(consumer);
        let key = self.consumers[consumer].key;
        if open.is_empty() {
            let tags = Tags::One(DeliveryTag(u64::from(b) + 1_000_000));
            let none = self
                .queue
                .settle(self.now, key, tags, Outcome::Accept, &mut self.effects);
            assert!(none.is_err(), "what was never delivered is settled");
            return;
        }
        let index = usize::from(b) % open.len();
        let tag = DeliveryTag(open[index].0);
        let (tags, chosen) = match a % 8 {
            0 | 1 => (Tags::Through(tag), &open[..=index]),
            _ => (Tags::One(tag), &open[index..=index]),
        };
        let outcome = match a % 16 {
            0..=9 => Outcome::Accept,
            10..=12 => Outcome::Modify { failed: true },
            13 => Outcome::Modify { failed: false },
            14 => Outcome::Release,
            _ => Outcome::Reject,
        };
        for (_, number) in chosen {
            match outcome {
                Outcome::Accept => {
                    self.messages.remove(number);
                }
                Outcome::Reject => {
                    self.messages.remove(number);
                    self.dead.insert(*number);
                }
                Outcome::Modify { failed } => self.come_back(*number, failed),
                Outcome::Release => self.come_back(*number, false),
            }
        }
        self.queue
            .settle(self.now, key, tags, outcome, &mut self.effects)
            .unwrap();
    }

    /// Settles one delivery in a transaction, which is committed or aborted at once or later.
    fn transact(&mut self, a: u8, b: u8) {
        let Some(consumer) = self.live(a) else { return };
        let key = self.consumers[consumer].key;
        let open = self.open(consumer);
        if b.is_multiple_of(2) && !open.is_empty() {
            self.transactions += 1;
            let (tag, number) = open[usize::from(b) % open.len()];
            let transaction = TransactionId(self.transactions);
            self.messages.get_mut(&number).unwrap().marked = Some((self.transactions, true));
            let tags = Tags::One(DeliveryTag(tag));
            let marked = self.queue.mark(
                self.now,
                key,
                tags,
                transaction,
                Outcome::Accept,
                &mut self.effects,
            );
            marked.unwrap();
            return;
        }
        let marked = |known: &Known| {
            known
                .held
                .filter(|(who, _)| *who == consumer)
                .and(known.marked)
                .map(|(by, _)| by)
        };
        let Some(by) = self.messages.values().filter_map(marked).min() else {
            return;
        };
        let mine: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, known)| known.marked.is_some_and(|(other, _)| other == by))
            .map(|(number, _)| *number)
            .collect();
        if b % 4 == 1 {
            self.queue
                .prepare(key, TransactionId(by), &mut self.effects);
            self.settle_effects();
            for number in mine {
                self.messages.remove(&number);
            }
            self.queue
                .apply(self.now, key, TransactionId(by), &mut self.effects);
        } else {
            for number in mine {
                self.messages.get_mut(&number).unwrap().marked = None;
            }
            self.consumers[consumer].aborted = true;
            self.queue
                .unmark(self.now, key, TransactionId(by), &mut self.effects);
        }
    }

    fn pause(&mut self, a: u8, b: u8) {
        let Some(consumer) = self.live(a) else { return };
        let key = self.consumers[consumer].key;
        if b.is_multiple_of(2) {
            self.queue.pause(key);
        }
        self.queue.resume(self.now, key, &mut self.effects);
    }

    /// Does what the queue wants done, until it wants nothing more.
    fn settle_effects(&mut self) {
        loop {
            let mut given: Vec<(SubscriptionKey, Vec<_>)> = Vec::new();
            self.effects
                .drain_deliveries(|key, list| given.push((key, std::mem::take(list))));
            let mut numbers = Vec::new();
            for (key, list) in given {
                for delivery in list {
                    numbers.push(delivery.message.id.number);
                    self.delivered(key, delivery.message.id.number, delivery.tag.0);
                }
            }
            self.check_order(&numbers);
            for change in self.effects.persist.drain(..) {
                match change {
                    Persist::Put {
                        at, message, state, ..
                    } => {
                        assert!(self.stored.insert(at.position, (message, state)).is_none());
                    }
                    Persist::Remove { at } => {
                        assert!(self.stored.remove(&at.position).is_some(), "removed twice");
                    }
                    Persist::Returned { at, state } => {
                        self.stored.get_mut(&at.position).expect("it is stored").1 = state;
                    }
                    Persist::Define { .. } | Persist::Undefine { .. } | Persist::Horizon { .. } => {
                    }
                }
            }
            for forward in std::mem::take(&mut self.effects.forwards) {
                assert!(
                    self.dead.contains(&forward.message.id.number),
                    "a dead letter that lives"
                );
                assert!(forward.message.provenance.is_some());
                if let Some(at) = forward.remove {
                    assert!(self.stored.remove(&at.position).is_some());
                }
            }
            self.effects.tally = Tally::default();
            if let Some(position) = self.effects.awaits_horizon.take() {
                self.queue
                    .horizon_durable(self.now, position, &mut self.effects);
                continue;
            }
            let Some(request) = self.effects.pages.pop() else {
                break;
            };
            let mut page = StoredPage {
                resume_at: request.from,
                exhausted: true,
                ..StoredPage::default()
            };
            let mut bytes = 0;
            for (position, (message, state)) in self.stored.range(request.from..) {
                if request
                    .priority
                    .is_some_and(|priority| priority != message.priority)
                {
                    continue;
                }
                if bytes >= request.bytes {
                    page.exhausted = false;
                    break;
                }
                bytes += message.footprint() as u64;
                page.resume_at = position.next();
                let (position, message, state) = (*position, Arc::clone(message), *state);
                page.messages.push(StoredMessage {
                    position,
                    message,
                    state,
                });
            }
            self.queue.page_in(
                self.now,
                request.priority.unwrap_or(Priority::DEFAULT),
                page,
                &mut self.effects,
            );
        }
    }

    fn delivered(&mut self, key: SubscriptionKey, number: u64, tag: u64) {
        let consumer = self
            .consumers
            .iter()
            .rposition(|consumer| consumer.key == key && !consumer.ended);
        let consumer = consumer.expect("a delivery to nobody");
        let last = self.last_tag.insert(consumer, tag).unwrap_or_default();
        assert!(tag > last, "tags grow");
        let expired = |known: &Known, now: u64| known.expires.is_some_and(|at| at <= now);
        let now = self.now.wall.0;
        let known = *self
            .messages
            .get(&number)
            .expect("a message that is gone is delivered");
        assert!(known.held.is_none(), "{number} is delivered twice");
        assert!(!expired(&known, now), "an expired message is delivered");
        self.messages.get_mut(&number).unwrap().held = Some((consumer, tag));
        let counted = self.open(consumer).len();
        let Consumer {
            prefetch, aborted, ..
        } = self.consumers[consumer];
        assert!(
            aborted || counted <= prefetch as usize,
            "prefetch {prefetch}, held {counted}"
        );
    }

    /// Nothing of the same priority that came before what was delivered still waits.
    fn check_order(&self, delivered: &[u64]) {
        let now = self.now.wall.0;
        for number in delivered {
            let Some(known) = self.messages.get(number) else {
                continue;
            };
            for (other, waiting) in self.messages.range(..number) {
                let fresh = waiting.expires.is_none_or(|at| at > now);
                let waits = waiting.held.is_none() && fresh && waiting.priority == known.priority;
                assert!(!waits, "{number} overtakes {other}");
            }
        }
    }

    fn compare(&self) {
        let now = self.now.wall.0;
        // The queue notices what has expired when it comes to it.
        let waiting = self.messages.values().filter(|known| known.held.is_none());
        let (all, fresh) = waiting.fold((0, 0), |(all, fresh), known| {
            let expired = known.expires.is_some_and(|at| at <= now);
            (all + 1, fresh + u64::from(!expired))
        });
        let ready = self.queue.ready_count();
        assert!(
            (fresh..=all).contains(&ready),
            "{ready} wait, expected {fresh} to {all}"
        );
        let held = self
            .messages
            .values()
            .filter(|known| known.held.is_some())
            .count() as u64;
        assert_eq!(self.queue.unsettled_count(), held);
    }

    /// A last consumer gets everything that is left.
    fn finish(mut self) {
        let marked: BTreeSet<_> = self
            .messages
            .values()
            .filter_map(|known| Some((known.marked?.0, known.held?.0)))
            .collect();
        for (by, consumer) in marked {
            let key = self.consumers[consumer].key;
            self.queue
                .unmark(self.now, key, TransactionId(by), &mut self.effects);
            self.settle_effects();
        }
        for known in self.messages.values_mut() {
            known.marked = None;
        }
        while let Some(consumer) = self.live(0) {
            for (_, number) in self.open(consumer) {
                self.come_back(number, false);
            }
            self.consumers[consumer].ended = true;
            let key = self.consumers[consumer].key;
            self.queue
                .unsubscribe(self.now, key, None, &mut self.effects);
            self.settle_effects();
        }
        let options = SubscribeOptions {
            prefetch: u32::MAX,
            mode: AckMode::ClientIndividual,
        };
        let id = SubscriptionId(u32::try_from(self.consumers.len()).unwrap());
        let key = self
            .queue
            .subscribe(self.now, id, options, &mut self.effects);
        let (prefetch, aborted, ended) = (u32::MAX, true, false);
        self.consumers.push(Consumer {
            key,
            prefetch,
            aborted,
            ended,
        });
        self.settle_effects();
        let now = self.now.wall.0;
        for (number, known) in &self.messages {
            let expired = known.expires.is_some_and(|at| at <= now);
            assert!(known.held.is_some() || expired, "{number} is lost");
        }
        assert_eq!(self.queue.ready_count(), 0);
    }
}
