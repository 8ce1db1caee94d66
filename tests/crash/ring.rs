//! The store with its ring on two torn disks that hang on one power: after a failure at any moment it
//! holds what was acknowledged, or that and more of what was under way, in order.

use std::sync::Arc;

use tidegate::internal::store::{
    RedbOptions, RedbStore, RingOptions, RingStore, Store, StoreError,
};

use super::store::{Model, Step, apply, batch, contents, play, scenario, steady, survivals};
use crate::support::random::{Random, seeds};
use crate::support::torn::{Survives, TornDisk};

/// The file, and the ring in front of it.
#[derive(Clone, Debug)]
struct Disks {
    file: TornDisk,
    ring: TornDisk,
    /// Blocks of the ring.
    blocks: u64,
}

impl Disks {
    /// Disks with an empty store.
    fn new(blocks: u64) -> Self {
        let made = Self::with(Vec::new(), Vec::new(), blocks);
        drop(made.open().expect("it is made"));
        made.after(Survives::Everything, Survives::Everything)
    }

    fn with(file: Vec<u8>, ring: Vec<u8>, blocks: u64) -> Self {
        let file = TornDisk::with(file);
        let ring = TornDisk::with(ring).beside(&file);
        Self { file, ring, blocks }
    }

    /// What is left after the power failed.
    fn after(&self, file: Survives, ring: Survives) -> Self {
        Self::with(self.file.image(file), self.ring.image(ring), self.blocks)
    }

    fn open(&self) -> Result<RingStore, StoreError> {
        let options = RedbOptions {
            cache_bytes: 1 << 20,
            ..RedbOptions::default()
        };
        let redb = RedbStore::open_backend(self.file.clone(), &options)?;
        let ring = RingOptions {
            bytes: self.blocks * 4096,
            thread: false,
            ..RingOptions::default()
        };
        RingStore::attach(redb, Arc::new(self.ring.clone()), "ring".into(), ring)
    }

    /// Runs a scenario until the power fails. Returns the states that may be found afterwards.
    fn run(&self, steps: &[Step]) -> Vec<Model> {
        play(self.open(), steps)
    }

    #[track_caller]
    fn check(&self, allowed: &[Model], what: &str) {
        let mut store = match self.open() {
            Ok(store) => store,
            Err(error) => panic!("{what}: {error}"),
        };
        let found = contents(&mut store);
        assert!(
            allowed.contains(&found),
            "{what}: {} messages, not one of {:?}",
            found.len(),
            allowed.iter().map(Model::len).collect::<Vec<_>>()
        );
    }

    /// What may be left of both disks.
    fn remains(&self, seed: u64, count: u64) -> impl Iterator<Item = (Self, String)> {
        let rings = survivals(seed, count);
        let files: Vec<_> = survivals(seed ^ 0x5555, count).collect();
        rings.enumerate().map(move |(index, ring)| {
            let file = files[(index + usize::try_from(seed).unwrap() % 3) % files.len()];
            (
                self.after(file, ring),
                format!("file {file:?}, ring {ring:?}"),
            )
        })
    }
}

/// How many operations a scenario takes.
fn operations(blocks: u64, steps: &[Step]) -> u64 {
    let whole = Disks::new(blocks);
    whole.run(steps);
    whole.file.operations()
}

#[test]
fn the_power_fails_at_every_operation_of_file_and_ring() {
    let steps = scenario(1, 8);
    for blocks in [16, 256] {
        for crash in 0..operations(blocks, &steps) {
            let disks = Disks::new(blocks);
            disks.file.fail_after(crash);
            let allowed = disks.run(&steps);
            for (left, survives) in disks.remains(crash, 2) {
                left.check(&allowed, &format!("operation {crash}, {survives}"));
            }
        }
    }
}

