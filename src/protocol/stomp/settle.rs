//! ACK and NACK: from the words of each version to deliveries.

use super::config::Nack;
use super::deliver::{parse_ack_id, parse_message_id};
use super::receipts::Purpose;
use super::refusal::{Refused, shown};
use super::session::Peer;
use super::subscription::Unsettleable;
use crate::codec::stomp::{Headers, Version};
use crate::core::{AckMode, MessageId, Outcome, Request, SubscriptionId, Tags, TransactionId};
use crate::protocol::Code;

/// A delivery that the peer named: its subscription and its place there.
type Named = (SubscriptionId, usize);

impl Peer {
    pub(super) fn settle(
        &mut self,
        accept: bool,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let verb = if accept { "ACK" } else { "NACK" };
        let transaction = self.open_transaction(headers)?;
        if !accept {
            self.may_nack(transaction)?;
        }
        let outcome_of_nack = self.config.nack.outcome(headers);
        let again = transaction.filter(|_| accept);
        let (subscription, index) = if self.version == Version::V1_2 {
            self.by_ack_id(verb, headers, again)?
        } else {
            self.by_message_id(verb, headers, again)?
        };
        let Some(known) = self.subscriptions.get_mut(subscription) else {
            return Ok(());
        };
        if known.browses && !accept {
            return Err(Refused::new(
                Code::InvalidHeader,
                "Cannot Nack a message on a Queue Browser Subscription.",
            ));
        }
        let tag = known.outstanding.tag(index);
        let through = accept && known.mode == AckMode::Client;
        let count = known.outstanding.settle(index, through, transaction);
        let (outcome, counter) = if accept {
            (Outcome::Accept, &mut self.report.acknowledged.ack)
        } else {
            (outcome_of_nack, &mut self.report.acknowledged.nack)
        };
        *counter += count;
        let receipt = self.receipt(headers);
        if count == 0 {
            // The transaction holds it already, by an acknowledgement of a later one.
            if let Some(receipt) = receipt {
                self.write_receipt(&receipt);
            }
            return Ok(());
        }
        let token = match transaction {
            Some(transaction) => Some(self.receipts.add(receipt, Purpose::Within(transaction))),
            None => receipt.map(|receipt| self.receipts.add(Some(receipt), Purpose::Plain)),
        };
        requests.push(Request::Settle {
            subscription,
            tags: if through {
                Tags::Through(tag)
            } else {
                Tags::One(tag)
            },
            outcome,
            transaction,
            token,
        });
        Ok(())
    }

    /// Whether NACK can be said at all.
    fn may_nack(&self, transaction: Option<TransactionId>) -> Result<(), Refused> {
        if self.version == Version::V1_0 {
            return Err(Refused::new(
                Code::NotSupported,
                "NACK received but connection is in v1.0 mode.",
            ));
        }
        if transaction.is_some() && self.config.nack == Nack::DeadLetter {
            return Err(Refused::new(
                Code::InvalidHeader,
                "Poison ack cannot be transacted: this listener moves what is refused to the \
                 dead-letter queue at once",
            ));
        }
        Ok(())
    }

    /// Since 1.2 a delivery is named by the `ack` header of its MESSAGE.
    fn by_ack_id(
        &self,
        verb: &str,
        headers: &Headers<'_>,
        again: Option<TransactionId>,
    ) -> Result<Named, Refused> {
        let Some(id) = headers.get(b"id").filter(|id| !id.is_empty()) else {
            return Err(Refused::missing(
                &format!("{verb} received without an ack id for acknowledge!"),
                "id",
            ));
        };
        let unexpected = |why| Err(unexpected(verb, "ack id", &id, why));
        let Some((connection, subscription, tag)) = parse_ack_id(&id) else {
            return unexpected("it is no id that this broker gave");
        };
        if connection != self.id {
            return unexpected("it was delivered on another connection");
        }
        let Some(known) = self.subscriptions.get(subscription) else {
            return unexpected(if subscription < self.subscriptions.next_id() {
                "its subscription has ended"
            } else {
                Unsettleable::Never.why()
            });
        };
        match known.outstanding.by_tag(tag, known.again(again)) {
            Ok(index) => Ok((subscription, index)),
            Err(error) => unexpected(error.why()),
        }
    }

    /// Before 1.2 a delivery is named by its message and its subscription, in 1.0 by its message
    /// alone if need be.
    fn by_message_id(
        &self,
        verb: &str,
        headers: &Headers<'_>,
        again: Option<TransactionId>,
    ) -> Result<Named, Refused> {
        let Some(id) = headers.get(b"message-id").filter(|id| !id.is_empty()) else {
            return Err(Refused::missing(
                &format!("{verb} received without a message-id to acknowledge!"),
                "message-id",
            ));
        };
        let message = parse_message_id(&id);
        let named = headers.get(b"subscription").filter(|name| !name.is_empty());
        let unexpected = |why| unexpected(verb, "message-id", &id, why);
        let message = message.ok_or_else(|| unexpected("it is no id that this broker gave"))?;
        let found = match named {
            Some(name) => {
                let known = self
                    .subscription_called(&name)
                    .and_then(|id| Some((id, self.subscriptions.get(id)?)));
                let Some((id, known)) = known else {
                    return Err(unexpected("there is no such subscription, or it has ended"));
                };
                let found = known.outstanding.by_message(message, known.again(again));
                found.map(|at| (id, at))
            }
            None if self.version == Version::V1_0 => self.of_any_subscription(message, again),
            None => {
                return Err(Refused::missing(
                    &format!("{verb} received without a subscription id for acknowledge!"),
                    "subscription",
                ));
            }
        };
        found.map_err(|error| unexpected(error.why()))
    }

    /// The delivery of a message to the oldest subscription that still has one.
    fn of_any_subscription(
        &self,
        message: MessageId,
        again: Option<TransactionId>,
    ) -> Result<Named, Unsettleable> {
        let mut found: Result<Named, Unsettleable> = Err(Unsettleable::Gone);
        for (id, known) in self.subscriptions.iter() {
            let here = known.outstanding.by_message(message, known.again(again));
            match (here, &found) {
                (Ok(_), Ok((older, _))) if *older < id => {}
                (Ok(index), _) => found = Ok((id, index)),
                (Err(Unsettleable::Gone), _) | (Err(_), Ok(_)) => {}
                (Err(why), Err(_)) => found = Err(why),
            }
        }
        found
    }

    /// The subscription that the peer calls so, by its own id or by the one that was made up for it.
    pub(super) fn subscription_called(&self, name: &[u8]) -> Option<SubscriptionId> {
        self.subscriptions.named(name).or_else(|| {
            let made_up = name.strip_prefix(b"auto-")?;
            let id = SubscriptionId(std::str::from_utf8(made_up).ok()?.parse().ok()?);
            let known = self.subscriptions.get(id)?;
            known.name.is_none().then_some(id)
        })
    }
}

impl Nack {
    /// What becomes of a refused message. RabbitMQ's `requeue:false` asks for its end at once.
    fn outcome(self, headers: &Headers<'_>) -> Outcome {
        if headers.raw(b"requeue") == Some(b"false") {
            return Outcome::Reject;
        }
        match self {
            Self::Redeliver => Outcome::Modify { failed: true },
            Self::DeadLetter => Outcome::Reject,
            Self::Requeue => Outcome::Modify { failed: false },
        }
    }
}

fn unexpected(verb: &str, what: &str, id: &[u8], why: &str) -> Refused {
    let shown = shown(id);
    Refused::new(
        Code::UnknownAck,
        format!("Unexpected {verb} received for {what} [{shown}]: {why}"),
    )
}
