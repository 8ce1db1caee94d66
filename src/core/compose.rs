//! Messages that no client's frame brought: of the broker itself, or of a program that embeds it.

use bytes::Bytes;

use super::destination::{DestinationName, Kind};
use super::id::MessageId;
use super::message::{BodyKind, Encoded, Form, Message, Priority};
use super::time::Timestamp;

/// Names that the broker's own lines of a message have.
const OWN: [&str; 8] = [
    "message-id",
    "destination",
    "timestamp",
    "expires",
    "priority",
    "persistent",
    "content-length",
    "subscription",
];

/// What a message is made of.
#[derive(Clone, Debug)]
pub struct Composition<'a> {
    /// Its identity.
    pub id: MessageId,
    /// Where it is sent to.
    pub destination: &'a DestinationName,
    /// When it is sent.
    pub timestamp: Timestamp,
    /// When it stops being of use.
    pub expiration: Option<Timestamp>,
    /// Its rank.
    pub priority: Priority,
    /// Whether it survives a restart.
    pub persistent: bool,
    /// What kind of body it has.
    pub body_kind: BodyKind,
    /// Names and values; those that the broker itself says are left out.
    pub properties: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

impl Composition<'_> {
    /// Whether a property of this name can be set: not if the broker says it, or it could not be read
    /// back.
    pub fn may_be_named(name: &str) -> bool {
        !name.is_empty() && !name.contains([':', '\n', '\r', '\0', '\\']) && !OWN.contains(&name)
    }

    /// The message.
    pub fn message(&self) -> Message {
        let mut head = Vec::with_capacity(256 + self.body.len());
        let mut grouped = false;
        let mut identified = false;
        let named = |(name, _): &&(String, String)| Self::may_be_named(name);
        for (name, value) in self.properties.iter().filter(named) {
            grouped |= name == "JMSXGroupID" && !value.is_empty();
            identified |= name == "_AMQ_DUPL_ID" && !value.is_empty();
            line(&mut head, name, value);
        }
        let MessageId { connection, number } = self.id;
        line(
            &mut head,
            "message-id",
            &format!("ID-{connection}-{number}"),
        );
        line(&mut head, "destination", &spelled(self.destination));
        line(&mut head, "timestamp", &self.timestamp.0.to_string());
        let expires = self.expiration.map_or(0, |at| at.0);
        line(&mut head, "expires", &expires.to_string());
        line(&mut head, "priority", &self.priority.get().to_string());
        if self.persistent {
            line(&mut head, "persistent", "true");
        }
        if self.body_kind == BodyKind::Bytes || memchr::memchr(0, self.body).is_some() {
            line(&mut head, "content-length", &self.body.len().to_string());
        }
        head.push(b'\n');
        let escaped = memchr::memchr(b'\\', &head).is_some();
        let start = head.len();
        head.extend_from_slice(self.body);
        head.push(0);
        Message {
            id: self.id,
            timestamp: self.timestamp,
            expiration: self.expiration,
            priority: self.priority,
            persistent: self.persistent,
            body_kind: self.body_kind,
            grouped,
            identified,
            encoded: Encoded {
                form: if escaped {
                    Form::StompEscaped
                } else {
                    Form::StompPlain
                },
                bytes: Bytes::from(head),
                body_start: u32::try_from(start).unwrap_or(u32::MAX),
                body_length: u32::try_from(self.body.len()).unwrap_or(u32::MAX),
            },
            sent_to: None,
            job: None,
            provenance: None,
        }
    }
}

/// A header line as it is to be in an encoded message.
#[derive(Clone, Debug)]
pub(super) struct Line {
    name: &'static str,
    value: String,
}

impl Line {
    pub(super) fn new(name: &'static str, value: String) -> Self {
        Self { name, value }
    }

    pub(super) fn number(name: &'static str, value: u64) -> Self {
        Self::new(name, value.to_string())
    }
}

