//! The bytes of the ring: its first block, and the records in all others. `docs/storage-format.md`
//! documents them.

use super::super::bytes::Input;
use super::super::{FormatError, serial};
use crate::core::{Persist, Sequence};

/// Everything in the ring lies at multiples of this, which is what a disk writes in one piece or in
/// few.
pub(super) const BLOCK: usize = 4096;

const RING_MAGIC: [u8; 8] = *b"TGRING1\0";
const RECORD_MAGIC: [u8; 4] = *b"TGR1";

/// Bytes in front of a record's batch.
pub(super) const HEAD: usize = 48;

/// Where the checksum is in a record's head. It covers what is in front of it and the checksum at the
/// end of the batch, which covers the batch: so all of it is covered, and read once.
const SUM_AT: usize = 40;

/// Bytes of a batch's checksum.
const BATCH_SUM: usize = 4;

/// The first block of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Title {
    /// The store that the ring belongs to.
    pub(super) store: u64,
    /// Bytes for records.
    pub(super) capacity: u64,
}

impl Title {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = RING_MAGIC.to_vec();
        block.extend_from_slice(&self.store.to_le_bytes());
        block.extend_from_slice(&self.capacity.to_le_bytes());
        let sum = crc32c::crc32c(&block);
        block.extend_from_slice(&sum.to_le_bytes());
        block.resize(BLOCK, 0);
        block
    }

    /// Reads the first block; `None` if it is none.
    pub(super) fn decode(block: &[u8]) -> Option<Self> {
        let covered = block.get(..24)?;
        let mut input = Input::new(block);
        if input.take("a ring's magic", 8).ok()? != RING_MAGIC {
            return None;
        }
        let title = Self {
            store: input.u64("a ring's store").ok()?,
            capacity: input.u64("a ring's capacity").ok()?,
        };
        let sum = input.u32("a ring's checksum").ok()?;
        let sound = title.capacity > 0 && title.capacity.is_multiple_of(BLOCK as u64);
        (sound && sum == crc32c::crc32c(covered)).then_some(title)
    }
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the batch.
    pub(super) length: u32,
    pub(super) store: u64,
    /// How often the ring had been written round before.
    pub(super) lap: u64,
    /// Records are numbered without gaps.
    pub(super) number: u64,
    /// All records up to this one were flushed when this one was written.
    pub(super) flushed: u64,
}

impl Head {
    /// Reads a head and checks only what it is.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let mut input = Input::new(bytes);
        if input.take("a record's magic", 4).ok()? != RECORD_MAGIC {
            return None;
        }
        let head = Self {
            length: input.u32("a record's length").ok()?,
            store: input.u64("a record's store").ok()?,
            lap: input.u64("a record's lap").ok()?,
            number: input.u64("a record's number").ok()?,
            flushed: input.u64("what was flushed").ok()?,
        };
        Some((head, input.u32("a record's checksum").ok()?))
    }

    /// Bytes that the record takes in the ring.
    pub(super) fn size(&self) -> u64 {
        padded(HEAD + self.length as usize) as u64
    }
}

/// Whether the bytes of a record, from its head to the end of its batch, are what was written.
pub(super) fn is_whole(record: &[u8], sum: u32) -> bool {
    let (Some(front), Some(batch)) = (record.get(..SUM_AT), record.get(HEAD..)) else {
        return false;
    };
    checksum(front, batch) == sum && serial::is_whole(batch)
}

fn checksum(front: &[u8], batch: &[u8]) -> u32 {
    let end = batch.last_chunk::<BATCH_SUM>();
    let end = end.map_or(&[][..], |sum| sum);
    crc32c::crc32c_append(crc32c::crc32c(front), end)
}

/// The next multiple of a block.
pub(super) fn padded(length: usize) -> usize {
    length.next_multiple_of(BLOCK)
}

/// Reads the changes of a record.
pub(super) fn changes(record: &[u8]) -> Result<Vec<Persist>, FormatError> {
    let batch = record.get(HEAD..).unwrap_or_default();
    serial::read(batch).map(|batch| batch.changes)
}

/// A record under construction, in memory whose place suits direct writes.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// More is given back after use.
    const KEEP: usize = 8 << 20;

    /// Writes a record of these changes, which are expected to take about so many bytes. The head says
    /// everything but the length.
    pub(super) fn write<'c>(
        &mut self,
        head: &Head,
        sequences: (Sequence, Sequence),
        changes: impl Iterator<Item = &'c Persist>,
        expected: usize,
    ) {
        self.bytes.clear();
        if self.bytes.capacity() > Self::KEEP {
            self.bytes = Vec::new();
        }
        self.bytes.reserve(padded(HEAD + expected) + 2 * BLOCK);
        self.start = self.bytes.as_ptr().align_offset(BLOCK).min(BLOCK);
        self.bytes.resize(self.start + HEAD, 0);
        serial::write_parts(&mut self.bytes, sequences.0, sequences.1, changes);
        let length = self.bytes.len() - self.start - HEAD;
        self.write_head(&Head {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            ..*head
        });
        self.bytes.resize(self.start + padded(HEAD + length), 0);
        self.align();
    }

    fn write_head(&mut self, head: &Head) {
        let mut front = Vec::with_capacity(HEAD);
        front.extend_from_slice(&RECORD_MAGIC);
        front.extend_from_slice(&head.length.to_le_bytes());
        for number in [head.store, head.lap, head.number, head.flushed] {
            front.extend_from_slice(&number.to_le_bytes());
        }
        let batch = self.bytes.get(self.start + HEAD..).unwrap_or_default();
        let sum = checksum(&front, batch);
        front.extend_from_slice(&sum.to_le_bytes());
        if let Some(place) = self.bytes.get_mut(self.start..self.start + front.len()) {
            place.copy_from_slice(&front);
        }
    }

    /// Moves the record if the memory has moved while it was written.
    fn align(&mut self) {
        let length = self.bytes.len() - self.start;
        if self.blocks().as_ptr().align_offset(BLOCK) == 0 {
            return;
        }
        self.bytes.reserve(BLOCK);
        let start = self.bytes.as_ptr().align_offset(BLOCK).min(BLOCK);
        self.bytes.resize((start + length).max(self.bytes.len()), 0);
        self.bytes
            .copy_within(self.start..self.start + length, start);
        self.bytes.truncate(start + length);
        self.start = start;
    }

    /// The record in whole blocks.
    pub(super) fn blocks(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}
