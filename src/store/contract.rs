//! What every store must do, whatever it is made of. Each test runs for each store.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Batch, Page, PageLimit, Recovered, Store};
use crate::core::{
    BodyKind, ConnectionId, DeliveryState, DestinationId, DestinationName, Encoded, Form, Message,
    MessageId, Persist, Position, Priority, Sequence, StoredAt, Tick, Timestamp,
};

/// A store that can be opened again.
pub(super) trait Subject {
    /// Opens it, after a clean stop or a crash.
    fn open(&mut self) -> Box<dyn Store>;
}

pub(super) const HERE: DestinationId = DestinationId(1);
pub(super) const THERE: DestinationId = DestinationId(2);

const EVERYTHING: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

/// A message that is told from others by its number, of so many bytes.
pub(super) fn message(number: u64, size: usize) -> Message {
    Message {
        id: MessageId {
            connection: ConnectionId(7),
            number,
        },
        timestamp: Timestamp(number),
        expiration: None,
        priority: Priority::clamped(i64::try_from(number % 10).unwrap()),
        persistent: true,
        body_kind: BodyKind::Bytes,
        grouped: false,
        identified: false,
        encoded: Encoded {
            form: Form::StompPlain,
            bytes: Bytes::from(vec![u8::try_from(number % 251).unwrap(); size]),
            body_start: 0,
            body_length: u32::try_from(size).unwrap(),
        },
        sent_to: None,
        job: None,
        provenance: None,
    }
}

pub(super) fn at(destination: DestinationId, position: u64) -> StoredAt {
    StoredAt {
        destination,
        position: Position(position),
    }
}

pub(super) fn define(destination: DestinationId, name: &str) -> Persist {
    let name = DestinationName::queue(name).unwrap();
    Persist::Define { destination, name }
}

pub(super) fn put(destination: DestinationId, position: u64, size: usize) -> Persist {
    Persist::Put {
        at: at(destination, position),
        message: Arc::new(message(position, size)),
        state: DeliveryState::default(),
        transient: false,
    }
}

pub(super) fn remove(destination: DestinationId, position: u64) -> Persist {
    Persist::Remove {
        at: at(destination, position),
    }
}

fn returned(destination: DestinationId, position: u64, deliveries: u32) -> Persist {
    Persist::Returned {
        at: at(destination, position),
        state: state(deliveries),
    }
}

fn state(deliveries: u32) -> DeliveryState {
    DeliveryState {
        deliveries,
        attempts: 1,
        redelivered: true,
        first_failure: Some(Timestamp(5)),
    }
}

/// Commits changes as one batch.
pub(super) fn commit(store: &mut dyn Store, changes: impl IntoIterator<Item = Persist>) {
    store.commit(&batch(changes), true).unwrap();
}

pub(super) fn batch(changes: impl IntoIterator<Item = Persist>) -> Batch {
    let mut batch = Batch::new(Sequence(1));
    for change in changes {
        batch.add(change);
    }
    batch
}

fn read(store: &dyn Store, from: u64, priority: Option<Priority>, limit: PageLimit) -> Page {
    store
        .reader()
        .read(HERE, Position(from), priority, limit)
        .unwrap()
}

fn positions(page: &Page) -> Vec<u64> {
    page.messages
        .iter()
        .map(|(position, ..)| position.0)
        .collect()
}

/// All positions of a destination, each message looked at.
pub(super) fn all(store: &dyn Store, destination: DestinationId) -> Vec<u64> {
    let page = store
        .reader()
        .read(destination, Position(0), None, EVERYTHING)
        .unwrap();
    for (position, found, _) in &page.messages {
        assert_eq!(found.id.number, position.0, "a message in another's place");
        let size = found.encoded.bytes.len();
        assert_eq!(
            *found,
            Message {
                persistent: found.persistent,
                ..message(position.0, size)
            }
        );
    }
    positions(&page)
}

fn known(recovered: &Recovered, id: DestinationId) -> &super::RecoveredDestination {
    recovered
        .destinations
        .iter()
        .find(|known| known.id == id)
        .expect("it is known")
}

