//! One destination and its one lock: lock, apply, post, unlock.
//!
//! Effects are posted under the lock, so that their order is the destination's order everywhere:
//! changes into the writer's log, deliveries into outboxes. Both are short pushes that never wait.
//! What concerns other destinations, and every wake, comes after the unlock. Two cells are never
//! locked at once.

mod kinds;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use super::outbox::Outbox;
use super::pager::Wish;
use super::routing::Rules;
use super::shared::Shared;
use crate::core::{
    ConnectionId, DestinationId, DestinationName, DestinationPolicy, Effects, Forward, Now,
    PageReader, PageRequest, Priority, Queue, Request, Sequence, StoredPage, SubscribeOptions,
    SubscriptionId, SubscriptionKey, Tick, Topic,
};
use crate::store::Durable;

/// One destination.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) name: DestinationName,
    pub(super) id: DestinationId,
    /// Whether what is sent here may have to go elsewhere as well.
    is_routed: AtomicBool,
    /// How many messages are on their way from here to other destinations, with their last change here.
    leaving: AtomicU32,
    /// Whether it refuses at once what it has no room for.
    rejects: AtomicBool,
    state: Mutex<State>,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) destination: Destination,
    /// The destination has ended, and is empty for good. Whoever comes to it to send or subscribe looks
    /// its name up again.
    pub(super) gone: bool,
    /// It was declared, and stays.
    pub(super) declared: bool,
    /// When somebody sent, or had a subscription, last.
    pub(super) used: Tick,
    /// Whose each subscription is, by its key.
    outboxes: Vec<Option<Arc<Outbox>>>,
    /// Subscriptions of wildcards, which get their part again when the destination comes back: they
    /// keep nothing alive.
    guests: Vec<SubscriptionKey>,
    /// Connections whose sends this destination has refused for now.
    waiting: Vec<Arc<Outbox>>,
    /// Connections that pause until its consumers have caught up.
    pausing: Vec<Arc<Outbox>>,
}

/// A destination of either kind.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "queues, the larger ones, are the most"
)]
pub(super) enum Destination {
    Queue(Queue),
    Topic(Topic),
}

/// What a thread needs to carry out effects; kept for its next run.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) effects: Effects,
    /// Places in the effects' changes that somebody waits for, ascending.
    pub(super) awaited: Vec<usize>,
    wakers: Vec<Waker>,
    /// With where they come from.
    forwards: Vec<(Arc<Cell>, Forward)>,
}

thread_local! {
    static SPARE: RefCell<Option<Box<Work>>> = const { RefCell::new(None) };
}

impl Work {
    /// Runs `task` with this thread's buffers, then does what is left to do: forwards, wakes.
    pub(super) fn run<R>(shared: &Shared, now: Now, task: impl FnOnce(&mut Self) -> R) -> R {
        let mut work = SPARE.with(RefCell::take).unwrap_or_default();
        let result = task(&mut work);
        loop {
            while !work.forwards.is_empty() {
                for (from, forward) in std::mem::take(&mut work.forwards) {
                    work.forward(shared, now, forward);
                    from.leaving.fetch_sub(1, Ordering::Release);
                }
            }
            if !shared.advisories.send(shared, now, &mut work) {
                break;
            }
        }
        for waker in work.wakers.drain(..) {
            waker.wake();
        }
        work.effects.shrink();
        SPARE.with(|spare| spare.replace(Some(work)));
        result
    }

