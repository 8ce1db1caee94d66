//! Carrying out requests.

use std::iter::Peekable;
use std::sync::Arc;

use super::super::cell::{Cell, Destination, State, Work};
use super::super::spanning::spans;
use super::answer::{answer, refuse, request_token};
use super::{Connection, REMEMBERED_CELLS, unsubscribe};
use crate::core::{
    Completion, DestinationName, Done, Effects, Message, Now, Refusal, Request, Sequence,
    SubscribeOptions, SubscriptionId, Tick, Token,
};
use crate::store::Durable;

/// A request carried out under a lock, whose completion needs the sequence of its change.
struct Stored {
    token: Token,
    /// The place of its change among those of the run; `None` if there is nothing to wait for.
    change: Option<usize>,
}

impl Connection {
    pub(super) fn carry_out(
        &mut self,
        work: &mut Work,
        now: Now,
        requests: impl Iterator<Item = (Tick, Request)>,
        completions: &mut Vec<Completion>,
    ) {
        let mut requests = requests.peekable();
        while let Some((since, request)) = requests.next() {
            if self.has_to_wait(&request) {
                self.park(since, request);
                continue;
            }
            match request {
                Request::Send {
                    transaction: None,
                    ref destination,
                    ref message,
                    ..
                } if destination.is_composite() || goes_another_way(message) => {
                    self.send_routed(work, now, since, request, completions);
                }
                Request::Send {
                    transaction: None,
                    ref destination,
                    token,
                    ..
                } => match self.cell(destination) {
                    Ok(cell) if cell.is_routed() => {
                        self.send_routed(work, now, since, request, completions);
                    }
                    Ok(cell) => {
                        let first = (since, request);
                        self.run(work, now, &cell, first, &mut requests, completions);
                    }
                    Err(refusal) => refuse(completions, token, refusal),
                },
                Request::Settle {
                    transaction: None,
                    subscription,
                    tags,
                    outcome,
                    token,
                } => {
                    if let Some((cell, _)) = self.subscriptions.get(&subscription) {
                        let (cell, first) = (Arc::clone(cell), (since, request));
                        self.run(work, now, &cell, first, &mut requests, completions);
                    } else {
                        match self.settle_spanning(work, now, subscription, tags, outcome, token) {
                            Ok(done) => answer(completions, token, Ok(done)),
                            Err(refusal) => refuse(completions, token, refusal),
                        }
                    }
                }
                Request::Send { .. }
                | Request::Settle { .. }
                | Request::Subscribe { .. }
                | Request::Unsubscribe { .. }
                | Request::Forget { .. }
                | Request::Begin { .. }
                | Request::Commit { .. }
                | Request::Abort { .. }
                | Request::Introduce { .. }
                | Request::Sync { .. } => self.carry_out_one(work, now, request, completions),
            }
        }
    }

    /// What is rare enough to be done one by one.
    fn carry_out_one(
        &mut self,
        work: &mut Work,
        now: Now,
        request: Request,
        completions: &mut Vec<Completion>,
    ) {
        match request {
            Request::Subscribe { .. } => self.begin_subscription(work, now, request, completions),
            Request::Introduce { client } => self.introduce(client),
            Request::Forget { durable, token } => {
                let result = self.forget_durable(work, now, &durable);
                answer(completions, token, result);
            }
            Request::Unsubscribe {
                subscription,
                token,
            } => {
                self.ended(subscription);
                let result = match self.subscriptions.remove(&subscription) {
                    Some((cell, key)) => {
                        unsubscribe(&self.shared, work, now, &cell, key, None);
                        Ok(Done::Now)
                    }
                    None => self.end_spanning(work, now, subscription, None),
                };
                answer(completions, token, result);
            }
            Request::Send {
                transaction: Some(_),
                ..
            }
            | Request::Settle {
                transaction: Some(_),
                ..
            }
            | Request::Begin { .. }
            | Request::Commit { .. }
            | Request::Abort { .. } => self.carry_out_staged(work, now, request, completions),
            Request::Sync { token } => {
                let waiter = Arc::clone(&self.outbox) as Arc<dyn Durable>;
                let until = self.shared.writer.sync(&waiter);
                answer(completions, Some(token), Ok(self.done(until)));
            }
            Request::Send {
                transaction: None, ..
            }
            | Request::Settle {
                transaction: None, ..
            } => {
                debug_assert!(false, "plain sends and settlements are carried out in runs");
            }
        }
    }

