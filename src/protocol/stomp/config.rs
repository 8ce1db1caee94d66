//! What a listener decides for its sessions.

use std::fmt;
use std::time::Duration;

use super::dialect::Dialect;
use crate::codec::stomp::Limits;

/// The settings that all sessions of a listener share.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `server` header of CONNECTED, by which clients choose their dialect; `None` leaves it out.
    pub server: Option<String>,
    /// Bounds of one frame.
    pub limits: Limits,
    /// Bytes of one frame of a peer that has not logged in.
    pub frame_before_login: usize,
    /// A peer that has not logged in by then is closed.
    pub login_timeout: Duration,
    /// Whose clients it serves.
    pub dialect: Dialect,
    /// Signs of life between frames.
    pub heart_beat: HeartBeat,
    /// What becomes of a message that a peer refuses.
    pub nack: Nack,
    /// Whether SUBSCRIBE without `id` is refused where the standard asks for one.
    pub strict_subscription_id: bool,
    /// Whether a refused request closes the connection, as the standard wants it; otherwise it stays
    /// open wherever it does with `ActiveMQ`.
    pub close_on_error: bool,
    /// Subscriptions of one connection.
    pub max_subscriptions: usize,
    /// Temporary destinations of one connection.
    pub max_temporary: usize,
    /// Open transactions of one connection.
    pub max_transactions: usize,
    /// Bytes of answers that wait for a peer, from which on no more is read from it.
    pub outbound_bytes: usize,
}

/// Signs of life between frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeartBeat {
    /// The shortest interval that is agreed to.
    pub min: Duration,
    /// The longest interval after which a peer is sent something. One that itself promises to speak
    /// less often is not held to more than it promises.
    pub max: Duration,
    /// A peer is given up after this many intervals of silence.
    pub grace: f64,
    /// This much is added to that.
    pub grace_extra: Duration,
    /// Whether a peer that sends no heart-beats is refused.
    pub require: bool,
}

/// What becomes of a message that a peer refuses with NACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nack {
    /// It is delivered again, then moves to the dead-letter queue.
    Redeliver,
    /// It moves to the dead-letter queue at once, as with `ActiveMQ`.
    DeadLetter,
    /// It is delivered again without end, as with RabbitMQ.
    Requeue,
}

/// Why a peer is turned away at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// Who has too many connections.
    pub what: &'static str,
    /// The setting that raises the limit.
    pub key: &'static str,
    /// How many there may be.
    pub limit: usize,
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, key, limit } = self;
        write!(
            f,
            "{what} has {limit} connections, as many as it may ({key})"
        )
    }
}

impl Default for Config {
    /// The settings' own defaults.
    fn default() -> Self {
        Self {
            server: Some(
                concat!(
                    "Tidegate/",
                    env!("CARGO_PKG_VERSION"),
                    " (ActiveMQ compatible)"
                )
                .into(),
            ),
            limits: Limits::default(),
            frame_before_login: 64 * 1024,
            login_timeout: Duration::from_secs(10),
            dialect: Dialect::default(),
            heart_beat: HeartBeat::default(),
            nack: Nack::Redeliver,
            strict_subscription_id: false,
            close_on_error: false,
            max_subscriptions: 1000,
            max_temporary: 1000,
            max_transactions: 100,
            outbound_bytes: 4 << 20,
        }
    }
}

impl Default for HeartBeat {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(1),
            max: Duration::from_hours(1),
            grace: 2.0,
            grace_extra: Duration::from_secs(2),
            require: false,
        }
    }
}
