//! What a session has counted since its driver last looked, for the metrics: plain numbers, so that
//! the hot path touches no metric.

use super::Code;
use crate::core::{AckMode, Kind};

/// Counts of one session. The driver takes them and leaves an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages asked to be sent, by kind of destination and whether they are persistent.
    pub received: [[u64; 2]; 2],
    /// Deliveries encoded, by kind of destination and whether they were made before.
    pub delivered: [[u64; 2]; 2],
    /// Deliveries settled.
    pub acknowledged: Acknowledged,
    /// Messages refused.
    pub rejected: Rejected,
    /// Subscriptions made less those ended, by kind of destination and [`mode_index`].
    pub subscriptions: [[i64; 3]; 2],
    /// Codes of the errors that the peer was told.
    pub errors: Vec<Code>,
    /// The size of one of the messages received, in bytes of its body.
    pub message_size: Option<u64>,
    /// Milliseconds from one of the messages to its receipt, and whether it was persistent.
    pub receipt: Option<(bool, u64)>,
}

/// Deliveries settled, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Frames that accept; a cumulative one counts once.
    pub ack: u64,
    /// Frames that refuse.
    pub nack: u64,
    /// Deliveries settled by being written.
    pub auto: u64,
}

/// Messages refused, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Something had no room.
    pub full: u64,
    /// Beyond a limit.
    pub too_large: u64,
    /// Not understood.
    pub invalid: u64,
}

/// The place of a kind of destination in the arrays.
pub const fn kind_index(kind: Kind) -> usize {
    match kind {
        Kind::Queue => 0,
        Kind::Topic => 1,
    }
}

/// The place of a mode in the arrays.
pub const fn mode_index(mode: AckMode) -> usize {
    match mode {
        AckMode::Auto => 0,
        AckMode::Client => 1,
        AckMode::ClientIndividual => 2,
    }
}

/// Adds to the place for `first` and `second`, both of which are in range by construction.
pub(super) fn add<T: std::ops::AddAssign, const N: usize>(
    table: &mut [[T; N]; 2],
    first: usize,
    second: usize,
    count: T,
) {
    if let Some(place) = table.get_mut(first).and_then(|row| row.get_mut(second)) {
        *place += count;
    }
}
