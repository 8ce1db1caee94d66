//! BEGIN, COMMIT, ABORT.

use std::borrow::Cow;

use super::receipts::Purpose;
use super::refusal::{Refused, shown};
use super::session::{Peer, own_name};
use crate::codec::stomp::Headers;
use crate::core::{Request, TransactionId};
use crate::protocol::Code;

impl Peer {
    pub(super) fn begin(
        &mut self,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let name = transaction_name(headers, "beginning")?;
        let name = own_name("transaction", &name)?;
        if self.transactions.contains_key(&name) {
            let shown = shown(&name);
            return Err(Refused::new(
                Code::TransactionExists,
                format!("The transaction was already started: {shown}"),
            ));
        }
        let most = self.config.max_transactions;
        if self.transactions.len() >= most {
            return Err(Refused::new(
                Code::LimitReached,
                format!("The connection has {most} open transactions, as many as it may"),
            )
            .at_limit("limits.max_transactions_per_connection", None, most as u64));
        }
        let transaction = TransactionId(self.next_transaction);
        self.next_transaction = self.next_transaction.wrapping_add(1);
        self.transactions.insert(name, transaction);
        let receipt = self.receipt(headers);
        let token = receipt.map(|receipt| self.receipts.add(Some(receipt), Purpose::Plain));
        requests.push(Request::Begin { transaction, token });
        Ok(())
    }

    pub(super) fn commit(
        &mut self,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let transaction = self.end_transaction(headers, "committing")?;
        let receipt = self.receipt(headers);
        // Also without a receipt the session has to hear whether the deliveries are settled.
        let token = Some(self.receipts.add(receipt, Purpose::Commit(transaction)));
        requests.push(Request::Commit { transaction, token });
        Ok(())
    }

    pub(super) fn abort(
        &mut self,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let transaction = self.end_transaction(headers, "aborting")?;
        self.subscriptions.release(transaction, false);
        let receipt = self.receipt(headers);
        let token = receipt.map(|receipt| self.receipts.add(Some(receipt), Purpose::Plain));
        requests.push(Request::Abort { transaction, token });
        Ok(())
    }

    fn end_transaction(
        &mut self,
        headers: &Headers<'_>,
        doing: &str,
    ) -> Result<TransactionId, Refused> {
        let name = transaction_name(headers, doing)?;
        self.transactions
            .remove(name.as_ref())
            .ok_or_else(|| unknown(&name))
    }

    /// The open transaction that a SEND, ACK or NACK is part of, if it names one.
    pub(super) fn open_transaction(
        &self,
        headers: &Headers<'_>,
    ) -> Result<Option<TransactionId>, Refused> {
        let Some(name) = headers.get(b"transaction").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let open = self.transactions.get(name.as_ref()).copied();
        open.map(Some).ok_or_else(|| unknown(&name))
    }

    /// Ends a transaction because something in it was refused: it must not be committed without.
    pub(super) fn roll_back(&mut self, transaction: TransactionId) -> bool {
        let was_open = self.forget_transaction(transaction);
        if was_open {
            self.deferred.push(Request::Abort {
                transaction,
                token: None,
            });
        }
        was_open
    }

    /// Forgets a transaction that has come to nothing. Returns whether it was open.
    pub(super) fn forget_transaction(&mut self, transaction: TransactionId) -> bool {
        let before = self.transactions.len();
        self.transactions.retain(|_, open| *open != transaction);
        let was_open = self.transactions.len() < before;
        if was_open {
            self.subscriptions.release(transaction, false);
        }
        was_open
    }
}

fn transaction_name<'a>(headers: &Headers<'a>, doing: &str) -> Result<Cow<'a, [u8]>, Refused> {
    let name = headers.get(b"transaction").filter(|name| !name.is_empty());
    name.ok_or_else(|| {
        Refused::missing(
            &format!("Must specify the transaction you are {doing}"),
            "transaction",
        )
    })
}

fn unknown(name: &[u8]) -> Refused {
    Refused::new(
        Code::UnknownTransaction,
        format!("Invalid transaction id: {}", shown(name)),
    )
}
