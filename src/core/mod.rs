//! The rules and words of messaging, as plain values.
//!
//! Lives here: what a queue, a topic, a subscription, a delivery and an acknowledgement are, and who
//! gets the next message. May import: `bytes`, `nom`, `memchr`, `thiserror`, `Arc` and the standard
//! collections. Deliberately not here: clocks, sockets, threads, locks, randomness, header names of
//! any protocol; time and numbers come in as arguments, results go out as `Effects`.

mod advisory;
mod compose;
mod composite;
mod dead_letter;
mod delivery;
mod destination;
mod duplicate;
mod durable;
mod effect;
mod error;
mod id;
mod inflight;
mod message;
mod message_group;
mod pattern;
mod pending;
mod persist;
mod policy;
mod policy_table;
mod property;
mod queue;
mod redelivery;
mod request;
mod schedule;
mod selector;
mod subscription;
mod time;
mod topic;
mod virtual_topic;
mod window;

pub use advisory::Event;
pub use compose::Composition;
pub use composite::{Branch, CompositeDestination, Composites, Way};
pub use dead_letter::{DeadLetterChange, DeadLetterPolicy, LetterFilter, NameTemplate};
pub use delivery::Delivery;
pub use destination::{DestinationName, Kind};
pub use duplicate::{DuplicateWindow, Duplicates};
pub use durable::{DurableName, DurableSubscription};
pub use effect::{Effects, Forward, PageReader, PageRequest, SubscriptionKey, Tally};
pub use error::{NameError, Refusal};
pub use id::{
    ConnectionId, DeliveryTag, DestinationId, MessageId, Position, Sequence, SubscriptionId, Token,
    TransactionId,
};
pub use message::{
    BodyKind, DeliveryState, Encoded, Form, Message, Priority, Provenance, StoredAt,
};
pub use message_group::{GroupPolicy, Rebalance};
pub use pattern::{Pattern, PatternTrie};
pub use persist::Persist;
pub use policy::{DestinationPolicy, GroupChange, Keep, PolicyChange, RedeliveryChange, WhenFull};
pub use policy_table::{Policies, PolicyRule};
pub use queue::{GroupState, Queue, RecoveredQueue, Reserved, StoredMessage, StoredPage};
pub use redelivery::RedeliveryDelays;
pub use request::{AckMode, Completion, Done, Outcome, Request, SubscribeOptions, Tags};
pub use schedule::{
    Command, CommandError, Cron, CronError, DueRange, Fired, Job, JobState, Jobs, told,
};
pub use selector::{Properties, Selector, SelectorError, Value};
pub use time::{Now, Tick, Timestamp};
pub use topic::Topic;
pub use virtual_topic::VirtualTopics;
pub use window::{Share, Window};
