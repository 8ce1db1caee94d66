//! Durable subscriptions as clients of several brokers ask for them.

use std::sync::Arc;

use super::receipts::Purpose;
use super::refusal::{Refused, shown};
use super::session::Peer;
use super::subscribe::is_on;
use crate::codec::stomp::Headers;
use crate::core::{DestinationName, DurableName, Kind, Request, SubscriptionId};
use crate::protocol::Code;

/// Headers that name a durable subscription of the peer's `client-id`; the second one is a slip that
/// clients have copied from each other.
const SPELLINGS: [&[u8]; 4] = [
    b"activemq.subscriptionName",
    b"activemq.subcriptionName",
    b"durable-subscription-name",
    b"durable-subscriber-name",
];

/// The longest name, in bytes.
const LONGEST: usize = 1024;

impl Peer {
    /// The durable subscription that SUBSCRIBE asks for, if it does.
    pub(super) fn durable(
        &self,
        headers: &Headers<'_>,
        destination: &DestinationName,
    ) -> Result<Option<DurableName>, Refused> {
        let name = match self.named_durable(headers)? {
            Some(name) => name,
            // Queues are durable anyway.
            None if destination.kind() == Kind::Queue || !asks(headers) => return Ok(None),
            None => {
                let id = headers.get(b"id").filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| {
                    Refused::missing("A durable subscription received without an id!", "id")
                })?;
                by_id(&id, destination)?
            }
        };
        let problem = if destination.kind() == Kind::Queue && !destination.is_composite() {
            "Invalid Subscription: cannot durably subscribe to a Queue destination!"
        } else if destination.is_advisory() {
            "Cannot create a durable subscription for an advisory Topic"
        } else if !destination.is_plain() || destination.is_composite() {
            "Invalid Subscription: a durable one is of one topic, or of a wildcard"
        } else {
            return Ok(Some(name));
        };
        Err(Refused::new(Code::InvalidDestination, problem))
    }

    /// The durable subscription that UNSUBSCRIBE wants to be forgotten, if it does.
    pub(super) fn durable_to_forget(
        &mut self,
        headers: &Headers<'_>,
    ) -> Result<Option<DurableName>, Refused> {
        if let Some(name) = self.named_durable(headers)? {
            return Ok(Some(name));
        }
        let id = headers.get(b"id").filter(|id| !id.is_empty());
        let Some(id) = id.filter(|_| asks(headers)) else {
            return Ok(None);
        };
        let known = self.subscription_called(&id);
        let known = known.and_then(|id| self.subscriptions.get(id));
        if let Some(known) = known {
            return Ok(known.durable.clone());
        }
        let to = headers.get(b"destination").unwrap_or_default();
        if to.is_empty() {
            return Err(Refused::missing(
                "UNSUBSCRIBE of a durable subscription received without its destination!",
                "destination",
            ));
        }
        let destination = self.subscribed_to(&to, headers)?;
        by_id(&id, &destination).map(Some)
    }

    /// Asks for the end of a durable subscription; the peer itself may receive from it.
    pub(super) fn forget_durable(
        &mut self,
        durable: DurableName,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) {
        let own = |(_, known): &(SubscriptionId, &super::subscription::Subscription)| {
            known.durable.as_ref() == Some(&durable)
        };
        let found = self.subscriptions.iter().find(own).map(|(id, _)| id);
        if let Some(id) = found {
            self.settle_on_their_way(id, requests);
            self.forget_subscription(id);
        }
        let receipt = self.receipt(headers);
        let token = receipt.map(|receipt| self.receipts.add(Some(receipt), Purpose::Plain));
        requests.push(Request::Forget { durable, token });
    }

    fn named_durable(&self, headers: &Headers<'_>) -> Result<Option<DurableName>, Refused> {
        let mut given = SPELLINGS.iter().filter_map(|name| headers.get(name));
        let Some(name) = given.find(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let Some(client) = &self.client else {
            return Err(Refused::missing(
                "A durable subscription needs the client-id of its CONNECT: without one nobody could \
                 come back to it",
                "client-id",
            ));
        };
        let client = Arc::clone(client);
        Ok(Some(DurableName {
            client,
            name: text(&name)?,
        }))
    }

    /// Notes what the peer calls itself.
    pub(super) fn note_client(&mut self, headers: &Headers<'_>) -> Result<(), Refused> {
        if let Some(id) = headers.get(b"client-id").filter(|id| !id.is_empty()) {
            self.client = Some(text(&id)?);
        }
        Ok(())
    }
}

/// Whether a durable subscription is asked for as with `RabbitMQ`.
fn asks(headers: &Headers<'_>) -> bool {
    is_on(headers, b"durable") || is_on(headers, b"persistent")
}

/// With `RabbitMQ` a durable subscription goes by its destination and id.
fn by_id(id: &[u8], destination: &DestinationName) -> Result<DurableName, Refused> {
    let id = text(id)?;
    Ok(DurableName {
        client: "".into(),
        name: format!("{id}@{}", destination.name()).into(),
    })
}

fn text(value: &[u8]) -> Result<Arc<str>, Refused> {
    let read = std::str::from_utf8(value).ok();
    let read = read.filter(|text| text.len() <= LONGEST && !text.chars().any(char::is_control));
    read.map(Arc::from).ok_or_else(|| {
        Refused::new(
            Code::InvalidHeader,
            format!(
                "The name '{}' cannot be that of a client or of a durable subscription: it is text of at \
                 most {LONGEST} bytes, without control characters",
                shown(value)
            ),
        )
    })
}
