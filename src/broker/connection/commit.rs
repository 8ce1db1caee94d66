//! Transactions: all of their sends and settlements become durable as one change of the log, and
//! effective after that. No two destinations are locked at once.

use std::sync::Arc;

use metrics::Counter;
use rustc_hash::FxHashSet;

use super::super::cell::{Cell, Destination, Work};
use super::super::transaction::{Commit, Identified, Placing, Sending, Settling, UnitOfWork};
use super::Connection;
use super::answer::answer;
use crate::core::{
    Completion, DestinationId, Done, Message, Now, Persist, Refusal, Reserved, Sequence, Token,
    TransactionId,
};
use crate::store::Durable;

impl Connection {
    /// Sends a transaction's changes to the log. It is applied once they are durable.
    pub(super) fn begin_commit(
        &mut self,
        work: &mut Work,
        now: Now,
        transaction: TransactionId,
        token: Option<Token>,
        completions: &mut Vec<Completion>,
    ) {
        let Some(unit) = self.transactions.remove(&transaction) else {
            answer(completions, token, Err(Refusal::NoTransaction));
            return;
        };
        self.shared.metrics.transactions.decrement(1.0);
        let mut changes = Vec::new();
        self.gather_removals(work, &unit, transaction, &mut changes);
        let mut unit = unit;
        self.drop_duplicates(now, &mut unit, &mut changes);
        let UnitOfWork {
            sends,
            jobs,
            commands,
            settles,
            bytes,
            ..
        } = unit;
        // Queues that have stored one of its messages.
        let mut stored = FxHashSet::default();
        let sends = sends
            .into_iter()
            .filter_map(|sending| self.keep_place(work, now, sending, &mut stored, &mut changes))
            .collect();
        let scheduler = &self.shared.scheduler;
        let jobs = jobs.into_iter().map(|message| {
            let position = scheduler.reserve(&self.shared, &message, &mut changes);
            (position, message)
        });
        let jobs = jobs.collect();
        let mut until = Sequence(0);
        if !changes.is_empty() {
            self.shared.writer.append(&mut changes, &[], None);
            until = self
                .shared
                .writer
                .sync(&(Arc::clone(&self.outbox) as Arc<dyn Durable>));
        }
        self.commit = Some(Box::new(Commit {
            transaction: Some(transaction),
            token,
            until,
            sends,
            jobs,
            commands,
            settles,
            bytes,
        }));
        self.apply_commit(work, now, completions);
    }

    /// Leaves out what has been there before, and notes what has not.
    fn drop_duplicates(&self, now: Now, unit: &mut UnitOfWork, changes: &mut Vec<Persist>) {
        if unit.identified.is_empty() {
            return;
        }
        let mut known = self.shared.identities.lock();
        let (mut sends, mut jobs) = (FxHashSet::default(), FxHashSet::default());
        for identified in &unit.identified {
            let Identified {
                destination,
                message,
                ..
            } = identified;
            let Some(id) = message.identity() else {
                continue;
            };
            if known.knows(destination, &id, now.wall, changes) {
                self.shared.metrics.duplicates.increment(1);
                sends.extend(identified.sends.clone());
                jobs.extend(identified.jobs.clone());
            } else {
                known.remember(destination, &id, now.wall, message.persistent, changes);
            }
        }
        drop(known);
        leave_out(&mut unit.sends, &sends);
        leave_out(&mut unit.jobs, &jobs);
    }

    /// Keeps a place for a message of a transaction, and gathers the change that stores it. There is none
    /// if its destination was deleted meanwhile.
    fn keep_place(
        &self,
        work: &mut Work,
        now: Now,
        (cell, message): Sending,
        stored: &mut FxHashSet<DestinationId>,
        changes: &mut Vec<Persist>,
    ) -> Option<Placing> {
        let pressed = self.shared.flow.pressed();
        let mut cell = cell;
        loop {
            let (kept, _) = cell.with(&self.shared, work, None, |state, effects, _| {
                if !state.enter(now) {
                    return None;
                }
                let Destination::Queue(queue) = &mut state.destination else {
                    return Some(None);
                };
                let behind = stored.contains(&cell.id);
                let reserved = queue.reserve(&message, behind, pressed, effects);
                // What defines the queue and raises its horizon goes ahead; the message itself
                // has to become durable together with all the others.
                if reserved.is_stored() {
                    stored.insert(cell.id);
                    changes.extend(effects.persist.pop());
                }
                Some(Some(reserved))
            });
            if let Some(reserved) = kept {
                return Some(Placing {
                    cell,
                    message,
                    reserved,
                });
            }
            cell = self.shared.registry.again(&cell.name, &self.shared)?;
        }
    }

    fn gather_removals(
        &self,
        work: &mut Work,
        unit: &UnitOfWork,
        transaction: TransactionId,
        changes: &mut Vec<Persist>,
    ) {
        for (_, cell, key) in &unit.settles {
            cell.with(&self.shared, work, None, |state, effects, _| {
                if let Destination::Queue(queue) = &mut state.destination {
                    queue.prepare(*key, transaction, effects);
                    changes.append(&mut effects.persist);
                }
            });
        }
    }

