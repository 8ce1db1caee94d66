//! A connection's mailbox: what others have for it, and one wake however much that is.
//!
//! Pushing is short and never waits, so it may happen under a destination's lock. A push returns the
//! connection's waker only if it is asleep and had nothing; the caller wakes it after its unlock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use crate::core::{ConnectionId, Delivery, Sequence, SubscriptionId};
use crate::store::Durable;

/// Deliveries beyond this many places are given back when the mailbox is emptied.
const KEEP_DELIVERIES: usize = 256;

/// The mailbox of one connection.
#[derive(Debug)]
pub struct Outbox {
    connection: ConnectionId,
    inner: Mutex<Inner>,
    /// Bytes of deliveries that the connection has not encoded yet.
    unsent: AtomicUsize,
    unsent_max: usize,
    /// Whether the connection's driver commits by itself when asked to, and whether it was.
    leads: AtomicBool,
    leading: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    mail: Mail,
    /// Set while the connection sleeps.
    waker: Option<Waker>,
}

/// What a connection finds in its mailbox.
#[derive(Debug, Default)]
pub struct Mail {
    /// Deliveries in the order they were made.
    pub deliveries: VecDeque<Delivery>,
    /// All at or below this is durable; 0 when there is no news.
    pub durable: Sequence,
    /// These changes need not become durable any more.
    pub cancelled: Vec<Sequence>,
    /// Subscriptions that get nothing more until the connection has caught up.
    pub paused: Vec<SubscriptionId>,
    /// Something that refused a request may have room again.
    pub retry: bool,
    /// The store has failed, and why.
    pub failed: Option<Arc<str>>,
    /// The connection is to end.
    pub stop: bool,
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.durable == Sequence(0)
            && self.cancelled.is_empty()
            && self.paused.is_empty()
            && !self.retry
            && self.failed.is_none()
            && !self.stop
    }
}

impl Outbox {
    /// An empty mailbox. Above `unsent_max` bytes that the connection has not encoded, a subscription
    /// that gets a delivery is to be paused.
    pub(super) fn new(connection: ConnectionId, unsent_max: usize) -> Self {
        Self {
            connection,
            inner: Mutex::default(),
            unsent: AtomicUsize::new(0),
            unsent_max,
            leads: AtomicBool::new(false),
            leading: AtomicBool::new(false),
        }
    }

    /// Whose it is.
    pub(super) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Says whether the connection will commit by itself when it is asked to.
    pub(super) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub(super) fn is_leading(&self) -> bool {
        self.leading.load(Ordering::Relaxed)
    }

    /// Takes the order to commit, if there is one.
    pub(super) fn take_lead(&self) -> bool {
        self.is_leading() && self.leading.swap(false, Ordering::Relaxed)
    }

    /// Adds the deliveries of one subscription and empties the list. The flag says whether the
    /// subscription is to be paused.
    pub(super) fn deliver(&self, deliveries: &mut Vec<Delivery>) -> (Option<Waker>, bool) {
        let Some(subscription) = deliveries.first().map(|delivery| delivery.subscription) else {
            return (None, false);
        };
        let bytes: usize = deliveries
            .iter()
            .map(|delivery| delivery.message.footprint())
            .sum();
        let mut inner = self.inner.lock();
        inner.mail.deliveries.extend(deliveries.drain(..));
        let full = self.unsent.fetch_add(bytes, Ordering::Relaxed) + bytes > self.unsent_max;
        if full {
            inner.mail.paused.push(subscription);
        }
        (inner.waker.take(), full)
    }

    /// Tells the connection that what refused its request may have room.
    pub(super) fn retry(&self) -> Option<Waker> {
        let mut inner = self.inner.lock();
        inner.mail.retry = true;
        inner.waker.take()
    }

    /// Asks the connection to end.
    pub fn stop(&self) {
        self.tell(|mail| mail.stop = true);
    }

    /// Takes everything. The connection's empty list takes the place of the full one.
    pub(super) fn drain(&self, into: &mut Mail) {
        let mut inner = self.inner.lock();
        if into.deliveries.is_empty() {
            std::mem::swap(&mut inner.mail.deliveries, &mut into.deliveries);
            if inner.mail.deliveries.capacity() > KEEP_DELIVERIES {
                inner.mail.deliveries = VecDeque::new();
            }
        } else {
            into.deliveries.append(&mut inner.mail.deliveries);
        }
        into.durable = into.durable.max(inner.mail.durable);
        inner.mail.durable = Sequence(0);
        into.cancelled.append(&mut inner.mail.cancelled);
        into.paused.append(&mut inner.mail.paused);
        into.retry |= std::mem::take(&mut inner.mail.retry);
        into.stop |= std::mem::take(&mut inner.mail.stop);
        into.failed = inner.mail.failed.take().or(into.failed.take());
    }

    /// Looks without taking anything.
    pub(super) fn look(&self, look: impl FnOnce(&Mail)) {
        look(&self.inner.lock().mail);
    }

    /// The connection has encoded deliveries of this many bytes.
    pub(super) fn encoded(&self, bytes: usize) {
        self.unsent.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether paused subscriptions can go on.
    pub(super) fn has_caught_up(&self) -> bool {
        self.unsent.load(Ordering::Relaxed) <= self.unsent_max / 2
    }

    /// Goes to sleep: the next mail wakes. Returns false, and does not, if there is mail already.
    pub fn sleep(&self, waker: &Waker) -> bool {
        let mut inner = self.inner.lock();
        if !inner.mail.is_empty() {
            return false;
        }
        match &mut inner.waker {
            Some(old) if old.will_wake(waker) => {}
            slot => *slot = Some(waker.clone()),
        }
        true
    }

    fn tell(&self, change: impl FnOnce(&mut Mail)) {
        let waker = {
            let mut inner = self.inner.lock();
            change(&mut inner.mail);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Durable for Outbox {
    fn durable(&self, up_to: Sequence) {
        self.tell(|mail| mail.durable = mail.durable.max(up_to));
    }

    fn cancelled(&self, sequence: Sequence) {
        self.tell(|mail| mail.cancelled.push(sequence));
    }

    fn failed(&self, cause: &str) {
        self.tell(|mail| mail.failed = Some(cause.into()));
    }

    fn room(&self) {
        self.tell(|mail| mail.retry = true);
    }

    fn lead(&self) -> bool {
        let leads = self.leads.load(Ordering::Relaxed);
        if leads {
            self.leading.store(true, Ordering::Relaxed);
        }
        leads
    }
}
