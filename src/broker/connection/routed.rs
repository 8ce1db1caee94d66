//! Sends that go to more than one destination.

use std::sync::Arc;

use super::super::cell::{Destination, Work};
use super::super::routing::sendings;
use super::super::transaction::{Commit, Sending};
use super::Connection;
use super::answer::{answer, refuse};
use crate::core::{
    Completion, DestinationName, Done, Message, Now, Persist, Refusal, Request, Sequence,
    SubscribeOptions, Tick, Token,
};
use crate::store::Durable;

impl Connection {
    /// Sends a message to all that its destination stands for, now or later. Nobody gets it if one has
    /// no room: then it waits.
    pub(super) fn send_routed(
        &mut self,
        work: &mut Work,
        now: Now,
        since: Tick,
        request: Request,
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
        let token = *token;
        let shared = Arc::clone(&self.shared);
        let mut identified = shared.identities.begin(&shared, now, message);
        if let Some(identified) = &mut identified
            && identified.is_known(destination)
        {
            shared.metrics.duplicates.increment(1);
            return self.answer_sent(message, token, completions);
        }
        if destination.is_scheduler_management() {
            let done = self.command(work, now, message);
            return answer(completions, token, done.map(|()| Done::Now));
        }
        if message.job.is_some() {
            return self.schedule(since, request, identified, completions);
        }
        let targets = match self.targets(destination, message) {
            Ok(targets) => targets,
            Err(refusal) => return refuse(completions, token, refusal),
        };
        if let Err(refusal) = self.admit_to_all(work, message, &targets) {
            if matches!(refusal, Refusal::Full { .. }) {
                return self.park_full(refusal, since, request);
            }
            return refuse(completions, token, refusal);
        }
        shared.metrics.unrouted.increment(targets.is_empty().into());
        let with = identified.map(|mut identified| identified.remember(destination));
        self.distribute(work, now, targets, with.unwrap_or_default());
        self.answer_sent(message, token, completions);
    }

    /// Gives a message to all that it goes to, which have room. `with` becomes durable with the last
    /// copy.
    fn distribute(
        &mut self,
        work: &mut Work,
        now: Now,
        targets: Vec<Sending>,
        mut with: Vec<Persist>,
    ) {
        let (shared, outbox) = (Arc::clone(&self.shared), Arc::clone(&self.outbox));
        let pressed = shared.flow.pressed();
        let last = targets.len().saturating_sub(1);
        let mut pause = false;
        for (index, (cell, message)) in targets.into_iter().enumerate() {
            let persistent = message.persistent;
            let mut next = Some(cell);
            while let Some(cell) = next {
                let (found, _) = cell.with(&shared, work, Some(&outbox), |state, effects, _| {
                    if !state.enter(now) {
                        return false;
                    }
                    match &mut state.destination {
                        Destination::Queue(queue) => {
                            queue.take_in(now, Arc::clone(&message), pressed, effects);
                        }
                        Destination::Topic(topic) => topic.publish(now, &message, pressed, effects),
                    }
                    if index == last {
                        effects.persist.append(&mut with);
                    }
                    pause |= self.may_pause(now) && state.pause_sender(persistent, &outbox);
                    true
                });
                let again = || shared.registry.again(&cell.name, &shared);
                next = (!found).then(again).flatten();
            }
        }
        if !with.is_empty() {
            shared.writer.append(&mut with, &[], None);
        }
        if pause {
            self.pause(now);
        }
    }

    /// Answers the sender of a message once what is in the log by now is durable, if it asked for that.
    fn answer_sent(
        &self,
        message: &Message,
        token: Option<Token>,
        completions: &mut Vec<Completion>,
    ) {
        if token.is_some() {
            let done = if message.persistent {
                let until = self.shared.writer.sync(&self.waiter());
                self.done(until)
            } else {
                Done::Now
            };
            answer(completions, token, Ok(done));
        }
    }

    /// All that a destination stands for, each with the message as it is to arrive there: a copy says
    /// what it was sent to.
    pub(super) fn targets(
        &self,
        destination: &DestinationName,
        message: &Arc<Message>,
    ) -> Result<Vec<Sending>, Refusal> {
        sendings(&self.shared, self.id, destination, message)
    }

    fn admit_to_all(
        &self,
        work: &mut Work,
        message: &Message,
        targets: &[Sending],
    ) -> Result<(), Refusal> {
        self.admit(message)?;
        for (cell, _) in targets {
            let (refusal, _) = cell.with(&self.shared, work, None, |state, _, _| {
                let Destination::Queue(queue) = &state.destination else {
                    return None;
                };
                let refusal = queue.refuses(message).filter(|_| !state.gone)?;
                if matches!(refusal, Refusal::Full { .. }) {
                    state.wait(&self.outbox);
                }
                Some(refusal)
            });
            refusal.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// A queue of a virtual topic, and a durable subscription, must outlive a crash from the first
    /// subscription on: that waits until the store knows the queue. Returns whether it has to.
    pub(super) fn waits_for_definition(
        &mut self,
        work: &mut Work,
        now: Now,
        destination: &DestinationName,
        options: &SubscribeOptions,
    ) -> Result<bool, Refusal> {
        let mut declared = match &options.durable {
            Some(name) => self.define_durable(work, now, destination, options, name)?,
            None => false,
        };
        for name in Self::named(destination) {
            if self.shared.registry.rules().topic_of(&name).is_none() {
                continue;
            }
            let mut news = None;
            while news.is_none() {
                let cell = self.cell(&name)?;
                (news, _) = cell.with(&self.shared, work, None, |state, effects, _| {
                    (!state.gone).then(|| state.destination.declare(effects))
                });
                if news.is_none() {
                    self.forget(&name);
                }
            }
            declared |= news == Some(true);
        }
        if declared {
            let until = self.shared.writer.sync(&self.waiter());
            self.wait_until(until);
        }
        Ok(declared)
    }

    /// Lets what comes next wait until the log is durable up to here.
    fn wait_until(&mut self, until: Sequence) {
        self.commit = Some(Box::new(Commit {
            transaction: None,
            token: None,
            until,
            sends: Vec::new(),
            jobs: Vec::new(),
            commands: Vec::new(),
            settles: Vec::new(),
            bytes: 0,
        }));
    }

    pub(super) fn waiter(&self) -> Arc<dyn Durable> {
        Arc::clone(&self.outbox) as Arc<dyn Durable>
    }
}
