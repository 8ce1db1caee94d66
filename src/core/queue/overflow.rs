//! What a queue does that holds all it may: it refuses, or drops the new message, or the oldest.

use super::super::effect::{Effects, PageReader, PageRequest};
use super::super::error::Refusal;
use super::super::message::Message;
use super::super::message_group::Slot;
use super::super::pending::Next;
use super::super::persist::Persist;
use super::super::policy::WhenFull;
use super::super::time::Now;
use super::Queue;
use super::aside::Place;

/// A limit that is reached: what holds how much, and the setting.
struct Reached {
    key: &'static str,
    actual: u64,
    limit: u64,
}

impl Queue {
    /// Why a message cannot be taken, if its sender is to hear of it.
    pub fn refuses(&self, message: &Message) -> Option<Refusal> {
        let Reached { key, actual, limit } = self.reached(message)?;
        let what = "the queue";
        match self.policy.when_full {
            WhenFull::Block => Some(Refusal::Full {
                what,
                key,
                actual,
                limit,
            }),
            WhenFull::Reject => Some(Refusal::NoRoom {
                what,
                key,
                actual,
                limit,
            }),
            WhenFull::DropOldest | WhenFull::DropNewest => None,
        }
    }

    /// Whether it refuses at once what it has no room for.
    pub fn rejects(&self) -> bool {
        self.policy.when_full == WhenFull::Reject
    }

    /// Whether a message is taken only to be dropped.
    pub(super) fn drops(&self, message: &Message) -> bool {
        self.policy.when_full == WhenFull::DropNewest && self.reached(message).is_some()
    }

    /// The limit that one more message would exceed.
    fn reached(&self, message: &Message) -> Option<Reached> {
        let bytes = message.footprint() as u64;
        let waiting = self.ready_bytes();
        if waiting.saturating_add(bytes) > self.policy.max_bytes && waiting > 0 {
            return Some(Reached {
                key: "destination.max_bytes",
                actual: waiting,
                limit: self.policy.max_bytes,
            });
        }
        let messages = self.ready_count();
        (messages >= self.policy.max_messages).then_some(Reached {
            key: "destination.max_messages",
            actual: messages,
            limit: self.policy.max_messages,
        })
    }

    /// Drops the oldest messages, those of the lowest priority first, until the queue holds what it
    /// may. What is on disk only is read first: until then the queue may hold more.
    pub(super) fn make_room(&mut self, now: Now, effects: &mut Effects) {
        let drops = self.policy.when_full == WhenFull::DropOldest;
        let (mut bytes, messages) = if drops {
            (self.policy.max_bytes, self.policy.max_messages)
        } else {
            (u64::MAX, u64::MAX)
        };
        if self.takes_dead_letters {
            bytes = bytes.min(self.policy.dead_letter.max_bytes);
        }
        while (self.ready_bytes() > bytes && self.ready_count() > 1)
            || self.ready_count() > messages
        {
            if !self.drop_oldest(now, effects) {
                return;
            }
        }
    }

    fn drop_oldest(&mut self, now: Now, effects: &mut Effects) -> bool {
        let aside = self.oldest_aside();
        let waiting = self.pending.last_place();
        let is_aside = match (aside, waiting) {
            (Some(aside), Some(waiting)) => (aside.priority, aside.position) < waiting,
            (aside, _) => aside.is_some(),
        };
        if let Some(place) = aside.filter(|_| is_aside) {
            return self.drop_from_aside(now, place, effects);
        }
        match self.pending.last_in_rank() {
            Next::Nothing => false,
            Next::Resident => {
                let Some(entry) = self.pending.pop_last_in_rank() else {
                    return false;
                };
                note_dropped(entry.message.provenance.is_some(), effects);
                self.drop_entry(&entry, effects);
                true
            }
            Next::OnDisk(_, priority) => {
                if !self.paging
                    && let Some(from) = self.pending.ask_page_of(priority)
                {
                    self.paging = true;
                    effects.pages.push(PageRequest {
                        reader: PageReader::Queue,
                        from,
                        priority: Some(priority),
                        bytes: self.policy.page_bytes(),
                    });
                }
                false
            }
        }
    }

    /// What of all that was set aside is to be dropped first. Of a group that is the next in line: its
    /// order stays.
    fn oldest_aside(&self) -> Option<Place> {
        let aside = self.aside.as_ref()?;
        let heads = aside.groups.heads().map(|(group, head)| Place {
            group: Some(group),
            priority: head.slot.priority(),
            position: head.position,
        });
        let unmatched = aside.unmatched.oldest().map(|(priority, position)| Place {
            group: None,
            priority,
            position,
        });
        heads
            .chain(unmatched)
            .min_by_key(|place| (place.priority, place.position))
    }

    fn drop_from_aside(&mut self, now: Now, place: Place, effects: &mut Effects) -> bool {
        let Some(slot) = self.aside.as_mut().and_then(|aside| aside.take(place)) else {
            return false;
        };
        match &slot {
            Slot::Here(entry) => {
                note_dropped(entry.message.provenance.is_some(), effects);
                self.drop_entry(entry, effects);
            }
            Slot::OnDisk { .. } => {
                note_dropped(self.takes_dead_letters, effects);
                let at = self.at(place.position);
                effects.persist.push(Persist::Remove { at });
            }
        }
        self.group_dropped(now, place);
        if let Some(aside) = &mut self.aside {
            effects.tally.memory_delta += aside.overhead_delta();
        }
        true
    }
}

fn note_dropped(is_dead_letter: bool, effects: &mut Effects) {
    effects.tally.ready_delta -= 1;
    effects.tally.dropped += 1;
    effects.tally.dropped_letters += u64::from(is_dead_letter);
}
