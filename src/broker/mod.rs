//! Many connections and many destinations at once.
//!
//! Lives here: the broker as a whole, its destinations and their locks, connections and their
//! mailboxes, recovery, clocks. May import: `core` and `store`. Deliberately not here: rules that a
//! destination could decide, words of any protocol, sockets, tokio.

mod advisories;
mod cell;
mod clock;
mod collection;
mod config;
mod connection;
mod dead_letters;
mod duplicates;
mod durable;
mod error;
mod flow;
mod groups;
mod life;
mod metrics;
mod outbox;
mod pager;
mod policies;
mod recovery;
mod registry;
mod routes;
mod routing;
mod scheduler;
mod shared;
mod spanning;
mod timers;
mod transaction;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::core::{ConnectionId, Kind};
use crate::store::{MemoryStore, Store, Writer};
use advisories::Advisories;
use cell::{Destination, Work};
use dead_letters::LostLetters;
use duplicates::Identities;
use flow::Flow;
use pager::Pager;
use policies::PolicyTable;
use registry::Registry;
use scheduler::Scheduler;
use shared::Shared;
use timers::Timers;

pub use clock::Clock;
#[cfg(feature = "redb")]
pub use config::RedbConfig;
pub use config::{BrokerConfig, BrokerLimits, Life, StoreConfig};
pub use connection::Connection;
pub use error::{BrokerError, LifeError};
pub use groups::MessageGroup;
pub use metrics::{
    Acknowledged, Blocked, ByFlag, ByKind, Checks, Closed, DeadLettered, KindTotals,
    ListenerMetrics, Metrics, Modes, NAMES, Name, ProtocolMetrics, Rejected, Removed, Shape,
    StoreBytes, StoreErrors, Totals, TransactionsEnded, describe,
};
pub use outbox::{Mail, Outbox};
pub use routes::{Reason, Route};
pub use routing::{MirroredQueues, Routing};

/// A message broker: queues and topics, and the store behind them.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    /// Counts the starts of this store; part of each connection's number.
    epoch: u32,
    connections: AtomicU32,
    /// The pager's and the timers'.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held while dead letters are sent back.
    retrying: Mutex<()>,
}

impl Broker {
    /// Opens a broker and brings back what its store remembers.
    ///
    /// # Errors
    /// When the store cannot be opened or read, or a thread cannot be started.
    pub fn open(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let store: Box<dyn Store> = match &config.store {
            StoreConfig::Memory => Box::new(MemoryStore::default()),
            #[cfg(feature = "redb")]
            StoreConfig::Redb(redb) => {
                let ring = config.ring(redb);
                crate::store::open_embedded(&redb.directory, &redb.options, ring)?
            }
        };
        let mut config = config.clone();
        config.policy.keep = config.keep();
        let broker = Self::assemble(&config, store, Clock::start())?;
        broker.start()?;
        Ok(broker)
    }

