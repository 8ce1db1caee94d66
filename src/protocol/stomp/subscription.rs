//! A subscription as its session keeps it: how its deliveries are named, and which of them the peer
//! can still settle.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::core::{
    AckMode, DeliveryTag, DestinationName, DurableName, MessageId, SubscriptionId, TransactionId,
};

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The peer's name for it, unescaped; `None` where it gave none.
    pub(super) name: Option<Box<[u8]>>,
    pub(super) destination: DestinationName,
    pub(super) mode: AckMode,
    /// Its name, if it is a durable one.
    pub(super) durable: Option<DurableName>,
    /// Whether it only looks.
    pub(super) browses: bool,
    /// What each of its MESSAGE frames starts with.
    pub(super) prefix: Box<[u8]>,
    /// The session made it, so that replies to a temporary destination arrive.
    pub(super) by_itself: bool,
    pub(super) outstanding: Outstanding,
    /// The last delivery whose bytes the socket took.
    pub(super) written: DeliveryTag,
}

impl Subscription {
    /// The transaction that may name once more what it holds: an acknowledgement stands for earlier
    /// deliveries too, which clients also acknowledge in any order.
    pub(super) fn again(&self, transaction: Option<TransactionId>) -> Option<TransactionId> {
        transaction.filter(|_| self.mode == AckMode::Client)
    }
}

