//! The contract, and what only this store promises.

use std::sync::Arc;

use super::super::contract::{
    self, HERE, Subject, THERE, all, batch, commit, contract, define, put, remove,
};
use super::super::{PageLimit, Store, StoreError};
use super::{FILE, QuickRepair, RedbOptions, RedbStore};
use crate::core::{Position, Tick};

struct File {
    directory: tempfile::TempDir,
    options: RedbOptions,
}

impl File {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            options: RedbOptions {
                cache_bytes: 4 << 20,
                ..RedbOptions::default()
            },
        }
    }
}

impl Subject for File {
    fn open(&mut self) -> Box<dyn Store> {
        Box::new(RedbStore::open(self.directory.path(), &self.options).unwrap())
    }
}

contract!(File::new());

#[test]
fn with_quick_repair_the_contract_holds_too() {
    let mut file = File::new();
    file.options.quick_repair = QuickRepair::On;
    contract::random_changes_come_to_what_a_map_says(&mut file, 77);
}

#[test]
fn a_second_store_on_the_same_directory_is_refused() {
    let mut file = File::new();
    let _store = file.open();
    let second = RedbStore::open(file.directory.path(), &file.options).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_named() {
    let file = File::new();
    let path = file.directory.path().join(FILE);
    std::fs::write(&path, vec![7; 100_000]).unwrap();
    let error = RedbStore::open(file.directory.path(), &file.options).unwrap_err();
    assert!(error.to_string().contains(FILE), "{error}");
}

#[test]
fn a_flipped_byte_in_a_body_is_noticed() {
    let mut file = File::new();
    let mut store = file.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here")]);
    commit(&mut *store, [put(HERE, 200, 20_000)]);
    store.close().unwrap();
    drop(store);
    let path = file.directory.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let body = vec![200; 10_000];
    let place = bytes
        .windows(body.len())
        .position(|window| window == body)
        .unwrap();
    bytes[place + 5_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut store = file.open();
    store.recover().unwrap();
    let limit = PageLimit {
        messages: 10,
        bytes: 1 << 20,
    };
    let error = store
        .reader()
        .read(HERE, Position(0), None, limit)
        .unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_batch_over_many_queues_becomes_one_chunk() {
    let mut file = File::new();
    let mut store = RedbStore::open(file.directory.path(), &file.options).unwrap();
    store.recover().unwrap();
    let id = |n: u64| crate::core::DestinationId(n);
    commit(
        &mut store,
        (1..=100).map(|n| define(id(n), &format!("q{n}"))),
    );
    commit(&mut store, (1..=100).map(|n| put(id(n), 1, 1000)));
    assert_eq!(store.chunks.iter().count(), 1);
    // A chunk that is shared for long is sorted, which nobody notices.
    store.tidy(Tick(0)).unwrap();
    store.tidy(Tick(40_000)).unwrap();
    for n in 1..=100 {
        assert_eq!(all(&store, id(n)), [1]);
    }
    drop(store);
    let mut store = file.open();
    store.recover().unwrap();
    assert_eq!(all(&*store, id(55)), [1]);
}

#[test]
fn what_is_left_of_many_chunks_is_brought_together() {
    let mut file = File::new();
    let mut store = RedbStore::open(file.directory.path(), &file.options).unwrap();
    store.recover().unwrap();
    commit(&mut store, [define(HERE, "here"), define(THERE, "there")]);
    for block in 0..40 {
        commit(
            &mut store,
            (1..=100).map(|n| put(HERE, block * 100 + n, 1000)),
        );
    }
    commit(
        &mut store,
        (1..=4000).filter(|p| p % 10 != 0).map(|p| remove(HERE, p)),
    );
    let mut tick = 0;
    while let Some(next) = store.tidy(Tick(tick)).unwrap() {
        tick = next.0;
    }
    let expected: Vec<u64> = (1..=400).map(|n| n * 10).collect();
    assert_eq!(all(&store, HERE), expected);
    let bytes: u64 = store
        .chunks
        .iter()
        .map(|(_, chunk)| chunk.live_bytes())
        .sum();
    assert_eq!(bytes, store.size().live);
    assert!(
        store.chunks.iter().count() <= 4,
        "{}",
        store.chunks.iter().count()
    );
    drop(store);
    let mut store = file.open();
    store.recover().unwrap();
    assert_eq!(all(&*store, HERE), expected);
}

#[test]
fn readers_find_every_message_while_the_cleaner_moves_them() {
    let file = File::new();
    let mut store = RedbStore::open(file.directory.path(), &file.options).unwrap();
    store.recover().unwrap();
    commit(&mut store, [define(HERE, "here")]);
    for block in 0..30 {
        commit(
            &mut store,
            (1..=50).map(|n| put(HERE, block * 50 + n, 2000)),
        );
    }
    let expected: Vec<u64> = (1..=1500).filter(|p| p % 4 == 0).collect();
    commit(
        &mut store,
        (1..=1500).filter(|p| p % 4 != 0).map(|p| remove(HERE, p)),
    );
    let reader = store.reader();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let finished = Arc::clone(&done);
    let watcher = std::thread::Builder::new()
        .spawn(move || {
            let limit = PageLimit {
                messages: usize::MAX,
                bytes: usize::MAX,
            };
            let mut rounds = 0;
            while !finished.load(std::sync::atomic::Ordering::Relaxed) || rounds == 0 {
                let page = reader.read(HERE, Position(0), None, limit).unwrap();
                let found: Vec<u64> = page.messages.iter().map(|(p, ..)| p.0).collect();
                assert_eq!(found, expected);
                rounds += 1;
            }
        })
        .unwrap();
    while store.tidy(Tick(0)).unwrap().is_some() {}
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    watcher.join().unwrap();
}

#[test]
fn a_failure_is_final() {
    let mut file = File::new();
    let mut store = file.open();
    store.recover().unwrap();
    store.close().unwrap();
    let refused = store.commit(&batch([put(HERE, 1, 10)]), true).unwrap_err();
    assert!(matches!(refused, StoreError::Failed(_)), "{refused}");
    assert!(store.sync().is_err());
}

/// A chunk that was cleaned holds messages from far apart, among which many small chunks lie.
#[test]
fn nothing_is_passed_over_where_many_chunks_overlap() {
    let mut file = File::new();
    let mut store = file.open();
    store.recover().unwrap();
    commit(&mut *store, [define(HERE, "here"), define(THERE, "there")]);
    for position in 1..=300 {
        // Every tenth shares its chunk with others that will be gone.
        let mut changes = vec![put(HERE, position, 100)];
        if position % 10 == 0 {
            changes.extend((0..3).map(|index| put(THERE, position * 10 + index, 100)));
        }
        commit(&mut *store, changes);
    }
    let gone = (1..=30).flat_map(|tens| (0..3).map(move |index| tens * 100 + index));
    commit(&mut *store, gone.map(|position| remove(THERE, position)));
    for tick in 0..100 {
        store.tidy(Tick(tick * 20)).unwrap();
    }
    assert_eq!(all(&*store, HERE), (1..=300).collect::<Vec<_>>());
    let mut found = Vec::new();
    let mut from = Position(0);
    loop {
        let (messages, bytes) = (7, usize::MAX);
        let limit = PageLimit { messages, bytes };
        let page = store.reader().read(HERE, from, None, limit).unwrap();
        found.extend(page.messages.iter().map(|(position, ..)| position.0));
        if page.exhausted {
            break;
        }
        from = page.resume_at;
    }
    assert_eq!(found, (1..=300).collect::<Vec<_>>());
}
