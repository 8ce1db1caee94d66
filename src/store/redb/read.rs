//! Reading pages of messages while others are committed.

use std::collections::VecDeque;
use std::sync::Arc;

use ::redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase};

use super::super::bytes::Input;
use super::super::{Page, PageLimit, Reader, StoreError, record};
use super::Shared;
use super::chunks::is_set;
use super::commit::record_of;
use super::extents::Extent;
use super::head::{Head, Slot};
use super::pack::records;
use super::tables::{ACKED, CHUNK, HEAD, RETURNED, SEGMENT};
use crate::core::{DeliveryState, DestinationId, Message, Position, Priority};

/// How many extents are looked at under one lock, about.
const EXTENTS: usize = 64;

/// How many chunks a reader keeps at hand.
const OPEN: usize = 8;

/// Reads from the file.
#[derive(Debug)]
pub(super) struct RedbReader {
    shared: Arc<Shared>,
}

/// The tables of one moment.
struct Snapshot<'s> {
    shared: &'s Shared,
    chunk: ReadOnlyTable<u64, &'static [u8]>,
    segment: ReadOnlyTable<(u64, u32), &'static [u8]>,
    head: ReadOnlyTable<u64, &'static [u8]>,
    acked: ReadOnlyTable<u64, &'static [u8]>,
    returned: ReadOnlyTable<(u64, u32), &'static [u8]>,
}

/// A live message that a page may bring.
struct Found {
    chunk: u64,
    index: u32,
    slot: Slot,
}

impl RedbReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The next extents from a position on, and the file as it was at that moment. Those behind them, if
    /// there are any, hold nothing before the position that is returned with them.
    fn snapshot(
        &self,
        destination: DestinationId,
        from: Position,
    ) -> Result<(Vec<Extent>, Option<Position>, Snapshot<'_>), StoreError> {
        // Held while the transaction begins: the cleaner moves messages under this lock.
        let extents = self.shared.extents.read();
        let transaction = self.shared.with(|database| {
            let failed = self.shared.engine("cannot read");
            database.begin_read().map_err(failed)
        })?;
        let mut following = extents.from(destination, from).peekable();
        let mut found = Vec::new();
        // All that may hold the next position, however many: a chunk that was cleaned reaches over many
        // small ones.
        while let Some(extent) =
            following.next_if(|extent| found.len() < EXTENTS || extent.first <= from)
        {
            found.push(extent);
        }
        let bound = following.peek().map(|extent| extent.first);
        drop(following);
        drop(extents);
        Ok((found, bound, Snapshot::new(&self.shared, &transaction)?))
    }
}

impl Reader for RedbReader {
    fn read(
        &self,
        destination: DestinationId,
        from: Position,
        priority: Option<Priority>,
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        let mut page = Page {
            resume_at: from,
            ..Page::default()
        };
        let mut bytes = 0;
        loop {
            let (extents, bound, snapshot) = self.snapshot(destination, page.resume_at)?;
            let mut rest = extents.as_slice();
            while let Some(cluster) = next_cluster(&mut rest) {
                let mut found = Vec::new();
                let from = page.resume_at;
                for extent in cluster {
                    snapshot.find(extent.chunk, destination, from, priority, &mut found)?;
                }
                found.retain(|found| bound.is_none_or(|bound| found.slot.at.position < bound));
                found.sort_unstable_by_key(|found| found.slot.at.position);
                for found in snapshot.load(&found) {
                    let (position, message, state) = found?;
                    bytes += message.footprint();
                    page.messages.push((position, message, state));
                    page.resume_at = position.next();
                    if page.messages.len() >= limit.messages || bytes >= limit.bytes {
                        return Ok(page);
                    }
                }
                let end = cluster.iter().map(|extent| extent.last).max();
                page.resume_at = page.resume_at.max(end.unwrap_or_default().next());
            }
            let Some(bound) = bound else {
                page.exhausted = true;
                return Ok(page);
            };
            page.resume_at = bound;
        }
    }
}

/// Takes the extents off the front that overlap, so that their messages are read in order together.
fn next_cluster<'e>(rest: &mut &'e [Extent]) -> Option<&'e [Extent]> {
    let mut last = rest.first()?.last;
    let mut count = 0;
    for extent in *rest {
        if count > 0 && extent.first > last {
            break;
        }
        last = last.max(extent.last);
        count += 1;
    }
    let (cluster, later) = rest.split_at(count);
    *rest = later;
    Some(cluster)
}

