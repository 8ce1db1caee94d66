//! From what is written in the configuration to what the floors below are opened with.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::config::{
    Dialect, Duplicates, Durability, Engine, ErrorMode, Limits, Listener, NackMode, Settings, Store,
};
use super::connection::Budget;
use super::listener::ConnectionLimits;
use super::{machine, policies};
use crate::broker::{BrokerConfig, BrokerLimits, Life, MirroredQueues, Routing, StoreConfig};
use crate::core::{Composites, DestinationName, DuplicateWindow, VirtualTopics};
use crate::protocol::stomp;
use crate::store;

/// What the broker is opened with.
pub(super) fn broker(settings: &Settings) -> BrokerConfig {
    BrokerConfig {
        store: match settings.store.engine {
            Engine::Memory => StoreConfig::Memory,
            Engine::Redb => redb(settings),
        },
        durability: durability(&settings.store),
        policy: policies::base(settings),
        policies: policies::rules(settings),
        routing: routing(settings),
        life: life(settings),
        limits: limits(settings),
        memory_limit_bytes: settings.memory.limit.of(machine::memory()),
        advisories: settings.advisories.enabled,
        duplicates: duplicates(settings),
        memory_slow_at: settings.memory.slow_at,
    }
}

fn redb(settings: &Settings) -> StoreConfig {
    StoreConfig::Redb(crate::broker::RedbConfig {
        directory: settings.broker.data.clone(),
        options: store::RedbOptions {
            cache_bytes: size(settings.store.cache),
            quick_repair: match settings.store.quick_repair {
                super::config::Automatic::Auto => store::QuickRepair::Auto,
                super::config::Automatic::On => store::QuickRepair::On,
                super::config::Automatic::Off => store::QuickRepair::Off,
            },
            compact_when: settings.store.compact_when,
        },
        ring_bytes: settings.store.ring,
        salvage: settings.store.salvage,
    })
}

fn duplicates(settings: &Settings) -> DuplicateWindow {
    let Duplicates { window, ids, total } = settings.duplicates;
    DuplicateWindow {
        millis: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
        ids: count(ids),
        total: count(total),
    }
}

fn durability(store: &Store) -> store::Durability {
    match store.durability {
        Durability::Sync => store::Durability::Sync,
        Durability::Relaxed => store::Durability::Relaxed {
            interval: store.relaxed_interval,
        },
        Durability::None => store::Durability::None,
    }
}

fn life(settings: &Settings) -> Life {
    let declare = &settings.declare;
    let (queues, topics) = (declare.queues.iter(), declare.topics.iter());
    let queues = queues.map(|name| DestinationName::queue(name));
    let topics = topics.map(|name| DestinationName::topic(name));
    Life {
        // They were read as names.
        declared: queues.chain(topics).filter_map(Result::ok).collect(),
        auto_create: settings.destination.auto_create,
        collect_after: settings.gc.enabled.then_some(settings.gc.after),
        forget_durable_after: settings.gc.durable_after,
    }
}

pub(super) fn routing(settings: &Settings) -> Routing {
    let (topics, mirrors) = (&settings.virtual_topics, &settings.mirrored_queues);
    let rules = || VirtualTopics::new(&topics.topics, &topics.prefix);
    Routing {
        virtual_topics: topics.enabled.then(rules),
        selector_aware: topics.selector_aware,
        mirrored_queues: mirrors.enabled.then(|| MirroredQueues {
            prefix: mirrors.prefix.clone(),
            postfix: mirrors.postfix.clone(),
        }),
        composites: Composites::new(settings.composites.iter().cloned()),
    }
}

fn limits(settings: &Settings) -> BrokerLimits {
    let limits = &settings.limits;
    BrokerLimits {
        destinations: count(limits.max_destinations),
        scheduled: count(limits.max_scheduled),
        outbound_bytes: size(limits.outbound_buffer),
        parked_bytes: size(limits.inbound_parked),
        full_timeout: limits.full_timeout,
        transaction_operations: count(limits.tx_max_operations),
        transaction_bytes: size(limits.tx_max_bytes),
        transaction_timeout: limits.tx_timeout,
        ..BrokerLimits::default()
    }
}

/// What the sessions of a listener share.
pub(super) fn session(settings: &Settings, listener: &Listener) -> Arc<stomp::Config> {
    let limits = &settings.limits;
    let beat = &listener.heart_beat;
    Arc::new(stomp::Config {
        server: Some(listener.server_header.clone()).filter(|text| !text.is_empty()),
        limits: frame_limits(limits),
        frame_before_login: size(limits.max_frame_before_login),
        login_timeout: limits.login_timeout,
        heart_beat: stomp::HeartBeat {
            min: beat.min,
            max: beat.max,
            grace: beat.grace,
            grace_extra: beat.grace_extra,
            require: beat.require,
        },
        dialect: match listener.dialect {
            Dialect::ActiveMq => stomp::Dialect::ActiveMq,
            Dialect::Artemis => stomp::Dialect::Artemis,
            Dialect::RabbitMq => stomp::Dialect::RabbitMq,
        },
        nack: match listener.nack {
            NackMode::Dialect if listener.dialect == Dialect::RabbitMq => stomp::Nack::Requeue,
            NackMode::Dialect | NackMode::Redeliver => stomp::Nack::Redeliver,
            NackMode::DeadLetter => stomp::Nack::DeadLetter,
            NackMode::Requeue => stomp::Nack::Requeue,
        },
        strict_subscription_id: listener.strict_subscription_id,
        close_on_error: listener.error_mode == ErrorMode::Close,
        max_subscriptions: count(limits.max_subscriptions_per_connection),
        max_temporary: count(limits.max_temporary_per_connection),
        max_transactions: count(limits.max_transactions_per_connection),
        outbound_bytes: size(limits.outbound_buffer),
    })
}

fn frame_limits(limits: &Limits) -> crate::codec::stomp::Limits {
    let line = size(limits.max_header_line);
    let defaults = crate::codec::stomp::Limits::default();
    crate::codec::stomp::Limits {
        header_line: line,
        headers: count(limits.max_headers),
        head: defaults.head.max(line.saturating_mul(2)),
        body: size(limits.max_frame),
        ..defaults
    }
}

pub(super) fn connections(limits: &Limits) -> ConnectionLimits {
    ConnectionLimits {
        total: count(limits.max_connections),
        per_address: count(limits.max_connections_per_ip),
    }
}

pub(super) fn budget(server: &super::config::Server) -> Budget {
    Budget {
        read: size(server.read_buffer),
        write: size(server.write_budget),
    }
}

/// Free bytes and the least that there have to be, on the disk that holds a directory.
///
/// # Errors
/// When the system does not tell.
pub(super) fn disk(settings: &Settings, directory: &Path) -> io::Result<DiskState> {
    let space = machine::disk(directory)?;
    Ok(DiskState {
        free: space.free,
        min: settings.disk.free_min.of(space.total),
        warn: settings.disk.free_warn.of(space.total),
    })
}

/// How full a disk is.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskState {
    pub(super) free: u64,
    pub(super) min: u64,
    pub(super) warn: u64,
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
