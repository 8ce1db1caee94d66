//! From what is written about destinations to the rules that they read.

use std::time::Duration;

use super::config::{
    DeadLetterChange, DestinationChange, Expired, GroupsChange, Policy, RedeliveryChange, Settings,
};
use crate::core::{
    self, DestinationPolicy, GroupChange, PolicyChange, PolicyRule, Rebalance, WhenFull,
};

/// What holds for all destinations.
pub(super) fn base(settings: &Settings) -> DestinationPolicy {
    let mut policy = DestinationPolicy::default();
    let destination = DestinationChange::from(&settings.destination);
    let dead_letter = DeadLetterChange::from(&settings.dead_letter);
    let redelivery = RedeliveryChange::from(&settings.redelivery);
    let groups = GroupsChange::from(&settings.groups);
    change(&destination, &dead_letter, &redelivery, &groups).apply(&mut policy);
    policy
}

/// What is otherwise for some.
pub(super) fn rules(settings: &Settings) -> Vec<PolicyRule> {
    settings.policies.iter().map(rule).collect()
}

fn rule(policy: &Policy) -> PolicyRule {
    PolicyRule {
        kind: policy.kind,
        pattern: policy.pattern.clone(),
        change: change(
            &policy.destination,
            &policy.dead_letter,
            &policy.redelivery,
            &policy.groups,
        ),
    }
}

fn change(
    destination: &DestinationChange,
    dead_letter: &DeadLetterChange,
    redelivery: &RedeliveryChange,
    groups: &GroupsChange,
) -> PolicyChange {
    PolicyChange {
        prefetch: destination.prefetch,
        topic_prefetch: destination.topic_prefetch,
        memory_window_bytes: destination.memory_window,
        max_bytes: destination.max_bytes.map(or_unlimited),
        max_messages: destination.max_messages.map(or_unlimited),
        when_full: destination.when_full.map(when_full),
        redelivery_max: destination.redelivery_max,
        dead_letter: core::DeadLetterChange {
            enabled: dead_letter.enabled,
            queue: dead_letter.queue.clone(),
            expired: dead_letter.expired.map(|word| word == Expired::DeadLetter),
            non_persistent: dead_letter.non_persistent,
            ttl: dead_letter.ttl.map(|ttl| ttl.map(milliseconds)),
            max_bytes: dead_letter.max_bytes.map(or_unlimited),
        },
        redelivery: core::RedeliveryChange {
            first: redelivery.delay.map(milliseconds),
            multiplier: redelivery.multiplier.map(percent),
            longest: redelivery.max_delay.map(milliseconds),
            jitter: redelivery.jitter.map(percent),
        },
        groups: GroupChange {
            rebalance: groups.rebalance.map(rebalance),
            remember: groups
                .remember
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            idle_release: groups.idle_release.map(|time| time.map(milliseconds)),
        },
    }
}

fn or_unlimited(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a ratio is read as one between 0 and 1000"
)]
fn percent(ratio: f64) -> u32 {
    (ratio * 100.0).round() as u32
}

fn when_full(word: super::config::WhenFull) -> WhenFull {
    match word {
        super::config::WhenFull::Block => WhenFull::Block,
        super::config::WhenFull::Reject => WhenFull::Reject,
        super::config::WhenFull::DropOldest => WhenFull::DropOldest,
        super::config::WhenFull::DropNewest => WhenFull::DropNewest,
    }
}

fn rebalance(word: super::config::Rebalance) -> Rebalance {
    match word {
        super::config::Rebalance::Off => Rebalance::Off,
        super::config::Rebalance::Drain => Rebalance::Drain,
        super::config::Rebalance::Immediate => Rebalance::Immediate,
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Loaded, Sources};
    use super::*;

    #[test]
    fn the_defaults_of_the_configuration_are_those_of_the_rules() {
        let loaded = Loaded::read(&Sources::default()).unwrap();
        assert_eq!(base(&loaded.settings), DestinationPolicy::default());
        assert!(rules(&loaded.settings).is_empty());
    }
}
