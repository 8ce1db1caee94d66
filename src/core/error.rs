//! Why a rule said no.

use super::destination::{DestinationName, Kind};
use super::durable::DurableName;
use super::schedule::CommandError;

/// A destination's name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing is left of the name once its prefix is taken off.
    #[error("a destination needs a name")]
    Empty,
    /// The name is longer than can be kept.
    #[error("the name has {actual} bytes, the longest that is kept has {limit}")]
    TooLong {
        /// Its length in bytes.
        actual: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The name holds a character that no client could send back.
    #[error("the name holds a control character")]
    ControlCharacter,
    /// A template holds something in braces that stands for nothing.
    #[error("only {{name}} and {{kind}} may stand in braces")]
    Placeholder,
    /// A name that has to stand for one destination holds a comma.
    #[error("the name stands for several destinations")]
    Composite,
}

/// A request that a rule refused. Nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Something that the request needs is full; the request may be tried again later.
    #[error("{what} holds {actual}, its limit is {limit}")]
    Full {
        /// What is full, as a user names it.
        what: &'static str,
        /// The setting that raises the limit.
        key: &'static str,
        /// How much it holds.
        actual: u64,
        /// How much it may hold.
        limit: u64,
    },
    /// There is no such destination, and it is not one to be made by being used.
    #[error("The destination {name} does not exist.")]
    NoDestination {
        /// Its name.
        name: DestinationName,
    },
    /// Only the connection that made a temporary destination may receive from it.
    #[error(
        "Subscribing to a temporary {} created by another connection is not permitted",
        kind.word()
    )]
    NotOwner {
        /// Queue or topic.
        kind: Kind,
    },
    /// Something that the request needs is full, and senders are not made to wait for it.
    #[error("{what} holds {actual}, its limit is {limit}")]
    NoRoom {
        /// What is full, as a user names it.
        what: &'static str,
        /// The setting that raises the limit.
        key: &'static str,
        /// How much it holds.
        actual: u64,
        /// How much it may hold.
        limit: u64,
    },
    /// Somebody receives from the durable subscription.
    #[error("Durable consumer is in use for client: {} and subscriptionName: {}", .0.client, .0.name)]
    DurableInUse(DurableName),
    /// There is no such durable subscription.
    #[error("No durable subscription exists for clientID: {} and subscriptionName: {}", .0.client, .0.name)]
    NoDurable(DurableName),
    /// A durable subscription cannot be kept under this name.
    #[error("the durable subscription cannot be kept: {0}")]
    DurableName(#[from] NameError),
    /// A message to the scheduler does not say what it is to do.
    #[error("{0}")]
    Command(#[from] CommandError),
    /// The subscription does not exist, or no longer.
    #[error("no such subscription")]
    NoSubscription,
    /// The delivery was never made, or is settled.
    #[error("no such delivery is waiting to be settled")]
    NoDelivery,
    /// The transaction is not open.
    #[error("no such transaction is open")]
    NoTransaction,
    /// The broker is stopping, and what waited for room will not find any.
    #[error("the broker is stopping")]
    Stopping,
    /// The store has failed; nothing durable can be promised any more.
    #[error("the store has failed: {cause}")]
    StoreFailed {
        /// What the store said.
        cause: String,
    },
}
