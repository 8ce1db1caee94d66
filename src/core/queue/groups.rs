//! Looking at the groups of a queue, and taking them from their consumers.

use std::sync::Arc;

use super::super::effect::{Effects, SubscriptionKey};
use super::super::id::SubscriptionId;
use super::super::time::Now;
use super::Queue;

/// A message group as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The value of `JMSXGroupID`.
    pub name: Arc<[u8]>,
    /// The subscription that has it, if one does.
    pub owner: Option<(SubscriptionKey, SubscriptionId)>,
    /// Its messages that wait in line; others may wait in the queue, which has not come to them.
    pub waiting: usize,
    /// Its messages that are delivered and not settled.
    pub in_flight: usize,
}

impl Queue {
    /// The groups that the queue knows: those with messages, and those that it remembers.
    pub fn groups(&self) -> Vec<GroupState> {
        let aside = self.aside.iter();
        let all = aside.flat_map(|aside| aside.groups.all());
        all.map(|(name, owner, waiting, in_flight)| {
            let owner = owner.and_then(|key| Some((key, self.subscriptions.get(key)?.id)));
            GroupState {
                name: Arc::clone(name),
                owner,
                waiting,
                in_flight,
            }
        })
        .collect()
    }

    /// How many groups have a consumer, and how many have messages in line.
    pub fn group_counts(&self) -> (u64, u64) {
        let aside = self.aside.as_ref();
        aside.map_or((0, 0), |aside| aside.groups.counts())
    }

    /// Takes a group from its consumer, or all groups from theirs: the next message finds a new one. A
    /// consumer that holds messages of its group keeps it until those are settled. Returns how many
    /// groups had a consumer.
    pub fn reset_groups(&mut self, now: Now, name: Option<&[u8]>, effects: &mut Effects) -> usize {
        let Some(aside) = &mut self.aside else {
            return 0;
        };
        let count = aside.groups.reset(name);
        self.make_all_hungry();
        self.dispatch(now, effects);
        self.check_invariants();
        count
    }
}
