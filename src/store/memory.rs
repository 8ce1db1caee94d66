//! A store that forgets: for brokers without durable state, and the yardstick of the contract suite.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{
    Batch, Page, PageLimit, Reader, Recovered, RecoveredDestination, Store, StoreError, StoreSize,
};
use crate::core::{
    DeliveryState, DestinationId, DestinationName, Message, Persist, Position, Priority, StoredAt,
    Tick,
};

/// Everything in maps.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    destinations: BTreeMap<DestinationId, Known>,
    messages: BTreeMap<StoredAt, Kept>,
    next_id: DestinationId,
    starts: u32,
    clean: bool,
}

#[derive(Debug)]
struct Known {
    name: DestinationName,
    last_position: Position,
    horizon: Position,
}

#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    state: DeliveryState,
    transient: bool,
}

impl State {
    fn apply(&mut self, change: &Persist) {
        match change {
            Persist::Define { destination, name } => {
                self.next_id = self.next_id.max(destination.next());
                let (last_position, horizon) = (Position(0), Position(0));
                let known = Known {
                    name: name.clone(),
                    last_position,
                    horizon,
                };
                self.destinations.insert(*destination, known);
            }
            Persist::Undefine { destination } => {
                self.destinations.remove(destination);
                self.messages.retain(|at, _| at.destination != *destination);
            }
            Persist::Put {
                at,
                message,
                state,
                transient,
            } => {
                if let Some(known) = self.destinations.get_mut(&at.destination) {
                    known.last_position = known.last_position.max(at.position);
                }
                let (message, state, transient) = (Arc::clone(message), *state, *transient);
                self.messages.insert(
                    *at,
                    Kept {
                        message,
                        state,
                        transient,
                    },
                );
            }
            Persist::Remove { at } => {
                self.messages.remove(at);
            }
            Persist::Returned { at, state } => {
                if let Some(kept) = self.messages.get_mut(at) {
                    kept.state = *state;
                }
            }
            Persist::Horizon {
                destination,
                position,
            } => {
                if let Some(known) = self.destinations.get_mut(destination) {
                    known.horizon = *position;
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, batch: &Batch, _flush: bool) -> Result<(), StoreError> {
        let mut state = self.state.write();
        for change in batch.changes() {
            state.apply(change);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn recover(&mut self) -> Result<Recovered, StoreError> {
        let mut state = self.state.write();
        state.messages.retain(|_, kept| !kept.transient);
        state.starts += 1;
        let was_clean = std::mem::take(&mut state.clean);
        let mut destinations: Vec<_> = state
            .destinations
            .iter()
            .map(|(id, known)| RecoveredDestination {
                id: *id,
                name: known.name.clone(),
                last_position: known.last_position,
                horizon: known.horizon,
                waiting: Default::default(),
            })
            .collect();
        for (at, kept) in &state.messages {
            let found = destinations.binary_search_by_key(&at.destination, |d| d.id);
            let priority = usize::from(kept.message.priority.get());
            if let Some((count, bytes)) = found
                .ok()
                .and_then(|index| destinations.get_mut(index))
                .and_then(|destination| destination.waiting.get_mut(priority))
            {
                *count += 1;
                *bytes += kept.message.footprint() as u64;
            }
        }
        Ok(Recovered {
            destinations,
            next_destination_id: state.next_id.max(DestinationId(1)),
            starts: state.starts,
            was_clean,
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }

    fn tidy(&mut self, _now: Tick) -> Result<Option<Tick>, StoreError> {
        Ok(None)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.state.write().clean = true;
        Ok(())
    }

    fn size(&self) -> StoreSize {
        let state = self.state.read();
        let live = state
            .messages
            .values()
            .map(|kept| kept.message.footprint() as u64)
            .sum();
        StoreSize {
            live,
            ..StoreSize::default()
        }
    }

    fn is_prompt(&self, _bytes: usize) -> bool {
        true
    }

    fn engine(&self) -> &'static str {
        "memory"
    }
}

impl Reader for MemoryStore {
    fn read(
        &self,
        destination: DestinationId,
        from: Position,
        priority: Option<Priority>,
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        let state = self.state.read();
        let mut page = Page {
            resume_at: from,
            exhausted: true,
            ..Page::default()
        };
        let mut bytes = 0;
        let end = StoredAt {
            destination: destination.next(),
            position: Position(0),
        };
        for (at, kept) in state.messages.range(
            StoredAt {
                destination,
                position: from,
            }..end,
        ) {
            if priority.is_some_and(|priority| priority != kept.message.priority) {
                continue;
            }
            let full = page.messages.len() >= limit.messages || bytes >= limit.bytes;
            if full && !page.messages.is_empty() {
                page.exhausted = false;
                break;
            }
            bytes += kept.message.footprint();
            page.messages
                .push((at.position, Message::clone(&kept.message), kept.state));
            page.resume_at = at.position.next();
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{Subject, contract};
    use super::*;

    impl Subject for MemoryStore {
        fn open(&mut self) -> Box<dyn Store> {
            Box::new(self.clone())
        }
    }

    contract!(MemoryStore::default());
}
