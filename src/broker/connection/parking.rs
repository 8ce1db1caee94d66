//! Requests that find no room, or that a commit is in front of: they wait, and others behind them.

use super::super::cell::Work;
use super::Connection;
use super::requests::{refuse, request_token};
use crate::core::{Completion, Now, Request};

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
        self.parked.iter().all(|parked| match parked {
            Request::Send { .. } | Request::Begin { .. } | Request::Sync { .. } => true,
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

    pub(super) fn park(&mut self, request: Request) {
        self.parked_bytes += request_bytes(&request);
        self.parked.push_back(request);
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
        let since = self.parked_since.take();
        let parked = std::mem::take(&mut self.parked);
        let before = parked.len();
        self.parked_bytes = 0;
        self.carry_out(work, now, parked.into_iter(), completions);
        if self.parked.len() == before && since.is_some() {
            // Nothing has moved: the first one has waited since it was parked.
            self.parked_since = since;
        }
    }

    /// Refuses the first parked request if it has waited too long.
    pub(super) fn refuse_overdue(&mut self, now: Now, completions: &mut Vec<Completion>) {
        let timeout = self.shared.limits.full_timeout.as_millis();
        let overdue = self
            .parked_since
            .take_if(|(since, _)| u128::from(now.tick.0.saturating_sub(since.0)) >= timeout);
        if let Some((_, refusal)) = overdue
            && let Some(request) = self.parked.pop_front()
        {
            self.parked_bytes = self.parked_bytes.saturating_sub(request_bytes(&request));
            refuse(completions, request_token(&request), refusal);
        }
    }
}

fn request_bytes(request: &Request) -> usize {
    const OTHER: usize = 64;
    match request {
        Request::Send { message, .. } => message.footprint(),
        Request::Subscribe { .. }
        | Request::Unsubscribe { .. }
        | Request::Settle { .. }
        | Request::Begin { .. }
        | Request::Commit { .. }
        | Request::Abort { .. }
        | Request::Sync { .. } => OTHER,
    }
}
