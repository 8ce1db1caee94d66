//! Bytes that are not STOMP.

/// Why bytes could not be decoded. Each is the peer's doing and ends the connection; the words are
/// those of `ActiveMQ` where it has some, since people search for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first line of a frame names no command.
    #[error(
        "Unknown STOMP action: {0}. Known are CONNECT, STOMP, SEND, SUBSCRIBE, UNSUBSCRIBE, ACK, \
         NACK, BEGIN, COMMIT, ABORT and DISCONNECT"
    )]
    UnknownCommand(String),
    /// A header line holds no colon.
    #[error("Header line {line} of the frame has no colon: {text}")]
    NoColon {
        /// Which line, counted from 1 for the first after the command.
        line: usize,
        /// Its first bytes.
        text: String,
    },
    /// A header line starts with its colon.
    #[error("Header line {line} of the frame has an empty name")]
    EmptyName {
        /// Which line, counted from 1 for the first after the command.
        line: usize,
    },
    /// A NUL in the head of a frame, which would end it early for whoever it is passed on to.
    #[error(
        "Line {line} of the frame holds a NUL, which ends a frame, before the empty line that ends \
         the headers"
    )]
    Nul {
        /// Which line, counted from 1 for the command.
        line: usize,
    },
    /// A part of a frame is larger than allowed.
    #[error("The maximum {what} was exceeded: {actual}, the limit is {limit} ({key})")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// How large it is, at least.
        actual: usize,
        /// How large it may be.
        limit: usize,
        /// The setting that says so.
        key: &'static str,
    },
    /// The length of the body is not a number.
    #[error("Specified content-length is not a valid integer: {0}")]
    LengthInvalid(String),
    /// The length of the body is below zero.
    #[error("Specified content-length may not be negative: {0}")]
    LengthNegative(String),
    /// The body does not end where its length says.
    #[error("content-length bytes were read and there was no trailing null byte")]
    NoNul,
    /// An earlier frame of the same peer could not be decoded.
    #[error("the bytes before could not be decoded")]
    Poisoned,
}
