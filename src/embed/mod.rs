//! The broker inside another program: a client without a socket.
//!
//! Lives here: what a program sends, subscribes to, receives and settles, waiting on its own thread
//! ([`Client`]) or, with the feature `server`, as a task ([`AsyncClient`]). May import: `core` and
//! `broker`. Deliberately not here: rules, bytes of any protocol.

#[cfg(feature = "server")]
mod async_client;
mod client;
mod error;
mod link;
mod message;

use crate::broker::Broker;
use link::Link;

#[cfg(feature = "server")]
pub use async_client::AsyncClient;
pub use client::Client;
pub use error::ClientError;
pub use message::{Outgoing, Received};

impl Broker {
    /// A client of this broker that waits on the thread that calls it.
    pub fn client(&self) -> Client {
        Client::new(Link::new(self))
    }

    /// A client of this broker for asynchronous code.
    #[cfg(feature = "server")]
    pub fn async_client(&self) -> AsyncClient {
        AsyncClient::new(Link::new(self))
    }
}