/// The deliveries that the peer has to settle itself, in their order.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    entries: VecDeque<Entry>,
    /// The last tag that was ever given to the peer.
    last: DeliveryTag,
    /// No entry before this place is open.
    first_open: usize,
    /// How many entries open transactions hold, and how many are done but behind one that is not.
    held: usize,
    done: usize,
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
    /// No delivery of this message is left; whether there was one is not remembered.
    Gone,
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
            Self::Gone => {
                "it was never delivered here, is acknowledged already, or the subscription \
                 acknowledges by itself"
            }
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

    /// The place of a delivery by its tag. What transaction `again` holds can be named once more.
    pub(super) fn by_tag(
        &self,
        tag: DeliveryTag,
        again: Option<TransactionId>,
    ) -> Result<usize, Unsettleable> {
        match self.entries.binary_search_by_key(&tag, |entry| entry.tag) {
            Ok(index) => self.check(index, again),
            Err(_) if tag.0 > 0 && tag <= self.last => Err(Unsettleable::Already),
            Err(_) => Err(Unsettleable::Never),
        }
    }

    /// The place of a delivery by its message, likewise.
    pub(super) fn by_message(
        &self,
        message: MessageId,
        again: Option<TransactionId>,
    ) -> Result<usize, Unsettleable> {
        // Acknowledgements come in about the order of deliveries.
        let mut open = self.entries.range(self.first_open..);
        let found = open.position(|entry| entry.message == message && entry.state == State::Open);
        if let Some(behind) = found {
            return Ok(self.first_open + behind);
        }
        let mut all = self.entries.iter();
        match all.position(|entry| entry.message == message) {
            Some(index) => self.check(index, again),
            None => Err(Unsettleable::Gone),
        }
    }

    fn check(&self, index: usize, again: Option<TransactionId>) -> Result<usize, Unsettleable> {
        match self.entries.get(index).map(|entry| entry.state) {
            Some(State::Open) => Ok(index),
            Some(State::Held(by)) if again == Some(by) => Ok(index),
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
        let first = if through { self.first_open } else { index };
        let end = self.entries.len().min(index + 1);
        let mut count = 0;
        for entry in self.entries.range_mut(first.min(end)..end) {
            if entry.state == State::Open {
                entry.state = state;
                count += 1;
            }
        }
        if first <= self.first_open {
            self.first_open = self.first_open.max(end);
        }
        match state {
            State::Done => self.done += count,
            State::Open | State::Held(_) => self.held += count,
        }
        self.forget_done();
        count as u64
    }

    /// Ends a transaction's hold: what it settled is done, or open again.
    pub(super) fn release(&mut self, transaction: TransactionId, done: bool) {
        if self.held == 0 {
            return;
        }
        let state = if done { State::Done } else { State::Open };
        let mut count = 0;
        for entry in &mut self.entries {
            if entry.state == State::Held(transaction) {
                entry.state = state;
                count += 1;
            }
        }
        self.held -= count;
        if done {
            self.done += count;
        } else {
            self.first_open = 0;
        }
        self.forget_done();
    }

    /// Forgets what is done: at the front at once, behind an entry that stays open once it is most
    /// of the list.
    fn forget_done(&mut self) {
        const KEEP: usize = 256;
        while self
            .entries
            .pop_front_if(|entry| entry.state == State::Done)
            .is_some()
        {
            self.done -= 1;
            self.first_open = self.first_open.saturating_sub(1);
        }
        if self.done > KEEP && self.done > self.entries.len() / 2 {
            self.entries.retain(|entry| entry.state != State::Done);
            self.done = 0;
            self.first_open = 0;
        }
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
        self.next = self.next.wrapping_add(1);
        while self.by_id.contains_key(&SubscriptionId(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
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

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriptionId, &Subscription)> {
        self.by_id.iter().map(|(id, known)| (*id, known))
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
        assert_eq!(
            some.by_tag(DeliveryTag(2), None),
            Err(Unsettleable::Already)
        );
        assert_eq!(some.by_tag(DeliveryTag(6), None), Err(Unsettleable::Never));
        assert_eq!(some.by_message(message(1), None), Err(Unsettleable::Gone));
        let index = some.by_message(message(104), None).unwrap();
        assert_eq!(some.tag(index), DeliveryTag(4));
        assert_eq!(some.settle(index, false, None), 1);
        assert_eq!(
            some.by_message(message(104), None),
            Err(Unsettleable::Already)
        );
    }

    #[test]
    fn an_aborted_transaction_leaves_its_deliveries_open() {
        let mut some = outstanding(3);
        let transaction = TransactionId(7);
        assert_eq!(some.settle(1, true, Some(transaction)), 2);
        assert_eq!(
            some.by_tag(DeliveryTag(1), None),
            Err(Unsettleable::InTransaction)
        );
        some.release(transaction, false);
        assert_eq!(some.by_tag(DeliveryTag(1), None), Ok(0));
        assert_eq!(some.settle(2, true, Some(transaction)), 3);
        some.release(transaction, true);
        assert!(some.entries.is_empty());
        assert_eq!((some.held, some.done, some.first_open), (0, 0, 0));
    }

    #[test]
    fn numbers_start_again_when_they_have_all_been_used() {
        let mut subscriptions = Subscriptions::default();
        let subscription = || Subscription {
            name: None,
            destination: DestinationName::queue("a").unwrap(),
            mode: AckMode::Auto,
            by_itself: false,
            durable: None,
            browses: false,
            prefix: Box::default(),
            outstanding: Outstanding::default(),
            written: DeliveryTag(0),
        };
        assert_eq!(subscriptions.insert(subscription()), SubscriptionId(0));
        subscriptions.next = u32::MAX;
        let last = SubscriptionId(u32::MAX);
        assert_eq!(subscriptions.insert(subscription()), last);
        assert_eq!(subscriptions.insert(subscription()), SubscriptionId(1));
        assert_eq!(subscriptions.len(), 3);
    }

    #[test]
    fn what_is_done_behind_an_open_delivery_does_not_pile_up() {
        let mut some = outstanding(1);
        for number in 2..=10_000 {
            some.push(DeliveryTag(number), message(100 + number));
            let index = some.by_message(message(100 + number), None).unwrap();
            assert_eq!(some.settle(index, false, None), 1);
            assert!(some.entries.len() < 600, "{} entries", some.entries.len());
        }
        assert_eq!(
            some.by_tag(DeliveryTag(9_000), None),
            Err(Unsettleable::Already)
        );
        assert_eq!(some.by_tag(DeliveryTag(1), None), Ok(0));
        assert_eq!(some.settle(0, true, None), 1);
        assert!(some.entries.is_empty());
    }

    #[test]
    fn cumulative_settlements_of_transactions_take_only_what_is_open() {
        let mut some = outstanding(6);
        let (one, two) = (TransactionId(1), TransactionId(2));
        assert_eq!(some.settle(1, true, Some(one)), 2);
        assert_eq!(some.settle(3, true, Some(two)), 2);
        some.release(one, false);
        assert_eq!(some.settle(5, true, None), 4, "two are held");
        some.release(two, false);
        assert_eq!(some.settle(some.entries.len() - 1, true, None), 2);
        assert!(some.entries.is_empty());
    }
}
