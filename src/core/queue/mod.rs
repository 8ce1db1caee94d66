//! A queue: each message goes to one of its subscriptions, in order, until one accepts it.
//!
//! Invariants: a message is in exactly one place (waiting, on disk, in flight, or forwarded); what a
//! subscription holds unsettled and unmarked never exceeds its prefetch, except after an abort; a
//! message that the store knows leaves by exactly one `Remove`, or by the `Remove` that a `Forward`
//! carries.

mod aside;
mod browse;
mod choose;
mod delayed;
mod dispatch;
mod enqueue;
mod exclusive;
mod fetch;
mod grouping;
mod groups;
mod horizon;
mod letters;
mod life;
mod overflow;
mod purge;
mod retry;
mod serve;
mod settle;
mod transact;
mod turns;
mod unmatched;

use std::sync::Arc;

use super::destination::DestinationName;
use super::effect::{Effects, PageReader, PageRequest, SubscriptionKey};
use super::id::{DestinationId, Position, SubscriptionId};
use super::message::{DeliveryState, Message, Priority, StoredAt};
use super::pending::{Entry, Pending};
use super::policy::DestinationPolicy;
use super::request::SubscribeOptions;
use super::subscription::{Slots, Subscription};
use super::time::Now;
use aside::Aside;
use delayed::Delayed;
use horizon::Horizon;
use turns::Turns;

pub(super) use browse::Browser;
pub use groups::GroupState;
pub use transact::Reserved;
pub(super) use unmatched::Cursors;

/// Under memory pressure a queue keeps no more than this in memory, in bytes.
const PRESSED_WINDOW: u64 = 64 * 1024;

/// One queue.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: any of them may hold"
)]
pub struct Queue {
    id: DestinationId,
    name: DestinationName,
    policy: Arc<DestinationPolicy>,
    /// Whether the store has heard of it.
    defined: bool,
    /// A page was asked for and has not come.
    paging: bool,
    /// An operator holds its deliveries back.
    held: bool,
    /// How many times it is being emptied.
    purging: u32,
    last_position: Position,
    horizon: Horizon,
    pending: Pending,
    subscriptions: Slots<Subscription>,
    /// Those that can be given something.
    ring: Turns,
    /// The one that has the queue for itself.
    exclusive: Option<SubscriptionKey>,
    /// Subscriptions that want only some of the messages.
    picky: usize,
    /// How many subscriptions there ever were.
    arrivals: u64,
    /// What is past its turn; only while there are groups, or something that nobody wanted.
    aside: Option<Box<Aside>>,
    /// What waits before it is delivered again; only while there is something.
    delayed: Option<Box<Delayed>>,
    unsettled: u64,
    /// Dead letters have arrived here.
    takes_dead_letters: bool,
}

/// What recovery found of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredQueue {
    /// The last position ever given out.
    pub last_position: Position,
    /// The last position that may have reached a consumer.
    pub horizon: Position,
    /// Messages and bytes of each priority.
    pub waiting: [(u64, u64); Priority::COUNT],
}

/// A message as it is read back from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place.
    pub position: Position,
    /// The message.
    pub message: Arc<Message>,
    /// What has happened to it.
    pub state: DeliveryState,
}

/// A page as it is read from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredPage {
    /// Live messages in the order of their positions.
    pub messages: Vec<StoredMessage>,
    /// Where the next page starts.
    pub resume_at: Position,
    /// Whether there was nothing more to read.
    pub exhausted: bool,
}

impl Queue {
    /// An empty queue that the store has not heard of.
    pub fn new(id: DestinationId, name: DestinationName, policy: Arc<DestinationPolicy>) -> Self {
        Self {
            id,
            name,
            policy,
            defined: false,
            paging: false,
            held: false,
            purging: 0,
            last_position: Position(0),
            horizon: Horizon::default(),
            pending: Pending::default(),
            subscriptions: Slots::default(),
            ring: Turns::default(),
            exclusive: None,
            picky: 0,
            arrivals: 0,
            aside: None,
            delayed: None,
            unsettled: 0,
            takes_dead_letters: false,
        }
    }

