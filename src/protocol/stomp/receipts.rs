//! What the peer waits to hear of: requests on their way, by token, and the log's progress that their
//! receipts wait for.

use std::collections::VecDeque;

use crate::core::{Sequence, SubscriptionId, Tick, Token, TransactionId};

/// A request on its way.
#[derive(Debug)]
pub(super) struct Pending {
    /// The value of the `receipt` header as it was sent, if there was one.
    pub(super) receipt: Option<Box<[u8]>>,
    pub(super) purpose: Purpose,
}

/// What its end means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nothing but a receipt.
    Plain,
    /// A message that arrived at this tick.
    Send { persistent: bool, since: Tick },
    /// Part of this transaction, which ends if it is refused.
    Within(TransactionId),
    /// A subscription that is there unless it is refused.
    Subscribe(SubscriptionId),
    /// The end of a transaction.
    Commit(TransactionId),
    /// The last request.
    Disconnect,
}

/// All requests on their way, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// The token of the first one in the list.
    first: u64,
    pending: VecDeque<Option<Pending>>,
    /// Bytes of the receipts in the list.
    receipt_bytes: usize,
    /// Those that wait for the log, in the order of their sequences.
    awaiting: VecDeque<(Sequence, Token)>,
}

impl Receipts {
    /// Notes a request and gives it its token.
    pub(super) fn add(&mut self, receipt: Option<Box<[u8]>>, purpose: Purpose) -> Token {
        let token = Token(self.first + self.pending.len() as u64);
        self.receipt_bytes += receipt.as_ref().map_or(0, |receipt| receipt.len());
        self.pending.push_back(Some(Pending { receipt, purpose }));
        token
    }

    /// Whether no request is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The memory that the list takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.receipt_bytes
            + self.pending.len() * size_of::<Option<Pending>>()
            + self.awaiting.len() * size_of::<(Sequence, Token)>()
    }

    /// Notes that a request is complete once the log is durable up to a sequence. Sequences of one
    /// connection only grow.
    pub(super) fn wait(&mut self, token: Token, until: Sequence) {
        debug_assert!(self.awaiting.back().is_none_or(|(last, _)| *last <= until));
        self.awaiting.push_back((until, token));
    }

    /// The next request that waits for nothing later than this.
    pub(super) fn durable(&mut self, up_to: Sequence) -> Option<Token> {
        let (_, token) = self.awaiting.pop_front_if(|(until, _)| *until <= up_to)?;
        Some(token)
    }

    /// The request that waits for this very sequence, which it need not do any more.
    pub(super) fn cancelled(&mut self, sequence: Sequence) -> Option<Token> {
        // A request to hear that all is durable may wait for the same sequence, behind the one that
        // was cancelled.
        let index = self
            .awaiting
            .partition_point(|(until, _)| *until < sequence);
        let found = self
            .awaiting
            .get(index)
            .is_some_and(|(at, _)| *at == sequence);
        found
            .then(|| self.awaiting.remove(index))?
            .map(|(_, token)| token)
    }

    /// Takes a request out.
    pub(super) fn take(&mut self, token: Token) -> Option<Pending> {
        let index = usize::try_from(token.0.checked_sub(self.first)?).ok()?;
        let found = self.pending.get_mut(index)?.take();
        while self
            .pending
            .pop_front_if(|pending| pending.is_none())
            .is_some()
        {
            self.first += 1;
        }
        if self.pending.is_empty() {
            self.give_back();
        }
        let receipt = found.as_ref().and_then(|found| found.receipt.as_ref());
        self.receipt_bytes -= receipt.map_or(0, |receipt| receipt.len());
        found
    }

    /// Takes all that there are.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Pending> + use<> {
        self.first += self.pending.len() as u64;
        self.awaiting.clear();
        self.receipt_bytes = 0;
        std::mem::take(&mut self.pending).into_iter().flatten()
    }

    /// Gives memory back that an unusual number of requests has left.
    fn give_back(&mut self) {
        const KEEP: usize = 256;
        if self.pending.capacity() > KEEP {
            self.pending = VecDeque::new();
        }
        if self.awaiting.is_empty() && self.awaiting.capacity() > KEEP {
            self.awaiting = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_complete_in_any_order() {
        let mut receipts = Receipts::default();
        let tokens: Vec<_> = (0..4).map(|_| receipts.add(None, Purpose::Plain)).collect();
        receipts.wait(tokens[1], Sequence(5));
        receipts.wait(tokens[3], Sequence(7));
        assert_eq!(receipts.cancelled(Sequence(6)), None);
        assert_eq!(receipts.cancelled(Sequence(7)), Some(tokens[3]));
        assert_eq!(receipts.durable(Sequence(4)), None);
        assert_eq!(receipts.durable(Sequence(9)), Some(tokens[1]));
        assert_eq!(receipts.durable(Sequence(9)), None);
        for index in [2, 0, 3, 1] {
            assert!(receipts.take(tokens[index]).is_some());
            assert!(receipts.take(tokens[index]).is_none(), "taken twice");
        }
        assert!(receipts.pending.is_empty());
        assert_eq!(receipts.add(None, Purpose::Plain), Token(4));
    }

    #[test]
    fn of_two_that_wait_for_a_sequence_the_first_is_cancelled() {
        let mut receipts = Receipts::default();
        for purpose in [Purpose::Plain, Purpose::Disconnect, Purpose::Plain] {
            let token = receipts.add(None, purpose);
            receipts.wait(token, Sequence(8));
        }
        assert_eq!(receipts.cancelled(Sequence(8)), Some(Token(0)));
        assert_eq!(receipts.durable(Sequence(8)), Some(Token(1)));
    }

    #[test]
    fn the_bytes_of_receipts_are_counted_while_they_wait() {
        let mut receipts = Receipts::default();
        let empty = receipts.bytes();
        let token = receipts.add(Some([7; 1000].into()), Purpose::Plain);
        assert!(receipts.bytes() >= 1000);
        receipts.take(token);
        assert_eq!(receipts.bytes(), empty);
        receipts.add(Some([7; 1000].into()), Purpose::Plain);
        assert_eq!(receipts.take_all().count(), 1);
        assert_eq!(receipts.bytes(), empty);
    }
}
