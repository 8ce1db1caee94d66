//! Messages that nobody could work on: where they go, and what they carry with them when they arrive
//! there in place of the original.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::destination::{DestinationName, Kind};
use super::error::NameError;
use super::id::MessageId;
use super::message::{DeliveryState, Message, Provenance};
use super::policy::changes;
use super::property::Described;
use super::selector::{Selector, Value};
use super::time::Timestamp;

/// Why a message whose time is over was given up.
pub(super) const EXPIRED: &str = "expired";

/// What becomes of messages that nobody could work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// Whether they are kept at all; if not, they are dropped.
    pub enabled: bool,
    /// The queue that they move to.
    pub queue: NameTemplate,
    /// Whether messages whose time is over move there, too.
    pub expired: bool,
    /// Whether messages that are not persistent move there, too.
    pub non_persistent: bool,
    /// How long they are kept there, in milliseconds; `None` is without end.
    pub ttl: Option<u64>,
    /// How many bytes of messages a queue may hold when dead letters arrive at it; the oldest are
    /// dropped then.
    pub max_bytes: u64,
}

/// What becomes of a message that nobody could work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It moves to this queue.
    Moves(DestinationName),
    /// It is dropped.
    Dropped,
    /// It stays: it is where dead letters end, or is one.
    Stays,
}

impl DeadLetterPolicy {
    /// What becomes of a message of `holder`. A dead letter is never moved on, whichever queue it is
    /// on: it would be lost among others, or go round in circles.
    pub(super) fn fate(&self, message: &Message, holder: &DestinationName) -> Fate {
        if message.provenance.is_some() {
            return Fate::Stays;
        }
        let queue = self.queue.queue_of(holder);
        if queue == *holder {
            Fate::Stays
        } else if self.enabled && (self.non_persistent || message.persistent) {
            Fate::Moves(queue)
        } else {
            Fate::Dropped
        }
    }
}

impl Default for DeadLetterPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            queue: NameTemplate::default(),
            expired: false,
            non_persistent: true,
            ttl: None,
            max_bytes: 10 << 30,
        }
    }
}

changes! {
    /// What a policy changes of how dead letters are treated.
    DeadLetterChange of DeadLetterPolicy {
        enabled: bool,
        queue: NameTemplate,
        expired: bool,
        non_persistent: bool,
        ttl: Option<u64>,
        max_bytes: u64,
    }
}

/// The name of a queue in which `{name}` stands for the name of another destination, and `{kind}` for
/// `Queue` or `Topic`, whichever that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Arc<str>);

impl NameTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it names no queue, or when something else than `{name}` and `{kind}` is in braces.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let plain = text.replace("{name}", "").replace("{kind}", "");
        if plain.contains(['{', '}']) {
            return Err(NameError::Placeholder);
        }
        if text.contains(',') {
            return Err(NameError::Composite);
        }
        DestinationName::queue(text)?;
        Ok(Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The queue that it names for a destination. Where that name would be too long, it is the shared
    /// one, [`Self::default`].
    pub fn queue_of(&self, destination: &DestinationName) -> DestinationName {
        let kind = match destination.kind() {
            Kind::Queue => "Queue",
            Kind::Topic => "Topic",
        };
        let name = self
            .0
            .replace("{kind}", kind)
            .replace("{name}", destination.name());
        DestinationName::queue(&name).unwrap_or_else(|_| DestinationName::dead_letters())
    }
}

impl Default for NameTemplate {
    fn default() -> Self {
        Self(DestinationName::DEAD_LETTERS.into())
    }
}

/// How a message came to its end.
pub(super) struct End<'a> {
    /// What had happened to it.
    pub(super) state: DeliveryState,
    /// Why it is given up.
    pub(super) cause: &'a str,
    /// Which consumer had it last, by the name that operators know.
    pub(super) consumer: Option<&'a str>,
    /// When.
    pub(super) now: Timestamp,
}