    /// Makes a commit effective once it is durable.
    pub(super) fn apply_commit(
        &mut self,
        work: &mut Work,
        now: Now,
        completions: &mut Vec<Completion>,
    ) {
        let durable = self.durable.max(self.shared.writer.durable());
        let Some(commit) = self.commit.take_if(|commit| commit.until <= durable) else {
            return;
        };
        let settles = commit.transaction.map(|by| (by, &commit.settles));
        for (by, (_, cell, key)) in settles
            .into_iter()
            .flat_map(|(by, all)| all.iter().map(move |one| (by, one)))
        {
            cell.with(
                &self.shared,
                work,
                None,
                |state, effects, _| match &mut state.destination {
                    Destination::Queue(queue) => queue.apply(now, *key, by, effects),
                    Destination::Topic(topic) => topic.apply(now, *key, by, effects),
                },
            );
        }
        if let Some(transaction) = commit.transaction {
            self.release_spanning(work, now, transaction, true);
        }
        for (position, message) in &commit.jobs {
            self.shared
                .scheduler
                .place(&self.shared, *position, message);
        }
        for message in &commit.commands {
            // It has been read before.
            let _ = self.command(work, now, message);
        }
        self.release_bytes(work, commit.bytes);
        for Placing {
            cell,
            message,
            reserved,
        } in commit.sends
        {
            self.place(work, now, cell, &message, reserved);
        }
        if commit.transaction.is_some() {
            self.shared.metrics.transactions_ended.commit.increment(1);
        }
        answer(completions, commit.token, Ok(Done::Now));
        self.try_parked(work, now, completions);
    }

    /// Makes a message of a durable transaction effective.
    fn place(
        &self,
        work: &mut Work,
        now: Now,
        cell: Arc<Cell>,
        message: &Arc<Message>,
        reserved: Option<Reserved>,
    ) {
        let pressed = self.shared.flow.pressed();
        let mut next = Some(cell);
        while let Some(cell) = next {
            let (placed, _) = cell.with(&self.shared, work, None, |state, effects, _| {
                let live = state.enter(now);
                match (&mut state.destination, reserved) {
                    (Destination::Queue(queue), Some(reserved)) if live => {
                        queue.place(now, reserved, Arc::clone(message), pressed, effects);
                    }
                    (Destination::Queue(queue), Some(reserved)) => {
                        queue.drop_late(reserved, effects);
                    }
                    // Every message to a queue has its place.
                    (Destination::Queue(_), None) => {}
                    (Destination::Topic(topic), _) if live => {
                        topic.publish(now, message, pressed, effects);
                    }
                    (Destination::Topic(_), _) => return false,
                }
                true
            });
            let again = || self.shared.registry.again(&cell.name, &self.shared);
            next = (!placed).then(again).flatten();
        }
    }

    /// Undoes a commit that can never become durable.
    pub(super) fn fail_commit(
        &mut self,
        work: &mut Work,
        now: Now,
        cause: &str,
        completions: &mut Vec<Completion>,
    ) {
        let Some(commit) = self.commit.take() else {
            return;
        };
        for Placing { cell, reserved, .. } in commit.sends {
            if let Some(reserved) = reserved {
                cell.with(&self.shared, work, None, |state, _, _| {
                    if let Destination::Queue(queue) = &mut state.destination {
                        queue.abandon(reserved);
                    }
                });
            }
        }
        if let Some(transaction) = commit.transaction {
            self.unmark(work, now, transaction, &commit.settles);
            self.release_spanning(work, now, transaction, false);
        }
        self.release_bytes(work, commit.bytes);
        let refusal = Refusal::StoreFailed {
            cause: cause.to_owned(),
        };
        answer(completions, commit.token, Err(refusal));
    }

    /// Forgets a transaction. Its settlements are undone, nothing is redelivered.
    pub(super) fn abort(
        &mut self,
        work: &mut Work,
        now: Now,
        transaction: TransactionId,
        ended: &Counter,
    ) -> Result<(), Refusal> {
        let unit = self
            .transactions
            .remove(&transaction)
            .ok_or(Refusal::NoTransaction)?;
        self.unmark(work, now, transaction, &unit.settles);
        self.release_spanning(work, now, transaction, false);
        self.release_bytes(work, unit.bytes);
        self.shared.metrics.transactions.decrement(1.0);
        ended.increment(1);
        Ok(())
    }

    /// Aborts a transaction of which something was refused: its COMMIT, which may be right behind, must
    /// not carry out the rest.
    pub(super) fn abort_refused<T>(
        &mut self,
        work: &mut Work,
        now: Now,
        transaction: TransactionId,
        result: &Result<T, Refusal>,
    ) {
        if result.is_err() {
            let ended = self.shared.metrics.transactions_ended.abort.clone();
            // It may have ended before.
            let _ = self.abort(work, now, transaction, &ended);
        }
    }

    /// Aborts transactions that have been open too long.
    pub(super) fn abort_overdue(&mut self, work: &mut Work, now: Now) {
        let timeout = self.shared.limits.transaction_timeout.as_millis();
        let overdue: Vec<_> = self
            .transactions
            .iter()
            .filter(|(_, unit)| u128::from(now.tick.0.saturating_sub(unit.opened.0)) >= timeout)
            .map(|(transaction, _)| *transaction)
            .collect();
        let ended = self.shared.metrics.transactions_ended.timeout.clone();
        for transaction in overdue {
            // It is there: it was just found.
            let _ = self.abort(work, now, transaction, &ended);
        }
    }

    fn unmark(&self, work: &mut Work, now: Now, transaction: TransactionId, settles: &[Settling]) {
        for (_, cell, key) in settles {
            cell.with(
                &self.shared,
                work,
                None,
                |state, effects, _| match &mut state.destination {
                    Destination::Queue(queue) => queue.unmark(now, *key, transaction, effects),
                    Destination::Topic(topic) => topic.unmark(*key, transaction, effects),
                },
            );
        }
    }

    fn release_bytes(&self, work: &mut Work, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        for waker in self.shared.flow.book(-bytes) {
            work.wake_later(Some(waker));
        }
    }
}

/// Removes what is at these places.
fn leave_out<T>(list: &mut Vec<T>, places: &FxHashSet<usize>) {
    let mut place = 0;
    list.retain(|_| {
        place += 1;
        !places.contains(&(place - 1))
    });
}
