//! Deliveries of one subscription that are not settled, in the order they were made.

use std::collections::VecDeque;

use super::id::{DeliveryTag, TransactionId};
use super::pending::Entry;
use super::request::{Outcome, Tags};

/// One unsettled delivery.
#[derive(Debug)]
struct Unsettled {
    tag: DeliveryTag,
    /// `None` once it is settled and an older one is not.
    entry: Option<Entry>,
    /// The open or committing transaction that settles it, and how.
    mark: Option<(TransactionId, Outcome)>,
}

/// Unsettled deliveries; finding one by its tag is O(1) while few gaps are about, O(log n) always.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    list: VecDeque<Unsettled>,
    live: usize,
    marked: usize,
    /// Bytes of the messages of those that count.
    bytes: u64,
}

impl Inflight {
    /// How many deliveries count against the prefetch: those that no transaction has settled yet.
    pub(super) fn counted(&self) -> usize {
        self.live - self.marked
    }

    /// How many deliveries are unsettled, those of open transactions included.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Bytes of the messages that count.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a delivery; tags grow.
    pub(super) fn push(&mut self, tag: DeliveryTag, entry: Entry) {
        self.bytes += entry.bytes();
        self.list.push_back(Unsettled {
            tag,
            entry: Some(entry),
            mark: None,
        });
        self.live += 1;
    }

    /// The messages that were delivered and are not settled.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.list
            .iter()
            .filter_map(|unsettled| unsettled.entry.as_ref())
    }

    /// Takes one delivery out, unless it is unknown, settled or settled by an open transaction.
    pub(super) fn take_one(&mut self, tag: DeliveryTag) -> Option<Entry> {
        let index = self.find(tag)?;
        let unsettled = self
            .list
            .get_mut(index)
            .filter(|unsettled| unsettled.mark.is_none())?;
        let entry = unsettled.entry.take()?;
        self.bytes -= entry.bytes();
        self.live -= 1;
        self.trim();
        Some(entry)
    }

    /// Takes the oldest unmarked delivery at or before `tag`.
    pub(super) fn take_through(&mut self, tag: DeliveryTag) -> Option<Entry> {
        // Without marks the oldest is always the front.
        let index = if self.marked == 0 {
            0
        } else {
            self.list
                .iter()
                .position(|u| u.mark.is_none() && u.entry.is_some())?
        };
        let unsettled = self
            .list
            .get_mut(index)
            .filter(|unsettled| unsettled.tag <= tag)?;
        let entry = unsettled.entry.take()?;
        self.bytes -= entry.bytes();
        self.live -= 1;
        self.trim();
        Some(entry)
    }

    /// Lets a transaction settle these deliveries later. Returns how many it newly took.
    pub(super) fn mark(
        &mut self,
        tags: Tags,
        transaction: TransactionId,
        outcome: Outcome,
    ) -> usize {
        let range = match tags {
            Tags::One(tag) => match self.find(tag) {
                Some(index) => index..index + 1,
                None => return 0,
            },
            Tags::Through(tag) => 0..self.list.partition_point(|unsettled| unsettled.tag <= tag),
        };
        let mut count = 0;
        for unsettled in self.list.range_mut(range) {
            if let Some(entry) = unsettled
                .entry
                .as_ref()
                .filter(|_| unsettled.mark.is_none())
            {
                unsettled.mark = Some((transaction, outcome));
                self.bytes -= entry.bytes();
                count += 1;
            }
        }
        self.marked += count;
        count
    }

    /// Undoes what a transaction settled. Returns how many deliveries are unsettled again.
    pub(super) fn unmark(&mut self, transaction: TransactionId) -> usize {
        let mut count = 0;
        for unsettled in &mut self.list {
            if unsettled.mark.is_some_and(|(by, _)| by == transaction) {
                unsettled.mark = None;
                self.bytes += unsettled.entry.as_ref().map_or(0, Entry::bytes);
                count += 1;
            }
        }
        self.marked -= count;
        count
    }

    /// The deliveries that a transaction accepts, oldest first.
    pub(super) fn accepted_by(&self, transaction: TransactionId) -> impl Iterator<Item = &Entry> {
        self.list
            .iter()
            .filter(move |unsettled| unsettled.mark == Some((transaction, Outcome::Accept)))
            .filter_map(|unsettled| unsettled.entry.as_ref())
    }

    /// Takes out, oldest first, what a transaction settles.
    pub(super) fn take_marked(&mut self, transaction: TransactionId) -> Vec<(Outcome, Entry)> {
        let mut taken = Vec::new();
        for unsettled in &mut self.list {
            if let Some((_, outcome)) = unsettled.mark.take_if(|(by, _)| *by == transaction) {
                taken.extend(unsettled.entry.take().map(|entry| (outcome, entry)));
            }
        }
        self.live -= taken.len();
        self.marked -= taken.len();
        self.trim();
        taken
    }

    /// Takes out, oldest first, every delivery that no transaction holds.
    pub(super) fn take_unmarked(&mut self) -> Vec<(DeliveryTag, Entry)> {
        let mut taken = Vec::with_capacity(self.counted());
        for unsettled in &mut self.list {
            if unsettled.mark.is_none() {
                taken.extend(unsettled.entry.take().map(|entry| (unsettled.tag, entry)));
            }
        }
        self.bytes = 0;
        self.live -= taken.len();
        self.trim();
        taken
    }

    fn find(&self, tag: DeliveryTag) -> Option<usize> {
        let first = self.list.front()?.tag;
        let guess = usize::try_from(tag.0.checked_sub(first.0)?).ok()?;
        if self
            .list
            .get(guess)
            .is_some_and(|unsettled| unsettled.tag == tag)
        {
            return Some(guess);
        }
        self.list
            .binary_search_by_key(&tag, |unsettled| unsettled.tag)
            .ok()
    }

    /// Drops settled places: those at the front at once, all of them when they outnumber the others,
    /// so that one delivery that is never settled does not keep places for all after it.
    fn trim(&mut self) {
        while self
            .list
            .front()
            .is_some_and(|unsettled| unsettled.entry.is_none())
        {
            self.list.pop_front();
        }
        if self.list.len() > 64 && self.live < self.list.len() / 2 {
            self.list.retain(|unsettled| unsettled.entry.is_some());
        }
        if self.list.is_empty() && self.list.capacity() > 64 {
            self.list = VecDeque::new();
        }
    }

    /// Recounts everything and compares.
    #[cfg(any(debug_assertions, test))]
    pub(super) fn check_invariants(&self) {
        assert_eq!(
            self.list.iter().filter(|u| u.entry.is_some()).count(),
            self.live,
            "live"
        );
        assert_eq!(
            self.list.iter().filter(|u| u.mark.is_some()).count(),
            self.marked,
            "marked"
        );
        let counted = self
            .list
            .iter()
            .filter(|unsettled| unsettled.mark.is_none());
        let bytes = counted.filter_map(|unsettled| unsettled.entry.as_ref());
        assert_eq!(bytes.map(Entry::bytes).sum::<u64>(), self.bytes, "bytes");
        assert!(
            self.list
                .iter()
                .zip(self.list.iter().skip(1))
                .all(|(a, b)| a.tag < b.tag)
        );
        assert!(
            self.list
                .iter()
                .all(|u| u.mark.is_none() || u.entry.is_some())
        );
    }
}
