//! A client for asynchronous code, on the runtime of tokio.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::error::ClientError;
use super::link::Link;
use super::message::{Outgoing, Received};
use crate::core::{Outcome, SubscribeOptions, SubscriptionId, Tick};

/// The same as [`super::Client`], with calls that wait as tasks do. A call that is dropped before it is
/// done may have taken effect.
#[derive(Debug)]
pub struct AsyncClient {
    link: Link,
}

impl AsyncClient {
    pub(super) fn new(link: Link) -> Self {
        Self { link }
    }

    /// See [`super::Client::send`].
    ///
    /// # Errors
    /// When the destination or a property's name cannot be used, or the broker refuses the message.
    pub async fn send(&mut self, to: &str, message: &Outgoing) -> Result<(), ClientError> {
        self.link.send(to, message)?;
        self.wait().await
    }

    /// See [`super::Client::subscribe`].
    ///
    /// # Errors
    /// When the destination cannot be used, or the broker refuses.
    pub async fn subscribe(
        &mut self,
        from: &str,
        options: SubscribeOptions,
    ) -> Result<SubscriptionId, ClientError> {
        let subscription = self.link.subscribe(from, options)?;
        let result = self.wait().await;
        if result.is_err() {
            self.link.forget(subscription);
        }
        result.map(|()| subscription)
    }

    /// See [`super::Client::unsubscribe`].
    ///
    /// # Errors
    /// When there is no such subscription.
    pub async fn unsubscribe(&mut self, subscription: SubscriptionId) -> Result<(), ClientError> {
        self.link.unsubscribe(subscription);
        self.wait().await
    }

    /// The next message of any subscription.
    pub async fn receive(&mut self) -> Received {
        loop {
            if let Some(received) = self.link.receive() {
                return received;
            }
            self.sleep().await;
        }
    }

    /// See [`super::Client::accept`].
    ///
    /// # Errors
    /// When it was settled before, or its subscription has ended.
    pub async fn accept(&mut self, received: &Received) -> Result<(), ClientError> {
        self.settle(received, Outcome::Accept).await
    }

    /// See [`super::Client::settle`].
    ///
    /// # Errors
    /// When it was settled before, or its subscription has ended.
    pub async fn settle(
        &mut self,
        received: &Received,
        outcome: Outcome,
    ) -> Result<(), ClientError> {
        self.link.settle(received, outcome);
        self.wait().await
    }

    /// See [`super::Client::begin`].
    ///
    /// # Errors
    /// When a transaction is open.
    pub async fn begin(&mut self) -> Result<(), ClientError> {
        self.link.begin()?;
        self.wait().await
    }

    /// See [`super::Client::commit`].
    ///
    /// # Errors
    /// When no transaction is open, or something in it was refused.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        self.link.end(true)?;
        self.wait().await
    }

    /// See [`super::Client::abort`].
    ///
    /// # Errors
    /// When no transaction is open.
    pub async fn abort(&mut self) -> Result<(), ClientError> {
        self.link.end(false)?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<(), ClientError> {
        loop {
            if let Some(answer) = self.link.answer() {
                return answer;
            }
            self.sleep().await;
        }
    }

    /// Waits until something comes, or until the broker has something to do.
    async fn sleep(&mut self) {
        let mut asleep = false;
        let woken = poll_fn(|context| {
            if std::mem::replace(&mut asleep, true) || !self.link.sleep(context.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let Some(Tick(until)) = self.link.deadline() else {
            return woken.await;
        };
        let left = Duration::from_millis(until.saturating_sub(self.link.tick().0).max(1));
        // Running out is as good as being woken: the caller looks again.
        let _ = tokio::time::timeout(left, woken).await;
    }
}
