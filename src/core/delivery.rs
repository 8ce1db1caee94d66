//! What a client is given.

use std::sync::Arc;

use super::destination::DestinationName;
use super::id::{DeliveryTag, SubscriptionId};
use super::message::Message;

/// One hand-over of a message to one subscription.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: any of them may hold"
)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// Its number within the subscription, to settle it by.
    pub tag: DeliveryTag,
    /// The subscription, by the number that its session gave it.
    pub subscription: SubscriptionId,
    /// How often the message was delivered, this time included: 1 the first time.
    pub count: u32,
    /// Whether a consumer may have seen it before.
    pub redelivered: bool,
    /// Whether it is the first message of its group that this consumer is given since it has the group.
    pub first_of_group: bool,
    /// Whether it is no message, but tells a browser that it has been shown everything.
    pub end_of_browse: bool,
    /// Where it comes from, if that is not simply what the subscription names.
    pub concrete: Option<Arc<DestinationName>>,
}