#[test]
fn the_power_fails_at_random_moments_with_a_ring() {
    for seed in seeds(60) {
        let mut random = Random(seed);
        let blocks = [4, 16, 64, 512][usize::try_from(random.below(4)).unwrap()];
        let steps = scenario(seed, 40);
        let crash = random.below(operations(blocks, &steps));
        let disks = Disks::new(blocks);
        disks.file.fail_after(crash);
        let allowed = disks.run(&steps);
        for (left, survives) in disks.remains(seed, 2) {
            left.check(&allowed, &format!("TIDEGATE_SEED={seed}, {survives}"));
        }
    }
}

#[test]
fn the_power_fails_again_while_the_ring_is_read() {
    for seed in seeds(20) {
        let mut random = Random(seed);
        let blocks = [16, 256][usize::try_from(random.below(2)).unwrap()];
        let steps = scenario(seed, 12);
        let crash = random.below(operations(blocks, &steps));
        let disks = Disks::new(blocks);
        disks.file.fail_after(crash);
        let allowed = disks.run(&steps);
        let (file, ring) = (random.next(), random.next());
        let (file, ring) = (Survives::Some(file), Survives::Some(ring));
        for crash in 0..20 {
            let again = disks.after(file, ring);
            again.file.fail_after(crash);
            if let Ok(mut store) = again.open() {
                let _ = store.recover();
            }
            let (file, ring) = (random.next(), random.next());
            let left = again.after(Survives::Some(file), Survives::Some(ring));
            let what = format!("TIDEGATE_SEED={seed}, second failure at {crash}");
            left.check(&allowed, &what);
        }
    }
}

/// A store goes on after a failure, and its records must not be mixed up with older ones.
#[test]
fn the_power_fails_many_times_in_a_row() {
    for seed in seeds(12) {
        let mut random = Random(seed);
        let steps = steady(seed, 40);
        let mut disks = Disks::new(16);
        let mut model = Model::new();
        // The destinations are there, whatever comes.
        let (defined, mut rest) = steps.split_first().unwrap();
        let mut store = disks.open().unwrap();
        store.recover().unwrap();
        store.commit(&batch(&defined.changes), true).unwrap();
        drop(store);
        while !rest.is_empty() {
            let count = usize::try_from(1 + random.below(8))
                .unwrap()
                .min(rest.len());
            let (now, later) = rest.split_at(count);
            rest = later;
            // The ring is made anew in another size now and then.
            disks.blocks = [16, 16, 16, 40, 7][usize::try_from(random.below(5)).unwrap()];
            disks.file.fail_after(random.below(60));
            let mut allowed = vec![model.clone()];
            if let Ok(mut store) = disks.open() {
                let recovered = store.recover();
                for step in now.iter().filter(|_| recovered.is_ok()) {
                    let mut next = allowed.last().cloned().unwrap_or_default();
                    apply(&mut next, &step.changes);
                    allowed.push(next);
                    if store.commit(&batch(&step.changes), step.flush).is_err() {
                        break;
                    }
                    if step.flush {
                        allowed.drain(..allowed.len() - 1);
                    }
                }
            }
            let (file, ring) = (random.next(), random.next());
            disks = disks.after(Survives::Some(file), Survives::Some(ring));
            let copy = disks.after(Survives::Everything, Survives::Everything);
            copy.check(&allowed, &format!("TIDEGATE_SEED={seed}"));
            let mut store = disks.open().unwrap();
            model = contents(&mut store);
        }
    }
}

#[test]
fn a_ring_that_is_not_flushed_is_noticed_by_these_tests() {
    let steps = scenario(3, 10);
    let mut lost = false;
    for crash in 30..60 {
        let disks = Disks::new(256);
        disks.ring.stop_flushing();
        disks.file.fail_after(crash);
        let allowed = disks.run(&steps);
        let left = disks.after(Survives::Nothing, Survives::Nothing);
        let found = left.open().map(|mut store| contents(&mut store));
        lost |= found.map_or(true, |found| !allowed.contains(&found));
    }
    assert!(
        lost,
        "acknowledged commits survive although nothing was flushed"
    );
}