    /// Wakes somebody once no lock is held.
    pub(super) fn wake_later(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    pub(super) fn forward(&mut self, shared: &Shared, now: Now, forward: Forward) {
        let pressed = shared.flow.pressed();
        let mut forward = Some(forward);
        while let Some(target) = forward.as_ref().map(|forward| &forward.target) {
            let cell = shared.registry.force(target, shared);
            cell.with(shared, self, None, |state, effects, _| {
                let Some(forward) = state.enter(now).then(|| forward.take()).flatten() else {
                    return;
                };
                match &mut state.destination {
                    Destination::Queue(queue) => {
                        queue.enqueue_forwarded(now, forward, pressed, effects);
                    }
                    Destination::Topic(topic) => {
                        topic.publish(now, &forward.message, pressed, effects);
                        effects.persist.extend(forward.with);
                    }
                }
            });
        }
    }
}

impl Cell {
    pub(super) fn new(id: DestinationId, destination: Destination, rules: &Rules) -> Self {
        let name = match &destination {
            Destination::Queue(queue) => queue.name().clone(),
            Destination::Topic(topic) => topic.name().clone(),
        };
        let state = State {
            destination,
            gone: false,
            declared: false,
            used: Tick(0),
            outboxes: Vec::new(),
            guests: Vec::new(),
            waiting: Vec::new(),
            pausing: Vec::new(),
        };
        Self {
            is_routed: rules.concern(&name).into(),
            rejects: state.destination.rejects().into(),
            name,
            id,
            leaving: AtomicU32::new(0),
            state: Mutex::new(state),
        }
    }

    /// Locks the destination, lets `apply` change it, and posts what comes of that. With a waiter, the
    /// changes that `apply` lists as awaited are reported to it. Returns the sequence of the first
    /// change beside `apply`'s own result.
    pub(super) fn with<R>(
        self: &Arc<Self>,
        shared: &Shared,
        work: &mut Work,
        waiter: Option<&Arc<Outbox>>,
        apply: impl FnOnce(&mut State, &mut Effects, &mut Vec<usize>) -> R,
    ) -> (R, Sequence) {
        debug_assert!(
            work.effects.is_empty(),
            "effects of an earlier call are left"
        );
        work.awaited.clear();
        let mut state = self.state.lock();
        let result = apply(&mut state, &mut work.effects, &mut work.awaited);
        let first = self.post(shared, work, &mut state, waiter);
        (result, first)
    }

    /// Adds a subscription while nobody else knows the destination, which is empty.
    pub(super) fn admit(
        &self,
        now: Now,
        id: SubscriptionId,
        options: SubscribeOptions,
        outbox: &Arc<Outbox>,
    ) -> SubscriptionKey {
        let mut effects = Effects::default();
        let mut state = self.state.lock();
        let key = state.subscribe(now, id, options, outbox, &mut effects);
        state.guests.push(key);
        debug_assert!(
            effects.is_empty(),
            "there is nothing that it could be given"
        );
        key
    }

    /// Ends the destination for good, if `may` still says so under its lock. Returns whether it did.
    /// The registry calls this while nobody else can find or make a destination of this name.
    pub(super) fn end(
        self: &Arc<Self>,
        shared: &Shared,
        work: &mut Work,
        may: impl FnOnce(&State) -> bool,
    ) -> bool {
        let (waiting, _) = self.with(shared, work, None, |state, effects, _| {
            if state.gone || !may(state) {
                return None;
            }
            state.gone = true;
            match &mut state.destination {
                Destination::Queue(queue) => queue.end(effects),
                Destination::Topic(topic) => topic.end(effects),
            }
            state.outboxes = Vec::new();
            state.guests = Vec::new();
            let mut waiting = std::mem::take(&mut state.waiting);
            waiting.append(&mut state.pausing);
            Some(waiting)
        });
        let ended = waiting.is_some();
        let wakers = waiting.into_iter().flatten();
        work.wakers
            .extend(wakers.filter_map(|outbox| outbox.retry()));
        ended
    }

    /// Whether nothing is on its way from here to another destination: the last change of a message
    /// that moves comes before the last of its old place.
    pub(super) fn has_settled(&self) -> bool {
        self.leaving.load(Ordering::Acquire) == 0
    }

    /// Whether it has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }

    /// Whether it refuses at once what it has no room for.
    pub(super) fn rejects(&self) -> bool {
        self.rejects.load(Ordering::Relaxed)
    }

