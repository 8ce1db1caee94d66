//! Messages that no subscription wanted which could have been given them when their turn came. Each
//! subscription that does not want everything remembers how far it has looked through them.

use std::collections::BTreeMap;

use super::super::id::Position;
use super::super::message::Priority;
use super::super::message_group::Slot;

/// How far a subscription has looked, by priority: it wants nothing before these positions.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Cursors([Position; Priority::COUNT]);

impl Cursors {
    fn at(&self, priority: Priority) -> Position {
        let at = self.0.get(usize::from(priority.get())).copied();
        at.unwrap_or_default()
    }

    /// Nothing up to this position is wanted.
    pub(super) fn pass(&mut self, priority: Priority, position: Position) {
        if let Some(at) = self.0.get_mut(usize::from(priority.get())) {
            *at = (*at).max(position.next());
        }
    }

    /// A message at this position has not been looked at.
    pub(super) fn return_to(&mut self, priority: Priority, position: Position) {
        if let Some(at) = self.0.get_mut(usize::from(priority.get())) {
            *at = (*at).min(position);
        }
    }
}

#[derive(Debug, Default)]
struct Level {
    slots: BTreeMap<Position, Slot>,
    /// The last position that there ever was.
    newest: Position,
}

/// Messages set aside, by priority and position.
#[derive(Debug, Default)]
pub(super) struct Unmatched {
    levels: [Level; Priority::COUNT],
    count: u64,
}

impl Unmatched {
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Adds a message. Returns whether one behind it has been here before, so that somebody may have
    /// looked further than this.
    pub(super) fn push(&mut self, priority: Priority, position: Position, slot: Slot) -> bool {
        let Some(level) = self.levels.get_mut(usize::from(priority.get())) else {
            return false;
        };
        let late = position < level.newest;
        level.newest = level.newest.max(position);
        level.slots.insert(position, slot);
        self.count += 1;
        late
    }

    /// The first message that has not been looked at.
    pub(super) fn next(&self, cursors: &Cursors) -> Option<(Priority, Position, &Slot)> {
        (0..Priority::COUNT).rev().find_map(|number| {
            let priority = Priority::clamped(i64::try_from(number).ok()?);
            let level = self.levels.get(number)?;
            let (position, slot) = level.slots.range(cursors.at(priority)..).next()?;
            Some((priority, *position, slot))
        })
    }

    /// The first message of a priority that has not been looked at.
    pub(super) fn next_of(&self, priority: Priority, cursors: &Cursors) -> Option<Position> {
        let level = self.levels.get(usize::from(priority.get()))?;
        let (position, _) = level.slots.range(cursors.at(priority)..).next()?;
        Some(*position)
    }

    /// One of those up to a position.
    pub(super) fn first(&self, until: Position) -> Option<(Priority, Position)> {
        (0..).zip(&self.levels).find_map(|(number, level)| {
            let (position, _) = level.slots.range(..=until).next()?;
            Some((Priority::clamped(number), *position))
        })
    }

    /// The oldest of the lowest priority.
    pub(super) fn oldest(&self) -> Option<(Priority, Position)> {
        self.levels.iter().enumerate().find_map(|(number, level)| {
            let (position, _) = level.slots.first_key_value()?;
            Some((Priority::clamped(i64::try_from(number).ok()?), *position))
        })
    }

    pub(super) fn take(&mut self, priority: Priority, position: Position) -> Option<Slot> {
        let level = self.levels.get_mut(usize::from(priority.get()))?;
        let slot = level.slots.remove(&position)?;
        self.count -= 1;
        Some(slot)
    }

    pub(super) fn slot_mut(&mut self, priority: Priority, position: Position) -> Option<&mut Slot> {
        let level = self.levels.get_mut(usize::from(priority.get()))?;
        level.slots.get_mut(&position)
    }

    /// All of them.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.levels.iter().flat_map(|level| level.slots.values())
    }
}
