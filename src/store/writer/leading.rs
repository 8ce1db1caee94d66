//! Who commits: the writer's thread, or, if that is quick, the thread that appended last.
//!
//! Waking the thread and being woken by it takes about as long as one quick flush. A lone sender does
//! without: it is asked to commit by itself as soon as it is done with what it does. Whoever is asked
//! must do so, or hand the work over to the thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Durable, Gather, Parked, Writer};
use crate::core::Tick;

/// Commits that take longer than this on the average are not worth holding up a thread that has other
/// things to do.
const QUICK: Duration = Duration::from_micros(200);

/// Nor is a batch of more bytes.
const SMALL: usize = 64 << 10;

/// How long commits take: a moving average in microseconds, 0 before the first.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn took(&self, elapsed: Duration) {
        let new = u64::try_from(elapsed.as_micros())
            .unwrap_or(u64::MAX / 8)
            .clamp(1, u64::MAX / 8);
        let old = self.0.load(Ordering::Relaxed);
        let average = if old == 0 { new } else { (7 * old + new) / 8 };
        self.0.store(average, Ordering::Relaxed);
    }

    pub(super) fn is_quick(&self) -> bool {
        let average = self.0.load(Ordering::Relaxed);
        average > 0 && u128::from(average) <= QUICK.as_micros()
    }
}

impl Writer {
    /// Whether the one who has appended will commit. If so the thread need not be woken.
    pub(super) fn is_led_by(&self, gather: &Gather, waiter: Option<&Arc<dyn Durable>>) -> bool {
        self.is_due(gather)
            && gather.open.bytes() <= SMALL
            && self.pace.is_quick()
            && waiter.is_some_and(|waiter| waiter.lead())
    }

    /// Commits what has gathered, if that can be expected to be quick and nobody else is at it. To be
    /// called after [`Durable::lead`] has agreed, or else [`Writer::hand_over`].
    pub fn lead(&self, now: Tick) {
        let bytes = self.pending_bytes();
        let led = bytes <= SMALL
            && self.turn.try_lock().is_some_and(|turn| {
                let prompt = self.is_prompt(bytes);
                if prompt {
                    self.step_in(now, &turn);
                }
                prompt
            });
        if !led {
            self.hand_over();
        }
    }

    /// Wakes the thread if there is something for it to do.
    pub fn hand_over(&self) {
        let mut gather = self.gather.lock();
        if gather.parked != Parked::No && self.is_due(&gather) {
            gather.parked = Parked::No;
            self.work.notify_one();
        }
    }

    fn is_prompt(&self, bytes: usize) -> bool {
        let store = self.store.lock();
        store.as_ref().is_some_and(|store| store.is_prompt(bytes))
    }
}
