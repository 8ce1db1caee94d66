//! Random clients and many destinations against a model: wildcards, composite destinations on both
//! sides, virtual topics, transactions, clients that vanish. `TIDEGATE_SEED` replays one seed.
//!
//! After every step, when nobody has anything to do, the model checks that each copy of a message is
//! with one consumer at most and is never settled twice, that a subscription holds no more than its
//! prefetch over all its destinations, that it gets the copies of one queue in their order, and that
//! nobody starves: where a copy waits, all who could be given it hold as much as they may.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use support::random::{Random, seeds};
use support::world::{Id, World, config};
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::Pattern;
use tidegate::internal::store::MemoryStore;

const SENT_TO: [&str; 12] = [
    "/queue/q.a",
    "/queue/q.b",
    "/queue/q.b.c",
    "/queue/r",
    "/topic/t.a",
    "/topic/t.b",
    "/topic/VirtualTopic.x",
    "/queue/q.a,/queue/q.b",
    "/queue/q.b.c,/topic/t.a",
    "/topic/t.a,/topic/t.b",
    "/topic/VirtualTopic.x,/queue/r",
    "/queue/q.c",
];

const SUBSCRIBED_TO: [&str; 13] = [
    "/queue/q.>",
    "/queue/q.*",
    "/queue/q.b",
    "/queue/*.b.*",
    "/queue/q.a,/queue/q.b.>,/queue/r",
    "/topic/t.>",
    "/topic/t.a,/topic/t.b",
    "/topic/VirtualTopic.*",
    "/queue/Consumer.A.VirtualTopic.x",
    "/queue/Consumer.B.VirtualTopic.x,/queue/q.a",
    "/queue/Consumer.*.VirtualTopic.x",
    "/topic/t.*,/queue/r",
    "/queue/r",
];

/// A message on one queue.
#[derive(Debug)]
struct Copy {
    queue: String,
    body: usize,
    /// Who holds it.
    held: Option<usize>,
    done: bool,
    /// It has come back, and so is not new to anybody.
    returned: bool,
}

#[derive(Debug)]
struct Sub {
    client: usize,
    id: String,
    destination: String,
    prefetch: usize,
    cumulative: bool,
    live: bool,
    /// A transaction was aborted: it may hold more than it may.
    over: bool,
    /// What it holds, in the order in which it came.
    held: VecDeque<Held>,
    /// What topics have for it, in their order.
    expected: BTreeMap<String, VecDeque<usize>>,
    /// The last new copy that it was given, by queue.
    last: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Held {
    ack: String,
    /// The copy, if it is one of a queue.
    copy: Option<usize>,
    in_transaction: bool,
}

#[derive(Debug)]
struct Client {
    world: Id,
    transaction: bool,
}

struct Model {
    world: World,
    random: Random,
    clients: Vec<Client>,
    subs: Vec<Sub>,
    copies: Vec<Copy>,
    /// Queues of the virtual topic, from their first subscription on.
    virtual_queues: BTreeSet<String>,
    sent: usize,
    traced: bool,
}

fn covers(destination: &str, name: &str) -> bool {
    let split = |text: &str| {
        let (kind, name) = text[1..].split_once('/').unwrap();
        (kind.to_owned(), name.to_owned())
    };
    destination.split(',').any(|part| {
        let ((kind, pattern), (other, name)) = (split(part), split(name));
        kind == other && Pattern::new(&pattern).matches(&name)
    })
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut settings = config();
        settings.policy.redelivery_max = u32::MAX;
        if random.below(3) == 0 {
            settings.policy.memory_window_bytes = 500 + random.below(2000);
        }
        let mut world = World::with(&settings, Box::new(MemoryStore::default()));
        let clients = (0..3).map(|_| Self::connect(&mut world)).collect();
        Self {
            world,
            random,
            clients,
            subs: Vec::new(),
            copies: Vec::new(),
            virtual_queues: BTreeSet::new(),
            sent: 0,
            traced: std::env::var_os("TIDEGATE_TRACE").is_some(),
        }
    }

