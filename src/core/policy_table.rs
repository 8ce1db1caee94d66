//! Which settings hold for which destination: those of all, changed by every policy whose pattern
//! matches, field by field, from the general to the specific.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::destination::{DestinationName, Kind};
use super::pattern::{Pattern, PatternTrie};
use super::policy::{DestinationPolicy, PolicyChange};

/// How many different results are remembered although no destination uses them.
const IDLE_RESULTS: usize = 256;

/// Changes of the settings of all destinations that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// Only queues, only topics, or both.
    pub kind: Option<Kind>,
    /// Which names.
    pub pattern: Pattern,
    /// What it changes.
    pub change: PolicyChange,
}

impl PolicyRule {
    /// Whether it concerns a destination.
    pub fn matches(&self, name: &DestinationName) -> bool {
        self.kind.is_none_or(|kind| kind == name.kind()) && self.pattern.matches(name.name())
    }

    /// Orders from general to specific: by the pattern, and then one for a single kind is more
    /// specific than one for both.
    pub fn cmp_specificity(&self, other: &Self) -> Ordering {
        let kinds = || self.kind.is_some().cmp(&other.kind.is_some());
        self.pattern
            .cmp_specificity(&other.pattern)
            .then_with(kinds)
    }
}

/// The settings of all destinations and the policies. Equal results are one: a hundred thousand
/// destinations that the same policies match share their settings.
#[derive(Debug)]
pub struct Policies {
    base: Arc<DestinationPolicy>,
    /// From general to specific; equally specific ones in the order in which they were given.
    rules: Vec<PolicyRule>,
    /// Places in `rules`.
    by_pattern: PatternTrie<usize>,
    /// Results by the places of the rules that made them.
    merged: BTreeMap<Vec<usize>, Arc<DestinationPolicy>>,
}

impl Policies {
    /// Settings for all destinations, and changes for some. Of equally specific rules the later one
    /// wins.
    pub fn new(base: DestinationPolicy, mut rules: Vec<PolicyRule>) -> Self {
        rules.sort_by(PolicyRule::cmp_specificity);
        let mut by_pattern = PatternTrie::default();
        for (place, rule) in rules.iter().enumerate() {
            by_pattern.insert(&rule.pattern, place);
        }
        Self {
            base: Arc::new(base),
            rules,
            by_pattern,
            merged: BTreeMap::new(),
        }
    }

    /// What holds where no policy says otherwise.
    pub fn base(&self) -> &Arc<DestinationPolicy> {
        &self.base
    }

    /// The settings of a destination. Takes time in proportion to the rules whose patterns match the
    /// name.
    pub fn resolve(&mut self, name: &DestinationName) -> Arc<DestinationPolicy> {
        let mut places = Vec::new();
        self.by_pattern.matches(name.name(), |place| {
            let rule = self.rules.get(*place);
            places.extend(rule.filter(|rule| rule.matches(name)).map(|_| *place));
        });
        if places.is_empty() {
            return Arc::clone(&self.base);
        }
        places.sort_unstable();
        if let Some(known) = self.merged.get(&places) {
            return Arc::clone(known);
        }
        let mut policy = DestinationPolicy::clone(&self.base);
        for rule in places.iter().filter_map(|place| self.rules.get(*place)) {
            rule.change.apply(&mut policy);
        }
        let policy = Arc::new(policy);
        if self.merged.len() >= IDLE_RESULTS {
            self.merged
                .retain(|_, shared| Arc::strong_count(shared) > 1);
        }
        self.merged.insert(places, Arc::clone(&policy));
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::WhenFull;

    fn rule(pattern: &str, change: PolicyChange) -> PolicyRule {
        let (kind, name) = match pattern.split_once("://") {
            Some(("queue", name)) => (Some(Kind::Queue), name),
            Some((_, name)) => (Some(Kind::Topic), name),
            None => (None, pattern),
        };
        PolicyRule {
            kind,
            pattern: Pattern::new(name),
            change,
        }
    }

    fn tries(redelivery_max: u32) -> PolicyChange {
        PolicyChange {
            redelivery_max: Some(redelivery_max),
            ..PolicyChange::default()
        }
    }

    fn messages(max_messages: u64) -> PolicyChange {
        PolicyChange {
            max_messages: Some(max_messages),
            ..PolicyChange::default()
        }
    }

    fn queue(name: &str) -> DestinationName {
        DestinationName::queue(name).unwrap()
    }

    #[test]
    fn policies_are_merged_field_by_field_from_general_to_specific() {
        let mut ring = messages(10);
        ring.when_full = Some(WhenFull::DropOldest);
        let mut policies = Policies::new(
            DestinationPolicy::default(),
            vec![
                rule("queue://orders.eu", tries(1)),
                rule(">", tries(9)),
                rule("queue://orders.>", ring),
                rule("topic://orders.>", tries(5)),
            ],
        );
        let eu = policies.resolve(&queue("orders.eu"));
        assert_eq!((eu.redelivery_max, eu.max_messages), (1, 10));
        assert_eq!(eu.when_full, WhenFull::DropOldest);
        assert_eq!(eu.memory_window_bytes, 4 << 20, "as for all");
        let us = policies.resolve(&queue("orders.us"));
        assert_eq!((us.redelivery_max, us.max_messages), (9, 10));
        let topic = policies.resolve(&DestinationName::topic("orders.eu").unwrap());
        assert_eq!((topic.redelivery_max, topic.max_messages), (5, u64::MAX));
        assert_eq!(policies.resolve(&queue("bills")).redelivery_max, 9);
    }

    #[test]
    fn of_equally_specific_policies_the_later_wins_and_one_kind_beats_both() {
        let mut policies = Policies::new(
            DestinationPolicy::default(),
            vec![
                rule("queue://a.*", tries(3)),
                rule("a.*", tries(2)),
                rule("a.b", tries(4)),
                rule("a.b", tries(5)),
            ],
        );
        assert_eq!(policies.resolve(&queue("a.x")).redelivery_max, 3);
        assert_eq!(policies.resolve(&queue("a.b")).redelivery_max, 5);
        let topic = DestinationName::topic("a.x").unwrap();
        assert_eq!(policies.resolve(&topic).redelivery_max, 2);
    }

    #[test]
    fn equal_results_are_shared_and_unused_ones_forgotten() {
        let mut policies = Policies::new(
            DestinationPolicy::default(),
            vec![rule("queue://a.>", tries(1))],
        );
        let one = policies.resolve(&queue("a.1"));
        for number in 2..1000 {
            let other = policies.resolve(&queue(&format!("a.{number}")));
            assert!(Arc::ptr_eq(&one, &other));
        }
        let none = policies.resolve(&queue("b"));
        assert!(Arc::ptr_eq(&none, policies.base()));
        let many = (0..2000).map(|n| rule(&format!("queue://q{n}"), tries(n)));
        let mut policies = Policies::new(DestinationPolicy::default(), many.collect());
        for number in 0..2000_u32 {
            let found = policies.resolve(&queue(&format!("q{number}")));
            assert_eq!(found.redelivery_max, number);
        }
        assert!(policies.merged.len() <= IDLE_RESULTS);
    }
}
