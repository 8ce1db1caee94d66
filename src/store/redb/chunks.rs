//! How much of each chunk is alive.

use rustc_hash::FxHashMap;

use super::super::FormatError;
use super::super::bytes::{Input, put_varint};
use super::head::{Head, Slot};

/// One chunk.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    slots: u32,
    live: u32,
    bytes: u64,
    live_bytes: u64,
    /// A bit for each slot whose message is gone; empty while there is none.
    dead: Vec<u8>,
    /// Several destinations share it.
    pub(super) mixed: bool,
    pub(super) transient: bool,
    pub(super) segmented: bool,
    /// Some of its messages came back, which the file knows by slot.
    pub(super) has_returned: bool,
}

impl Chunk {
    pub(super) fn of(head: &Head, mixed: bool) -> Self {
        let bytes = head.slots.iter().map(|slot| u64::from(slot.length)).sum();
        let slots = u32::try_from(head.slots.len()).unwrap_or(u32::MAX);
        Self {
            slots,
            live: slots,
            bytes,
            live_bytes: bytes,
            dead: Vec::new(),
            mixed,
            transient: head.transient,
            segmented: head.segmented,
            has_returned: false,
        }
    }

    pub(super) fn is_dead(&self, index: usize) -> bool {
        is_set(&self.dead, index)
    }

    pub(super) fn dead(&self) -> &[u8] {
        &self.dead
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Whether rewriting what is alive would give more than half of it back.
    pub(super) fn is_sparse(&self) -> bool {
        !self.segmented && self.live_bytes * 2 < self.bytes
    }

    fn settle(&mut self, index: usize, slot: &Slot) {
        if self.dead.is_empty() {
            self.dead = vec![0; (self.slots as usize).div_ceil(8)];
        }
        if let Some(byte) = self.dead.get_mut(index / 8) {
            *byte |= 1 << (index % 8);
        }
        self.live = self.live.saturating_sub(1);
        self.live_bytes = self.live_bytes.saturating_sub(u64::from(slot.length));
    }
}

/// Whether a bitmap has the bit for a slot.
pub(super) fn is_set(bitmap: &[u8], index: usize) -> bool {
    bitmap
        .get(index / 8)
        .is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

/// All chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    by_id: FxHashMap<u64, Chunk>,
    next: u64,
    live_bytes: u64,
}

impl Chunks {
    /// The number for a new chunk.
    pub(super) fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn insert(&mut self, id: u64, chunk: Chunk) {
        self.next = self.next.max(id);
        self.live_bytes += chunk.live_bytes;
        self.by_id.insert(id, chunk);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Chunk> {
        let chunk = self.by_id.remove(&id)?;
        self.live_bytes = self.live_bytes.saturating_sub(chunk.live_bytes);
        Some(chunk)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Chunk> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Chunk> {
        self.by_id.get_mut(&id)
    }

    /// The message in a slot is gone. Returns whether it was there before.
    pub(super) fn settle(&mut self, id: u64, index: usize, slot: &Slot) -> bool {
        let Some(chunk) = self
            .by_id
            .get_mut(&id)
            .filter(|chunk| !chunk.is_dead(index))
        else {
            return false;
        };
        chunk.settle(index, slot);
        self.live_bytes = self.live_bytes.saturating_sub(u64::from(slot.length));
        true
    }

    /// Bytes of all live records.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Chunk)> {
        self.by_id.iter().map(|(id, chunk)| (*id, chunk))
    }

    /// Takes over what `acked` says of a chunk after a crash.
    pub(super) fn settle_all(&mut self, id: u64, head: &Head, dead: &[u8]) {
        for (index, slot) in head.slots.iter().enumerate() {
            if is_set(dead, index) {
                self.settle(id, index, slot);
            }
        }
    }
}

const MIXED: u8 = 1;
const SEGMENTED: u8 = 1 << 1;
const HAS_RETURNED: u8 = 1 << 2;

impl Chunk {
    /// What a clean stop saves of it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.dead.len());
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.push(
            flag(self.mixed, MIXED)
                | flag(self.segmented, SEGMENTED)
                | flag(self.has_returned, HAS_RETURNED),
        );
        for number in [
            u64::from(self.slots),
            u64::from(self.live),
            self.bytes,
            self.live_bytes,
        ] {
            put_varint(&mut out, number);
        }
        out.extend_from_slice(&self.dead);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Input::new(bytes);
        let flags = input.u8("the flags of a chunk")?;
        let mut small = |what| {
            let found = input.varint(what)?;
            u32::try_from(found).map_err(|_| FormatError::Value { what, found })
        };
        let slots = small("the slots of a chunk")?;
        let live = small("the live slots of a chunk")?;
        Ok(Self {
            slots,
            live,
            bytes: input.varint("the bytes of a chunk")?,
            live_bytes: input.varint("the live bytes of a chunk")?,
            dead: input.take("a bitmap", input.left())?.to_vec(),
            mixed: flags & MIXED != 0,
            transient: false,
            segmented: flags & SEGMENTED != 0,
            has_returned: flags & HAS_RETURNED != 0,
        })
    }
}