    /// Changes how it treats its messages.
    pub(super) fn set_policy(
        self: &Arc<Self>,
        shared: &Shared,
        work: &mut Work,
        now: Now,
        policy: Arc<DestinationPolicy>,
    ) {
        self.with(shared, work, None, |state, effects, _| {
            match &mut state.destination {
                Destination::Queue(queue) => queue.set_policy(now, policy, effects),
                Destination::Topic(topic) => topic.set_policy(policy, effects),
            }
            let rejects = state.destination.rejects();
            self.rejects.store(rejects, Ordering::Relaxed);
        });
        // Senders that wait may find room now.
        let mut state = self.state.lock();
        let waiting = state.waiting.drain(..);
        work.wakers
            .extend(waiting.filter_map(|outbox| outbox.retry()));
    }

    /// Whether what is sent here may have to go elsewhere as well.
    pub(super) fn is_routed(&self) -> bool {
        self.is_routed.load(Ordering::Acquire)
    }

    /// From here on what is sent here may have to go elsewhere as well.
    pub(super) fn route(&self) {
        self.is_routed.store(true, Ordering::Release);
    }

    /// Looks without changing anything.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Destination) -> R) -> R {
        look(&self.state.lock().destination)
    }

    /// Looks also at whose the subscriptions are.
    pub(super) fn look_closely<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.lock())
    }

    fn post(
        self: &Arc<Self>,
        shared: &Shared,
        work: &mut Work,
        state: &mut State,
        waiter: Option<&Arc<Outbox>>,
    ) -> Sequence {
        let effects = &mut work.effects;
        let mut first = Sequence(0);
        if !effects.persist.is_empty() {
            let waiter = waiter.map(|outbox| Arc::clone(outbox) as Arc<dyn Durable>);
            first = shared
                .writer
                .append(&mut effects.persist, &work.awaited, waiter.as_ref());
        }
        let wakers = &mut work.wakers;
        effects.drain_deliveries(|key, deliveries| {
            if let Some(Some(outbox)) = state.outboxes.get(key.0 as usize) {
                let subscription = deliveries.first().map(|delivery| delivery.subscription);
                let (waker, full) = outbox.deliver(deliveries);
                wakers.extend(waker);
                if full {
                    state.destination.pause(key);
                    let consumer = (outbox.connection(), subscription);
                    shared.advisories.note_slow(shared, &self.name, consumer);
                }
            }
        });
        shared.advisories.note_effects(shared, &self.name, effects);
        let (pager, writer) = (&shared.pager, &shared.writer);
        for request in effects.pages.drain(..) {
            pager.ask(Arc::clone(self), Wish::Page(request), writer);
        }
        if let Some(position) = effects.awaits_horizon.take() {
            pager.ask(Arc::clone(self), Wish::Horizon(position), writer);
        }
        if let Some(at) = effects.deadline.take() {
            shared.timers.ask(at, self);
        }
        if !effects.forwards.is_empty() {
            let count = u32::try_from(effects.forwards.len()).unwrap_or(u32::MAX);
            self.leaving.fetch_add(count, Ordering::Relaxed);
            let forwards = effects.forwards.drain(..);
            work.forwards
                .extend(forwards.map(|forward| (Arc::clone(self), forward)));
        }
        let tally = std::mem::take(&mut effects.tally);
        wakers.extend(shared.flow.book(tally.memory_delta));
        if tally.ready_delta < 0 {
            wakers.extend(state.waiting.drain(..).filter_map(|outbox| outbox.retry()));
            if !state.pausing.is_empty() && state.destination.has_caught_up() {
                wakers.extend(state.pausing.drain(..).filter_map(|outbox| outbox.retry()));
            }
        }
        if tally.dropped_letters > 0 {
            shared.lost_letters.note(&self.name, tally.dropped_letters);
        }
        shared.metrics.count(self.name.kind(), &tally);
        first
    }

    /// Brings a page that the destination asked for.
    pub(super) fn page_in(
        self: &Arc<Self>,
        shared: &Shared,
        now: Now,
        request: PageRequest,
        page: StoredPage,
    ) {
        Work::run(shared, now, |work| {
            self.with(shared, work, None, |state, effects, _| {
                if state.gone {
                    return;
                }
                match (&mut state.destination, request.reader) {
                    (Destination::Queue(queue), PageReader::Aside) => {
                        queue.page_in_aside(now, page, effects);
                    }
                    (Destination::Queue(queue), PageReader::Browser(key)) => {
                        queue.page_in_browser(now, key, page, effects);
                    }
                    (
                        Destination::Queue(queue),
                        PageReader::Queue | PageReader::Subscription(_),
                    ) => {
                        let priority = request.priority.unwrap_or(Priority::DEFAULT);
                        queue.page_in(now, priority, page, effects);
                    }
                    (Destination::Topic(topic), PageReader::Subscription(key)) => {
                        topic.page_in(now, key, page, effects);
                    }
                    (
                        Destination::Topic(_),
                        PageReader::Queue | PageReader::Aside | PageReader::Browser(_),
                    ) => {}
                }
            });
        });
    }
}

