//! What a peer may say, and when, and what it is told: one state machine for each peer, as plain
//! values.
//!
//! Lives here: the STOMP session, header mapping, errors as peers see them. May import: `core`
//! values and `codec`. Deliberately not here: sockets, clocks, threads, locks, queues; a session
//! takes bytes, deliveries and completions, and gives requests and bytes.

mod code;
mod report;
pub mod stomp;
mod transmit;

use crate::core::{
    Completion, Delivery, DeliveryTag, Now, Refusal, Request, Sequence, SubscriptionId, Tick,
};

pub use code::Code;
pub use report::{Acknowledged, Rejected, Report, kind_index, mode_index};
pub use transmit::Transmit;

/// How a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It said goodbye: what it has not settled returns without counting as a failed try.
    Clean,
    /// It vanished or broke the rules: the oldest delivery that it holds of each subscription counts
    /// as a failed try.
    Abnormal,
}

/// The protocol state of one peer. The driver owns the socket and calls in; a session never blocks,
/// never reads a clock and never fails: what the peer did wrong, it answers itself.
pub trait Session: Send {
    /// Takes bytes from the peer and appends what it asks. Returns how many bytes are consumed; the
    /// driver keeps the others and offers them again, with more behind them. Throws everything away
    /// once [`Session::closing`] is set.
    fn receive(&mut self, now: Now, bytes: &[u8], requests: &mut Vec<Request>) -> usize;

    /// Takes the answer to a request.
    fn complete(&mut self, now: Now, completion: Completion);

    /// All that is at or below this sequence is durable.
    fn durable(&mut self, now: Now, up_to: Sequence);

    /// The change at this very sequence need not become durable any more.
    fn cancelled(&mut self, now: Now, sequence: Sequence);

    /// Encodes one delivery.
    fn deliver(&mut self, delivery: &Delivery);

    /// The bytes that wait for the socket.
    fn transmit(&mut self) -> &mut Transmit;

    /// Tells how many bytes the socket took since the last call; the driver has taken them off
    /// [`Session::transmit`]. Appends the settlements of what is thereby acknowledged.
    fn transmitted(&mut self, now: Now, bytes: usize, requests: &mut Vec<Request>);

    /// When [`Session::expire`] wants to be called at the latest. May be in the past or early.
    fn deadline(&self) -> Option<Tick>;

    /// Does what is due: heart-beats, time-outs. While `reading` is false the broker does not read
    /// from the peer, so the peer's silence is not held against it.
    fn expire(&mut self, now: Now, reading: bool);

    /// Tells the peer that nothing durable can be promised any more, and closes.
    fn store_failed(&mut self, now: Now, cause: &str);

    /// The broker is stopping: nothing more is read from the peer. Once it has the answers that are
    /// due, it is told, and the session closes.
    fn shut_down(&mut self, now: Now);

    /// Bytes that are held of a frame which has not arrived whole, beside those that the driver keeps.
    fn arriving(&self) -> usize;

    /// The frame that is arriving finds no room, and has waited for it: tells the peer, and closes.
    fn refuse_arriving(&mut self, now: Now, refusal: &Refusal);

    /// Whether so many answers wait for the peer, or for the store on its behalf, that the driver had
    /// better read nothing more from it. Until then whatever was read is taken.
    fn is_congested(&self) -> bool;

    /// Whether the session is over: the driver sends what waits, then closes the socket.
    fn closing(&self) -> Option<Departure>;

    /// For a subscription, the last delivery whose bytes the socket took; 0 if none.
    fn written(&self, subscription: SubscriptionId) -> DeliveryTag;

    /// What was counted since the driver last took it.
    fn report(&mut self) -> &mut Report;
}
