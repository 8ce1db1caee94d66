//! A client that waits on the thread that calls it.

use std::task::Waker;
use std::thread::{park, park_timeout};
use std::time::Duration;

use super::error::ClientError;
use super::link::{Link, waker};
use super::message::{Outgoing, Received};
use crate::core::{Outcome, SubscribeOptions, SubscriptionId, Tick};

/// A client of an embedded broker. Each call returns once what it asks is done: a persistent message
/// is as safe as the broker's durability says, a settlement is durable. Where the broker has no room
/// for a message, the call waits for it, up to the broker's limit.
///
/// Dropping it ends its subscriptions: what it has not settled goes back to its queues.
#[derive(Debug)]
pub struct Client {
    link: Link,
}

impl Client {
    pub(super) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Sends a message to `queue://NAME`, `topic://NAME`, `NAME` (a queue), or to several of them with
    /// commas in between.
    ///
    /// # Errors
    /// When the destination or a property's name cannot be used, or the broker refuses the message.
    pub fn send(&mut self, to: &str, message: &Outgoing) -> Result<(), ClientError> {
        self.link.send(to, message)?;
        self.wait()
    }

    /// Starts to receive from a destination, a wildcard, or several destinations.
    ///
    /// # Errors
    /// When the destination cannot be used, or the broker refuses.
    pub fn subscribe(
        &mut self,
        from: &str,
        options: SubscribeOptions,
    ) -> Result<SubscriptionId, ClientError> {
        let subscription = self.link.subscribe(from, options)?;
        let result = self.wait();
        if result.is_err() {
            self.link.forget(subscription);
        }
        result.map(|()| subscription)
    }

    /// Stops receiving; what is not settled goes back.
    ///
    /// # Errors
    /// When there is no such subscription.
    pub fn unsubscribe(&mut self, subscription: SubscriptionId) -> Result<(), ClientError> {
        self.link.unsubscribe(subscription);
        self.wait()
    }

    /// The next message of any subscription, or `None` when none has come in that time.
    pub fn receive(&mut self, within: Duration) -> Option<Received> {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let until = self.link.tick().after(within);
        let waker = waker();
        loop {
            if let Some(received) = self.link.receive() {
                return Some(received);
            }
            if self.link.tick() >= until {
                return None;
            }
            self.sleep(&waker, Some(until));
        }
    }

    /// The message is done: it is gone for good. With [`crate::AckMode::Client`] so are those before
    /// it.
    ///
    /// # Errors
    /// When it was settled before, or its subscription has ended.
    pub fn accept(&mut self, received: &Received) -> Result<(), ClientError> {
        self.settle(received, Outcome::Accept)
    }

    /// Says what became of a message.
    ///
    /// # Errors
    /// When it was settled before, or its subscription has ended.
    pub fn settle(&mut self, received: &Received, outcome: Outcome) -> Result<(), ClientError> {
        self.link.settle(received, outcome);
        self.wait()
    }

    /// Opens a transaction: what is sent and settled from here on takes effect at
    /// [`Client::commit`], all of it or nothing.
    ///
    /// # Errors
    /// When one is open.
    pub fn begin(&mut self) -> Result<(), ClientError> {
        self.link.begin()?;
        self.wait()
    }

    /// Makes the transaction effective and durable.
    ///
    /// # Errors
    /// When none is open, or something in it was refused.
    pub fn commit(&mut self) -> Result<(), ClientError> {
        self.link.end(true)?;
        self.wait()
    }

    /// Forgets what was sent in the transaction, and undoes what was settled: it can be settled again.
    ///
    /// # Errors
    /// When none is open.
    pub fn abort(&mut self) -> Result<(), ClientError> {
        self.link.end(false)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<(), ClientError> {
        let mut waker = None;
        loop {
            if let Some(answer) = self.link.answer() {
                return answer;
            }
            let waker = waker.get_or_insert_with(super::link::waker);
            self.sleep(waker, None);
        }
    }

    /// Sleeps until something comes, until then, or until the broker has something to do.
    fn sleep(&self, waker: &Waker, until: Option<Tick>) {
        if !self.link.sleep(waker) {
            return;
        }
        let until = [until, self.link.deadline()].into_iter().flatten().min();
        match until {
            None => park(),
            Some(until) => {
                let left = until.0.saturating_sub(self.link.tick().0);
                park_timeout(Duration::from_millis(left.max(1)));
            }
        }
    }
}
