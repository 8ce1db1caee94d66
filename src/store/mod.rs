//! Makes changes durable, many at a time.
//!
//! Lives here: the `Store` trait and what implements it, batches, their serialised form, and the
//! writer that gathers changes of all destinations into one commit. May import: `core` values.
//! Deliberately not here: rules of queues; the store is told results (`Persist`), never commands, so
//! that the same batch can go to a file, a database or a replicated log.

mod batch;
mod bytes;
#[cfg(test)]
mod contract;
mod error;
mod memory;
mod record;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redb")]
mod ring;
#[cfg(feature = "redb")]
mod serial;
mod writer;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{
    DeliveryState, DestinationId, DestinationName, Message, Position, Priority, Tick,
};

pub use batch::Batch;
pub use error::{FormatError, StoreError};
pub use memory::MemoryStore;
#[cfg(feature = "redb")]
pub use redb::{QuickRepair, RedbOptions, RedbStore};
#[cfg(feature = "redb")]
pub use ring::{
    RingDevice, RingImage, RingMark, RingOptions, RingRead, RingStore, measure_flush,
    open as open_embedded,
};
#[cfg(feature = "redb")]
pub use serial::{SerialBatch, read as read_batch, write as write_batch};
pub use writer::{CommitObserver, Durable, Writer};

/// Where batches become durable. One owner at a time calls the methods that take `&mut self`.
///
/// Contract, checked by the suite in `contract`:
/// - `commit` applies a batch as a whole or not at all, also over a crash, in the order of its
///   changes. With `flush` it is durable on return; without, it becomes durable with a later flushed
///   commit or `sync`, and a crash may take it, together with everything after it.
/// - What a reader returns is committed. A page holds live messages only, in the order of their
///   positions, as they were put, with the last state that `Persist::Returned` gave them.
/// - A `Remove` or `Returned` of what is not there changes nothing.
/// - After an error from `commit` or `sync`, nothing more is accepted until it is opened again.
pub trait Store: Send + Debug {
    /// Applies a batch.
    ///
    /// # Errors
    /// When the batch cannot be stored; this is final.
    fn commit(&mut self, batch: &Batch, flush: bool) -> Result<(), StoreError>;

    /// Makes everything committed durable.
    ///
    /// # Errors
    /// When that cannot be promised; this is final.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Reads what is known, once, before the first commit, and counts the start.
    ///
    /// # Errors
    /// When what is stored cannot be read.
    fn recover(&mut self) -> Result<Recovered, StoreError>;

    /// A way to read messages while others are committed.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Does a bounded piece of housekeeping, if there is any to do at this tick. Returns when to call
    /// again, if there will be more.
    ///
    /// # Errors
    /// When the store fails meanwhile; this is final.
    fn tidy(&mut self, now: Tick) -> Result<Option<Tick>, StoreError>;

    /// Marks a clean stop. Nothing is committed afterwards.
    ///
    /// # Errors
    /// When the mark cannot be made durable.
    fn close(&mut self) -> Result<(), StoreError>;

    /// How large it is.
    fn size(&self) -> StoreSize;

    /// What it is called in metrics and at the start.
    fn engine(&self) -> &'static str;

    /// Whether what was committed without a flush survives the end of the process, if the machine goes
    /// on.
    fn survives_kill(&self) -> bool {
        false
    }

    /// Whether a commit of so many bytes would take no longer than its flush: it would not wait for
    /// room, nor do other work.
    fn is_prompt(&self, _bytes: usize) -> bool {
        false
    }

    /// Tells somebody what happens behind commits, if anything does.
    fn observe(&mut self, _observer: Arc<dyn CommitObserver>) {}
}

/// Reads messages by destination and position.
pub trait Reader: Send + Sync + Debug {
    /// Reads live messages of a destination at or after a position.
    ///
    /// # Errors
    /// When what is stored cannot be read.
    fn read(
        &self,
        destination: DestinationId,
        from: Position,
        priority: Option<Priority>,
        limit: PageLimit,
    ) -> Result<Page, StoreError>;
}

/// How much one page may bring. A page that finds anything brings at least one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes of messages, by their footprint.
    pub bytes: usize,
}

/// Messages of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Live messages in the order of their positions.
    pub messages: Vec<(Position, Message, DeliveryState)>,
    /// Where the next page starts.
    pub resume_at: Position,
    /// Whether there is nothing more to read now.
    pub exhausted: bool,
}

/// What a store knows when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Every destination that was defined and not undefined.
    pub destinations: Vec<RecoveredDestination>,
    /// A number above that of every destination there ever was.
    pub next_destination_id: DestinationId,
    /// How often this store was opened, this time included; durable before `recover` returns.
    pub starts: u32,
    /// Whether it was closed before, so that no delivery can be missing from what it knows.
    pub was_clean: bool,
}

/// What a store knows of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredDestination {
    /// Its number.
    pub id: DestinationId,
    /// Its name.
    pub name: DestinationName,
    /// The last position that it ever gave to a stored message.
    pub last_position: Position,
    /// The last horizon that was set; 0 if none.
    pub horizon: Position,
    /// Messages, and their bytes by footprint, of each priority. Transient ones are gone.
    pub waiting: [(u64, u64); Priority::COUNT],
}

/// How large a store is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// What live messages take.
    pub live: u64,
    /// What the file takes.
    pub file: u64,
    /// What is in use of the ring, and what it takes, if there is one.
    pub ring: Option<(u64, u64)>,
}

/// When a persistent message counts as safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it has been flushed to disk.
    #[default]
    Sync,
    /// When it was handed to a store that survives the end of the process, else to the writer. It is
    /// flushed at this interval: the most that a power failure can take, and without such a store a kill.
    Relaxed {
        /// Between two flushes.
        interval: Duration,
    },
    /// At once; it does not survive the process.
    None,
}