    /// A queue as the store knows it; its messages stay on disk until somebody wants them.
    pub fn recovered(
        id: DestinationId,
        name: DestinationName,
        policy: Arc<DestinationPolicy>,
        found: &RecoveredQueue,
        effects: &mut Effects,
    ) -> Self {
        let mut queue = Self::new(id, name, policy);
        queue.defined = true;
        // What arrives from here on is beyond the horizon of before the stop, which may have been
        // raised ahead.
        queue.last_position = found.last_position.max(found.horizon);
        queue.horizon = Horizon::recovered(found.horizon);
        for (priority, (count, bytes)) in (0..).zip(found.waiting) {
            queue
                .pending
                .recover(Priority::clamped(priority), Position(1), count, bytes);
        }
        effects.tally.ready_delta += signed(queue.pending.count());
        queue
    }

    /// Its name.
    pub fn name(&self) -> &DestinationName {
        &self.name
    }

    /// Messages that wait, in memory and on disk.
    pub fn ready_count(&self) -> u64 {
        let aside = self.aside.as_ref().map_or(0, |aside| aside.len());
        let delayed = self.delayed.as_ref().map_or(0, |delayed| delayed.len());
        self.pending.count() + aside + delayed
    }

    /// Bytes of messages that wait, in memory and on disk.
    pub fn ready_bytes(&self) -> u64 {
        let aside = self.aside.as_ref().map_or(0, |aside| aside.bytes);
        let delayed = self.delayed.as_ref().map_or(0, |delayed| delayed.bytes());
        self.pending.bytes() + aside + delayed
    }

    /// Bytes of waiting messages in memory.
    fn resident_bytes(&self) -> u64 {
        let aside = self.aside.as_ref().map_or(0, |aside| aside.resident);
        let delayed = self.delayed.as_ref().map_or(0, |delayed| delayed.bytes());
        self.pending.resident_bytes() + aside + delayed
    }

    /// Deliveries that are not settled.
    pub fn unsettled_count(&self) -> u64 {
        self.unsettled
    }

    /// Subscriptions that can be given messages or still hold some.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether senders of messages that nobody has to store should pause for a moment: consumers are
    /// there and behind, and the disk is a detour. What was set aside is past its turn.
    pub fn is_behind(&self) -> bool {
        self.pending.resident_bytes() > self.policy.memory_window_bytes / 2
            && self.subscriptions.iter().any(|(_, s)| !s.options.browse)
    }

    /// Whether consumers have caught up so far that senders can go on.
    pub fn has_caught_up(&self) -> bool {
        self.pending.resident_bytes() <= self.policy.memory_window_bytes / 4
    }

    /// Starts to give messages to a new subscription.
    pub fn subscribe(
        &mut self,
        now: Now,
        id: SubscriptionId,
        options: SubscribeOptions,
        effects: &mut Effects,
    ) -> SubscriptionKey {
        if options.browse {
            let key = self.subscriptions.insert(Subscription::counting(
                id,
                options,
                self.policy.prefetch,
            ));
            self.browse(now, key, effects);
            return key;
        }
        self.arrivals += 1;
        let mut subscription = Subscription::new(id, options, self.policy.prefetch);
        subscription.arrived = self.arrivals;
        self.picky += usize::from(subscription.is_picky());
        let key = self.subscriptions.insert(subscription);
        self.admit_exclusive(now, key);
        self.share_groups();
        self.rejoin(key);
        self.dispatch(now, effects);
        self.check_invariants();
        key
    }

    /// Changes how it treats its messages from here on.
    pub fn set_policy(&mut self, now: Now, policy: Arc<DestinationPolicy>, effects: &mut Effects) {
        self.policy = policy;
        self.dispatch(now, effects);
        self.make_room(now, effects);
        self.check_invariants();
    }

    /// The connection of a subscription takes no more for now.
    pub fn pause(&mut self, key: SubscriptionKey) {
        if let Some(subscription) = self.subscriptions.get_mut(key) {
            subscription.paused = true;
        }
    }

