//! The embedded store: one redb file, messages packed into chunks.
//!
//! A batch becomes one transaction: its new messages are packed into few chunks, settled ones are bits
//! in the bitmap of their chunk, and a chunk whose last message is settled is deleted. What is needed
//! to find messages is in memory: runs of positions by destination, and counts by chunk; both are a
//! few bytes for hundreds of messages. `docs/storage-format.md` documents the file to the byte.

mod chunks;
mod clean;
mod commit;
mod extents;
mod head;
mod open;
mod pack;
mod read;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, Durability, StorageBackend, WriteTransaction};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::ring::RingMark;
use super::{Batch, FormatError, Reader, Recovered, Store, StoreError, StoreSize};
use crate::core::{DestinationId, Persist, Position, Tick};
use chunks::Chunks;
use clean::Cleaner;
use commit::RingChange;
use extents::Extents;
use head::HeadCache;
use tables::Statistics;

/// The file within the data directory.
const FILE: &str = "tidegate.redb";

/// With `QuickRepair::Auto`: from this many live bytes on, the repair after a kill would take long.
const QUICK_REPAIR_FROM: u64 = 4 << 30;

/// How the store is tuned.
#[derive(Clone, Debug, PartialEq)]
pub struct RedbOptions {
    /// Memory for pages of the file, in bytes.
    pub cache_bytes: usize,
    /// Whether commits write what makes the start after a kill short.
    pub quick_repair: QuickRepair,
    /// From this share of unused space on, 0 to 1, the file is made smaller at a clean stop.
    pub compact_when: f64,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            quick_repair: QuickRepair::Auto,
            compact_when: 0.5,
        }
    }
}

/// Whether each commit saves what makes the start after a kill short, at the price of one more flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuickRepair {
    /// Once so much is stored that the repair would take seconds.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// The store. See the contract of [`Store`].
#[derive(Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
    options: RedbOptions,
    statistics: FxHashMap<DestinationId, Statistics>,
    chunks: Chunks,
    heads: HeadCache,
    cleaner: Cleaner,
    next_destination: u64,
    /// The number of the store, by which it knows its ring.
    number: u64,
    /// What the tables do not know of the ring, if there is one.
    mark: Option<RingMark>,
    /// Whether it was closed before it was opened.
    was_clean: bool,
    /// Why nothing is accepted any more.
    failed: Option<String>,
}

/// What the store and its readers share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// `None` once the store is closed.
    database: RwLock<Option<Database>>,
    extents: RwLock<Extents>,
}

impl Shared {
    /// Does something with the database.
    fn with<R>(
        &self,
        task: impl FnOnce(&Database) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        match self.database.read().as_ref() {
            Some(database) => task(database),
            None => Err(StoreError::Failed("it is closed".to_owned())),
        }
    }

    /// An error of the database as one of the store.
    fn engine<E: Into<::redb::Error>>(&self, action: &'static str) -> impl Fn(E) -> StoreError {
        let path = self.path.clone();
        move |error| engine_error(action, &path, error.into())
    }

    /// A stored value that cannot be read.
    fn damaged(&self, place: impl FnOnce() -> String) -> impl FnOnce(FormatError) -> StoreError {
        let path = self.path.clone();
        move |source| StoreError::Format {
            path,
            place: place(),
            source,
        }
    }
}

fn engine_error(action: &'static str, path: &Path, error: ::redb::Error) -> StoreError {
    let path = path.to_owned();
    if let ::redb::Error::Io(source) = error {
        return StoreError::Io {
            action,
            path,
            source,
        };
    }
    if let ::redb::Error::DatabaseAlreadyOpen = error {
        return StoreError::InUse { path };
    }
    if let ::redb::Error::Corrupted(what) = error {
        return StoreError::Damaged { path, what };
    }
    StoreError::Engine {
        action,
        path,
        source: Box::new(error),
    }
}

