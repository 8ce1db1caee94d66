//! Sending what is to be delivered later.

use super::super::cell::Work;
use super::super::duplicates::Identified;
use super::super::routing::sendings;
use super::Connection;
use super::answer::{answer, refuse};
use crate::core::{
    Command, Completion, DestinationName, Done, Message, Now, Refusal, Request, Tick,
};

impl Connection {
    /// Schedules a message. What it is sent to is made now: that it cannot be is better heard today.
    pub(super) fn schedule(
        &mut self,
        since: Tick,
        request: Request,
        identified: Option<Identified<'_>>,
        completions: &mut Vec<Completion>,
    ) {
        let Request::Send {
            destination,
            message,
            token,
            ..
        } = &request
        else {
            return;
        };
        if let Err(refusal) = self.may_schedule(destination, message) {
            return refuse(completions, *token, refusal);
        }
        if let Err(refusal) = self.admit(message) {
            return self.park_full(refusal, since, request);
        }
        let waiter = token.map(|_| self.waiter());
        let scheduler = &self.shared.scheduler;
        let change = scheduler.add(&self.shared, message, waiter.as_ref());
        if let Some(mut identified) = identified {
            let mut changes = identified.remember(destination);
            if !changes.is_empty() {
                self.shared.writer.append(&mut changes, &[], None);
            }
        }
        let done = change.map_or(Done::Now, |sequence| self.done(sequence));
        answer(completions, *token, Ok(done));
    }

    /// Does what a message asks of the scheduler.
    pub(super) fn command(
        &self,
        work: &mut Work,
        now: Now,
        message: &Message,
    ) -> Result<(), Refusal> {
        let command = Command::of(message)?;
        let (shared, scheduler) = (&self.shared, &self.shared.scheduler);
        match command {
            Command::Browse { reply_to, due } => {
                scheduler.tell(shared, work, now, &reply_to, due)?;
            }
            Command::Remove { id } => {
                scheduler.end(shared, id);
            }
            Command::RemoveAll { due } => scheduler.end_all(shared, due),
        }
        Ok(())
    }

    pub(super) fn may_schedule(
        &self,
        destination: &DestinationName,
        message: &std::sync::Arc<Message>,
    ) -> Result<(), Refusal> {
        sendings(&self.shared, self.id, destination, message)?;
        self.shared.scheduler.refuses().map_or(Ok(()), Err)
    }
}
