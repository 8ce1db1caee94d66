//! Destinations that nobody has used for long are removed, and come back when somebody does.
//!
//! Each is looked at when its time may have come, so nothing ever scans all of them, and nothing that
//! is used pays for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::cell::{Cell, Work};
use super::registry::Death;
use super::shared::Shared;
use super::timers::Timers;
use crate::core::{DestinationId, Now, Tick};

/// How many are looked at in one step.
const STEP: usize = 256;

/// Destinations by when they are looked at next.
#[derive(Debug)]
pub(super) struct Collection {
    /// How long one has to be idle, in milliseconds; `None` is for ever.
    after: Option<u64>,
    due: Mutex<BTreeMap<(Tick, DestinationId), Weak<Cell>>>,
}

impl Collection {
    pub(super) fn new(after: Option<Duration>) -> Self {
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Self {
            after: after.map(millis),
            due: Mutex::default(),
        }
    }

    /// Looks at a destination from time to time.
    pub(super) fn watch(&self, cell: &Arc<Cell>, now: Now, timers: &Timers) {
        if let Some(after) = self.after {
            let at = (now.tick.after(after), cell.id);
            let first = {
                let mut due = self.due.lock();
                due.insert(at, Arc::downgrade(cell));
                due.len() == 1
            };
            if first {
                timers.nudge();
            }
        }
    }

    /// When the next one is to be looked at.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.after?;
        let due = self.due.lock();
        due.first_key_value().map(|((at, _), _)| *at)
    }

    /// One whose time may have come.
    fn next(&self, now: Now) -> Option<Arc<Cell>> {
        let mut due = self.due.lock();
        loop {
            let first = due
                .first_entry()
                .filter(|first| first.key().0 <= now.tick)?;
            if let Some(cell) = first.remove().upgrade() {
                return Some(cell);
            }
        }
    }

    /// Removes destinations that have been idle for long enough. Returns whether some have not been
    /// looked at whose time may have come.
    pub(super) fn step(&self, shared: &Shared, work: &mut Work, now: Now) -> bool {
        let Some(after) = self.after else {
            return false;
        };
        for _ in 0..STEP {
            let Some(cell) = self.next(now) else {
                return false;
            };
            // The queues of a virtual topic are what its consumers left behind to be served later.
            let kept =
                cell.name.is_durable() || shared.registry.rules().topic_of(&cell.name).is_some();
            if kept {
                continue;
            }
            let mut again = Some(now.tick.after(after));
            shared
                .registry
                .remove(&cell, Death::Idle, shared, work, |state| {
                    let idle = state.is_idle() && cell.has_settled();
                    if state.declared {
                        again = None;
                    } else if idle {
                        again = Some(state.used.after(after)).filter(|at| *at > now.tick);
                        return again.is_none();
                    }
                    false
                });
            if let Some(at) = again
                && !cell.is_gone()
            {
                self.due.lock().insert((at, cell.id), Arc::downgrade(&cell));
            }
        }
        true
    }
}
