//! The message that arrives on a dead-letter queue in place of one that nobody could work on.

use std::sync::Arc;

use super::destination::DestinationName;
use super::message::{DeliveryState, Message, Provenance};
use super::time::Timestamp;

/// The dead letter of `message`: persistent, without expiration, and with where it came from.
pub(super) fn dead_letter(
    message: &Message,
    origin: &DestinationName,
    state: DeliveryState,
    cause: &str,
    now: Timestamp,
) -> Arc<Message> {
    Arc::new(Message {
        persistent: true,
        expiration: None,
        sent_to: None,
        provenance: Some(Box::new(Provenance {
            origin: origin.clone(),
            cause: cause.to_owned(),
            delivery_count: state.deliveries,
            first_failure: state.first_failure.unwrap_or(now),
            last_failure: now,
            expiration: message.expiration,
            was_persistent: message.persistent,
        })),
        ..message.clone()
    })
}
