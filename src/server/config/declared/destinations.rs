//! Every setting about queues, topics and what happens to messages in them.

use std::marker::PhantomData;
use std::time::Duration;

use super::super::kind::{
    Count, CountOrUnlimited, Line, OneOf, QueueTemplate, Ratio, Size, SizeOrUnlimited, Switch,
    Time, TimeOrNever, Words,
};
use super::super::load::Reader;
use super::super::names::Names;
use super::super::setting::{Section, Setting, change, section, words};
use super::{DAY, GIB, KIB, SECOND};
use crate::core::NameTemplate;

words! {
    /// What becomes of a message for a queue that is full.
    WhenFull {
        /// Its sender waits.
        Block = "block",
        /// Its sender is refused at once.
        Reject = "reject",
        /// It is taken, and the oldest message is dropped.
        DropOldest = "drop-oldest",
        /// It is dropped without a word.
        DropNewest = "drop-newest",
    }
}

section! {
    /// How queues and topics behave, unless a [[policy]] says otherwise.
    Destination at "destination" changed by DestinationChange {
        /// Whether queues and topics come to life by being used; otherwise only declared ones do.
        auto_create: bool = Switch, "true";
        /// Unacknowledged messages that a queue's subscription may hold unless it asks otherwise.
        prefetch: u32 = Count { min: 1, max: 1_000_000 }, "100";
        /// The same for a topic's subscription.
        topic_prefetch: u32 = Count { min: 1, max: 1_000_000 }, "1000";
        /// Bytes of waiting messages that a queue keeps in memory; the rest stays on disk.
        memory_window: u64 = Size { min: 64 * KIB, max: 64 * GIB }, "4MiB";
        /// Bytes of waiting messages from which on a queue is full.
        max_bytes: Option<u64> = SizeOrUnlimited { min: 64 * KIB }, "unlimited";
        /// Messages waiting in a queue from which on it is full.
        max_messages: Option<u64> = CountOrUnlimited, "unlimited";
        /// A full queue makes senders wait, refuses, or drops the oldest or the new message.
        when_full: WhenFull = OneOf::<WhenFull>(PhantomData), "block";
        /// Further deliveries of a message that failed, before it moves to the dead-letter queue.
        redelivery_max: u32 = Count { min: 0, max: 1_000_000 }, "6";
    }
}

words! {
    /// What becomes of messages whose time is over.
    Expired {
        /// They are dropped.
        Drop = "drop",
        /// They move to the dead-letter queue.
        DeadLetter = "dead-letter",
    }
}

section! {
    /// Messages that could not be consumed, unless a [[policy]] says otherwise.
    DeadLetter at "dead_letter" changed by DeadLetterChange {
        /// Whether they are kept; if not, they are dropped.
        enabled: bool = Switch, "true";
        /// The queue that they move to; {name} and {kind} (Queue, Topic) are those of their origin.
        queue: NameTemplate = QueueTemplate, "ActiveMQ.DLQ";
        /// Whether messages whose time is over are dropped or move there, too.
        expired: Expired = OneOf::<Expired>(PhantomData), "drop";
        /// Whether messages that are not persistent move there, too; if not, they are dropped.
        non_persistent: bool = Switch, "true";
        /// How long they are kept there.
        ttl: Option<Duration> = TimeOrNever { min: SECOND, max: 3_650 * DAY }, "never";
        /// Bytes of waiting messages from which on a queue that dead letters come to drops its oldest.
        max_bytes: Option<u64> = SizeOrUnlimited { min: 64 * KIB }, "10GiB";
    }
}

section! {
    /// Queues and topics that are there from the start, and stay whether they are used or not.
    Declare at "declare" {
        /// Names of queues.
        queues: Vec<String> = Names, "";
        /// Names of topics.
        topics: Vec<String> = Names, "";
    }
}

section! {
    /// What happens is told on topics below ActiveMQ.Advisory. to whoever subscribes to them.
    Advisories at "advisories" {
        /// Whether it is.
        enabled: bool = Switch, "true";
    }
}

section! {
    /// A message that names its identity is taken once by its destination.
    Duplicates at "duplicates" {
        /// For how long an identity is remembered.
        window: Duration = Time { min: SECOND, max: DAY }, "2m";
        /// How many are remembered for each destination.
        ids: u32 = Count { min: 1, max: 10_000_000 }, "20000";
        /// How many are remembered in all.
        total: u32 = Count { min: 1, max: 100_000_000 }, "1000000";
    }
}

section! {
    /// Queues and topics that nobody uses any more are removed; they come back when they are used.
    Gc at "gc" {
        /// Whether they are.
        enabled: bool = Switch, "true";
        /// How long one has to be empty and unused before that.
        after: Duration = Time { min: SECOND, max: 365 * DAY }, "10m";
        /// How long nobody may receive from a durable subscription before it ends with all it holds.
        durable_after: Option<Duration> = TimeOrNever { min: SECOND, max: 3_650 * DAY }, "never";
    }
}

words! {
    /// What happens to message groups when a consumer joins.
    Rebalance {
        /// They stay where they are.
        Off = "off",
        /// It gets its share, each group once what is in flight of it is settled.
        Drain = "drain",
        /// It gets its share at once, and may overtake what is in flight.
        Immediate = "immediate",
    }
}

section! {
    /// How long a message that a consumer refused waits before it is delivered again.
    Redelivery at "redelivery" changed by RedeliveryChange {
        /// Before the first redelivery; "0s" for at once.
        delay: Duration = Time { min: 0, max: 365 * DAY }, "1s";
        /// What each further delay is multiplied by.
        multiplier: f64 = Ratio { min: 1.0, max: 1000.0 }, "2.0";
        /// The longest delay.
        max_delay: Duration = Time { min: 0, max: 365 * DAY }, "1m";
        /// By what part of it each delay may be shorter or longer, at random.
        jitter: f64 = Ratio { min: 0.0, max: 1.0 }, "0.0";
    }
}

section! {
    /// Message groups: messages with the same `JMSXGroupID` go to one consumer, in their order.
    Groups at "groups" changed by GroupsChange {
        /// What happens when a consumer joins: nothing, or it gets its share, with or without waiting.
        rebalance: Rebalance = OneOf::<Rebalance>(PhantomData), "drain";
        /// Groups without messages that keep their consumer, for each queue.
        remember: u32 = Count { min: 0, max: 10_000_000 }, "1024";
        /// How long a group without messages keeps its consumer.
        idle_release: Option<Duration> = TimeOrNever { min: 1, max: 365 * DAY }, "never";
    }
}

section! {
    /// Virtual topics: what is sent to one goes to every queue of it as well.
    VirtualTopics at "virtual_topics" {
        /// Whether there are any.
        enabled: bool = Switch, "true";
        /// Which topics are virtual: a pattern of names.
        topics: String = Line { min: 1, max: 1_000 }, "VirtualTopic.>";
        /// What stands before the topic's name in that of its queues; `*` is any one level.
        prefix: String = Line { min: 2, max: 1_000 }, "Consumer.*.";
        /// Whether such a queue gets only what a consumer of it wants, while it has consumers.
        selector_aware: bool = Switch, "false";
    }
}

section! {
    /// Mirrored queues: what is sent to a queue can be seen on a topic.
    MirroredQueues at "mirrored_queues" {
        /// Whether there are any.
        enabled: bool = Switch, "false";
        /// What stands before the queue's name in that of the topic.
        prefix: String = Line { min: 0, max: 500 }, "VirtualTopic.Mirror.";
        /// What stands behind it.
        postfix: String = Line { min: 0, max: 500 }, "";
    }
}
