//! The contract, and what the ring promises besides.

use std::path::PathBuf;
use std::sync::Arc;

use redb::StorageBackend as _;

use super::super::contract::{
    self, HERE, Random, Subject, all, batch, commit, contract, define, put, remove,
};
use super::super::redb::{RedbOptions, RedbStore};
use super::super::{Store, StoreError};
use super::record::BLOCK;
use super::{RingDevice, RingImage, RingOptions, RingStore, open};
use crate::core::Tick;

/// A data directory.
struct Directory {
    directory: tempfile::TempDir,
    ring: RingOptions,
}

impl Directory {
    fn new(bytes: u64, thread: bool) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            ring: RingOptions {
                bytes,
                thread,
                ..RingOptions::default()
            },
        }
    }

    fn try_open(&self) -> Result<Box<dyn Store>, StoreError> {
        let options = RedbOptions {
            cache_bytes: 4 << 20,
            ..RedbOptions::default()
        };
        open(self.directory.path(), &options, self.ring)
    }

    fn ring(&self) -> PathBuf {
        self.directory.path().join("ring")
    }

    /// Changes the bytes of the ring's file.
    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.ring()).unwrap();
        change(&mut bytes);
        std::fs::write(self.ring(), bytes).unwrap();
    }
}

impl Subject for Directory {
    fn open(&mut self) -> Box<dyn Store> {
        self.try_open().unwrap()
    }
}

mod with_a_thread {
    use super::*;
    contract!(Directory::new(1 << 20, true));
}

mod folding_in_between {
    use super::*;
    contract!(Directory::new(64 << 10, false));
}

mod without_flushing_each_batch {
    use super::*;
    fn relaxed() -> Directory {
        let mut directory = Directory::new(256 << 10, true);
        directory.ring.synced = false;
        directory
    }
    contract!(relaxed());
}

#[test]
fn rings_of_any_size_hold_the_contract() {
    for (seed, blocks) in (100..).zip([1, 2, 3, 5, 16, 40, 1000]) {
        let mut directory = Directory::new(blocks * BLOCK as u64, seed % 2 == 0);
        contract::random_changes_come_to_what_a_map_says(&mut directory, seed);
    }
}

/// A store with so many messages, each in a record of its own that is not folded.
fn filled(directory: &Directory, messages: u64) {
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here")]);
    for position in 1..=messages {
        commit(&mut *store, [put(HERE, position, 100)]);
    }
}

#[test]
fn a_ring_is_read_before_it_is_resized_or_switched_off() {
    let mut directory = Directory::new(1 << 20, false);
    filled(&directory, 3);
    for (bytes, expected) in [(256 << 10, 3), (2 << 20, 4), (0, 5), (1 << 20, 6)] {
        directory.ring.bytes = bytes;
        let mut store = directory.try_open().unwrap();
        store.recover().unwrap();
        assert_eq!(all(&*store, HERE), (1..=expected).collect::<Vec<_>>());
        commit(&mut *store, [put(HERE, expected + 1, 100)]);
        drop(store);
        assert_eq!(directory.ring().exists(), bytes > 0);
    }
}

#[test]
fn what_was_written_before_there_was_a_ring_opens_unchanged() {
    let mut directory = Directory::new(0, false);
    filled(&directory, 3);
    directory.ring.bytes = 1 << 20;
    assert_eq!(all(&*directory.open(), HERE), [1, 2, 3]);
}

#[test]
fn after_a_clean_stop_no_record_is_read() {
    let directory = Directory::new(1 << 20, true);
    filled(&directory, 3);
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    commit(&mut *store, [remove(HERE, 2)]);
    store.close().unwrap();
    drop(store);
    directory.damage(|bytes| bytes[BLOCK..].fill(0xff));
    let mut store = directory.try_open().unwrap();
    assert!(store.recover().unwrap().was_clean);
    assert_eq!(all(&*store, HERE), [1, 3]);
}

#[test]
fn a_ring_of_another_store_is_refused() {
    let (one, other) = (
        Directory::new(64 << 10, false),
        Directory::new(64 << 10, false),
    );
    filled(&one, 1);
    filled(&other, 1);
    std::fs::copy(one.ring(), other.ring()).unwrap();
    let error = other.try_open().unwrap_err();
    assert!(matches!(error, StoreError::RingForeign { .. }), "{error}");
    // So is one that a new file finds.
    std::fs::remove_file(one.directory.path().join("tidegate.redb")).unwrap();
    let error = one.try_open().unwrap_err();
    assert!(matches!(error, StoreError::RingForeign { .. }), "{error}");
}

#[test]
fn a_missing_ring_is_refused_unless_the_store_was_closed() {
    let mut directory = Directory::new(64 << 10, false);
    filled(&directory, 1);
    std::fs::remove_file(directory.ring()).unwrap();
    let error = directory.try_open().unwrap_err();
    assert!(matches!(error, StoreError::RingMissing { .. }), "{error}");
    directory.ring.salvage = true;
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    store.close().unwrap();
    drop(store);
    directory.ring.salvage = false;
    std::fs::remove_file(directory.ring()).unwrap();
    directory.try_open().unwrap();
}

