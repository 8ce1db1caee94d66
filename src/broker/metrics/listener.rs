//! What is counted for each listener.

use metrics::{Counter, Gauge};

use super::{Closed, names};

/// The handles of one listener, made once.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    /// Open connections.
    pub connections: Gauge,
    /// Connections accepted.
    pub opened: Counter,
    /// Connections that ended.
    pub closed: Closed,
}

impl ListenerMetrics {
    /// Makes the handles of the listener of this name, for one protocol over one transport.
    #[must_use]
    pub fn register(protocol: &str, transport: &str, listener: &str) -> Self {
        Self {
            connections: names::CONNECTIONS.gauge(&[protocol, transport, listener]),
            opened: names::CONNECTIONS_OPENED.counter(&[protocol, listener]),
            closed: Closed::make(|reason| {
                names::CONNECTIONS_CLOSED.counter(&[protocol, listener, reason])
            }),
        }
    }
}
