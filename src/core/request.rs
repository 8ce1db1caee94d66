//! What a client asks of the broker, in no protocol's words, and how it is answered.

use std::sync::Arc;

use super::destination::DestinationName;
use super::durable::DurableName;
use super::error::Refusal;
use super::id::{ConnectionId, DeliveryTag, Sequence, SubscriptionId, Token, TransactionId};
use super::message::Message;
use super::selector::Selector;
use super::window::Share;

/// One thing a client asks. A `token` asks for a [`Completion`]; without one, only a refusal would
/// be worth telling, and it is told with [`Completion::token`] `None`.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Say who it is. No client needs to.
    Introduce {
        /// What it calls itself, if anything.
        client: Option<Arc<str>>,
    },
    /// Put a message on a destination.
    Send {
        /// Where to.
        destination: DestinationName,
        /// The message.
        message: Arc<Message>,
        /// The transaction that it is part of.
        transaction: Option<TransactionId>,
        /// Completed once the message is as safe as its persistence asks.
        token: Option<Token>,
    },
    /// Start to receive from a destination.
    Subscribe {
        /// The number that deliveries and settlements will name.
        subscription: SubscriptionId,
        /// Where from.
        destination: DestinationName,
        /// On which terms.
        options: SubscribeOptions,
        /// Completed before the first delivery.
        token: Option<Token>,
    },
    /// Stop receiving; what is not settled returns.
    Unsubscribe {
        /// The subscription to end.
        subscription: SubscriptionId,
        /// Completed once nothing more is delivered.
        token: Option<Token>,
    },
    /// End a durable subscription for good, with all that waits for it.
    Forget {
        /// Whose it is.
        durable: DurableName,
        /// Completed once that is durable.
        token: Option<Token>,
    },
    /// Say what became of deliveries.
    Settle {
        /// The subscription that they were made to.
        subscription: SubscriptionId,
        /// Which ones.
        tags: Tags,
        /// What became of them.
        outcome: Outcome,
        /// The transaction that makes it so.
        transaction: Option<TransactionId>,
        /// Completed once the settlement is durable.
        token: Option<Token>,
    },
    /// Open a transaction.
    Begin {
        /// Its number, not in use.
        transaction: TransactionId,
        /// Completed at once.
        token: Option<Token>,
    },
    /// Make all of a transaction's sends and settlements effective and durable together.
    Commit {
        /// Its number, free again afterwards.
        transaction: TransactionId,
        /// Completed once all of it is durable and applied.
        token: Option<Token>,
    },
    /// Forget a transaction's sends and undo its settlements; nothing is redelivered.
    Abort {
        /// Its number, free again afterwards.
        transaction: TransactionId,
        /// Completed at once.
        token: Option<Token>,
    },
    /// Hear when all that this connection asked before is durable.
    Sync {
        /// Completed then.
        token: Token,
    },
}

/// On which terms a subscription receives.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscribeOptions {
    /// How many deliveries may be unsettled at once, at least 1; `None` is as the destination's policy
    /// says.
    pub prefetch: Option<u32>,
    /// How many bytes of messages may be unsettled at once, beside the last one; `u64::MAX` for any.
    pub window_bytes: u64,
    /// Who settles its deliveries.
    pub mode: AckMode,
    /// Only messages that it matches are wanted.
    pub selector: Option<Selector>,
    /// Messages that this connection has sent are not wanted.
    pub no_local: Option<ConnectionId>,
    /// Subscriptions of a queue with a higher one are given messages first; 0 where none is asked for.
    pub priority: i8,
    /// Whether it wants the whole queue for itself. The first one that does has it until it ends, or
    /// until one of a higher priority comes.
    pub exclusive: bool,
    /// Whether it only looks at the messages of a queue, and at each but once.
    pub browse: bool,
    /// Makes it a durable one of a topic: what is sent while nobody receives waits.
    pub durable: Option<DurableName>,
    /// Its share of credit, if it is a part of a subscription to several destinations; `prefetch` is of
    /// no effect then.
    pub share: Option<Arc<Share>>,
    /// What operators may call it, to be found on dead letters: its connection and its own name there.
    pub name: Option<Arc<str>>,
}

impl SubscribeOptions {
    /// What a subscription has that asks for nothing else.
    pub fn new(prefetch: impl Into<Option<u32>>, mode: AckMode) -> Self {
        Self {
            prefetch: prefetch.into(),
            window_bytes: u64::MAX,
            mode,
            selector: None,
            no_local: None,
            priority: 0,
            exclusive: false,
            browse: false,
            durable: None,
            share: None,
            name: None,
        }
    }
}

/// Who settles deliveries, and how many at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AckMode {
    /// The session, when the bytes are on their way.
    #[default]
    Auto,
    /// The client, each acknowledgement standing for all deliveries before it.
    Client,
    /// The client, one by one.
    ClientIndividual,
}

/// Which deliveries of a subscription a settlement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// This one alone.
    One(DeliveryTag),
    /// This one and all unsettled ones before it.
    Through(DeliveryTag),
}

/// What became of a delivery: the outcomes of AMQP 1.0 (amqp-1.0#3.4), which are the superset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: the message is gone.
    Accept,
    /// Not looked at: the message waits in its old place as if never delivered.
    Release,
    /// Delivered in vain: it waits in its old place with its delivery count raised.
    Modify {
        /// Whether this was a failed try, which counts towards the dead-letter queue.
        failed: bool,
    },
    /// Never to be delivered again: it goes to the dead-letter queue.
    Reject,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The request's token; `None` when a request without one was refused.
    pub token: Option<Token>,
    /// What happened.
    pub result: Result<Done, Refusal>,
}

/// When a granted request is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is.
    Now,
    /// Once the durable sequence has reached this, or this very sequence was cancelled because its
    /// message was consumed before it was stored.
    At(Sequence),
}
