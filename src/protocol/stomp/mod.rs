//! STOMP 1.0, 1.1 and 1.2 as clients of `ActiveMQ` know it.
//!
//! One session for each peer. Which frame means what: `connect` (CONNECT, STOMP, DISCONNECT), `send`,
//! `subscribe`, `settle` (ACK, NACK), `transaction`; what the peer is given: `deliver` (MESSAGE),
//! `answers` (RECEIPT and ERROR).

mod answers;
mod config;
mod connect;
mod deliver;
mod destination;
mod dialect;
mod durable;
mod header_value;
mod heart_beat;
mod large;
mod receipts;
mod refusal;
mod schedule;
mod send;
mod session;
mod settle;
mod sniff;
mod subscribe;
mod subscription;
mod temporary;
mod transaction;

pub use config::{Config, HeartBeat, Nack, Overload};
pub use dialect::Dialect;
pub use session::Session;
