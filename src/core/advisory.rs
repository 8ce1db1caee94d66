//! Advisories: what happens in the broker, told on topics below `ActiveMQ.Advisory.` to whoever
//! subscribes to them. Bodies are JSON; `docs/advisories.md` describes each.

use std::fmt::Write as _;

use super::compose::Composition;
use super::destination::{DestinationName, Kind};
use super::id::{ConnectionId, MessageId, SubscriptionId};
use super::message::{BodyKind, Message, Priority};
use super::request::SubscribeOptions;
use super::time::Timestamp;

/// What the names of all topics of advisories start with.
const PREFIX: &str = "ActiveMQ.Advisory.";

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A client has come, or gone.
    Connection {
        /// Its connection.
        connection: ConnectionId,
        /// What it calls itself, if anything.
        client: Option<&'a str>,
        /// Whether it has come.
        came: bool,
    },
    /// A subscription to a destination has begun, or ended.
    Consumer {
        /// The destination, as the subscription names it.
        destination: &'a DestinationName,
        /// Whose it is.
        connection: ConnectionId,
        /// Its number there.
        subscription: SubscriptionId,
        /// Its terms, if it has begun.
        options: Option<&'a SubscribeOptions>,
    },
    /// A connection sends to a destination for the first time.
    Producer {
        /// The destination.
        destination: &'a DestinationName,
        /// The connection.
        connection: ConnectionId,
    },
    /// A destination has come to life, or has been removed.
    Destination {
        /// The destination.
        destination: &'a DestinationName,
        /// Whether it has come to life.
        came: bool,
    },
    /// A message has moved to a dead-letter queue.
    DeadLetter {
        /// Where it was.
        origin: &'a DestinationName,
        /// Where it went.
        queue: &'a DestinationName,
        /// Its identity.
        message: MessageId,
        /// Why it was given up.
        cause: &'a str,
    },
    /// Messages were past their expiration.
    Expired {
        /// Where they were.
        destination: &'a DestinationName,
        /// How many.
        count: u64,
    },
    /// A consumer does not take what it is sent, and gets nothing more for now.
    SlowConsumer {
        /// The destination.
        destination: &'a DestinationName,
        /// Whose consumer it is.
        connection: ConnectionId,
        /// Its number there.
        subscription: SubscriptionId,
    },
}

impl DestinationName {
    /// Whether it is a topic of advisories.
    pub fn is_advisory(&self) -> bool {
        self.kind() == Kind::Topic && self.name().starts_with(PREFIX)
    }

    /// Whether a subscription to it may be given advisories: it names such a topic, or has a wildcard
    /// where they begin.
    pub fn may_be_advised(&self) -> bool {
        let parts = self.parts();
        let mut parts = parts
            .as_deref()
            .unwrap_or(std::slice::from_ref(self))
            .iter();
        parts.any(|part| {
            let mut levels = part.name().split('.');
            let covers = match levels.next() {
                Some(">") => true,
                Some("ActiveMQ" | "*") => matches!(levels.next(), Some("Advisory" | "*" | ">")),
                _ => false,
            };
            part.kind() == Kind::Topic && covers
        })
    }
}

