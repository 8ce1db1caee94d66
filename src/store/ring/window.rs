//! What the ring holds and the file below does not: changes of many batches, merged. Here most
//! messages of a queue whose consumers keep up meet their end: put and removed, they leave nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::core::{DeliveryState, DestinationId, Message, Persist, Position, Priority, StoredAt};

/// A message that is not in the file yet.
#[derive(Clone, Debug)]
pub(super) struct Unfolded {
    pub(super) message: Arc<Message>,
    pub(super) state: DeliveryState,
    transient: bool,
}

/// Changes of one destination.
#[derive(Debug, Default)]
struct Destination {
    /// What was before is gone: the destination was undefined in this window.
    undefined: bool,
    puts: BTreeMap<Position, Unfolded>,
    /// Messages below the window that are gone.
    removed: BTreeSet<Position>,
    /// Messages below the window that came back.
    returned: BTreeMap<Position, DeliveryState>,
    horizon: Option<Position>,
    /// The last position of a message, even if nothing is left of it.
    last: Position,
}

/// Changes that are to become one transaction of the file.
#[derive(Debug, Default)]
pub(super) struct Window {
    definitions: Vec<Persist>,
    destinations: FxHashMap<DestinationId, Destination>,
    bytes: usize,
    messages: usize,
    cancelled: usize,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.destinations.is_empty()
    }

    /// Bytes of the messages that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that it holds, and those of which nothing was left.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.messages, self.cancelled)
    }

    /// Adds a change behind all others.
    pub(super) fn take(&mut self, change: &Persist) {
        match change {
            Persist::Define { .. } => self.definitions.push(change.clone()),
            Persist::Undefine { destination } => {
                self.definitions.push(change.clone());
                let changed = self.destinations.entry(*destination).or_default();
                let dropped = std::mem::take(&mut changed.puts);
                *changed = Destination {
                    undefined: true,
                    last: changed.last,
                    ..Destination::default()
                };
                self.messages -= dropped.len();
                let bytes = dropped.values().map(|put| put.message.footprint());
                self.bytes -= bytes.sum::<usize>();
            }
            Persist::Put {
                at,
                message,
                state,
                transient,
            } => {
                self.bytes += message.footprint();
                self.messages += 1;
                let changed = self.destinations.entry(at.destination).or_default();
                changed.last = changed.last.max(at.position);
                // What was said of it before it was there meant nothing.
                changed.removed.remove(&at.position);
                changed.returned.remove(&at.position);
                let put = Unfolded {
                    message: Arc::clone(message),
                    state: *state,
                    transient: *transient,
                };
                changed.puts.insert(at.position, put);
            }
            Persist::Remove { at } => {
                let changed = self.destinations.entry(at.destination).or_default();
                if let Some(put) = changed.puts.remove(&at.position) {
                    self.bytes -= put.message.footprint();
                    self.messages -= 1;
                    self.cancelled += 1;
                } else if !changed.undefined {
                    changed.returned.remove(&at.position);
                    changed.removed.insert(at.position);
                }
            }
            Persist::Returned { at, state } => {
                let changed = self.destinations.entry(at.destination).or_default();
                if let Some(put) = changed.puts.get_mut(&at.position) {
                    put.state = *state;
                } else if !changed.undefined {
                    changed.returned.insert(at.position, *state);
                }
            }
            Persist::Horizon {
                destination,
                position,
            } => self.destinations.entry(*destination).or_default().horizon = Some(*position),
        }
    }

    /// All that is left, in an order in which it can be applied.
    pub(super) fn changes(&self) -> Vec<Persist> {
        let mut changes = self.definitions.clone();
        let mut sorted: Vec<_> = self.destinations.iter().collect();
        sorted.sort_unstable_by_key(|(destination, _)| **destination);
        for (destination, changed) in sorted {
            let destination = *destination;
            let at = |position| StoredAt {
                destination,
                position,
            };
            let puts = changed.puts.iter().map(|(position, put)| Persist::Put {
                at: at(*position),
                message: Arc::clone(&put.message),
                state: put.state,
                transient: put.transient,
            });
            changes.extend(puts);
            let removed = changed.removed.iter();
            changes.extend(removed.map(|position| Persist::Remove { at: at(*position) }));
            changes.extend(changed.returned.iter().map(|(position, state)| {
                let (at, state) = (at(*position), *state);
                Persist::Returned { at, state }
            }));
            changes.extend(changed.horizon.map(|position| Persist::Horizon {
                destination,
                position,
            }));
        }
        changes
    }

    /// The last position of each destination that a message was put to.
    pub(super) fn last_positions(&self) -> Vec<(DestinationId, Position)> {
        let destinations = self.destinations.iter();
        destinations
            .filter(|(_, changed)| changed.last > Position(0))
            .map(|(destination, changed)| (*destination, changed.last))
            .collect()
    }

    /// Whether everything that lies below the window of a destination is gone.
    pub(super) fn hides(&self, destination: DestinationId) -> bool {
        let changed = self.destinations.get(&destination);
        changed.is_some_and(|changed| changed.undefined)
    }

    /// What has become of a message below the window: `None` if it is gone, else its state.
    pub(super) fn state_of(&self, at: StoredAt, below: DeliveryState) -> Option<DeliveryState> {
        let Some(changed) = self.destinations.get(&at.destination) else {
            return Some(below);
        };
        if changed.undefined || changed.removed.contains(&at.position) {
            return None;
        }
        Some(changed.returned.get(&at.position).copied().unwrap_or(below))
    }

    /// Messages of the window at or after a position, in order.
    pub(super) fn messages(
        &self,
        destination: DestinationId,
        from: Position,
        priority: Option<Priority>,
    ) -> impl Iterator<Item = (Position, &Unfolded)> {
        let changed = self.destinations.get(&destination);
        let puts = changed.map(|changed| changed.puts.range(from..));
        puts.into_iter()
            .flatten()
            .filter(move |(_, put)| priority.is_none_or(|asked| put.message.priority == asked))
            .map(|(position, put)| (*position, put))
    }
}
