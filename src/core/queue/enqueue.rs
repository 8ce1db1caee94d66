//! Messages arrive: each is given to somebody at once, or waits, in memory or on disk.

use std::sync::Arc;

use super::super::effect::{Effects, Forward};
use super::super::error::Refusal;
use super::super::id::Position;
use super::super::message::{DeliveryState, Message};
use super::super::pending::Entry;
use super::super::persist::Persist;
use super::super::policy::Keep;
use super::super::time::Now;
use super::{PRESSED_WINDOW, Queue, signed};

impl Queue {
    /// Adds a message. Returns the place in `effects.persist` of the change that makes it durable, if
    /// there is anything to wait for.
    ///
    /// # Errors
    /// [`Refusal::Full`] or [`Refusal::NoRoom`] when the queue holds all it may.
    pub fn enqueue(
        &mut self,
        now: Now,
        message: Arc<Message>,
        pressed: bool,
        effects: &mut Effects,
    ) -> Result<Option<usize>, Refusal> {
        if let Some(refusal) = self.refuses(&message) {
            return Err(refusal);
        }
        Ok(self.accept(now, message, pressed, effects))
    }

    /// Adds a message that was sent to several destinations, all of which had room a moment ago.
    pub fn take_in(
        &mut self,
        now: Now,
        message: Arc<Message>,
        pressed: bool,
        effects: &mut Effects,
    ) {
        self.accept(now, message, pressed, effects);
    }

    fn accept(
        &mut self,
        now: Now,
        message: Arc<Message>,
        pressed: bool,
        effects: &mut Effects,
    ) -> Option<usize> {
        effects.tally.received += 1;
        if message.expired(now.wall) {
            self.expire_on_arrival(now, &message, effects);
            return None;
        }
        if self.drops(&message) {
            effects.tally.dropped += 1;
            return None;
        }
        let stored = self.admit(now, message, pressed, effects);
        self.make_room(now, effects);
        self.check_invariants();
        stored
    }

    /// Lets the store know the queue although it holds nothing. Returns whether that is news.
    pub fn declare(&mut self, effects: &mut Effects) -> bool {
        let news = !self.defined && self.policy.keep == Keep::All;
        if news {
            self.define(effects);
        }
        news
    }

    /// Takes over a message from another destination, whatever the queue already holds: it was
    /// accepted before.
    pub fn enqueue_forwarded(
        &mut self,
        now: Now,
        forward: Forward,
        pressed: bool,
        effects: &mut Effects,
    ) {
        self.takes_dead_letters |= forward.message.provenance.is_some();
        self.admit(now, forward.message, pressed, effects);
        effects.persist.extend(forward.with);
        self.make_room(now, effects);
        self.check_invariants();
    }

    fn admit(
        &mut self,
        now: Now,
        mut message: Arc<Message>,
        pressed: bool,
        effects: &mut Effects,
    ) -> Option<usize> {
        effects.tally.routed += 1;
        self.last_position = self.last_position.next();
        let position = self.last_position;
        self.keep_behind_its_group(position, &mut message);
        let durable = message.persistent && self.policy.keep == Keep::All;
        let stored = durable.then(|| self.put(position, &message, effects));
        let entry = Entry {
            position,
            message,
            state: None,
            group: None,
            stored: durable,
            covered: position <= self.horizon.requested(),
        };
        if self.pending.is_empty() && self.ring_front().is_some() && !self.aside_is_full() {
            effects.tally.memory_delta += signed(entry.bytes());
            effects.tally.ready_delta += 1;
            self.pending.passed(position);
            self.place_entry(now, entry, effects);
            if self.aside.is_some() {
                self.dispatch(now, effects);
            }
        } else {
            self.wait(entry, pressed, effects);
            self.dispatch(now, effects);
        }
        stored
    }

    /// Lets a new message wait, on disk only if memory has no room for it.
    pub(super) fn wait(&mut self, entry: Entry, pressed: bool, effects: &mut Effects) {
        effects.tally.ready_delta += 1;
        if !self.has_no_room(entry.position, &entry.message, pressed) {
            effects.tally.memory_delta += signed(entry.bytes());
            self.pending.push(entry);
            return;
        }
        let (position, priority, bytes) = (entry.position, entry.message.priority, entry.bytes());
        if !entry.stored {
            self.spill(position, entry.message, effects);
        }
        self.pending.push_on_disk(position, priority, bytes);
    }

    /// Whether a new message at this position can only wait on disk.
    pub(super) fn has_no_room(&self, position: Position, message: &Message, pressed: bool) -> bool {
        let window = if pressed {
            self.policy.memory_window_bytes.min(PRESSED_WINDOW)
        } else {
            self.policy.memory_window_bytes
        };
        let bytes = message.footprint() as u64;
        self.policy.keep != Keep::Nothing
            && self
                .pending
                .overflows(position, message.priority, bytes, window)
    }

    /// Emits what keeps a message on disk for as long as the broker runs.
    pub(super) fn spill(
        &mut self,
        position: Position,
        message: Arc<Message>,
        effects: &mut Effects,
    ) {
        self.define(effects);
        effects.persist.push(Persist::Put {
            at: self.at(position),
            message,
            state: DeliveryState::default(),
            transient: true,
        });
    }

    /// Emits what makes a message durable. The horizon goes first where there are consumers, so that
    /// whenever the message survives a crash, so does the knowledge that it may have been delivered.
    pub(super) fn put(
        &mut self,
        position: Position,
        message: &Arc<Message>,
        effects: &mut Effects,
    ) -> usize {
        self.define(effects);
        if self.subscriptions.len() > 0 {
            self.horizon.cover(self.id, position, effects);
        }
        let index = effects.next_change();
        effects.persist.push(Persist::Put {
            at: self.at(position),
            message: Arc::clone(message),
            state: DeliveryState::default(),
            transient: false,
        });
        index
    }

    fn define(&mut self, effects: &mut Effects) {
        if !self.defined {
            self.defined = true;
            effects.persist.push(Persist::Define {
                destination: self.id,
                name: self.name.clone(),
            });
        }
    }
}
