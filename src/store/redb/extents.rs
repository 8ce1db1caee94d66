//! Where the messages of each destination are: runs of positions, each in one chunk.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::super::FormatError;
use super::super::bytes::{Input, put_varint};
use crate::core::{DestinationId, Position};

/// The messages of one destination that one chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) chunk: u64,
    /// How many of them are alive.
    pub(super) live: u32,
    /// At least the largest `last` of this one and all before it.
    reach: Position,
}

/// The extents of all destinations, each list in the order of `first`.
#[derive(Debug, Default)]
pub(super) struct Extents {
    lists: FxHashMap<DestinationId, VecDeque<Extent>>,
}

impl Extents {
    pub(super) fn add(
        &mut self,
        destination: DestinationId,
        chunk: u64,
        (first, last): (Position, Position),
        live: u32,
    ) {
        let run = self.lists.entry(destination).or_default();
        let index = run.partition_point(|extent| extent.first <= first);
        let extent = Extent {
            first,
            last,
            chunk,
            live,
            reach: last,
        };
        run.insert(index, extent);
        let mut reach = index
            .checked_sub(1)
            .and_then(|before| run.get(before))
            .map_or(Position(0), |before| before.reach);
        for extent in run.range_mut(index..) {
            reach = reach.max(extent.last);
            extent.reach = reach;
        }
    }

    /// Messages of a destination in a chunk are gone.
    pub(super) fn settle(&mut self, destination: DestinationId, chunk: u64, count: u32) {
        let Some(list) = self.lists.get_mut(&destination) else {
            return;
        };
        // Settled messages are mostly the oldest.
        let Some(index) = list.iter().position(|extent| extent.chunk == chunk) else {
            return;
        };
        if let Some(extent) = list.get_mut(index) {
            extent.live = extent.live.saturating_sub(count);
            if extent.live == 0 {
                list.remove(index);
            }
        }
        if list.is_empty() {
            self.lists.remove(&destination);
        } else if list.capacity() > 64 && list.len() < list.capacity() / 4 {
            list.shrink_to(list.len() * 2);
        }
    }

    /// The chunks that may hold a position, the likeliest first.
    pub(super) fn candidates(
        &self,
        destination: DestinationId,
        position: Position,
    ) -> impl Iterator<Item = u64> {
        let list = self.lists.get(&destination);
        let end = list.map_or(0, |list| {
            list.partition_point(|extent| extent.first <= position)
        });
        list.into_iter()
            .flat_map(move |list| list.range(..end).rev())
            .take_while(move |extent| extent.reach >= position)
            .filter(move |extent| extent.last >= position)
            .map(|extent| extent.chunk)
    }

    /// Extents that may hold positions at or after `from`, in their order, from the first such one
    /// on.
    pub(super) fn from(
        &self,
        destination: DestinationId,
        from: Position,
    ) -> impl Iterator<Item = Extent> {
        let list = self.lists.get(&destination);
        let start = list.map_or(0, |list| list.partition_point(|extent| extent.reach < from));
        list.into_iter()
            .flat_map(move |list| list.range(start..))
            .filter(move |extent| extent.last >= from)
            .copied()
    }

    pub(super) fn of(&self, destination: DestinationId) -> Vec<Extent> {
        self.from(destination, Position(0)).collect()
    }

    /// Every destination with its extents, as bytes.
    pub(super) fn encode(&self) -> impl Iterator<Item = (DestinationId, Vec<u8>)> {
        self.lists.iter().map(|(destination, list)| {
            let mut out = Vec::with_capacity(list.len() * 12);
            for extent in list {
                put_varint(&mut out, extent.first.0);
                put_varint(&mut out, extent.last.0);
                put_varint(&mut out, extent.chunk);
                put_varint(&mut out, u64::from(extent.live));
            }
            (*destination, out)
        })
    }

    /// Takes over what `encode` wrote for one destination.
    pub(super) fn decode(
        &mut self,
        destination: DestinationId,
        bytes: &[u8],
    ) -> Result<(), FormatError> {
        let mut input = Input::new(bytes);
        while input.left() > 0 {
            let first = Position(input.varint("an extent")?);
            let last = Position(input.varint("an extent")?);
            let chunk = input.varint("an extent")?;
            let live = u32::try_from(input.varint("an extent")?).unwrap_or(u32::MAX);
            self.add(destination, chunk, (first, last), live);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: DestinationId = DestinationId(1);

    fn extents(list: &[(u64, u64, u64)]) -> Extents {
        let mut extents = Extents::default();
        for (first, last, chunk) in list {
            extents.add(HERE, *chunk, (Position(*first), Position(*last)), 2);
        }
        extents
    }

    fn candidates(extents: &Extents, position: u64) -> Vec<u64> {
        extents.candidates(HERE, Position(position)).collect()
    }

    #[test]
    fn a_position_is_looked_for_wherever_it_may_be() {
        let some = extents(&[(1, 100, 10), (101, 200, 11), (50, 60, 12), (201, 300, 13)]);
        assert_eq!(candidates(&some, 55), [12, 10]);
        assert_eq!(candidates(&some, 150), [11]);
        assert_eq!(candidates(&some, 61), [10]);
        assert_eq!(candidates(&some, 301), [0; 0]);
        let from: Vec<_> = some
            .from(HERE, Position(90))
            .map(|extent| extent.chunk)
            .collect();
        assert_eq!(from, [10, 11, 13]);
    }

    #[test]
    fn an_extent_without_live_messages_is_forgotten() {
        let mut some = extents(&[(1, 100, 10), (101, 200, 11)]);
        some.settle(HERE, 11, 1);
        assert_eq!(candidates(&some, 150), [11]);
        some.settle(HERE, 11, 1);
        assert_eq!(candidates(&some, 150), [0; 0]);
        some.settle(HERE, 10, 2);
        assert!(some.lists.is_empty());
    }

    #[test]
    fn extents_are_read_back_as_written() {
        let some = extents(&[(1, 100, 10), (101, 200, 11), (50, 60, 12)]);
        let mut read = Extents::default();
        for (destination, bytes) in some.encode() {
            read.decode(destination, &bytes).unwrap();
        }
        assert_eq!(read.of(HERE), some.of(HERE));
    }
}
