//! What a connection has collected in an open transaction, and a commit on its way.

use std::sync::Arc;

use super::cell::Cell;
use crate::core::{
    DestinationName, Message, Position, Reserved, Sequence, SubscriptionId, SubscriptionKey, Tick,
    Token,
};

/// A subscription with deliveries that a transaction settles.
pub(super) type Settling = (SubscriptionId, Arc<Cell>, SubscriptionKey);

/// A message and where it goes.
pub(super) type Sending = (Arc<Cell>, Arc<Message>);

/// A message that is taken once: what it was sent to, and which of the transaction's sends, or of its
/// jobs, are of it.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) destination: DestinationName,
    pub(super) sends: std::ops::Range<usize>,
    pub(super) jobs: std::ops::Range<usize>,
    pub(super) message: Arc<Message>,
}

/// An open transaction.
#[derive(Debug)]
pub(super) struct UnitOfWork {
    pub(super) opened: Tick,
    pub(super) sends: Vec<Sending>,
    /// Messages that are to be sent on later.
    pub(super) jobs: Vec<Arc<Message>>,
    /// Messages to the scheduler itself.
    pub(super) commands: Vec<Arc<Message>>,
    /// Those of `sends` and `jobs` whose senders gave them an identity.
    pub(super) identified: Vec<Identified>,
    /// Subscriptions with deliveries that it settles, each once.
    pub(super) settles: Vec<Settling>,
    pub(super) operations: usize,
    pub(super) bytes: usize,
}

impl UnitOfWork {
    pub(super) fn new(opened: Tick) -> Self {
        Self {
            opened,
            sends: Vec::new(),
            jobs: Vec::new(),
            commands: Vec::new(),
            identified: Vec::new(),
            settles: Vec::new(),
            operations: 0,
            bytes: 0,
        }
    }
}

/// A transaction whose changes are being made durable.
#[derive(Debug)]
pub(super) struct Commit {
    /// `None` where something else than a transaction waits for the log.
    pub(super) transaction: Option<crate::core::TransactionId>,
    pub(super) token: Option<Token>,
    /// It is durable once the log is durable up to here.
    pub(super) until: Sequence,
    pub(super) sends: Vec<Placing>,
    /// Messages that are to be sent on later, each with its place.
    pub(super) jobs: Vec<(Position, Arc<Message>)>,
    /// Messages to the scheduler itself.
    pub(super) commands: Vec<Arc<Message>>,
    pub(super) settles: Vec<Settling>,
    /// Bytes booked for it.
    pub(super) bytes: usize,
}

/// A message of a committing transaction.
#[derive(Debug)]
pub(super) struct Placing {
    pub(super) cell: Arc<Cell>,
    pub(super) message: Arc<Message>,
    /// Its place, if it is for a queue.
    pub(super) reserved: Option<Reserved>,
}
