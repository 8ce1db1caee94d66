//! What a seed decides before the first step: how tight the broker's limits are, how durable it is,
//! how rough the run will be.

use std::time::Duration;

use fastrand::Rng;
use tidegate::internal::broker::{BrokerConfig, BrokerLimits, StoreConfig};
use tidegate::internal::core::{DestinationPolicy, Keep, RedeliveryDelays, WhenFull};
use tidegate::internal::store::Durability;

/// The setting of one run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub broker: BrokerConfig,
    pub queues: usize,
    pub topics: usize,
    pub clients: usize,
    pub steps: usize,
    /// Crashes and failures of the store happen.
    pub rough: bool,
    /// Clients are cut off, or read slowly.
    pub shaky: bool,
    /// Transactions happen.
    pub transactions: bool,
    /// Messages have different priorities.
    pub priorities: bool,
    /// Some messages belong to groups.
    pub groups: bool,
    /// Some messages expire.
    pub expirations: bool,
    /// Clients refuse messages often.
    pub picky: bool,
    /// The store has a ring in front of it.
    pub ring: bool,
    /// There are many destinations, which are soon removed when nobody uses them.
    pub fleeting: bool,
}

impl Scenario {
    /// What this seed wants.
    pub fn of(rng: &mut Rng, steps: usize) -> Self {
        let durability = match rng.u8(..10) {
            0..7 => Durability::Sync,
            7..9 => Durability::Relaxed {
                interval: Duration::from_millis(50),
            },
            _ => Durability::None,
        };
        let keep = match durability {
            Durability::None => Keep::Overflow,
            Durability::Sync | Durability::Relaxed { .. } if rng.u8(..10) > 0 => Keep::All,
            Durability::Sync | Durability::Relaxed { .. } => Keep::Nothing,
        };
        let few = |rng: &mut Rng, chance: f64, low: u64, high: u64, most: u64| {
            if rng.f64() < chance {
                rng.u64(low..high)
            } else {
                most
            }
        };
        let policy = DestinationPolicy {
            keep,
            memory_window_bytes: few(rng, 0.6, 200, 3000, 4 << 20),
            max_bytes: few(rng, 0.2, 1000, 8000, u64::MAX),
            max_messages: few(rng, 0.1, 2, 20, u64::MAX),
            when_full: if rng.u8(..5) == 0 {
                WhenFull::Reject
            } else {
                WhenFull::Block
            },
            redelivery_max: if rng.bool() { 1 } else { 6 },
            redelivery: RedeliveryDelays::NONE,
            ..DestinationPolicy::default()
        };
        let fleeting = rng.u8(..3) == 0;
        let size = |value: u64| usize::try_from(value).unwrap();
        let limits = BrokerLimits {
            outbound_bytes: size(few(rng, 0.4, 100, 2000, 4 << 20)),
            parked_bytes: size(few(rng, 0.5, 100, 2000, 1 << 20)),
            full_timeout: Duration::from_secs(2),
            writer_bytes: size(few(rng, 0.2, 500, 4000, 32 << 20)),
            transaction_operations: size(few(rng, 0.1, 2, 6, 100_000)),
            transaction_bytes: size(few(rng, 0.1, 500, 2000, 256 << 20)),
            ..BrokerLimits::default()
        };
        let broker = BrokerConfig {
            store: StoreConfig::Memory,
            durability,
            policy,
            policies: Vec::new(),
            routing: tidegate::internal::broker::Routing {
                virtual_topics: Some(tidegate::internal::core::VirtualTopics::default()),
                selector_aware: false,
                mirrored_queues: None,
                composites: tidegate::internal::core::Composites::default(),
            },
            life: tidegate::internal::broker::Life {
                forget_durable_after: None,
                collect_after: fleeting.then(|| Duration::from_millis(rng.u64(1..30))),
                ..tidegate::internal::broker::Life::default()
            },
            limits,
            memory_limit_bytes: few(rng, 0.2, 3000, 20_000, 1 << 30),
            advisories: false,
            duplicates: tidegate::internal::core::DuplicateWindow::default(),
            memory_slow_at: 0.6,
        };
        Self {
            broker,
            queues: if fleeting { 5 } else { rng.usize(1..4) },
            topics: if fleeting { 3 } else { rng.usize(0..3) },
            clients: rng.usize(2..7),
            steps,
            rough: rng.bool(),
            shaky: rng.u8(..3) > 0,
            transactions: rng.bool(),
            priorities: rng.bool(),
            expirations: rng.u8(..3) == 0,
            picky: rng.u8(..3) == 0,
            ring: rng.u8(..3) == 0,
            groups: rng.bool(),
            fleeting,
        }
    }

    /// Whether a receipt for a persistent message means that a crash does not take it.
    pub fn receipts_are_durable(&self) -> bool {
        self.broker.durability == Durability::Sync && self.keeps()
    }

    /// Whether the flag of what was given out survives a power failure as well as a kill. With a ring,
    /// `relaxed` commits at once and flushes later.
    pub fn flags_are_durable(&self) -> bool {
        self.broker.durability == Durability::Sync || !self.ring
    }

    /// Whether transactions have limits that clients meet.
    pub fn refuses_transactions(&self) -> bool {
        let (limits, usual) = (&self.broker.limits, BrokerLimits::default());
        limits.transaction_operations < usual.transaction_operations
            || limits.transaction_bytes < usual.transaction_bytes
    }

    /// Whether persistent messages survive a clean restart.
    pub fn keeps(&self) -> bool {
        self.broker.policy.keep == Keep::All
    }
}
