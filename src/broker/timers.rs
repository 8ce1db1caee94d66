//! When destinations want to be called. A destination says so only when that becomes earlier; one that
//! is called too early says again when.
//!
//! A value first: `step` does what is due. In production a thread calls it when the time has come, and
//! looks from time to time for destinations that nobody uses any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::cell::{Cell, Destination, Work};
use super::shared::Shared;
use crate::core::{Effects, Now, Tick};

/// How often, at most, it is looked for destinations that nobody uses, in milliseconds.
const COLLECT_EVERY: u64 = 1_000;

/// So many steps in a row are made before others are looked after.
const STEPS: u32 = 1000;

/// When something is tried again that could not be done, in milliseconds.
const AGAIN: u64 = 20;

/// The calls to be made.
#[derive(Debug, Default)]
pub(super) struct Timers {
    inner: Mutex<Inner>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    /// By time, then in the order in which they were asked for.
    calls: BTreeMap<(Tick, u64), Weak<Cell>>,
    asked: u64,
    /// There may be something else to wait for.
    nudged: bool,
    stopped: bool,
}

impl Timers {
    /// Calls a destination at this time.
    pub(super) fn ask(&self, at: Tick, cell: &Arc<Cell>) {
        let mut inner = self.inner.lock();
        inner.asked += 1;
        let number = inner.asked;
        let earliest = inner.calls.first_key_value().map(|((at, _), _)| *at);
        inner.calls.insert((at, number), Arc::downgrade(cell));
        if earliest.is_none_or(|earliest| at < earliest) {
            self.news.notify_one();
        }
    }

    /// Lets the thread look once more what it waits for.
    pub(super) fn nudge(&self) {
        self.inner.lock().nudged = true;
        self.news.notify_one();
    }

    /// When the next call is due.
    pub(super) fn next(&self) -> Option<Tick> {
        let inner = self.inner.lock();
        inner.calls.first_key_value().map(|((at, _), _)| *at)
    }

    /// Makes the calls that are due. Returns whether there were any.
    pub(super) fn step(&self, shared: &Shared) -> bool {
        let now = shared.clock.now();
        let due = {
            let mut inner = self.inner.lock();
            let later = inner.calls.split_off(&(now.tick.after(1), 0));
            std::mem::replace(&mut inner.calls, later)
        };
        let mut done = false;
        for cell in due.into_values().filter_map(|cell| cell.upgrade()) {
            done = true;
            Work::run(shared, now, |work| {
                cell.with(shared, work, None, |state, effects, _| {
                    state.destination.on_time(now, effects);
                });
            });
        }
        shared.scheduler.step(shared) || done
    }

    /// The thread: makes calls until the broker stops.
    pub(super) fn run(&self, shared: &Weak<Shared>) {
        let mut collected = Tick(0);
        loop {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let mut busy = 0;
            while self.step(&shared) && busy < STEPS {
                busy += 1;
            }
            let collect_at = collect(&shared, &mut collected);
            let now = shared.clock.now();
            let job_at = shared.scheduler.next(now);
            // One that is due and could not be sent on is tried again in a moment.
            let again = now.tick.after(if busy < STEPS { AGAIN } else { 0 });
            let job_at = job_at.map(|at| if at <= now.tick { again } else { at });
            let clock = shared.clock.clone();
            drop(shared);
            let mut inner = self.inner.lock();
            if inner.stopped {
                return;
            }
            if std::mem::take(&mut inner.nudged) {
                continue;
            }
            let call_at = inner.calls.first_key_value().map(|((at, _), _)| *at);
            match call_at.into_iter().chain(collect_at).chain(job_at).min() {
                None => self.news.wait(&mut inner),
                Some(Tick(at)) => {
                    let left = at.saturating_sub(clock.now().tick.0);
                    self.news.wait_for(&mut inner, Duration::from_millis(left));
                }
            }
            if inner.stopped {
                return;
            }
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.inner.lock().stopped = true;
        self.news.notify_one();
    }
}

/// Removes some of the destinations that nobody uses any more. Returns when to look again.
fn collect(shared: &Shared, collected: &mut Tick) -> Option<Tick> {
    let now = shared.clock.now();
    let collection = shared.registry.collection();
    let due = |collected: Tick| {
        let deadline = collection.deadline();
        deadline.map(|at| at.max(collected.after(COLLECT_EVERY)))
    };
    if due(*collected).is_some_and(|at| at <= now.tick) {
        if Work::run(shared, now, |work| collection.step(shared, work, now)) {
            return Some(now.tick);
        }
        *collected = now.tick;
    }
    due(*collected)
}

impl Destination {
    /// Does what is due.
    fn on_time(&mut self, now: Now, effects: &mut Effects) {
        match self {
            Self::Queue(queue) => queue.on_time(now, effects),
            Self::Topic(_) => {}
        }
    }
}
