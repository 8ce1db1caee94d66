//! What a destination wants done, as data. The caller owns the buffer, hands it in, carries out what
//! it finds in it, and empties it before the next call.

use std::sync::Arc;

use super::delivery::Delivery;
use super::destination::DestinationName;
use super::id::Position;
use super::message::{Message, Priority};
use super::persist::Persist;
use super::time::Tick;

/// A subscription's place within its destination; reused after the subscription is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionKey(pub u32);

/// The results of calls on one destination, in a form that is cheap to reuse.
#[derive(Debug, Default)]
pub struct Effects {
    /// What each subscription is given, by its key.
    staged: Vec<Vec<Delivery>>,
    /// The keys whose list is not empty.
    touched: Vec<SubscriptionKey>,
    /// Changes to make durable together, in this order.
    pub persist: Vec<Persist>,
    /// Messages for other destinations.
    pub forwards: Vec<Forward>,
    /// Pages that are wanted from the store.
    pub pages: Vec<PageRequest>,
    /// A horizon that the destination waits for: call its `horizon_durable` once the changes of this
    /// buffer are durable.
    pub awaits_horizon: Option<Position>,
    /// When the destination wants to be called at the latest, if that is earlier than it said before.
    pub deadline: Option<Tick>,
    /// What happened, for the counters.
    pub tally: Tally,
}

/// A message on its way to another destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub target: DestinationName,
    /// The message, as it is to arrive.
    pub message: Arc<Message>,
    /// What becomes durable in the very change that puts it in its new place: that it has left the old
    /// one, mostly.
    pub with: Vec<Persist>,
}

/// A page of messages that a destination wants from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Who asks: the whole queue, or one subscription of a topic.
    pub reader: PageReader,
    /// The first position of interest.
    pub from: Position,
    /// Only messages of this priority, or any.
    pub priority: Option<Priority>,
    /// About how many bytes are wanted; at least one message comes if there is one.
    pub bytes: u64,
}

/// Who asks for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageReader {
    /// A queue, for what is next.
    Queue,
    /// A queue, for what it has set aside: the first position is the one that it wants.
    Aside,
    /// A browser of a queue.
    Browser(SubscriptionKey),
    /// A subscription of a topic that fell behind.
    Subscription(SubscriptionKey),
}

/// Counts of what happened, added to the broker's counters by whoever empties the effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages accepted.
    pub received: u64,
    /// Copies put on queues or handed to topic subscriptions.
    pub routed: u64,
    /// Messages to a topic that nobody subscribes to.
    pub unrouted: u64,
    /// Deliveries made.
    pub delivered: u64,
    /// Deliveries among them that were not the first of their message.
    pub redelivered: u64,
    /// Deliveries accepted.
    pub accepted: u64,
    /// Deliveries that failed or were given back.
    pub returned: u64,
    /// Messages dropped because they were past their expiration.
    pub expired: u64,
    /// Messages moved to a dead-letter queue because nobody could work on them.
    pub dead_lettered: u64,
    /// Messages dropped because an operator emptied their queue.
    pub purged: u64,
    /// Messages dropped because their destination has ended.
    pub deleted: u64,
    /// Messages moved to a dead-letter queue because their time was over.
    pub expired_letters: u64,
    /// Dead letters that went back to where they came from.
    pub retried: u64,
    /// Messages that were taken and then dropped: for others, or because nobody wants dead letters.
    pub dropped: u64,
    /// Dead letters among them, which made room for others.
    pub dropped_letters: u64,
    /// Change of the messages waiting.
    pub ready_delta: i64,
    /// Change of the deliveries not settled.
    pub unsettled_delta: i64,
    /// Change of the bytes of messages held in memory.
    pub memory_delta: i64,
}

impl Effects {
    /// Adds a delivery.
    pub(super) fn deliver(&mut self, key: SubscriptionKey, delivery: Delivery) {
        let index = key.0 as usize;
        if index >= self.staged.len() {
            self.staged.resize_with(index + 1, Vec::new);
        }
        if let Some(list) = self.staged.get_mut(index) {
            if list.is_empty() {
                self.touched.push(key);
            }
            list.push(delivery);
        }
    }

    /// Hands out the deliveries, one call for each subscription that has any, and empties them.
    pub fn drain_deliveries(&mut self, mut each: impl FnMut(SubscriptionKey, &mut Vec<Delivery>)) {
        for key in self.touched.drain(..) {
            if let Some(list) = self.staged.get_mut(key.0 as usize) {
                each(key, list);
                list.clear();
            }
        }
    }

    /// Whether everything in it has been carried out.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
            && self.persist.is_empty()
            && self.forwards.is_empty()
            && self.pages.is_empty()
            && self.awaits_horizon.is_none()
            && self.deadline.is_none()
            && self.tally == Tally::default()
    }

    /// Asks for a call at this time.
    pub(super) fn call_at(&mut self, at: Tick) {
        self.deadline = Some(self.deadline.map_or(at, |earlier| earlier.min(at)));
    }

    /// Gives memory back that an unusually large run has left.
    pub fn shrink(&mut self) {
        const KEEP: usize = 1024;
        if self.staged.len() > KEEP {
            self.staged.truncate(KEEP);
            self.staged.shrink_to_fit();
        }
        for list in self.staged.iter_mut().filter(|list| list.capacity() > KEEP) {
            list.shrink_to(KEEP);
        }
        self.persist.shrink_to(KEEP);
    }

    /// The place in `persist` that the next change takes.
    pub(super) fn next_change(&self) -> usize {
        self.persist.len()
    }
}
