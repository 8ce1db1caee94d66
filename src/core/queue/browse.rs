//! Browsers: they are shown what is in the queue when they come, in the order of its arrival, what is
//! in flight included, and change nothing. The end is told by a mark.
//!
//! A browser keeps the messages that are in memory when it comes and reads the others from disk as it
//! goes; one that is consumed before it comes to it is not shown.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::delivery::Delivery;
use super::super::effect::{Effects, PageReader, PageRequest, SubscriptionKey};
use super::super::id::{DeliveryTag, Position};
use super::super::message::Message;
use super::super::message_group::Slot;
use super::super::pending::Entry;
use super::super::request::Tags;
use super::super::subscription::Subscription;
use super::super::time::Now;
use super::{Queue, StoredMessage, StoredPage, signed};

/// What a browser has to be shown yet.
#[derive(Debug)]
pub(in crate::core) struct Browser {
    /// What was in memory, by position.
    resident: VecDeque<StoredMessage>,
    disk: Option<Disk>,
    /// Whether it has been told that there is nothing more.
    ended: bool,
}

/// What of it is to be read from disk.
#[derive(Debug)]
struct Disk {
    /// Read next, by position.
    page: VecDeque<StoredMessage>,
    /// Where the next page starts.
    from: Position,
    /// What came later is not shown.
    until: Position,
    asked: bool,
}

impl Browser {
    /// The next message that it is to be shown, unless that has to be read from disk first.
    fn take(&mut self) -> Option<StoredMessage> {
        let resident = self.resident.front().map(|stored| stored.position);
        let Some(disk) = &mut self.disk else {
            return self.resident.pop_front();
        };
        let paged = disk.page.front().map(|stored| stored.position)?;
        match resident {
            Some(resident) if resident < paged => self.resident.pop_front(),
            _ => disk.page.pop_front(),
        }
    }

    /// Bytes of messages that it holds.
    fn bytes(&self) -> u64 {
        let paged = self.disk.iter().flat_map(|disk| &disk.page);
        let held = self.resident.iter().chain(paged);
        held.map(|stored| stored.message.footprint() as u64).sum()
    }
}

impl Queue {
    /// Starts to show a browser what is here.
    pub(super) fn browse(&mut self, now: Now, key: SubscriptionKey, effects: &mut Effects) {
        let mut resident: Vec<_> = self.in_memory().map(StoredMessage::of).collect();
        resident.sort_unstable_by_key(|stored| stored.position);
        let disk = (self.ready_bytes() > self.resident_bytes()).then(|| Disk {
            page: VecDeque::new(),
            from: Position(0),
            until: self.last_position,
            asked: false,
        });
        let browser = Browser {
            resident: resident.into(),
            disk,
            ended: false,
        };
        effects.tally.memory_delta += signed(browser.bytes());
        if let Some(subscription) = self.subscriptions.get_mut(key) {
            subscription.browser = Some(Box::new(browser));
        }
        self.show(now, key, effects);
    }

    /// All messages of the queue that are in memory, waiting or in flight.
    fn in_memory(&self) -> impl Iterator<Item = &Entry> {
        let aside = self.aside.iter();
        let slots = aside.flat_map(|aside| aside.groups.slots().chain(aside.unmatched.slots()));
        let here = slots.filter_map(|slot| match slot {
            Slot::Here(entry) => Some(entry),
            Slot::OnDisk { .. } => None,
        });
        let in_flight = self
            .subscriptions
            .iter()
            .flat_map(|(_, s)| s.inflight.iter());
        let delayed = self.delayed.iter().flat_map(|delayed| delayed.entries());
        let waiting = self.pending.resident().chain(here);
        waiting.chain(delayed).chain(in_flight)
    }

    /// Shows a browser as much as its credit allows, and the end.
    pub(super) fn show(&mut self, now: Now, key: SubscriptionKey, effects: &mut Effects) {
        let bytes = self.policy.page_bytes();
        let Some(subscription) = self.subscriptions.get_mut(key) else {
            return;
        };
        let Some(mut browser) = subscription.browser.take() else {
            return;
        };
        while !browser.ended && !subscription.paused {
            let awaits_disk = browser
                .disk
                .as_ref()
                .is_some_and(|disk| disk.page.is_empty());
            if awaits_disk {
                browser.ask(key, bytes, effects);
                break;
            }
            if browser.resident.is_empty() && browser.disk.is_none() {
                browser.ended = true;
                effects.deliver(key, end_mark(subscription));
            } else if !subscription.has_credit() {
                break;
            } else if let Some(stored) = browser.take() {
                effects.tally.memory_delta -= signed(stored.message.footprint() as u64);
                let message = &stored.message;
                if !message.expired(now.wall) && subscription.wants(message, stored.state) {
                    effects.deliver(key, shown(subscription, stored));
                }
            }
        }
        subscription.browser = Some(browser);
    }

