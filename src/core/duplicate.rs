//! Duplicate detection: a message whose sender gave it an identity is taken once by its destination. What
//! came with an identity that is known, which is that of one of the last so many messages to the same
//! destination within some time, has been there before.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::destination::DestinationName;
use super::id::{DestinationId, Position};
use super::message::{DeliveryState, Encoded, Message, StoredAt};
use super::persist::Persist;
use super::queue::StoredMessage;
use super::time::Timestamp;

/// How long and how many identities are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateWindow {
    /// For so long, in milliseconds.
    pub millis: u64,
    /// So many for each destination.
    pub ids: usize,
    /// So many for all destinations together.
    pub total: usize,
}

impl Default for DuplicateWindow {
    /// Two minutes, twenty thousand for each destination, a million in all.
    fn default() -> Self {
        Self {
            millis: 120_000,
            ids: 20_000,
            total: 1_000_000,
        }
    }
}

/// An identity that is remembered.
#[derive(Debug)]
struct Remembered {
    id: Arc<[u8]>,
    position: Position,
    stored: bool,
}

/// What is remembered for one destination, the oldest first.
#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<Arc<[u8]>>,
    order: VecDeque<Remembered>,
}

/// The identities of all destinations. Those of persistent messages are in the store, each in the very
/// change that stores its message.
#[derive(Debug)]
pub struct Duplicates {
    window: DuplicateWindow,
    id: DestinationId,
    /// Whether the store keeps them.
    stored: bool,
    defined: bool,
    last_position: Position,
    seen: FxHashMap<DestinationName, Seen>,
    /// Everything that was remembered, by when, the oldest first; some may be forgotten already.
    ages: VecDeque<(Timestamp, DestinationName, Position)>,
    count: usize,
}

impl Duplicates {
    /// Nothing is remembered. With `stored` the store keeps what will be; `last_position` is the last
    /// one of an earlier run.
    pub fn new(
        window: DuplicateWindow,
        id: DestinationId,
        stored: bool,
        last_position: Option<Position>,
    ) -> Self {
        Self {
            window,
            id,
            stored,
            defined: last_position.is_some(),
            last_position: last_position.unwrap_or_default(),
            seen: FxHashMap::default(),
            ages: VecDeque::new(),
            count: 0,
        }
    }

    /// The destination that has them in the store.
    pub fn id(&self) -> DestinationId {
        self.id
    }

