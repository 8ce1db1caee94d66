//! Reading the ring after a crash: which records count.
//!
//! Records follow one another by number from where the file below left off. The first one that is not
//! there, or not whole, is where the power failed: it was not flushed, so nobody was told that it was
//! safe. Unless a later record says that it had been: then what was promised is gone.

use std::io;

use super::super::FormatError;
use super::device::RingDevice;
use super::record::{self, BLOCK, HEAD, Head, Title};
use crate::core::Persist;

/// Where the first record that the file below does not know is, or will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingMark {
    /// Bytes written to the ring since it was made, what was skipped at its ends included.
    pub position: u64,
    /// The number of the record.
    pub number: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The changes of each record, in order.
    pub(super) batches: Vec<Vec<Persist>>,
    /// The number behind the last record.
    pub(super) next: u64,
    /// The highest lap of a record that counts.
    pub(super) lap: u64,
    /// A record that is missing although it was flushed: its place in the file and its number.
    pub(super) damage: Option<(u64, u64)>,
}

/// Why a scan could not be finished.
#[derive(Debug)]
pub(super) enum ScanError {
    Io(io::Error),
    /// A record that is what was written, and no batch.
    Format(u64, FormatError),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a ring.
pub(super) struct Scan<'d> {
    device: &'d dyn RingDevice,
    title: Title,
}

impl<'d> Scan<'d> {
    pub(super) fn new(device: &'d dyn RingDevice, title: Title) -> Self {
        Self { device, title }
    }

    /// Finds the records behind a mark. With `salvage`, those behind damage count too.
    pub(super) fn run(&self, mark: RingMark, salvage: bool) -> Result<Found, ScanError> {
        let capacity = self.title.capacity;
        let mut found = Found {
            next: mark.number,
            lap: mark.position / capacity,
            ..Found::default()
        };
        let start_lap = found.lap;
        let mut at = mark.position;
        while at - mark.position <= capacity {
            let here = self.record(at, found.next)?;
            let next_lap = (at / capacity + 1) * capacity;
            let Some((place, head, bytes)) = (match here {
                Some((head, bytes)) => Some((at, head, bytes)),
                // It did not fit in front of the ring's end.
                None => self
                    .record(next_lap, found.next)?
                    .map(|(head, bytes)| (next_lap, head, bytes)),
            }) else {
                break;
            };
            let changes = record::changes(&bytes);
            let changes = changes.map_err(|error| ScanError::Format(self.offset(place), error))?;
            found.batches.push(changes);
            found.next += 1;
            found.lap = head.lap;
            at = place + head.size();
        }
        let later = self.later(found.next, start_lap)?;
        if later.iter().any(|head| head.1.flushed >= found.next) {
            found.damage = Some((self.offset(at), found.next));
            if salvage {
                self.salvage(&later, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Takes over what lies behind damage, in order.
    fn salvage(&self, later: &[(u64, Head)], found: &mut Found) -> Result<(), ScanError> {
        for (at, head) in later {
            // A disk that has gone wrong may hold one twice.
            if head.number < found.next {
                continue;
            }
            if let Some((_, bytes)) = self.record(*at, head.number)? {
                let changes = record::changes(&bytes);
                let changes =
                    changes.map_err(|error| ScanError::Format(self.offset(*at), error))?;
                found.batches.push(changes);
                found.next = head.number + 1;
                found.lap = found.lap.max(head.lap);
            }
        }
        Ok(())
    }

    /// All whole records from a number on, by number: those of this lap and the next.
    fn later(&self, from: u64, lap: u64) -> Result<Vec<(u64, Head)>, ScanError> {
        let mut later = Vec::new();
        let mut block = [0; BLOCK];
        let mut place = 0;
        while place + BLOCK as u64 <= self.title.capacity {
            self.device.read(BLOCK as u64 + place, &mut block)?;
            if let Some((head, _)) = Head::decode(&block)
                && head.number >= from
                && (lap..=lap + 1).contains(&head.lap)
            {
                let at = head.lap * self.title.capacity + place;
                if self.record(at, head.number)?.is_some() {
                    later.push((at, head));
                }
            }
            place += BLOCK as u64;
        }
        later.sort_unstable_by_key(|(_, head)| head.number);
        Ok(later)
    }

    /// The record of this number at this place, if it is there and whole.
    fn record(&self, at: u64, number: u64) -> Result<Option<(Head, Vec<u8>)>, ScanError> {
        let capacity = self.title.capacity;
        let (lap, place) = (at / capacity, at % capacity);
        let mut bytes = vec![0; BLOCK];
        self.device.read(self.offset(at), &mut bytes)?;
        let Some((head, sum)) = Head::decode(&bytes) else {
            return Ok(None);
        };
        let expected = (self.title.store, lap, number);
        if (head.store, head.lap, head.number) != expected || place + head.size() > capacity {
            return Ok(None);
        }
        let length = HEAD + head.length as usize;
        if length > BLOCK {
            bytes.resize(length, 0);
            let rest = bytes.get_mut(BLOCK..).unwrap_or_default();
            self.device.read(self.offset(at) + BLOCK as u64, rest)?;
        }
        bytes.truncate(length);
        Ok(record::is_whole(&bytes, sum).then_some((head, bytes)))
    }

    /// Where a place of the ring is in the file.
    fn offset(&self, at: u64) -> u64 {
        BLOCK as u64 + at % self.title.capacity
    }
}
