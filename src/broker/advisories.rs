//! Telling what happens to whoever subscribes to advisories. What is told is noted where it happens,
//! under whatever lock, and sent when no lock is held any more.

use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::cell::Work;
use super::routing::sendings;
use super::shared::Shared;
use crate::core::{
    ConnectionId, DestinationName, Effects, Event, Forward, Message, MessageId, Now, SubscriptionId,
};

/// The advisories of a broker.
#[derive(Debug)]
pub(super) struct Advisories {
    enabled: bool,
    /// Subscriptions that may be given some.
    listeners: AtomicIsize,
    sender: ConnectionId,
    sent: AtomicU64,
    any: AtomicBool,
    noted: Mutex<Vec<(DestinationName, Message)>>,
    /// Held while they are sent, so that they stay in order.
    sending: Mutex<()>,
}

impl Advisories {
    pub(super) fn new(enabled: bool, sender: ConnectionId) -> Self {
        Self {
            enabled,
            listeners: AtomicIsize::new(0),
            sender,
            sent: AtomicU64::new(0),
            any: AtomicBool::new(false),
            noted: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    /// A subscription has begun; if it may be given advisories, they are told from here on.
    pub(super) fn begin(&self, subscribed: &DestinationName) {
        if self.enabled && subscribed.may_be_advised() {
            self.listeners.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A subscription has ended.
    pub(super) fn end(&self, subscribed: &DestinationName) {
        if self.enabled && subscribed.may_be_advised() {
            self.listeners.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether anybody may want to hear.
    pub(super) fn wanted(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Notes what happened, if anybody may want to hear.
    pub(super) fn note(&self, shared: &Shared, event: &Event<'_>) {
        if !self.wanted() {
            return;
        }
        let Some(topic) = event.topic() else {
            return;
        };
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let id = MessageId {
            connection: self.sender,
            number,
        };
        let message = event.message(id, &topic, shared.clock.now().wall);
        self.noted.lock().push((topic, message));
        self.any.store(true, Ordering::Release);
    }

    /// Notes what has come of a change to a destination: messages that expired, or are about to move to
    /// a dead-letter queue.
    pub(super) fn note_effects(&self, shared: &Shared, at: &DestinationName, effects: &Effects) {
        if !self.wanted() {
            return;
        }
        let count = effects.tally.expired + effects.tally.expired_letters;
        if count > 0 {
            let destination = &at.origin();
            self.note(shared, &Event::Expired { destination, count });
        }
        for forward in &effects.forwards {
            if let Some(provenance) = forward.message.provenance.as_deref() {
                let event = Event::DeadLetter {
                    origin: &provenance.origin,
                    queue: &forward.target,
                    message: forward.message.id,
                    cause: &provenance.cause,
                };
                self.note(shared, &event);
            }
        }
    }

    /// Notes that a consumer does not take what it is sent.
    pub(super) fn note_slow(
        &self,
        shared: &Shared,
        at: &DestinationName,
        (connection, subscription): (ConnectionId, Option<SubscriptionId>),
    ) {
        let Some(subscription) = subscription else {
            return;
        };
        let event = Event::SlowConsumer {
            destination: &at.origin(),
            connection,
            subscription,
        };
        self.note(shared, &event);
    }

    /// Sends what has been noted. No lock is held. Returns whether there was anything.
    pub(super) fn send(&self, shared: &Shared, now: Now, work: &mut Work) -> bool {
        let any = self.any.load(Ordering::Acquire);
        if any {
            let _turn = self.sending.lock();
            self.any.store(false, Ordering::Release);
            let noted = std::mem::take(&mut *self.noted.lock());
            for (topic, message) in noted {
                if !has_readers(shared, &topic) {
                    continue;
                }
                let message = message.into();
                // There is none to be made where there may be no more destinations.
                let targets = sendings(shared, self.sender, &topic, &message);
                for (cell, message) in targets.into_iter().flatten() {
                    let target = cell.name.clone();
                    let with = Vec::new();
                    let forward = Forward {
                        target,
                        message,
                        with,
                    };
                    work.forward(shared, now, forward);
                }
            }
        }
        any
    }
}

/// Whether anybody receives from a topic: it need not come to life for nobody.
fn has_readers(shared: &Shared, topic: &DestinationName) -> bool {
    let registry = &shared.registry;
    let mut covered = registry.find(topic).is_some();
    registry.wildcards().covering(topic, |_| covered = true);
    covered
}
