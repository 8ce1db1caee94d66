//! Why a server does not start, or does not stop cleanly.

use std::io;
use std::net::SocketAddr;

use super::machine;
use crate::broker::BrokerError;

/// Why a server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {listener}: {}; {}", reason(*.address, source), advice(listener, source))]
    Bind {
        /// The listener's name, or `http`.
        listener: String,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The broker could not be opened or closed.
    #[error("{0}")]
    Broker(#[from] BrokerError),
    /// The system refused something else.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn reason(address: SocketAddr, source: &io::Error) -> String {
    if source.kind() != io::ErrorKind::AddrInUse {
        return source.to_string();
    }
    match machine::port_holder(address) {
        Some(holder) => format!("{holder} has the port"),
        None => "another process has the port".to_owned(),
    }
}

fn advice(listener: &str, source: &io::Error) -> String {
    let flag = if listener == "http" {
        "--http ADDRESS".to_owned()
    } else {
        format!("--listen {listener}=ADDRESS")
    };
    if source.kind() == io::ErrorKind::AddrInUse {
        format!("stop it, or choose another with {flag}")
    } else {
        format!("choose another with {flag}")
    }
}