    /// Takes a page that a browser asked for.
    pub fn page_in_browser(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        page: StoredPage,
        effects: &mut Effects,
    ) {
        let horizon = self.horizon;
        let Some(browser) = self.browser_mut(key) else {
            return;
        };
        let Browser { resident, disk, .. } = browser;
        let Some(disk) = disk else { return };
        if !std::mem::take(&mut disk.asked) {
            return;
        }
        let past = page.resume_at > disk.until || page.exhausted;
        disk.from = page.resume_at;
        for stored in page.messages {
            // What was in memory is on disk too, if it is stored.
            let known = resident.binary_search_by_key(&stored.position, |other| other.position);
            if stored.position <= disk.until && known.is_err() {
                let stored = StoredMessage::of(&stored.into_entry(&horizon));
                effects.tally.memory_delta += signed(stored.message.footprint() as u64);
                disk.page.push_back(stored);
            }
        }
        if past {
            self.end_of_disk(key);
        }
        self.show(now, key, effects);
    }

    /// All that a browser is to be shown is in memory by now.
    fn end_of_disk(&mut self, key: SubscriptionKey) {
        let Some(browser) = self.browser_mut(key) else {
            return;
        };
        if let Some(disk) = browser.disk.take() {
            let mut all: Vec<_> = browser.resident.drain(..).chain(disk.page).collect();
            all.sort_by_key(|stored| stored.position);
            browser.resident = all.into();
        }
    }

    /// A browser has seen what it was shown: it can be shown more.
    pub(super) fn seen(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        tags: Tags,
        effects: &mut Effects,
    ) {
        let (Tags::One(tag) | Tags::Through(tag)) = tags;
        if let Some(subscription) = self.subscriptions.get_mut(key) {
            subscription.count_through(tag);
            self.show(now, key, effects);
        }
    }

    /// A browser leaves.
    pub(super) fn end_browser(&mut self, key: SubscriptionKey, effects: &mut Effects) {
        let gone = self.subscriptions.remove(key);
        if let Some(browser) = gone.and_then(|subscription| subscription.browser) {
            effects.tally.memory_delta -= signed(browser.bytes());
        }
    }

    fn browser_mut(&mut self, key: SubscriptionKey) -> Option<&mut Browser> {
        self.subscriptions.get_mut(key)?.browser.as_deref_mut()
    }

    /// Whether a subscription only looks.
    pub(super) fn is_browser(&self, key: SubscriptionKey) -> bool {
        self.subscriptions
            .get(key)
            .is_some_and(|s| s.browser.is_some())
    }
}

impl Browser {
    fn ask(&mut self, key: SubscriptionKey, bytes: u64, effects: &mut Effects) {
        if let Some(disk) = self.disk.as_mut().filter(|disk| !disk.asked) {
            disk.asked = true;
            effects.pages.push(PageRequest {
                reader: PageReader::Browser(key),
                from: disk.from,
                priority: None,
                bytes,
            });
        }
    }
}

impl StoredMessage {
    fn of(entry: &Entry) -> Self {
        Self {
            position: entry.position,
            message: Arc::clone(&entry.message),
            state: entry.state(),
        }
    }
}

fn shown(subscription: &mut Subscription, stored: StoredMessage) -> Delivery {
    Delivery {
        tag: subscription.next_tag(),
        subscription: subscription.id,
        count: stored.state.deliveries.saturating_add(1),
        redelivered: stored.state.redelivered,
        message: stored.message,
        first_of_group: false,
        concrete: None,
        end_of_browse: false,
    }
}

fn end_mark(subscription: &Subscription) -> Delivery {
    Delivery {
        tag: DeliveryTag(0),
        subscription: subscription.id,
        count: 1,
        redelivered: false,
        message: Arc::new(Message::empty()),
        first_of_group: false,
        concrete: None,
        end_of_browse: true,
    }
}
