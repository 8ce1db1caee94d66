//! A topic: each message goes to every subscription there is when it arrives.
//!
//! A subscription that keeps up is given each message as it comes. One that does not falls behind the
//! topic's log and reads from there at its own pace; it slows down nobody else.

mod life;
mod log;
mod settle;

use std::collections::VecDeque;
use std::sync::Arc;

use super::dead_letter::{EXPIRED, End, Fate};
use super::delivery::Delivery;
use super::destination::DestinationName;
use super::effect::{Effects, PageReader, PageRequest, SubscriptionKey};
use super::id::{DestinationId, Position, SubscriptionId};
use super::message::{DeliveryState, Message};
use super::pending::Entry;
use super::persist::Persist;
use super::policy::{DestinationPolicy, Keep};
use super::queue::{StoredPage, signed};
use super::request::{AckMode, SubscribeOptions};
use super::subscription::{Slots, Subscription};
use super::time::Now;
use log::Log;

/// Under memory pressure a topic keeps no more than this in memory, in bytes.
const PRESSED_WINDOW: u64 = 64 * 1024;

/// One topic.
#[derive(Debug)]
pub struct Topic {
    id: DestinationId,
    name: DestinationName,
    policy: Arc<DestinationPolicy>,
    /// Whether the store has heard of it, which it does when messages go to disk.
    defined: bool,
    last_position: Position,
    log: Log,
    readers: Slots<Reader>,
    unsettled: u64,
}

/// A subscription and how far it has read.
#[derive(Debug)]
struct Reader {
    subscription: Subscription,
    /// The next position to read.
    cursor: Position,
    /// What came back, by position: read before anything else.
    returned: VecDeque<Entry>,
    /// What a page from disk brought: read next.
    page: VecDeque<Entry>,
    /// A page was asked for and has not come: where memory began when it was asked for.
    paging: Option<Position>,
}

impl Topic {
    /// A topic without subscriptions.
    pub fn new(id: DestinationId, name: DestinationName, policy: Arc<DestinationPolicy>) -> Self {
        Self {
            id,
            name,
            policy,
            defined: false,
            last_position: Position(0),
            log: Log::default(),
            readers: Slots::default(),
            unsettled: 0,
        }
    }

    /// A topic as the store knows it. What was kept on disk for its subscribers went with them.
    pub fn recovered(
        id: DestinationId,
        name: DestinationName,
        policy: Arc<DestinationPolicy>,
        last_position: Position,
    ) -> Self {
        Self {
            defined: true,
            last_position,
            ..Self::new(id, name, policy)
        }
    }

    /// Its name.
    pub fn name(&self) -> &DestinationName {
        &self.name
    }

    /// Changes how it treats its messages from here on.
    pub fn set_policy(&mut self, policy: Arc<DestinationPolicy>, effects: &mut Effects) {
        self.policy = policy;
        self.spill(false, effects);
    }

    /// Deliveries that are not settled.
    pub fn unsettled_count(&self) -> u64 {
        self.unsettled
    }

    /// Subscriptions that can be given messages or still hold some.
    pub fn subscription_count(&self) -> usize {
        self.readers.len()
    }

    /// Lets the store know it although it holds nothing. Returns whether that is news.
    pub fn declare(&mut self, effects: &mut Effects) -> bool {
        let news = !self.defined && self.policy.keep == Keep::All;
        if news {
            self.define(effects);
        }
        news
    }

    fn define(&mut self, effects: &mut Effects) {
        if !self.defined {
            self.defined = true;
            effects.persist.push(Persist::Define {
                destination: self.id,
                name: self.name.clone(),
            });
        }
    }

