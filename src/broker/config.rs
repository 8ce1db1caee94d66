//! What an embedder, or the server, decides about a broker.

#[cfg(feature = "redb")]
use std::path::PathBuf;
use std::time::Duration;

use crate::core::{DestinationPolicy, DuplicateWindow, Keep, PolicyRule};
use crate::store::Durability;

/// Everything that a broker is opened with.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where durable state lives.
    pub store: StoreConfig,
    /// When a persistent message counts as safe.
    pub durability: Durability,
    /// How destinations treat their messages.
    pub policy: DestinationPolicy,
    /// How some of them do it otherwise.
    pub policies: Vec<PolicyRule>,
    /// Where messages go beside the destination that they are sent to.
    pub routing: super::routing::Routing,
    /// Whether what happens is told to whoever subscribes to advisories.
    pub advisories: bool,
    /// How long and how many identities of messages are remembered.
    pub duplicates: DuplicateWindow,
    /// Which destinations there are before anybody uses them, and how long others stay.
    pub life: Life,
    /// What nobody may exceed.
    pub limits: BrokerLimits,
    /// Bytes of messages that may be in memory; at this point senders wait.
    pub memory_limit_bytes: u64,
    /// The share of the memory limit, 0 to 1, from which destinations keep as little in memory as
    /// they can.
    pub memory_slow_at: f64,
}

/// Where durable state lives.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreConfig {
    /// Nowhere: nothing survives the process.
    Memory,
    /// In a file of this directory.
    #[cfg(feature = "redb")]
    Redb(RedbConfig),
}

/// The embedded store.
#[cfg(feature = "redb")]
#[derive(Clone, Debug, PartialEq)]
pub struct RedbConfig {
    /// The directory; made if it is not there.
    pub directory: PathBuf,
    /// How the store is tuned.
    pub options: crate::store::RedbOptions,
    /// Bytes of the write-ahead ring in front of the file; 0 for none.
    pub ring_bytes: u64,
    /// Whether to start although something that was acknowledged cannot be read any more.
    pub salvage: bool,
}

/// How destinations come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Destinations that are there from the start, and stay.
    pub declared: Vec<crate::core::DestinationName>,
    /// Whether others come to life by being used.
    pub auto_create: bool,
    /// How long one has to be empty and unused before it is removed; `None` is for ever.
    pub collect_after: Option<Duration>,
    /// How long nobody may receive from a durable subscription before it is ended with all that waits
    /// for it; `None` is for ever.
    pub forget_durable_after: Option<Duration>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            declared: Vec::new(),
            auto_create: true,
            collect_after: Some(Duration::from_mins(10)),
            forget_durable_after: None,
        }
    }
}

/// What nobody may exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// How many destinations there may be.
    pub destinations: usize,
    /// How many messages may wait to be delivered later.
    pub scheduled: usize,
    /// Bytes of deliveries that wait for one connection before its subscriptions are paused.
    pub outbound_bytes: usize,
    /// Bytes of requests of one connection that wait for room before it is not read from any more.
    pub parked_bytes: usize,
    /// How long a send may wait for room before it is refused.
    pub full_timeout: Duration,
    /// Bytes that may wait for the store before senders wait.
    pub writer_bytes: usize,
    /// Sends and settlements of one transaction.
    pub transaction_operations: usize,
    /// Bytes of messages in one transaction.
    pub transaction_bytes: usize,
    /// How long a transaction may stay open.
    pub transaction_timeout: Duration,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            destinations: 100_000,
            scheduled: 2_000_000,
            outbound_bytes: 4 << 20,
            parked_bytes: 1 << 20,
            full_timeout: Duration::from_secs(10),
            writer_bytes: 32 << 20,
            transaction_operations: 100_000,
            transaction_bytes: 256 << 20,
            transaction_timeout: Duration::from_mins(5),
        }
    }
}

impl BrokerConfig {
    /// A broker that keeps everything in memory, at most a gigabyte of it, and nothing beyond its end.
    pub fn in_memory() -> Self {
        Self::of(StoreConfig::Memory)
    }

    /// A broker that keeps what is persistent in a directory, made if it is not there.
    #[cfg(feature = "redb")]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self::of(StoreConfig::Redb(RedbConfig {
            directory: directory.into(),
            options: crate::store::RedbOptions::default(),
            ring_bytes: 64 << 20,
            salvage: false,
        }))
    }

    fn of(store: StoreConfig) -> Self {
        Self {
            store,
            durability: Durability::Sync,
            policy: DestinationPolicy::default(),
            policies: Vec::new(),
            routing: super::routing::Routing {
                virtual_topics: Some(crate::core::VirtualTopics::default()),
                selector_aware: false,
                mirrored_queues: None,
                composites: crate::core::Composites::default(),
            },
            life: Life::default(),
            limits: BrokerLimits::default(),
            memory_limit_bytes: 1 << 30,
            advisories: true,
            duplicates: DuplicateWindow::default(),
            memory_slow_at: 0.8,
        }
    }

    /// How the ring in front of the store's file is used.
    #[cfg(feature = "redb")]
    pub(super) fn ring(&self, redb: &RedbConfig) -> crate::store::RingOptions {
        let defaults = crate::store::RingOptions::default();
        crate::store::RingOptions {
            // What nobody waits for gains nothing from being fast.
            bytes: match self.durability {
                Durability::None => 0,
                Durability::Sync | Durability::Relaxed { .. } => redb.ring_bytes,
            },
            synced: self.durability == Durability::Sync,
            salvage: redb.salvage,
            ..defaults
        }
    }

    /// What destinations give to the store, as its kind and the durability level allow.
    pub(super) fn keep(&self) -> Keep {
        match (&self.store, self.durability) {
            (StoreConfig::Memory, _) => Keep::Nothing,
            #[cfg(feature = "redb")]
            (StoreConfig::Redb(_), Durability::None) => Keep::Overflow,
            #[cfg(feature = "redb")]
            (StoreConfig::Redb(_), Durability::Sync | Durability::Relaxed { .. }) => {
                self.policy.keep
            }
        }
    }
}