impl Encoded {
    /// The same with these lines, in place of those of their names.
    pub(super) fn edited(&self, lines: &[Line]) -> Self {
        let start = (self.body_start as usize).min(self.bytes.len());
        let (head, body) = self.bytes.split_at_checked(start).unwrap_or_default();
        let mut bytes = Vec::with_capacity(self.bytes.len() + 64 * lines.len());
        for Line { name, value } in lines {
            line(&mut bytes, name, value);
        }
        let replaced = |old: &&[u8]| {
            lines.iter().any(|Line { name, .. }| {
                let behind = old.strip_prefix(name.as_bytes());
                behind.is_some_and(|behind| behind.starts_with(b":"))
            })
        };
        let old = head
            .split(|byte| *byte == b'\n')
            .filter(|old| !old.is_empty());
        for old in old.filter(|old| !replaced(old)) {
            bytes.extend_from_slice(old);
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        let body_start = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(body);
        // What no version escapes reads the same where escapes are expected.
        let escaped = lines
            .iter()
            .any(|line| line.value.contains([':', '\\', '\n', '\r']));
        Self {
            form: if escaped {
                Form::StompEscaped
            } else {
                self.form
            },
            bytes: Bytes::from(bytes),
            body_start,
            ..*self
        }
    }
}

/// Appends a header line, its value escaped as STOMP 1.2 asks.
fn line(head: &mut Vec<u8>, name: &str, value: &str) {
    head.extend_from_slice(name.as_bytes());
    head.push(b':');
    for byte in value.bytes() {
        match byte {
            b'\n' => head.extend_from_slice(b"\\n"),
            b'\r' => head.extend_from_slice(b"\\r"),
            b':' => head.extend_from_slice(b"\\c"),
            b'\\' => head.extend_from_slice(b"\\\\"),
            other => head.push(other),
        }
    }
    head.push(b'\n');
}

/// A destination as STOMP spells it.
pub(super) fn spelled(name: &DestinationName) -> String {
    let one = |name: &DestinationName| match (name.kind(), name.is_temporary()) {
        (Kind::Queue, false) => format!("/queue/{}", name.name()),
        (Kind::Topic, false) => format!("/topic/{}", name.name()),
        (Kind::Queue, true) => format!("/remote-temp-queue/{}", name.name()),
        (Kind::Topic, true) => format!("/remote-temp-topic/{}", name.name()),
    };
    match name.parts() {
        None => one(name),
        Some(parts) => parts.iter().map(one).collect::<Vec<_>>().join(","),
    }
}

/// The destination that STOMP spells so; one alone.
pub(super) fn read_spelled(text: &str) -> Option<DestinationName> {
    let read = |prefix: &str, make: fn(Kind, &str) -> _, kind| {
        let name = text.strip_prefix(prefix)?;
        Result::ok(make(kind, name))
    };
    read("/queue/", DestinationName::new, Kind::Queue)
        .or_else(|| read("/topic/", DestinationName::new, Kind::Topic))
        .or_else(|| {
            read(
                "/remote-temp-queue/",
                DestinationName::temporary,
                Kind::Queue,
            )
        })
        .or_else(|| {
            read(
                "/remote-temp-topic/",
                DestinationName::temporary,
                Kind::Topic,
            )
        })
        .filter(|name| !name.is_composite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_is_read_back() {
        let properties = [
            ("colour", "a:b\nc"),
            ("JMSXGroupID", "g"),
            ("message-id", "mine"),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let message = Composition {
            id: MessageId::default(),
            destination: &DestinationName::queue("q").unwrap(),
            timestamp: Timestamp(7),
            expiration: None,
            priority: Priority::DEFAULT,
            persistent: true,
            body_kind: BodyKind::Text,
            properties: &properties,
            body: b"hello",
        }
        .message();
        let property = |name: &str| {
            let value = message.encoded.property(name.as_bytes());
            value.map(|value| String::from_utf8(value.into_owned()).unwrap())
        };
        assert_eq!(property("colour").as_deref(), Some("a:b\nc"));
        assert_eq!(property("message-id").as_deref(), Some("ID-0-0"));
        assert_eq!(property("destination").as_deref(), Some("/queue/q"));
        assert_eq!(property("content-length"), None);
        assert!(message.grouped && message.persistent);
        assert_eq!(message.encoded.body(), b"hello");
        assert_eq!(message.encoded.bytes.last(), Some(&0));
    }

    #[test]
    fn names_that_the_broker_has_or_nobody_could_read_are_refused() {
        for name in ["", "a:b", "a\nb", "destination", "content-length"] {
            assert!(!Composition::may_be_named(name), "{name:?}");
        }
        assert!(Composition::may_be_named("reply-to"));
    }
}
