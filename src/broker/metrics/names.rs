//! Every metric there is: name, kind, unit, labels, one sentence of help.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Unit};

const METADATA: Metadata<'static> = Metadata::new("tidegate", Level::INFO, None);

/// Upper bounds for durations: from a fast flush to a hanging disk.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds for the size of a message: decades up to the largest frame.
const BYTES: [f64; 7] = [100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
/// Upper bounds for how many operations one commit holds.
const OPERATIONS: [f64; 9] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0,
];

/// What a metric's value means over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Only grows, from the start of the process.
    Counter,
    /// What holds at the moment.
    Gauge,
    /// How often values were at most as large as each of these bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// Its name as it is scraped.
    pub name: &'static str,
    /// What its value means over time.
    pub shape: Shape,
    /// What it is measured in.
    pub unit: Unit,
    /// Its labels. Never the name of a connection, consumer, message, user or destination.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
}

impl Name {
    fn key(&self, values: &[&str]) -> Key {
        debug_assert_eq!(self.labels.len(), values.len(), "labels of {}", self.name);
        let pairs = self.labels.iter().zip(values);
        let labels = pairs.map(|(label, value)| Label::new(*label, (*value).to_owned()));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }

    /// The counter with these label values, in the order of `labels`.
    pub(super) fn counter(&self, values: &[&str]) -> Counter {
        let key = self.key(values);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }

    /// The gauge with these label values, in the order of `labels`.
    pub(super) fn gauge(&self, values: &[&str]) -> Gauge {
        let key = self.key(values);
        metrics::with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }

    /// The histogram with these label values, in the order of `labels`.
    pub(super) fn histogram(&self, values: &[&str]) -> Histogram {
        let key = self.key(values);
        metrics::with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }
}

