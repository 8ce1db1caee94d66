//! Counts of what the broker does, through the `metrics` facade. Which names there are is declared
//! once, in `names`; whoever counts holds a handle made here once, at the start. Without a recorder
//! in the process, the handles do nothing.
//!
//! Lives here: names and handles. Deliberately not here: exporters.

pub(super) mod life;
mod listener;
mod names;
mod ring;
mod totals;

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use crate::core::{Kind, Tally, Timestamp};
use crate::store::{CommitObserver, StoreError, StoreSize};

use ring::RingMetrics;

pub use listener::ListenerMetrics;
pub use names::{NAMES, Name, Shape, describe};
pub use totals::{KindTotals, Totals};

/// One of something for queues, one for topics.
#[derive(Clone, Debug)]
pub struct ByKind<T> {
    /// For queues.
    pub queue: T,
    /// For topics.
    pub topic: T,
}

impl<T> ByKind<T> {
    fn make(make: impl Fn(&str) -> T) -> Self {
        Self {
            queue: make(Kind::Queue.word()),
            topic: make(Kind::Topic.word()),
        }
    }

    /// The one for this kind of destination.
    pub const fn of(&self, kind: Kind) -> &T {
        match kind {
            Kind::Queue => &self.queue,
            Kind::Topic => &self.topic,
        }
    }
}

/// One of something for yes, one for no: persistent or not, redelivered or not.
#[derive(Clone, Debug)]
pub struct ByFlag<T> {
    /// If it is so.
    pub yes: T,
    /// If not.
    pub no: T,
}

impl<T> ByFlag<T> {
    fn make(make: impl Fn(&str) -> T) -> Self {
        Self {
            yes: make("true"),
            no: make("false"),
        }
    }

    /// The one for this answer.
    pub const fn of(&self, flag: bool) -> &T {
        if flag { &self.yes } else { &self.no }
    }
}

