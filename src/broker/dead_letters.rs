//! Dead letters as whoever runs the broker works with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Broker;
use super::cell::{Cell, Destination, Work};
use super::error::BrokerError;
use super::shared::Shared;
use crate::core::{DestinationName, LetterFilter, Message, Now, Position};
use crate::store::PageLimit;

/// How much is read from the store, and moved under one lock.
const PAGE: PageLimit = PageLimit {
    messages: 1000,
    bytes: 1 << 20,
};

/// Dead letters that were dropped to make room for others. The log hears of the first, and then each
/// time that ten times as many are gone.
#[derive(Debug, Default)]
pub(super) struct LostLetters(AtomicU64);

impl LostLetters {
    /// Letters of a queue were dropped.
    pub(super) fn note(&self, queue: &DestinationName, count: u64) {
        let before = self.0.fetch_add(count, Ordering::Relaxed);
        let all = before.saturating_add(count);
        if before == 0 || all.ilog10() > before.ilog10() {
            tracing::warn!(target: "tidegate::queue", %queue, lost = all,
                "the queue holds all the dead letters it may (dead_letter.max_bytes): its oldest are dropped");
        }
    }
}

impl Broker {
    /// Sends dead letters that wait in a queue back to where they came from, up to `limit` of them, the
    /// oldest first as far as they are in memory. They arrive as they were sent, without what was said
    /// of their failures; an expiration that is over does not count any more. Returns how many went.
    ///
    /// Each moves in one change of the store, so that none is lost or doubled if the broker stops in
    /// between, and the call can be made again. Letters that a consumer holds stay, and those that
    /// arrive meanwhile may. A queue at its limit takes them all the same.
    ///
    /// # Errors
    /// When the store cannot be read. What went before that stays gone.
    pub fn retry_dead_letters(
        &self,
        queue: &DestinationName,
        filter: &LetterFilter,
        limit: usize,
    ) -> Result<usize, BrokerError> {
        let shared = &self.shared;
        let Some(cell) = shared.registry.find(queue) else {
            return Ok(0);
        };
        // Two at once would read the same letters.
        let _alone = self.retrying.lock();
        let wanted = |(_, message): &(Position, Arc<Message>)| filter.includes(message);
        let mut resident = cell.look(|destination| match destination {
            Destination::Queue(queue) => queue.waiting_in_memory(),
            Destination::Topic(_) => Vec::new(),
        });
        resident.retain(wanted);
        resident.sort_unstable_by_key(|(position, _)| *position);
        let mut count = retry(shared, &cell, resident.into_iter(), limit);
        let mut from = Position(0);
        while count < limit {
            let page = shared.reader.read(cell.id, from, None, PAGE)?;
            let read = page.messages.into_iter();
            let read = read.map(|(position, message, _)| (position, Arc::new(message)));
            count += retry(shared, &cell, read.filter(wanted), limit - count);
            if page.exhausted {
                break;
            }
            from = page.resume_at;
        }
        Ok(count)
    }
}

/// Sends letters back that are still there, up to `limit`.
fn retry(
    shared: &Shared,
    cell: &Arc<Cell>,
    letters: impl Iterator<Item = (Position, Arc<Message>)>,
    limit: usize,
) -> usize {
    let now: Now = shared.clock.now();
    let mut letters = letters.peekable();
    let mut count = 0;
    // A few under one lock: the forwards of a run wait until it is over.
    while count < limit && letters.peek().is_some() {
        Work::run(shared, now, |work| {
            let (moved, _) = cell.with(shared, work, None, |state, effects, _| {
                let Destination::Queue(queue) = &mut state.destination else {
                    return 0;
                };
                if shared.writer.committed() >= shared.writer.last_sequence() {
                    queue.all_is_committed();
                }
                let most = PAGE.messages.min(limit - count);
                let mut moved = 0;
                while moved < most
                    && let Some((position, message)) = letters.next()
                {
                    moved += usize::from(queue.retry(now, position, &message, effects));
                }
                moved
            });
            count += moved;
        });
    }
    count
}