impl RedbStore {
    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// When the directory or the file cannot be used, is in use by another process, or is damaged.
    pub fn open(directory: &Path, options: &RedbOptions) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(|source| StoreError::Io {
            action: "cannot make the data directory",
            path: directory.to_owned(),
            source,
        })?;
        let path = directory.join(FILE);
        open::make(directory, &path)?;
        let database = open::builder(options).open(&path);
        let database =
            database.map_err(|error| engine_error("cannot open the store", &path, error.into()))?;
        Self::with_database(database, path, options)
    }

    /// Opens the file again after an error that the database does not go on from, and finds out anew
    /// what is in it.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        let path = self.shared.path.clone();
        let mut database = self.shared.database.write();
        // What it could not write, it cannot write now either.
        drop(database.take());
        let opened = open::builder(&self.options).open(&path);
        let opened =
            opened.map_err(|error| engine_error("cannot open the store", &path, error.into()));
        *database = Some(opened?);
        drop(database);
        self.failed = None;
        self.reload()
    }

    /// The number by which it knows its ring.
    pub(super) fn store_id(&self) -> u64 {
        self.number
    }

    /// What the tables do not know of the ring, if there is one.
    pub(super) fn mark(&self) -> Option<RingMark> {
        self.mark
    }

    /// Whether it was closed before it was opened.
    pub(super) fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// The file.
    pub(super) fn path(&self) -> PathBuf {
        self.shared.path.clone()
    }

    /// Takes over what the ring held, and notes up to where. Durable on return.
    pub(super) fn fold(
        &mut self,
        changes: &[Persist],
        last_positions: &[(DestinationId, Position)],
        mark: Option<RingMark>,
    ) -> Result<(), StoreError> {
        self.guarded(|store| {
            for (destination, position) in last_positions {
                store.note_last(*destination, *position);
            }
            let ring = mark.map_or(RingChange::Gone, RingChange::Folded);
            store.apply(changes.iter(), last_positions, true, ring)?;
            store.mark = mark;
            Ok(())
        })
    }

    /// Opens the store on a storage backend, for tests that make it fail.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_backend(
        backend: impl StorageBackend,
        options: &RedbOptions,
    ) -> Result<Self, StoreError> {
        let path = PathBuf::from("a test's backend");
        let database = open::builder(options).create_with_backend(backend);
        let database =
            database.map_err(|error| engine_error("cannot open the store", &path, error.into()))?;
        Self::with_database(database, path, options)
    }

    /// A transaction, to be made durable at once or with a later one.
    fn begin(&self, database: &Database, flush: bool) -> Result<WriteTransaction, StoreError> {
        let action = "cannot begin a transaction of";
        let mut transaction = database.begin_write().map_err(self.shared.engine(action))?;
        let durability = if flush {
            Durability::Immediate
        } else {
            Durability::None
        };
        transaction
            .set_durability(durability)
            .map_err(self.shared.engine(action))?;
        let quick = match self.options.quick_repair {
            QuickRepair::On => true,
            QuickRepair::Off => false,
            QuickRepair::Auto => self.chunks.live_bytes() >= QUICK_REPAIR_FROM,
        };
        // With a ring, commits are few, and nobody waits for them.
        transaction.set_quick_repair((quick || self.mark.is_some()) && flush);
        Ok(transaction)
    }

    /// Does something unless the store has failed before; a failure is final.
    fn guarded<R>(
        &mut self,
        task: impl FnOnce(&mut Self) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        if let Some(cause) = &self.failed {
            return Err(StoreError::Failed(cause.clone()));
        }
        let result = task(self);
        if let Err(error) = &result {
            self.failed = Some(error.to_string());
        }
        result
    }
}

impl Store for RedbStore {
    fn commit(&mut self, batch: &Batch, flush: bool) -> Result<(), StoreError> {
        self.guarded(|store| store.apply(batch.changes(), &[], flush, RingChange::None))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| store.apply(std::iter::empty(), &[], true, RingChange::None))
    }

    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.guarded(Self::count_start)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(read::RedbReader::new(Arc::clone(&self.shared)))
    }

    fn tidy(&mut self, now: Tick) -> Result<Option<Tick>, StoreError> {
        self.guarded(|store| store.clean(now))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.guarded(Self::close_clean)
    }

    fn size(&self) -> StoreSize {
        let file = std::fs::metadata(&self.shared.path).map_or(0, |found| found.len());
        StoreSize {
            live: self.chunks.live_bytes(),
            file,
            ring: None,
        }
    }

    fn engine(&self) -> &'static str {
        "redb"
    }
}
