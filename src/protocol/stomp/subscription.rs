//! A subscription as its session keeps it: how its deliveries are named, and which of them the peer
//! can still settle.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::core::{
    AckMode, DeliveryTag, DestinationName, MessageId, SubscriptionId, TransactionId,
};

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The peer's name for it, unescaped; `None` where it gave none.
    pub(super) name: Option<Box<[u8]>>,
    pub(super) destination: DestinationName,
    pub(super) mode: AckMode,
    /// The first lines of each of its MESSAGE frames.
    pub(super) prefix: Box<[u8]>,
    pub(super) outstanding: Outstanding,
    /// The last delivery whose bytes the socket took.
    pub(super) written: DeliveryTag,
}

/// The deliveries that the peer has to settle itself, in their order.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    entries: VecDeque<Entry>,
    /// The last tag that was ever given to the peer.
    last: DeliveryTag,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: DeliveryTag,
    message: MessageId,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Settled by a transaction that is open.
    Held(TransactionId),
    Done,
}

/// Why a delivery cannot be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsettleable {
    /// The peer was never given it.
    Never,
    /// The peer has settled it before.
    Already,
    /// An open transaction settles it.
    InTransaction,
}

impl Unsettleable {
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Never => {
                "it was never delivered here, or the subscription acknowledges by itself"
            }
            Self::Already => "it is acknowledged already",
            Self::InTransaction => "an open transaction has acknowledged it",
        }
    }
}

impl Outstanding {
    pub(super) fn push(&mut self, tag: DeliveryTag, message: MessageId) {
        self.last = tag;
        let state = State::Open;
        self.entries.push_back(Entry {
            tag,
            message,
            state,
        });
    }

    /// The place of a delivery by its tag.
    pub(super) fn by_tag(&self, tag: DeliveryTag) -> Result<usize, Unsettleable> {
        match self.entries.binary_search_by_key(&tag, |entry| entry.tag) {
            Ok(index) => self.check(index).map(|()| index),
            Err(_) if tag.0 > 0 && tag <= self.last => Err(Unsettleable::Already),
            Err(_) => Err(Unsettleable::Never),
        }
    }

    /// The place of a delivery by its message.
    pub(super) fn by_message(&self, message: MessageId) -> Result<usize, Unsettleable> {
        // The last delivery of a message is the one that counts, and acknowledgements come in about
        // the order of deliveries.
        let found = self
            .entries
            .iter()
            .position(|entry| entry.message == message && entry.state == State::Open);
        if let Some(index) = found {
            Ok(index)
        } else {
            let known = self
                .entries
                .iter()
                .position(|entry| entry.message == message);
            known.map_or(Err(Unsettleable::Never), |index| {
                self.check(index).map(|()| index)
            })
        }
    }

    fn check(&self, index: usize) -> Result<(), Unsettleable> {
        match self.entries.get(index).map(|entry| entry.state) {
            Some(State::Open) => Ok(()),
            Some(State::Held(_)) => Err(Unsettleable::InTransaction),
            Some(State::Done) => Err(Unsettleable::Already),
            None => Err(Unsettleable::Never),
        }
    }

    /// The tag at a place that was just found.
    pub(super) fn tag(&self, index: usize) -> DeliveryTag {
        self.entries
            .get(index)
            .map_or(DeliveryTag(0), |entry| entry.tag)
    }

    /// Settles the delivery at a place, and with `through` all open ones before it. Returns how many
    /// that were.
    pub(super) fn settle(
        &mut self,
        index: usize,
        through: bool,
        transaction: Option<TransactionId>,
    ) -> u64 {
        let state = transaction.map_or(State::Done, State::Held);
        let first = if through { 0 } else { index };
        let mut count = 0;
        for entry in self
            .entries
            .range_mut(first..=index.min(self.entries.len().saturating_sub(1)))
        {
            if entry.state == State::Open {
                entry.state = state;
                count += 1;
            }
        }
        self.forget_done();
        count
    }

