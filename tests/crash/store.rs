//! The store on the torn disk: after a failure it holds what the last acknowledged commit left, or
//! what the one under way would have left; nothing in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate::internal::core::{
    BodyKind, ConnectionId, DeliveryState, DestinationId, DestinationName, Encoded, Form, Message,
    MessageId, Persist, Position, Priority, Sequence, StoredAt, Tick, Timestamp,
};
use tidegate::internal::store::{
    Batch, PageLimit, QuickRepair, RedbOptions, RedbStore, Store, StoreError,
};

use crate::support::random::{Random, seeds};
use crate::support::torn::{Survives, TornDisk};

const HERE: DestinationId = DestinationId(1);
const THERE: DestinationId = DestinationId(2);

/// What a store should hold: messages by place, with how often they came back.
pub(super) type Model = BTreeMap<StoredAt, u32>;

fn options(quick_repair: QuickRepair) -> RedbOptions {
    RedbOptions {
        cache_bytes: 1 << 20,
        quick_repair,
        ..RedbOptions::default()
    }
}

fn at(destination: DestinationId, position: u64) -> StoredAt {
    StoredAt {
        destination,
        position: Position(position),
    }
}

fn put(at: StoredAt, size: usize) -> Persist {
    let number = at.position.0;
    Persist::Put {
        at,
        message: Arc::new(Message {
            id: MessageId {
                connection: ConnectionId(at.destination.0),
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
                bytes: vec![u8::try_from(number % 251).unwrap(); size].into(),
                body_start: 0,
                body_length: u32::try_from(size).unwrap(),
            },
            sent_to: None,
            job: None,
            provenance: None,
        }),
        state: DeliveryState::default(),
        transient: false,
    }
}

fn state(deliveries: u32) -> DeliveryState {
    DeliveryState {
        deliveries,
        redelivered: true,
        ..DeliveryState::default()
    }
}

fn define(destination: DestinationId, name: &str) -> Persist {
    Persist::Define {
        destination,
        name: DestinationName::queue(name).unwrap(),
    }
}

/// One commit of a scenario: its changes, and whether it is flushed.
pub(super) struct Step {
    pub(super) changes: Vec<Persist>,
    pub(super) flush: bool,
}

/// Commits as a broker makes them: puts, settlements in any order, what came back, a few large
/// messages, a destination that goes and whose name is used anew, now and then without a flush.
pub(super) fn scenario(seed: u64, steps: u64) -> Vec<Step> {
    let mut random = Random(seed);
    let (mut there, mut last) = (THERE, [0_u64; 2]);
    let mut out = vec![Step {
        changes: vec![define(HERE, "here"), define(THERE, "there")],
        flush: true,
    }];
    for _ in 0..steps {
        let mut changes = Vec::new();
        for _ in 0..=random.below(25) {
            if random.below(60) == 0 {
                changes.push(Persist::Undefine { destination: there });
                there = there.next();
                changes.push(define(there, "there"));
                last[1] = 0;
            }
            let is_there = random.below(3) == 0;
            let destination = if is_there { there } else { HERE };
            let last = &mut last[usize::from(is_there)];
            match random.below(10) {
                0..=4 => {
                    *last += 1;
                    let size = [10, 900, 5_000, 30_000, 300_000];
                    let choice = usize::try_from(random.below(64).min(63) / 16).unwrap();
                    let size = if random.below(100) == 0 {
                        size[4]
                    } else {
                        size[choice]
                    };
                    changes.push(put(at(destination, *last), size));
                }
                5 => {
                    let at = at(destination, 1 + random.below(*last + 1));
                    let deliveries = u32::try_from(1 + random.below(5)).unwrap();
                    changes.push(Persist::Returned {
                        at,
                        state: state(deliveries),
                    });
                }
                6 => {
                    let position = Position(*last + random.below(1000));
                    changes.push(Persist::Horizon {
                        destination,
                        position,
                    });
                }
                _ => {
                    let at = at(destination, 1 + random.below(*last + 1));
                    changes.push(Persist::Remove { at });
                }
            }
        }
        out.push(Step {
            changes,
            flush: random.below(5) > 0,
        });
    }
    out
}

