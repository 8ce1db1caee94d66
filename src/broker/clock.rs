//! The one place that reads the clocks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::core::{Now, Tick, Timestamp};

/// The broker's clocks: ticks since its start, and the wall.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual(Arc<Mutex<Now>>),
}

impl Clock {
    /// A clock whose ticks begin here.
    #[allow(clippy::disallowed_methods, reason = "the owner of time")]
    pub fn start() -> Self {
        Self(Source::System {
            started: Instant::now(),
        })
    }

    /// A clock that stands still until [`Clock::advance`], for simulations.
    pub fn manual(now: Now) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(now))))
    }

    /// This moment.
    #[allow(clippy::disallowed_methods, reason = "the owner of time")]
    pub fn now(&self) -> Now {
        match &self.0 {
            Source::System { started } => {
                let wall = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Now {
                    wall: Timestamp(millis(wall)),
                    tick: Tick(millis(started.elapsed())),
                }
            }
            Source::Manual(now) => *now.lock(),
        }
    }

    /// Moves a clock on that stands still; others move by themselves.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let mut now = now.lock();
            now.wall = Timestamp(now.wall.0.saturating_add(millis(by)));
            now.tick = now.tick.after(millis(by));
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
