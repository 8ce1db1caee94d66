//! Tidegate: a message broker, as a library.
//!
//! ```
//! use std::time::Duration;
//! use tidegate::{AckMode, Broker, BrokerConfig, Outgoing, SubscribeOptions};
//!
//! let broker = Broker::open(&BrokerConfig::in_memory())?;
//! let mut client = broker.client();
//! client.send("queue://orders", &Outgoing::text("one").with("colour", "blue"))?;
//!
//! let options = SubscribeOptions::new(10, AckMode::ClientIndividual);
//! client.subscribe("queue://orders", options)?;
//! let order = client.receive(Duration::from_secs(5)).expect("there is one");
//! assert_eq!((order.text().as_ref(), order.property("colour").as_deref()), ("one", Some("blue")));
//!
//! // All or nothing, also over a crash where there is a store.
//! client.begin()?;
//! client.accept(&order)?;
//! client.send("queue://invoices,topic://events", &Outgoing::text("for one"))?;
//! client.commit()?;
//!
//! drop(client);
//! broker.shutdown()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod broker;
#[cfg(feature = "server")]
pub mod cli;
mod codec;
mod core;
mod embed;
mod protocol;
#[cfg(feature = "server")]
pub mod server;
mod store;

pub use crate::broker::{Broker, BrokerConfig, BrokerError, BrokerLimits, StoreConfig};
pub use crate::core::{
    AckMode, BodyKind, Branch, CompositeDestination, Composites, DeadLetterChange,
    DeadLetterPolicy, DestinationName, DestinationPolicy, GroupChange, Kind, LetterFilter,
    NameTemplate, Outcome, Pattern, PolicyChange, PolicyRule, Priority, Refusal, Selector,
    SubscribeOptions, SubscriptionId, WhenFull,
};
#[cfg(feature = "server")]
pub use crate::embed::AsyncClient;
pub use crate::embed::{Client, ClientError, Outgoing, Received};
pub use crate::store::Durability;

/// What fuzz targets, benchmarks and the simulator reach: outside every promise of stability.
#[doc(hidden)]
pub mod internal {
    pub mod broker {
        pub use crate::broker::*;
    }
    pub mod codec {
        pub use crate::codec::*;
    }
    pub mod core {
        pub use crate::core::*;
    }
    pub mod protocol {
        pub use crate::protocol::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
}
