//! Taking waiting messages out before their turn.

use super::super::id::Position;
use super::super::message::Priority;
use super::{Asked, Entry, Next, Pending, Tail, VecDeque};

/// A waiting message that was taken out before its turn.
#[derive(Debug)]
pub(in crate::core) enum Taken {
    /// It was in memory.
    Entry(Entry),
    /// The store has it.
    OnDisk,
}

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
        self.asked = Some(Box::new(Asked::new(priority, tail.count)));
        (tail.count > 0).then_some(tail.from)
    }

    /// Takes a message out from anywhere, if it waits. One on disk only has to be known to be there: by
    /// having been read, and not taken since.
    pub(in crate::core) fn take_at(
        &mut self,
        position: Position,
        priority: Priority,
        bytes: u64,
    ) -> Option<Taken> {
        let asked = self.asked.as_ref();
        let kept_apart = self.reserved.contains(&position)
            || self.gone.contains(&(priority, position))
            || asked.is_some_and(|asked| asked.holds(position));
        let level = self.level_mut(priority);
        let found = level
            .resident
            .binary_search_by_key(&position, |entry| entry.position);
        let taken = match found {
            Ok(index) => Taken::Entry(level.resident.remove(index)?),
            Err(_) if kept_apart || level.tail.count == 0 || position < level.tail.from => {
                return None;
            }
            Err(_) => {
                level.tail.count -= 1;
                level.tail.bytes = level.tail.bytes.saturating_sub(bytes);
                if level.tail.count == 0 {
                    level.tail = Tail::default();
                }
                Taken::OnDisk
            }
        };
        if level.is_empty() {
            level.resident = VecDeque::new();
            self.occupied &= !(1 << priority.get());
        }
        match &taken {
            Taken::Entry(entry) => self.resident_bytes -= entry.bytes(),
            Taken::OnDisk => {
                self.gone.insert((priority, position));
                self.forget_passed(priority);
            }
        }
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(taken)
    }

    /// The store has been told of all that was taken out so far.
    pub(in crate::core) fn forget_gone(&mut self) {
        if self.asked.is_none() {
            self.gone.clear();
        }
    }

    /// Forgets what was taken out of a priority where no page will come to it any more.
    pub(super) fn forget_passed(&mut self, priority: Priority) {
        let asked = self.asked.as_ref();
        if self.gone.is_empty() || asked.is_some_and(|asked| asked.priority == priority) {
            return;
        }
        let tail = self.level(priority).map_or(Tail::default(), |l| l.tail);
        let comes = |position: Position| tail.count > 0 && position >= tail.from;
        if tail.count > 0 && self.gone.first().is_some_and(|(_, first)| comes(*first)) {
            return;
        }
        self.gone
            .retain(|(other, position)| *other != priority || comes(*position));
    }

    fn lowest(&self) -> Option<Priority> {
        (self.occupied != 0).then(|| Priority::clamped(i64::from(self.occupied.trailing_zeros())))
    }
}