    fn connect(world: &mut World) -> Client {
        Client {
            world: world.connect(Version::V1_2),
            transaction: false,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap()
    }

    fn say(&mut self, client: usize, frame: &OwnedFrame) {
        self.trace(|| format!("client {client} says {frame:?}"));
        self.world.send(self.clients[client].world, frame);
    }

    /// Prints what clients say and hear if `TIDEGATE_TRACE` is set.
    fn trace(&self, line: impl FnOnce() -> String) {
        if self.traced {
            eprintln!("{}", line());
        }
    }

    fn step(&mut self) {
        let client = self.below(self.clients.len());
        match self.below(20) {
            0..7 => self.send(client),
            7..10 => self.subscribe(client),
            10..16 => self.settle(client),
            16 => self.transact(client),
            17 => self.unsubscribe(client),
            18 if self.below(4) == 0 => self.vanish(client),
            _ => {}
        }
        // Senders that consumers cannot keep up with are made to pause for a moment.
        self.world.advance(Duration::from_millis(25));
        for client in 0..self.clients.len() {
            self.hear(client);
        }
        self.check();
    }

    fn send(&mut self, client: usize) {
        let destination = SENT_TO[self.below(SENT_TO.len())];
        self.sent += 1;
        let body = self.sent;
        let mut frame = OwnedFrame::new(Verb::Send)
            .with("destination", destination)
            .with_body(body.to_string().as_bytes());
        if self.below(2) == 0 {
            frame = frame.with("persistent", "true");
        }
        for name in destination.split(',') {
            if name.starts_with("/topic/") {
                let live = |sub: &&mut Sub| sub.live && covers(&sub.destination, name);
                for sub in self.subs.iter_mut().filter(live) {
                    let expected = sub.expected.entry(name.to_owned()).or_default();
                    expected.push_back(body);
                }
            } else {
                self.put(name.to_owned(), body);
            }
            if name == "/topic/VirtualTopic.x" {
                for queue in self.virtual_queues.clone() {
                    self.put(queue, body);
                }
            }
        }
        self.say(client, &frame);
    }

    fn put(&mut self, queue: String, body: usize) {
        self.copies.push(Copy {
            queue,
            body,
            held: None,
            done: false,
            returned: false,
        });
    }

    fn subscribe(&mut self, client: usize) {
        let of_client = |sub: &&Sub| sub.live && sub.client == client;
        if self.subs.iter().filter(of_client).count() > 2 {
            return;
        }
        let destination = SUBSCRIBED_TO[self.below(SUBSCRIBED_TO.len())].to_owned();
        let cumulative = self.below(2) == 0;
        let prefetch = 1 + self.below(6);
        let id = format!("s{}", self.subs.len());
        for name in destination.split(',') {
            if name.contains("Consumer.") && !name.contains('*') {
                self.virtual_queues.insert(name.to_owned());
            }
        }
        let frame = OwnedFrame::new(Verb::Subscribe)
            .with("id", &id)
            .with("destination", &destination)
            .with(
                "ack",
                if cumulative {
                    "client"
                } else {
                    "client-individual"
                },
            )
            .with("activemq.prefetchSize", &prefetch.to_string());
        self.subs.push(Sub {
            client,
            id,
            destination,
            prefetch,
            cumulative,
            live: true,
            over: false,
            held: VecDeque::new(),
            expected: BTreeMap::new(),
            last: BTreeMap::new(),
        });
        self.say(client, &frame);
    }

    /// A live subscription of a client.
    fn pick(&mut self, client: usize) -> Option<usize> {
        let live: Vec<_> = (0..self.subs.len())
            .filter(|sub| self.subs[*sub].live && self.subs[*sub].client == client)
            .collect();
        (!live.is_empty()).then(|| live[self.below(live.len())])
    }

    fn settle(&mut self, client: usize) {
        let Some(sub) = self.pick(client) else { return };
        let open = |held: &Held| !held.in_transaction;
        let choices: Vec<_> = (0..self.subs[sub].held.len())
            .filter(|place| open(&self.subs[sub].held[*place]))
            .collect();
        if choices.is_empty() {
            return;
        }
        let place = choices[self.below(choices.len())];
        let transaction = self.clients[client].transaction && self.below(2) == 0;
        let accept = transaction || self.below(5) > 0;
        let through = accept && self.subs[sub].cumulative;
        let verb = if accept { Verb::Ack } else { Verb::Nack };
        let mut frame = OwnedFrame::new(verb).with("id", &self.subs[sub].held[place].ack);
        if transaction {
            frame = frame.with("transaction", "t");
        }
        let first = if through { 0 } else { place };
        for place in (first..=place).rev() {
            let held = &mut self.subs[sub].held[place];
            if held.in_transaction {
                continue;
            }
            if transaction {
                held.in_transaction = true;
                continue;
            }
            let held = self.subs[sub].held.remove(place).unwrap();
            self.settled(&held, accept);
        }
        self.say(client, &frame);
    }

    fn settled(&mut self, held: &Held, accept: bool) {
        if let Some(copy) = held.copy.map(|copy| &mut self.copies[copy]) {
            copy.held = None;
            copy.done = accept;
            copy.returned |= !accept;
        }
    }

    fn transact(&mut self, client: usize) {
        if !std::mem::replace(&mut self.clients[client].transaction, true) {
            return self.say(
                client,
                &OwnedFrame::new(Verb::Begin).with("transaction", "t"),
            );
        }
        self.clients[client].transaction = false;
        let commit = self.below(2) == 0;
        for sub in 0..self.subs.len() {
            if self.subs[sub].client != client || !self.subs[sub].live {
                continue;
            }
            let all = std::mem::take(&mut self.subs[sub].held);
            for mut held in all {
                if held.in_transaction && commit {
                    self.settled(&held, true);
                } else {
                    self.subs[sub].over |= held.in_transaction;
                    held.in_transaction = false;
                    self.subs[sub].held.push_back(held);
                }
            }
        }
        let verb = if commit { Verb::Commit } else { Verb::Abort };
        self.say(client, &OwnedFrame::new(verb).with("transaction", "t"));
    }

    fn unsubscribe(&mut self, client: usize) {
        // What a transaction has settled stays with it, which this model does not follow.
        if self.clients[client].transaction {
            return;
        }
        let Some(sub) = self.pick(client) else { return };
        let id = self.subs[sub].id.clone();
        self.end(sub);
        self.say(client, &OwnedFrame::new(Verb::Unsubscribe).with("id", &id));
    }

    fn end(&mut self, sub: usize) {
        self.subs[sub].live = false;
        for held in std::mem::take(&mut self.subs[sub].held) {
            self.settled(&held, false);
        }
    }

    fn vanish(&mut self, client: usize) {
        for sub in 0..self.subs.len() {
            if self.subs[sub].client == client {
                self.end(sub);
            }
        }
        self.world.vanish(self.clients[client].world);
        self.clients[client] = Self::connect(&mut self.world);
    }

    fn hear(&mut self, client: usize) {
        for frame in self.world.drain(self.clients[client].world) {
            assert_eq!(frame.verb, Verb::Message, "{frame:?}");
            self.trace(|| format!("client {client} hears {frame:?}"));
            let id = frame.get("subscription").unwrap();
            let of = |sub: &Sub| sub.client == client && sub.id == id;
            let number = self.subs.iter().position(of).unwrap();
            if self.subs[number].live {
                self.given(number, &frame);
            }
        }
    }

    fn given(&mut self, number: usize, frame: &OwnedFrame) {
        let from = frame.get("destination").unwrap();
        let body: usize = String::from_utf8_lossy(&frame.body).parse().unwrap();
        let sub = &mut self.subs[number];
        assert!(covers(&sub.destination, from), "{from} for {sub:?}");
        let copy = if from.starts_with("/topic/") {
            if frame.get("redelivered").is_none() {
                let expected = sub.expected.get_mut(from).and_then(VecDeque::pop_front);
                assert_eq!(expected, Some(body), "order of {from}");
            }
            None
        } else {
            let of = |copy: &Copy| copy.queue == from && copy.body == body;
            let place = self.copies.iter().position(of).expect("it was sent there");
            let copy = &mut self.copies[place];
            assert!(!copy.done, "{copy:?} was settled");
            assert_eq!(copy.held, None, "{copy:?} has a consumer");
            copy.held = Some(number);
            if !copy.returned {
                let last = sub.last.insert(from.to_owned(), body);
                assert!(last.is_none_or(|last| last < body), "order of {from}");
            }
            Some(place)
        };
        sub.held.push_back(Held {
            ack: frame.get("ack").unwrap().to_owned(),
            copy,
            in_transaction: false,
        });
    }

    fn check(&mut self) {
        let counted = |sub: &Sub| sub.held.iter().filter(|held| !held.in_transaction).count();
        for sub in self.subs.iter_mut().filter(|sub| sub.live) {
            let holds = counted(sub);
            sub.over &= holds > sub.prefetch;
            assert!(sub.over || holds <= sub.prefetch, "{holds} held by {sub:?}");
            let waits = sub.expected.values().any(|list| !list.is_empty());
            assert!(!waits || holds >= sub.prefetch, "{sub:?} starves");
        }
        for copy in self
            .copies
            .iter()
            .filter(|copy| !copy.done && copy.held.is_none())
        {
            let hungry = self.subs.iter().find(|sub| {
                sub.live && covers(&sub.destination, &copy.queue) && counted(sub) < sub.prefetch
            });
            assert!(hungry.is_none(), "{copy:?} waits, and so does {hungry:?}");
        }
    }

    /// Everybody leaves; what was not settled is there, and nothing else.
    fn finish(mut self) {
        for client in 0..self.clients.len() {
            self.vanish(client);
        }
        let queues: BTreeSet<_> = self.copies.iter().map(|copy| copy.queue.clone()).collect();
        for queue in queues {
            let client = self.world.connect(Version::V1_2);
            let all = OwnedFrame::new(Verb::Subscribe)
                .with("id", "all")
                .with("destination", &queue)
                .with("ack", "client")
                .with("prefetch-count", "0");
            self.world.send(client, &all);
            let found = self.world.drain(client).into_iter().map(|frame| {
                let body = String::from_utf8_lossy(&frame.body).into_owned();
                body.parse().unwrap()
            });
            let left = self
                .copies
                .iter()
                .filter(|copy| copy.queue == queue && !copy.done);
            let left: Vec<_> = left.map(|copy| copy.body).collect();
            assert_eq!(
                found.collect::<Vec<usize>>(),
                left,
                "what is left in {queue}"
            );
            self.world.send(client, &OwnedFrame::new(Verb::Disconnect));
        }
        assert_eq!(self.world.broker.totals().topics.unacked, 0);
    }
}

#[test]
fn many_destinations_do_what_their_model_says() {
    for seed in seeds(64) {
        let run = || {
            let mut model = Model::new(seed);
            for _ in 0..300 {
                model.step();
            }
            model.finish();
        };
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("TIDEGATE_SEED={seed} replays this");
            std::panic::resume_unwind(panic);
        }
    }
}
