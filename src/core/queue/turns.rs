//! Whose turn it is among the subscriptions that can be given something: those of the highest
//! consumer priority first, those of the same one in turn.

use std::collections::VecDeque;

use super::super::effect::SubscriptionKey;

/// Subscriptions in the order of their turns, each at most once.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By consumer priority, the highest first. One that is empty stays: its next turn is near.
    levels: Vec<(i8, VecDeque<SubscriptionKey>)>,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.front().is_none()
    }

    /// Adds a subscription behind all others of its priority.
    pub(super) fn push(&mut self, priority: i8, key: SubscriptionKey) {
        let at = self.levels.partition_point(|(other, _)| *other > priority);
        match self.levels.get_mut(at) {
            Some((other, level)) if *other == priority => level.push_back(key),
            _ => self.levels.insert(at, (priority, VecDeque::from([key]))),
        }
    }

    /// The one whose turn it is.
    pub(super) fn front(&self) -> Option<SubscriptionKey> {
        self.levels
            .iter()
            .find_map(|(_, level)| level.front().copied())
    }

    pub(super) fn pop_front(&mut self) -> Option<SubscriptionKey> {
        self.levels
            .iter_mut()
            .find_map(|(_, level)| level.pop_front())
    }

    /// Gives the turn to the next of the same priority.
    pub(super) fn rotate(&mut self) {
        let level = self.levels.iter_mut().find(|(_, level)| !level.is_empty());
        if let Some((_, level)) = level {
            level.rotate_left(1);
        }
    }

    /// Removes one that has ended.
    pub(super) fn remove(&mut self, key: SubscriptionKey) {
        for (_, level) in &mut self.levels {
            if let Some(at) = level.iter().position(|other| *other == key) {
                level.remove(at);
            }
        }
        self.levels.retain(|(_, level)| !level.is_empty());
    }

    /// All of them, with their priorities, in the order of their turns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i8, SubscriptionKey)> {
        let levels = self.levels.iter();
        levels.flat_map(|(priority, level)| level.iter().map(|key| (*priority, *key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_priority_comes_first_and_equal_ones_take_turns() {
        let [a, b, c, d] = [0, 1, 2, 3].map(SubscriptionKey);
        let mut turns = Turns::default();
        for (priority, key) in [(0, a), (5, b), (0, c), (-3, d)] {
            turns.push(priority, key);
        }
        assert_eq!(turns.pop_front(), Some(b));
        turns.push(0, b);
        let order: Vec<_> = turns.iter().map(|(_, key)| key).collect();
        assert_eq!(order, [a, c, b, d]);
        turns.remove(c);
        turns.remove(d);
        assert_eq!(turns.pop_front(), Some(a));
        assert_eq!(turns.pop_front(), Some(b));
        assert!(turns.is_empty() && turns.pop_front().is_none());
    }
}
