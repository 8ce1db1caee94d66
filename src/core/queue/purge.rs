//! Emptying a queue in steps: what waits in memory, and what is on disk only, up to the position that
//! was the last one when it was asked for. What is in flight stays, unless it is to go as well. Nothing
//! is given out meanwhile.

use super::super::effect::Effects;
use super::super::id::Position;
use super::super::message_group::Slot;
use super::super::pending::Entry;
use super::super::persist::Persist;
use super::super::time::Now;
use super::aside::Place;
use super::{Queue, StoredPage, signed};

impl Queue {
    /// Begins to empty it, until [`Self::end_purge`]. Returns up to where, and how many messages that
    /// are. With `forced` what is in flight goes at once, so that it can be settled no more.
    pub fn begin_purge(
        &mut self,
        now: Now,
        forced: bool,
        effects: &mut Effects,
    ) -> (Position, u64) {
        self.end_delays(now, None);
        let mut count = self.ready_count();
        self.pending.pass_all(self.last_position);
        self.purging += 1;
        if forced {
            count += self.take_back_all(now, effects);
        }
        (self.last_position, count)
    }

    /// Drops what is in flight, except what transactions hold.
    fn take_back_all(&mut self, now: Now, effects: &mut Effects) -> u64 {
        let mut taken = Vec::new();
        for (_, subscription) in self.subscriptions.iter_mut() {
            taken.extend(subscription.inflight.take_unmarked());
        }
        let count = taken.len() as u64;
        self.unsettled -= count;
        effects.tally.unsettled_delta -= signed(count);
        effects.tally.purged += count;
        for (_, entry) in taken {
            self.drop_entry(&entry, effects);
            if let Some(group) = entry.group {
                self.group_settled(now, group);
            }
        }
        let keys: Vec<_> = self.subscriptions.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.remove_if_over(key);
            self.regain(key);
        }
        self.dispatch(now, effects);
        self.check_invariants();
        count
    }

    /// It is as empty as it was to be: what has come meanwhile is given out.
    pub fn end_purge(&mut self, now: Now, effects: &mut Effects) {
        self.purging = self.purging.saturating_sub(1);
        self.go_on(now, effects);
    }

    /// Drops at most so many messages up to a position that are known by more than their number.
    /// Returns whether there were so many.
    pub fn purge(&mut self, now: Now, until: Position, most: usize, effects: &mut Effects) -> bool {
        let taken = self.pending.take_up_to(until, most);
        let mut count = taken.len();
        for entry in taken {
            self.drop_purged(&entry, effects);
        }
        while count < most
            && let Some(place) = self.aside.as_ref().and_then(|aside| aside.first(until))
        {
            count += 1;
            match self.aside.as_mut().and_then(|aside| aside.take(place)) {
                Some(Slot::Here(entry)) => self.drop_purged(&entry, effects),
                Some(Slot::OnDisk { .. }) => self.drop_on_disk(place.position, effects),
                None => break,
            }
            self.group_dropped(now, place);
        }
        self.dispatch(now, effects);
        self.check_invariants();
        count >= most
    }

    /// Drops what a page of the store shows that waits there only, up to a position.
    pub fn purge_page(&mut self, until: Position, page: &StoredPage, effects: &mut Effects) {
        for stored in &page.messages {
            let (position, message) = (stored.position, &stored.message);
            let bytes = message.footprint() as u64;
            if position <= until && self.pending.drop_on_disk(position, message.priority, bytes) {
                self.drop_on_disk(position, effects);
            }
        }
        self.check_invariants();
    }

    /// Whether there are messages that wait on disk only.
    pub fn has_on_disk(&self) -> bool {
        self.ready_bytes() > self.resident_bytes()
    }

    fn drop_purged(&mut self, entry: &Entry, effects: &mut Effects) {
        effects.tally.ready_delta -= 1;
        effects.tally.purged += 1;
        self.drop_entry(entry, effects);
    }

    fn drop_on_disk(&mut self, position: Position, effects: &mut Effects) {
        effects.tally.ready_delta -= 1;
        effects.tally.purged += 1;
        let at = self.at(position);
        effects.persist.push(Persist::Remove { at });
    }
}

impl super::aside::Aside {
    /// Something that waits here up to a position and can be taken out.
    fn first(&self, until: Position) -> Option<Place> {
        let unmatched = self
            .unmatched
            .first(until)
            .map(|(priority, position)| Place {
                group: None,
                priority,
                position,
            });
        unmatched.or_else(|| {
            let (group, head) = self.groups.first(until)?;
            Some(Place {
                group: Some(group),
                priority: head.slot.priority(),
                position: head.position,
            })
        })
    }
}
