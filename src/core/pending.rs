//! The messages of a queue that wait for a consumer: by priority, then in their order. The front of
//! each priority is in memory; what does not fit the memory window is a tail that is only counted
//! here and read back from the store page by page.

mod purge;
mod removal;

pub(super) use removal::Taken;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::id::Position;
use super::message::{DeliveryState, Message, Priority};
use super::message_group::{GroupKey, Rank};

/// A message that waits or is in flight.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) message: Arc<Message>,
    /// `None` until it was delivered in vain for the first time.
    pub(super) state: Option<Box<DeliveryState>>,
    /// Its group, once the queue has come to it.
    pub(super) group: Option<GroupKey>,
    /// Whether the store knows it, so that its end must be told.
    pub(super) stored: bool,
    /// Whether the durable horizon reaches it for certain whenever it is itself durable.
    pub(super) covered: bool,
}

impl Entry {
    pub(super) fn bytes(&self) -> u64 {
        self.message.footprint() as u64
    }

    pub(super) fn rank(&self) -> Rank {
        Rank::new(self.message.priority, self.position)
    }

    pub(super) fn state(&self) -> DeliveryState {
        self.state.as_deref().copied().unwrap_or_default()
    }
}

/// What of one priority is on disk only: `count` messages at or after `from`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tail {
    from: Position,
    count: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Level {
    resident: VecDeque<Entry>,
    tail: Tail,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.resident.is_empty() && self.tail.count == 0
    }

    /// Adds a message in memory in its place, which mostly is the last.
    fn add(&mut self, entry: Entry) {
        let position = entry.position;
        if self
            .resident
            .back()
            .is_none_or(|last| last.position < position)
        {
            self.resident.push_back(entry);
        } else {
            let place = self
                .resident
                .partition_point(|other| other.position < position);
            self.resident.insert(place, entry);
        }
    }
}

/// What the next message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is none.
    Nothing,
    /// It can be had by `pop`.
    Resident,
    /// It is on disk: read from here, of this priority.
    OnDisk(Position, Priority),
}

/// A page that was asked for.
#[derive(Debug)]
struct Asked {
    priority: Priority,
    /// How long the tail was then.
    count: u64,
    /// What the page brings up to here was dropped meanwhile.
    dropped: Position,
    /// Messages of transactions that were placed meanwhile, which the page may bring.
    late: Vec<Entry>,
}

impl Asked {
    fn new(priority: Priority, count: u64) -> Self {
        Self {
            priority,
            count,
            dropped: Position(0),
            late: Vec::new(),
        }
    }

    /// Whether the page must not bring a message.
    fn holds(&self, position: Position) -> bool {
        position <= self.dropped || self.late.iter().any(|entry| entry.position == position)
    }
}

/// Waiting messages. Memory of an empty one: one deque without a buffer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    normal: Level,
    /// The other priorities, once one of them was used; index 4 stays empty.
    others: Option<Box<[Level; Priority::COUNT]>>,
    /// Bit p is set when priority p has messages, resident or not.
    occupied: u16,
    /// The last position that was ever in memory. What is on disk only comes after it.
    newest: Position,
    /// Positions that a committing transaction has reserved and not filled yet.
    reserved: Vec<Position>,
    /// A page was asked for and has not come.
    asked: Option<Box<Asked>>,
    /// What was taken out from among those on disk, until pages are past it or the store knows.
    gone: BTreeSet<(Priority, Position)>,
    count: u64,
    bytes: u64,
    resident_bytes: u64,
}

impl Pending {
    /// How many messages wait.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes wait, in memory and on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes of them are in memory.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The messages in memory, in no order.
    pub(super) fn resident(&self) -> impl Iterator<Item = &Entry> {
        let others = self.others.iter().flat_map(|levels| levels.iter());
        let levels = others.chain([&self.normal]);
        levels.flat_map(|level| &level.resident).chain(self.late())
    }

    /// Whether a new message has to wait on disk: because of its size, or because those before it do.
    /// One that ranks before a message that was in memory cannot, since pages are read in order.
    pub(super) fn overflows(
        &self,
        position: Position,
        priority: Priority,
        bytes: u64,
        window: u64,
    ) -> bool {
        let tail = self
            .level(priority)
            .map(|level| level.tail)
            .unwrap_or_default();
        if tail.count > 0 {
            return position >= tail.from;
        }
        position > self.newest && self.resident_bytes > 0 && self.resident_bytes + bytes > window
    }

