//! All destinations by name. They come to life on first use, and go when they are deleted, when their
//! owner goes, or when nobody has used them for long.
//!
//! A destination that is removed ends under its lock while its place here is locked too. So whoever
//! finds one that has ended, in a cache or a list, finds the one that has the name by now here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use super::cell::{Cell, Destination, State, Work};
use super::collection::Collection;
use super::config::BrokerConfig;
use super::durable::Durables;
use super::metrics;
use super::routing::Rules;
use super::shared::Shared;
use super::spanning::Wildcards;
use crate::core::{
    ConnectionId, DestinationId, DestinationName, DestinationPolicy, Event, Keep, Kind, Now, Queue,
    Refusal, Topic,
};

/// The map of destinations.
#[derive(Debug)]
pub(super) struct Registry {
    cells: DashMap<DestinationName, Arc<Cell>, FxBuildHasher>,
    count: AtomicUsize,
    limit: usize,
    auto_create: bool,
    next_id: AtomicU64,
    /// The queues of each virtual topic.
    consumers: DashMap<DestinationName, Vec<Arc<Cell>>, FxBuildHasher>,
    /// The temporary destinations of each connection that has any.
    temporary: DashMap<ConnectionId, Vec<Arc<Cell>>, FxBuildHasher>,
    temporary_policy: Arc<DestinationPolicy>,
    rules: Rules,
    wildcards: Wildcards,
    durables: Durables,
    collection: Collection,
}

/// Why a destination came to life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Birth {
    /// Somebody used its name.
    Used,
    /// Its owner used its name.
    Temporary,
    /// The configuration, or an operator, wants it.
    Declared,
}

/// Why a destination was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Nobody has used it for long.
    Idle,
    /// An operator wanted it.
    Deleted,
    /// Its owner has gone.
    OwnerGone,
}

impl Birth {
    /// As metrics and the log call it.
    const fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Temporary => "temporary",
            Self::Declared => "declared",
        }
    }
}

impl Death {
    /// As metrics and the log call it.
    const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Deleted => "deleted",
            Self::OwnerGone => "owner-gone",
        }
    }
}

impl Registry {
    pub(super) fn new(config: &BrokerConfig, next_id: DestinationId) -> Self {
        let policy = &config.policy;
        let keep = match policy.keep {
            Keep::All | Keep::Overflow => Keep::Overflow,
            Keep::Nothing => Keep::Nothing,
        };
        Self {
            cells: DashMap::default(),
            count: AtomicUsize::new(0),
            limit: config.limits.destinations,
            auto_create: config.life.auto_create,
            next_id: AtomicU64::new(next_id.0),
            consumers: DashMap::default(),
            temporary: DashMap::default(),
            temporary_policy: Arc::new(DestinationPolicy {
                keep,
                ..policy.clone()
            }),
            rules: Rules::new(&config.routing),
            wildcards: Wildcards::default(),
            durables: Durables::default(),
            collection: Collection::new(&config.life),
        }
    }

