//! What an operator does with destinations: declare, empty, hold back, delete.

use std::sync::Arc;

use super::cell::{Cell, Destination, Work};
use super::pager::Wish;
use super::registry::{Birth, Death};
use super::shared::Shared;
use super::{Broker, LifeError};
use crate::core::{DestinationName, Effects, Kind, Now, Position, Queue, Tick};

/// Makes destinations that are there from the start.
pub(super) fn declare(shared: &Arc<Shared>, names: &[DestinationName]) {
    let now = shared.clock.now();
    Work::run(shared, now, |work| {
        for name in names {
            declare_one(shared, work, now, name);
        }
    });
}

fn declare_one(shared: &Shared, work: &mut Work, now: Now, name: &DestinationName) {
    let mut declared = false;
    while !declared {
        let cell = shared.registry.make(name, Birth::Declared, shared);
        cell.with(shared, work, None, |state, effects, _| {
            declared = state.enter(now);
            if declared {
                state.declared = true;
                state.destination.declare(effects);
            }
        });
    }
}

impl Broker {
    /// Makes a destination that stays until it is deleted, also over restarts.
    pub fn declare(&self, name: &DestinationName) {
        declare(&self.shared, std::slice::from_ref(name));
    }

    /// Whether there is a destination of that name.
    pub fn exists(&self, name: &DestinationName) -> bool {
        self.shared.registry.find(name).is_some()
    }

    /// Deletes a destination with all that waits in it. Its name can be used anew.
    ///
    /// # Errors
    /// [`LifeError::Missing`]; [`LifeError::InUse`] if it has subscriptions, or transactions that are
    /// under way.
    pub fn delete(&self, name: &DestinationName) -> Result<(), LifeError> {
        let now = self.shared.clock.now();
        let cell = self.cell(name)?;
        let deleted = Work::run(&self.shared, now, |work| {
            let registry = &self.shared.registry;
            registry.remove(&cell, Death::Deleted, &self.shared, work, |state| {
                !state.is_in_use() && cell.has_settled()
            })
        });
        if deleted {
            Ok(())
        } else if cell.is_gone() {
            Err(LifeError::Missing(name.clone()))
        } else {
            Err(LifeError::InUse(name.clone()))
        }
    }

    /// Empties a queue, step by step, of all that waits in it by now. What is in flight stays, unless
    /// it is `forced` to go as well: then its acknowledgements are refused. Returns how many messages
    /// that are; they are gone at a crash once the log is durable up to there.
    ///
    /// # Errors
    /// [`LifeError::Missing`], [`LifeError::NoQueue`].
    pub fn purge(&self, name: &DestinationName, forced: bool) -> Result<u64, LifeError> {
        let mut begun = None;
        self.with_queue(name, |now, queue, effects| {
            begun = Some(queue.begin_purge(now, forced, effects));
        })?;
        let (until, count) = begun.unwrap_or_default();
        let wish = Wish::Purge {
            from: Position(1),
            until,
        };
        let cell = self.cell(name)?;
        self.shared.pager.ask(cell, wish, &self.shared.writer);
        Ok(count)
    }

    /// Holds the deliveries of a queue back. Messages can be sent to it and settled.
    ///
    /// # Errors
    /// [`LifeError::Missing`], [`LifeError::NoQueue`].
    pub fn pause(&self, name: &DestinationName) -> Result<(), LifeError> {
        self.with_queue(name, |_, queue, _| queue.hold())
    }

    /// Lets the deliveries of a queue go on.
    ///
    /// # Errors
    /// [`LifeError::Missing`], [`LifeError::NoQueue`].
    pub fn resume(&self, name: &DestinationName) -> Result<(), LifeError> {
        self.with_queue(name, |now, queue, effects| queue.let_go(now, effects))
    }

    /// Removes destinations that nobody has used for long, a few in each call, for brokers put together
    /// without threads. Returns whether there may be more that are due.
    pub fn collect(&self) -> bool {
        let now = self.shared.clock.now();
        Work::run(&self.shared, now, |work| {
            let collection = self.shared.registry.collection();
            collection.step(&self.shared, work, now)
        })
    }

    /// When [`Broker::collect`] wants to be called.
    pub fn collect_at(&self) -> Option<Tick> {
        self.shared.registry.collection().deadline()
    }

    fn cell(&self, name: &DestinationName) -> Result<Arc<Cell>, LifeError> {
        let found = self.shared.registry.find(name);
        found.ok_or_else(|| LifeError::Missing(name.clone()))
    }

    fn with_queue(
        &self,
        name: &DestinationName,
        mut change: impl FnMut(Now, &mut Queue, &mut Effects),
    ) -> Result<(), LifeError> {
        if name.kind() != Kind::Queue {
            return Err(LifeError::NoQueue(name.clone()));
        }
        let now = self.shared.clock.now();
        let cell = self.cell(name)?;
        let (live, _) = Work::run(&self.shared, now, |work| {
            cell.with(&self.shared, work, None, |state, effects, _| {
                if state.gone {
                    return false;
                }
                if let Destination::Queue(queue) = &mut state.destination {
                    change(now, queue, effects);
                }
                true
            })
        });
        if live {
            Ok(())
        } else {
            Err(LifeError::Missing(name.clone()))
        }
    }
}

#[cfg(test)]
mod tests;
