//! Adds what a session has counted to the metrics, once for each turn of its connection.

use std::sync::Arc;

use metrics::{Counter, Gauge};

use crate::broker::{ByFlag, ByKind, ProtocolMetrics};
use crate::protocol::{Code, Report};

/// The counts of one connection.
pub(super) struct Tallies {
    metrics: Arc<ProtocolMetrics>,
    /// Subscriptions that the connection has, which end with it.
    subscriptions: [[i64; 3]; 2],
    /// The last error that the peer was told.
    last_error: Option<Code>,
}

impl Tallies {
    pub(super) fn new(metrics: Arc<ProtocolMetrics>) -> Self {
        Self {
            metrics,
            subscriptions: [[0; 3]; 2],
            last_error: None,
        }
    }

    /// The last error that the peer was told.
    pub(super) fn last_error(&self) -> Option<Code> {
        self.last_error
    }

    pub(super) fn received(&self, bytes: usize) {
        self.metrics.bytes_in.increment(bytes as u64);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.metrics.bytes_out.increment(bytes as u64);
    }

    /// Adds what a session has counted, and empties its report.
    pub(super) fn take(&mut self, report: &mut Report) {
        if *report == Report::default() {
            return;
        }
        let report = std::mem::take(report);
        add_all(&self.metrics, &report);
        self.last_error = report.errors.last().copied().or(self.last_error);
        for (mine, theirs) in self.subscriptions.iter_mut().zip(report.subscriptions) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
    }

    /// The connection has ended, and its subscriptions with it.
    pub(super) fn end(&mut self) {
        let mut report = Report::default();
        for (place, mine) in report.subscriptions.iter_mut().zip(self.subscriptions) {
            for (place, mine) in place.iter_mut().zip(mine) {
                *place = -mine;
            }
        }
        self.take(&mut report);
    }
}

fn add_all(metrics: &ProtocolMetrics, report: &Report) {
    add_table(&metrics.received, &report.received);
    add_table(&metrics.delivered, &report.delivered);
    let settled = &report.acknowledged;
    add(&metrics.acknowledged.ack, settled.ack);
    add(&metrics.acknowledged.nack, settled.nack);
    add(&metrics.acknowledged.auto, settled.auto);
    let rejected = &report.rejected;
    add(&metrics.rejected.full, rejected.full);
    add(&metrics.rejected.too_large, rejected.too_large);
    add(&metrics.rejected.invalid, rejected.invalid);
    let kinds = [&metrics.subscriptions.queue, &metrics.subscriptions.topic];
    for (modes, [auto, client, individual]) in kinds.into_iter().zip(report.subscriptions) {
        shift(&modes.auto, auto);
        shift(&modes.client, client);
        shift(&modes.individual, individual);
    }
    for code in &report.errors {
        metrics.error(Code::text(*code));
    }
    if let Some(size) = report.message_size {
        metrics.message_size.record(size as f64);
    }
    if let Some((persistent, millis)) = report.receipt {
        let seconds = millis as f64 / 1_000.0;
        metrics.receipt_latency.of(persistent).record(seconds);
    }
}

fn add_table(counters: &ByKind<ByFlag<Counter>>, counts: &[[u64; 2]; 2]) {
    for (by_flag, [no, yes]) in [&counters.queue, &counters.topic].into_iter().zip(*counts) {
        add(&by_flag.no, no);
        add(&by_flag.yes, yes);
    }
}

fn add(counter: &Counter, count: u64) {
    if count > 0 {
        counter.increment(count);
    }
}

fn shift(gauge: &Gauge, by: i64) {
    if by != 0 {
        gauge.increment(by as f64);
    }
}
