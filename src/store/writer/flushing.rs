//! When commits are flushed, as the durability level has it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::super::{Durability, Store};
use crate::core::Tick;

/// What is flushed when.
#[derive(Debug)]
pub(super) struct Flushing {
    durability: Durability,
    /// Whether what is awaited waits for a commit: not if losing it is part of the bargain.
    pub(super) awaits_commit: bool,
    /// When something was flushed last, as a tick.
    flushed_at: AtomicU64,
    /// Whether something was committed since.
    unflushed: AtomicBool,
}

impl Flushing {
    pub(super) fn new(durability: Durability, store: &dyn Store) -> Self {
        Self {
            durability,
            awaits_commit: match durability {
                Durability::Sync => true,
                Durability::Relaxed { .. } => store.survives_kill(),
                Durability::None => false,
            },
            flushed_at: AtomicU64::new(0),
            unflushed: AtomicBool::new(false),
        }
    }

    /// How long changes that nobody waits for may gather.
    pub(super) fn patience(&self, lazy: Duration) -> Duration {
        match self.durability {
            Durability::Relaxed { interval } if !self.awaits_commit => interval,
            Durability::Relaxed { .. } | Durability::Sync | Durability::None => lazy,
        }
    }

    /// Whether the commit of this moment is to be flushed.
    pub(super) fn of_commit(&self, now: Tick) -> bool {
        let flush = match self.durability {
            Durability::None => false,
            Durability::Sync => true,
            Durability::Relaxed { .. } => !self.awaits_commit || self.is_due(now),
        };
        if flush {
            self.flushed_at.store(now.0, Ordering::Relaxed);
        }
        self.unflushed.store(!flush, Ordering::Relaxed);
        flush
    }

    fn is_due(&self, now: Tick) -> bool {
        let Durability::Relaxed { interval } = self.durability else {
            return false;
        };
        let elapsed = now
            .0
            .saturating_sub(self.flushed_at.load(Ordering::Relaxed));
        u128::from(elapsed) >= interval.as_millis()
    }

    /// How long it may take until what is committed is flushed, if something is not.
    pub(super) fn interval(&self) -> Option<Duration> {
        let Durability::Relaxed { interval } = self.durability else {
            return None;
        };
        self.unflushed.load(Ordering::Relaxed).then_some(interval)
    }

    /// Whether the store is to be flushed without a commit; once.
    pub(super) fn takes_overdue(&self, now: Tick) -> bool {
        let overdue = self.interval().is_some() && self.is_due(now);
        if overdue {
            self.flushed_at.store(now.0, Ordering::Relaxed);
            self.unflushed.store(false, Ordering::Relaxed);
        }
        overdue
    }
}
