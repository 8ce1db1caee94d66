//! ERROR frames: what was refused, why, and what can be done about it.

use crate::codec::stomp::{DecodeError, Verb, Version, begin, end, header, number};
use crate::core::Refusal;
use crate::protocol::Code;

/// Where the page is that explains every code.
const PAGE: &str = "docs/errors.md";

/// Why a frame is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: Code,
    /// One sentence for the peer's owner.
    pub(super) message: String,
    /// The limit that was met.
    limit: Option<Limit>,
    /// The connection cannot go on, whatever the listener's mode.
    pub(super) fatal: bool,
}

#[derive(Debug)]
struct Limit {
    key: &'static str,
    actual: Option<u64>,
    most: u64,
}

impl Refused {
    /// One that the connection survives.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            limit: None,
            fatal: false,
        }
    }

    /// One that ends the connection.
    pub(super) fn fatal(code: Code, message: impl Into<String>) -> Self {
        Self {
            fatal: true,
            ..Self::new(code, message)
        }
    }

    /// A header is missing; the text is that of `ActiveMQ`, since people search for it.
    pub(super) fn missing(text: &str, name: &str) -> Self {
        Self::new(Code::MissingHeader, format!("{text} (header: {name})"))
    }

    /// A header's value cannot be used.
    pub(super) fn invalid(name: &str, value: &[u8], expected: &str) -> Self {
        Self::new(
            Code::InvalidHeader,
            format!(
                "The header {name} is '{}', expected is {expected}",
                shown(value)
            ),
        )
    }

    /// A header asks for something that is not built yet.
    pub(super) fn unbuilt(name: &[u8], what: &str) -> Self {
        let name = shown(name);
        Self::new(
            Code::NotSupported,
            format!("The header {name} asks for {what}, which is not supported yet"),
        )
    }

    /// Only a server sends such a frame.
    pub(super) fn unexpected_frame(verb: Verb) -> Self {
        Self::fatal(
            Code::UnexpectedFrame,
            format!("{} is only expected from a server", verb.text()),
        )
    }

    /// The broker goes; what has no receipt was not taken.
    pub(super) fn stopping() -> Self {
        Self::new(Code::Shutdown, "The broker is stopping")
    }

    /// With the limit that was met.
    pub(super) fn at_limit(mut self, key: &'static str, actual: Option<u64>, limit: u64) -> Self {
        self.limit = Some(Limit {
            key,
            actual,
            most: limit,
        });
        self
    }

    /// Appends the ERROR frame. `receipt` is the value that the refused frame asked a receipt by, as
    /// it was sent.
    pub(super) fn encode(&self, out: &mut Vec<u8>, version: Version, receipt: Option<&[u8]>) {
        begin(out, Verb::Error);
        header(out, b"message", self.message.as_bytes(), version);
        header(out, b"code", self.code.text().as_bytes(), version);
        out.extend_from_slice(b"content-type:text/plain\n");
        if let Some(receipt) = receipt {
            out.extend_from_slice(b"receipt-id:");
            out.extend_from_slice(receipt);
            out.push(b'\n');
        }
        if self.code == Code::VersionMismatch {
            out.extend_from_slice(b"version:1.0,1.1,1.2\n");
        }
        if let Some(limit) = &self.limit {
            header(out, b"key", limit.key.as_bytes(), version);
            let actual = limit.actual.map(|actual| ("actual", actual));
            for (name, value) in actual.into_iter().chain([("limit", limit.most)]) {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                number(out, value);
                out.push(b'\n');
            }
        }
        let (code, hint) = (self.code.text(), self.code.hint());
        // A NUL would end the frame early.
        let message = self.message.replace('\0', "\\0");
        end(
            out,
            format!("{message}\n{hint}\nSee {PAGE}#{code}\n").as_bytes(),
        );
    }
}

/// What the peer sent, as it is quoted: its first bytes.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 200;
    match bytes.get(..MOST) {
        Some(first) if bytes.len() > MOST => format!("{}...", String::from_utf8_lossy(first)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

impl From<&DecodeError> for Refused {
    fn from(error: &DecodeError) -> Self {
        let (code, limit) = match error {
            DecodeError::UnknownCommand(_) => (Code::UnknownCommand, None),
            DecodeError::NoColon { .. }
            | DecodeError::EmptyName { .. }
            | DecodeError::Nul { .. }
            | DecodeError::Poisoned => (Code::MalformedFrame, None),
            DecodeError::TooLarge {
                actual, limit, key, ..
            } => (Code::FrameTooLarge, Some((*key, *actual, *limit))),
            DecodeError::LengthInvalid(_) | DecodeError::LengthNegative(_) | DecodeError::NoNul => {
                (Code::InvalidContentLength, None)
            }
        };
        let refused = Self::fatal(code, error.to_string());
        match limit {
            Some((key, actual, limit)) => refused.at_limit(key, Some(actual as u64), limit as u64),
            None => refused,
        }
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Full {
                key, actual, limit, ..
            }
            | Refusal::NoRoom {
                key, actual, limit, ..
            } => Self::new(Code::Full, format!("No room: {refusal} ({key})")).at_limit(
                key,
                Some(*actual),
                *limit,
            ),
            Refusal::NoDestination { .. } => {
                Self::new(Code::UnknownDestination, refusal.to_string())
            }
            Refusal::NotOwner { .. } => Self::new(Code::ForeignTemporary, refusal.to_string()),
            Refusal::DurableInUse(_) => Self::new(Code::SubscriptionInUse, refusal.to_string()),
            Refusal::NoDurable(_) => Self::new(Code::UnknownSubscription, refusal.to_string()),
            Refusal::DurableName(_) | Refusal::Command(_) => {
                Self::new(Code::InvalidHeader, refusal.to_string())
            }
            Refusal::NoSubscription => Self::new(
                Code::UnknownSubscription,
                "The subscription has ended meanwhile",
            ),
            Refusal::NoDelivery => Self::new(
                Code::UnknownAck,
                "The delivery has been settled or taken back meanwhile",
            ),
            Refusal::NoTransaction => Self::new(
                Code::UnknownTransaction,
                "The transaction has ended meanwhile: something in it was refused, or its time was over \
                 (limits.tx_timeout)",
            ),
            Refusal::Stopping => Self::stopping(),
            Refusal::StoreFailed { .. } => Self::new(
                Code::StoreFailed,
                "The broker cannot store messages any more",
            ),
        }
    }
}