impl State {
    /// Notes that somebody uses the destination. Returns false if it has ended.
    pub(super) fn enter(&mut self, now: Now) -> bool {
        self.used = now.tick;
        !self.gone
    }

    /// Whether a request can be carried out here: one that sends cannot once the destination has ended.
    pub(super) fn takes(&self, request: &Request) -> bool {
        !self.gone || !matches!(request, Request::Send { .. })
    }

    /// Adds a subscription of the connection that the outbox belongs to.
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        id: SubscriptionId,
        options: SubscribeOptions,
        outbox: &Arc<Outbox>,
        effects: &mut Effects,
    ) -> SubscriptionKey {
        let key = match &mut self.destination {
            Destination::Queue(queue) => queue.subscribe(now, id, options, effects),
            Destination::Topic(topic) => topic.subscribe(id, options),
        };
        let index = key.0 as usize;
        if index >= self.outboxes.len() {
            self.outboxes.resize(index + 1, None);
        }
        if let Some(place) = self.outboxes.get_mut(index) {
            *place = Some(Arc::clone(outbox));
        }
        key
    }

    /// Whose a subscription is.
    pub(super) fn connection_of(&self, key: SubscriptionKey) -> Option<ConnectionId> {
        let outbox = self.outboxes.get(key.0 as usize)?.as_ref()?;
        Some(outbox.connection())
    }

    /// Notes that a subscription is here because of a wildcard.
    pub(super) fn note_guest(&mut self, key: SubscriptionKey) {
        self.guests.push(key);
    }

    /// Forgets whose a subscription was, if it is gone.
    pub(super) fn release(&mut self, key: SubscriptionKey) {
        self.guests.retain(|guest| *guest != key);
        if let Some(place) = self.outboxes.get_mut(key.0 as usize) {
            *place = None;
        }
        while self.outboxes.last().is_some_and(Option::is_none) {
            self.outboxes.pop();
        }
    }

    /// Wakes this connection when there is room.
    pub(super) fn wait(&mut self, outbox: &Arc<Outbox>) {
        add(&mut self.waiting, outbox);
    }

    /// Whether a connection that sent this message should pause; if so, it is woken when consumers
    /// have caught up.
    pub(super) fn pause_sender(&mut self, persistent: bool, outbox: &Arc<Outbox>) -> bool {
        let Destination::Queue(queue) = &self.destination else {
            return false;
        };
        let pause = !persistent && queue.is_behind();
        if pause {
            add(&mut self.pausing, outbox);
        }
        pause
    }
}

fn add(list: &mut Vec<Arc<Outbox>>, outbox: &Arc<Outbox>) {
    if !list.iter().any(|other| Arc::ptr_eq(other, outbox)) {
        list.push(Arc::clone(outbox));
    }
}