    /// Gives a message to every subscription.
    pub fn publish(
        &mut self,
        now: Now,
        message: &Arc<Message>,
        pressed: bool,
        effects: &mut Effects,
    ) {
        effects.tally.received += 1;
        if message.expired(now.wall) {
            self.expire_on_arrival(now, message, effects);
            return;
        }
        if self.readers.len() == 0 {
            effects.tally.unrouted += 1;
            return;
        }
        self.last_position = self.last_position.next();
        let position = self.last_position;
        let mut behind = 0;
        for (key, reader) in self.readers.iter_mut() {
            if reader.subscription.ended {
                continue;
            }
            if !reader.subscription.wants(message, DeliveryState::default()) {
                if reader.cursor == position {
                    reader.cursor = position.next();
                } else {
                    behind += 1;
                }
                continue;
            }
            effects.tally.routed += 1;
            if reader.cursor == position && reader.is_free() && reader.subscription.book() {
                reader.cursor = position.next();
                let entry = Entry::passing(position, Arc::clone(message));
                self.unsettled += 1;
                reader.give(key, entry, effects);
            } else {
                behind += 1;
            }
        }
        if behind > 0 {
            effects.tally.memory_delta += signed(message.footprint() as u64);
            self.log.push(position, Arc::clone(message), behind);
            self.spill(pressed, effects);
        }
    }

    /// A message has arrived whose time is over.
    fn expire_on_arrival(&self, now: Now, message: &Message, effects: &mut Effects) {
        let policy = &self.policy.dead_letter;
        match policy.fate(message, &self.name) {
            Fate::Moves(queue) if policy.expired => {
                effects.tally.expired_letters += 1;
                let end = End {
                    state: DeliveryState::default(),
                    cause: EXPIRED,
                    consumer: None,
                    now: now.wall,
                };
                self.bury(message, queue, &end, effects);
            }
            Fate::Moves(_) | Fate::Dropped | Fate::Stays => effects.tally.expired += 1,
        }
    }

    /// Moves the oldest messages of the log to disk until the rest fits the window.
    fn spill(&mut self, pressed: bool, effects: &mut Effects) {
        let window = self.policy.memory_window_bytes;
        let window = if pressed {
            window.min(PRESSED_WINDOW)
        } else {
            window
        };
        while self.policy.keep != Keep::Nothing && self.log.bytes() > window {
            let Some((position, message)) = self.log.spill() else {
                break;
            };
            effects.tally.memory_delta -= signed(message.footprint() as u64);
            self.define(effects);
            effects.persist.push(Persist::Put {
                at: self.at(position),
                message,
                state: DeliveryState::default(),
                transient: true,
            });
        }
    }

    /// Starts to give messages to a new subscription: those that arrive from here on.
    pub fn subscribe(&mut self, id: SubscriptionId, options: SubscribeOptions) -> SubscriptionKey {
        let prefetch = self.policy.topic_prefetch;
        let subscription = match options.mode {
            AckMode::Auto => Subscription::counting(id, options, prefetch),
            AckMode::Client | AckMode::ClientIndividual => Subscription::new(id, options, prefetch),
        };
        self.readers.insert(Reader {
            subscription,
            cursor: self.last_position.next(),
            returned: VecDeque::new(),
            page: VecDeque::new(),
            paging: None,
        })
    }

    /// The connection of a subscription takes no more for now.
    pub fn pause(&mut self, key: SubscriptionKey) {
        if let Some(reader) = self.readers.get_mut(key) {
            reader.subscription.paused = true;
        }
    }

    /// The connection of a subscription takes deliveries again.
    pub fn resume(&mut self, now: Now, key: SubscriptionKey, effects: &mut Effects) {
        if let Some(reader) = self.readers.get_mut(key) {
            reader.subscription.paused = false;
            self.feed(now, key, effects);
        }
    }

    /// Takes the page that a subscription asked for.
    pub fn page_in(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        page: StoredPage,
        effects: &mut Effects,
    ) {
        let front = self.log.front();
        let Some(reader) = self.readers.get_mut(key) else {
            return;
        };
        let Some(asked) = reader.paging.take() else {
            return;
        };
        if reader.subscription.ended {
            return;
        }
        for stored in page.messages {
            if reader.cursor <= stored.position && stored.position < front {
                let entry = Entry::passing(stored.position, stored.message);
                reader.cursor = entry.position.next();
                effects.tally.memory_delta += signed(entry.bytes());
                reader.page.push_back(entry);
            }
        }
        if page.exhausted {
            // All that was on disk for it when it asked has been read.
            reader.cursor = reader.cursor.max(asked);
        }
        self.forget_spilled(effects);
        self.feed(now, key, effects);
    }