/// The same with destinations that stay: whatever is lost of it, the rest makes sense.
pub(super) fn steady(seed: u64, steps: u64) -> Vec<Step> {
    let mut out = scenario(seed, steps);
    for step in out.iter_mut().skip(1) {
        step.changes.retain(|change| match change {
            Persist::Define { .. } | Persist::Undefine { .. } => false,
            Persist::Horizon { destination, .. } => *destination <= THERE,
            Persist::Put { at, .. } | Persist::Remove { at } | Persist::Returned { at, .. } => {
                at.destination <= THERE
            }
        });
    }
    out
}

pub(super) fn apply(model: &mut Model, changes: &[Persist]) {
    for change in changes {
        match change {
            Persist::Put { at, .. } => {
                model.insert(*at, 0);
            }
            Persist::Remove { at } => {
                model.remove(at);
            }
            Persist::Returned { at, state } => {
                model
                    .entry(*at)
                    .and_modify(|known| *known = state.deliveries);
            }
            Persist::Undefine { destination } => {
                model.retain(|at, _| at.destination != *destination);
            }
            Persist::Define { .. } | Persist::Horizon { .. } => {}
        }
    }
}

pub(super) fn batch(changes: &[Persist]) -> Batch {
    let mut batch = Batch::new(Sequence(1));
    for change in changes {
        batch.add(change.clone());
    }
    batch
}

/// A disk with an empty store: while it is made there is nothing to lose, and a file is given its name
/// only when it is whole.
fn made() -> TornDisk {
    let disk = TornDisk::default();
    drop(RedbStore::open_backend(disk.clone(), &options(QuickRepair::Off)).expect("it is made"));
    TornDisk::with(disk.image(Survives::Everything))
}

/// Runs a scenario until the disk fails. Returns the states that may be found afterwards.
fn run(disk: &TornDisk, quick_repair: QuickRepair, steps: &[Step]) -> Vec<Model> {
    play(
        RedbStore::open_backend(disk.clone(), &options(quick_repair)),
        steps,
    )
}

/// Runs a scenario until the store fails. Returns the states that may be found afterwards: after the
/// last flushed commit and after each one since, the one under way among them.
pub(super) fn play(opened: Result<impl Store, StoreError>, steps: &[Step]) -> Vec<Model> {
    let mut allowed = vec![Model::new()];
    let Ok(mut store) = opened else {
        return allowed;
    };
    if store.recover().is_err() {
        return allowed;
    }
    for (tick, step) in (0..).zip(steps) {
        let mut next = allowed.last().cloned().unwrap_or_default();
        apply(&mut next, &step.changes);
        allowed.push(next);
        if store.commit(&batch(&step.changes), step.flush).is_err() {
            return allowed;
        }
        if step.flush {
            allowed.drain(..allowed.len() - 1);
        }
        if store.tidy(Tick(tick * 3_000)).is_err() {
            return allowed;
        }
    }
    allowed
}

/// What a disk's store holds, each message looked at and each count compared.
fn found(disk: TornDisk, quick_repair: QuickRepair) -> Model {
    let mut store = RedbStore::open_backend(disk, &options(quick_repair)).expect("it opens");
    contents(&mut store)
}

/// What a store holds, each message looked at and each count compared.
pub(super) fn contents(store: &mut dyn Store) -> Model {
    let recovered = store.recover().expect("it is read");
    let limit = PageLimit {
        messages: usize::MAX,
        bytes: usize::MAX,
    };
    let mut model = Model::new();
    let mut names = std::collections::BTreeSet::new();
    for destination in recovered.destinations {
        let name = destination.name.clone();
        assert!(names.insert(name.clone()), "{name} is there twice");
        let page = store
            .reader()
            .read(destination.id, Position(0), None, limit)
            .expect("a page");
        let count: u64 = destination.waiting.iter().map(|(count, _)| count).sum();
        assert_eq!(
            count,
            page.messages.len() as u64,
            "the counts of {}",
            destination.name
        );
        for (position, message, state) in page.messages {
            assert_eq!(message.id.number, position.0);
            let expected = u8::try_from(position.0 % 251).unwrap();
            assert!(message.encoded.bytes.iter().all(|byte| *byte == expected));
            model.insert(at(destination.id, position.0), state.deliveries);
        }
    }
    model
}

