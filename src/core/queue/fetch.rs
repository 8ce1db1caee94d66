//! Reading back what was set aside and waits on disk only.

use super::super::effect::{Effects, PageReader, PageRequest};
use super::super::message_group::Slot;
use super::super::pending::Entry;
use super::super::time::Now;
use super::aside::Place;
use super::{Queue, StoredPage, signed};

impl Queue {
    /// Asks for a message that waits on disk.
    pub(super) fn fetch(&mut self, place: Place, effects: &mut Effects) {
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
            let entry = stored.into_entry(&self.horizon);
            self.bring_back(entry, wanted, effects);
        }
        if lost {
            self.forget_place(now, wanted, effects);
        }
        self.make_all_hungry();
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
        let takes = if place.group.is_some() {
            place == wanted || room || place.group == wanted.group
        } else {
            self.is_wanted_by_any(&entry) && (room || place == wanted)
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
}
