//! The jobs of a broker by when they are due. Of most of them only that is in memory; the messages are
//! in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::destination::DestinationName;
use super::super::id::{DestinationId, Position};
use super::super::message::{DeliveryState, Message, StoredAt};
use super::super::persist::Persist;
use super::super::queue::StoredMessage;
use super::super::time::Timestamp;

/// Bytes of messages that are kept in memory beside the store.
const WINDOW: u64 = 4 << 20;

/// A job as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    due: Timestamp,
    times: u32,
}

/// A job for whoever runs the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobState {
    /// What it is called by.
    pub id: Position,
    /// When it is due next.
    pub due: Timestamp,
    /// How often it was sent on.
    pub times: u32,
}

/// All jobs.
#[derive(Debug)]
pub struct Jobs {
    id: DestinationId,
    /// Whether the store keeps them.
    stored: bool,
    defined: bool,
    last_position: Position,
    known: BTreeMap<Position, Known>,
    due: BTreeSet<(Timestamp, Position)>,
    /// Messages in memory, and their bytes.
    held: BTreeMap<Position, Arc<Message>>,
    bytes: u64,
    /// From where on jobs of before the start have not been read.
    unread: Option<Position>,
    /// Jobs that ended while those of before the start are read: a page may bring them.
    ended: BTreeSet<Position>,
}

impl Jobs {
    /// No jobs. With `stored` the store keeps them.
    pub fn new(id: DestinationId, stored: bool) -> Self {
        Self {
            id,
            stored,
            defined: false,
            last_position: Position(0),
            known: BTreeMap::new(),
            due: BTreeSet::new(),
            held: BTreeMap::new(),
            bytes: 0,
            unread: None,
            ended: BTreeSet::new(),
        }
    }

    /// Those that the store has, which are to be read by [`Self::unread`].
    pub fn recovered(id: DestinationId, stored: bool, last_position: Position) -> Self {
        Self {
            defined: true,
            last_position,
            unread: Some(Position(0)),
            ..Self::new(id, stored)
        }
    }

    /// The destination that has them in the store.
    pub fn id(&self) -> DestinationId {
        self.id
    }

    /// How many there are, as far as they have been read.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Bytes of their messages in memory.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a place for a job, and emits the change that makes it durable. Returns where that is among
    /// the changes.
    pub fn reserve(
        &mut self,
        message: &Arc<Message>,
        changes: &mut Vec<Persist>,
    ) -> (Position, Option<usize>) {
        self.last_position = self.last_position.next();
        let position = self.last_position;
        if !self.stored {
            return (position, None);
        }
        if !self.defined {
            self.defined = true;
            changes.push(Persist::Define {
                destination: self.id,
                name: DestinationName::schedule(),
            });
        }
        changes.push(Persist::Put {
            at: self.at(position),
            message: Arc::clone(message),
            state: DeliveryState::default(),
            transient: false,
        });
        (position, changes.len().checked_sub(1))
    }

    /// Lets a job whose place was kept take effect.
    pub fn place(&mut self, position: Position, message: &Arc<Message>, due: Timestamp) {
        let bytes = message.footprint() as u64;
        if !self.stored || self.bytes + bytes <= WINDOW {
            self.bytes += bytes;
            self.held.insert(position, Arc::clone(message));
        }
        self.note(position, Known { due, times: 0 });
    }

    fn note(&mut self, position: Position, known: Known) {
        if let Some(before) = self.known.insert(position, known) {
            self.due.remove(&(before.due, position));
        }
        self.due.insert((known.due, position));
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// One that is due, with its message if that is in memory.
    pub fn due(&self, now: Timestamp) -> Option<(JobState, Option<Arc<Message>>)> {
        let (_, id) = self.due.first().filter(|(due, _)| *due <= now)?;
        Some((self.state(*id)?, self.held.get(id).cloned()))
    }

    /// A job by its place.
    pub fn state(&self, id: Position) -> Option<JobState> {
        let Known { due, times } = *self.known.get(&id)?;
        Some(JobState { id, due, times })
    }

    /// All jobs, in the order in which they are due.
    pub fn all(&self) -> Vec<JobState> {
        self.due
            .iter()
            .filter_map(|(_, id)| self.state(*id))
            .collect()
    }

    /// Makes a job due at another time than it was to be. Returns whether there is such a job.
    pub fn postpone(&mut self, id: Position, due: Timestamp) -> bool {
        let Some(known) = self.known.get(&id).copied() else {
            return false;
        };
        self.note(id, Known { due, ..known });
        true
    }

    /// A job was sent on, and is due again, or is over. Returns the change that says so.
    pub fn fired(&mut self, id: Position, next: Option<Timestamp>) -> Option<Persist> {
        let known = self.known.get(&id).copied()?;
        let Some(due) = next else {
            return self.end(id);
        };
        let times = known.times.saturating_add(1);
        self.note(id, Known { due, times });
        let at = self.at(id);
        // What came of a job is kept as that of a delivery: how often, and when it is next.
        let state = DeliveryState {
            deliveries: times,
            first_failure: Some(due),
            ..DeliveryState::default()
        };
        self.stored.then_some(Persist::Returned { at, state })
    }

    /// Ends a job. Returns the change that says so.
    pub fn end(&mut self, id: Position) -> Option<Persist> {
        let known = self.known.remove(&id)?;
        self.due.remove(&(known.due, id));
        if let Some(message) = self.held.remove(&id) {
            self.bytes -= message.footprint() as u64;
        }
        if self.unread.is_some() {
            self.ended.insert(id);
        }
        let at = self.at(id);
        self.stored.then_some(Persist::Remove { at })
    }

    /// From where on jobs of before the start are to be read.
    pub fn unread(&self) -> Option<Position> {
        self.unread
    }

    /// Takes jobs of before the start in. `from` is where the next ones are, if there are any.
    pub fn read(&mut self, stored: &[StoredMessage], from: Option<Position>) {
        self.unread = from;
        for StoredMessage {
            position,
            message,
            state,
        } in stored
        {
            let due = state
                .first_failure
                .or(message.job.as_ref().map(|job| job.due));
            let is_new = !self.known.contains_key(position) && !self.ended.contains(position);
            if let Some(due) = due.filter(|_| is_new) {
                let times = state.deliveries;
                self.note(*position, Known { due, times });
            }
        }
        if self.unread.is_none() {
            self.ended.clear();
        }
    }

    fn at(&self, position: Position) -> StoredAt {
        StoredAt {
            destination: self.id,
            position,
        }
    }
}
