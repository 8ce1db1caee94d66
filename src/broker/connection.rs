//! One client of the broker, whatever it speaks: requests in, completions and mail out.
//!
//! Requests are carried out in their order, neighbouring ones for the same destination under one
//! lock. A send that finds no room is parked, and what follows it waits behind it, except for
//! settlements and ends of subscriptions, which make room.

mod advise;
mod answer;
mod arriving;
mod commit;
mod durable;
mod parking;
mod requests;
mod routed;
mod scheduling;
mod spanning;
mod staging;

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cell::{Cell, Destination, Work};
use super::outbox::{Mail, Outbox};
use super::shared::Shared;
use super::transaction::{Commit, UnitOfWork};
use crate::core::{
    Completion, ConnectionId, Delivery, DeliveryTag, DestinationName, Now, Refusal, Request,
    Sequence, SubscriptionId, SubscriptionKey, Tick, TransactionId,
};
use arriving::Arriving;
use spanning::Span;

/// How many destinations a connection remembers the way to.
const REMEMBERED_CELLS: usize = 256;

/// A client's hold on the broker. To be ended by [`Connection::disconnect`].
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    id: ConnectionId,
    outbox: Arc<Outbox>,
    mail: Mail,
    subscriptions: FxHashMap<SubscriptionId, (Arc<Cell>, SubscriptionKey)>,
    /// What subscriptions name, for whoever wants to hear of them.
    subscribed: FxHashMap<SubscriptionId, DestinationName>,
    /// Whether the client has logged in, and what it calls itself.
    introduced: bool,
    client: Option<Arc<str>>,
    /// Subscriptions to more than one destination.
    spans: FxHashMap<SubscriptionId, Span>,
    /// The destination of the last send, and others before it.
    last_cell: Option<Arc<Cell>>,
    cells: FxHashMap<DestinationName, Arc<Cell>>,
    transactions: FxHashMap<TransactionId, UnitOfWork>,
    commit: Option<Box<Commit>>,
    /// What waits for room or for a commit, with the tick at which it came.
    parked: VecDeque<(Tick, Request)>,
    parked_bytes: usize,
    /// Why the first parked request could not be carried out, unless it waits for a commit.
    no_room: Option<Refusal>,
    /// Something found no room before.
    has_waited: bool,
    /// When something parked found room last: from then on the others have waited in vain.
    parked_moved: Tick,
    arriving: Arriving,
    /// The broker stops: what was asked is carried out if there is room for it now.
    stopping: bool,
    paused: Vec<SubscriptionId>,
    /// Until when, at most, nothing is taken from the client, so that consumers can catch up.
    pausing_until: Option<Tick>,
    no_pause_before: Tick,
    durable: Sequence,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, id: ConnectionId) -> Self {
        let outbox = Arc::new(Outbox::new(id, shared.limits.outbound_bytes));
        Self {
            shared,
            id,
            outbox,
            mail: Mail::default(),
            subscriptions: FxHashMap::default(),
            subscribed: FxHashMap::default(),
            introduced: false,
            client: None,
            spans: FxHashMap::default(),
            last_cell: None,
            cells: FxHashMap::default(),
            transactions: FxHashMap::default(),
            commit: None,
            parked: VecDeque::new(),
            parked_bytes: 0,
            no_room: None,
            has_waited: false,
            parked_moved: Tick(0),
            arriving: Arriving::default(),
            stopping: false,
            paused: Vec::new(),
            pausing_until: None,
            no_pause_before: Tick(0),
            durable: Sequence(0),
        }
    }

    /// Its number.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Where its mail arrives.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Carries out requests and empties the list. Appends completions, also of requests that came
    /// earlier.
    pub fn submit(
        &mut self,
        now: Now,
        requests: &mut Vec<Request>,
        completions: &mut Vec<Completion>,
    ) {
        if requests.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        Work::run(&shared, now, |work| {
            let requests = requests.drain(..).map(|request| (now.tick, request));
            self.carry_out(work, now, requests, completions);
        });
    }

    /// Takes the mail in and does what it allows: a commit that has become durable is applied, parked
    /// requests are tried again. The caller encodes the deliveries that it takes from the result and
    /// reports them by [`Connection::encoded`].
    pub fn collect(&mut self, now: Now, completions: &mut Vec<Completion>) -> &mut Mail {
        let before = self.mail.deliveries.len();
        self.outbox.drain(&mut self.mail);
        self.number_spanning(before);
        self.durable = self.durable.max(self.mail.durable);
        self.paused.append(&mut self.mail.paused);
        let failed = self.mail.failed.clone();
        let retry = std::mem::take(&mut self.mail.retry);
        if retry {
            self.pausing_until = None;
            self.arriving.release();
        }
        self.stopping |= self.mail.stop;
        if self.commit.is_some() || failed.is_some() || retry || self.stopping {
            let shared = Arc::clone(&self.shared);
            Work::run(&shared, now, |work| {
                if let Some(cause) = failed {
                    self.fail_commit(work, now, &cause, completions);
                }
                self.apply_commit(work, now, completions);
                self.try_parked(work, now, completions);
                if self.stopping {
                    self.refuse_overdue(work, now, completions);
                }
            });
        }
        &mut self.mail
    }

    /// Deliveries of this many bytes have been encoded. Lets subscriptions go on that were paused.
    pub fn encoded(&mut self, now: Now, bytes: usize) {
        self.outbox.encoded(bytes);
        if self.paused.is_empty() || !self.outbox.has_caught_up() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let paused = std::mem::take(&mut self.paused);
        Work::run(&shared, now, |work| {
            for subscription in paused {
                let Some((cell, key)) = self.subscriptions.get(&subscription) else {
                    self.resume_spanning(work, now, subscription);
                    continue;
                };
                cell.with(&shared, work, None, |state, effects, _| {
                    match &mut state.destination {
                        Destination::Queue(queue) => queue.resume(now, *key, effects),
                        Destination::Topic(topic) => topic.resume(now, *key, effects),
                    }
                });
            }
        });
    }

    /// The deliveries that have not been taken, for simulations that watch from outside.
    #[doc(hidden)]
    pub fn untaken(&self) -> Vec<Delivery> {
        let mut all: Vec<_> = self.mail.deliveries.iter().cloned().collect();
        self.outbox
            .look(|mail| all.extend(mail.deliveries.iter().cloned()));
        all
    }

    /// Whether nothing more should be read from the client for now.
    pub fn is_blocked(&self) -> bool {
        self.commit.is_some()
            || self.pausing_until.is_some()
            || self.arriving.is_held()
            || self.parked_bytes > self.shared.limits.parked_bytes
    }

    /// Says that whoever drives the connection asks [`Connection::is_leading`] after all that it does,
    /// and then calls [`Connection::lead`] before it sleeps.
    pub fn set_leads(&mut self) {
        self.outbox.set_leads(true);
    }

    /// Whether what was asked waits for a commit that the driver is to make.
    pub fn is_leading(&self) -> bool {
        self.outbox.is_leading()
    }

    /// Commits what the connection waits for, on this thread if that is quick and `alone` says that
    /// nothing else waits for the thread; else by the writer's.
    pub fn lead(&mut self, now: Now, alone: bool) {
        if self.outbox.take_lead() {
            if alone {
                self.shared.writer.lead(now.tick);
            } else {
                self.shared.writer.hand_over();
            }
        }
    }

    /// Whether a request waits, for room or for a commit.
    pub fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Why the first request that waits for room could not be carried out, if there is one.
    pub fn waits_for(&self) -> Option<&Refusal> {
        self.no_room.as_ref()
    }

    /// Whether a commit is on its way, which has to be waited for before `disconnect`.
    pub fn is_committing(&self) -> bool {
        self.commit.is_some()
    }

    /// When [`Connection::expire`] wants to be called.
    pub fn deadline(&self) -> Option<Tick> {
        let limits = &self.shared.limits;
        let first = self.parked.front().filter(|_| self.no_room.is_some());
        let parked = first.map(|(since, _)| {
            let since = (*since).max(self.parked_moved);
            since.after(u64::try_from(limits.full_timeout.as_millis()).unwrap_or(u64::MAX))
        });
        let timeout = u64::try_from(limits.transaction_timeout.as_millis()).unwrap_or(u64::MAX);
        let oldest = self
            .transactions
            .values()
            .map(|unit| unit.opened.after(timeout))
            .min();
        [parked, oldest, self.pausing_until, self.arriving_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Refuses what has waited too long for room, and aborts what has been open too long.
    pub fn expire(&mut self, now: Now, completions: &mut Vec<Completion>) {
        if self.deadline().is_none_or(|deadline| deadline > now.tick) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.end_pause(now);
        Work::run(&shared, now, |work| {
            self.abort_overdue(work, now);
            self.try_parked(work, now, completions);
            self.refuse_overdue(work, now, completions);
        });
    }

    /// Ends it. Open transactions are aborted; what is unsettled returns to its queues. `written`
    /// gives, for a client that vanished, the last delivery of a subscription that it was sent: the
    /// oldest unsettled one up to there counts as a failed try.
    pub fn disconnect(mut self, now: Now, written: impl Fn(SubscriptionId) -> Option<DeliveryTag>) {
        self.set_arriving(now, 0);
        self.outbox.set_leads(false);
        self.lead(now, false);
        let shared = Arc::clone(&self.shared);
        Work::run(&shared, now, |work| {
            // What one subscription gives back is not for another of the same connection.
            for (cell, key) in self.subscriptions.values() {
                cell.with(&shared, work, None, |state, _, _| {
                    state.destination.pause(*key);
                });
            }
            self.pause_spanning(work);
            let open: Vec<_> = self.transactions.keys().copied().collect();
            for transaction in open {
                // It is there: it was just found.
                let _ = self.abort(
                    work,
                    now,
                    transaction,
                    &shared.metrics.transactions_ended.abort,
                );
            }
            let mut subscriptions: Vec<_> = self.subscriptions.drain().collect();
            subscriptions.sort_unstable_by_key(|(id, _)| *id);
            for (id, (cell, key)) in subscriptions {
                unsubscribe(&shared, work, now, &cell, key, written(id));
            }
            let mut spans: Vec<_> = self.spans.keys().copied().collect();
            spans.sort_unstable();
            for id in spans {
                // It is there: it was just found.
                let _ = self.end_spanning(work, now, id, written(id));
            }
        });
        Work::run(&shared, now, |work| {
            shared.registry.remove_temporary(self.id, &shared, work);
            self.gone();
        });
        let unread = self
            .mail
            .deliveries
            .iter()
            .map(|delivery| delivery.message.footprint());
        self.outbox.encoded(unread.sum());
    }
}

/// Ends a subscription at its destination.
fn unsubscribe(
    shared: &Shared,
    work: &mut Work,
    now: Now,
    cell: &Arc<Cell>,
    key: SubscriptionKey,
    written: Option<DeliveryTag>,
) {
    cell.with(shared, work, None, |state, effects, _| {
        state.used = now.tick;
        match &mut state.destination {
            Destination::Queue(queue) => queue.unsubscribe(now, key, written, effects),
            Destination::Topic(topic) => topic.unsubscribe(key, effects),
        }
        state.release(key);
    });
    if let Some(durable) = shared.registry.durables().of(cell) {
        durable.deactivate(now);
    }
}
