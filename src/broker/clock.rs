//! The one place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::core::{Now, Tick, Timestamp};

/// The broker's clocks: ticks since its start, and the wall.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose ticks begin here.
    #[allow(clippy::disallowed_methods, reason = "the owner of time")]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// This moment.
    #[allow(clippy::disallowed_methods, reason = "the owner of time")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            wall: Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
            tick: Tick(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// How long until a tick comes; nothing if it is past.
    pub fn until(&self, tick: Tick) -> std::time::Duration {
        std::time::Duration::from_millis(tick.0.saturating_sub(self.now().tick.0))
    }
}
