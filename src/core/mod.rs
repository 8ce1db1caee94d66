//! The rules and words of messaging, as plain values.
//!
//! Lives here: what a queue, a topic, a subscription, a delivery and an acknowledgement are, and who
//! gets the next message. May import: `bytes`, `nom`, `memchr`, `thiserror`, `Arc` and the standard
//! collections. Deliberately not here: clocks, sockets, threads, locks, randomness, header names of
//! any protocol; time and numbers come in as arguments, results go out as `Effects`.

mod delivery;
mod destination;
mod error;
mod id;
mod message;
mod persist;
mod request;
mod time;

pub use delivery::Delivery;
pub use destination::{DestinationName, Kind};
pub use error::{NameError, Refusal};
pub use id::{
    ConnectionId, DeliveryTag, DestinationId, MessageId, Position, Sequence, SubscriptionId, Token,
    TransactionId,
};
pub use message::{
    BodyKind, DeliveryState, Encoded, Form, Message, Priority, Provenance, StoredAt,
};
pub use persist::Persist;
pub use request::{AckMode, Completion, Done, Outcome, Request, SubscribeOptions, Tags};
pub use time::{Now, Tick, Timestamp};
