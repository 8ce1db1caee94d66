//! All destinations by name. They come to life on first use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use super::cell::{Cell, Destination};
use super::routing::Rules;
use super::shared::Shared;
use super::spanning::Wildcards;
use crate::core::{DestinationId, DestinationName, Kind, Queue, Refusal, Topic};

/// The map of destinations.
#[derive(Debug)]
pub(super) struct Registry {
    cells: DashMap<DestinationName, Arc<Cell>, FxBuildHasher>,
    count: AtomicUsize,
    limit: usize,
    next_id: AtomicU64,
    /// The queues of each virtual topic.
    consumers: DashMap<DestinationName, Vec<Arc<Cell>>, FxBuildHasher>,
    rules: Rules,
    wildcards: Wildcards,
}

impl Registry {
    pub(super) fn new(limit: usize, next_id: DestinationId, rules: Rules) -> Self {
        Self {
            cells: DashMap::default(),
            count: AtomicUsize::new(0),
            limit,
            next_id: AtomicU64::new(next_id.0),
            consumers: DashMap::default(),
            rules,
            wildcards: Wildcards::default(),
        }
    }

    /// Adds what recovery has found.
    pub(super) fn restore(&self, cell: Cell) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let cell = Arc::new(cell);
        self.note_consumer(&cell);
        self.cells.insert(cell.name.clone(), cell);
    }

    /// How messages go to more than one destination.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The wildcard subscriptions of all connections.
    pub(super) fn wildcards(&self) -> &Wildcards {
        &self.wildcards
    }

    /// The queues of a virtual topic.
    pub(super) fn consumers_of(&self, topic: &DestinationName) -> Vec<Arc<Cell>> {
        let found = self.consumers.get(topic);
        found.map_or_else(Vec::new, |queues| queues.clone())
    }

    fn note_consumer(&self, cell: &Arc<Cell>) {
        if let Some(topic) = self.rules.topic_of(&cell.name) {
            self.consumers
                .entry(topic)
                .or_default()
                .push(Arc::clone(cell));
        }
    }

    /// The destination of that name, if there is one.
    pub(super) fn find(&self, name: &DestinationName) -> Option<Arc<Cell>> {
        self.cells.get(name).map(|entry| Arc::clone(&entry))
    }

    /// The destination of that name, new if need be.
    ///
    /// # Errors
    /// [`Refusal::Full`] when there are as many destinations as there may be.
    pub(super) fn get(
        &self,
        name: &DestinationName,
        shared: &Shared,
    ) -> Result<Arc<Cell>, Refusal> {
        if let Some(cell) = self.find(name) {
            return Ok(cell);
        }
        let count = self.count.load(Ordering::Relaxed);
        if count >= self.limit {
            return Err(Refusal::Full {
                what: "the broker's list of destinations",
                key: "limits.max_destinations",
                actual: count as u64,
                limit: self.limit as u64,
            });
        }
        Ok(self.force(name, shared))
    }

    /// The destination of that name, new if need be, whatever the limit: the broker itself needs it.
    pub(super) fn force(&self, name: &DestinationName, shared: &Shared) -> Arc<Cell> {
        let entry = self.cells.entry(name.clone()).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            let id = DestinationId(self.next_id.fetch_add(1, Ordering::Relaxed));
            let policy = shared.policies.of(name);
            let destination = match name.kind() {
                Kind::Queue => Destination::Queue(Queue::new(id, name.clone(), policy)),
                Kind::Topic => Destination::Topic(Topic::new(id, name.clone(), policy)),
            };
            let cell = Arc::new(Cell::new(id, destination, &self.rules));
            self.note_consumer(&cell);
            self.wildcards.covering(&cell.name, |spanning| {
                spanning.join(&cell, |id, options, outbox| {
                    cell.admit(shared.clock.now(), id, options, outbox)
                });
            });
            cell
        });
        Arc::clone(&entry)
    }

    /// All destinations as they are at this moment.
    pub(super) fn snapshot(&self) -> Vec<Arc<Cell>> {
        self.cells
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }
}
