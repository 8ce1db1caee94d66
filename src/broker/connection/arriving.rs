//! Frames that arrive in pieces: their memory is accounted before they are messages, so that many
//! peers that send much and finish nothing cannot take more than there is.

use super::Connection;
use crate::core::{Now, Refusal, Tick};

/// So many bytes of an unfinished frame are nobody's concern; more are not taken while memory is full.
const FREE: usize = 64 * 1024;

/// The frame that is arriving.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    bytes: usize,
    /// Since when nothing more is taken of it, because memory is full.
    held_since: Option<Tick>,
}

impl Arriving {
    pub(super) fn is_held(&self) -> bool {
        self.held_since.is_some()
    }

    /// There may be memory again.
    pub(super) fn release(&mut self) {
        self.held_since = None;
    }
}

impl Connection {
    /// Says how many bytes are held of a frame that has not arrived whole.
    pub fn set_arriving(&mut self, now: Now, bytes: usize) {
        let delta = signed(bytes) - signed(self.arriving.bytes);
        if delta == 0 {
            return;
        }
        self.arriving.bytes = bytes;
        for waker in self.shared.flow.book(delta) {
            waker.wake();
        }
        if bytes <= FREE {
            self.arriving.release();
        } else if self.shared.flow.memory_refuses().is_some() {
            self.shared.flow.wait(&self.outbox);
            // Memory may have become free before it was known that somebody waits for it.
            if self.shared.flow.memory_refuses().is_some() {
                self.arriving.held_since.get_or_insert(now.tick);
            }
        }
    }

    /// When the arriving frame has waited for memory for too long.
    pub(super) fn arriving_deadline(&self) -> Option<Tick> {
        let timeout = self.shared.limits.full_timeout.as_millis();
        let since = self.arriving.held_since?;
        Some(since.after(u64::try_from(timeout).unwrap_or(u64::MAX)))
    }

    /// Why the arriving frame is not to be waited for any longer, if so.
    pub fn refuses_arriving(&mut self, now: Now) -> Option<Refusal> {
        let deadline = self.arriving_deadline()?;
        if deadline > now.tick {
            return None;
        }
        self.arriving.release();
        self.shared.flow.memory_refuses()
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
