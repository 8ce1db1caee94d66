//! Messages packed into chunks: many in one value of the file, so that a commit writes few pages.

use std::sync::Arc;

use super::super::FormatError;
use super::super::bytes::Input;
use super::head::{Head, Slot};
use crate::core::{DestinationId, Position, StoredAt};

const VERSION: u8 = 1;

/// Version and checksum in front of the records.
pub(super) const PREAMBLE: usize = 5;

/// The largest chunk: just under a power of two, since the file's pages are powers of two.
pub(super) const CHUNK_MAX: usize = 256 * 1024 - 128;

/// A destination with at least this many bytes in one commit gets chunks of its own.
pub(super) const OWN_CHUNK_MIN: usize = 16 * 1024;

/// A record on its way into a chunk.
pub(super) struct Record {
    pub(super) at: StoredAt,
    pub(super) priority: crate::core::Priority,
    pub(super) footprint: u32,
    /// Its bytes, as a range of the buffer that all records of a commit are written to.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Record {
    fn len(&self) -> usize {
        self.end - self.start
    }
}

/// A chunk that is to be written.
pub(super) struct Packed {
    pub(super) head: Arc<Head>,
    /// Version, checksum and records.
    pub(super) bytes: Vec<u8>,
    /// Whether several destinations share it.
    pub(super) mixed: bool,
}

/// Packs records, sorted by destination and position, into chunks.
pub(super) fn pack(records: &[Record], buffer: &[u8], transient: bool) -> Vec<Packed> {
    let mut packed = Vec::new();
    let mut shared: Vec<&Record> = Vec::new();
    for run in records.chunk_by(|a, b| a.at.destination == b.at.destination) {
        let bytes: usize = run.iter().map(Record::len).sum();
        if bytes >= OWN_CHUNK_MIN {
            fill(
                &run.iter().collect::<Vec<_>>(),
                buffer,
                transient,
                &mut packed,
            );
        } else {
            shared.extend(run);
        }
    }
    fill(&shared, buffer, transient, &mut packed);
    packed
}

/// Fills chunks one after the other.
fn fill(records: &[&Record], buffer: &[u8], transient: bool, packed: &mut Vec<Packed>) {
    let mut rest = records;
    while let Some(first) = rest.first() {
        if first.len() + PREAMBLE > CHUNK_MAX {
            packed.push(seal(&[first], buffer, transient, true));
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let mut size = PREAMBLE;
        let count = rest
            .iter()
            .take_while(|record| {
                size += record.len();
                size <= CHUNK_MAX
            })
            .count();
        let (now, later) = rest.split_at(count);
        packed.push(seal(now, buffer, transient, false));
        rest = later;
    }
}

fn seal(records: &[&Record], buffer: &[u8], transient: bool, segmented: bool) -> Packed {
    let size: usize = records.iter().map(|record| record.len()).sum();
    let mut bytes = Vec::with_capacity(size + PREAMBLE);
    bytes.push(VERSION);
    bytes.extend_from_slice(&[0; 4]);
    let mut slots = Vec::with_capacity(records.len());
    let mut offset = 0;
    for record in records {
        bytes.extend_from_slice(buffer.get(record.start..record.end).unwrap_or_default());
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        slots.push(Slot {
            at: record.at,
            priority: record.priority,
            offset,
            length,
            footprint: record.footprint,
        });
        offset = offset.saturating_add(length);
    }
    let sum = crc32c::crc32c(bytes.get(PREAMBLE..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(1..PREAMBLE) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    let ends = slots.first().zip(slots.last());
    let mixed = ends.is_some_and(|(first, last)| first.at.destination != last.at.destination);
    Packed {
        head: Arc::new(Head {
            slots,
            transient,
            segmented,
        }),
        bytes,
        mixed,
    }
}

/// The records of a chunk, after a look at its version and checksum.
pub(super) fn records(chunk: &[u8]) -> Result<&[u8], FormatError> {
    let mut input = Input::new(chunk);
    let version = input.u8("the version of a chunk")?;
    if version != VERSION {
        return Err(FormatError::Value {
            what: "the version of a chunk",
            found: u64::from(version),
        });
    }
    let expected = input.u32("the checksum of a chunk")?;
    let records = input.take("a chunk", input.left())?;
    let found = crc32c::crc32c(records);
    if found != expected {
        let what = "a chunk";
        return Err(FormatError::Checksum {
            what,
            expected,
            found,
        });
    }
    Ok(records)
}

/// The runs of positions in a head, by destination, with the number of slots.
pub(super) fn runs(
    head: &Head,
) -> impl Iterator<Item = (DestinationId, (Position, Position), u32)> {
    head.slots
        .chunk_by(|a, b| a.at.destination == b.at.destination)
        .filter_map(|run| {
            let (first, last) = run.first().zip(run.last())?;
            let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
            let ends = (first.at.position, last.at.position);
            Some((first.at.destination, ends, count))
        })
}
