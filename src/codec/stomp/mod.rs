//! STOMP 1.0, 1.1 and 1.2 frames.

mod decoder;
mod encoder;
mod error;
mod frame;
mod header;
mod limits;

pub use decoder::{BodyPart, Decoded, Decoder, Event, LARGE_BODY};
pub use encoder::{begin, end, escape, header, needs_escape, number, relax};
pub use error::DecodeError;
pub use frame::{Frame, OwnedFrame, Verb, Version};
pub use header::{Header, Headers};
pub use limits::Limits;