impl Event<'_> {
    /// The topic that it is told on; `None` for what happens to advisories themselves.
    pub fn topic(&self) -> Option<DestinationName> {
        let (what, about) = match self {
            Self::Connection { .. } => ("Connection", None),
            Self::Consumer { destination, .. } => ("Consumer.", Some(*destination)),
            Self::Producer { destination, .. } => ("Producer.", Some(*destination)),
            Self::Destination { destination, .. } => ("", Some(*destination)),
            Self::DeadLetter { origin, .. } => ("MessageDLQd.", Some(*origin)),
            Self::Expired { destination, .. } => ("Expired.", Some(*destination)),
            Self::SlowConsumer { destination, .. } => ("SlowConsumer.", Some(*destination)),
        };
        let Some(about) = about else {
            return DestinationName::topic(&format!("{PREFIX}{what}")).ok();
        };
        if about.is_advisory() {
            return None;
        }
        let kind = match about.kind() {
            Kind::Queue => "Queue",
            Kind::Topic => "Topic",
        };
        let name = match self {
            Self::Destination { .. } => format!("{PREFIX}{kind}"),
            // A composite destination is told of under its whole name.
            Self::Connection { .. }
            | Self::Consumer { .. }
            | Self::Producer { .. }
            | Self::DeadLetter { .. }
            | Self::Expired { .. }
            | Self::SlowConsumer { .. } => format!("{PREFIX}{what}{kind}.{}", about.name()),
        };
        // One whose name would be too long is not told of.
        DestinationName::topic(&name).ok()
    }

    /// The message that tells it.
    pub fn message(&self, id: MessageId, topic: &DestinationName, now: Timestamp) -> Message {
        let body = self.body();
        let kind = [("amq-msg-type".to_owned(), "text".to_owned())];
        Composition {
            id,
            destination: topic,
            timestamp: now,
            expiration: None,
            priority: Priority::DEFAULT,
            persistent: false,
            body_kind: BodyKind::Text,
            properties: &kind,
            body: body.as_bytes(),
        }
        .message()
    }

    fn body(&self) -> String {
        let mut fields = Fields::default();
        let name = match self {
            Self::Connection {
                connection,
                client,
                came,
            } => {
                fields.number("connectionId", connection.0);
                if let Some(client) = client {
                    fields.text("clientId", client);
                }
                if *came {
                    "ConnectionInfo"
                } else {
                    "RemoveInfo"
                }
            }
            Self::Consumer {
                destination,
                connection,
                subscription,
                options,
            } => {
                fields.consumer(*connection, *subscription, destination);
                if let Some(options) = options {
                    fields.terms(options);
                }
                options.map_or("RemoveInfo", |_| "ConsumerInfo")
            }
            Self::Producer {
                destination,
                connection,
            } => {
                fields.text("producerId", &connection.to_string());
                fields.text("destination", &destination.to_string());
                "ProducerInfo"
            }
            Self::Destination { destination, came } => {
                fields.text("destination", &destination.to_string());
                fields.text("operationType", if *came { "add" } else { "remove" });
                "DestinationInfo"
            }
            Self::DeadLetter {
                origin,
                queue,
                message,
                cause,
            } => {
                fields.dead_letter(*message, origin, queue, cause);
                "MessageDLQd"
            }
            Self::Expired { destination, count } => {
                fields.text("destination", &destination.to_string());
                fields.number("count", *count);
                "MessageExpired"
            }
            Self::SlowConsumer {
                destination,
                connection,
                subscription,
            } => {
                fields.consumer(*connection, *subscription, destination);
                "SlowConsumer"
            }
        };
        fields.close(name)
    }
}

