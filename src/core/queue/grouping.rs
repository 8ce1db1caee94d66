//! Messages of groups: each group has one consumer at a time, and a line of its own.

use std::sync::Arc;

use super::super::effect::{Effects, SubscriptionKey};
use super::super::id::Position;
use super::super::message::Message;
use super::super::message_group::{GroupKey, Standing, Waiting};
use super::super::pending::Entry;
use super::super::property::Membership;
use super::super::time::Now;
use super::aside::Place;
use super::{Queue, Subscription};

impl Queue {
    /// Lets a message not overtake those of its group that wait in line, whatever its priority.
    pub(super) fn keep_behind_its_group(&mut self, position: Position, message: &mut Arc<Message>) {
        let (Some(aside), Some(membership)) = (&mut self.aside, message.membership()) else {
            return;
        };
        let group = aside.groups.find(&membership.group);
        if let Some(priority) = group.and_then(|group| aside.groups.came(group, position))
            && priority != message.priority
        {
            Arc::make_mut(message).priority = priority;
        }
    }

    pub(super) fn place_grouped(&mut self, now: Now, mut entry: Entry, effects: &mut Effects) {
        let message = Arc::clone(&entry.message);
        let Some(Membership { group, sequence }) = message.membership() else {
            return self.place_plain(entry, effects);
        };
        let aside = self.aside.get_or_insert_default();
        let policy = &self.policy.groups;
        let group = aside.groups.key_of(&group, now.tick, policy);
        entry.group = Some(group);
        aside.groups.had_turn(group, entry.position);
        let to = match aside.groups.standing_of_new(group, sequence) {
            Standing::Blocked => None,
            Standing::Owned(owner) => self.if_ready(owner, &entry),
            Standing::Free => self.new_owner(&entry),
        };
        match to.filter(|key| self.book(*key)) {
            Some(key) => self.give_grouped(key, group, sequence, entry, effects),
            None => self.join_line(group, sequence, false, entry, effects),
        }
    }

    pub(super) fn give_grouped(
        &mut self,
        key: SubscriptionKey,
        group: GroupKey,
        sequence: i32,
        entry: Entry,
        effects: &mut Effects,
    ) {
        let aside = self.aside.as_mut();
        let first = aside.is_some_and(|aside| aside.groups.gave(group, key, sequence));
        self.give(key, entry, first, effects);
    }

    /// Lets a message wait in the line of its group.
    fn join_line(
        &mut self,
        group: GroupKey,
        sequence: i32,
        delayed: bool,
        entry: Entry,
        effects: &mut Effects,
    ) {
        let position = entry.position;
        let slot = self.slot_for(entry, effects);
        let aside = self.aside.get_or_insert_default();
        aside.added(slot.bytes(), slot.resident());
        let sequence = i8::from(sequence == 1) - i8::from(sequence < 0);
        let waiting = Waiting {
            position,
            slot,
            sequence,
            delayed,
        };
        let free = aside.groups.push(group, waiting);
        self.look_again(free);
    }

    /// Puts a message that came back in the line of its group, before its group may go on.
    /// One that is delayed holds its group up until [`Self::end_rest`].
    pub(super) fn rejoin_line(
        &mut self,
        now: Now,
        entry: Entry,
        delayed: bool,
        effects: &mut Effects,
    ) {
        let Some(group) = entry.group else { return };
        let sequence = entry.message.membership().map_or(0, |m| m.sequence);
        self.join_line(group, sequence.min(0), delayed, entry, effects);
        self.group_settled(now, group);
    }

    /// A message in line has been delayed for long enough.
    pub(super) fn end_rest(&mut self, now: Now, group: GroupKey, position: Position) {
        let Some(aside) = &mut self.aside else { return };
        let free = aside.groups.end_rest(group, position);
        aside.groups.rest(group, now.tick);
        self.look_again(free);
    }

    /// A message of a group is in flight no more: the next one may have waited for that.
    pub(super) fn group_settled(&mut self, now: Now, group: GroupKey) {
        let Some(aside) = &mut self.aside else { return };
        let free = aside.groups.settled(group, now.tick);
        aside.groups.forget_idle(self.policy.groups.remember);
        self.look_again(free);
    }

    /// A message of a group is gone without having been given to anybody.
    pub(super) fn group_dropped(&mut self, now: Now, place: Place) {
        if let (Some(aside), Some(group)) = (&mut self.aside, place.group) {
            aside.groups.rest(group, now.tick);
            aside.groups.forget_idle(self.policy.groups.remember);
        }
    }

    /// Lets those look who may be given what has become the next of its group.
    fn look_again(&mut self, free: Option<Standing>) {
        match free {
            Some(Standing::Owned(owner)) => self.make_hungry(owner),
            Some(Standing::Free) => self.make_all_hungry(),
            Some(Standing::Blocked) | None => {}
        }
    }

    /// A consumer has gone, and its groups are free.
    pub(super) fn leave_groups(&mut self, now: Now, key: SubscriptionKey) {
        if let Some(aside) = &mut self.aside {
            aside.groups.leave(key, now.tick);
            aside.groups.forget_idle(self.policy.groups.remember);
            self.make_all_hungry();
        }
    }

    /// A consumer has come, and gets its share.
    pub(super) fn share_groups(&mut self) {
        let live = |(_, s): &(SubscriptionKey, &Subscription)| !s.ended && !s.options.browse;
        let consumers = self.subscriptions.iter().filter(live).count();
        if let Some(aside) = &mut self.aside {
            aside.groups.share(consumers, &self.policy.groups);
            self.make_all_hungry();
        }
    }
}
