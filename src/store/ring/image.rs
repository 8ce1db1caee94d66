//! A ring as a value: what tests and fuzzers make, damage and read.

use std::io;

use parking_lot::Mutex;

use super::device::RingDevice;
use super::record::{BLOCK, Buffer, Head, Title};
use super::scan::{RingMark, Scan};
use crate::core::{Persist, Sequence};

/// A ring in memory.
#[derive(Debug, Default)]
pub struct RingImage(Mutex<Vec<u8>>);

/// What was found in a ring.
#[derive(Debug, PartialEq)]
pub enum RingRead {
    /// The changes of each record behind the mark.
    Whole(Vec<Vec<Persist>>),
    /// A record is gone that had been flushed, or cannot be read.
    Refused,
}

impl RingImage {
    /// A ring of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(bytes))
    }

    /// The ring of a store of this number, with so many blocks and a record for each batch, each
    /// flushed before the next. They are expected to fit.
    pub fn write(store: u64, blocks: u64, batches: &[Vec<Persist>]) -> Self {
        let capacity = blocks * BLOCK as u64;
        let mut bytes = Title { store, capacity }.encode();
        let mut buffer = Buffer::default();
        for (number, changes) in (1..).zip(batches) {
            let head = Head {
                length: 0,
                store,
                lap: 0,
                number,
                flushed: number - 1,
            };
            let sequences = (Sequence(number), Sequence(number));
            buffer.write(&head, sequences, changes.iter(), 0);
            bytes.extend_from_slice(buffer.blocks());
        }
        let whole = BLOCK + usize::try_from(capacity).unwrap_or(usize::MAX - BLOCK);
        bytes.resize(whole.max(bytes.len()), 0);
        Self::new(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().clone()
    }

    /// Reads the records from a mark on, as a start after a crash does.
    pub fn read_from(&self, mark: RingMark, salvage: bool) -> RingRead {
        let mut block = vec![0; BLOCK];
        let title = self.read(0, &mut block).ok();
        let Some(title) = title.and_then(|()| Title::decode(&block)) else {
            return RingRead::Refused;
        };
        match Scan::new(self, title).run(mark, salvage) {
            Ok(found) if found.damage.is_none() || salvage => RingRead::Whole(found.batches),
            _ => RingRead::Refused,
        }
    }
}

impl RingDevice for RingImage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock();
        let place = usize::try_from(offset).ok();
        let found = place.and_then(|place| bytes.get(place..place.checked_add(out.len())?));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock();
        let place = usize::try_from(offset).ok();
        let found = place.and_then(|place| bytes.get_mut(place..place.checked_add(blocks.len())?));
        found
            .ok_or(io::ErrorKind::StorageFull)?
            .copy_from_slice(blocks);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn clear(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        *self.0.lock() = vec![0; length];
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}