/// Hands unit and help of every metric to the recorder.
pub fn describe() {
    metrics::with_recorder(|recorder| {
        for metric in &NAMES {
            let name = KeyName::from_const_str(metric.name);
            let (unit, help) = (Some(metric.unit), metric.help.into());
            match metric.shape {
                Shape::Counter => recorder.describe_counter(name, unit, help),
                Shape::Gauge => recorder.describe_gauge(name, unit, help),
                Shape::Histogram(_) => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}

macro_rules! names {
    ($( $constant:ident = $name:literal, $shape:expr, $unit:ident, $labels:expr, $help:literal; )+) => {
        $(
            pub(super) const $constant: Name = Name {
                name: $name, shape: $shape, unit: Unit::$unit, labels: &$labels, help: $help,
            };
        )+

        /// Every metric there is.
        pub const NAMES: [Name; [$($name),+].len()] = [$($constant),+];
    };
}

use Shape::{Counter as C, Gauge as G, Histogram as H};

names! {
    BUILD_INFO = "tidegate_build_info", G, Count, ["version", "store"],
        "Always 1; the labels say what runs.";
    START_TIME = "tidegate_start_time_seconds", G, Seconds, [],
        "When the broker started, in seconds since 1970.";
    READY = "tidegate_ready", G, Count, ["check"],
        "1 if the health check of this name succeeds, else 0.";
    CONNECTIONS = "tidegate_connections", G, Count, ["protocol", "transport", "listener"],
        "Open connections.";
    CONNECTIONS_OPENED = "tidegate_connections_opened_total", C, Count, ["protocol", "listener"],
        "Connections that were accepted.";
    CONNECTIONS_CLOSED = "tidegate_connections_closed_total", C, Count,
        ["protocol", "listener", "reason"],
        "Connections that ended, by what ended them.";
    CONNECTIONS_BLOCKED = "tidegate_connections_blocked", G, Count, ["reason"],
        "Connections that are not read from, by what is full.";
    SUBSCRIPTIONS = "tidegate_subscriptions", G, Count, ["protocol", "type", "mode"],
        "Subscriptions, by how they acknowledge.";
    NETWORK_BYTES = "tidegate_network_bytes_total", C, Bytes, ["protocol", "direction"],
        "Bytes read from and written to clients.";
    PROTOCOL_ERRORS = "tidegate_protocol_errors_total", C, Count, ["protocol", "code"],
        "Errors that were sent to clients, by code.";
    RECEIVED = "tidegate_messages_received_total", C, Count, ["protocol", "type", "persistent"],
        "Messages accepted from producers.";
    REJECTED = "tidegate_messages_rejected_total", C, Count, ["protocol", "reason"],
        "Messages that were refused, by reason.";
    ROUTED = "tidegate_messages_routed_total", C, Count, ["type"],
        "Copies of messages that were put in queues or handed to subscriptions of topics.";
    DUPLICATES = "tidegate_messages_duplicate_total", C, Count, [],
        "Messages that were not taken because they had been there before.";
    UNROUTED = "tidegate_messages_unrouted_total", C, Count, [],
        "Messages to topics that nobody was subscribed to.";
    DELIVERED = "tidegate_messages_delivered_total", C, Count,
        ["protocol", "type", "redelivered"],
        "Messages sent to consumers.";
    ACKNOWLEDGED = "tidegate_messages_acknowledged_total", C, Count, ["protocol", "result"],
        "Deliveries that were settled, by how.";
    REMOVED = "tidegate_messages_removed_total", C, Count, ["reason"],
        "Messages that left queues, by reason.";
    DEAD_LETTERED = "tidegate_messages_dead_lettered_total", C, Count, ["reason"],
        "Messages that moved to a dead-letter queue, by reason.";
    TRANSACTIONS = "tidegate_transactions", G, Count, [],
        "Open transactions.";
    TRANSACTIONS_ENDED = "tidegate_transactions_total", C, Count, ["result"],
        "Transactions that ended, by how.";
    DESTINATIONS = "tidegate_destinations", G, Count, ["type"],
        "Queues and topics.";
    DESTINATIONS_CREATED = "tidegate_destinations_created_total", C, Count, ["type", "reason"],
        "Queues and topics that came to life, by why.";
    DESTINATIONS_REMOVED = "tidegate_destinations_removed_total", C, Count, ["type", "reason"],
        "Queues and topics that were removed, by why.";
    MESSAGES_READY = "tidegate_messages_ready", G, Count, ["type"],
        "Messages that wait for a consumer.";
    MESSAGES_UNACKED = "tidegate_messages_unacked", G, Count, ["type"],
        "Messages that are delivered and not settled.";
    MESSAGES_READY_BYTES = "tidegate_messages_ready_bytes", G, Bytes, ["type"],
        "Bytes of the messages that wait for a consumer.";
    MESSAGES_SCHEDULED = "tidegate_messages_scheduled", G, Count, [],
        "Messages that wait to be delivered later.";
    MESSAGE_GROUPS = "tidegate_message_groups", G, Count, ["state"],
        "Message groups that have a consumer (assigned), and that have messages in line (waiting).";
    MESSAGE_SIZE = "tidegate_message_size_bytes", H(&BYTES), Bytes, ["protocol"],
        "Sizes of messages from producers, sampled.";
    RECEIPT_LATENCY = "tidegate_receipt_latency_seconds", H(&SECONDS), Seconds,
        ["protocol", "persistent"],
        "From reading a message to writing its receipt, sampled.";
    MEMORY_USED = "tidegate_memory_used_bytes", G, Bytes, ["pool"],
        "Memory counted against the budget.";
    MEMORY_LIMIT = "tidegate_memory_limit_bytes", G, Bytes, [],
        "The memory budget.";
    DISK_FREE = "tidegate_disk_free_bytes", G, Bytes, [],
        "Free space on the disk that holds the data directory.";
    DISK_FREE_LIMIT = "tidegate_disk_free_limit_bytes", G, Bytes, [],
        "With less free space than this, persistent messages are refused.";
    STORE_BYTES = "tidegate_store_bytes", G, Bytes, ["kind"],
        "Size of the store's file and of what in it is used.";
    STORE_COMMIT = "tidegate_store_commit_seconds", H(&SECONDS), Seconds, [],
        "Duration of a commit of the store, its sync included.";
    STORE_BATCH = "tidegate_store_batch_operations", H(&OPERATIONS), Count, [],
        "Operations in one commit of the store.";
    RING_BYTES = "tidegate_store_ring_bytes", G, Bytes, ["kind"],
        "Bytes of the write-ahead ring: in use, and all.";
    RING_FLUSH = "tidegate_store_ring_flush_seconds", H(&SECONDS), Seconds, [],
        "Duration of a write to the ring that is durable when it is over.";
    RING_FOLD = "tidegate_store_ring_fold_seconds", H(&SECONDS), Seconds, [],
        "Duration of taking over what the ring gathered.";
    RING_MESSAGES = "tidegate_store_ring_messages_total", C, Count, ["result"],
        "Messages that left the ring: folded into the store's file, or cancelled, being consumed.";
    STORE_ERRORS = "tidegate_store_errors_total", C, Count, ["op"],
        "Operations of the store that failed.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in &NAMES {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is declared twice");
            assert!(name.starts_with("tidegate_"), "{name}");
            assert_eq!(
                metric.shape == Shape::Counter,
                name.ends_with("_total"),
                "{name}"
            );
            let base = name.trim_end_matches("_total");
            assert_eq!(
                metric.unit == Unit::Bytes,
                base.ends_with("_bytes"),
                "{name}"
            );
            assert_eq!(
                metric.unit == Unit::Seconds,
                base.ends_with("_seconds"),
                "{name}"
            );
            assert!(metric.help.ends_with('.'), "{name}");
            for label in metric.labels {
                let allowed = [
                    "protocol",
                    "transport",
                    "listener",
                    "type",
                    "reason",
                    "result",
                    "direction",
                    "code",
                    "mode",
                    "pool",
                    "kind",
                    "state",
                    "op",
                    "check",
                    "persistent",
                    "redelivered",
                    "version",
                    "store",
                ];
                assert!(allowed.contains(label), "{name} has the label {label}");
            }
        }
    }

    #[test]
    fn bounds_grow() {
        for metric in &NAMES {
            if let Shape::Histogram(bounds) = metric.shape {
                assert!(bounds.is_sorted() && !bounds.is_empty(), "{}", metric.name);
            }
        }
    }
}
