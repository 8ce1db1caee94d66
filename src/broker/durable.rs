//! Durable subscriptions: each has a queue, which its topics send to as long as it is there. Whoever
//! subscribes by its name receives from that queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::cell::Cell;
use crate::core::{
    ConnectionId, DestinationName, DurableName, DurableSubscription, Kind, Message, Now,
    PatternTrie, Tick,
};

/// Nobody receives from a subscription.
const NOBODY: u64 = u64::MAX;

/// A durable subscription and its queue.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) definition: DurableSubscription,
    pub(super) cell: Arc<Cell>,
    /// The connection that receives from it.
    active: AtomicU64,
    /// The tick since which nobody does, if nobody does.
    left: AtomicU64,
}

/// The durable subscriptions of the broker.
#[derive(Debug, Default)]
pub(super) struct Durables {
    by_name: Mutex<FxHashMap<DurableName, Arc<Durable>>>,
    by_topic: RwLock<PatternTrie<Arc<Durable>>>,
}

impl Durable {
    /// Whether it wants a message.
    fn wants(&self, message: &Message) -> bool {
        let sender = message.id.connection.0;
        let own = self.definition.no_local && self.active.load(Ordering::Acquire) == sender;
        !own && self.definition.wants(message)
    }

    /// Whether a connection receives from it, or nobody did and this one does from now on.
    pub(super) fn activate(&self, by: ConnectionId) -> bool {
        let before =
            self.active
                .compare_exchange(NOBODY, by.0, Ordering::AcqRel, Ordering::Acquire);
        before.is_ok()
    }

    /// Whether somebody receives from it.
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire) != NOBODY
    }

    /// Nobody receives from it any more.
    pub(super) fn deactivate(&self, now: Now) {
        self.left.store(now.tick.0, Ordering::Release);
        self.active.store(NOBODY, Ordering::Release);
    }

    /// Since when nobody receives from it.
    pub(super) fn left(&self) -> Tick {
        Tick(self.left.load(Ordering::Acquire))
    }

    /// Whether messages to a topic may be for it.
    pub(super) fn covers(&self, topic: &DestinationName) -> bool {
        may_wait(topic) && self.definition.topic.matches(topic.name())
    }
}

impl Durables {
    /// Notes the queue of a durable subscription, if this is one.
    pub(super) fn note(&self, cell: &Arc<Cell>, now: Now) -> Option<Arc<Durable>> {
        let definition = DurableSubscription::of(&cell.name)?;
        let durable = Arc::new(Durable {
            definition,
            cell: Arc::clone(cell),
            active: AtomicU64::new(NOBODY),
            left: AtomicU64::new(now.tick.0),
        });
        let definition = &durable.definition;
        let mut topics = self.by_topic.write();
        topics.insert(&definition.topic, Arc::clone(&durable));
        let name = definition.name.clone();
        self.by_name.lock().insert(name, Arc::clone(&durable));
        Some(durable)
    }

    /// Forgets a subscription whose queue has ended.
    pub(super) fn forget(&self, cell: &Arc<Cell>) {
        let Some(definition) = DurableSubscription::of(&cell.name) else {
            return;
        };
        let is_it = |durable: &Arc<Durable>| Arc::ptr_eq(&durable.cell, cell);
        let mut topics = self.by_topic.write();
        topics.remove(&definition.topic, is_it);
        let mut names = self.by_name.lock();
        if names.get(&definition.name).is_some_and(is_it) {
            names.remove(&definition.name);
        }
    }

    /// The subscription of that name.
    pub(super) fn find(&self, name: &DurableName) -> Option<Arc<Durable>> {
        self.by_name.lock().get(name).cloned()
    }

    /// The subscription whose queue this is.
    pub(super) fn of(&self, cell: &Arc<Cell>) -> Option<Arc<Durable>> {
        let definition = DurableSubscription::of(&cell.name)?;
        let found = self.find(&definition.name)?;
        Arc::ptr_eq(&found.cell, cell).then_some(found)
    }

    /// Whether messages to a topic may be for one.
    pub(super) fn cover(&self, topic: &DestinationName) -> bool {
        let known = self.by_topic.read();
        let mut any = false;
        if may_wait(topic) && !known.is_empty() {
            known.matches(topic.name(), |_| any = true);
        }
        any
    }

    /// Calls `each` with the queue of every subscription that wants a message to a topic.
    pub(super) fn wanting(
        &self,
        topic: &DestinationName,
        message: &Message,
        mut each: impl FnMut(&Arc<Cell>),
    ) {
        let known = self.by_topic.read();
        if may_wait(topic) && !known.is_empty() {
            known.matches(topic.name(), |durable| {
                if durable.wants(message) {
                    each(&durable.cell);
                }
            });
        }
    }
}

/// Whether what is sent to a destination may be for a durable subscription: advisories are for those who
/// are there.
fn may_wait(topic: &DestinationName) -> bool {
    topic.kind() == Kind::Topic && topic.is_plain() && !topic.is_advisory()
}