#[track_caller]
fn check(disk: &TornDisk, survives: Survives, quick: QuickRepair, allowed: &[Model], what: &str) {
    let after = found(TornDisk::with(disk.image(survives)), quick);
    assert!(
        allowed.contains(&after),
        "{what}, {survives:?}: {} messages",
        after.len()
    );
}

/// Seeds of what survives, beside nothing and everything.
pub(super) fn survivals(seed: u64, count: u64) -> impl Iterator<Item = Survives> {
    let mut random = Random(seed);
    [Survives::Nothing, Survives::Everything]
        .into_iter()
        .chain((0..count).flat_map(move |_| {
            let (some, first) = (random.next(), random.below(40));
            [Survives::Some(some), Survives::First(first)]
        }))
}

#[test]
fn the_power_fails_at_every_operation_of_a_small_scenario() {
    let steps = scenario(1, 6);
    for quick in [QuickRepair::Off, QuickRepair::On] {
        let whole = made();
        run(&whole, quick, &steps);
        for crash in 0..whole.operations() {
            let disk = made();
            disk.fail_after(crash);
            let allowed = run(&disk, quick, &steps);
            for survives in survivals(crash, 1) {
                check(
                    &disk,
                    survives,
                    quick,
                    &allowed,
                    &format!("operation {crash}"),
                );
            }
        }
    }
}

#[test]
fn the_power_fails_at_random_moments_of_long_scenarios() {
    for seed in seeds(20) {
        let mut random = Random(seed);
        let quick = if random.below(3) == 0 {
            QuickRepair::On
        } else {
            QuickRepair::Off
        };
        let steps = scenario(seed, 30);
        let whole = made();
        run(&whole, quick, &steps);
        let disk = made();
        disk.fail_after(random.below(whole.operations()));
        let allowed = run(&disk, quick, &steps);
        for survives in survivals(seed, 2) {
            check(
                &disk,
                survives,
                quick,
                &allowed,
                &format!("TIDEGATE_SEED={seed}"),
            );
        }
    }
}

#[test]
fn the_power_fails_again_while_the_store_recovers() {
    for seed in seeds(15) {
        let mut random = Random(seed);
        let steps = scenario(seed, 12);
        let whole = made();
        run(&whole, QuickRepair::Off, &steps);
        let disk = made();
        disk.fail_after(random.below(whole.operations()));
        let allowed = run(&disk, QuickRepair::Off, &steps);
        let image = disk.image(Survives::Some(random.next()));
        for crash in 0..12 {
            let again = TornDisk::with(image.clone());
            again.fail_after(crash);
            if let Ok(mut store) =
                RedbStore::open_backend(again.clone(), &options(QuickRepair::Off))
            {
                let _ = store.recover();
            }
            let survives = Survives::Some(random.next());
            let what = format!("TIDEGATE_SEED={seed}, second failure at {crash}");
            check(&again, survives, QuickRepair::Off, &allowed, &what);
        }
    }
}

#[test]
fn a_flush_that_does_nothing_is_noticed_by_these_tests() {
    let steps = scenario(3, 10);
    let mut lost = false;
    for crash in 40..60 {
        let disk = made();
        disk.stop_flushing();
        disk.fail_after(crash);
        let allowed = run(&disk, QuickRepair::Off, &steps);
        let image = TornDisk::with(disk.image(Survives::Nothing));
        let after = RedbStore::open_backend(image.clone(), &options(QuickRepair::Off))
            .map(|_| ())
            .ok()
            .map(|()| found(image, QuickRepair::Off));
        lost |= after.is_none_or(|after| !allowed.contains(&after));
    }
    assert!(
        lost,
        "acknowledged commits survive although nothing was flushed"
    );
}

#[test]
fn a_full_disk_fails_the_commit_and_loses_nothing() {
    let steps = scenario(5, 40);
    let disk = made();
    disk.limit(2 << 20);
    let allowed = run(&disk, QuickRepair::Off, &steps);
    check(
        &disk,
        Survives::Everything,
        QuickRepair::Off,
        &allowed,
        "a full disk",
    );
    check(
        &disk,
        Survives::Nothing,
        QuickRepair::Off,
        &allowed,
        "a full disk",
    );
}
