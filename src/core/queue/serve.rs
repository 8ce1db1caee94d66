//! Giving what was set aside to subscriptions that can be given something by now.

use super::super::effect::{Effects, SubscriptionKey};
use super::super::message_group::{GroupKey, Rank, Slot};
use super::super::pending::{Entry, Next};
use super::super::time::Now;
use super::Queue;
use super::aside::Place;

impl Queue {
    /// Lets a subscription look among what was set aside.
    pub(super) fn make_hungry(&mut self, key: SubscriptionKey) {
        if let Some(aside) = &mut self.aside
            && let Some(subscription) = self.subscriptions.get_mut(key)
            && !subscription.hungry
        {
            subscription.hungry = true;
            aside.add_hungry(subscription.options.priority, key);
        }
    }

    /// Lets all that are ready look among what was set aside.
    pub(super) fn make_all_hungry(&mut self) {
        let keys: Vec<_> = self.ring.iter().map(|(_, key)| key).collect();
        for key in keys {
            self.make_hungry(key);
        }
    }

    fn sated(&mut self, key: SubscriptionKey, place: usize) {
        if let Some(aside) = &mut self.aside {
            aside.sated(place);
        }
        if let Some(subscription) = self.subscriptions.get_mut(key) {
            subscription.hungry = false;
        }
    }

    /// Gives something that was set aside to somebody who may have it by now, unless the front of the
    /// queue comes before it. Returns whether there was anything.
    pub(super) fn serve_from_aside(&mut self, now: Now, effects: &mut Effects) -> bool {
        let mut behind = 0;
        while let Some(key) = self.aside.as_ref().and_then(|aside| aside.hungry(behind)) {
            let ready = self.is_ready(key);
            let Some((rank, place)) = ready.then(|| self.best_for(key)).flatten() else {
                self.sated(key, behind);
                continue;
            };
            let front = match self.pending.next() {
                Next::Nothing => None,
                Next::Resident => self.pending.peek().map(Entry::rank),
                Next::OnDisk(from, priority) => Some(Rank::new(priority, from)),
            };
            if front.is_some_and(|front| front < rank) && !self.aside_is_full() {
                behind += 1;
                continue;
            }
            let Some(aside) = &mut self.aside else { break };
            if matches!(aside.slot_mut(place), Some(Slot::OnDisk { .. }) | None) {
                self.fetch(place, effects);
                self.sated(key, behind);
                if let Some(subscription) = self.subscriptions.get_mut(key) {
                    subscription.awaits_disk = true;
                }
                continue;
            }
            let sequence = place.group.and_then(|group| aside.groups.head(group));
            let sequence = sequence.map_or(0, |head| i32::from(head.sequence));
            let to = self.taker(key, place);
            if !self.book(to) {
                continue;
            }
            let Some(aside) = &mut self.aside else { break };
            let Some(Slot::Here(entry)) = aside.take(place) else {
                continue;
            };
            aside.served(behind);
            if entry.message.expired(now.wall) {
                self.expire(now, &entry, effects);
                self.group_dropped(now, place);
            } else if let Some(group) = place.group {
                self.give_grouped(to, group, sequence, entry, effects);
            } else {
                self.give(key, entry, false, effects);
            }
            return true;
        }
        false
    }

    /// Who is given what one subscription has found: for a group without owner it may be another one
    /// that has fewer groups, if it would take this next as well.
    fn taker(&mut self, found_by: SubscriptionKey, place: Place) -> SubscriptionKey {
        let orphan = place.group.and_then(|group| {
            let groups = &self.aside.as_ref()?.groups;
            let free = groups.owner(group).is_none();
            match &groups.head(group)?.slot {
                Slot::Here(entry) if free => Some(entry.clone()),
                Slot::Here(_) | Slot::OnDisk { .. } => None,
            }
        });
        let fewest = orphan.and_then(|entry| self.new_owner(&entry));
        match fewest.filter(|other| *other != found_by) {
            Some(other) if self.best_for(other).is_some_and(|(_, best)| best == place) => other,
            _ => found_by,
        }
    }

    /// What of all that was set aside a subscription should be given first.
    fn best_for(&mut self, key: SubscriptionKey) -> Option<(Rank, Place)> {
        let mut best = self.next_unmatched(key);
        let aside = self.aside.as_ref()?;
        let subscription = self.subscriptions.get(key)?;
        let wanted = |(rank, group): (Rank, GroupKey)| {
            let head = aside.groups.head(group)?;
            let wants = match &head.slot {
                Slot::Here(entry) => subscription.wants(&entry.message, entry.state()),
                Slot::OnDisk { .. } => true,
            };
            let place = Place {
                group: Some(group),
                priority: head.slot.priority(),
                position: head.position,
            };
            wants.then_some((rank, place))
        };
        let own = aside.groups.heads_of(key).find_map(wanted);
        let orphan = aside.groups.orphans().find_map(wanted);
        for candidate in [own, orphan].into_iter().flatten() {
            if best.is_none_or(|(rank, _)| candidate.0 < rank) {
                best = Some(candidate);
            }
        }
        best
    }

    /// The next of those messages that nobody wanted which a subscription may want.
    fn next_unmatched(&mut self, key: SubscriptionKey) -> Option<(Rank, Place)> {
        let aside = self.aside.as_ref()?;
        let subscription = self.subscriptions.get_mut(key)?;
        if aside.unmatched.len() == 0 {
            return None;
        }
        let mut cursors = subscription.cursors.take().unwrap_or_default();
        let mut found = None;
        while let Some((priority, position, slot)) = aside.unmatched.next(&cursors) {
            if let Slot::Here(entry) = slot
                && !subscription.wants(&entry.message, entry.state())
            {
                cursors.pass(priority, position);
                continue;
            }
            let group = None;
            let place = Place {
                group,
                priority,
                position,
            };
            found = Some((Rank::new(priority, position), place));
            break;
        }
        if subscription.is_picky() {
            subscription.cursors = Some(cursors);
        }
        found
    }

    /// Goes back to the simple way once nothing is set aside and no group is remembered.
    pub(super) fn drop_aside_if_over(&mut self) {
        if self.aside.as_ref().is_some_and(|aside| aside.is_over()) {
            self.aside = None;
            for (_, subscription) in self.subscriptions.iter_mut() {
                subscription.hungry = false;
                subscription.cursors = None;
            }
        }
    }

    /// Recounts what is set aside, in debug builds.
    #[cfg(any(debug_assertions, test))]
    pub(super) fn check_aside(&self) {
        let Some(aside) = &self.aside else { return };
        let slots = || aside.groups.slots().chain(aside.unmatched.slots());
        let (count, bytes, resident) = slots().fold((0, 0, 0), |(count, bytes, resident), slot| {
            (count + 1, bytes + slot.bytes(), resident + slot.resident())
        });
        assert!(aside.is_booked(), "places and groups as memory");
        assert_eq!(count, aside.len(), "messages set aside");
        assert_eq!(bytes, aside.bytes, "their bytes");
        assert_eq!(resident, aside.resident, "their bytes in memory");
        for (key, subscription) in self.subscriptions.iter() {
            let hungry = aside.is_hungry(key);
            assert_eq!(hungry, subscription.hungry, "who is hungry");
            assert!(
                !hungry || !self.is_ready(key) || !self.pending.is_empty(),
                "unfed"
            );
        }
    }
}
