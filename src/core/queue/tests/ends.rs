//! Every message ends once: accepted, dropped for others, or sent back where it came from. At random,
//! with a store that is behind and pages that are old when they come.

use std::collections::BTreeMap;

use super::super::super::effect::PageReader;
use super::super::super::policy::WhenFull;
use super::*;
use crate::core::Provenance;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Accepted,
    Dropped,
    Retried,
}

struct Rig {
    queue: Queue,
    effects: Effects,
    random: u64,
    sent: u64,
    /// What is committed.
    store: BTreeMap<u64, Arc<Message>>,
    /// What is not.
    log: Vec<Persist>,
    asked: Vec<PageRequest>,
    /// A page that has been read and has not come.
    page: Option<(PageRequest, StoredPage)>,
    consumer: Option<SubscriptionKey>,
    held: Vec<(DeliveryTag, u64)>,
    numbers: BTreeMap<u64, u64>,
    ends: BTreeMap<u64, End>,
    most: u64,
}

impl Rig {
    fn new(seed: u64) -> Self {
        let most = if seed.is_multiple_of(3) { 12 } else { u64::MAX };
        let queue = queue_with(DestinationPolicy {
            memory_window_bytes: 4 * message(1).footprint() as u64,
            max_messages: most,
            when_full: WhenFull::DropOldest,
            ..policy()
        });
        Self {
            queue,
            effects: Effects::default(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            sent: 0,
            store: BTreeMap::new(),
            log: Vec::new(),
            asked: Vec::new(),
            page: None,
            consumer: None,
            held: Vec::new(),
            numbers: BTreeMap::new(),
            ends: BTreeMap::new(),
            most,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % limit as u64).unwrap()
    }

    #[track_caller]
    fn ends(&mut self, number: u64, end: End) {
        let before = self.ends.insert(number, end);
        assert_eq!(before, None, "{number} ends twice, now {end:?}");
    }

    fn absorb(&mut self) {
        for delivery in deliveries(&mut self.effects) {
            let number = delivery.message.id.number;
            assert!(!self.ends.contains_key(&number), "{number} after its end");
            assert!(self.held.iter().all(|(_, other)| *other != number));
            self.held.push((delivery.tag, number));
        }
        for forward in std::mem::take(&mut self.effects.forwards) {
            self.ends(forward.message.id.number, End::Retried);
            self.log.extend(forward.with);
        }
        for change in std::mem::take(&mut self.effects.persist) {
            match &change {
                Persist::Put { at, message, .. } => {
                    self.numbers.insert(at.position.0, message.id.number);
                }
                Persist::Remove { at } => {
                    let number = self.numbers[&at.position.0];
                    if self.ends.get(&number) != Some(&End::Accepted) {
                        self.ends(number, End::Dropped);
                    }
                }
                Persist::Define { .. }
                | Persist::Undefine { .. }
                | Persist::Returned { .. }
                | Persist::Horizon { .. } => {}
            }
            self.log.push(change);
        }
        self.asked.append(&mut self.effects.pages);
        assert!(self.asked.len() + usize::from(self.page.is_some()) <= 1);
    }

    fn commit(&mut self) {
        for change in self.log.drain(..) {
            match change {
                Persist::Put { at, message, .. } => {
                    self.store.insert(at.position.0, message);
                }
                Persist::Remove { at } => {
                    self.store.remove(&at.position.0);
                }
                Persist::Define { .. }
                | Persist::Undefine { .. }
                | Persist::Returned { .. }
                | Persist::Horizon { .. } => {}
            }
        }
        if let Some(position) = self.effects.awaits_horizon.take() {
            self.queue.horizon_durable(NOW, position, &mut self.effects);
        }
    }

    fn read(&mut self) {
        let Some(request) = self.asked.pop() else {
            return;
        };
        assert_eq!(request.reader, PageReader::Queue);
        let mut page = more::pages(&self.store, request);
        if page.messages.is_empty() && !self.log.is_empty() {
            self.commit();
            page = more::pages(&self.store, request);
        }
        page.exhausted &= self.log.is_empty();
        self.page = Some((request, page));
    }

    fn bring(&mut self) {
        if let Some((request, page)) = self.page.take() {
            let priority = request.priority.unwrap();
            self.queue.page_in(NOW, priority, page, &mut self.effects);
        }
    }

    fn send(&mut self) {
        self.sent += 1;
        let priority = [4, 4, 4, 9, 1][self.below(5)];
        let dead = Message {
            priority: Priority::clamped(priority),
            provenance: Some(Box::new(Provenance {
                origin: DestinationName::queue("origin").unwrap(),
                cause: String::new(),
                delivery_count: 1,
                first_failure: NOW.wall,
                last_failure: NOW.wall,
                last_consumer: None,
                expiration: None,
                was_persistent: true,
            })),
            ..persistent(self.sent)
        };
        send(&mut self.queue, dead, &mut self.effects);
    }

    /// Tries to send back something that the store, which may be behind, or memory shows.
    fn retry(&mut self) {
        let mut shown: Vec<_> = self.store.clone().into_iter().collect();
        let resident = self.queue.waiting_in_memory().into_iter();
        shown.extend(resident.map(|(position, message)| (position.0, message)));
        if !shown.is_empty() {
            let index = self.below(shown.len());
            let (position, message) = &shown[index];
            let position = Position(*position);
            self.queue.retry(NOW, position, message, &mut self.effects);
        }
    }

    fn settle(&mut self) {
        let Some(key) = self.consumer.filter(|_| !self.held.is_empty()) else {
            return;
        };
        let index = self.below(self.held.len());
        let (tag, number) = self.held.remove(index);
        self.ends(number, End::Accepted);
        let (tags, effects) = (Tags::One(tag), &mut self.effects);
        self.queue
            .settle(NOW, key, tags, Outcome::Accept, effects)
            .unwrap();
    }

    fn come_or_go(&mut self, prefetch: u32) {
        if let Some(key) = self.consumer.take() {
            self.held.clear();
            self.queue.unsubscribe(NOW, key, None, &mut self.effects);
        } else {
            let key = subscribe(&mut self.queue, 1, prefetch, &mut self.effects);
            self.consumer = Some(key);
        }
    }

    fn step(&mut self) {
        let before = self.sent;
        match self.below(20) {
            0..=7 => self.send(),
            8..=9 => self.commit(),
            10 => self.read(),
            11 => self.bring(),
            12..=15 => self.retry(),
            16..=17 => self.settle(),
            18 => self.come_or_go(2),
            _ if self.log.is_empty() => self.queue.all_is_committed(),
            _ => {}
        }
        let sent = self.sent;
        self.absorb();
        // What comes back may be more, until the next message comes.
        if sent > before && self.asked.is_empty() && self.page.is_none() {
            assert!(
                self.queue.ready_count() <= self.most,
                "more than it may hold"
            );
        }
    }

    fn finish(mut self, seed: u64) {
        if self.consumer.is_some() {
            self.come_or_go(0);
        }
        self.absorb();
        self.come_or_go(1_000_000);
        for _ in 0..10_000 {
            self.absorb();
            self.commit();
            self.read();
            self.bring();
        }
        assert_eq!(self.queue.ready_count(), 0, "seed {seed}");
        for number in 1..=self.sent {
            let held = self.held.iter().filter(|(_, other)| *other == number);
            let ends = held.count() + usize::from(self.ends.contains_key(&number));
            assert_eq!(ends, 1, "seed {seed}: {number}");
        }
        assert_eq!(self.store.len(), self.held.len(), "seed {seed}");
        let dropped = self.ends.values().filter(|end| **end == End::Dropped);
        assert_eq!(dropped.count() as u64, self.effects.tally.dropped);
    }
}

#[test]
fn every_message_ends_once() {
    let (mut dropped, mut retried) = (0, 0);
    for seed in 0..150 {
        let mut rig = Rig::new(seed);
        for _ in 0..400 {
            rig.step();
        }
        dropped += rig.effects.tally.dropped;
        retried += rig.effects.tally.retried;
        rig.finish(seed);
    }
    assert!(dropped > 1000 && retried > 1000, "{dropped} {retried}");
}
