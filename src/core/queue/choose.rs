//! Which subscription a message is for: the one that has its group, or the first in turn that wants
//! it. A message that can be given to nobody is set aside, and those behind it go on.

use std::sync::Arc;

use super::super::effect::{Effects, PageReader, PageRequest, SubscriptionKey};
use super::super::id::Position;
use super::super::message::Message;
use super::super::message_group::{GroupKey, Rank, Slot, Standing, Waiting};
use super::super::pending::{Entry, Next};
use super::super::policy::Keep;
use super::super::property::Membership;
use super::super::subscription::Subscription;
use super::super::time::Now;
use super::aside::Place;
use super::{Queue, StoredPage, signed, state_found};

/// Places and groups may take this many times the memory window, beside what is in it.
const OVERHEAD_SHARE: u64 = 16;

impl Queue {
    /// Gives a waiting message that has just been taken from the front to somebody, or sets it aside.
    pub(super) fn place_entry(&mut self, now: Now, entry: Entry, effects: &mut Effects) {
        let message = Arc::clone(&entry.message);
        if let Some(membership) = message.membership() {
            self.place_grouped(now, membership, entry, effects);
        } else if let Some(key) = self.first_who_wants(&entry) {
            self.give(key, entry, false, effects);
        } else {
            let (priority, position) = (entry.message.priority, entry.position);
            let slot = self.slot_for(entry, effects);
            let aside = self.aside.get_or_insert_default();
            aside.added(slot.bytes(), slot.resident());
            if aside.unmatched.push(priority, position, slot) {
                for (_, subscription) in self.subscriptions.iter_mut() {
                    if let Some(cursors) = &mut subscription.cursors {
                        cursors.return_to(priority, position);
                    }
                }
            }
        }
    }

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

    fn place_grouped(
        &mut self,
        now: Now,
        membership: Membership<'_>,
        mut entry: Entry,
        effects: &mut Effects,
    ) {
        let Membership { group, sequence } = membership;
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
        match to {
            Some(key) => self.give_grouped(key, group, sequence, entry, effects),
            None => self.join_line(group, sequence, entry, effects),
        }
    }

