//! What a destination asks the store to remember: results, never commands.

use std::sync::Arc;

use super::destination::DestinationName;
use super::id::{DestinationId, Position};
use super::message::{DeliveryState, Message, StoredAt};

/// One change of durable state. All that is handed to the writer in one call becomes durable
/// together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persist {
    /// A destination exists from here on. Comes before anything else that names its number.
    Define {
        /// Its number, never used before.
        destination: DestinationId,
        /// Its kind and name.
        name: DestinationName,
    },
    /// A destination and everything in it is gone.
    Undefine {
        /// Its number.
        destination: DestinationId,
    },
    /// A message is in its place.
    Put {
        /// The place; positions of one destination arrive in growing order, except those reserved by
        /// a transaction, which may come late.
        at: StoredAt,
        /// The message.
        message: Arc<Message>,
        /// What had happened to it before: not the default only for a message that moved here.
        state: DeliveryState,
        /// Kept on disk only to save memory: forgotten at the next start.
        transient: bool,
    },
    /// A message is settled, or gone for another reason.
    Remove {
        /// The place it had.
        at: StoredAt,
    },
    /// A message came back and waits for its next delivery. Ignored if it is gone.
    Returned {
        /// The place it keeps.
        at: StoredAt,
        /// What has happened to it so far.
        state: DeliveryState,
    },
    /// Of this destination, messages up to this position may have reached a consumer: after a crash
    /// they come back flagged as redelivered. Replaces the horizon before it, also by a lower one.
    Horizon {
        /// The destination.
        destination: DestinationId,
        /// The last position that may have been delivered; 0 is none.
        position: Position,
    },
}
