//! Taking waiting messages out before their turn.

use super::super::id::Position;
use super::super::message::Priority;
use super::{Entry, Next, Pending};

impl Pending {
    /// The message that is the first to be dropped: the oldest of the lowest priority.
    pub(in crate::core) fn last_in_rank(&self) -> Next {
        let Some(priority) = self.lowest() else {
            return Next::Nothing;
        };
        match self.level(priority) {
            None => Next::Nothing,
            Some(level) if level.resident.is_empty() => Next::OnDisk(level.tail.from, priority),
            Some(_) => Next::Resident,
        }
    }

    /// That message's position and priority.
    pub(in crate::core) fn last_place(&self) -> Option<(Priority, Position)> {
        let priority = self.lowest()?;
        let level = self.level(priority)?;
        let resident = level.resident.front().map(|entry| entry.position);
        Some((priority, resident.unwrap_or(level.tail.from)))
    }

    /// Takes that message, if it is in memory.
    pub(in crate::core) fn pop_last_in_rank(&mut self) -> Option<Entry> {
        let priority = self.lowest()?;
        self.pop_of(priority)
    }

    /// Notes that a page is asked for from the tail of a priority. Returns where it starts.
    pub(in crate::core) fn ask_page_of(&mut self, priority: Priority) -> Option<Position> {
        let tail = self.level(priority)?.tail;
        self.asked = Some((priority, tail.count));
        (tail.count > 0).then_some(tail.from)
    }

    fn lowest(&self) -> Option<Priority> {
        (self.occupied != 0).then(|| Priority::clamped(i64::from(self.occupied.trailing_zeros())))
    }
}
