//! What all parts of one broker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::advisories::Advisories;
use super::clock::Clock;
use super::config::BrokerLimits;
use super::dead_letters::LostLetters;
use super::duplicates::Identities;
use super::flow::Flow;
use super::metrics::Metrics;
use super::pager::Pager;
use super::policies::PolicyTable;
use super::registry::Registry;
use super::scheduler::Scheduler;
use super::timers::Timers;
use crate::store::{Reader, StoreError, Writer};

/// The inside of a broker.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) policies: PolicyTable,
    pub(super) limits: BrokerLimits,
    pub(super) registry: Registry,
    pub(super) flow: Flow,
    pub(super) writer: Arc<Writer>,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) pager: Arc<Pager>,
    pub(super) timers: Arc<Timers>,
    pub(super) scheduler: Scheduler,
    pub(super) identities: Identities,
    pub(super) advisories: Advisories,
    pub(super) metrics: Metrics,
    /// Dead letters that made room for others.
    pub(super) lost_letters: LostLetters,
    /// The store could not be read.
    pub(super) read_failed: AtomicBool,
}

impl Shared {
    /// Notes that the store could not be read. What it did not give stays where it is.
    pub(super) fn report_failure(&self, error: &StoreError) {
        self.metrics.store_errors.read.increment(1);
        self.read_failed.store(true, Ordering::Relaxed);
        tracing::error!(target: "tidegate::store", %error, "the store could not be read");
    }
}