    /// Whether nothing was ever stored.
    pub fn is_new(&self) -> bool {
        !self.defined
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a destination has had a message of this identity. Forgets what is too old first.
    pub fn knows(
        &mut self,
        destination: &DestinationName,
        id: &[u8],
        now: Timestamp,
        changes: &mut Vec<Persist>,
    ) -> bool {
        self.forget_old(now, changes);
        let seen = self.seen.get(destination);
        seen.is_some_and(|seen| seen.ids.contains(id))
    }

    /// Remembers the identity of a message that a destination takes now.
    pub fn remember(
        &mut self,
        destination: &DestinationName,
        id: &[u8],
        now: Timestamp,
        persistent: bool,
        changes: &mut Vec<Persist>,
    ) {
        self.last_position = self.last_position.next();
        let position = self.last_position;
        let stored = self.stored && persistent;
        if stored {
            if !self.defined {
                self.defined = true;
                changes.push(Persist::Define {
                    destination: self.id,
                    name: DestinationName::duplicates(),
                });
            }
            changes.push(Persist::Put {
                at: self.at(position),
                message: Arc::new(entry(destination, id, now)),
                state: DeliveryState::default(),
                transient: false,
            });
        }
        self.note(destination, id.into(), now, position, stored);
        let overflow = self.seen.get(destination);
        if overflow.is_some_and(|seen| seen.order.len() > self.window.ids) {
            self.forget_first(destination, changes);
        }
        while self.count > self.window.total && self.forget_oldest(changes) {}
    }

    /// Takes in what the store remembers, and forgets what is too old.
    pub fn read(&mut self, stored: &[StoredMessage], now: Timestamp, changes: &mut Vec<Persist>) {
        for StoredMessage {
            position, message, ..
        } in stored
        {
            if let Some(destination) = message.sent_to.as_deref() {
                let id = message.encoded.bytes.as_ref().into();
                self.note(destination, id, message.timestamp, *position, true);
            }
        }
        self.forget_old(now, changes);
    }

    fn note(
        &mut self,
        destination: &DestinationName,
        id: Arc<[u8]>,
        at: Timestamp,
        position: Position,
        stored: bool,
    ) {
        let seen = self.seen.entry(destination.clone()).or_default();
        seen.ids.insert(Arc::clone(&id));
        seen.order.push_back(Remembered {
            id,
            position,
            stored,
        });
        self.ages.push_back((at, destination.clone(), position));
        self.count += 1;
    }

    fn forget_old(&mut self, now: Timestamp, changes: &mut Vec<Persist>) {
        let until = now.0.saturating_sub(self.window.millis);
        while self.ages.front().is_some_and(|(at, ..)| at.0 <= until) {
            self.forget_oldest(changes);
        }
    }

    /// Forgets the oldest of all. Returns false if there is none.
    fn forget_oldest(&mut self, changes: &mut Vec<Persist>) -> bool {
        let Some((_, destination, position)) = self.ages.pop_front() else {
            return false;
        };
        let first = self
            .seen
            .get(&destination)
            .and_then(|seen| seen.order.front());
        // It may have made room for a younger one of its destination before.
        if first.is_some_and(|first| first.position == position) {
            self.forget_first(&destination, changes);
        }
        true
    }

    fn forget_first(&mut self, destination: &DestinationName, changes: &mut Vec<Persist>) {
        let Some(seen) = self.seen.get_mut(destination) else {
            return;
        };
        if let Some(first) = seen.order.pop_front() {
            seen.ids.remove(&first.id);
            self.count -= 1;
            if first.stored {
                let at = StoredAt {
                    destination: self.id,
                    position: first.position,
                };
                changes.push(Persist::Remove { at });
            }
        }
        if seen.order.is_empty() {
            self.seen.remove(destination);
        }
    }

    fn at(&self, position: Position) -> StoredAt {
        StoredAt {
            destination: self.id,
            position,
        }
    }
}

/// An identity as the store keeps it: a message whose bytes it is.
fn entry(destination: &DestinationName, id: &[u8], now: Timestamp) -> Message {
    Message {
        timestamp: now,
        persistent: true,
        sent_to: Some(Box::new(destination.clone())),
        encoded: Encoded {
            bytes: Bytes::copy_from_slice(id),
            ..Encoded::default()
        },
        ..Message::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: DuplicateWindow = DuplicateWindow {
        millis: 100,
        ids: 3,
        total: 5,
    };

    fn duplicates() -> Duplicates {
        Duplicates::new(SMALL, DestinationId(4), true, None)
    }

    fn queue(name: &str) -> DestinationName {
        DestinationName::queue(name).unwrap()
    }

    fn add(known: &mut Duplicates, name: &str, id: &str, now: u64) -> Vec<Persist> {
        let mut changes = Vec::new();
        let now = Timestamp(now);
        known.remember(&queue(name), id.as_bytes(), now, true, &mut changes);
        changes
    }

    fn knows(known: &mut Duplicates, name: &str, id: &str, now: u64) -> bool {
        let now = Timestamp(now);
        known.knows(&queue(name), id.as_bytes(), now, &mut Vec::new())
    }

    #[test]
    fn an_identity_is_known_to_its_destination_for_its_time() {
        let mut known = duplicates();
        add(&mut known, "a", "1", 10);
        assert!(knows(&mut known, "a", "1", 109));
        assert!(!knows(&mut known, "a", "2", 109));
        assert!(!knows(&mut known, "b", "1", 109));
        assert!(!knows(&mut known, "a", "1", 110));
        assert!(known.is_empty());
    }

    #[test]
    fn a_destination_remembers_its_last_ones_and_all_together_have_a_bound() {
        let mut known = duplicates();
        for id in ["1", "2", "3", "4"] {
            add(&mut known, "a", id, 1000);
        }
        assert!(!knows(&mut known, "a", "1", 1000) && knows(&mut known, "a", "2", 1000));
        for id in ["1", "2"] {
            add(&mut known, "b", id, 1000);
        }
        assert_eq!(known.len(), 5);
        add(&mut known, "c", "1", 1000);
        assert_eq!(known.len(), 5);
        assert!(
            !knows(&mut known, "a", "2", 1000),
            "the oldest of all made room"
        );
        assert!(knows(&mut known, "a", "3", 1000) && knows(&mut known, "b", "1", 1000));
    }

    #[test]
    fn the_store_has_what_is_remembered_of_persistent_messages() {
        let mut known = duplicates();
        let changes = add(&mut known, "a", "1", 10);
        assert!(matches!(
            changes.as_slice(),
            [Persist::Define { .. }, Persist::Put { .. }]
        ));
        let mut changes = Vec::new();
        known.remember(&queue("a"), b"2", Timestamp(10), false, &mut changes);
        assert_eq!(changes, []);
        known.knows(&queue("a"), b"1", Timestamp(500), &mut changes);
        assert!(
            matches!(changes.as_slice(), [Persist::Remove { at }] if at.position == Position(1)),
            "{changes:?}"
        );
    }

    #[test]
    fn what_the_store_remembers_is_known_again_unless_it_is_too_old() {
        let stored: Vec<_> = [("1", 10), ("2", 90)]
            .iter()
            .zip(1..)
            .map(|((id, at), position)| StoredMessage {
                position: Position(position),
                message: Arc::new(entry(&queue("a"), id.as_bytes(), Timestamp(*at))),
                state: DeliveryState::default(),
            })
            .collect();
        let last = Some(Position(2));
        let mut known = Duplicates::new(SMALL, DestinationId(4), true, last);
        let mut changes = Vec::new();
        known.read(&stored, Timestamp(150), &mut changes);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!(!knows(&mut known, "a", "1", 150) && knows(&mut known, "a", "2", 150));
        let changes = add(&mut known, "a", "3", 150);
        assert!(
            matches!(changes.as_slice(), [Persist::Put { at, .. }] if at.position == Position(3))
        );
    }
}
