//! The tables of the file, and the small values in them. `docs/storage-format.md` documents both.

use ::redb::TableDefinition;

use super::super::FormatError;
use super::super::bytes::Input;
use crate::core::{Position, Priority};

/// The version of everything in the file.
pub(super) const FORMAT: u64 = 1;

/// The same, with a ring beside it that holds what the tables do not know.
pub(super) const FORMAT_WITH_RING: u64 = 2;

/// Numbers about the store as a whole, by the names below.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Destinations: kind and name.
pub(super) const DESTINATION: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("destination");
/// Destinations: what is known of their messages.
pub(super) const STATISTICS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("statistics");
/// Chunks: records of messages.
pub(super) const CHUNK: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("chunk");
/// Pieces of messages that are larger than a chunk.
pub(super) const SEGMENT: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("segment");
/// Chunks: which message is in which slot.
pub(super) const HEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("head");
/// Partly settled chunks: a bit for each slot whose message is gone.
pub(super) const ACKED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("acked");
/// Messages that came back, by chunk and slot: what has happened to them.
pub(super) const RETURNED: TableDefinition<'_, (u64, u32), &[u8]> =
    TableDefinition::new("returned");
/// Chunks that are forgotten at the next start.
pub(super) const TRANSIENT: TableDefinition<'_, u64, ()> = TableDefinition::new("transient");
/// After a clean stop: where each destination's messages are. Not looked at after a crash.
pub(super) const EXTENT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("extent");
/// After a clean stop: how much of each chunk is alive. Not looked at after a crash.
pub(super) const CHUNK_STATE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("chunk_state");

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_STARTS: &str = "starts";
pub(super) const META_CLEAN: &str = "clean";
/// The number of this store, by which it knows its ring.
pub(super) const META_STORE: &str = "store";
/// While there is a ring: where the first record is that the tables do not know, and its number.
pub(super) const META_RING_POSITION: &str = "ring_position";
pub(super) const META_RING_NUMBER: &str = "ring_number";
pub(super) const META_NEXT_DESTINATION: &str = "next_destination";

/// What is known of a destination's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) last_position: Position,
    pub(super) horizon: Position,
    /// Messages and bytes of each priority; `None` while there are none.
    waiting: Option<Box<[(u64, u64); Priority::COUNT]>>,
}

impl Statistics {
    pub(super) fn waiting(&self) -> [(u64, u64); Priority::COUNT] {
        self.waiting.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, priority: Priority, bytes: u64) {
        let waiting = self.waiting.get_or_insert_default();
        if let Some((count, sum)) = waiting.get_mut(usize::from(priority.get())) {
            *count += 1;
            *sum += bytes;
        }
    }

    pub(super) fn remove(&mut self, priority: Priority, bytes: u64) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        if let Some((count, sum)) = waiting.get_mut(usize::from(priority.get())) {
            *count = count.saturating_sub(1);
            *sum = sum.saturating_sub(bytes);
        }
        if waiting.iter().all(|(count, _)| *count == 0) {
            self.waiting = None;
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(33);
        out.extend_from_slice(&self.last_position.0.to_le_bytes());
        out.extend_from_slice(&self.horizon.0.to_le_bytes());
        for (priority, (count, bytes)) in (0_u8..).zip(self.waiting()) {
            if count > 0 {
                out.push(priority);
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(&bytes.to_le_bytes());
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Input::new(bytes);
        let mut statistics = Self {
            last_position: Position(input.u64("a last position")?),
            horizon: Position(input.u64("a horizon")?),
            waiting: None,
        };
        while input.left() > 0 {
            let priority = input.u8("a priority")?;
            let waiting = statistics.waiting.get_or_insert_default();
            let place = waiting.get_mut(usize::from(priority));
            *place.ok_or(FormatError::Value {
                what: "a priority",
                found: u64::from(priority),
            })? = (input.u64("a count")?, input.u64("a sum of bytes")?);
        }
        Ok(statistics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_back_as_written() {
        let mut statistics = Statistics {
            last_position: Position(7),
            horizon: Position(1000),
            waiting: None,
        };
        assert_eq!(
            Statistics::decode(&statistics.encode()).unwrap(),
            statistics
        );
        statistics.add(Priority::clamped(9), 100);
        statistics.add(Priority::clamped(0), 5);
        let bytes = statistics.encode();
        assert_eq!(Statistics::decode(&bytes).unwrap(), statistics);
        assert!(Statistics::decode(&bytes[..bytes.len() - 1]).is_err());
        statistics.remove(Priority::clamped(9), 100);
        statistics.remove(Priority::clamped(0), 5);
        assert_eq!(statistics.waiting, None);
    }
}
