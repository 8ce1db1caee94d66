//! Dead letters that are tried once more where they came from.

use std::sync::Arc;

use super::super::dead_letter::revive;
use super::super::effect::{Effects, Forward};
use super::super::id::Position;
use super::super::message::Message;
use super::super::pending::Taken;
use super::super::persist::Persist;
use super::super::time::Now;
use super::aside::Place;
use super::{Queue, signed};
use crate::core::message_group::Slot;

impl Queue {
    /// The messages that wait in memory, with their places, in no particular order.
    pub fn waiting_in_memory(&self) -> Vec<(Position, Arc<Message>)> {
        let pending = self.pending.resident();
        let aside = self.aside.iter().flat_map(|aside| aside.residents());
        let entries = pending.chain(aside);
        entries
            .map(|entry| (entry.position, Arc::clone(&entry.message)))
            .collect()
    }

    /// Sends a waiting dead letter back to where it came from, as it was before. Nothing happens, and
    /// `false` is the answer, if it does not wait here any more, or is no dead letter.
    pub fn retry(
        &mut self,
        now: Now,
        position: Position,
        message: &Message,
        effects: &mut Effects,
    ) -> bool {
        let Some((target, revived)) = revive(message, now.wall) else {
            return false;
        };
        let Some(stored) = self.take_out(now, position, message, effects) else {
            return false;
        };
        effects.tally.ready_delta -= 1;
        effects.tally.retried += 1;
        effects.forwards.push(Forward {
            target,
            message: revived,
            with: stored
                .then(|| Persist::Remove {
                    at: self.at(position),
                })
                .into_iter()
                .collect(),
        });
        true
    }

    /// The store has been told of all that happened here so far, so that nothing it gives is old.
    pub fn all_is_committed(&mut self) {
        self.pending.forget_gone();
    }

    /// Takes a waiting message out, wherever it waits. Says whether the store knows it.
    fn take_out(
        &mut self,
        now: Now,
        position: Position,
        message: &Message,
        effects: &mut Effects,
    ) -> Option<bool> {
        let bytes = message.footprint() as u64;
        match self.pending.take_at(position, message.priority, bytes) {
            Some(Taken::Entry(entry)) => {
                effects.tally.memory_delta -= signed(entry.bytes());
                return Some(entry.stored);
            }
            Some(Taken::OnDisk) => return Some(true),
            None => {}
        }
        let aside = self.aside.as_mut()?;
        let membership = message.membership();
        let place = Place {
            group: membership.and_then(|member| aside.groups.find(&member.group)),
            priority: message.priority,
            position,
        };
        let slot = aside.take_anywhere(place)?;
        let stored = match &slot {
            Slot::Here(entry) => {
                effects.tally.memory_delta -= signed(entry.bytes());
                entry.stored
            }
            Slot::OnDisk { .. } => true,
        };
        self.group_dropped(now, place);
        if let Some(aside) = &mut self.aside {
            effects.tally.memory_delta += aside.overhead_delta();
        }
        Some(stored)
    }
}