    /// The connection of a subscription takes deliveries again.
    pub fn resume(&mut self, now: Now, key: SubscriptionKey, effects: &mut Effects) {
        if let Some(subscription) = self.subscriptions.get_mut(key) {
            subscription.paused = false;
            self.rejoin(key);
            self.show(now, key, effects);
            self.dispatch(now, effects);
        }
    }

    /// Takes the page that it asked for. Messages that may have been delivered before a crash come
    /// back flagged.
    pub fn page_in(
        &mut self,
        now: Now,
        priority: Priority,
        page: StoredPage,
        effects: &mut Effects,
    ) {
        self.paging = false;
        let before = self.pending.resident_bytes();
        let ready_before = self.pending.count();
        let horizon = self.horizon;
        let entries = page.messages.into_iter();
        let entries = entries.map(|stored| stored.into_entry(&horizon));
        let late = self
            .pending
            .page_in(priority, entries, page.resume_at, page.exhausted);
        effects.tally.memory_delta += signed(self.pending.resident_bytes()) - signed(before);
        effects.tally.ready_delta += signed(self.pending.count()) - signed(ready_before);
        for entry in late {
            effects.tally.memory_delta -= signed(entry.bytes());
            self.wait(entry, false, effects);
        }
        self.dispatch(now, effects);
        self.make_room(now, effects);
        self.check_invariants();
    }

    /// The changes that raised the horizon to `position` are durable.
    pub fn horizon_durable(&mut self, now: Now, position: Position, effects: &mut Effects) {
        self.horizon.reached(position);
        self.dispatch(now, effects);
    }

    /// Prepares for a clean stop: nothing is in flight any more, so what is stored about each message
    /// is exact, and the horizon goes back to where it was at the start: what was flagged by it then
    /// and was not delivered since is known by nothing else.
    pub fn seal(&mut self, effects: &mut Effects) {
        if self.defined && self.unsettled == 0 {
            self.horizon.seal(self.id, self.ready_count() == 0, effects);
        }
    }

    fn at(&self, position: Position) -> StoredAt {
        StoredAt {
            destination: self.id,
            position,
        }
    }

    fn ask_page(&mut self, effects: &mut Effects) {
        if self.paging || self.ring.is_empty() {
            return;
        }
        let bytes = self.policy.page_bytes();
        if let Some((from, priority)) = self.pending.ask_page(bytes) {
            self.paging = true;
            let reader = PageReader::Queue;
            effects.pages.push(PageRequest {
                reader,
                from,
                priority: Some(priority),
                bytes,
            });
        }
    }

    /// Recounts everything, in debug builds, unless the queue is so long that it would take over.
    #[cfg(any(debug_assertions, test))]
    fn check_invariants(&self) {
        if self.ready_count() > 200 || self.unsettled > 200 {
            return;
        }
        self.pending.check_invariants();
        self.check_aside();
        let mut unsettled = 0;
        for (key, subscription) in self.subscriptions.iter() {
            subscription.inflight.check_invariants();
            unsettled += subscription.inflight.live() as u64;
            let turns = self.ring.iter().filter(|(_, other)| *other == key).count();
            assert_eq!(
                turns,
                usize::from(subscription.in_ring),
                "turns of a subscription"
            );
            assert!(
                subscription.in_ring || subscription.options.share.is_some() || !self.is_ready(key),
                "a subscription with credit has no turn"
            );
        }
        assert_eq!(unsettled, self.unsettled, "unsettled deliveries");
    }

    #[cfg(not(any(debug_assertions, test)))]
    fn check_invariants(&self) {}
}

impl StoredMessage {
    /// As it waits again, with what has happened to it as far as anybody knows.
    fn into_entry(self, horizon: &Horizon) -> Entry {
        let mut state = self.state;
        state.redelivered |= horizon.flags(self.position) && self.message.persistent;
        Entry {
            position: self.position,
            message: self.message,
            state: (state != DeliveryState::default()).then(|| Box::new(state)),
            group: None,
            stored: true,
            covered: false,
        }
    }
}

/// A count as a change of a gauge.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
