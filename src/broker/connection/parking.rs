//! Requests that find no room, or that a commit is in front of: they wait, and others behind them.

use super::super::cell::Work;
use super::Connection;
use super::answer::{refuse, request_token};
use crate::core::{Completion, DestinationName, Now, Refusal, Request, Tick};

/// How long a sender pauses at most so that consumers can catch up, in milliseconds.
const PAUSE: u64 = 20;

/// How long it does not pause after a pause in vain, in milliseconds.
const NO_PAUSE: u64 = 1000;

impl Connection {
    /// Whether a request has to wait behind others.
    pub(super) fn has_to_wait(&self, request: &Request) -> bool {
        self.commit.is_some() || (!self.parked.is_empty() && !self.may_overtake(request))
    }

    /// Whether a request goes ahead of parked ones: settlements and ends of subscriptions make room,
    /// unless something parked is about the same subscription.
    fn may_overtake(&self, request: &Request) -> bool {
        let (Request::Settle {
            subscription,
            transaction: None,
            ..
        }
        | Request::Unsubscribe { subscription, .. }) = request
        else {
            return false;
        };
        self.parked.iter().all(|(_, parked)| match parked {
            Request::Send { .. }
            | Request::Forget { .. }
            | Request::Begin { .. }
            | Request::Introduce { .. }
            | Request::Sync { .. } => true,
            Request::Subscribe {
                subscription: other,
                ..
            }
            | Request::Unsubscribe {
                subscription: other,
                ..
            }
            | Request::Settle {
                subscription: other,
                ..
            } => other != subscription,
            Request::Commit { transaction, .. } | Request::Abort { transaction, .. } => {
                let unit = self.transactions.get(transaction);
                unit.is_none_or(|unit| unit.settles.iter().all(|(other, ..)| other != subscription))
            }
        })
    }

    /// Whether the connection may be made to pause: not if it did so in vain a moment ago.
    pub(super) fn may_pause(&self, now: Now) -> bool {
        self.pausing_until.is_none() && self.no_pause_before <= now.tick
    }

    /// Takes nothing more from the client until consumers have caught up, or for a moment.
    pub(super) fn pause(&mut self, now: Now) {
        self.pausing_until = Some(now.tick.after(PAUSE));
    }

    /// Goes on after a pause that has been in vain: consumers are slow, or stuck.
    pub(super) fn end_pause(&mut self, now: Now) {
        if self
            .pausing_until
            .take_if(|until| *until <= now.tick)
            .is_some()
        {
            self.no_pause_before = now.tick.after(NO_PAUSE);
        }
    }

    /// Lets a send wait that finds no room. The log hears of the first one of a connection.
    pub(super) fn park_full(&mut self, refusal: Refusal, since: Tick, request: Request) {
        if !std::mem::replace(&mut self.has_waited, true)
            && let Refusal::Full {
                what,
                key,
                actual,
                limit,
            } = &refusal
            && let Some(destination) = target(&request)
        {
            let connection = self.id.0;
            tracing::warn!(target: "tidegate::flow", connection, %destination, key, actual, limit,
                "a sender waits: {what} holds all it may");
        }
        self.no_room.get_or_insert(refusal);
        self.park(since, request);
    }

    /// Lets a request wait that came at this tick.
    pub(super) fn park(&mut self, since: Tick, request: Request) {
        self.parked_bytes += request_bytes(&request);
        self.parked.push_back((since, request));
    }

    /// Tries again what is parked, as far as it goes.
    pub(super) fn try_parked(
        &mut self,
        work: &mut Work,
        now: Now,
        completions: &mut Vec<Completion>,
    ) {
        if self.parked.is_empty() || self.commit.is_some() {
            return;
        }
        self.no_room = None;
        self.parked_bytes = 0;
        let parked = std::mem::take(&mut self.parked);
        let before = parked.len();
        self.carry_out(work, now, parked.into_iter(), completions);
        if self.parked.len() < before {
            self.parked_moved = now.tick;
        }
    }

    /// Refuses the parked requests that have waited too long for room, and carries out what waited
    /// behind them. When the broker stops, there is no time for room.
    pub(super) fn refuse_overdue(
        &mut self,
        work: &mut Work,
        now: Now,
        completions: &mut Vec<Completion>,
    ) {
        let timeout = self.shared.limits.full_timeout.as_millis();
        let moved = self.parked_moved;
        let stopping = self.stopping;
        let overdue = |since: Tick| {
            stopping || u128::from(now.tick.0.saturating_sub(since.max(moved).0)) >= timeout
        };
        while let Some(refusal) = self.no_room.take_if(|_| {
            let first = self.parked.front();
            first.is_some_and(|(since, _)| overdue(*since))
        }) {
            let refusal = if stopping { Refusal::Stopping } else { refusal };
            let full = self
                .parked
                .front()
                .and_then(|(_, first)| target(first).cloned());
            // Those right behind it for the same destination would hear the same.
            while let Some((_, request)) = self.parked.pop_front_if(|(since, request)| {
                overdue(*since) && full.is_some() && target(request) == full.as_ref()
            }) {
                self.parked_bytes = self.parked_bytes.saturating_sub(request_bytes(&request));
                refuse(completions, request_token(&request), refusal.clone());
            }
            self.try_parked(work, now, completions);
        }
        self.parked_moved = moved;
    }
}

/// Where a plain send goes.
fn target(request: &Request) -> Option<&DestinationName> {
    match request {
        Request::Send {
            destination,
            transaction: None,
            ..
        } => Some(destination),
        // One in a transaction waits behind others, not for room.
        Request::Send { .. }
        | Request::Subscribe { .. }
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

fn request_bytes(request: &Request) -> usize {
    const OTHER: usize = 64;
    match request {
        Request::Send { message, .. } => message.footprint(),
        Request::Subscribe { .. }
        | Request::Unsubscribe { .. }
        | Request::Forget { .. }
        | Request::Settle { .. }
        | Request::Begin { .. }
        | Request::Commit { .. }
        | Request::Abort { .. }
        | Request::Introduce { .. }
        | Request::Sync { .. } => OTHER,
    }
}