    /// Starts the threads of a broker that was put together without.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(&self) -> Result<(), BrokerError> {
        let clock = self.clock();
        self.shared.writer.start(move || clock.now().tick)?;
        let (pager, timers) = (
            Arc::clone(&self.shared.pager),
            Arc::clone(&self.shared.timers),
        );
        self.spawn("pager", move |shared| pager.run(shared))?;
        self.spawn("timers", move |shared| timers.run(shared))
    }

    /// Puts a broker together around a store, without threads: whoever holds it steps the writer and
    /// the pager. `config.store` is not looked at; `config.policy.keep` says what goes to the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn assemble(
        config: &BrokerConfig,
        mut store: Box<dyn Store>,
        clock: Clock,
    ) -> Result<Self, BrokerError> {
        let mut found = store.recover()?;
        let reader = store.reader();
        let metrics = Metrics::register(store.engine(), clock.now().wall);
        metrics.show_store(store.size());
        let observer = Arc::new(metrics.clone());
        let writer = Arc::new(Writer::new(store, config.durability, observer));
        let jobs = recovery::jobs(config, &mut found);
        let known = recovery::duplicates(config, &mut found);
        let (identities, mut changes) = Identities::read(known, reader.as_ref(), clock.now().wall)?;
        if !changes.is_empty() {
            writer.append(&mut changes, &[], None);
        }
        // No connection has these numbers: they are counted from 0.
        let sender = ConnectionId(u64::from(found.starts) << 32 | u64::from(u32::MAX));
        let teller = ConnectionId(u64::from(found.starts) << 32 | u64::from(u32::MAX - 1));
        let shared = Arc::new(Shared {
            clock,
            policies: PolicyTable::new(config.policy.clone(), config.policies.clone()),
            limits: config.limits,
            registry: Registry::new(config, found.next_destination_id),
            flow: Flow::new(config.memory_limit_bytes, config.memory_slow_at),
            writer,
            reader,
            pager: Arc::new(Pager::default()),
            timers: Arc::new(Timers::default()),
            scheduler: Scheduler::new(jobs, config.limits.scheduled, sender),
            identities,
            advisories: Advisories::new(config.advisories, teller),
            metrics,
            lost_letters: LostLetters::default(),
            read_failed: false.into(),
        });
        recovery::restore(&shared, found.destinations);
        life::declare(&shared, &config.life.declared);
        let connections = AtomicU32::new(0);
        Ok(Self {
            shared,
            epoch: found.starts,
            connections,
            threads: Mutex::default(),
            retrying: Mutex::default(),
        })
    }

    fn spawn(
        &self,
        name: &str,
        run: impl FnOnce(&Weak<Shared>) + Send + 'static,
    ) -> Result<(), BrokerError> {
        let shared = Arc::downgrade(&self.shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&shared))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// The broker's clock.
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// A new client.
    pub fn connect(&self) -> Connection {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let id = ConnectionId(u64::from(self.epoch) << 32 | u64::from(number));
        Connection::new(Arc::clone(&self.shared), id)
    }

    /// The counters and gauges of this broker.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// What holds at this moment, summed over all destinations.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            memory_messages: self.shared.flow.memory_used(),
            memory_limit: self.shared.flow.memory_limit(),
            scheduled: self.shared.scheduler.count() as u64,
            ..Totals::default()
        };
        (totals.disk_free, totals.disk_free_limit) = self.shared.flow.disk();
        for cell in self.shared.registry.snapshot() {
            cell.look(|destination| match destination {
                Destination::Queue(queue) => {
                    totals.queues.destinations += 1;
                    totals.queues.ready += queue.ready_count();
                    totals.queues.unacked += queue.unsettled_count();
                    totals.queues.ready_bytes += queue.ready_bytes();
                    let (assigned, waiting) = queue.group_counts();
                    totals.groups_assigned += assigned;
                    totals.groups_waiting += waiting;
                }
                Destination::Topic(topic) => {
                    totals.topics.destinations += 1;
                    totals.topics.unacked += topic.unsettled_count();
                }
            });
        }
        totals
    }

    /// Why nothing durable can be promised any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.shared.writer.failure()
    }

    /// Whether what is stored cannot be read.
    pub fn read_failed(&self) -> bool {
        self.shared.read_failed.load(Ordering::Relaxed)
    }

    /// Says how many bytes are free on the disk that holds the store, and how many there have to be
    /// for persistent messages to be taken.
    pub fn set_disk(&self, free: u64, min: u64) {
        for waker in self.shared.flow.set_disk(free, min) {
            waker.wake();
        }
    }

    /// Does what the threads of the writer, the pager and the timers would do, for brokers put together
    /// without them. Returns whether there was anything to do.
    pub fn step(&self) -> bool {
        let written = self.shared.writer.step(self.shared.clock.now().tick);
        let paged = self.shared.pager.step(&self.shared);
        self.step_timers() || paged || written
    }

    /// Does what the timers' thread would do, for simulations.
    #[doc(hidden)]
    pub fn step_timers(&self) -> bool {
        self.shared.timers.step(&self.shared)
    }

    /// When the timers' thread would wake.
    #[doc(hidden)]
    pub fn next_timer(&self) -> Option<crate::core::Tick> {
        self.shared.timers.next()
    }

    /// The writer, for simulations that step it part by part.
    #[doc(hidden)]
    pub fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    /// Does what the pager's thread would do, for simulations.
    #[doc(hidden)]
    pub fn step_pager(&self) -> bool {
        self.shared.pager.step(&self.shared)
    }

    /// Stops: all that was accepted is made durable, and the store is closed. Every connection must
    /// have been ended before.
    ///
    /// # Errors
    /// When the store fails meanwhile.
    pub fn shutdown(&self) -> Result<(), BrokerError> {
        self.shared.pager.stop();
        self.shared.timers.stop();
        for thread in self.threads.lock().drain(..) {
            // A panic has been reported by its own thread.
            let _ = thread.join();
        }
        let now = self.shared.clock.now();
        Work::run(&self.shared, now, |work| {
            for cell in self.shared.registry.snapshot() {
                if cell.name.kind() == Kind::Queue {
                    cell.with(&self.shared, work, None, |state, effects, _| {
                        if let Destination::Queue(queue) = &mut state.destination {
                            queue.seal(effects);
                        }
                    });
                }
            }
        });
        self.shared.writer.shutdown()?;
        Ok(())
    }
}
