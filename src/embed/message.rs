//! Messages as a program that embeds the broker sees them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{
    BodyKind, Delivery, DeliveryTag, DestinationName, Message, Priority, SubscriptionId,
};

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body is text, for consumers that make a difference.
    pub body_kind: BodyKind,
    /// Whether it survives a restart.
    pub persistent: bool,
    /// Its rank among those waiting.
    pub priority: Priority,
    /// How long it is of use; without end if `None`.
    pub time_to_live: Option<Duration>,
    /// Names and values, for selectors and consumers.
    pub properties: Vec<(String, String)>,
}

impl Outgoing {
    /// A persistent message with a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            body_kind: BodyKind::Text,
            ..Self::bytes(text.into())
        }
    }

    /// A persistent message with bytes.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            body_kind: BodyKind::Bytes,
            persistent: true,
            priority: Priority::DEFAULT,
            time_to_live: None,
            properties: Vec::new(),
        }
    }

    /// The same, with a property.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// The same, but it need not survive a restart.
    #[must_use]
    pub fn not_persistent(mut self) -> Self {
        self.persistent = false;
        self
    }
}

/// A message that a client was given.
#[derive(Clone, Debug)]
pub struct Received {
    /// The subscription that it was given to.
    pub subscription: SubscriptionId,
    /// Where it comes from: of a wildcard or composite subscription, the concrete destination.
    pub destination: DestinationName,
    /// How often it was delivered, this time included.
    pub count: u32,
    /// Whether a consumer may have seen it before.
    pub redelivered: bool,
    pub(super) tag: DeliveryTag,
    message: Arc<Message>,
}

impl Received {
    pub(super) fn new(delivery: Delivery, named: &DestinationName) -> Self {
        let destination = match delivery.concrete {
            Some(concrete) => concrete.as_ref().clone(),
            None => named.clone(),
        };
        Self {
            subscription: delivery.subscription,
            destination,
            count: delivery.count,
            redelivered: delivery.redelivered,
            tag: delivery.tag,
            message: delivery.message,
        }
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.message.encoded.body()
    }

    /// The body as text, with what is no UTF-8 replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body())
    }

    /// A property, or what STOMP calls a header of the message: `correlation-id`, `reply-to`, …
    pub fn property(&self, name: &str) -> Option<String> {
        let value = self.message.encoded.property(name.as_bytes())?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    /// The message as the broker holds it.
    pub fn message(&self) -> &Message {
        &self.message
    }
}
