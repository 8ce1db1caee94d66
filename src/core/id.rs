//! The numbers that name things. Each is a type of its own, so that none is passed for another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// One connection of one peer, never reused: the high 32 bits count the starts of this broker's
    /// store, the low 32 bits the connections since that start.
    ConnectionId(u64)
}
number! {
    /// A destination in the store. Names change hands, numbers never come back.
    DestinationId(u64)
}
number! {
    /// A message's place in its destination: grows by one with each message that arrives, survives
    /// restarts, and is kept when the message returns for redelivery. Starts at 1.
    Position(u64)
}
number! {
    /// A point in the writer's log. Everything at or below the durable sequence survives a crash.
    /// Starts at 1; 0 means that there is nothing to wait for.
    Sequence(u64)
}
number! {
    /// A subscription within its connection, chosen by the session and not reused while it lives.
    SubscriptionId(u32)
}
number! {
    /// One hand-over of a message to one subscription; grows with each delivery. Starts at 1.
    DeliveryTag(u64)
}
number! {
    /// A transaction within its connection, chosen by the session.
    TransactionId(u32)
}
number! {
    /// The session's own name for a request whose completion it wants to hear of.
    Token(u64)
}

/// The identity of a message, unique over the life of a store: the connection that sent it, and the
/// number of the message on that connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// The connection that the message arrived on.
    pub connection: ConnectionId,
    /// The message's number on that connection, from 1.
    pub number: u64,
}
