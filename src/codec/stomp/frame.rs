//! Frames, borrowed and owned.

use std::fmt;

use super::encoder;
use super::header::Headers;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// No escaping on output, values trimmed; also what holds until a version is agreed.
    #[default]
    V1_0,
    /// Escapes `\n`, `\c`, `\\`.
    V1_1,
    /// Escapes `\r` too.
    V1_2,
}

impl Version {
    /// As it is written in headers.
    pub const fn text(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// The command of a frame.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Verb {
            $($(#[$doc])* $name,)+
        }

        impl Verb {
            /// As it is written in the first line of a frame.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Every verb there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            pub(super) fn parse(line: &[u8]) -> Option<Self> {
                $(if line == $text.as_bytes() { return Some(Self::$name); })+
                None
            }
        }
    };
}

verbs! {
    /// Puts a message on a destination.
    Send = "SEND",
    /// Settles a delivery.
    Ack = "ACK",
    /// Refuses a delivery.
    Nack = "NACK",
    /// Opens a transaction.
    Begin = "BEGIN",
    /// Makes a transaction effective.
    Commit = "COMMIT",
    /// Forgets a transaction.
    Abort = "ABORT",
    /// Starts a subscription.
    Subscribe = "SUBSCRIBE",
    /// Ends a subscription.
    Unsubscribe = "UNSUBSCRIBE",
    /// Logs in.
    Connect = "CONNECT",
    /// Logs in, since 1.1.
    Stomp = "STOMP",
    /// Says goodbye.
    Disconnect = "DISCONNECT",
    /// The server's welcome.
    Connected = "CONNECTED",
    /// The server's delivery.
    Message = "MESSAGE",
    /// The server's confirmation.
    Receipt = "RECEIPT",
    /// The server's refusal.
    Error = "ERROR",
}

impl Verb {
    /// Whether `content-length` says how long the body of such a frame is. On other frames clients
    /// send it with anything in it, and `ActiveMQ` looks for the NUL.
    pub(super) const fn has_body(self) -> bool {
        matches!(
            self,
            Self::Send | Self::Message | Self::Error | Self::Receipt | Self::Connected
        )
    }
}

/// A frame as it lies in the bytes that were read.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Its command.
    pub verb: Verb,
    /// Its headers.
    pub headers: Headers<'a>,
    /// Its body, without the NUL.
    pub body: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("verb", &self.verb)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A frame on its own, for clients and tests; the broker's hot path does without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFrame {
    /// Its command.
    pub verb: Verb,
    /// Its headers in their order, unescaped.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl OwnedFrame {
    /// A frame without headers and body.
    pub fn new(verb: Verb) -> Self {
        Self {
            verb,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The value of the first header of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Appends the frame as a peer of that version reads it, with a `content-length` unless it has one.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        encoder::begin(out, self.verb);
        for (name, value) in &self.headers {
            encoder::header(out, name.as_bytes(), value.as_bytes(), version);
        }
        let explicit = self.get("content-length").is_some();
        if self.verb.has_body() && !explicit && !self.body.is_empty() {
            out.extend_from_slice(b"content-length:");
            encoder::number(out, self.body.len() as u64);
            out.push(b'\n');
        }
        encoder::end(out, &self.body);
    }
}

impl Frame<'_> {
    /// The frame on its own. Bytes of headers that are not UTF-8 are replaced.
    pub fn to_owned(&self) -> OwnedFrame {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        OwnedFrame {
            verb: self.verb,
            headers: self
                .headers
                .iter()
                .map(|header| (text(header.name), text(&header.value())))
                .collect(),
            body: self.body.to_vec(),
        }
    }
}
