//! Which message is in which slot of a chunk: enough to find, count and choose messages without
//! reading their bodies.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::FormatError;
use super::super::bytes::{Input, put_varint};
use crate::core::{DestinationId, Position, Priority, StoredAt};

const VERSION: u8 = 1;
const TRANSIENT: u8 = 1;
const SEGMENTED: u8 = 1 << 1;

/// How many slots are kept decoded for the messages that are settled next.
const CACHED_SLOTS: usize = 256 * 1024;

/// One message in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) at: StoredAt,
    pub(super) priority: Priority,
    /// Where its record starts among the chunk's records, and how long it is, in bytes.
    pub(super) offset: u32,
    pub(super) length: u32,
    /// What the message takes in memory, in bytes.
    pub(super) footprint: u32,
}

/// All messages of a chunk, in the order of destination and position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) slots: Vec<Slot>,
    /// The chunk is forgotten at the next start.
    pub(super) transient: bool,
    /// Its one record lies in segments.
    pub(super) segmented: bool,
}

impl Head {
    /// The slot of a message.
    pub(super) fn find(&self, at: StoredAt) -> Option<usize> {
        self.slots.binary_search_by_key(&at, |slot| slot.at).ok()
    }

    /// The slots of one destination.
    pub(super) fn of(&self, destination: DestinationId) -> std::ops::Range<usize> {
        let start = self
            .slots
            .partition_point(|slot| slot.at.destination < destination);
        let end = self
            .slots
            .partition_point(|slot| slot.at.destination <= destination);
        start..end
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.slots.len() * 8);
        out.push(VERSION);
        out.push((u8::from(self.transient) * TRANSIENT) | (u8::from(self.segmented) * SEGMENTED));
        put_varint(&mut out, self.slots.len() as u64);
        let mut last = StoredAt {
            destination: DestinationId(0),
            position: Position(0),
        };
        for slot in &self.slots {
            let step = slot.at.destination.0 - last.destination.0;
            let base = if step == 0 { last.position.0 } else { 0 };
            put_varint(&mut out, step);
            put_varint(&mut out, slot.at.position.0 - base);
            out.push(slot.priority.get());
            put_varint(&mut out, u64::from(slot.length));
            put_varint(&mut out, u64::from(slot.footprint));
            last = slot.at;
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Input::new(bytes);
        let version = input.u8("the version of a head")?;
        let flags = input.u8("the flags of a head")?;
        for (what, found, good) in [
            ("the version of a head", version, version == VERSION),
            (
                "the flags of a head",
                flags,
                flags & !(TRANSIENT | SEGMENTED) == 0,
            ),
        ] {
            if !good {
                let found = u64::from(found);
                return Err(FormatError::Value { what, found });
            }
        }
        let count = input.varint("the number of slots")?;
        let mut slots = Vec::new();
        let mut last = (0_u64, 0_u64);
        let mut offset = 0_u32;
        for _ in 0..count {
            let step = input.varint("a destination")?;
            let base = if step == 0 { last.1 } else { 0 };
            let destination = last.0.wrapping_add(step);
            let position = base.wrapping_add(input.varint("a position")?);
            let priority = Priority::clamped(i64::from(input.u8("a priority")?));
            let length = narrow("the length of a record", input.varint("a length")?)?;
            let footprint = narrow("a footprint", input.varint("a footprint")?)?;
            slots.push(Slot {
                at: StoredAt {
                    destination: DestinationId(destination),
                    position: Position(position),
                },
                priority,
                offset,
                length,
                footprint,
            });
            offset = offset.wrapping_add(length);
            last = (destination, position);
        }
        input.end("what follows the last slot")?;
        Ok(Self {
            slots,
            transient: flags & TRANSIENT != 0,
            segmented: flags & SEGMENTED != 0,
        })
    }
}

fn narrow(what: &'static str, found: u64) -> Result<u32, FormatError> {
    u32::try_from(found).map_err(|_| FormatError::Value { what, found })
}

/// Heads of chunks that were touched last.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    heads: FxHashMap<u64, Arc<Head>>,
    order: VecDeque<u64>,
    slots: usize,
}

impl HeadCache {
    pub(super) fn get(&self, chunk: u64) -> Option<Arc<Head>> {
        self.heads.get(&chunk).map(Arc::clone)
    }

    pub(super) fn insert(&mut self, chunk: u64, head: Arc<Head>) {
        self.slots += head.slots.len();
        if let Some(old) = self.heads.insert(chunk, head) {
            self.slots -= old.slots.len();
        } else {
            self.order.push_back(chunk);
        }
        while self.slots > CACHED_SLOTS && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(old) = self.heads.remove(&oldest) {
                self.slots -= old.slots.len();
            }
        }
    }

    pub(super) fn remove(&mut self, chunk: u64) {
        if let Some(old) = self.heads.remove(&chunk) {
            self.slots -= old.slots.len();
        }
        // Its place in the order is passed over when it is its turn.
        if self.order.len() > 64 && self.order.len() > 2 * self.heads.len() {
            self.order.retain(|chunk| self.heads.contains_key(chunk));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(destination: u64, position: u64, offset: u32, length: u32) -> Slot {
        Slot {
            at: StoredAt {
                destination: DestinationId(destination),
                position: Position(position),
            },
            priority: Priority::clamped(3),
            offset,
            length,
            footprint: length + 100,
        }
    }

    #[test]
    fn a_head_is_read_back_as_written() {
        let head = Head {
            slots: vec![
                slot(1, 7, 0, 10),
                slot(1, 900, 10, 70_000),
                slot(5, 2, 70_010, 1),
            ],
            transient: true,
            segmented: false,
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes).unwrap(), head);
        for cut in 0..bytes.len() {
            assert!(Head::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(head.of(DestinationId(1)), 0..2);
        assert_eq!(head.of(DestinationId(2)), 2..2);
        assert_eq!(head.find(head.slots[2].at), Some(2));
        assert_eq!(head.find(slot(1, 8, 0, 0).at), None);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = HeadCache::default();
        let head = Arc::new(Head {
            slots: vec![slot(1, 1, 0, 1); CACHED_SLOTS / 4],
            ..Head::default()
        });
        for chunk in 0..100 {
            cache.insert(chunk, Arc::clone(&head));
        }
        assert_eq!(cache.heads.len(), 4);
        assert!(cache.get(99).is_some());
        for chunk in 0..100 {
            cache.remove(chunk);
        }
        assert_eq!(cache.slots, 0);
    }
}