/// The fields of a JSON object.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn name(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.0.push_str(&value.to_string());
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push('"');
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                control if control < ' ' => {
                    // Writing to a string never fails.
                    let _ = write!(self.0, "\\u{:04x}", u32::from(control));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }

    fn consumer(
        &mut self,
        connection: ConnectionId,
        subscription: SubscriptionId,
        destination: &DestinationName,
    ) {
        self.text("consumerId", &format!("{connection}-{subscription}"));
        self.text("destination", &destination.to_string());
    }

    fn dead_letter(
        &mut self,
        message: MessageId,
        origin: &DestinationName,
        queue: &DestinationName,
        cause: &str,
    ) {
        let MessageId { connection, number } = message;
        self.text("messageId", &format!("ID-{connection}-{number}"));
        self.text("destination", &origin.to_string());
        self.text("deadLetterQueue", &queue.to_string());
        self.text("cause", cause);
    }

    fn terms(&mut self, options: &SubscribeOptions) {
        if let Some(prefetch) = options.prefetch {
            self.number("prefetchSize", prefetch.into());
        }
        self.flag("browser", options.browse);
        self.flag("exclusive", options.exclusive);
        self.flag("noLocal", options.no_local.is_some());
        if let Some(selector) = &options.selector {
            self.text("selector", &selector.to_string());
        }
    }

    fn close(self, name: &str) -> String {
        format!("{{\"{name}\":{{{}}}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{AckMode, Selector};

    fn told(event: &Event<'_>) -> (String, String) {
        let topic = event.topic().unwrap();
        let message = event.message(MessageId::default(), &topic, Timestamp(1));
        let body = String::from_utf8(message.encoded.body().to_vec()).unwrap();
        (topic.name().to_owned(), body)
    }

    #[test]
    fn each_event_has_its_topic_and_its_body() {
        let queue = DestinationName::queue("a.\"b\"").unwrap();
        let connection = ConnectionId(7);
        let subscription = SubscriptionId(2);
        let options = SubscribeOptions {
            selector: Some(Selector::parse("a = 'x'").unwrap()),
            ..SubscribeOptions::new(5, AckMode::Auto)
        };
        let consumer = |options| Event::Consumer {
            destination: &queue,
            connection,
            subscription,
            options,
        };
        let (topic, body) = told(&consumer(Some(&options)));
        assert_eq!(topic, "ActiveMQ.Advisory.Consumer.Queue.a.\"b\"");
        assert_eq!(
            body,
            r#"{"ConsumerInfo":{"consumerId":"7-2","destination":"queue://a.\"b\"","prefetchSize":5,"browser":false,"exclusive":false,"noLocal":false,"selector":"a = 'x'"}}"#
        );
        let (_, body) = told(&consumer(None));
        assert_eq!(
            body,
            r#"{"RemoveInfo":{"consumerId":"7-2","destination":"queue://a.\"b\""}}"#
        );
        let came = Event::Connection {
            connection,
            client: Some("me\n"),
            came: true,
        };
        let expected = r#"{"ConnectionInfo":{"connectionId":7,"clientId":"me\u000a"}}"#;
        assert_eq!(
            told(&came),
            ("ActiveMQ.Advisory.Connection".into(), expected.into())
        );
        let topic = DestinationName::topic("t").unwrap();
        let gone = Event::Destination {
            destination: &topic,
            came: false,
        };
        let expected =
            r#"{"DestinationInfo":{"destination":"topic://t","operationType":"remove"}}"#;
        assert_eq!(
            told(&gone),
            ("ActiveMQ.Advisory.Topic".into(), expected.into())
        );
        let expired = Event::Expired {
            destination: &topic,
            count: 3,
        };
        assert_eq!(told(&expired).0, "ActiveMQ.Advisory.Expired.Topic.t");
    }

    #[test]
    fn nothing_is_told_of_advisories_themselves() {
        let topic = DestinationName::topic("ActiveMQ.Advisory.Queue").unwrap();
        let came = true;
        let destination = &topic;
        assert_eq!(Event::Destination { destination, came }.topic(), None);
    }

    #[test]
    fn it_is_known_who_may_be_advised() {
        let advised = |text: &str| DestinationName::topic(text).unwrap().may_be_advised();
        for name in [
            ">",
            "*.>",
            "ActiveMQ.>",
            "ActiveMQ.Advisory.Queue",
            "*.Advisory.Connection",
        ] {
            assert!(advised(name), "{name}");
        }
        for name in ["a.>", "ActiveMQ.DLQ", "ActiveMQ", "Advisory", "*.a"] {
            assert!(!advised(name), "{name}");
        }
        assert!(!DestinationName::queue(">").unwrap().may_be_advised());
        let parts = ["a", "ActiveMQ.Advisory.>"].map(|name| DestinationName::topic(name).unwrap());
        assert!(DestinationName::composite(&parts).unwrap().may_be_advised());
    }
}
