//! What holds at the moment, as plain numbers.

/// Sums over one kind of destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindTotals {
    /// Destinations.
    pub destinations: u64,
    /// Messages that wait.
    pub ready: u64,
    /// Messages that are delivered and not settled.
    pub unacked: u64,
    /// Bytes of the messages that wait.
    pub ready_bytes: u64,
}

/// What holds at the moment, summed up by the broker when somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Over all queues.
    pub queues: KindTotals,
    /// Over all topics.
    pub topics: KindTotals,
    /// Message groups that have a consumer.
    pub groups_assigned: u64,
    /// Message groups that have messages in line.
    pub groups_waiting: u64,
    /// Messages that wait to be delivered later.
    pub scheduled: u64,
    /// Bytes of messages in memory.
    pub memory_messages: u64,
    /// The memory budget in bytes.
    pub memory_limit: u64,
    /// Free bytes on the disk.
    pub disk_free: u64,
    /// The free bytes below which persistent messages are refused.
    pub disk_free_limit: u64,
}
