//! A queue against a small model of what it should do: every operation is a few bytes, so that a
//! fuzzer can make them up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate::internal::core::{
    AckMode, ConnectionId, DeliveryState, DeliveryTag, DestinationId, DestinationName,
    DestinationPolicy, Effects, Keep, Message, MessageId, Now, Outcome, Position, Priority, Queue,
    RedeliveryDelays, Selector, SubscribeOptions, SubscriptionId, SubscriptionKey, Tags, Tick,
    Timestamp, TransactionId,
};

#[path = "queue_effects.rs"]
mod effects;
#[path = "queue_rules.rs"]
mod rules;

const REDELIVERIES: u32 = 2;

/// What the model knows of a message.
#[derive(Clone, Copy, Debug)]
struct Known {
    priority: u8,
    expires: Option<u64>,
    /// The connection that sent it.
    from: u64,
    group: Option<u8>,
    /// A property.
    weight: u8,
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
    /// It does not want what this connection sends.
    no_local: Option<u64>,
    /// It wants messages of more weight.
    above: Option<u8>,
    priority: i8,
    exclusive: bool,
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
    /// The one that has the queue for itself.
    owner: Option<usize>,
    /// Memory has room for everything.
    roomy: bool,
}

/// Carries out what the bytes say.
#[allow(unreachable_pub, reason = "shared with the fuzz target")]
pub fn run(bytes: &[u8]) {
    let mut check = Check::new(bytes.first().copied().unwrap_or_default());
    for operation in bytes.get(1..).unwrap_or_default().chunks_exact(4).take(400) {
        let [code, a, b, c] = [0, 1, 2, 3].map(|at| operation[at]);
        check.operate(code, a, b, c);
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
            redelivery_max: REDELIVERIES,
            redelivery: RedeliveryDelays::NONE,
            ..DestinationPolicy::default()
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
            owner: None,
            roomy: settings & 2 == 0,
        }
    }

    fn operate(&mut self, code: u8, a: u8, b: u8, c: u8) {
        match code % 12 {
            0..=3 => self.enqueue(a, b, c),
            4 => self.subscribe(a, c),
            5 => self.unsubscribe(a),
            6..=8 => self.settle(a, b),
            9 => self.transact(a, b),
            10 => self.now.wall.0 += u64::from(a),
            _ if a >= 200 => self.purge(b & 1 == 1),
            _ => self.pause(a, b),
        }
    }

    fn enqueue(&mut self, a: u8, b: u8, c: u8) {
        self.last_number += 1;
        let number = self.last_number;
        let priority = if a < 200 { 4 } else { a % 10 };
        let expires = (b > 240).then_some(self.now.wall.0 + u64::from(b % 16) * 10 + 1);
        let from = 1 + u64::from(c % 3);
        let group = (c & 0x80 != 0).then_some(c / 4 % 4);
        let weight = c / 2 % 5;
        let message = Message {
            id: MessageId {
                connection: ConnectionId(from),
                number,
            },
            timestamp: self.now.wall,
            expiration: expires.map(Timestamp),
            priority: Priority::clamped(i64::from(priority)),
            persistent: !b.is_multiple_of(3),
            body_kind: tidegate::internal::core::BodyKind::Text,
            grouped: group.is_some(),
            identified: false,
            encoded: rules::encoded(group, weight, c, usize::from(b)),
            sent_to: None,
            job: None,
            provenance: None,
        };
        let (attempts, held, marked) = (0, None, None);
        self.messages.insert(
            number,
            Known {
                priority,
                expires,
                from,
                group,
                weight,
                attempts,
                held,
                marked,
            },
        );
        self.queue
            .enqueue(self.now, Arc::new(message), false, &mut self.effects)
            .unwrap();
    }

    fn subscribe(&mut self, a: u8, c: u8) {
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
        self.join(prefetch, c);
    }

    fn join(&mut self, prefetch: u32, c: u8) {
        let no_local = (c % 4 == 1).then_some(1 + u64::from(c / 4 % 3));
        let above = (c % 4 == 2).then_some(c / 4 % 4);
        let selector = above.map(|least| Selector::parse(&format!("weight > {least}")).unwrap());
        let priority = [0, 0, 0, 5][usize::from(c / 16 % 4)];
        let exclusive = c > 220;
        let options = SubscribeOptions {
            selector,
            no_local: no_local.map(ConnectionId),
            priority,
            exclusive,
            ..SubscribeOptions::new(prefetch, AckMode::ClientIndividual)
        };
        let id = SubscriptionId(u32::try_from(self.consumers.len()).unwrap());
        let key = self
            .queue
            .subscribe(self.now, id, options, &mut self.effects);
        self.consumers.push(Consumer {
            key,
            prefetch,
            no_local,
            above,
            priority,
            exclusive,
            aborted: false,
            ended: false,
        });
        self.takes_over(self.consumers.len() - 1);
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
        self.end(consumer);
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
            self.end(consumer);
            let key = self.consumers[consumer].key;
            self.queue
                .unsubscribe(self.now, key, None, &mut self.effects);
            self.settle_effects();
        }
        self.join(u32::MAX, 0);
        self.consumers.last_mut().unwrap().aborted = true;
        self.settle_effects();
        // A group may wait for what is in flight of it.
        let last = self.consumers.len() - 1;
        while !self.open(last).is_empty() {
            let key = self.consumers[last].key;
            for (tag, number) in self.open(last) {
                self.messages.remove(&number);
                let tags = Tags::One(DeliveryTag(tag));
                self.queue
                    .settle(self.now, key, tags, Outcome::Accept, &mut self.effects)
                    .unwrap();
            }
            self.settle_effects();
        }
        let now = self.now.wall.0;
        for (number, known) in &self.messages {
            let expired = known.expires.is_some_and(|at| at <= now);
            assert!(expired, "{number} is lost: {known:?}");
        }
        assert_eq!(self.queue.ready_count(), 0);
    }
}
