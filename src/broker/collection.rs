//! Destinations that nobody has used for long are removed, and come back when somebody does.
//!
//! Each is looked at when its time may have come, so nothing ever scans all of them, and nothing that
//! is used pays for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::cell::{Cell, Work};
use super::config::Life;
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
    /// How long nobody may have received from a durable subscription.
    durable_after: Option<u64>,
    due: Mutex<BTreeMap<(Tick, DestinationId), Weak<Cell>>>,
}

impl Collection {
    pub(super) fn new(life: &Life) -> Self {
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Self {
            after: life.collect_after.map(millis),
            durable_after: life.forget_durable_after.map(millis),
            due: Mutex::default(),
        }
    }

    /// Looks at a destination from time to time.
    pub(super) fn watch(&self, cell: &Arc<Cell>, now: Now, timers: &Timers) {
        if let Some(after) = self.period(cell) {
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

    /// How long nobody may have used a destination.
    fn period(&self, cell: &Cell) -> Option<u64> {
        if cell.name.is_durable() {
            self.durable_after
        } else {
            self.after
        }
    }

    /// When the next one is to be looked at.
    pub(super) fn deadline(&self) -> Option<Tick> {
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
        for _ in 0..STEP {
            let Some(cell) = self.next(now) else {
                return false;
            };
            let again = self.look_at(shared, work, now, &cell);
            if let Some(at) = again
                && !cell.is_gone()
            {
                self.due.lock().insert((at, cell.id), Arc::downgrade(&cell));
            }
        }
        true
    }

    /// Removes a destination if it may go. Returns when to look at it again.
    fn look_at(
        &self,
        shared: &Shared,
        work: &mut Work,
        now: Now,
        cell: &Arc<Cell>,
    ) -> Option<Tick> {
        let after = self.period(cell)?;
        // The queues of a virtual topic are what its consumers left behind to be served later.
        if shared.registry.rules().topic_of(&cell.name).is_some() {
            return None;
        }
        let durable = shared.registry.durables().of(cell);
        let mut again = Some(now.tick.after(after));
        shared
            .registry
            .remove(cell, Death::Idle, shared, work, |state| {
                let (idle, since) = match &durable {
                    Some(durable) => (!durable.is_active() && !state.is_in_use(), durable.left()),
                    None => (state.is_idle(), state.used),
                };
                if state.declared && durable.is_none() {
                    again = None;
                } else if idle && cell.has_settled() {
                    again = Some(since.after(after)).filter(|at| *at > now.tick);
                    return again.is_none();
                }
                false
            });
        again
    }
}