    /// Gives a subscription what it has not read, as far as its credit goes.
    fn feed(&mut self, now: Now, key: SubscriptionKey, effects: &mut Effects) {
        let bytes = self.policy.page_bytes();
        let Some(reader) = self.readers.get_mut(key) else {
            return;
        };
        while reader.subscription.has_credit() {
            let entry = if let Some(entry) = reader.take_own() {
                effects.tally.memory_delta -= signed(entry.bytes());
                entry
            } else if reader.cursor > self.last_position || reader.paging.is_some() {
                return;
            } else if self.log.is_spilled(reader.cursor) {
                reader.paging = Some(self.log.front());
                effects.pages.push(PageRequest {
                    reader: PageReader::Subscription(key),
                    from: reader.cursor,
                    priority: None,
                    bytes,
                });
                return;
            } else {
                let before = self.log.bytes();
                let Some(message) = self.log.read(reader.cursor) else {
                    return;
                };
                effects.tally.memory_delta += signed(self.log.bytes()) - signed(before);
                let position = reader.cursor;
                reader.cursor = position.next();
                Entry::passing(position, message)
            };
            if entry.message.expired(now.wall) {
                effects.tally.expired += 1;
                continue;
            }
            if !reader.subscription.wants(&entry.message, entry.state()) {
                continue;
            }
            if !reader.subscription.book() {
                effects.tally.memory_delta += signed(entry.bytes());
                reader.returned.push_front(entry);
                return;
            }
            self.unsettled += 1;
            reader.give(key, entry, effects);
        }
    }

    /// Lets a subscription go on after deliveries to it were settled.
    fn regain(&mut self, now: Now, key: SubscriptionKey, effects: &mut Effects) {
        let reader = self.readers.get_mut(key);
        if !reader.is_some_and(|reader| reader.subscription.shares_credit()) {
            self.feed(now, key, effects);
        }
    }

    /// Removes from disk what every subscription has read.
    fn forget_spilled(&mut self, effects: &mut Effects) {
        let cursors = self
            .readers
            .iter()
            .filter(|(_, reader)| !reader.subscription.ended);
        let slowest = cursors.map(|(_, reader)| reader.cursor).min();
        let slowest = slowest.unwrap_or(self.last_position.next());
        for position in self.log.forget_spilled(slowest) {
            effects.persist.push(Persist::Remove {
                at: self.at(Position(position)),
            });
        }
    }

    fn at(&self, position: Position) -> super::message::StoredAt {
        super::message::StoredAt {
            destination: self.id,
            position,
        }
    }
}

impl Reader {
    /// Whether it can be given the newest message straight away.
    fn is_free(&self) -> bool {
        self.returned.is_empty()
            && self.page.is_empty()
            && self.paging.is_none()
            && self.subscription.has_credit()
    }

    /// The next message that only this subscription keeps.
    fn take_own(&mut self) -> Option<Entry> {
        self.returned.pop_front().or_else(|| self.page.pop_front())
    }

    fn give(&mut self, key: SubscriptionKey, entry: Entry, effects: &mut Effects) {
        let tag = self.subscription.next_tag();
        let state = entry.state();
        effects.tally.delivered += 1;
        effects.tally.redelivered += u64::from(state.redelivered);
        effects.tally.unsettled_delta += 1;
        effects.deliver(
            key,
            Delivery {
                message: Arc::clone(&entry.message),
                tag,
                subscription: self.subscription.id,
                count: state.deliveries.saturating_add(1),
                redelivered: state.redelivered,
                first_of_group: false,
                end_of_browse: false,
                concrete: None,
            },
        );
        if !self.subscription.counts_only() {
            effects.tally.memory_delta += signed(entry.bytes());
            self.subscription.inflight.push(tag, entry);
        }
    }
}

impl Entry {
    /// A message that the store need not hear of.
    fn passing(position: Position, message: Arc<Message>) -> Self {
        Self {
            position,
            message,
            state: None,
            group: None,
            stored: false,
            covered: true,
        }
    }
}