#[test]
fn damage_to_what_was_flushed_is_refused_and_can_be_salvaged() {
    let mut directory = Directory::new(64 << 10, false);
    filled(&directory, 4);
    // Records have a block each; the first defines the destination.
    directory.damage(|bytes| bytes[3 * BLOCK + 200] ^= 1);
    let error = directory.try_open().unwrap_err();
    let StoreError::RingDamaged { offset, number, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((offset, number), (3 * BLOCK as u64, 3));
    directory.ring.salvage = true;
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    assert_eq!(all(&*store, HERE), [1, 3, 4]);
}

/// A record that was never flushed may be on the disk although one before it is not. It is dropped with
/// that, and must not come back when another one takes the place before it.
#[test]
fn what_lies_behind_a_hole_does_not_come_back() {
    let mut directory = Directory::new(64 << 10, false);
    directory.ring.synced = false;
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here")]);
    drop(store);
    // From here on the ring is written from its start.
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    let put_unflushed = |store: &mut dyn Store, position| {
        let changes = batch([put(HERE, position, 100)]);
        store.commit(&changes, false).unwrap();
    };
    for position in 1..=3 {
        put_unflushed(&mut *store, position);
    }
    drop(store);
    directory.damage(|bytes| bytes[BLOCK..2 * BLOCK].fill(0));
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    assert_eq!(all(&*store, HERE), [0; 0]);
    put_unflushed(&mut *store, 10);
    drop(store);
    assert_eq!(all(&*directory.try_open().unwrap(), HERE), [10]);
}

/// A ring in memory that insists on what direct writes insist on.
#[derive(Debug)]
struct Direct(RingImage);

impl RingDevice for Direct {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn write(&self, offset: u64, blocks: &[u8]) -> std::io::Result<()> {
        assert_eq!(
            blocks.as_ptr().align_offset(BLOCK),
            0,
            "the place in memory"
        );
        assert_eq!((blocks.len() % BLOCK, offset % BLOCK as u64), (0, 0));
        self.0.write(offset, blocks)
    }

    fn flush(&self) -> std::io::Result<()> {
        self.0.flush()
    }

    fn clear(&self, length: u64) -> std::io::Result<()> {
        self.0.clear(length)
    }

    fn settle(&self) -> std::io::Result<()> {
        self.0.settle()
    }
}

/// A store whose ring is in memory, and whose file is a copy of this.
fn in_memory(ring: Vec<u8>, file: &[u8]) -> Result<RingStore, StoreError> {
    let options = RingOptions {
        bytes: 16 * BLOCK as u64,
        thread: false,
        ..RingOptions::default()
    };
    let copy = redb::backends::InMemoryBackend::new();
    copy.set_len(file.len() as u64).unwrap();
    copy.write(0, file).unwrap();
    let redb = RedbStore::open_backend(copy, &RedbOptions::default())?;
    RingStore::attach(
        redb,
        Arc::new(Direct(RingImage::new(ring))),
        "ring".into(),
        options,
    )
}

#[test]
fn a_flipped_byte_is_in_the_dead_part_or_the_end_or_refused() {
    let directory = Directory::new(16 * BLOCK as u64, false);
    filled(&directory, 2);
    // It knows nothing of the records: they are all in the ring.
    let file = std::fs::read(directory.directory.path().join("tidegate.redb")).unwrap();
    let whole = std::fs::read(directory.ring()).unwrap();
    let last = 3 * BLOCK..4 * BLOCK;
    let mut random = Random(7);
    let mut seen = [0; 3];
    for place in (0..whole.len()).step_by(101) {
        let mut ring = whole.clone();
        ring[place] ^= 1 << random.below(8);
        match in_memory(ring, &file) {
            Ok(mut store) => {
                store.recover().unwrap();
                let found = all(&store, HERE);
                if found == [1] {
                    assert!(last.contains(&place), "byte {place}");
                    seen[1] += 1;
                } else {
                    assert_eq!(found, [1, 2], "byte {place}");
                    seen[0] += 1;
                }
            }
            Err(StoreError::RingDamaged { .. } | StoreError::RingMissing { .. }) => seen[2] += 1,
            Err(error) => panic!("byte {place}: {error}"),
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_batch_too_large_for_the_ring_is_stored_in_its_place() {
    let directory = Directory::new(64 << 10, true);
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here"), put(HERE, 1, 100)]);
    commit(&mut *store, [put(HERE, 2, 1_000_000), remove(HERE, 1)]);
    commit(&mut *store, [put(HERE, 3, 100)]);
    assert_eq!(all(&*store, HERE), [2, 3]);
    drop(store);
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    assert_eq!(all(&*store, HERE), [2, 3]);
}

#[test]
fn what_is_consumed_in_time_never_reaches_the_file() {
    let directory = Directory::new(1 << 20, false);
    let mut store = directory.try_open().unwrap();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here")]);
    for position in 1..2000 {
        commit(&mut *store, [put(HERE, position, 1000)]);
        commit(&mut *store, [remove(HERE, position)]);
        store.tidy(Tick(position)).unwrap();
    }
    assert_eq!(store.size().live, 0);
    let (used, capacity) = store.size().ring.unwrap();
    assert!(used < capacity);
    assert_eq!(all(&*store, HERE), [0; 0]);
}
