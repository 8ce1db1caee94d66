//! Messages that end without being consumed: on a dead-letter queue, or nowhere.

use super::super::dead_letter::{EXPIRED, End, Fate, dead_letter};
use super::super::destination::DestinationName;
use super::super::effect::{Effects, Forward, SubscriptionKey};
use super::super::message::{DeliveryState, Message, StoredAt};
use super::super::pending::Entry;
use super::super::persist::Persist;
use super::super::time::Now;
use super::{Queue, signed};

impl Queue {
    /// A message that came back from a consumer is given up. Gives it back if it stays where it is.
    pub(super) fn give_up(
        &mut self,
        now: Now,
        key: SubscriptionKey,
        entry: Entry,
        (state, cause): (DeliveryState, &str),
        effects: &mut Effects,
    ) -> Option<Entry> {
        match self.policy.dead_letter.fate(&entry.message, &self.name) {
            Fate::Stays => return Some(entry),
            Fate::Dropped => {
                effects.tally.dropped += 1;
                self.drop_entry(&entry, effects);
            }
            Fate::Moves(queue) => {
                let subscription = self.subscriptions.get(key);
                let end = End {
                    state,
                    cause,
                    consumer: subscription.and_then(|s| s.options.name.as_deref()),
                    now: now.wall,
                };
                let remove = entry.stored.then(|| self.at(entry.position));
                self.bury(&entry.message, queue, &end, remove, effects);
                effects.tally.dead_lettered += 1;
                effects.tally.memory_delta -= signed(entry.bytes());
            }
        }
        None
    }

    /// Forgets a waiting message whose time is over, or sends it to the dead letters.
    pub(super) fn expire(&mut self, now: Now, entry: &Entry, effects: &mut Effects) {
        effects.tally.ready_delta -= 1;
        let remove = entry.stored.then(|| self.at(entry.position));
        if self.buries_expired(now, &entry.message, entry.state(), remove, effects) {
            effects.tally.memory_delta -= signed(entry.bytes());
        } else {
            effects.tally.expired += 1;
            self.drop_entry(entry, effects);
        }
    }

    /// A message has arrived whose time is over.
    pub(super) fn expire_on_arrival(&self, now: Now, message: &Message, effects: &mut Effects) {
        if !self.buries_expired(now, message, DeliveryState::default(), None, effects) {
            effects.tally.expired += 1;
        }
    }

    fn buries_expired(
        &self,
        now: Now,
        message: &Message,
        state: DeliveryState,
        remove: Option<StoredAt>,
        effects: &mut Effects,
    ) -> bool {
        let dead_letter = &self.policy.dead_letter;
        if !dead_letter.expired {
            return false;
        }
        let Fate::Moves(queue) = dead_letter.fate(message, &self.name) else {
            return false;
        };
        let end = End {
            state,
            cause: EXPIRED,
            consumer: None,
            now: now.wall,
        };
        self.bury(message, queue, &end, remove, effects);
        effects.tally.expired_letters += 1;
        true
    }

    fn bury(
        &self,
        message: &Message,
        queue: DestinationName,
        end: &End<'_>,
        remove: Option<StoredAt>,
        effects: &mut Effects,
    ) {
        let ttl = self.policy.dead_letter.ttl;
        effects.forwards.push(Forward {
            target: queue,
            message: dead_letter(message, &self.name.origin(), end, ttl),
            with: remove
                .into_iter()
                .map(|at| Persist::Remove { at })
                .collect(),
        });
    }
}
