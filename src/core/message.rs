//! A message as the broker holds it: the few fields that rules need, and the encoded form that the
//! arriving session wrote once for all who will read it.

use std::sync::Arc;

use bytes::Bytes;

use super::destination::DestinationName;
use super::id::{DestinationId, MessageId, Position};
use super::schedule::Job;
use super::time::Timestamp;

/// JMS priority, 0 to 9; 4 when the sender named none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// What a message has that names no priority.
    pub const DEFAULT: Self = Self(4);
    /// How many priorities there are.
    pub const COUNT: usize = 10;

    /// The nearest priority: values outside 0 to 9 are clamped, as `ActiveMQ` does.
    pub fn clamped(value: i64) -> Self {
        Self(u8::try_from(value.clamp(0, 9)).unwrap_or(Self::DEFAULT.0))
    }

    /// The number, 0 to 9.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether the body is text or bytes, which decides what a JMS consumer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKind {
    /// UTF-8 text.
    #[default]
    Text,
    /// Opaque bytes.
    Bytes,
}

/// Who can read `Encoded::bytes` as it stands. The numbers are part of the stored format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// STOMP header lines, a blank line, the body and a NUL, in which no header value holds a
    /// character that any version of STOMP escapes: the same bytes in every version.
    #[default]
    StompPlain = 1,
    /// The same with header values escaped as STOMP 1.2 asks.
    StompEscaped = 2,
}

impl Form {
    /// The form that a stored number stands for, if this version of the broker knows it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::StompPlain),
            2 => Some(Self::StompEscaped),
            _ => None,
        }
    }
}

/// A message's properties and body in the form they arrived in. Opaque to every rule: only a session
/// of the same family looks inside, and one of the same form sends it on without a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// How `bytes` is to be read.
    pub form: Form,
    /// The encoded message, in one allocation of its own.
    pub bytes: Bytes,
    /// Where the body starts in `bytes`.
    pub body_start: u32,
    /// How long the body is, in bytes.
    pub body_length: u32,
}

impl Encoded {
    /// The body alone.
    pub fn body(&self) -> &[u8] {
        let start = self.body_start as usize;
        let end = start.saturating_add(self.body_length as usize);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// Where a dead-lettered message came from, and why it is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The destination whose consumers could not take it.
    pub origin: DestinationName,
    /// Why it was given up, in words.
    pub cause: String,
    /// How often it had been delivered.
    pub delivery_count: u32,
    /// When it failed first and last.
    pub first_failure: Timestamp,
    /// When it was given up.
    pub last_failure: Timestamp,
    /// The consumer that had it last, by the name that its session gave it.
    pub last_consumer: Option<Arc<str>>,
    /// The expiration that it arrived with; on the dead-letter queue it has another or none.
    pub expiration: Option<Timestamp>,
    /// Whether it was persistent when it arrived; on the dead-letter queue it always is.
    pub was_persistent: bool,
}

/// One message. Immutable once shared: what changes from delivery to delivery is a `DeliveryState`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its identity.
    pub id: MessageId,
    /// When it arrived, or what its sender claimed.
    pub timestamp: Timestamp,
    /// When it stops being of use; `None` is never.
    pub expiration: Option<Timestamp>,
    /// Its rank among those waiting.
    pub priority: Priority,
    /// Whether it survives a restart.
    pub persistent: bool,
    /// What kind of body it has.
    pub body_kind: BodyKind,
    /// Whether it belongs to a message group, which its properties name.
    pub grouped: bool,
    /// Whether its sender gave it an identity by which a second one is known; it has been looked for once
    /// the message is where it goes.
    pub identified: bool,
    /// Properties and body.
    pub encoded: Encoded,
    /// What it was sent to, if that is another destination than the one that holds it.
    pub sent_to: Option<Box<DestinationName>>,
    /// When and where it is to be sent on, while it waits for that.
    pub job: Option<Box<Job>>,
    /// Set once it has been dead-lettered.
    pub provenance: Option<Box<Provenance>>,
}

impl Message {
    /// What one message costs beside its encoded bytes, for the accounts, in bytes.
    const OVERHEAD: usize = 160;

    /// One that says nothing.
    pub(super) fn empty() -> Self {
        Self {
            id: MessageId::default(),
            timestamp: Timestamp(0),
            expiration: None,
            priority: Priority::DEFAULT,
            persistent: false,
            body_kind: BodyKind::Text,
            grouped: false,
            identified: false,
            encoded: Encoded {
                form: Form::StompPlain,
                bytes: Bytes::new(),
                body_start: 0,
                body_length: 0,
            },
            sent_to: None,
            job: None,
            provenance: None,
        }
    }

    /// The memory that this message takes, in bytes, for accounts and limits.
    pub fn footprint(&self) -> usize {
        self.encoded.bytes.len().saturating_add(Self::OVERHEAD)
    }

    /// Whether it is past its expiration at `now`.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expiration.is_some_and(|expiration| expiration <= now)
    }
}

/// What has happened to a message in its destination so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryState {
    /// How often it was handed to a consumer and came back.
    pub deliveries: u32,
    /// How many of those count as failed tries of a consumer to work on it.
    pub attempts: u32,
    /// Whether a consumer may have seen it before.
    pub redelivered: bool,
    /// When the first failed try was counted.
    pub first_failure: Option<Timestamp>,
}

/// Names a stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredAt {
    /// The destination that holds it.
    pub destination: DestinationId,
    /// Its place there.
    pub position: Position,
}
