//! Opening and closing the file, and what is rebuilt in between.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;

use ::redb::{Builder, Database, ReadableTable, WriteTransaction};
use parking_lot::RwLock;

use super::super::bytes::Input;
use super::super::ring::RingMark;
use super::super::{Recovered, RecoveredDestination, StoreError, record};
use super::chunks::Chunk;
use super::head::Head;
use super::pack::runs;
use super::tables::{
    ACKED, CHUNK, CHUNK_STATE, DESTINATION, EXTENT, FORMAT, FORMAT_WITH_RING, HEAD, META,
    META_CLEAN, META_FORMAT, META_NEXT_DESTINATION, META_RING_NUMBER, META_RING_POSITION,
    META_STARTS, META_STORE, RETURNED, SEGMENT, STATISTICS, Statistics,
};
use super::{Chunks, Cleaner, Extents, HeadCache, RedbOptions, RedbStore, Shared, engine_error};
use crate::core::DestinationId;

/// A file smaller than this is not worth compacting.
const COMPACT_FROM: u64 = 64 << 20;

/// With more live bytes than this, compacting would hold up the stop for too long.
const COMPACT_LIVE_MAX: u64 = 1 << 30;

/// What a database is opened with.
pub(super) fn builder(options: &RedbOptions) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// Makes an empty file unless there is one. It gets its name only when it is whole, so that a failure
/// meanwhile leaves nothing that looks like a damaged store.
pub(super) fn make(directory: &Path, path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = path.with_extension("redb-unfinished");
    let failed = |source| StoreError::Io {
        action: "cannot make the store in",
        path: directory.to_owned(),
        source,
    };
    // What an earlier failure has left is of no use.
    drop(File::create(&unfinished).map_err(failed)?);
    let database = Database::create(&unfinished)
        .map_err(|error| engine_error("cannot make the store", &unfinished, error.into()))?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(failed)?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

impl RedbStore {
    /// Takes over a database that was just opened, and finds out where its messages are.
    pub(super) fn with_database(
        database: Database,
        path: std::path::PathBuf,
        options: &RedbOptions,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            path,
            database: RwLock::new(Some(database)),
            extents: RwLock::default(),
        });
        let mut store = Self {
            shared: Arc::clone(&shared),
            options: options.clone(),
            statistics: rustc_hash::FxHashMap::default(),
            chunks: Chunks::default(),
            heads: HeadCache::default(),
            cleaner: Cleaner::default(),
            next_destination: 1,
            number: 0,
            mark: None,
            was_clean: false,
            failed: None,
        };
        shared.with(|database| {
            let transaction = store.begin(database, true)?;
            store.prepare(&transaction)?;
            transaction
                .commit()
                .map_err(shared.engine("cannot commit to"))
        })?;
        Ok(store)
    }

    /// Makes the tables if need be, forgets transient messages, and loads the index.
    fn prepare(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let opened = || shared.engine("cannot open a table of");
        let mut meta = transaction.open_table(META).map_err(opened())?;
        let read = |meta: &::redb::Table<'_, &str, u64>, key| {
            let found = meta.get(key).map_err(shared.engine("cannot read"))?;
            Ok::<_, StoreError>(found.map(|value| value.value()))
        };
        match read(&meta, META_FORMAT)? {
            None => {
                meta.insert(META_FORMAT, FORMAT)
                    .map_err(shared.engine("cannot write to"))?;
            }
            Some(FORMAT | FORMAT_WITH_RING) => {}
            Some(found) => {
                return Err(StoreError::Version {
                    path: shared.path.clone(),
                    found,
                    expected: FORMAT,
                });
            }
        }
        self.next_destination = read(&meta, META_NEXT_DESTINATION)?.unwrap_or(1);
        self.was_clean = read(&meta, META_CLEAN)? == Some(1);
        self.number = if let Some(number) = read(&meta, META_STORE)? {
            number
        } else {
            let number = RandomState::new().hash_one(std::process::id());
            meta.insert(META_STORE, number)
                .map_err(shared.engine("cannot write to"))?;
            number
        };
        let position = read(&meta, META_RING_POSITION)?;
        let number = read(&meta, META_RING_NUMBER)?;
        self.mark = position
            .zip(number)
            .map(|(position, number)| RingMark { position, number });
        self.load_statistics(transaction)?;
        self.forget_transient(transaction)?;
        // All tables exist from here on, so that readers need not ask.
        transaction.open_table(SEGMENT).map_err(opened())?;
        transaction.open_table(CHUNK).map_err(opened())?;
        if self.was_clean {
            self.load_index(transaction)
        } else {
            self.rebuild_index(transaction)
        }
    }

    /// Finds out anew what is in the file, after it was opened again.
    pub(super) fn reload(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.statistics.clear();
        self.chunks = Chunks::default();
        self.heads = HeadCache::default();
        self.cleaner = Cleaner::default();
        self.guarded(|store| {
            shared.with(|database| {
                let transaction = store.begin(database, true)?;
                store.load_statistics(&transaction)?;
                store.rebuild_index(&transaction)?;
                let committed = transaction.commit();
                committed.map_err(shared.engine("cannot commit to"))
            })
        })
    }

    fn load_statistics(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let shared = &self.shared;
        let table = transaction
            .open_table(STATISTICS)
            .map_err(shared.engine("cannot open a table of"))?;
        for row in table.iter().map_err(shared.engine("cannot read"))? {
            let (id, bytes) = row.map_err(shared.engine("cannot read"))?;
            let id = DestinationId(id.value());
            let statistics = Statistics::decode(bytes.value())
                .map_err(shared.damaged(|| format!("the statistics of destination {id}")))?;
            self.statistics.insert(id, statistics);
        }
        Ok(())
    }

    /// Deletes what is not meant to survive a start.
    fn forget_transient(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut tables = super::write::Tables::of(transaction, &shared);
        let ids: Vec<u64> = {
            let table = tables.transient()?;
            let rows = table.iter().map_err(shared.engine("cannot read"))?;
            rows.map(|row| row.map(|(id, _)| id.value()))
                .collect::<Result<_, _>>()
                .map_err(shared.engine("cannot read"))?
        };
        for id in ids {
            // Nothing is known of it but its number, so everything is looked for.
            let head = self.head(id, &mut tables)?;
            let mut chunk = Chunk::of(&head, false);
            chunk.has_returned = true;
            tables.forget(id, &chunk)?;
            self.heads.remove(id);
        }
        Ok(())
    }

    /// Takes over what a clean stop has saved.
    fn load_index(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let failed = || shared.engine("cannot read");
        let opened = || shared.engine("cannot open a table of");
        let table = transaction.open_table(CHUNK_STATE).map_err(opened())?;
        for row in table.iter().map_err(failed())? {
            let (id, bytes) = row.map_err(failed())?;
            let id = id.value();
            let chunk = Chunk::decode(bytes.value())
                .map_err(shared.damaged(|| format!("the state of chunk {id}")))?;
            self.note_chunk(id, &chunk);
            self.chunks.insert(id, chunk);
        }
        let table = transaction.open_table(EXTENT).map_err(opened())?;
        let mut extents = shared.extents.write();
        for row in table.iter().map_err(failed())? {
            let (id, bytes) = row.map_err(failed())?;
            let id = DestinationId(id.value());
            extents
                .decode(id, bytes.value())
                .map_err(shared.damaged(|| format!("the extents of destination {id}")))?;
        }
        Ok(())
    }

    /// Finds everything out anew from the heads of all chunks.
    fn rebuild_index(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let failed = || shared.engine("cannot read");
        let opened = || shared.engine("cannot open a table of");
        let acked = transaction.open_table(ACKED).map_err(opened())?;
        let table = transaction.open_table(HEAD).map_err(opened())?;
        let mut extents = Extents::default();
        for row in table.iter().map_err(failed())? {
            let (id, bytes) = row.map_err(failed())?;
            let id = id.value();
            let head = Head::decode(bytes.value())
                .map_err(shared.damaged(|| format!("the head of chunk {id}")))?;
            let mixed = runs(&head).nth(1).is_some();
            self.chunks.insert(id, Chunk::of(&head, mixed));
            for (destination, ends, count) in runs(&head) {
                extents.add(destination, id, ends, count);
            }
            if let Some(dead) = acked.get(id).map_err(failed())? {
                self.chunks.settle_all(id, &head, dead.value());
                for (destination, _, _) in runs(&head) {
                    let gone = head.of(destination);
                    let gone = gone.filter(|index| super::chunks::is_set(dead.value(), *index));
                    let gone = u32::try_from(gone.count()).unwrap_or(u32::MAX);
                    extents.settle(destination, id, gone);
                }
            }
            if let Some(chunk) = self.chunks.get(id).cloned() {
                self.note_chunk(id, &chunk);
            }
        }
        let returned = transaction.open_table(RETURNED).map_err(opened())?;
        for row in returned.iter().map_err(failed())? {
            let (place, _) = row.map_err(failed())?;
            if let Some(chunk) = self.chunks.get_mut(place.value().0) {
                chunk.has_returned = true;
            }
        }
        *shared.extents.write() = extents;
        Ok(())
    }

    fn note_chunk(&mut self, id: u64, chunk: &Chunk) {
        if chunk.is_sparse() {
            self.cleaner.note_sparse(id);
        } else if chunk.mixed {
            self.cleaner.note_mixed(id);
        }
    }

    /// Counts the start and tells what is known.
    pub(super) fn count_start(&mut self) -> Result<Recovered, StoreError> {
        let shared = Arc::clone(&self.shared);
        let failed = || shared.engine("cannot read");
        let opened = || shared.engine("cannot open a table of");
        shared.with(|database| {
            let transaction = self.begin(database, true)?;
            let recovered = {
                let mut meta = transaction.open_table(META).map_err(opened())?;
                let starts = meta.get(META_STARTS).map_err(failed())?;
                let starts = starts.map_or(0, |value| value.value()) + 1;
                let clean = meta.get(META_CLEAN).map_err(failed())?;
                let was_clean = clean.is_some_and(|value| value.value() == 1);
                let written = || shared.engine("cannot write to");
                meta.insert(META_STARTS, starts).map_err(written())?;
                meta.insert(META_CLEAN, 0).map_err(written())?;
                let table = transaction.open_table(DESTINATION).map_err(opened())?;
                let mut destinations = Vec::new();
                for row in table.iter().map_err(failed())? {
                    let (id, bytes) = row.map_err(failed())?;
                    destinations.push(self.recovered(DestinationId(id.value()), bytes.value())?);
                }
                Recovered {
                    destinations,
                    next_destination_id: DestinationId(self.next_destination),
                    starts: u32::try_from(starts).unwrap_or(u32::MAX),
                    was_clean,
                }
            };
            transaction
                .commit()
                .map_err(shared.engine("cannot commit to"))?;
            Ok(recovered)
        })
    }

    fn recovered(
        &self,
        id: DestinationId,
        bytes: &[u8],
    ) -> Result<RecoveredDestination, StoreError> {
        let name = record::decode_name(&mut Input::new(bytes)).map_err(
            self.shared
                .damaged(|| format!("the name of destination {id}")),
        )?;
        let statistics = self.statistics.get(&id).cloned().unwrap_or_default();
        Ok(RecoveredDestination {
            id,
            name,
            last_position: statistics.last_position,
            horizon: statistics.horizon,
            waiting: statistics.waiting(),
        })
    }

    /// Saves the index, so that the next start need not find it out anew, and closes the file.
    pub(super) fn close_clean(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        shared.with(|database| {
            let transaction = self.begin(database, true)?;
            self.forget_transient_index(&transaction)?;
            self.save_index(&transaction)?;
            transaction
                .commit()
                .map_err(shared.engine("cannot commit to"))
        })?;
        let live = self.chunks.live_bytes();
        let file = super::Store::size(self).file;
        let Some(mut database) = shared.database.write().take() else {
            return Ok(());
        };
        let worth_it = file > COMPACT_FROM && live <= COMPACT_LIVE_MAX;
        if worth_it && unused_share(live, file) >= self.options.compact_when {
            database
                .compact()
                .map_err(shared.engine("cannot compact"))?;
        }
        database.close().map_err(shared.engine("cannot close"))
    }

    fn forget_transient_index(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let ids: Vec<u64> = self
            .chunks
            .iter()
            .filter(|(_, chunk)| chunk.transient)
            .map(|(id, _)| id)
            .collect();
        let shared = Arc::clone(&self.shared);
        let mut tables = super::write::Tables::of(transaction, &shared);
        for id in ids {
            let head = self.head(id, &mut tables)?;
            for (destination, _, count) in runs(&head) {
                self.shared.extents.write().settle(destination, id, count);
            }
            if let Some(chunk) = self.chunks.remove(id) {
                tables.delete(id, &chunk)?;
            }
        }
        Ok(())
    }

    fn save_index(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let shared = &self.shared;
        let failed = || shared.engine("cannot write to");
        let opened = || shared.engine("cannot open a table of");
        transaction.delete_table(EXTENT).map_err(opened())?;
        transaction.delete_table(CHUNK_STATE).map_err(opened())?;
        let mut table = transaction.open_table(EXTENT).map_err(opened())?;
        for (destination, bytes) in shared.extents.read().encode() {
            table
                .insert(destination.0, bytes.as_slice())
                .map_err(failed())?;
        }
        let mut table = transaction.open_table(CHUNK_STATE).map_err(opened())?;
        for (id, chunk) in self.chunks.iter() {
            table
                .insert(id, chunk.encode().as_slice())
                .map_err(failed())?;
        }
        let mut meta = transaction.open_table(META).map_err(opened())?;
        meta.insert(META_CLEAN, 1).map_err(failed())?;
        Ok(())
    }
}

fn unused_share(live: u64, file: u64) -> f64 {
    1.0 - live as f64 / file.max(1) as f64
}