    fn give_grouped(
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
    fn join_line(&mut self, group: GroupKey, sequence: i32, entry: Entry, effects: &mut Effects) {
        let position = entry.position;
        let slot = self.slot_for(entry, effects);
        let aside = self.aside.get_or_insert_default();
        aside.added(slot.bytes(), slot.resident());
        let sequence = i8::from(sequence == 1) - i8::from(sequence < 0);
        let waiting = Waiting {
            position,
            slot,
            sequence,
        };
        let free = aside.groups.push(group, waiting);
        self.look_again(free);
    }

    /// Puts a message that came back in the line of its group, before its group may go on.
    pub(super) fn rejoin_line(&mut self, now: Now, entry: Entry, effects: &mut Effects) {
        let Some(group) = entry.group else { return };
        let sequence = entry.message.membership().map_or(0, |m| m.sequence);
        self.join_line(group, sequence.min(0), entry, effects);
        self.group_settled(now, group);
    }

    /// A message of a group is in flight no more: the next one may have waited for that.
    pub(super) fn group_settled(&mut self, now: Now, group: GroupKey) {
        let Some(aside) = &mut self.aside else { return };
        let free = aside.groups.settled(group, now.tick);
        aside.groups.forget_idle(self.policy.groups.remember);
        self.look_again(free);
    }

    /// Lets those look who may be given what has become the next of its group.
    fn look_again(&mut self, free: Option<Standing>) {
        match free {
            Some(Standing::Owned(owner)) => self.is_hungry(owner),
            Some(Standing::Free) => self.all_are_hungry(),
            Some(Standing::Blocked) | None => {}
        }
    }

    /// A consumer has gone, and its groups are free.
    pub(super) fn leave_groups(&mut self, now: Now, key: SubscriptionKey) {
        if let Some(aside) = &mut self.aside {
            aside.groups.leave(key, now.tick);
            aside.groups.forget_idle(self.policy.groups.remember);
            self.all_are_hungry();
        }
    }

    /// A consumer has come, and gets its share.
    pub(super) fn share_groups(&mut self) {
        let live = |(_, s): &(SubscriptionKey, &Subscription)| !s.ended;
        let consumers = self.subscriptions.iter().filter(live).count();
        if let Some(aside) = &mut self.aside {
            aside.groups.share(consumers, &self.policy.groups);
            self.all_are_hungry();
        }
    }

    /// The first in turn that wants a message.
    fn first_who_wants(&mut self, entry: &Entry) -> Option<SubscriptionKey> {
        if self.picky == 0 {
            return self.ring_front();
        }
        let mut turns = self.ring.iter();
        let found = turns.find(|(_, key)| self.if_ready(*key, entry).is_some());
        found.map(|(_, key)| key)
    }

    /// Who should have a group of which this is the next message: of those of the highest consumer
    /// priority the one that has the fewest.
    fn new_owner(&self, entry: &Entry) -> Option<SubscriptionKey> {
        let ready = self.ring.iter();
        let mut ready = ready.filter(|(_, key)| self.if_ready(*key, entry).is_some());
        let (highest, first) = ready.next()?;
        let owned = |key| {
            let aside = self.aside.as_ref();
            aside.map_or(0, |aside| aside.groups.owned_by(key))
        };
        let equals = ready.take_while(|(priority, _)| *priority == highest);
        let equals = std::iter::once(first).chain(equals.map(|(_, key)| key));
        equals.min_by_key(|key| owned(*key))
    }

    fn if_ready(&self, key: SubscriptionKey, entry: &Entry) -> Option<SubscriptionKey> {
        let wants = |s: &Subscription| s.wants(&entry.message, entry.state());
        let wanted = self.subscriptions.get(key).is_some_and(wants);
        (wanted && self.is_ready(key)).then_some(key)
    }

    /// How a message waits that is set aside: on disk only if memory has no room for it.
    fn slot_for(&mut self, entry: Entry, effects: &mut Effects) -> Slot {
        let bytes = entry.bytes();
        let room = self.resident_bytes() + bytes <= self.policy.memory_window_bytes;
        // What happened to a message that is not persistent is known by nobody else.
        let known = entry.state.is_none() || entry.message.persistent;
        if room || !known || self.policy.keep == Keep::Nothing {
            return Slot::Here(entry);
        }
        if !entry.stored {
            self.spill(entry.position, entry.message.clone(), effects);
        }
        effects.tally.memory_delta -= signed(bytes);
        let priority = entry.message.priority;
        Slot::OnDisk { bytes, priority }
    }

    /// Whether so much waits aside that the rest of the queue has to wait too.
    pub(super) fn aside_is_full(&self) -> bool {
        let most = self
            .policy
            .memory_window_bytes
            .saturating_mul(OVERHEAD_SHARE);
        self.aside
            .as_ref()
            .is_some_and(|aside| aside.overhead() > most)
    }

    /// A subscription that is ready may find something among what was set aside.
    pub(super) fn is_hungry(&mut self, key: SubscriptionKey) {
        if let Some(aside) = &mut self.aside
            && let Some(subscription) = self.subscriptions.get_mut(key)
            && !subscription.hungry
        {
            subscription.hungry = true;
            aside.add_hungry(subscription.options.priority, key);
        }
    }

    /// All that are ready may find something among what was set aside.
    fn all_are_hungry(&mut self) {
        let keys: Vec<_> = self.ring.iter().map(|(_, key)| key).collect();
        for key in keys {
            self.is_hungry(key);
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
            let Some(Slot::Here(entry)) = aside.take(place) else {
                continue;
            };
            aside.served(behind);
            if entry.message.expired(now.wall) {
                self.drop_expired(&entry, effects);
                self.group_dropped(now, place);
            } else if let Some(group) = place.group {
                self.give_grouped(key, group, sequence, entry, effects);
            } else {
                self.give(key, entry, false, effects);
            }
            return true;
        }
        false
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

    /// Asks for a message that waits on disk.
    fn fetch(&mut self, place: Place, effects: &mut Effects) {
        let bytes = self.policy.page_bytes();
        let Some(aside) = &mut self.aside else { return };
        if aside.fetching.is_some() {
            return;
        }
        aside.fetching = Some(place);
        effects.pages.push(PageRequest {
            reader: PageReader::Aside,
            from: place.position,
            priority: Some(place.priority),
            bytes,
        });
    }

    /// Takes the page that it asked for to have back what it set aside.
    pub fn page_in_aside(&mut self, now: Now, page: StoredPage, effects: &mut Effects) {
        let Some(wanted) = self.aside.as_mut().and_then(|aside| aside.fetching.take()) else {
            return;
        };
        for (_, subscription) in self.subscriptions.iter_mut() {
            subscription.awaits_disk = false;
        }
        self.all_rejoin();
        let mut lost = true;
        for stored in page.messages {
            lost &= stored.position != wanted.position;
            let state = state_found(&self.horizon, &stored);
            let entry = Entry {
                position: stored.position,
                message: stored.message,
                state,
                group: None,
                stored: true,
                covered: false,
            };
            self.bring_back(entry, wanted, effects);
        }
        if lost {
            self.forget_place(now, wanted, effects);
        }
        self.all_are_hungry();
        self.dispatch(now, effects);
        self.check_invariants();
    }

    /// Takes back a message that waits on disk, if it is asked for, or wanted and there is room.
    fn bring_back(&mut self, mut entry: Entry, wanted: Place, effects: &mut Effects) {
        let (position, priority) = (entry.position, entry.message.priority);
        let room = self.resident_bytes() + entry.bytes() <= self.policy.memory_window_bytes / 2;
        let Some(aside) = &self.aside else { return };
        let membership = entry.message.membership();
        entry.group = membership.and_then(|member| aside.groups.find(&member.group));
        let place = Place {
            group: entry.group,
            priority,
            position,
        };
        let takes = match place.group {
            Some(_) => place == wanted || room || place.group == wanted.group,
            None => {
                let wanted_by_any = self.is_wanted_by_any(&entry);
                wanted_by_any && (room || place == wanted)
            }
        };
        let slot = self.aside.as_mut().and_then(|aside| aside.slot_mut(place));
        if takes && let Some(slot @ Slot::OnDisk { .. }) = slot {
            let bytes = entry.bytes();
            *slot = Slot::Here(entry);
            effects.tally.memory_delta += signed(bytes);
            if let Some(aside) = &mut self.aside {
                aside.resident += bytes;
            }
        }
    }

    /// Whether anybody who could be given it wants a message that nobody wanted before. Those who do
    /// not and have come to it need not look at it again.
    fn is_wanted_by_any(&mut self, entry: &Entry) -> bool {
        let (priority, position) = (entry.message.priority, entry.position);
        let ready = self.ring.iter().map(|(_, key)| key);
        let ready: Vec<_> = ready.filter(|key| self.is_ready(*key)).collect();
        let mut wanted = false;
        for key in ready {
            let Some(subscription) = self.subscriptions.get_mut(key) else {
                continue;
            };
            if subscription.wants(&entry.message, entry.state()) {
                wanted = true;
            } else if let Some(aside) = &self.aside {
                let cursors = subscription.cursors.get_or_insert_default();
                if aside.unmatched.next_of(priority, cursors) == Some(position) {
                    cursors.pass(priority, position);
                }
            }
        }
        wanted
    }

    /// Forgets a place whose message the store has not: the store is the truth.
    fn forget_place(&mut self, now: Now, place: Place, effects: &mut Effects) {
        let Some(aside) = &mut self.aside else { return };
        let head = |group| aside.groups.head(group).map(|head| head.position);
        let is_next = place
            .group
            .is_none_or(|group| head(group) == Some(place.position));
        if is_next && aside.take(place).is_some() {
            effects.tally.ready_delta -= 1;
            self.group_dropped(now, place);
        }
    }

    /// A message of a group is gone without having been given to anybody.
    fn group_dropped(&mut self, now: Now, place: Place) {
        if let (Some(aside), Some(group)) = (&mut self.aside, place.group) {
            aside.groups.rest(group, now.tick);
            aside.groups.forget_idle(self.policy.groups.remember);
        }
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
