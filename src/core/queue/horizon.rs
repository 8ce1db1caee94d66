//! How far consumers may have seen a queue, as far as a crash lets anybody know.
//!
//! The horizon is raised ahead of deliveries, so that one small change serves many of them. A message
//! stored behind the change that raised the horizon over it may be delivered at once: in the log the
//! horizon comes first. A message stored earlier waits until the horizon is durable.

use super::super::effect::Effects;
use super::super::id::{DestinationId, Position};
use super::super::persist::Persist;

/// The horizon is raised at most this far ahead of the message that is delivered.
const AHEAD: u64 = 1000;

/// Where the horizon stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Horizon {
    /// What the store was asked to remember.
    requested: Position,
    /// What it remembers for certain.
    durable: Position,
    /// What it remembered when the broker started after a crash; messages up to here are flagged.
    recovered: Position,
    /// Whether somebody will tell when `requested` is durable.
    awaited: bool,
}

impl Horizon {
    pub(super) fn recovered(position: Position) -> Self {
        Self {
            requested: position,
            durable: position,
            recovered: position,
            awaited: false,
        }
    }

    pub(super) fn requested(&self) -> Position {
        self.requested
    }

    /// Whether a message at this position may have been delivered before the crash.
    pub(super) fn flags(&self, position: Position) -> bool {
        position <= self.recovered
    }

    /// Whether a message that was stored before the horizon covered it may be delivered.
    pub(super) fn allows(&self, position: Position) -> bool {
        position <= self.durable
    }

    /// Makes sure that a message about to be stored is covered.
    pub(super) fn cover(&mut self, id: DestinationId, position: Position, effects: &mut Effects) {
        if position > self.requested {
            self.raise(id, position, effects);
        }
    }

    /// Asks for the horizon to be raised over a message that waits for it, and a little early for
    /// those behind it, so that a long backlog flows without pauses.
    pub(super) fn want(&mut self, id: DestinationId, position: Position, effects: &mut Effects) {
        if !self.awaited && position.0 + AHEAD / 2 > self.durable.0 {
            self.awaited = true;
            if position.0 + AHEAD / 2 > self.requested.0 {
                self.raise(id, position, effects);
            }
            effects.awaits_horizon = Some(self.requested);
        }
    }

    /// The store remembers the horizon at `position`.
    pub(super) fn reached(&mut self, position: Position) {
        self.durable = self.durable.max(position);
        self.awaited = false;
    }

    /// Takes back what was raised since the start; with nothing left that it could flag, all of it.
    pub(super) fn seal(&mut self, id: DestinationId, nothing_left: bool, effects: &mut Effects) {
        let position = if nothing_left {
            Position(0)
        } else {
            self.recovered
        };
        if position != self.requested {
            self.requested = position;
            effects.persist.push(Persist::Horizon {
                destination: id,
                position,
            });
        }
    }

    fn raise(&mut self, id: DestinationId, position: Position, effects: &mut Effects) {
        self.requested = Position(position.0 + AHEAD - 1);
        effects.persist.push(Persist::Horizon {
            destination: id,
            position: self.requested,
        });
    }
}
