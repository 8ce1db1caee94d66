//! The cleaner: rewrites what is alive in chunks that are mostly dead, or shared by many destinations
//! for long, so that the file holds little else and messages of one destination lie together.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ::redb::ReadableTable;
use rustc_hash::FxHashMap;

use super::super::StoreError;
use super::RedbStore;
use super::commit::record_of;
use super::head::Head;
use super::pack::{Packed, Record, pack, records, runs};
use super::write::Tables;
use crate::core::{StoredAt, Tick};

/// A mixed chunk that has lived this long is sorted into chunks of its destinations, in milliseconds.
const MIXED_AGE: u64 = 30_000;

/// Live bytes that one call rewrites, about.
const BYTES: u64 = 1 << 20;

/// How soon the next call should come while there is more to do, in milliseconds.
const PAUSE: u64 = 20;

/// What there is to clean.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    sparse: BTreeSet<u64>,
    /// Chunks since the last call, whose age is not known yet.
    fresh: Vec<u64>,
    /// Mixed chunks by the time they were noted.
    mixed: VecDeque<(Tick, u64)>,
}

impl Cleaner {
    pub(super) fn note_sparse(&mut self, chunk: u64) {
        self.sparse.insert(chunk);
    }

    pub(super) fn note_mixed(&mut self, chunk: u64) {
        self.fresh.push(chunk);
    }

    pub(super) fn forget(&mut self, chunk: u64) {
        self.sparse.remove(&chunk);
    }

    fn ripe(&mut self, now: Tick) -> Option<u64> {
        let (_, chunk) = self
            .mixed
            .pop_front_if(|(noted, _)| noted.after(MIXED_AGE) <= now)?;
        Some(chunk)
    }

    fn next_at(&self, now: Tick) -> Option<Tick> {
        if !self.sparse.is_empty() {
            return Some(now.after(PAUSE));
        }
        self.mixed.front().map(|(noted, _)| noted.after(MIXED_AGE))
    }
}

impl RedbStore {
    /// Cleans a bounded number of chunks.
    pub(super) fn clean(&mut self, now: Tick) -> Result<Option<Tick>, StoreError> {
        for chunk in std::mem::take(&mut self.cleaner.fresh) {
            self.cleaner.mixed.push_back((now, chunk));
        }
        let chosen = self.choose(now);
        if !chosen.is_empty() {
            self.rewrite(&chosen)?;
        }
        Ok(self.cleaner.next_at(now))
    }

    fn choose(&mut self, now: Tick) -> Vec<u64> {
        let mut chosen = Vec::new();
        let mut bytes = 0;
        while bytes < BYTES {
            let next = self
                .cleaner
                .sparse
                .pop_first()
                .or_else(|| self.cleaner.ripe(now));
            let Some(id) = next else { break };
            // It may be gone by now, or have been chosen as sparse before.
            if let Some(chunk) = self.chunks.get(id).filter(|_| !chosen.contains(&id)) {
                bytes += chunk.live_bytes();
                chosen.push(id);
            }
        }
        chosen
    }

    /// Moves what is alive in some chunks to new ones. That changes nothing for anybody, so it need not
    /// be flushed: if it is lost, the old chunks are still there.
    fn rewrite(&mut self, chosen: &[u64]) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        // Readers find messages in either the old chunks or the new ones, never in neither.
        let mut extents = shared.extents.write();
        let mut added: Vec<(u64, Packed)> = Vec::new();
        let mut old_runs = Vec::new();
        shared.with(|database| {
            let transaction = self.begin(database, false)?;
            {
                let mut tables = Tables::of(&transaction, &shared);
                let moved = self.gather(chosen, &mut tables)?;
                for id in chosen {
                    let head = self.head(*id, &mut tables)?;
                    let runs = runs(&head).map(|(destination, _, count)| (destination, *id, count));
                    old_runs.extend(runs);
                    if let Some(chunk) = self.chunks.remove(*id) {
                        tables.delete(*id, &chunk)?;
                    }
                    self.heads.remove(*id);
                }
                self.write_moved(moved, &mut tables, &mut added)?;
            }
            transaction
                .commit()
                .map_err(shared.engine("cannot commit to"))
        })?;
        for (destination, chunk, count) in old_runs {
            extents.settle(destination, chunk, count);
        }
        for (id, packed) in &added {
            for (destination, ends, count) in runs(&packed.head) {
                extents.add(destination, *id, ends, count);
            }
        }
        Ok(())
    }

    fn gather(&mut self, chosen: &[u64], tables: &mut Tables<'_>) -> Result<Moved, StoreError> {
        let mut moved = Moved::default();
        for id in chosen {
            let head = self.head(*id, tables)?;
            let failed = self.shared.engine("cannot read");
            let stored = tables.chunk()?.get(*id).map_err(failed)?;
            let Some(bytes) = stored.map(|stored| stored.value().to_vec()) else {
                continue;
            };
            let place = || format!("chunk {id}");
            let all = records(&bytes).map_err(self.shared.damaged(place))?;
            for (index, slot) in head.slots.iter().enumerate() {
                if self
                    .chunks
                    .get(*id)
                    .is_none_or(|chunk| chunk.is_dead(index))
                {
                    continue;
                }
                let record = record_of(all, slot).map_err(self.shared.damaged(place))?;
                moved.add(&head, slot.at, index, record);
                let place = (*id, u32::try_from(index).unwrap_or(u32::MAX));
                let failed = self.shared.engine("cannot read");
                if let Some(state) = tables.returned()?.get(place).map_err(failed)? {
                    moved.returned.insert(slot.at, state.value().to_vec());
                }
            }
        }
        Ok(moved)
    }

    fn write_moved(
        &mut self,
        mut moved: Moved,
        tables: &mut Tables<'_>,
        added: &mut Vec<(u64, Packed)>,
    ) -> Result<(), StoreError> {
        for (transient, records) in [(false, &mut moved.kept), (true, &mut moved.transient)] {
            records.sort_by_key(|record| record.at);
            for packed in pack(records, &moved.buffer, transient) {
                let id = self.chunks.next_id();
                tables.insert(id, &packed)?;
                // Not noted as mixed again: it is sorted as well as it can be.
                let mut chunk = super::chunks::Chunk::of(&packed.head, packed.mixed);
                for (index, slot) in packed.head.slots.iter().enumerate() {
                    let Some(state) = moved.returned.get(&slot.at) else {
                        continue;
                    };
                    chunk.has_returned = true;
                    let place = (id, u32::try_from(index).unwrap_or(u32::MAX));
                    tables
                        .returned()?
                        .insert(place, state.as_slice())
                        .map_err(self.shared.engine("cannot write to"))?;
                }
                self.chunks.insert(id, chunk);
                self.heads.insert(id, Arc::clone(&packed.head));
                added.push((id, packed));
            }
        }
        Ok(())
    }
}

/// Messages on their way to other chunks.
#[derive(Default)]
struct Moved {
    buffer: Vec<u8>,
    kept: Vec<Record>,
    transient: Vec<Record>,
    returned: FxHashMap<StoredAt, Vec<u8>>,
}

impl Moved {
    fn add(&mut self, head: &Head, at: StoredAt, index: usize, bytes: &[u8]) {
        let Some(slot) = head.slots.get(index) else {
            return;
        };
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        let record = Record {
            at,
            priority: slot.priority,
            footprint: slot.footprint,
            start,
            end: self.buffer.len(),
        };
        if head.transient {
            self.transient.push(record);
        } else {
            self.kept.push(record);
        }
    }
}
