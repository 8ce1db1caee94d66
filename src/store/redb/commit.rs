//! A batch as one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::redb::{ReadableTable, WriteTransaction};
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::record;
use super::super::ring::RingMark;
use super::super::{FormatError, StoreError};
use super::RedbStore;
use super::chunks::Chunk;
use super::head::{Head, Slot};
use super::pack::{Packed, Record, pack, runs};
use super::tables::{
    DESTINATION, FORMAT, FORMAT_WITH_RING, META, META_FORMAT, META_NEXT_DESTINATION,
    META_RING_NUMBER, META_RING_POSITION, STATISTICS,
};
use super::write::Tables;
use crate::core::{
    DeliveryState, DestinationId, DestinationName, Message, Persist, Position, StoredAt,
};

/// A message that the batch puts.
struct NewMessage<'b> {
    at: StoredAt,
    message: &'b Message,
    state: DeliveryState,
    transient: bool,
}

/// What a transaction says of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) enum RingChange {
    /// Nothing.
    None,
    /// It is folded up to this mark.
    Folded(RingMark),
    /// There is none any more.
    Gone,
}

/// What a batch comes to, before it is written.
#[derive(Default)]
struct Outcome<'b> {
    new: Vec<NewMessage<'b>>,
    /// Places in `new`, once somebody looks for one.
    new_places: Option<FxHashMap<StoredAt, usize>>,
    defined: Vec<(DestinationId, &'b DestinationName)>,
    undefined: Vec<DestinationId>,
    /// Destinations whose statistics have changed.
    counted: FxHashSet<DestinationId>,
    /// Chunks in which messages were settled.
    settled: BTreeSet<u64>,
    /// How many messages of a destination were settled in a chunk.
    settled_runs: FxHashMap<(DestinationId, u64), u32>,
    returned: Vec<((u64, u32), DeliveryState)>,
}

