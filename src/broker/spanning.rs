//! Subscriptions to more than one destination: to a wildcard, or to a composite destination. Each
//! destination has a part of it, which is an ordinary subscription there; all parts share one window.
//!
//! Destinations that come to life while a wildcard subscription lives get their part before anybody can
//! send to them.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use rustc_hash::FxHashMap;

use super::cell::Cell;
use super::outbox::Outbox;
use crate::core::{
    DeliveryTag, DestinationId, DestinationName, Kind, Pattern, PatternTrie, Share,
    SubscribeOptions, SubscriptionId, SubscriptionKey, Window,
};

/// Each part gives out tags of its own: its number stands above this many bits.
const TAG_BITS: u32 = 40;

/// As many parts as have numbers.
const MOST_PARTS: usize = 1 << 23;

/// One such subscription, as its connection and all destinations know it.
#[derive(Debug)]
pub(super) struct Spanning {
    id: SubscriptionId,
    outbox: Arc<Outbox>,
    options: SubscribeOptions,
    pub(super) window: Arc<Window>,
    /// The wildcards that it is about, if any.
    patterns: Vec<(Kind, Pattern)>,
    parts: Mutex<Parts>,
}

/// The parts of a subscription.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By their numbers; `None` where its destination has ended.
    pub(super) list: Vec<Option<Part>>,
    /// Numbers that are free.
    free: Vec<usize>,
    joined: FxHashMap<DestinationId, usize>,
    /// It has ended, or never began: no further ones.
    closed: bool,
}

/// What a destination has of a subscription.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) cell: Arc<Cell>,
    pub(super) key: SubscriptionKey,
    pub(super) share: Arc<Share>,
    pub(super) name: Arc<DestinationName>,
}

/// Whether a subscription to this name is one to several destinations.
pub(super) fn spans(destination: &DestinationName) -> bool {
    destination.is_composite() || Pattern::new(destination.name()).is_wildcard()
}

impl Spanning {
    pub(super) fn new(
        id: SubscriptionId,
        outbox: &Arc<Outbox>,
        options: SubscribeOptions,
        prefetch: u32,
        patterns: Vec<(Kind, Pattern)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbox: Arc::clone(outbox),
            window: Window::new(prefetch),
            options,
            patterns,
            parts: Mutex::default(),
        })
    }

    pub(super) fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock()
    }

    /// Gives a destination its part, by `subscribe`, unless it has one. Returns false if it has ended.
    pub(super) fn join(
        &self,
        cell: &Arc<Cell>,
        subscribe: impl FnOnce(
            SubscriptionId,
            SubscribeOptions,
            &Arc<Outbox>,
        ) -> Option<SubscriptionKey>,
    ) -> bool {
        let mut parts = self.parts.lock();
        let number = parts.free.last().copied().unwrap_or(parts.list.len());
        if parts.closed || number >= MOST_PARTS || parts.joined.contains_key(&cell.id) {
            return true;
        }
        let share = Share::new(&self.window, DeliveryTag((number as u64) << TAG_BITS));
        let options = SubscribeOptions {
            share: Some(Arc::clone(&share)),
            ..self.options.clone()
        };
        let Some(key) = subscribe(self.id, options, &self.outbox) else {
            return false;
        };
        if parts.free.pop().is_none() {
            parts.list.push(None);
        }
        parts.joined.insert(cell.id, number);
        if let Some(place) = parts.list.get_mut(number) {
            *place = Some(Part {
                cell: Arc::clone(cell),
                key,
                share,
                name: Arc::new(cell.name.clone()),
            });
        }
        true
    }

    /// A destination has ended, and nothing of it is unsettled: its part is over.
    pub(super) fn leave(&self, cell: &Cell) {
        let mut parts = self.parts.lock();
        if let Some(number) = parts.joined.remove(&cell.id)
            && let Some(place) = parts.list.get_mut(number)
        {
            *place = None;
            parts.free.push(number);
        }
    }

    /// Ends it: no destination gets a part any more. Returns those that have one.
    pub(super) fn close(&self) -> Vec<Option<Part>> {
        let mut parts = self.parts.lock();
        parts.closed = true;
        parts.free = Vec::new();
        std::mem::take(&mut parts.list)
    }

    fn covers(&self, name: &DestinationName) -> bool {
        // Temporary destinations are their owner's alone.
        if !name.is_plain() {
            return false;
        }
        let of_kind = self
            .patterns
            .iter()
            .filter(|(kind, _)| *kind == name.kind());
        of_kind
            .map(|(_, pattern)| pattern)
            .any(|pattern| pattern.matches(name.name()))
    }
}

/// The number of the part that gave out a tag.
pub(super) fn part_of(tag: DeliveryTag) -> usize {
    usize::try_from(tag.0 >> TAG_BITS).unwrap_or(usize::MAX)
}

/// The wildcard subscriptions of all connections.
#[derive(Debug, Default)]
pub(super) struct Wildcards {
    queues: RwLock<PatternTrie<Arc<Spanning>>>,
    topics: RwLock<PatternTrie<Arc<Spanning>>>,
}

impl Wildcards {
    fn of(&self, kind: Kind) -> &RwLock<PatternTrie<Arc<Spanning>>> {
        match kind {
            Kind::Queue => &self.queues,
            Kind::Topic => &self.topics,
        }
    }

    /// From here on destinations that come to life join this subscription if it covers them.
    pub(super) fn add(&self, spanning: &Arc<Spanning>) {
        for (kind, pattern) in &spanning.patterns {
            let mut known = self.of(*kind).write();
            known.insert(pattern, Arc::clone(spanning));
        }
    }

    /// Forgets a subscription.
    pub(super) fn remove(&self, spanning: &Arc<Spanning>) {
        for (kind, pattern) in &spanning.patterns {
            let mut known = self.of(*kind).write();
            known.remove(pattern, |other| Arc::ptr_eq(other, spanning));
        }
    }

    /// All destinations among these that a subscription covers.
    pub(super) fn covered(spanning: &Spanning, cells: Vec<Arc<Cell>>) -> Vec<Arc<Cell>> {
        let mut cells = cells;
        cells.retain(|cell| spanning.covers(&cell.name));
        // The order of the registry is nobody's.
        cells.sort_unstable_by_key(|cell| cell.id);
        cells
    }

    /// Calls `each` with every subscription that covers a name, once for each of its patterns that does.
    pub(super) fn covering(&self, name: &DestinationName, mut each: impl FnMut(&Arc<Spanning>)) {
        let known = self.of(name.kind()).read();
        if !known.is_empty() && name.is_plain() {
            known.matches(name.name(), &mut each);
        }
    }
}

#[cfg(test)]
mod tests;
