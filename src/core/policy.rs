//! The settings of a destination that rules read.

use super::destination::DestinationName;
use super::message_group::GroupPolicy;

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

/// How a destination treats its messages. Shared by all destinations that it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationPolicy {
    /// What the store is given.
    pub keep: Keep,
    /// How many bytes of waiting messages stay in memory; what comes on top waits on disk only.
    pub memory_window_bytes: u64,
    /// How many bytes may wait in all, in memory and on disk; a send beyond is refused for now.
    pub max_bytes: u64,
    /// How many failed tries a message may have before the next one sends it to the dead letters.
    pub redelivery_max: u32,
    /// Where messages go that nobody could work on. A message is never moved to the queue that it is
    /// already on.
    pub dead_letter_queue: DestinationName,
    /// How a queue treats message groups.
    pub groups: GroupPolicy,
}

impl Default for DestinationPolicy {
    /// What a destination has for which nothing else is said.
    fn default() -> Self {
        Self {
            keep: Keep::All,
            memory_window_bytes: 4 << 20,
            max_bytes: u64::MAX,
            redelivery_max: 6,
            dead_letter_queue: DestinationName::dead_letters(),
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