    /// Carries out a request and those right behind it that concern the same destination.
    fn run(
        &mut self,
        work: &mut Work,
        now: Now,
        cell: &Arc<Cell>,
        first: (Tick, Request),
        rest: &mut Peekable<impl Iterator<Item = (Tick, Request)>>,
        completions: &mut Vec<Completion>,
    ) {
        let shared = Arc::clone(&self.shared);
        let outbox = Arc::clone(&self.outbox);
        let mut stored = Vec::new();
        let mut parked = None;
        let mut pause = false;
        let may_pause = self.may_pause(now);
        let mut next = Some(first);
        let ((), start) = cell.with(&shared, work, Some(&outbox), |state, effects, awaited| {
            state.used = now.tick;
            while let Some((since, request)) = next.take_if(|(_, request)| state.takes(request)) {
                let token = request_token(&request);
                let sent = sends(&request);
                match self.apply(state, now, request, effects) {
                    Ok(change) => {
                        if let Some(persistent) = sent.filter(|_| may_pause && !pause) {
                            pause = state.pause_sender(persistent, &outbox);
                        }
                        if let Some(token) = token {
                            awaited.extend(change);
                            stored.push(Stored { token, change });
                        }
                    }
                    Err((refusal @ Refusal::Full { .. }, Some(request))) => {
                        parked = Some((refusal, since, request));
                        break;
                    }
                    Err((refusal, _)) => refuse(completions, token, refusal),
                }
                next = rest.next_if(|(_, request)| self.concerns(request, cell));
            }
        });
        for Stored { token, change } in stored {
            let done = change.map_or(Done::Now, |index| {
                self.done(Sequence(start.0.saturating_add(index as u64)))
            });
            answer(completions, Some(token), Ok(done));
        }
        if pause {
            self.pause(now);
        }
        if let Some((refusal, since, request)) = parked {
            self.park_full(refusal, since, request);
        }
        if let Some((since, request)) = next {
            self.run_again(work, now, cell, (since, request), rest, completions);
        }
    }

    /// Carries out a send, and those behind it, whose destination has ended a moment ago: the name may
    /// be another's by now, or comes to life once more.
    fn run_again(
        &mut self,
        work: &mut Work,
        now: Now,
        gone: &Cell,
        first: (Tick, Request),
        rest: &mut Peekable<impl Iterator<Item = (Tick, Request)>>,
        completions: &mut Vec<Completion>,
    ) {
        self.forget(&gone.name);
        match self.cell(&gone.name) {
            Ok(cell) => self.run(work, now, &cell, first, rest, completions),
            Err(refusal) => refuse(completions, request_token(&first.1), refusal),
        }
    }

