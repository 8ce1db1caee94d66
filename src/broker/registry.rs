//! All destinations by name. They come to life on first use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use super::cell::{Cell, Destination};
use super::shared::Shared;
use crate::core::{DestinationId, DestinationName, Kind, Queue, Refusal, Topic};

/// The map of destinations.
#[derive(Debug)]
pub(super) struct Registry {
    cells: DashMap<DestinationName, Arc<Cell>, FxBuildHasher>,
    count: AtomicUsize,
    limit: usize,
    next_id: AtomicU64,
}

impl Registry {
    pub(super) fn new(limit: usize, next_id: DestinationId) -> Self {
        Self {
            cells: DashMap::default(),
            count: AtomicUsize::new(0),
            limit,
            next_id: AtomicU64::new(next_id.0),
        }
    }

    /// Adds what recovery has found.
    pub(super) fn restore(&self, cell: Cell) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.cells.insert(cell.name.clone(), Arc::new(cell));
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
        if let Some(cell) = self.cells.get(name).map(|entry| Arc::clone(&entry)) {
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
            let policy = Arc::clone(&shared.policy);
            Arc::new(Cell::new(
                id,
                match name.kind() {
                    Kind::Queue => Destination::Queue(Queue::new(id, name.clone(), policy)),
                    Kind::Topic => Destination::Topic(Topic::new(id, name.clone(), policy)),
                },
            ))
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
