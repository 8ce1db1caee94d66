//! Reading messages of which some are in the file and others only in the ring.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Page, PageLimit, Reader, StoreError};
use super::fold::{Folder, State};
use crate::core::{DeliveryState, DestinationId, Message, Position, Priority, StoredAt};

/// Reads from the file, and what the file does not know from memory.
#[derive(Debug)]
pub(super) struct RingReader(Arc<Folder>);

impl RingReader {
    pub(super) fn new(folder: Arc<Folder>) -> Self {
        Self(folder)
    }
}

/// Messages by position, as they are.
type Merged = BTreeMap<Position, (Message, DeliveryState)>;

impl Reader for RingReader {
    fn read(
        &self,
        destination: DestinationId,
        from: Position,
        priority: Option<Priority>,
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        let mut from = from;
        loop {
            let folds = self.0.state().folds;
            let below = self.0.below().read(destination, from, priority, limit)?;
            let state = self.0.state();
            if state.folds != folds {
                // Something may have moved from memory to the file between the two looks.
                continue;
            }
            let page = merge(&state, below, destination, from, priority, limit);
            if !page.messages.is_empty() || page.exhausted {
                return Ok(page);
            }
            from = page.resume_at;
        }
    }
}

/// Puts together what was read from the file and what is in memory.
fn merge(
    state: &State,
    below: Page,
    destination: DestinationId,
    from: Position,
    priority: Option<Priority>,
    limit: PageLimit,
) -> Page {
    // Up to here everything is known that the page may bring.
    let mut end = if below.exhausted {
        Position(u64::MAX)
    } else {
        below.resume_at
    };
    let mut merged = Merged::new();
    let at = |position| StoredAt {
        destination,
        position,
    };
    for (position, message, known) in below.messages {
        let folding = state.folding.as_ref();
        let known = match folding {
            Some(folding) => folding.state_of(at(position), known),
            None => Some(known),
        };
        let known = known.and_then(|known| state.active.state_of(at(position), known));
        if let Some(known) = known {
            merged.insert(position, (message, known));
        }
    }
    let folding = state
        .folding
        .iter()
        .filter(|_| !state.active.hides(destination))
        .flat_map(|folding| folding.messages(destination, from, priority))
        .filter_map(|(position, put)| {
            let known = state.active.state_of(at(position), put.state)?;
            Some((position, &put.message, known))
        });
    add(folding, limit, &mut merged, &mut end);
    let active = state.active.messages(destination, from, priority);
    let active = active.map(|(position, put)| (position, &put.message, put.state));
    add(active, limit, &mut merged, &mut end);
    cut(merged, from, end, limit)
}

/// Adds messages from memory, no more than a page can bring.
fn add<'m>(
    messages: impl Iterator<Item = (Position, &'m Arc<Message>, DeliveryState)>,
    limit: PageLimit,
    merged: &mut Merged,
    end: &mut Position,
) {
    let (mut count, mut bytes) = (0, 0);
    for (position, message, state) in messages.take_while(|(position, ..)| *position < *end) {
        if count >= limit.messages.max(1) || (count > 0 && bytes >= limit.bytes) {
            *end = (*end).min(position);
            return;
        }
        count += 1;
        bytes += message.footprint();
        merged.insert(position, (message.as_ref().clone(), state));
    }
}

/// Takes off what a page may not bring.
fn cut(merged: Merged, from: Position, end: Position, limit: PageLimit) -> Page {
    let mut page = Page {
        resume_at: from,
        ..Page::default()
    };
    let mut bytes = 0;
    for (position, (message, state)) in merged {
        if position >= end {
            break;
        }
        let full = page.messages.len() >= limit.messages || bytes >= limit.bytes;
        if full && !page.messages.is_empty() {
            return page;
        }
        bytes += message.footprint();
        page.resume_at = position.next();
        page.messages.push((position, message, state));
    }
    page.exhausted = end == Position(u64::MAX);
    if !page.exhausted {
        page.resume_at = page.resume_at.max(end);
    }
    page
}
