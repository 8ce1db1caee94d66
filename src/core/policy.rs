//! The settings of a destination that rules read, and changes of some of them.

use super::dead_letter::{DeadLetterChange, DeadLetterPolicy};
use super::message_group::{GroupPolicy, Rebalance};
use super::redelivery::RedeliveryDelays;

/// What a destination gives to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Persistent messages, and all that does not fit in memory.
    #[default]
    All,
    /// Only what does not fit in memory; nothing survives a restart.
    Overflow,
    /// Nothing: there is no store, and senders wait when memory is full.
    Nothing,
}

/// What becomes of a message for a queue that holds all it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Its sender waits, and is refused when that takes too long.
    #[default]
    Block,
    /// Its sender is refused at once.
    Reject,
    /// It is taken, and the oldest that wait are dropped.
    DropOldest,
    /// It is dropped; its sender does not hear of it.
    DropNewest,
}

/// How a destination treats its messages. Shared by all destinations that it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationPolicy {
    /// What the store is given.
    pub keep: Keep,
    /// Unsettled deliveries that a subscription of a queue may hold unless it asks otherwise.
    pub prefetch: u32,
    /// The same for a topic.
    pub topic_prefetch: u32,
    /// How many bytes of waiting messages stay in memory; what comes on top waits on disk only.
    pub memory_window_bytes: u64,
    /// How many bytes may wait in a queue in all, in memory and on disk.
    pub max_bytes: u64,
    /// How many messages may wait in a queue.
    pub max_messages: u64,
    /// What becomes of a message that would be more than these.
    pub when_full: WhenFull,
    /// How many failed tries a message may have before the next one sends it to the dead letters.
    pub redelivery_max: u32,
    /// How long a queue lets a message wait before it delivers it again.
    pub redelivery: RedeliveryDelays,
    /// What becomes of messages that nobody could work on.
    pub dead_letter: DeadLetterPolicy,
    /// How a queue treats message groups.
    pub groups: GroupPolicy,
}

impl Default for DestinationPolicy {
    /// What a destination has for which nothing else is said.
    fn default() -> Self {
        Self {
            keep: Keep::default(),
            prefetch: 100,
            topic_prefetch: 1000,
            memory_window_bytes: 4 << 20,
            max_bytes: u64::MAX,
            max_messages: u64::MAX,
            when_full: WhenFull::default(),
            redelivery_max: 6,
            redelivery: RedeliveryDelays::default(),
            dead_letter: DeadLetterPolicy::default(),
            groups: GroupPolicy::default(),
        }
    }
}

impl DestinationPolicy {
    /// How many bytes one page from the store should bring: small enough that many queues can page
    /// at once, large enough that a page is worth its trip.
    pub(super) fn page_bytes(&self) -> u64 {
        (self.memory_window_bytes / 4).clamp(1024, 1024 * 1024)
    }
}

/// Declares the changes of a set of settings: each is set, or stays as it is.
macro_rules! changes {
    (
        $(#[doc = $about:literal])+
        $change:ident of $whole:ident {
            $( $field:ident: $type:ty, )+
        }
        $( with { $( $inner:ident: $inner_change:ident, )+ } )?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $change {
            $(
                #[doc = concat!("What to set [`", stringify!($whole), "::", stringify!($field), "`] to.")]
                pub $field: Option<$type>,
            )+
            $($(
                #[doc = concat!("What to change in [`", stringify!($whole), "::", stringify!($inner), "`].")]
                pub $inner: $inner_change,
            )+)?
        }

        impl $change {
            /// Sets what it names.
            pub fn apply(&self, whole: &mut $whole) {
                $( if let Some(value) = &self.$field { whole.$field.clone_from(value); } )+
                $($( self.$inner.apply(&mut whole.$inner); )+)?
            }
        }
    };
}

pub(super) use changes;

changes! {
    /// What a policy changes of a destination's settings.
    PolicyChange of DestinationPolicy {
        prefetch: u32,
        topic_prefetch: u32,
        memory_window_bytes: u64,
        max_bytes: u64,
        max_messages: u64,
        when_full: WhenFull,
        redelivery_max: u32,
    }
    with {
        redelivery: RedeliveryChange,
        dead_letter: DeadLetterChange,
        groups: GroupChange,
    }
}

changes! {
    /// What a policy changes of how long messages wait before they are delivered again.
    RedeliveryChange of RedeliveryDelays {
        first: u64,
        multiplier: u32,
        longest: u64,
        jitter: u32,
    }
}

changes! {
    /// What a policy changes of how message groups are treated.
    GroupChange of GroupPolicy {
        rebalance: Rebalance,
        remember: usize,
        idle_release: Option<u64>,
    }
}
