//! What a transaction collects until it ends.

use std::sync::Arc;

use super::super::cell::{Destination, Work};
use super::super::spanning::Part;
use super::super::transaction::{Identified, Sending, Settling, UnitOfWork};
use super::Connection;
use super::answer::answer;
use crate::core::{
    Command, Completion, DestinationName, Done, Message, Now, Outcome, Refusal, Request,
    SubscriptionId, Tags, TransactionId,
};

impl Connection {
    /// Carries out a request that is part of a transaction, begins or ends one.
    pub(super) fn carry_out_staged(
        &mut self,
        work: &mut Work,
        now: Now,
        request: Request,
        completions: &mut Vec<Completion>,
    ) {
        match request {
            Request::Send {
                destination,
                message,
                transaction: Some(transaction),
                token,
            } => {
                let result = self.stage_send(&destination, message, transaction);
                self.abort_refused(work, now, transaction, &result);
                answer(completions, token, result.map(|()| Done::Now));
            }
            Request::Settle {
                subscription,
                tags,
                outcome,
                transaction: Some(by),
                token,
            } => {
                let result = self.stage_settle(work, now, subscription, tags, outcome, by);
                self.abort_refused(work, now, by, &result);
                answer(completions, token, result.map(|()| Done::Now));
            }
            Request::Begin { transaction, token } => {
                self.shared.metrics.transactions.increment(1.0);
                self.transactions
                    .insert(transaction, UnitOfWork::new(now.tick));
                answer(completions, token, Ok(Done::Now));
            }
            Request::Commit { transaction, token } => {
                self.begin_commit(work, now, transaction, token, completions);
            }
            Request::Abort { transaction, token } => {
                let ended = self.shared.metrics.transactions_ended.abort.clone();
                let result = self.abort(work, now, transaction, &ended);
                if result.is_ok() || token.is_some() {
                    answer(completions, token, result.map(|()| Done::Now));
                }
            }
            Request::Send {
                transaction: None, ..
            }
            | Request::Settle {
                transaction: None, ..
            }
            | Request::Subscribe { .. }
            | Request::Unsubscribe { .. }
            | Request::Forget { .. }
            | Request::Introduce { .. }
            | Request::Sync { .. } => debug_assert!(false, "it is part of no transaction"),
        }
    }

    /// Adds a message to an open transaction.
    fn stage_send(
        &mut self,
        destination: &DestinationName,
        message: Arc<Message>,
        transaction: TransactionId,
    ) -> Result<(), Refusal> {
        let identified = message.identified.then(|| Arc::clone(&message));
        let mut jobs = Vec::new();
        let mut sends = Vec::new();
        if destination.is_scheduler_management() {
            Command::of(&message)?;
            self.grow(transaction, 1, 0)?.commands.push(message);
            return Ok(());
        }
        if message.job.is_some() {
            self.may_schedule(destination, &message)?;
            jobs.push(message);
        } else {
            sends = self.sends_to(destination, message)?;
        }
        for (cell, message) in sends.iter().filter(|(cell, _)| cell.rejects()) {
            cell.look(|destination| destination.refuses(message))?;
        }
        let messages = sends.iter().map(|(_, message)| message).chain(&jobs);
        let bytes = messages.map(|message| message.footprint()).sum();
        let unit = self.grow(transaction, sends.len() + jobs.len(), bytes)?;
        let (first_send, first_job) = (unit.sends.len(), unit.jobs.len());
        unit.sends.extend(sends);
        unit.jobs.extend(jobs);
        unit.identified.extend(identified.map(|message| Identified {
            destination: destination.clone(),
            sends: first_send..unit.sends.len(),
            jobs: first_job..unit.jobs.len(),
            message,
        }));
        self.book(bytes);
        Ok(())
    }

    fn book(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.shared.flow.book(bytes);
    }

    /// Where a message goes, and as what.
    fn sends_to(
        &mut self,
        destination: &DestinationName,
        message: Arc<Message>,
    ) -> Result<Vec<Sending>, Refusal> {
        if !destination.is_composite() {
            let cell = self.cell(destination)?;
            if !cell.is_routed() {
                return Ok(vec![(cell, message)]);
            }
        }
        self.targets(destination, &message)
    }

    /// Adds settlements to an open transaction.
    fn stage_settle(
        &mut self,
        work: &mut Work,
        now: Now,
        subscription: SubscriptionId,
        tags: Tags,
        outcome: Outcome,
        transaction: TransactionId,
    ) -> Result<(), Refusal> {
        self.grow(transaction, 1, 0)?;
        if let Some((cell, key)) = self.subscriptions.get(&subscription).cloned() {
            let settling = (subscription, cell, key);
            return self.mark(work, now, settling, tags, outcome, transaction);
        }
        for (Part { cell, key, .. }, tags) in self.hold_spanning(subscription, tags, transaction)? {
            let settling = (subscription, cell, key);
            // What a destination has taken back by itself is nothing to be told of.
            let _ = self.mark(work, now, settling, tags, outcome, transaction);
        }
        self.share_out(work, now, subscription);
        Ok(())
    }

    /// Lets an open transaction settle deliveries of one destination.
    fn mark(
        &mut self,
        work: &mut Work,
        now: Now,
        settling: Settling,
        tags: Tags,
        outcome: Outcome,
        transaction: TransactionId,
    ) -> Result<(), Refusal> {
        let (cell, key) = (Arc::clone(&settling.1), settling.2);
        if let Some(unit) = self.transactions.get_mut(&transaction) {
            let known = |(id, other, _): &Settling| *id == settling.0 && Arc::ptr_eq(other, &cell);
            if !unit.settles.iter().any(known) {
                unit.settles.push(settling);
            }
        }
        let (result, _) = cell.with(
            &self.shared,
            work,
            None,
            |state, effects, _| match &mut state.destination {
                Destination::Queue(queue) => {
                    queue.mark(now, key, tags, transaction, outcome, effects)
                }
                Destination::Topic(topic) => {
                    topic.mark(now, key, tags, transaction, outcome, effects)
                }
            },
        );
        result
    }

    /// The open transaction, with room made for more operations and bytes.
    fn grow(
        &mut self,
        transaction: TransactionId,
        operations: usize,
        bytes: usize,
    ) -> Result<&mut UnitOfWork, Refusal> {
        let limits = self.shared.limits;
        let unit = self
            .transactions
            .get_mut(&transaction)
            .ok_or(Refusal::NoTransaction)?;
        for (what, key, actual, limit) in [
            (
                "the transaction's list of operations",
                "limits.tx_max_operations",
                unit.operations + operations,
                limits.transaction_operations,
            ),
            (
                "the transaction",
                "limits.tx_max_bytes",
                unit.bytes + bytes,
                limits.transaction_bytes,
            ),
        ] {
            if actual > limit {
                let (actual, limit) = (actual as u64, limit as u64);
                return Err(Refusal::Full {
                    what,
                    key,
                    actual,
                    limit,
                });
            }
        }
        unit.operations += operations;
        unit.bytes += bytes;
        Ok(unit)
    }
}