impl RedbStore {
    /// Applies changes in one transaction.
    pub(super) fn apply<'b>(
        &mut self,
        changes: impl Iterator<Item = &'b Persist>,
        last_positions: &[(DestinationId, Position)],
        flush: bool,
        ring: RingChange,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut outcome = Outcome::default();
        outcome
            .counted
            .extend(last_positions.iter().map(|(id, _)| *id));
        let mut added = Vec::new();
        shared.with(|database| {
            let transaction = self.begin(database, flush)?;
            {
                let mut tables = Tables::of(&transaction, &shared);
                for change in changes {
                    self.take(change, &mut outcome, &mut tables)?;
                }
                self.write_settled(&outcome, &mut tables)?;
                self.write_new(&mut outcome, &mut tables, &mut added)?;
                self.write_returned(&outcome, &mut tables)?;
            }
            self.write_destinations(&outcome, &transaction)?;
            self.write_ring(ring, &transaction)?;
            transaction
                .commit()
                .map_err(shared.engine("cannot commit to"))
        })?;
        // Only now, so that a reader never looks for what it cannot find yet.
        let mut extents = shared.extents.write();
        for ((destination, chunk), count) in &outcome.settled_runs {
            extents.settle(*destination, *chunk, *count);
        }
        for (id, packed) in &added {
            for (destination, ends, count) in runs(&packed.head) {
                extents.add(destination, *id, ends, count);
            }
        }
        Ok(())
    }

    /// Notes the last position of a message of which nothing is left.
    pub(super) fn note_last(&mut self, destination: DestinationId, position: Position) {
        let statistics = self.statistics.entry(destination).or_default();
        statistics.last_position = statistics.last_position.max(position);
    }

    /// Writes up to where the ring is known.
    fn write_ring(
        &self,
        ring: RingChange,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let mark = match ring {
            RingChange::None => return Ok(()),
            RingChange::Folded(mark) => Some(mark),
            RingChange::Gone => None,
        };
        let failed = || self.shared.engine("cannot write to");
        let opened = self.shared.engine("cannot open a table of");
        let mut meta = transaction.open_table(META).map_err(opened)?;
        if let Some(RingMark { position, number }) = mark {
            let rows = [
                (META_FORMAT, FORMAT_WITH_RING),
                (META_RING_POSITION, position),
                (META_RING_NUMBER, number),
            ];
            for (key, value) in rows {
                meta.insert(key, value).map_err(failed())?;
            }
        } else {
            meta.insert(META_FORMAT, FORMAT).map_err(failed())?;
            for key in [META_RING_POSITION, META_RING_NUMBER] {
                meta.remove(key).map_err(failed())?;
            }
        }
        Ok(())
    }

    fn take<'b>(
        &mut self,
        change: &'b Persist,
        outcome: &mut Outcome<'b>,
        tables: &mut Tables<'_>,
    ) -> Result<(), StoreError> {
        match change {
            Persist::Define { destination, name } => {
                self.next_destination = self.next_destination.max(destination.0 + 1);
                self.statistics.entry(*destination).or_default();
                outcome.counted.insert(*destination);
                outcome.defined.push((*destination, name));
            }
            Persist::Undefine { destination } => self.undefine(*destination, outcome, tables)?,
            Persist::Put {
                at,
                message,
                state,
                transient,
            } => {
                let statistics = self.statistics.entry(at.destination).or_default();
                statistics.last_position = statistics.last_position.max(at.position);
                if !transient {
                    statistics.add(message.priority, message.footprint() as u64);
                }
                outcome.counted.insert(at.destination);
                if let Some(places) = &mut outcome.new_places {
                    places.insert(*at, outcome.new.len());
                }
                outcome.new.push(NewMessage {
                    at: *at,
                    message,
                    state: *state,
                    transient: *transient,
                });
            }
            Persist::Remove { at } => match self.locate(*at, tables)? {
                Some((chunk, head, index)) => self.settle(chunk, &head, index, outcome),
                None => self.remove_new(*at, outcome),
            },
            Persist::Returned { at, state } => match self.locate(*at, tables)? {
                Some((chunk, _, index)) => {
                    let slot = u32::try_from(index).unwrap_or(u32::MAX);
                    outcome.returned.push(((chunk, slot), *state));
                }
                None => {
                    if let Some(new) = outcome.find_new(*at) {
                        new.state = *state;
                    }
                }
            },
            Persist::Horizon {
                destination,
                position,
            } => {
                self.statistics.entry(*destination).or_default().horizon = *position;
                outcome.counted.insert(*destination);
            }
        }
        Ok(())
    }

    /// The chunk and slot of a live message.
    fn locate(
        &mut self,
        at: StoredAt,
        tables: &mut Tables<'_>,
    ) -> Result<Option<(u64, Arc<Head>, usize)>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let extents = shared.extents.read();
        for chunk in extents.candidates(at.destination, at.position) {
            let head = self.head(chunk, tables)?;
            if let Some(index) = head.find(at)
                && self
                    .chunks
                    .get(chunk)
                    .is_some_and(|chunk| !chunk.is_dead(index))
            {
                return Ok(Some((chunk, head, index)));
            }
        }
        Ok(None)
    }

    /// The head of a chunk.
    pub(super) fn head(
        &mut self,
        chunk: u64,
        tables: &mut Tables<'_>,
    ) -> Result<Arc<Head>, StoreError> {
        if let Some(head) = self.heads.get(chunk) {
            return Ok(head);
        }
        let stored = tables
            .head()?
            .get(chunk)
            .map_err(self.shared.engine("cannot read"))?;
        let head = match stored {
            Some(bytes) => Head::decode(bytes.value())
                .map_err(self.shared.damaged(|| format!("the head of chunk {chunk}")))?,
            None => Head::default(),
        };
        let head = Arc::new(head);
        self.heads.insert(chunk, Arc::clone(&head));
        Ok(head)
    }

    fn settle(&mut self, chunk: u64, head: &Head, index: usize, outcome: &mut Outcome<'_>) {
        let Some(slot) = head.slots.get(index) else {
            return;
        };
        if !self.chunks.settle(chunk, index, slot) {
            return;
        }
        let destination = slot.at.destination;
        if !head.transient
            && let Some(statistics) = self.statistics.get_mut(&destination)
        {
            statistics.remove(slot.priority, u64::from(slot.footprint));
            outcome.counted.insert(destination);
        }
        outcome.settled.insert(chunk);
        *outcome
            .settled_runs
            .entry((destination, chunk))
            .or_default() += 1;
    }

    /// Drops a message that this very batch puts.
    fn remove_new(&mut self, at: StoredAt, outcome: &mut Outcome<'_>) {
        let Some(new) = outcome.find_new(at) else {
            return;
        };
        let (priority, bytes) = (new.message.priority, new.message.footprint() as u64);
        let counts = !new.transient;
        outcome.new.retain(|new| new.at != at);
        outcome.new_places = None;
        if let Some(statistics) = self.statistics.get_mut(&at.destination).filter(|_| counts) {
            statistics.remove(priority, bytes);
        }
    }

    fn undefine(
        &mut self,
        destination: DestinationId,
        outcome: &mut Outcome<'_>,
        tables: &mut Tables<'_>,
    ) -> Result<(), StoreError> {
        let extents = self.shared.extents.read().of(destination);
        for extent in extents {
            let head = self.head(extent.chunk, tables)?;
            for index in head.of(destination) {
                self.settle(extent.chunk, &head, index, outcome);
            }
        }
        outcome.new.retain(|new| new.at.destination != destination);
        outcome.new_places = None;
        outcome
            .defined
            .retain(|(defined, _)| *defined != destination);
        outcome.undefined.push(destination);
        outcome.counted.remove(&destination);
        self.statistics.remove(&destination);
        Ok(())
    }

    fn write_settled(
        &mut self,
        outcome: &Outcome<'_>,
        tables: &mut Tables<'_>,
    ) -> Result<(), StoreError> {
        for id in &outcome.settled {
            let Some(chunk) = self.chunks.get(*id) else {
                continue;
            };
            if chunk.live() > 0 {
                let failed = self.shared.engine("cannot write to");
                tables.acked()?.insert(*id, chunk.dead()).map_err(failed)?;
                if chunk.is_sparse() {
                    self.cleaner.note_sparse(*id);
                }
            } else if let Some(chunk) = self.chunks.remove(*id) {
                tables.delete(*id, &chunk)?;
                self.heads.remove(*id);
                self.cleaner.forget(*id);
            }
        }
        Ok(())
    }

    fn write_new(
        &mut self,
        outcome: &mut Outcome<'_>,
        tables: &mut Tables<'_>,
        added: &mut Vec<(u64, Packed)>,
    ) -> Result<(), StoreError> {
        let sorted = outcome.new.is_sorted_by_key(|new| (new.transient, new.at));
        if !sorted {
            outcome.new.sort_by_key(|new| (new.transient, new.at));
        }
        let mut buffer = Vec::new();
        for run in outcome.new.chunk_by(|a, b| a.transient == b.transient) {
            let transient = run.first().is_some_and(|new| new.transient);
            buffer.clear();
            let records: Vec<_> = run.iter().map(|new| new.encode(&mut buffer)).collect();
            for packed in pack(&records, &buffer, transient) {
                let id = self.chunks.next_id();
                self.add_chunk(id, packed, tables, added)?;
            }
        }
        Ok(())
    }

    /// Writes a new chunk and notes it.
    pub(super) fn add_chunk(
        &mut self,
        id: u64,
        packed: Packed,
        tables: &mut Tables<'_>,
        added: &mut Vec<(u64, Packed)>,
    ) -> Result<(), StoreError> {
        tables.insert(id, &packed)?;
        self.chunks
            .insert(id, Chunk::of(&packed.head, packed.mixed));
        self.heads.insert(id, Arc::clone(&packed.head));
        if packed.mixed {
            self.cleaner.note_mixed(id);
        }
        let bytes = Vec::new();
        added.push((id, Packed { bytes, ..packed }));
        Ok(())
    }

    fn write_returned(
        &mut self,
        outcome: &Outcome<'_>,
        tables: &mut Tables<'_>,
    ) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        for ((chunk, slot), state) in &outcome.returned {
            let Some(known) = self.chunks.get_mut(*chunk) else {
                continue;
            };
            known.has_returned = true;
            bytes.clear();
            record::encode_state(&mut bytes, *state);
            tables
                .returned()?
                .insert((*chunk, *slot), bytes.as_slice())
                .map_err(self.shared.engine("cannot write to"))?;
        }
        Ok(())
    }

    fn write_destinations(
        &self,
        outcome: &Outcome<'_>,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let failed = || self.shared.engine("cannot write to");
        let opened = || self.shared.engine("cannot open a table of");
        if !outcome.defined.is_empty() || !outcome.undefined.is_empty() {
            let mut table = transaction.open_table(DESTINATION).map_err(opened())?;
            for id in &outcome.undefined {
                table.remove(id.0).map_err(failed())?;
            }
            for (id, name) in &outcome.defined {
                let mut bytes = Vec::new();
                record::encode_name(&mut bytes, name);
                table.insert(id.0, bytes.as_slice()).map_err(failed())?;
            }
            let mut meta = transaction.open_table(META).map_err(opened())?;
            meta.insert(META_NEXT_DESTINATION, self.next_destination)
                .map_err(failed())?;
        }
        if outcome.counted.is_empty() && outcome.undefined.is_empty() {
            return Ok(());
        }
        let mut table = transaction.open_table(STATISTICS).map_err(opened())?;
        for id in &outcome.undefined {
            table.remove(id.0).map_err(failed())?;
        }
        for id in &outcome.counted {
            if let Some(statistics) = self.statistics.get(id) {
                table
                    .insert(id.0, statistics.encode().as_slice())
                    .map_err(failed())?;
            }
        }
        Ok(())
    }
}

impl<'b> Outcome<'b> {
    fn find_new(&mut self, at: StoredAt) -> Option<&mut NewMessage<'b>> {
        let places = self.new_places.get_or_insert_with(|| {
            let places = self.new.iter().enumerate();
            places.map(|(index, new)| (new.at, index)).collect()
        });
        let index = *places.get(&at)?;
        self.new.get_mut(index)
    }
}

impl NewMessage<'_> {
    fn encode(&self, buffer: &mut Vec<u8>) -> Record {
        let start = buffer.len();
        record::encode(buffer, self.message, self.state);
        Record {
            at: self.at,
            priority: self.message.priority,
            footprint: u32::try_from(self.message.footprint()).unwrap_or(u32::MAX),
            start,
            end: buffer.len(),
        }
    }
}

/// The bytes of a slot's record.
pub(super) fn record_of<'a>(records: &'a [u8], slot: &Slot) -> Result<&'a [u8], FormatError> {
    let start = slot.offset as usize;
    let end = start + slot.length as usize;
    records.get(start..end).ok_or(FormatError::Short {
        what: "a record",
        expected: end,
        found: records.len(),
    })
}
