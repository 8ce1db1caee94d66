//! The exclusive consumer: one subscription that has the queue for itself, while others stand by.

use std::cmp::Reverse;

use super::super::effect::SubscriptionKey;
use super::super::time::Now;
use super::Queue;

/// One of this priority has the queue as soon as it comes, whoever has it.
const ALWAYS: i8 = i8::MAX;

impl Queue {
    /// Whether a subscription can be given a message now.
    pub(super) fn is_ready(&self, key: SubscriptionKey) -> bool {
        let admitted = self.exclusive.is_none_or(|exclusive| exclusive == key);
        let subscription = self.subscriptions.get(key);
        !self.is_stopped()
            && admitted
            && subscription.is_some_and(|s| !s.options.browse && s.has_credit())
    }

    /// Lets a new subscription have the queue for itself, if it asks for that and comes before the one
    /// that has it.
    pub(super) fn admit_exclusive(&mut self, now: Now, key: SubscriptionKey) {
        let priority = |key| {
            let subscription = self.subscriptions.get(key)?;
            let exclusive = subscription.options.exclusive;
            exclusive.then_some(subscription.options.priority)
        };
        let Some(new) = priority(key) else { return };
        let held = self.exclusive.and_then(priority);
        if held.is_none_or(|held| new > held || new == ALWAYS) {
            self.exclusive = Some(key);
            // Message groups of those that stand by from now on would never go on.
            let others = self.subscriptions.iter().map(|(other, _)| other);
            for other in others.filter(|other| *other != key).collect::<Vec<_>>() {
                self.leave_groups(now, other);
            }
        }
    }

    /// One that had the queue for itself has ended: the one of the highest priority has it next, of
    /// several the one that came first; if there is none, all others.
    pub(super) fn pass_exclusive_on(&mut self, ended: SubscriptionKey) {
        if self.exclusive != Some(ended) {
            return;
        }
        let waiting = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.options.exclusive && !subscription.ended);
        let next = waiting.max_by_key(|(_, s)| (s.options.priority, Reverse(s.arrived)));
        self.exclusive = next.map(|(key, _)| key);
        self.all_rejoin();
    }
}
