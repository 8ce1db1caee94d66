//! What the store's write-ahead ring does.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::names;

/// The handles, made once.
#[derive(Clone, Debug)]
pub(super) struct RingMetrics {
    used: Gauge,
    capacity: Gauge,
    flush: Histogram,
    fold: Histogram,
    folded: Counter,
    cancelled: Counter,
}

impl RingMetrics {
    pub(super) fn register() -> Self {
        Self {
            used: names::RING_BYTES.gauge(&["used"]),
            capacity: names::RING_BYTES.gauge(&["capacity"]),
            flush: names::RING_FLUSH.histogram(&[]),
            fold: names::RING_FOLD.histogram(&[]),
            folded: names::RING_MESSAGES.counter(&["folded"]),
            cancelled: names::RING_MESSAGES.counter(&["cancelled"]),
        }
    }

    pub(super) fn show(&self, ring: Option<(u64, u64)>) {
        if let Some((used, capacity)) = ring {
            super::set(&self.used, used);
            super::set(&self.capacity, capacity);
        }
    }

    pub(super) fn folded(&self, messages: usize, cancelled: usize, took: Duration) {
        self.folded.increment(messages as u64);
        self.cancelled.increment(cancelled as u64);
        self.fold.record(took.as_secs_f64());
    }

    pub(super) fn flushed(&self, took: Duration) {
        self.flush.record(took.as_secs_f64());
    }
}