    /// Notes that a message goes by without waiting.
    pub(super) fn passed(&mut self, position: Position) {
        self.newest = self.newest.max(position);
    }

    /// Adds a message that waits in memory, in its place.
    pub(super) fn push(&mut self, entry: Entry) {
        self.admit(&entry);
        self.level_mut(entry.message.priority).add(entry);
    }

    /// Counts a message that only the store keeps.
    pub(super) fn push_on_disk(&mut self, position: Position, priority: Priority, bytes: u64) {
        self.occupied |= 1 << priority.get();
        self.count += 1;
        self.bytes += bytes;
        let tail = &mut self.level_mut(priority).tail;
        if tail.count == 0 {
            tail.from = position;
        }
        tail.count += 1;
        tail.bytes += bytes;
    }

    /// Counts what recovery found on disk.
    pub(super) fn recover(&mut self, priority: Priority, from: Position, count: u64, bytes: u64) {
        if count > 0 {
            self.occupied |= 1 << priority.get();
            self.count += count;
            self.bytes += bytes;
            self.level_mut(priority).tail = Tail { from, count, bytes };
        }
    }

    /// Whether a message of a transaction that belongs there has to be kept aside: a page is on its way
    /// that may bring it, or may pass it by.
    pub(super) fn awaits_page(&self, position: Position, priority: Priority) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.priority == priority)
            && self
                .level(priority)
                .is_some_and(|level| level.tail.count > 0 && level.tail.from <= position)
    }

    /// Keeps a message aside until the page has come.
    pub(super) fn keep_aside(&mut self, entry: Entry) {
        if let Some(asked) = &mut self.asked {
            asked.late.push(entry);
        }
    }

    /// Keeps a place for a message of a transaction that is being made durable: a page that is read
    /// meanwhile must not bring it.
    pub(super) fn reserve(&mut self, position: Position) {
        self.reserved.push(position);
    }

    /// Gives up a place whose transaction failed.
    pub(super) fn forget(&mut self, position: Position) {
        self.reserved.retain(|reserved| *reserved != position);
    }

    /// What the next message is: the highest priority first.
    pub(super) fn next(&self) -> Next {
        let Some(priority) = self.highest() else {
            return Next::Nothing;
        };
        let Some(level) = self.level(priority) else {
            return Next::Nothing;
        };
        if level.resident.is_empty() {
            Next::OnDisk(level.tail.from, priority)
        } else {
            Next::Resident
        }
    }

    /// The next message, if it is in memory.
    pub(super) fn peek(&self) -> Option<&Entry> {
        self.level(self.highest()?)?.resident.front()
    }

    /// Takes the next message, if it is in memory.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.pop_of(self.highest()?)
    }

    /// Takes the next message of a priority, if it is in memory.
    fn pop_of(&mut self, priority: Priority) -> Option<Entry> {
        let level = self.level_mut(priority);
        let entry = level.resident.pop_front()?;
        if level.resident.is_empty() {
            level.resident.shrink_to(64);
        }
        if level.is_empty() {
            self.occupied &= !(1 << priority.get());
        }
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        self.resident_bytes -= entry.bytes();
        if self.count == 0 {
            self.normal.resident = VecDeque::new();
            self.others = None;
        }
        Some(entry)
    }

    /// Where the next page should be read, once little of what comes before it is left in memory.
    pub(super) fn ask_page(&mut self, low_water: u64) -> Option<(Position, Priority)> {
        let priority = self.highest()?;
        let level = self.level(priority)?;
        if level.tail.count == 0 || (self.resident_bytes > low_water && !level.resident.is_empty())
        {
            return None;
        }
        let (from, count) = (level.tail.from, level.tail.count);
        self.asked = Some(Box::new(Asked::new(priority, count)));
        Some((from, priority))
    }

    /// Takes the page that `ask_page` named. `resume_at` is where the next one starts; with
    /// `exhausted` the store had nothing more. Returns the messages that were kept aside for it.
    pub(super) fn page_in(
        &mut self,
        priority: Priority,
        entries: impl Iterator<Item = Entry>,
        resume_at: Position,
        exhausted: bool,
    ) -> Vec<Entry> {
        let mut brought = Tail::default();
        let mut resident_bytes = 0;
        let reserved = std::mem::take(&mut self.reserved);
        let asked = self.asked.take();
        let taken_out = std::mem::take(&mut self.gone);
        let count = asked.as_ref().map(|asked| asked.count);
        let dropped = asked.as_ref().map_or(Position(0), |asked| asked.dropped);
        let mut newest = self.newest;
        let held = asked.as_deref();
        let known = |position| {
            reserved.contains(&position)
                || taken_out.contains(&(priority, position))
                || held.is_some_and(|asked| asked.holds(position))
        };
        let level = self.level_mut(priority);
        for entry in entries.filter(|entry| !known(entry.position)) {
            brought.count += 1;
            brought.bytes += entry.bytes();
            resident_bytes += entry.bytes();
            newest = newest.max(entry.position);
            level.add(entry);
        }
        // Counted but not there any more: the store is the truth. What was added to the tail since the
        // page was asked for need not have been there to read.
        let mut gone = Tail::default();
        if exhausted && brought.count == 0 && count == Some(level.tail.count) {
            gone = level.tail;
        }
        level.tail.from = if dropped == Position(0) {
            resume_at
        } else {
            resume_at.max(level.tail.from)
        };
        level.tail.count = level.tail.count.saturating_sub(brought.count + gone.count);
        level.tail.bytes = level.tail.bytes.saturating_sub(brought.bytes + gone.bytes);
        if level.tail.count == 0 {
            gone.bytes += level.tail.bytes;
            level.tail = Tail::default();
        }
        if level.is_empty() {
            self.occupied &= !(1 << priority.get());
        }
        self.reserved = reserved;
        self.gone = taken_out;
        self.forget_passed(priority);
        self.newest = newest;
        self.resident_bytes += resident_bytes;
        self.count = self.count.saturating_sub(gone.count);
        self.bytes = self.bytes.saturating_sub(gone.bytes);
        asked.map_or_else(Vec::new, |asked| asked.late)
    }

    /// Whether transactions under way have places here.
    pub(super) fn has_reserved(&self) -> bool {
        !self.reserved.is_empty()
    }

    fn late(&self) -> impl Iterator<Item = &Entry> {
        self.asked.iter().flat_map(|asked| &asked.late)
    }

    fn admit(&mut self, entry: &Entry) {
        self.newest = self.newest.max(entry.position);
        self.occupied |= 1 << entry.message.priority.get();
        self.count += 1;
        self.bytes += entry.bytes();
        self.resident_bytes += entry.bytes();
    }

    fn highest(&self) -> Option<Priority> {
        let top = self.occupied.checked_ilog2()?;
        Some(Priority::clamped(i64::from(top)))
    }

    fn level(&self, priority: Priority) -> Option<&Level> {
        if priority == Priority::DEFAULT {
            return Some(&self.normal);
        }
        self.others.as_ref()?.get(usize::from(priority.get()))
    }

    fn level_mut(&mut self, priority: Priority) -> &mut Level {
        if priority == Priority::DEFAULT {
            return &mut self.normal;
        }
        let others = self.others.get_or_insert_default();
        // A priority is below COUNT by construction; the fallback only satisfies the type.
        others
            .get_mut(usize::from(priority.get()))
            .unwrap_or(&mut self.normal)
    }

    /// Recounts everything and compares.
    #[cfg(any(debug_assertions, test))]
    pub(super) fn check_invariants(&self) {
        let levels = || {
            std::iter::once((4, &self.normal)).chain(
                self.others
                    .iter()
                    .flat_map(|others| others.iter().enumerate()),
            )
        };
        let resident: u64 = levels()
            .flat_map(|(_, level)| &level.resident)
            .map(Entry::bytes)
            .sum();
        assert_eq!(resident, self.resident_bytes, "resident bytes");
        let count: u64 = levels()
            .map(|(_, level)| level.resident.len() as u64 + level.tail.count)
            .sum();
        assert_eq!(count, self.count, "count");
        let bytes: u64 = levels().map(|(_, level)| level.tail.bytes).sum::<u64>() + resident;
        assert_eq!(bytes, self.bytes, "bytes");
        for (priority, level) in levels() {
            let ordered = level.resident.iter().zip(level.resident.iter().skip(1));
            assert!(
                ordered.clone().all(|(a, b)| a.position < b.position),
                "order"
            );
            if !level.is_empty() {
                assert!(
                    self.occupied & (1 << priority) != 0,
                    "occupied bit {priority}"
                );
            }
        }
        for priority in 0..Priority::COUNT {
            let empty = levels()
                .filter(|(p, _)| *p == priority)
                .all(|(_, level)| level.is_empty());
            assert_eq!(
                self.occupied & (1 << priority) == 0,
                empty,
                "occupied bit {priority}"
            );
        }
    }
}
