//! RECEIPT and ERROR: what the peer is told of what it asked, and how much of that waits for it.

use std::collections::VecDeque;

use super::receipts::{Pending, Purpose};
use super::refusal::Refused;
use super::session::{Peer, Stage};
use crate::codec::stomp::{Frame, Headers, Verb, begin, end};
use crate::core::{Now, Refusal, Token};
use crate::protocol::{Code, Departure};

/// Bytes of answers that the socket has not taken. They are counted apart from deliveries, since a
/// peer whose deliveries wait must still be heard: its acknowledgements may be what comes next.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Runs of answers, each with the count of bytes after which the socket has all of it, and its
    /// own bytes.
    runs: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Unread {
    /// Answers of at least this many bytes are one run.
    const RUN: usize = 4 * 1024;

    /// Adds an answer that ends at this count of bytes.
    fn add(&mut self, end: u64, bytes: usize) {
        self.bytes += bytes;
        match self.runs.back_mut() {
            Some((last, run)) if *run < Self::RUN => {
                *last = end;
                *run += bytes;
            }
            _ => self.runs.push_back((end, bytes)),
        }
    }

    /// The socket has taken so many bytes since the start.
    pub(super) fn taken(&mut self, taken: u64) {
        while let Some((_, bytes)) = self.runs.pop_front_if(|(end, _)| *end <= taken) {
            self.bytes -= bytes;
        }
        if self.runs.is_empty() && self.runs.capacity() > 64 {
            self.runs = VecDeque::new();
        }
    }
}

impl Peer {
    /// Whether the peer has so many answers to come that no more is to be asked.
    pub(super) fn is_congested(&self) -> bool {
        self.unread.bytes + self.receipts.bytes() >= self.config.outbound_bytes
    }

    /// Refuses a frame, and with it the transaction that it is part of.
    pub(super) fn refuse_frame(&mut self, frame: &Frame<'_>, mut refused: Refused) {
        let headers = &frame.headers;
        if matches!(frame.verb, Verb::Send | Verb::Ack | Verb::Nack)
            && let Ok(Some(transaction)) = self.open_transaction(headers)
            && self.roll_back(transaction)
        {
            refused.message.push_str(ROLLED_BACK);
        }
        self.tell(&refused, headers.raw(b"receipt"));
    }

    /// Sends an ERROR, and closes if it has to be so.
    pub(super) fn tell(&mut self, refused: &Refused, receipt: Option<&[u8]>) {
        if let Stage::Closed(_) = self.stage {
            return;
        }
        self.report.errors.push(refused.code);
        let before = self.transmit.len();
        refused.encode(self.transmit.buffer(), self.version, receipt);
        self.note_answer(before);
        let closes =
            self.config.close_on_error || self.config.dialect.closes_on_error(self.version);
        if refused.fatal || closes {
            self.stage = Stage::Closed(Departure::Abnormal);
        }
    }

    /// The value of the `receipt` header as it was sent, which is also how it is sent back.
    #[allow(
        clippy::unused_self,
        reason = "reads like the other headers at its callers"
    )]
    pub(super) fn receipt(&self, headers: &Headers<'_>) -> Option<Box<[u8]>> {
        headers.raw(b"receipt").map(Into::into)
    }

    /// A request has been granted and is as durable as it has to be. The peer hears of it also behind an
    /// ERROR that closes: it need not ask for the same again.
    pub(super) fn granted(&mut self, now: Now, token: Token) {
        let Some(Pending { receipt, purpose }) = self.receipts.take(token) else {
            return;
        };
        match purpose {
            Purpose::Commit(transaction) => self.subscriptions.release(transaction, true),
            Purpose::Disconnect => self.stage = Stage::Closed(Departure::Clean),
            Purpose::Send { persistent, since } => {
                let took = now.tick.0.saturating_sub(since.0);
                self.report.receipt = Some((persistent, took));
            }
            Purpose::Plain | Purpose::Within(_) | Purpose::Subscribe(_) => {}
        }
        if let Some(receipt) = receipt {
            self.write_receipt(&receipt);
        }
        self.end_if_stopped();
    }

    /// Ends the connection of a stopping broker once nothing is due to the peer any more.
    pub(super) fn end_if_stopped(&mut self) {
        if self.stage == Stage::Stopping && self.receipts.is_empty() {
            self.tell(&Refused::stopping(), None);
            // That is not the peer's fault: nothing that it holds counts as a failed try.
            self.stage = Stage::Closed(Departure::Clean);
        }
    }

    /// Sends a RECEIPT.
    pub(super) fn write_receipt(&mut self, receipt: &[u8]) {
        let before = self.transmit.len();
        let out = self.transmit.buffer();
        begin(out, Verb::Receipt);
        out.extend_from_slice(b"receipt-id:");
        out.extend_from_slice(receipt);
        out.push(b'\n');
        end(out, b"");
        self.note_answer(before);
    }

    /// A request has been refused by the broker.
    pub(super) fn denied(&mut self, token: Option<Token>, refusal: &Refusal) {
        let pending = token.and_then(|token| self.receipts.take(token));
        let mut refused = Refused::from(refusal);
        self.report.rejected.full += u64::from(refused.code == Code::Full);
        let mut receipt = None;
        if let Some(pending) = pending {
            receipt = pending.receipt;
            match pending.purpose {
                Purpose::Subscribe(id) => self.forget_subscription(id),
                Purpose::Commit(transaction) => self.subscriptions.release(transaction, false),
                Purpose::Disconnect => refused.fatal = true,
                // The broker has ended it by itself: there is nothing left to abort.
                Purpose::Within(transaction) if *refusal == Refusal::NoTransaction => {
                    self.forget_transaction(transaction);
                }
                Purpose::Within(transaction) => {
                    if self.roll_back(transaction) {
                        refused.message.push_str(ROLLED_BACK);
                    }
                }
                Purpose::Plain | Purpose::Send { .. } => {}
            }
        }
        self.tell(&refused, receipt.as_deref());
        self.end_if_stopped();
    }

    /// Counts the answer that has been appended since `before` bytes waited.
    fn note_answer(&mut self, before: usize) {
        let length = self.transmit.len();
        self.unread
            .add(self.on_their_way.taken() + length as u64, length - before);
    }
}

/// Said of a refused frame that was part of a transaction.
const ROLLED_BACK: &str = "; its transaction was rolled back";