    /// Adds what recovery has found.
    pub(super) fn restore(&self, shared: &Shared, cell: Cell) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let cell = Arc::new(cell);
        self.note_consumer(&cell);
        let now = shared.clock.now();
        self.collection.watch(&cell, now, &shared.timers);
        self.cells.insert(cell.name.clone(), Arc::clone(&cell));
        if self.durables.cover(&cell.name) {
            cell.route();
        }
        self.route_to(&cell, now);
    }

    /// The durable subscriptions.
    pub(super) fn durables(&self) -> &Durables {
        &self.durables
    }

    /// Lets the topics of a durable subscription send to its queue, if this is one.
    pub(super) fn route_to(&self, queue: &Arc<Cell>, now: Now) {
        let durables = &self.durables;
        let Some(durable) = durables.of(queue).or_else(|| durables.note(queue, now)) else {
            return;
        };
        let topic = &durable.definition.topic;
        if topic.is_wildcard() {
            for cell in self
                .snapshot()
                .iter()
                .filter(|cell| durable.covers(&cell.name))
            {
                cell.route();
            }
        } else if let Ok(name) = DestinationName::topic(topic.as_str())
            && let Some(cell) = self.find(&name)
        {
            cell.route();
        }
    }

    /// How messages go to more than one destination.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The wildcard subscriptions of all connections.
    pub(super) fn wildcards(&self) -> &Wildcards {
        &self.wildcards
    }

    /// What is looked at from time to time, and removed once nobody uses it.
    pub(super) fn collection(&self) -> &Collection {
        &self.collection
    }

    /// The queues of a virtual topic.
    pub(super) fn consumers_of(&self, topic: &DestinationName) -> Vec<Arc<Cell>> {
        let found = self.consumers.get(topic);
        found.map_or_else(Vec::new, |queues| queues.clone())
    }

    fn note_consumer(&self, cell: &Arc<Cell>) {
        if let Some(topic) = self.rules.topic_of(&cell.name) {
            self.consumers
                .entry(topic)
                .or_default()
                .push(Arc::clone(cell));
        }
    }

    /// The destination of that name, if there is one.
    pub(super) fn find(&self, name: &DestinationName) -> Option<Arc<Cell>> {
        self.cells.get(name).map(|entry| Arc::clone(&entry))
    }

    /// The destination of that name for a connection that uses it, new if need be.
    ///
    /// # Errors
    /// [`Refusal::Full`] when there are as many destinations as there may be;
    /// [`Refusal::NoDestination`] when use does not make it.
    pub(super) fn get(
        &self,
        name: &DestinationName,
        by: ConnectionId,
        shared: &Shared,
    ) -> Result<Arc<Cell>, Refusal> {
        if let Some(cell) = self.find(name) {
            return Ok(cell);
        }
        let birth = if name.is_temporary() {
            let own = name.owner().is_some_and(|(owner, _)| owner == by);
            own.then_some(Birth::Temporary)
        } else {
            (self.auto_create || name.is_durable()).then_some(Birth::Used)
        };
        let Some(birth) = birth else {
            let name = name.clone();
            return Err(Refusal::NoDestination { name });
        };
        let count = self.count.load(Ordering::Relaxed);
        if count >= self.limit {
            return Err(Refusal::Full {
                what: "the broker's list of destinations",
                key: "limits.max_destinations",
                actual: count as u64,
                limit: self.limit as u64,
            });
        }
        Ok(self.make(name, birth, shared))
    }

    /// The destination of that name, new if need be, whatever the limit: the broker itself needs it.
    pub(super) fn force(&self, name: &DestinationName, shared: &Shared) -> Arc<Cell> {
        self.make(name, Birth::Used, shared)
    }

    /// The destination that has the name of one that has ended, for what was sent when that was there.
    /// There may be none where only a deletion ends one: that took what was sent along.
    pub(super) fn again(&self, name: &DestinationName, shared: &Shared) -> Option<Arc<Cell>> {
        let deleted = !name.is_plain() || self.rules.topic_of(name).is_some();
        self.find(name)
            .or_else(|| (!deleted).then(|| self.force(name, shared)))
    }

    /// The destination of that name, made for this reason if it is not there.
    pub(super) fn make(&self, name: &DestinationName, birth: Birth, shared: &Shared) -> Arc<Cell> {
        let mut born = false;
        let entry = self.cells.entry(name.clone()).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            let id = DestinationId(self.next_id.fetch_add(1, Ordering::Relaxed));
            let policy = if name.is_temporary() {
                Arc::clone(&self.temporary_policy)
            } else {
                shared.policies.of(&name.origin())
            };
            let destination = match name.kind() {
                Kind::Queue => Destination::Queue(Queue::new(id, name.clone(), policy)),
                Kind::Topic => Destination::Topic(Topic::new(id, name.clone(), policy)),
            };
            let cell = Arc::new(Cell::new(id, destination, &self.rules));
            let now = shared.clock.now();
            self.note_consumer(&cell);
            if self.durables.cover(name) {
                cell.route();
            }
            if let Some((owner, _)) = name.owner() {
                let mut own = self.temporary.entry(owner).or_default();
                own.push(Arc::clone(&cell));
            } else {
                self.collection.watch(&cell, now, &shared.timers);
            }
            self.wildcards.covering(&cell.name, |spanning| {
                spanning.join(&cell, |id, options, outbox| {
                    Some(cell.admit(now, id, options, outbox))
                });
            });
            born = true;
            cell
        });
        let cell = Arc::clone(&entry);
        drop(entry);
        if born {
            tell("created", &cell.name, birth.word());
            metrics::life::created(name.kind(), birth.word());
            advise(shared, name, true);
        }
        cell
    }

    /// Removes a destination, if `may` says so under its lock. Returns whether it did.
    pub(super) fn remove(
        &self,
        cell: &Arc<Cell>,
        death: Death,
        shared: &Shared,
        work: &mut Work,
        may: impl FnOnce(&State) -> bool,
    ) -> bool {
        let found = self.cells.remove_if(&cell.name, |_, known| {
            Arc::ptr_eq(known, cell) && cell.end(shared, work, may)
        });
        if found.is_none() {
            return false;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.durables.forget(cell);
        self.wildcards
            .covering(&cell.name, |spanning| spanning.leave(cell));
        if let Some(topic) = self.rules.topic_of(&cell.name) {
            self.consumers.remove_if_mut(&topic, |_, queues| {
                queues.retain(|other| !Arc::ptr_eq(other, cell));
                queues.is_empty()
            });
        }
        tell("removed", &cell.name, death.word());
        metrics::life::removed(cell.name.kind(), death.word());
        advise(shared, &cell.name, false);
        true
    }

    /// Removes the temporary destinations of a connection that ends.
    pub(super) fn remove_temporary(&self, owner: ConnectionId, shared: &Shared, work: &mut Work) {
        let own = self.temporary.remove(&owner);
        for cell in own.into_iter().flat_map(|(_, cells)| cells) {
            self.remove(&cell, Death::OwnerGone, shared, work, |_| true);
        }
    }

    /// All destinations as they are at this moment.
    pub(super) fn snapshot(&self) -> Vec<Arc<Cell>> {
        self.cells
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }
}

/// Tells whoever wants to hear that a destination has come or gone.
fn advise(shared: &Shared, destination: &DestinationName, came: bool) {
    if destination.is_plain() || destination.is_temporary() {
        let event = Event::Destination { destination, came };
        shared.advisories.note(shared, &event);
    }
}

/// Tells the log what became of a destination, and why. Temporary ones come and go all the time.
fn tell(what: &str, name: &DestinationName, cause: &str) {
    if name.is_temporary() {
        tracing::debug!(target: "tidegate::destination", %name, cause, "{what}");
    } else {
        tracing::info!(target: "tidegate::destination", %name, cause, "{what}");
    }
}
