//! Whether the broker takes more: the accounts that all destinations share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use super::outbox::Outbox;
use crate::core::{Message, Refusal};

/// The shared accounts.
#[derive(Debug)]
pub(super) struct Flow {
    memory_used: AtomicI64,
    memory_limit: i64,
    memory_slow_at: i64,
    /// Free bytes of the disk, and how many there have to be for persistent messages.
    disk_free: AtomicU64,
    disk_free_min: AtomicU64,
    /// Connections that wait for memory or disk.
    waiting: Mutex<Vec<Arc<Outbox>>>,
}

impl Flow {
    pub(super) fn new(memory_limit: u64, slow_at: f64) -> Self {
        let limit = i64::try_from(memory_limit).unwrap_or(i64::MAX);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a share of an i64 fits an i64"
        )]
        let slow_at = (limit as f64 * slow_at.clamp(0.0, 1.0)) as i64;
        Self {
            memory_used: AtomicI64::new(0),
            memory_limit: limit,
            memory_slow_at: slow_at,
            disk_free: AtomicU64::new(u64::MAX),
            disk_free_min: AtomicU64::new(0),
            waiting: Mutex::default(),
        }
    }

    /// Bytes of messages in memory, those that are arriving included.
    pub(super) fn memory_used(&self) -> u64 {
        u64::try_from(self.memory_used.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Whether destinations should keep as little in memory as they can.
    pub(super) fn pressed(&self) -> bool {
        self.memory_used.load(Ordering::Relaxed) >= self.memory_slow_at
    }

    /// Why a message cannot be taken for now, if it cannot.
    pub(super) fn refuses(&self, message: &Message) -> Option<Refusal> {
        self.memory_refuses().or_else(|| {
            let (free, min) = self.disk();
            (message.persistent && free < min).then_some(Refusal::Full {
                what: "the free space of the disk",
                key: "disk.free_min",
                actual: free,
                limit: min,
            })
        })
    }

    /// Why nothing more can be held in memory for now, if so.
    pub(super) fn memory_refuses(&self) -> Option<Refusal> {
        let (actual, limit) = (self.memory_used(), self.memory_limit());
        (actual >= limit).then_some(Refusal::Full {
            what: "the broker's memory for messages",
            key: "memory.limit",
            actual,
            limit,
        })
    }

    /// The limit for messages in memory, in bytes.
    pub(super) fn memory_limit(&self) -> u64 {
        u64::try_from(self.memory_limit).unwrap_or(0)
    }

    /// Free bytes of the disk, and how many there have to be.
    pub(super) fn disk(&self) -> (u64, u64) {
        (
            self.disk_free.load(Ordering::Relaxed),
            self.disk_free_min.load(Ordering::Relaxed),
        )
    }

    /// Books a change of memory. Returns whom to wake because there is room again.
    pub(super) fn book(&self, delta: i64) -> Vec<Waker> {
        if delta == 0 {
            return Vec::new();
        }
        let before = self.memory_used.fetch_add(delta, Ordering::Relaxed);
        if before >= self.memory_limit && before + delta < self.memory_limit {
            return self.wake_all();
        }
        Vec::new()
    }

    /// Says how much room the disk has. Returns whom to wake because it has enough again.
    pub(super) fn set_disk(&self, free: u64, min: u64) -> Vec<Waker> {
        let (before, min_before) = self.disk();
        self.disk_free.store(free, Ordering::Relaxed);
        self.disk_free_min.store(min, Ordering::Relaxed);
        if before < min_before && free >= min {
            return self.wake_all();
        }
        Vec::new()
    }

    /// Wakes this connection when there is room. To be followed by another look, since room may have
    /// come meanwhile.
    pub(super) fn wait(&self, outbox: &Arc<Outbox>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|other| Arc::ptr_eq(other, outbox)) {
            waiting.push(Arc::clone(outbox));
        }
    }

    fn wake_all(&self) -> Vec<Waker> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.iter().filter_map(|outbox| outbox.retry()).collect()
    }
}
