//! What both kinds of clients do: ask, look what has come, say when to look again.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{Thread, current, park_timeout};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::error::ClientError;
use super::message::{Outgoing, Received};
use crate::broker::{Broker, Clock, Connection};
use crate::core::{
    AckMode, Completion, Composition, Delivery, DestinationName, Done, Kind, MessageId, NameError,
    Outcome, Pattern, Refusal, Request, Sequence, SubscribeOptions, SubscriptionId, Tags, Tick,
    Timestamp, Token, TransactionId,
};

/// One transaction at a time is open.
const TRANSACTION: TransactionId = TransactionId(1);

/// A connection, and what is on its way.
#[derive(Debug)]
pub(super) struct Link {
    clock: Clock,
    /// There until the end.
    connection: Option<Connection>,
    subscriptions: FxHashMap<SubscriptionId, Subscribed>,
    last_subscription: SubscriptionId,
    last_message: u64,
    in_transaction: bool,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Subscribed {
    destination: DestinationName,
    mode: AckMode,
}

/// A request that is being carried out.
#[derive(Clone, Debug)]
enum Asked {
    Open,
    /// Granted, and complete once this is durable.
    Until(Sequence),
    Answered(Result<(), Refusal>),
}

impl Link {
    pub(super) fn new(broker: &Broker) -> Self {
        Self {
            clock: broker.clock(),
            connection: Some(broker.connect()),
            subscriptions: FxHashMap::default(),
            last_subscription: SubscriptionId(0),
            last_message: 0,
            in_transaction: false,
            asked: None,
        }
    }

    /// Asks to send a message. The answer comes by [`Self::answer`].
    pub(super) fn send(&mut self, to: &str, message: &Outgoing) -> Result<(), ClientError> {
        let destination = named(to)?;
        let parts = destination.parts();
        let all = parts
            .as_deref()
            .unwrap_or(std::slice::from_ref(&destination));
        if all
            .iter()
            .any(|part| Pattern::new(part.name()).is_wildcard())
        {
            return Err(ClientError::Wildcard(to.to_owned()));
        }
        let names = message.properties.iter().map(|(name, _)| name);
        if let Some(name) = names
            .into_iter()
            .find(|name| !Composition::may_be_named(name))
        {
            return Err(ClientError::Property(name.clone()));
        }
        let now = self.clock.now().wall;
        let lives = message.time_to_live.map(|time| millis(time.as_millis()));
        self.last_message += 1;
        let composed = Composition {
            id: MessageId {
                connection: self
                    .connection
                    .as_ref()
                    .map(Connection::id)
                    .unwrap_or_default(),
                number: self.last_message,
            },
            destination: &destination,
            timestamp: now,
            expiration: lives.map(|time| Timestamp(now.0.saturating_add(time))),
            priority: message.priority,
            persistent: message.persistent,
            body_kind: message.body_kind,
            properties: &message.properties,
            body: &message.body,
        };
        let message = Arc::new(composed.message());
        let transaction = self.transaction();
        self.ask(|token| Request::Send {
            destination,
            message,
            transaction,
            token: Some(token),
        });
        Ok(())
    }

    /// Asks for a subscription.
    pub(super) fn subscribe(
        &mut self,
        from: &str,
        options: SubscribeOptions,
    ) -> Result<SubscriptionId, ClientError> {
        let destination = named(from)?;
        self.last_subscription = self.last_subscription.next();
        let subscription = self.last_subscription;
        let mode = options.mode;
        let known = Subscribed {
            destination: destination.clone(),
            mode,
        };
        self.subscriptions.insert(subscription, known);
        self.ask(|token| Request::Subscribe {
            subscription,
            destination,
            options,
            token: Some(token),
        });
        Ok(subscription)
    }

    /// Forgets a subscription that was refused.
    pub(super) fn forget(&mut self, subscription: SubscriptionId) {
        self.subscriptions.remove(&subscription);
    }

    /// Asks for a subscription's end.
    pub(super) fn unsubscribe(&mut self, subscription: SubscriptionId) {
        self.forget(subscription);
        self.ask(|token| Request::Unsubscribe {
            subscription,
            token: Some(token),
        });
    }

    /// Says what became of a delivery, and with [`AckMode::Client`] of all before it.
    pub(super) fn settle(&mut self, received: &Received, outcome: Outcome) {
        let subscription = received.subscription;
        let known = self.subscriptions.get(&subscription);
        let through = known.is_some_and(|known| known.mode == AckMode::Client);
        let tags = if through && outcome == Outcome::Accept {
            Tags::Through(received.tag)
        } else {
            Tags::One(received.tag)
        };
        let transaction = self.transaction();
        self.ask(|token| Request::Settle {
            subscription,
            tags,
            outcome,
            transaction,
            token: Some(token),
        });
    }

    /// Opens a transaction: from here on what is sent and settled is part of it.
    pub(super) fn begin(&mut self) -> Result<(), ClientError> {
        if self.in_transaction {
            return Err(ClientError::Transaction("a transaction is open already"));
        }
        self.in_transaction = true;
        self.ask(|token| Request::Begin {
            transaction: TRANSACTION,
            token: Some(token),
        });
        Ok(())
    }

