//! What a topic keeps for subscriptions that are behind: each message once, however many wait for it.
//! The newest part is in memory; the older part goes to disk when memory has no room for it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::id::Position;
use super::super::message::Message;

/// A message that `waiting` subscriptions have not read.
#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    waiting: u32,
}

/// Messages from the oldest that anybody waits for to the newest, without gaps.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The position of the first message in memory.
    front: Position,
    resident: VecDeque<Kept>,
    bytes: u64,
    /// The first position on disk; those up to `front` are there.
    spilled_from: Option<Position>,
}

impl Log {
    /// Bytes of messages in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the newest message.
    pub(super) fn push(&mut self, position: Position, message: Arc<Message>, waiting: u32) {
        if self.resident.is_empty() {
            self.front = position;
        }
        self.bytes += message.footprint() as u64;
        self.resident.push_back(Kept { message, waiting });
    }

    /// Whether the message at this position has to be read from disk.
    pub(super) fn is_spilled(&self, position: Position) -> bool {
        self.spilled_from.is_some_and(|from| from <= position) && position < self.front
    }

    /// Reads a message for one of those that wait for it.
    pub(super) fn read(&mut self, position: Position) -> Option<Arc<Message>> {
        let index = usize::try_from(position.0.checked_sub(self.front.0)?).ok()?;
        let kept = self.resident.get_mut(index)?;
        kept.waiting = kept.waiting.saturating_sub(1);
        let message = Arc::clone(&kept.message);
        self.trim();
        Some(message)
    }

    /// One of those that wait leaves; it has read everything before `cursor`.
    pub(super) fn leave(&mut self, cursor: Position) {
        let skip = usize::try_from(cursor.0.saturating_sub(self.front.0)).unwrap_or(usize::MAX);
        for kept in self.resident.iter_mut().skip(skip) {
            kept.waiting = kept.waiting.saturating_sub(1);
        }
        self.trim();
    }

    /// Takes the oldest message out of memory, to be kept on disk.
    pub(super) fn spill(&mut self) -> Option<(Position, Arc<Message>)> {
        let kept = self.resident.pop_front()?;
        let position = self.front;
        self.front = position.next();
        self.bytes -= kept.message.footprint() as u64;
        self.spilled_from.get_or_insert(position);
        Some((position, kept.message))
    }

    /// Positions on disk that nobody waits for any more when the last reader is at `cursor`.
    pub(super) fn forget_spilled(&mut self, cursor: Position) -> std::ops::Range<u64> {
        let Some(from) = self.spilled_from else {
            return 0..0;
        };
        let until = cursor.min(self.front).max(from);
        self.spilled_from = (until < self.front).then_some(until);
        from.0..until.0
    }

    /// The position behind the last one on disk.
    pub(super) fn front(&self) -> Position {
        self.front
    }

    fn trim(&mut self) {
        while self.resident.front().is_some_and(|kept| kept.waiting == 0) {
            if let Some(kept) = self.resident.pop_front() {
                self.bytes -= kept.message.footprint() as u64;
                self.front = self.front.next();
            }
        }
        if self.resident.is_empty() && self.resident.capacity() > 0 {
            self.resident = VecDeque::new();
        }
    }
}