impl<'s> Snapshot<'s> {
    fn new(shared: &'s Shared, transaction: &ReadTransaction) -> Result<Self, StoreError> {
        let opened = || shared.engine("cannot open a table of");
        Ok(Self {
            shared,
            chunk: transaction.open_table(CHUNK).map_err(opened())?,
            segment: transaction.open_table(SEGMENT).map_err(opened())?,
            head: transaction.open_table(HEAD).map_err(opened())?,
            acked: transaction.open_table(ACKED).map_err(opened())?,
            returned: transaction.open_table(RETURNED).map_err(opened())?,
        })
    }

    /// Finds live messages of a destination in a chunk. One that was deleted meanwhile has none.
    fn find(
        &self,
        chunk: u64,
        destination: DestinationId,
        from: Position,
        priority: Option<Priority>,
        found: &mut Vec<Found>,
    ) -> Result<(), StoreError> {
        let failed = || self.shared.engine("cannot read");
        let Some(bytes) = self.head.get(chunk).map_err(failed())? else {
            return Ok(());
        };
        let head = Head::decode(bytes.value())
            .map_err(self.shared.damaged(|| format!("the head of chunk {chunk}")))?;
        let acked = self.acked.get(chunk).map_err(failed())?;
        let dead = acked.as_ref().map_or(&[][..], |acked| acked.value());
        for index in head.of(destination) {
            let Some(slot) = head.slots.get(index).copied() else {
                continue;
            };
            let wanted = slot.at.position >= from && priority.is_none_or(|p| p == slot.priority);
            if wanted && !is_set(dead, index) {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                found.push(Found { chunk, index, slot });
            }
        }
        Ok(())
    }

    /// Reads the messages that were found, one after the other. The last few chunks are kept, since
    /// messages of chunks that overlap take turns.
    fn load<'f>(
        &'f self,
        found: &'f [Found],
    ) -> impl Iterator<Item = Result<(Position, Message, DeliveryState), StoreError>> + 'f {
        let mut open: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        found.iter().map(move |found| {
            let known = open.iter().position(|(chunk, _)| *chunk == found.chunk);
            if known.is_none() {
                open.truncate(OPEN - 1);
                open.push_front((found.chunk, self.read_chunk(found.chunk)?));
            }
            let kept = open.get(known.unwrap_or(0));
            self.decode(found, kept.map_or(&[][..], |(_, bytes)| bytes))
        })
    }

    /// The records of a chunk, after a look at their checksum.
    fn read_chunk(&self, chunk: u64) -> Result<Vec<u8>, StoreError> {
        let failed = || self.shared.engine("cannot read");
        let whole = if let Some(bytes) = self.chunk.get(chunk).map_err(failed())? {
            bytes.value().to_vec()
        } else {
            let mut whole = Vec::new();
            let pieces = self.segment.range((chunk, 0)..=(chunk, u32::MAX));
            for piece in pieces.map_err(failed())? {
                whole.extend_from_slice(piece.map_err(failed())?.1.value());
            }
            whole
        };
        let checked = records(&whole)
            .map_err(self.shared.damaged(|| format!("chunk {chunk}")))?
            .len();
        let mut whole = whole;
        whole.drain(..whole.len() - checked);
        Ok(whole)
    }

    fn decode(
        &self,
        found: &Found,
        records: &[u8],
    ) -> Result<(Position, Message, DeliveryState), StoreError> {
        let (chunk, index) = (found.chunk, found.index);
        let place = || format!("slot {index} of chunk {chunk}");
        let bytes = record_of(records, &found.slot).map_err(self.shared.damaged(place))?;
        let (message, mut state) =
            record::decode(&mut Input::new(bytes)).map_err(self.shared.damaged(place))?;
        let failed = self.shared.engine("cannot read");
        if let Some(returned) = self.returned.get((chunk, index)).map_err(failed)? {
            state = record::decode_state(&mut Input::new(returned.value()))
                .map_err(self.shared.damaged(place))?;
        }
        Ok((found.slot.at.position, message, state))
    }
}