    /// Ends the transaction.
    pub(super) fn end(&mut self, commit: bool) -> Result<(), ClientError> {
        if !std::mem::take(&mut self.in_transaction) {
            return Err(ClientError::Transaction("no transaction is open"));
        }
        let transaction = TRANSACTION;
        self.ask(|token| {
            let token = Some(token);
            if commit {
                Request::Commit { transaction, token }
            } else {
                Request::Abort { transaction, token }
            }
        });
        Ok(())
    }

    fn transaction(&self) -> Option<TransactionId> {
        self.in_transaction.then_some(TRANSACTION)
    }

    fn ask(&mut self, request: impl FnOnce(Token) -> Request) {
        self.asked = Some(Asked::Open);
        let now = self.clock.now();
        let mut completions = Vec::new();
        if let Some(connection) = &mut self.connection {
            connection.submit(now, &mut vec![request(Token(1))], &mut completions);
        }
        self.hear(completions);
    }

    /// Does what is due and looks what has come. Takes the next delivery, if that is wanted.
    fn look(&mut self, take: bool) -> Option<Delivery> {
        let now = self.clock.now();
        let connection = self.connection.as_mut()?;
        let mut completions = Vec::new();
        connection.expire(now, &mut completions);
        let mail = connection.collect(now, &mut completions);
        let (durable, failed) = (mail.durable, mail.failed.take());
        let cancelled = std::mem::take(&mut mail.cancelled);
        mail.durable = Sequence(0);
        let delivery = take.then(|| mail.deliveries.pop_front()).flatten();
        if let Some(delivery) = &delivery {
            connection.encoded(now, delivery.message.footprint());
        }
        self.hear(completions);
        if let Some(Asked::Until(until)) = self.asked
            && (until <= durable || cancelled.contains(&until))
        {
            self.asked = Some(Asked::Answered(Ok(())));
        }
        if let (Some(cause), Some(Asked::Open | Asked::Until(_))) = (failed, &self.asked) {
            let cause = cause.as_ref().to_owned();
            self.asked = Some(Asked::Answered(Err(Refusal::StoreFailed { cause })));
        }
        delivery
    }

    fn hear(&mut self, completions: Vec<Completion>) {
        for completion in completions {
            if completion.token.is_some() {
                self.asked = Some(match completion.result {
                    Ok(Done::Now) => Asked::Answered(Ok(())),
                    Ok(Done::At(sequence)) => Asked::Until(sequence),
                    Err(refusal) => Asked::Answered(Err(refusal)),
                });
            }
        }
    }

    /// The answer to what was asked last, if it has come, unless the broker wants the client to wait.
    pub(super) fn answer(&mut self) -> Option<Result<(), ClientError>> {
        self.look(false);
        if self.connection.as_ref().is_some_and(Connection::is_blocked) {
            return None;
        }
        match self.asked.take() {
            Some(Asked::Answered(result)) => Some(result.map_err(ClientError::from)),
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// The next message, if there is one. One of a subscription that settles by itself is settled.
    pub(super) fn receive(&mut self) -> Option<Received> {
        loop {
            let delivery = self.look(true)?;
            let Some(known) = self.subscriptions.get(&delivery.subscription) else {
                // Its subscription has ended: the message has gone back.
                continue;
            };
            if delivery.end_of_browse {
                continue;
            }
            let received = Received::new(delivery, &known.destination);
            if known.mode == AckMode::Auto {
                self.settle_quietly(&received);
            }
            return Some(received);
        }
    }

    fn settle_quietly(&mut self, received: &Received) {
        let now = self.clock.now();
        let settle = Request::Settle {
            subscription: received.subscription,
            tags: Tags::Through(received.tag),
            outcome: Outcome::Accept,
            transaction: None,
            token: None,
        };
        if let Some(connection) = &mut self.connection {
            connection.submit(now, &mut vec![settle], &mut Vec::new());
        }
    }

    /// Goes to sleep until something comes. Returns false, and does not, if something has.
    pub(super) fn sleep(&self, waker: &Waker) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|connection| connection.outbox().sleep(waker))
    }

    /// When to look again although nothing has come.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.connection.as_ref()?.deadline()
    }

    /// This moment, as deadlines count it.
    pub(super) fn tick(&self) -> Tick {
        self.clock.now().tick
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A commit is on its way to the disk: it is waited for, as long as that takes.
        let waker = waker();
        while self
            .connection
            .as_ref()
            .is_some_and(Connection::is_committing)
        {
            self.look(false);
            if self.sleep(&waker) {
                park_timeout(Duration::from_millis(100));
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.disconnect(self.clock.now(), |_| None);
        }
    }
}

/// Reads `queue://NAME`, `topic://NAME` or `NAME`, or several with commas between them.
fn named(text: &str) -> Result<DestinationName, ClientError> {
    let unusable = |cause| ClientError::Destination {
        text: text.to_owned(),
        cause,
    };
    let one = |part: &str| -> Result<DestinationName, NameError> {
        let part = part.trim();
        if let Some(name) = part.strip_prefix("topic://") {
            return DestinationName::new(Kind::Topic, name);
        }
        DestinationName::new(Kind::Queue, part.strip_prefix("queue://").unwrap_or(part))
    };
    if !text.contains(',') {
        return one(text).map_err(unusable);
    }
    let parts = text.split(',').map(one).collect::<Result<Vec<_>, _>>();
    let parts = parts.map_err(unusable)?;
    DestinationName::composite(&parts).map_err(unusable)
}

fn millis(time: u128) -> u64 {
    u64::try_from(time).unwrap_or(u64::MAX)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Wakes this thread.
pub(super) fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(current())))
}