/// A group of handles of one metric, told apart by one label.
macro_rules! by_label {
    ($(#[doc = $about:literal])+ $name:ident($kind:ident) {
        $( $(#[doc = $help:literal])+ $field:ident = $value:literal, )+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $name { $( $(#[doc = $help])+ pub $field: $kind, )+ }

        impl $name {
            fn make(make: impl Fn(&str) -> $kind) -> Self {
                Self { $( $field: make($value), )+ }
            }
        }
    };
}

by_label! {
    /// Messages that left queues.
    Removed(Counter) {
        /// A consumer settled it.
        acked = "acked",
        /// Its time was over.
        expired = "expired",
        /// An operator emptied the queue.
        purged = "purged",
        /// It made room for others.
        dropped = "dropped",
        /// It went to another destination.
        moved = "moved",
        /// Its queue was deleted.
        deleted = "deleted",
    }
}

by_label! {
    /// Messages that moved to a dead-letter queue.
    DeadLettered(Counter) {
        /// Its tries were used up.
        redelivery = "redelivery",
        /// Its time was over.
        expired = "expired",
        /// A consumer refused it for good.
        rejected = "rejected",
        /// Its queue was full.
        overflow = "overflow",
    }
}

by_label! {
    /// Messages that were refused.
    Rejected(Counter) {
        /// Something had no room.
        full = "full",
        /// The frame was beyond a limit.
        too_large = "too_large",
        /// The request was wrong.
        invalid = "invalid",
    }
}

by_label! {
    /// Deliveries that were settled.
    Acknowledged(Counter) {
        /// By ACK.
        ack = "ack",
        /// By NACK.
        nack = "nack",
        /// By being written.
        auto = "auto",
    }
}

by_label! {
    /// Transactions that ended.
    TransactionsEnded(Counter) {
        /// By COMMIT.
        commit = "commit",
        /// By ABORT, or with its connection.
        abort = "abort",
        /// By lasting too long.
        timeout = "timeout",
        /// By growing beyond a limit.
        limit = "limit",
    }
}

by_label! {
    /// Operations of the store that failed.
    StoreErrors(Counter) {
        /// Writing a batch.
        commit = "commit",
        /// Reading messages back.
        read = "read",
    }
}

by_label! {
    /// Connections that ended.
    Closed(Counter) {
        /// The client left, with or without a word.
        client = "client",
        /// The client gave no sign of life.
        heartbeat = "heartbeat",
        /// The client broke the rules.
        error = "error",
        /// The client went beyond a limit.
        limit = "limit",
        /// The client did not read.
        slow = "slow",
        /// The broker stopped.
        drain = "drain",
        /// The client did not log in.
        auth = "auth",
    }
}

by_label! {
    /// Subscriptions by how they acknowledge.
    Modes(Gauge) {
        /// By being written.
        auto = "auto",
        /// Up to a message.
        client = "client",
        /// Each on its own.
        individual = "individual",
    }
}

by_label! {
    /// Sizes of the store.
    StoreBytes(Gauge) {
        /// Messages and what finds them.
        live = "live",
        /// The whole file.
        file = "file",
        /// What compaction would give back.
        reclaimable = "reclaimable",
    }
}

by_label! {
    /// The health checks.
    Checks(Gauge) {
        /// The process answers.
        live = "live",
        /// Clients are served.
        ready = "ready",
    }
}

by_label! {
    /// Connections that are not read from.
    Blocked(Gauge) {
        /// The memory budget is used up.
        memory = "memory",
        /// The disk is full.
        disk = "disk",
        /// A queue is full.
        destination = "destination",
    }
}

/// The broker's own handles, made once.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Copies of messages put in queues or handed to subscriptions of topics.
    pub routed: ByKind<Counter>,
    /// Messages to topics that nobody was subscribed to.
    pub unrouted: Counter,
    /// Messages that had been there before.
    pub duplicates: Counter,
    /// Messages that left queues.
    pub removed: Removed,
    /// Messages that moved to a dead-letter queue.
    pub dead_lettered: DeadLettered,
    /// Open transactions.
    pub transactions: Gauge,
    /// Transactions that ended.
    pub transactions_ended: TransactionsEnded,
    /// Connections that are not read from.
    pub blocked: Blocked,
    /// Duration of a commit of the store, in seconds.
    pub store_commit: Histogram,
    /// Operations in one commit of the store.
    pub store_batch: Histogram,
    /// Operations of the store that failed.
    pub store_errors: StoreErrors,
    /// The health checks.
    pub ready: Checks,
    destinations: ByKind<Gauge>,
    messages_ready: ByKind<Gauge>,
    messages_unacked: ByKind<Gauge>,
    messages_ready_bytes: ByKind<Gauge>,
    groups_assigned: Gauge,
    groups_waiting: Gauge,
    memory_used: Gauge,
    memory_limit: Gauge,
    scheduled: Gauge,
    disk_free: Gauge,
    disk_free_limit: Gauge,
    store_bytes: StoreBytes,
    ring: RingMetrics,
}

impl Metrics {
    /// Makes the handles with the process's recorder, and sets what never changes: which `store`
    /// runs and when it was `started`.
    #[must_use]
    pub fn register(store: &str, started: Timestamp) -> Self {
        names::BUILD_INFO
            .gauge(&[env!("CARGO_PKG_VERSION"), store])
            .set(1.0);
        names::START_TIME.gauge(&[]).set(started.0 as f64 / 1_000.0);
        Self {
            routed: ByKind::make(|kind| names::ROUTED.counter(&[kind])),
            unrouted: names::UNROUTED.counter(&[]),
            duplicates: names::DUPLICATES.counter(&[]),
            removed: Removed::make(|reason| names::REMOVED.counter(&[reason])),
            dead_lettered: DeadLettered::make(|reason| names::DEAD_LETTERED.counter(&[reason])),
            transactions: names::TRANSACTIONS.gauge(&[]),
            transactions_ended: TransactionsEnded::make(|result| {
                names::TRANSACTIONS_ENDED.counter(&[result])
            }),
            blocked: Blocked::make(|reason| names::CONNECTIONS_BLOCKED.gauge(&[reason])),
            store_commit: names::STORE_COMMIT.histogram(&[]),
            store_batch: names::STORE_BATCH.histogram(&[]),
            store_errors: StoreErrors::make(|op| names::STORE_ERRORS.counter(&[op])),
            ready: Checks::make(|check| names::READY.gauge(&[check])),
            destinations: ByKind::make(|kind| names::DESTINATIONS.gauge(&[kind])),
            messages_ready: ByKind::make(|kind| names::MESSAGES_READY.gauge(&[kind])),
            messages_unacked: ByKind::make(|kind| names::MESSAGES_UNACKED.gauge(&[kind])),
            messages_ready_bytes: ByKind::make(|kind| names::MESSAGES_READY_BYTES.gauge(&[kind])),
            groups_assigned: names::MESSAGE_GROUPS.gauge(&["assigned"]),
            groups_waiting: names::MESSAGE_GROUPS.gauge(&["waiting"]),
            memory_used: names::MEMORY_USED.gauge(&["messages"]),
            memory_limit: names::MEMORY_LIMIT.gauge(&[]),
            scheduled: names::MESSAGES_SCHEDULED.gauge(&[]),
            disk_free: names::DISK_FREE.gauge(&[]),
            disk_free_limit: names::DISK_FREE_LIMIT.gauge(&[]),
            store_bytes: StoreBytes::make(|kind| names::STORE_BYTES.gauge(&[kind])),
            ring: RingMetrics::register(),
        }
    }

    /// Adds what one call on a destination did.
    pub(super) fn count(&self, kind: Kind, tally: &Tally) {
        let add = |counter: &Counter, count: u64| {
            if count > 0 {
                counter.increment(count);
            }
        };
        add(self.routed.of(kind), tally.routed);
        add(&self.unrouted, tally.unrouted);
        add(&self.dead_lettered.redelivery, tally.dead_lettered);
        add(&self.dead_lettered.expired, tally.expired_letters);
        if kind == Kind::Queue {
            add(&self.removed.acked, tally.accepted);
            add(&self.removed.expired, tally.expired);
            add(&self.removed.purged, tally.purged);
            add(&self.removed.deleted, tally.deleted);
            let moved = tally.dead_lettered + tally.expired_letters + tally.retried;
            add(&self.removed.moved, moved);
            add(&self.removed.dropped, tally.dropped);
        }
    }

    /// Shows how large the store is.
    pub(super) fn show_store(&self, size: StoreSize) {
        set(&self.store_bytes.live, size.live);
        set(&self.store_bytes.file, size.file);
        let reclaimable = size.file.saturating_sub(size.live);
        set(&self.store_bytes.reclaimable, reclaimable);
        self.ring.show(size.ring);
    }

    /// Shows what holds at the moment; called before each scrape.
    pub fn show(&self, totals: &Totals) {
        for (kind, sums) in [(Kind::Queue, &totals.queues), (Kind::Topic, &totals.topics)] {
            set(self.destinations.of(kind), sums.destinations);
            set(self.messages_ready.of(kind), sums.ready);
            set(self.messages_unacked.of(kind), sums.unacked);
            set(self.messages_ready_bytes.of(kind), sums.ready_bytes);
        }
        set(&self.groups_assigned, totals.groups_assigned);
        set(&self.groups_waiting, totals.groups_waiting);
        set(&self.memory_used, totals.memory_messages);
        set(&self.memory_limit, totals.memory_limit);
        set(&self.scheduled, totals.scheduled);
        set(&self.disk_free, totals.disk_free);
        set(&self.disk_free_limit, totals.disk_free_limit);
    }
}

impl CommitObserver for Metrics {
    fn committed(&self, changes: usize, _cancelled: usize, took: Duration, size: StoreSize) {
        if changes > 0 {
            self.store_commit.record(took.as_secs_f64());
            self.store_batch.record(changes as f64);
        }
        self.show_store(size);
    }

    fn folded(&self, messages: usize, cancelled: usize, took: Duration) {
        self.ring.folded(messages, cancelled, took);
    }

    fn flushed(&self, took: Duration) {
        self.ring.flushed(took);
    }

    fn failed(&self, error: &StoreError) {
        self.store_errors.commit.increment(1);
        tracing::error!(target: "tidegate::store", %error, "the store has failed");
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(value as f64);
}

/// The handles of one protocol, made once.
#[derive(Clone, Debug)]
pub struct ProtocolMetrics {
    /// Messages accepted, by kind of destination and whether they are persistent.
    pub received: ByKind<ByFlag<Counter>>,
    /// Messages refused.
    pub rejected: Rejected,
    /// Messages sent to consumers, by kind of destination and whether once more.
    pub delivered: ByKind<ByFlag<Counter>>,
    /// Deliveries settled.
    pub acknowledged: Acknowledged,
    /// Subscriptions, by kind of destination and how they acknowledge.
    pub subscriptions: ByKind<Modes>,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Sizes of messages in bytes, one for each batch.
    pub message_size: Histogram,
    /// Seconds from a message to its receipt, one for each batch, by whether it is persistent.
    pub receipt_latency: ByFlag<Histogram>,
    protocol: &'static str,
}

impl ProtocolMetrics {
    /// Makes the handles of the protocol that metrics call by this name.
    #[must_use]
    pub fn register(protocol: &'static str) -> Self {
        Self {
            received: ByKind::make(|kind| {
                ByFlag::make(|persistent| names::RECEIVED.counter(&[protocol, kind, persistent]))
            }),
            rejected: Rejected::make(|reason| names::REJECTED.counter(&[protocol, reason])),
            delivered: ByKind::make(|kind| {
                ByFlag::make(|again| names::DELIVERED.counter(&[protocol, kind, again]))
            }),
            acknowledged: Acknowledged::make(|result| {
                names::ACKNOWLEDGED.counter(&[protocol, result])
            }),
            subscriptions: ByKind::make(|kind| {
                Modes::make(|mode| names::SUBSCRIPTIONS.gauge(&[protocol, kind, mode]))
            }),
            bytes_in: names::NETWORK_BYTES.counter(&[protocol, "in"]),
            bytes_out: names::NETWORK_BYTES.counter(&[protocol, "out"]),
            message_size: names::MESSAGE_SIZE.histogram(&[protocol]),
            receipt_latency: ByFlag::make(|persistent| {
                names::RECEIPT_LATENCY.histogram(&[protocol, persistent])
            }),
            protocol,
        }
    }

    /// Counts an error that was sent to a client. Looks the counter up: errors are rare.
    pub fn error(&self, code: &'static str) {
        names::PROTOCOL_ERRORS
            .counter(&[self.protocol, code])
            .increment(1);
    }
}
