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

    /// The message of a job, if it is in memory.
    pub fn held(&self, id: Position) -> Option<Arc<Message>> {
        self.held.get(&id).cloned()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(stored: bool) -> Jobs {
        Jobs::new(DestinationId(3), stored)
    }

    fn message() -> Arc<Message> {
        Arc::new(Message::empty())
    }

    fn add(jobs: &mut Jobs, due: u64) -> (Position, Vec<Persist>) {
        let mut changes = Vec::new();
        let (position, change) = jobs.reserve(&message(), &mut changes);
        assert_eq!(change.is_some(), jobs.stored);
        jobs.place(position, &message(), Timestamp(due));
        (position, changes)
    }

    #[test]
    fn jobs_are_due_in_the_order_of_their_times() {
        let mut jobs = jobs(false);
        let [later, soon] = [20, 10].map(|due| add(&mut jobs, due).0);
        assert_eq!(jobs.next(), Some(Timestamp(10)));
        assert_eq!(jobs.due(Timestamp(9)), None);
        assert_eq!(jobs.due(Timestamp(10)).unwrap().0.id, soon);
        jobs.fired(soon, Some(Timestamp(30)));
        assert_eq!(jobs.due(Timestamp(50)).unwrap().0.id, later);
        jobs.fired(later, None);
        let last = jobs.due(Timestamp(50)).unwrap().0;
        assert_eq!((last.id, last.times), (soon, 1));
        assert_eq!((jobs.len(), jobs.state(later)), (1, None));
    }

    #[test]
    fn the_store_hears_of_all_that_happens_to_a_job() {
        let mut jobs = jobs(true);
        let (one, changes) = add(&mut jobs, 10);
        assert!(matches!(
            changes.as_slice(),
            [Persist::Define { .. }, Persist::Put { .. }]
        ));
        let (two, changes) = add(&mut jobs, 10);
        assert!(matches!(changes.as_slice(), [Persist::Put { .. }]));
        let again = jobs.fired(one, Some(Timestamp(20)));
        let Some(Persist::Returned { state, .. }) = again else {
            panic!("{again:?}");
        };
        assert_eq!(
            (state.deliveries, state.first_failure),
            (1, Some(Timestamp(20)))
        );
        assert!(matches!(jobs.end(two), Some(Persist::Remove { .. })));
        assert_eq!(jobs.end(two), None, "it is over");
    }

    #[test]
    fn messages_beyond_the_window_are_left_to_the_store() {
        let mut jobs = jobs(true);
        let most = WINDOW / message().footprint() as u64;
        let ids: Vec<_> = (0..=most).map(|due| add(&mut jobs, due).0).collect();
        assert!(jobs.bytes() <= WINDOW);
        let late = jobs.due(Timestamp(most)).unwrap();
        assert!(late.1.is_some(), "the first one is in memory");
        for id in &ids[..ids.len() - 1] {
            jobs.end(*id);
        }
        assert_eq!(jobs.bytes(), 0);
        assert_eq!(jobs.due(Timestamp(most)).unwrap().1, None);
    }

    #[test]
    fn jobs_of_before_the_start_are_read_unless_they_have_ended_meanwhile() {
        let job = |position, deliveries, first_failure| StoredMessage {
            position: Position(position),
            message: Arc::new(Message {
                job: Some(Box::new(super::super::Job {
                    target: DestinationName::queue("q").unwrap(),
                    due: Timestamp(10),
                    delay: 0,
                    period: 1,
                    repeats: 3,
                    cron: None,
                })),
                ..Message::empty()
            }),
            state: DeliveryState {
                deliveries,
                first_failure,
                ..DeliveryState::default()
            },
        };
        let mut jobs = Jobs::recovered(DestinationId(3), true, Position(2));
        assert_eq!(jobs.unread(), Some(Position(0)));
        jobs.read(&[job(1, 0, None)], Some(Position(2)));
        jobs.end(Position(1));
        let (new, changes) = add(&mut jobs, 5);
        assert_eq!((new, changes.len()), (Position(3), 1));
        let page = [job(1, 0, None), job(2, 2, Some(Timestamp(40)))];
        jobs.read(&page, None);
        assert_eq!((jobs.len(), jobs.unread()), (2, None));
        let known = jobs.state(Position(2)).unwrap();
        assert_eq!((known.due, known.times), (Timestamp(40), 2));
    }
}