    /// Ends a transaction's hold: what it settled is done, or open again.
    pub(super) fn release(&mut self, transaction: TransactionId, done: bool) {
        let state = if done { State::Done } else { State::Open };
        for entry in &mut self.entries {
            if entry.state == State::Held(transaction) {
                entry.state = state;
            }
        }
        self.forget_done();
    }

    fn forget_done(&mut self) {
        const KEEP: usize = 256;
        while self
            .entries
            .pop_front_if(|entry| entry.state == State::Done)
            .is_some()
        {}
        if self.entries.is_empty() && self.entries.capacity() > KEEP {
            self.entries = VecDeque::new();
        }
    }
}

/// All subscriptions of a session.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_id: FxHashMap<SubscriptionId, Subscription>,
    by_name: FxHashMap<Box<[u8]>, SubscriptionId>,
    next: u32,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The number that the next one gets.
    pub(super) fn next_id(&self) -> SubscriptionId {
        SubscriptionId(self.next)
    }

    pub(super) fn insert(&mut self, subscription: Subscription) -> SubscriptionId {
        let id = self.next_id();
        self.next += 1;
        if let Some(name) = &subscription.name {
            self.by_name.insert(name.clone(), id);
        }
        self.by_id.insert(id, subscription);
        id
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let removed = self.by_id.remove(&id)?;
        if let Some(name) = &removed.name {
            self.by_name.remove(name);
        }
        Some(removed)
    }

    pub(super) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.by_id.get(&id)
    }

    /// The subscription that the peer calls so.
    pub(super) fn named(&self, name: &[u8]) -> Option<SubscriptionId> {
        self.by_name.get(name).copied()
    }

    /// The oldest subscription to a destination.
    pub(super) fn to(&self, destination: &DestinationName) -> Option<SubscriptionId> {
        let matching = self
            .by_id
            .iter()
            .filter(|(_, subscription)| subscription.destination == *destination);
        matching.map(|(id, _)| *id).min()
    }

    /// All numbers, in ascending order.
    pub(super) fn ids(&self) -> Vec<SubscriptionId> {
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Ends a transaction's hold on deliveries of all subscriptions.
    pub(super) fn release(&mut self, transaction: TransactionId, done: bool) {
        for subscription in self.by_id.values_mut() {
            subscription.outstanding.release(transaction, done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ConnectionId;

    fn message(number: u64) -> MessageId {
        MessageId {
            connection: ConnectionId(1),
            number,
        }
    }

    fn outstanding(count: u64) -> Outstanding {
        let mut outstanding = Outstanding::default();
        for number in 1..=count {
            outstanding.push(DeliveryTag(number), message(100 + number));
        }
        outstanding
    }

    #[test]
    fn what_was_settled_is_told_from_what_was_never_delivered() {
        let mut some = outstanding(5);
        assert_eq!(some.settle(1, true, None), 2);
        assert_eq!(some.by_tag(DeliveryTag(2)), Err(Unsettleable::Already));
        assert_eq!(some.by_tag(DeliveryTag(6)), Err(Unsettleable::Never));
        assert_eq!(some.by_message(message(1)), Err(Unsettleable::Never));
        let index = some.by_message(message(104)).unwrap();
        assert_eq!(some.tag(index), DeliveryTag(4));
        assert_eq!(some.settle(index, false, None), 1);
        assert_eq!(some.by_message(message(104)), Err(Unsettleable::Already));
    }

    #[test]
    fn an_aborted_transaction_leaves_its_deliveries_open() {
        let mut some = outstanding(3);
        let transaction = TransactionId(7);
        assert_eq!(some.settle(1, true, Some(transaction)), 2);
        assert_eq!(
            some.by_tag(DeliveryTag(1)),
            Err(Unsettleable::InTransaction)
        );
        some.release(transaction, false);
        assert_eq!(some.by_tag(DeliveryTag(1)), Ok(0));
        assert_eq!(some.settle(2, true, Some(transaction)), 3);
        some.release(transaction, true);
        assert!(some.entries.is_empty());
    }
}