/// The dead letter of `message`: persistent, with no expiration but the one that dead letters have,
/// and with where it came from.
pub(super) fn dead_letter(
    message: &Message,
    origin: &DestinationName,
    end: &End<'_>,
    ttl: Option<u64>,
) -> Arc<Message> {
    let now = end.now;
    Arc::new(Message {
        persistent: true,
        expiration: ttl.map(|ttl| Timestamp(now.0.saturating_add(ttl))),
        sent_to: None,
        provenance: Some(Box::new(Provenance {
            origin: origin.clone(),
            cause: end.cause.to_owned(),
            delivery_count: end.state.deliveries,
            first_failure: end.state.first_failure.unwrap_or(now),
            last_failure: now,
            last_consumer: end.consumer.map(Into::into),
            expiration: message.expiration,
            was_persistent: message.persistent,
        })),
        ..message.clone()
    })
}

/// What a dead letter was before, and where it was: to be tried there again. An expiration that is
/// over is not taken up again, or nobody would see it.
pub(super) fn revive(message: &Message, now: Timestamp) -> Option<(DestinationName, Arc<Message>)> {
    let provenance = message.provenance.as_deref()?;
    let expiration = provenance.expiration.filter(|at| *at > now);
    let encoded = if expiration == provenance.expiration {
        message.encoded.clone()
    } else {
        message.encoded.without_expiration()
    };
    let revived = Message {
        persistent: provenance.was_persistent,
        expiration,
        encoded,
        job: None,
        provenance: None,
        ..message.clone()
    };
    Some((provenance.origin.clone(), Arc::new(revived)))
}

/// Which dead letters are meant.
#[derive(Clone, Debug)]
pub enum LetterFilter {
    /// All.
    All,
    /// Those that a selector matches; it sees what MESSAGE says of dead letters, too.
    Matching(Selector),
    /// These.
    Ids(BTreeSet<MessageId>),
}

impl LetterFilter {
    /// Whether a message is meant and is a dead letter at all.
    pub fn includes(&self, message: &Message) -> bool {
        message.provenance.is_some()
            && match self {
                Self::All => true,
                Self::Ids(ids) => ids.contains(&message.id),
                Self::Matching(selector) => selector.matches(&Described {
                    message,
                    state: DeliveryState::default(),
                }),
            }
    }
}

impl Provenance {
    /// What MESSAGE says of a dead letter, by the names of its headers.
    pub(super) fn property(&self, name: &str) -> Option<Value<'_>> {
        let number = |number: u64| i64::try_from(number).ok().map(Value::Integer);
        match name {
            "dlqReason" | "dlqDeliveryFailureCause" => {
                Some(Value::Text(self.cause.as_str().into()))
            }
            "dlqDeliveryCount" => number(self.delivery_count.into()),
            "dlqFirstFailure" => number(self.first_failure.0),
            "dlqLastFailure" => number(self.last_failure.0),
            "dlqLastConsumer" => {
                let consumer = self.last_consumer.as_deref();
                consumer.map(|consumer| Value::Text(consumer.into()))
            }
            "originalExpiration" => self.expiration.and_then(|at| number(at.0)),
            "originalDeliveryMode" => {
                (!self.was_persistent).then(|| Value::Text("NON_PERSISTENT".into()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_a_queue_for_each_destination() {
        let template = NameTemplate::parse("ActiveMQ.DLQ.{kind}.{name}").unwrap();
        let of = |name: &DestinationName| template.queue_of(name).name().to_owned();
        let orders = DestinationName::queue("orders").unwrap();
        assert_eq!(of(&orders), "ActiveMQ.DLQ.Queue.orders");
        let prices = DestinationName::topic("prices").unwrap();
        assert_eq!(of(&prices), "ActiveMQ.DLQ.Topic.prices");
        // What stands in a name is not a placeholder.
        let odd = DestinationName::queue("{kind}").unwrap();
        assert_eq!(of(&odd), "ActiveMQ.DLQ.Queue.{kind}");
        let long = DestinationName::queue(&"x".repeat(1024)).unwrap();
        assert_eq!(of(&long), "ActiveMQ.DLQ");
        assert_eq!(
            NameTemplate::default().queue_of(&orders).name(),
            "ActiveMQ.DLQ"
        );
    }

    #[test]
    fn a_template_that_names_no_queue_is_refused() {
        for wrong in ["", "DLQ.{nam}", "DLQ.{", "}", "{{name}}", "a,b", "a\nb"] {
            assert!(NameTemplate::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