fn waiting(recovered: &Recovered, id: DestinationId) -> (u64, u64) {
    let sums = known(recovered, id).waiting;
    sums.iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

pub(super) fn pages_bring_live_messages_in_order(subject: &mut dyn Subject) {
    let mut store = subject.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here"), define(THERE, "there")]);
    commit(&mut *store, (1..=50).map(|p| put(HERE, p, 500)));
    commit(
        &mut *store,
        (51..=60).flat_map(|p| [put(HERE, p, 10), put(THERE, p, 10)]),
    );
    // Places that a transaction kept come late.
    commit(&mut *store, [put(HERE, 70, 10), put(HERE, 72, 10)]);
    commit(&mut *store, [put(HERE, 71, 10)]);
    commit(
        &mut *store,
        (1..=50).filter(|p| p % 3 == 0).map(|p| remove(HERE, p)),
    );
    let expected: Vec<_> = (1..=60)
        .filter(|p| *p > 50 || p % 3 != 0)
        .chain([70, 71, 72])
        .collect();
    assert_eq!(all(&*store, HERE), expected);
    assert_eq!(all(&*store, THERE), (51..=60).collect::<Vec<_>>());
    let mut seen = Vec::new();
    let mut from = 0;
    loop {
        let limit = PageLimit {
            messages: 7,
            bytes: 1500,
        };
        let page = read(&*store, from, None, limit);
        assert!(page.messages.len() <= 7);
        seen.extend(positions(&page));
        from = page.resume_at.0;
        if page.exhausted {
            break;
        }
        assert!(
            !page.messages.is_empty(),
            "a page that is not the last brings something"
        );
    }
    assert_eq!(seen, expected);
}

pub(super) fn pages_of_one_priority_bring_no_other(subject: &mut dyn Subject) {
    let mut store = subject.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here")]);
    commit(&mut *store, (1..=100).map(|p| put(HERE, p, 300)));
    let page = read(&*store, 20, Some(Priority::clamped(3)), EVERYTHING);
    assert_eq!(positions(&page), [23, 33, 43, 53, 63, 73, 83, 93]);
    assert!(page.exhausted);
}

pub(super) fn what_came_back_is_read_with_its_last_state(subject: &mut dyn Subject) {
    let mut store = subject.open();
    store.recover().unwrap();
    commit(
        &mut *store,
        [define(HERE, "here"), put(HERE, 1, 10), returned(HERE, 1, 1)],
    );
    commit(&mut *store, [put(HERE, 2, 10), put(HERE, 3, 10)]);
    commit(
        &mut *store,
        [
            returned(HERE, 2, 1),
            returned(HERE, 2, 2),
            returned(HERE, 9, 1),
        ],
    );
    store.close().unwrap();
    drop(store);
    let mut store = subject.open();
    store.recover().unwrap();
    let states: Vec<_> = read(&*store, 0, None, EVERYTHING)
        .messages
        .into_iter()
        .map(|(_, _, state)| state)
        .collect();
    assert_eq!(states, [state(1), state(2), DeliveryState::default()]);
}

pub(super) fn what_is_not_there_can_be_removed(subject: &mut dyn Subject) {
    let mut store = subject.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here"), put(HERE, 1, 10)]);
    commit(
        &mut *store,
        [
            remove(HERE, 2),
            remove(THERE, 1),
            remove(HERE, 1),
            remove(HERE, 1),
        ],
    );
    commit(&mut *store, [remove(HERE, 1), put(HERE, 2, 10)]);
    assert_eq!(all(&*store, HERE), [2]);
}

pub(super) fn transient_messages_are_forgotten(subject: &mut dyn Subject) {
    for clean in [true, false] {
        let mut store = subject.open();
        store.recover().unwrap();
        let base = if clean { 0 } else { 100 };
        let transient = |position| {
            let mut change = put(HERE, position, 40);
            if let Persist::Put { transient, .. } = &mut change {
                *transient = true;
            }
            change
        };
        commit(&mut *store, [define(HERE, "here")]);
        commit(
            &mut *store,
            (base + 1..=base + 20).map(|p| {
                if p % 2 == 0 {
                    transient(p)
                } else {
                    put(HERE, p, 40)
                }
            }),
        );
        assert_eq!(all(&*store, HERE).len(), if clean { 20 } else { 30 });
        commit(
            &mut *store,
            [remove(HERE, base + 4), returned(HERE, base + 6, 1)],
        );
        if clean {
            store.close().unwrap();
        }
        drop(store);
    }
    let mut store = subject.open();
    let recovered = store.recover().unwrap();
    assert_eq!(waiting(&recovered, HERE).0, 20);
    let odd = |p: &u64| p % 2 == 1;
    assert_eq!(
        all(&*store, HERE),
        (1..=20).chain(101..=120).filter(odd).collect::<Vec<_>>()
    );
}

pub(super) fn definitions_and_counts_survive(subject: &mut dyn Subject) {
    for clean in [true, false] {
        let mut store = subject.open();
        let before = store.recover().unwrap();
        let base = if clean { 0 } else { 10 };
        commit(&mut *store, [define(HERE, "here"), define(THERE, "there")]);
        commit(
            &mut *store,
            (base + 1..=base + 5).map(|p| put(HERE, p, 100)),
        );
        let position = Position(base + 1000);
        commit(
            &mut *store,
            [
                Persist::Horizon {
                    destination: HERE,
                    position,
                },
                remove(HERE, base + 5),
            ],
        );
        if clean {
            store.close().unwrap();
        }
        drop(store);
        let mut store = subject.open();
        let after = store.recover().unwrap();
        assert_eq!(after.was_clean, clean);
        assert_eq!(after.starts, before.starts + 1);
        assert!(after.next_destination_id > THERE);
        let here = known(&after, HERE);
        assert_eq!(
            (here.horizon, here.last_position),
            (position, Position(base + 5))
        );
        assert_eq!(here.name, DestinationName::queue("here").unwrap());
        let count = if clean { 4 } else { 8 };
        let footprint = message(1, 100).footprint() as u64;
        assert_eq!(waiting(&after, HERE), (count, count * footprint));
        assert_eq!(waiting(&after, THERE), (0, 0));
        store.close().unwrap();
    }
}

pub(super) fn an_undefined_destination_is_gone(subject: &mut dyn Subject) {
    let mut store = subject.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here"), define(THERE, "there")]);
    commit(
        &mut *store,
        (1..=9).flat_map(|p| [put(HERE, p, 10), put(THERE, p, 10)]),
    );
    commit(&mut *store, [Persist::Undefine { destination: HERE }]);
    assert_eq!(all(&*store, HERE), [0; 0]);
    assert_eq!(all(&*store, THERE), (1..=9).collect::<Vec<_>>());
    drop(store);
    let mut store = subject.open();
    let recovered = store.recover().unwrap();
    assert_eq!(recovered.destinations.len(), 1);
    assert_eq!(all(&*store, HERE), [0; 0]);
    assert!(
        recovered.next_destination_id > THERE,
        "numbers never come back"
    );
}

pub(super) fn large_messages_are_whole(subject: &mut dyn Subject) {
    let sizes = [0, 16_000, 130_000, 262_000, 262_144, 300_000, 1_500_000];
    let mut store = subject.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here")]);
    let puts = (1..).zip(sizes).map(|(p, size)| put(HERE, p, size));
    commit(&mut *store, puts);
    drop(store);
    let mut store = subject.open();
    store.recover().unwrap();
    assert_eq!(all(&*store, HERE), (1..=7).collect::<Vec<_>>());
    commit(&mut *store, (1..=7).map(|p| remove(HERE, p)));
    assert_eq!(all(&*store, HERE), [0; 0]);
    store.close().unwrap();
    drop(store);
    assert_eq!(subject.open().size().live, 0);
}

/// Random changes against a map, over clean stops and crashes.
pub(super) fn random_changes_come_to_what_a_map_says(subject: &mut dyn Subject, seed: u64) {
    let mut random = Random(seed);
    let mut model: BTreeMap<StoredAt, u32> = BTreeMap::new();
    let mut last = [0_u64; 3];
    let mut store = subject.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here"), define(THERE, "there")]);
    for round in 0..60 {
        let mut changes = Vec::new();
        for _ in 0..random.below(60) {
            let destination = if random.below(3) == 0 { THERE } else { HERE };
            let last = &mut last[usize::try_from(destination.0).unwrap()];
            match random.below(10) {
                0..=4 => {
                    *last += 1 + random.below(2);
                    let size = [10, 200, 3_000, 40_000][usize::try_from(random.below(4)).unwrap()];
                    changes.push(put(destination, *last, size));
                    model.insert(at(destination, *last), 0);
                }
                5 => {
                    let place = at(destination, random.below(*last + 1));
                    let deliveries = u32::try_from(round).unwrap() + 1;
                    changes.push(returned(destination, place.position.0, deliveries));
                    model.entry(place).and_modify(|known| *known = deliveries);
                }
                _ => {
                    let place = at(destination, random.below(*last + 1));
                    changes.push(Persist::Remove { at: place });
                    model.remove(&place);
                }
            }
        }
        commit(&mut *store, changes);
        store.tidy(Tick(round * 2_000)).unwrap();
        if random.below(8) == 0 {
            if random.below(2) == 0 {
                store.close().unwrap();
            }
            drop(store);
            store = subject.open();
            store.recover().unwrap();
        }
        for destination in [HERE, THERE] {
            all(&*store, destination);
            let page = store
                .reader()
                .read(destination, Position(0), None, EVERYTHING)
                .unwrap();
            let found: Vec<_> = page
                .messages
                .iter()
                .map(|(p, _, state)| (p.0, state.deliveries))
                .collect();
            let expected: Vec<_> = model
                .range(at(destination, 0)..=at(destination, u64::MAX))
                .map(|(place, deliveries)| (place.position.0, *deliveries))
                .collect();
            assert_eq!(found, expected, "seed {seed}, round {round}");
        }
    }
}

/// Small, fast, and the same on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

/// One test of each kind for a store.
macro_rules! contract {
    ($subject:expr, [$($test:ident),+ $(,)?]) => {
        $(
            #[test]
            fn $test() {
                crate::store::contract::$test(&mut $subject);
            }
        )+

        #[test]
        fn random_changes_come_to_what_a_map_says() {
            for seed in crate::store::contract::seeds(8) {
                crate::store::contract::random_changes_come_to_what_a_map_says(&mut $subject, seed);
            }
        }
    };
    ($subject:expr) => {
        crate::store::contract::contract!($subject, [
            pages_bring_live_messages_in_order,
            pages_of_one_priority_bring_no_other,
            what_came_back_is_read_with_its_last_state,
            what_is_not_there_can_be_removed,
            transient_messages_are_forgotten,
            definitions_and_counts_survive,
            an_undefined_destination_is_gone,
            large_messages_are_whole,
        ]);
    };
}

pub(super) use contract;

/// The seeds of a test: so many, or the one that `TIDEGATE_SEED` names.
pub(super) fn seeds(count: u64) -> Vec<u64> {
    let named = std::env::var("TIDEGATE_SEED");
    match named.ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (1..=count).collect(),
    }
}