    /// Applies one send or settlement under the lock of its destination. A refused send comes back.
    #[allow(
        clippy::result_large_err,
        reason = "a refused send comes back whole, which is rare"
    )]
    fn apply(
        &self,
        state: &mut State,
        now: Now,
        request: Request,
        effects: &mut Effects,
    ) -> Result<Option<usize>, (Refusal, Option<Request>)> {
        match request {
            Request::Send { ref message, .. } => {
                let sent = self.send(state, now, message, effects);
                sent.map_err(|refusal| (refusal, Some(request)))
            }
            Request::Settle {
                subscription,
                tags,
                outcome,
                ..
            } => {
                let known = self.subscriptions.get(&subscription).map(|(_, key)| *key);
                let key = known.ok_or((Refusal::NoSubscription, None))?;
                match &mut state.destination {
                    Destination::Queue(queue) => queue.settle(now, key, tags, outcome, effects),
                    Destination::Topic(topic) => topic
                        .settle(now, key, tags, outcome, effects)
                        .map(|()| None),
                }
                .map_err(|refusal| (refusal, None))
            }
            Request::Subscribe { .. }
            | Request::Unsubscribe { .. }
            | Request::Forget { .. }
            | Request::Begin { .. }
            | Request::Commit { .. }
            | Request::Abort { .. }
            | Request::Introduce { .. }
            | Request::Sync { .. } => Ok(None),
        }
    }

    fn send(
        &self,
        state: &mut State,
        now: Now,
        message: &Arc<Message>,
        effects: &mut Effects,
    ) -> Result<Option<usize>, Refusal> {
        self.admit(message)?;
        let pressed = self.shared.flow.pressed();
        match &mut state.destination {
            Destination::Queue(queue) => {
                let result = queue.enqueue(now, Arc::clone(message), pressed, effects);
                if matches!(result, Err(Refusal::Full { .. })) {
                    state.wait(&self.outbox);
                }
                result
            }
            Destination::Topic(topic) => {
                topic.publish(now, message, pressed, effects);
                Ok(None)
            }
        }
    }

    /// Whether the broker as a whole takes this message. If not, the connection hears when to try
    /// again.
    pub(super) fn admit(&self, message: &Message) -> Result<(), Refusal> {
        let refuses = || {
            self.shared.flow.refuses(message).or_else(|| {
                let (actual, limit) = (
                    self.shared.writer.pending_bytes(),
                    self.shared.limits.writer_bytes,
                );
                (actual > limit).then_some(Refusal::Full {
                    what: "the queue of the store",
                    key: "store.queue_bytes",
                    actual: actual as u64,
                    limit: limit as u64,
                })
            })
        };
        if refuses().is_none() {
            return Ok(());
        }
        self.shared.flow.wait(&self.outbox);
        self.shared
            .writer
            .wait_for_room(&(Arc::clone(&self.outbox) as Arc<dyn Durable>));
        // Room that came before the connection was registered woke nobody.
        refuses().map_or(Ok(()), Err)
    }

    /// Carries out a SUBSCRIBE, or lets it wait until the store knows what it needs.
    fn begin_subscription(
        &mut self,
        work: &mut Work,
        now: Now,
        request: Request,
        completions: &mut Vec<Completion>,
    ) {
        let Request::Subscribe {
            subscription,
            destination,
            options,
            token,
        } = &request
        else {
            return;
        };
        match self.waits_for_definition(work, now, destination, options) {
            Ok(true) => {
                self.park(now.tick, request);
                self.apply_commit(work, now, completions);
            }
            result => {
                let (told, options) = (options, options.clone());
                let result = result
                    .and_then(|_| self.subscribe(work, now, *subscription, destination, options));
                if result.is_ok() {
                    self.began(*subscription, destination, told);
                }
                answer(completions, *token, result.map(|()| Done::Now));
            }
        }
    }

    fn subscribe(
        &mut self,
        work: &mut Work,
        now: Now,
        id: SubscriptionId,
        destination: &DestinationName,
        options: SubscribeOptions,
    ) -> Result<(), Refusal> {
        if let Some(name) = options.durable.clone() {
            return self.subscribe_durable(work, now, id, options, &name);
        }
        if spans(destination) {
            return self.subscribe_spanning(work, now, id, destination, options);
        }
        self.may_receive(destination)?;
        let mut options = Some(options);
        while options.is_some() {
            let cell = self
                .shared
                .registry
                .get(destination, self.id, &self.shared)?;
            let (key, _) = cell.with(&self.shared, work, None, |state, effects, _| {
                let options = state.enter(now).then(|| options.take()).flatten()?;
                Some(state.subscribe(now, id, options, &self.outbox, effects))
            });
            // If it has ended meanwhile, there is another by now.
            if let Some(key) = key {
                self.subscriptions.insert(id, (cell, key));
            }
        }
        Ok(())
    }

    /// Whether this connection may receive from a destination: a temporary one is its owner's.
    pub(super) fn may_receive(&self, name: &DestinationName) -> Result<(), Refusal> {
        let foreign = name.owner().is_none_or(|(owner, _)| owner != self.id);
        if name.is_temporary() && foreign {
            return Err(Refusal::NotOwner { kind: name.kind() });
        }
        Ok(())
    }

    /// Forgets the way to a destination that has ended.
    pub(super) fn forget(&mut self, name: &DestinationName) {
        self.cells.remove(name);
        self.last_cell.take_if(|cell| cell.name == *name);
    }

    /// The destination of that name to send to; the last ones used are found without asking the
    /// registry.
    pub(super) fn cell(&mut self, name: &DestinationName) -> Result<Arc<Cell>, Refusal> {
        if let Some(cell) = self.last_cell.as_ref().filter(|cell| cell.name == *name) {
            return Ok(Arc::clone(cell));
        }
        let cell = if let Some(cell) = self.cells.get(name) {
            Arc::clone(cell)
        } else {
            let cell = self.shared.registry.get(name, self.id, &self.shared)?;
            if self.cells.len() >= REMEMBERED_CELLS {
                self.cells.clear();
            }
            self.cells.insert(name.clone(), Arc::clone(&cell));
            self.sends_to_another(name);
            cell
        };
        self.last_cell = Some(Arc::clone(&cell));
        Ok(cell)
    }

    /// Whether a request belongs under the lock of this destination.
    fn concerns(&self, request: &Request, cell: &Arc<Cell>) -> bool {
        match request {
            Request::Send {
                destination,
                message,
                transaction: None,
                ..
            } => {
                let here = cell.name == *destination && !cell.is_routed();
                here && self.parked.is_empty() && !goes_another_way(message)
            }
            Request::Settle {
                subscription,
                transaction: None,
                ..
            } => self
                .subscriptions
                .get(subscription)
                .is_some_and(|(other, _)| Arc::ptr_eq(other, cell) && !self.has_to_wait(request)),
            Request::Send { .. }
            | Request::Settle { .. }
            | Request::Subscribe { .. }
            | Request::Unsubscribe { .. }
            | Request::Forget { .. }
            | Request::Begin { .. }
            | Request::Commit { .. }
            | Request::Abort { .. }
            | Request::Introduce { .. }
            | Request::Sync { .. } => false,
        }
    }

    pub(super) fn done(&self, sequence: Sequence) -> Done {
        // The writer may be further than the last mail: it tells only those who wait for a batch.
        if sequence <= self.durable.max(self.shared.writer.durable()) {
            Done::Now
        } else {
            Done::At(sequence)
        }
    }
}

/// Whether a message is not just put on its destination: it is for later, or may have been there.
fn goes_another_way(message: &Message) -> bool {
    message.job.is_some() || message.identified
}

/// Whether a request sends a message, and whether that is persistent.
fn sends(request: &Request) -> Option<bool> {
    match request {
        Request::Send { message, .. } => Some(message.persistent),
        Request::Subscribe { .. }
        | Request::Unsubscribe { .. }
        | Request::Forget { .. }
        | Request::Settle { .. }
        | Request::Begin { .. }
        | Request::Commit { .. }
        | Request::Abort { .. }
        | Request::Introduce { .. }
        | Request::Sync { .. } => None,
    }
}
