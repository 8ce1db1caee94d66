//! The session: which frame may come when, and what becomes of it.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::answers::Unread;
use super::config::{Config, Overload};
use super::deliver::OnTheirWay;
use super::heart_beat::Beat;
use super::large::LargeBody;
use super::receipts::Receipts;
use super::refusal::Refused;
use super::sniff::{self, Stranger};
use super::subscription::Subscriptions;
use super::temporary::Temporaries;
use crate::codec::stomp::{Decoder, Event, Frame, Verb, Version};
use crate::core::{
    Completion, ConnectionId, Delivery, DeliveryTag, DestinationName, Done, Now, Refusal, Request,
    Sequence, SubscriptionId, Tick, TransactionId,
};
use crate::protocol::{Code, Departure, Report, Session as Protocol, Transmit};

/// The longest name that a peer may give to a subscription or a transaction, in bytes.
const OWN_NAME_MAX: usize = 1024;

/// The STOMP side of one connection.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    /// The body that arrives in pieces.
    large: Option<Box<LargeBody>>,
    peer: Peer,
}

/// All of a session but its decoder, from which frames are borrowed while they are handled.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) config: Arc<Config>,
    pub(super) id: ConnectionId,
    /// What the peer calls itself, by which it finds its durable subscriptions again.
    pub(super) client: Option<Arc<str>>,
    pub(super) stage: Stage,
    pub(super) version: Version,
    pub(super) beat: Beat,
    pub(super) transmit: Transmit,
    pub(super) subscriptions: Subscriptions,
    pub(super) transactions: FxHashMap<Box<[u8]>, TransactionId>,
    pub(super) next_transaction: u32,
    pub(super) receipts: Receipts,
    pub(super) unread: Unread,
    pub(super) on_their_way: OnTheirWay,
    pub(super) temporaries: Temporaries,
    /// Requests of the session itself, to go ahead of the peer's next ones.
    pub(super) deferred: Vec<Request>,
    pub(super) last_message: u64,
    /// The last destination as it was written, and what it names.
    pub(super) last_destination: Option<(Box<[u8]>, DestinationName)>,
    pub(super) report: Report,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has logged in; until this tick.
    Waiting(Tick),
    Open,
    /// The peer has said goodbye and waits for its receipt.
    Leaving,
    /// The broker is stopping: the peer is not heard any more, but gets the answers that are due.
    Stopping,
    Closed(Departure),
}

impl Session {
    /// The session of a peer that has just connected.
    pub fn new(config: Arc<Config>, id: ConnectionId, now: Now) -> Self {
        let limits = config.limits.before_login(config.frame_before_login);
        let timeout = millis(config.login_timeout);
        let temporaries = Temporaries::new(id, config.max_temporary);
        Self {
            decoder: Decoder::new(limits),
            large: None,
            peer: Peer {
                config,
                id,
                client: None,
                stage: Stage::Waiting(now.tick.after(timeout)),
                version: Version::V1_0,
                beat: Beat::default(),
                transmit: Transmit::default(),
                subscriptions: Subscriptions::default(),
                transactions: FxHashMap::default(),
                next_transaction: 0,
                receipts: Receipts::default(),
                unread: Unread::default(),
                on_their_way: OnTheirWay::default(),
                temporaries,
                deferred: Vec::new(),
                last_message: 0,
                last_destination: None,
                report: Report::default(),
            },
        }
    }

    /// Turns the peer away at the door.
    pub fn refuse(&mut self, overload: &Overload) {
        let refused = Refused::fatal(Code::LimitReached, overload.to_string()).at_limit(
            overload.key,
            None,
            overload.limit as u64,
        );
        self.peer.tell(&refused, None);
    }

    /// Takes the next frame, or piece of one. Returns how many bytes were done with, and whether
    /// there may be more to do with what is left.
    fn step(&mut self, now: Now, bytes: &[u8], requests: &mut Vec<Request>) -> (usize, bool) {
        if let Some(mut large) = self.large.take() {
            return match self.decoder.body(bytes) {
                Ok(part) => {
                    large.extend(part.bytes);
                    if part.done {
                        self.peer.large_done(now, *large, requests);
                    } else {
                        self.large = Some(large);
                    }
                    (part.consumed, part.done)
                }
                Err(error) => {
                    self.peer.tell(&Refused::from(&error), None);
                    (bytes.len(), false)
                }
            };
        }
        let before = self.peer.stage;
        let step = match self.decoder.decode(bytes) {
            Ok(decoded) => match decoded.event {
                Event::Incomplete => (decoded.consumed, false),
                Event::Frame(frame) => {
                    self.peer.handle(now, &frame, requests);
                    (decoded.consumed, true)
                }
                Event::LargeHead(frame, length) => {
                    let body = self.peer.begin_large(now, &frame, length);
                    self.large = Some(Box::new(body));
                    (decoded.consumed, true)
                }
            },
            Err(error) => {
                self.peer.misread(&Refused::from(&error));
                (bytes.len(), false)
            }
        };
        if self.peer.stage != before && self.peer.stage == Stage::Open {
            self.decoder.set_version(self.peer.version);
            self.decoder.set_limits(self.peer.config.limits);
        }
        step
    }
}

impl Peer {
    fn handle(&mut self, now: Now, frame: &Frame<'_>, requests: &mut Vec<Request>) {
        let result = match self.stage {
            Stage::Waiting(_) if matches!(frame.verb, Verb::Connect | Verb::Stomp) => {
                self.connect(now, &frame.headers, requests)
            }
            Stage::Waiting(_) => Err(Refused::fatal(
                Code::NotConnected,
                format!(
                    "unexpected frame before CONNECT or STOMP frame: {}",
                    frame.verb.text()
                ),
            )),
            Stage::Open => self.handle_open(now, frame, requests),
            // What comes behind a goodbye is of no interest.
            Stage::Leaving | Stage::Stopping | Stage::Closed(_) => Ok(()),
        };
        if let Err(refused) = result {
            self.refuse_frame(frame, refused);
        }
        requests.append(&mut self.deferred);
    }

    fn handle_open(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let headers = &frame.headers;
        match frame.verb {
            Verb::Send => {
                let sent = self.send(now, frame, requests);
                self.report.rejected.invalid += u64::from(sent.is_err());
                sent
            }
            Verb::Ack => self.settle(true, headers, requests),
            Verb::Nack => self.settle(false, headers, requests),
            Verb::Begin => self.begin(headers, requests),
            Verb::Commit => self.commit(headers, requests),
            Verb::Abort => self.abort(headers, requests),
            Verb::Subscribe => self.subscribe(headers, requests),
            Verb::Unsubscribe => self.unsubscribe(headers, requests),
            Verb::Disconnect => {
                self.disconnect(headers, requests);
                Ok(())
            }
            Verb::Connect | Verb::Stomp => Err(Refused::fatal(
                Code::AlreadyConnected,
                "received a duplicate CONNECT or STOMP frame",
            )),
            Verb::Connected | Verb::Message | Verb::Receipt | Verb::Error => {
                Err(Refused::unexpected_frame(frame.verb))
            }
        }
    }

    fn begin_large(&mut self, now: Now, frame: &Frame<'_>, length: usize) -> LargeBody {
        if self.stage != Stage::Open {
            self.handle(now, frame, &mut Vec::new());
            return LargeBody::discarded();
        }
        let (body, result) = self.large_head(now, frame, length);
        if let Err(refused) = result {
            self.report.rejected.invalid += 1;
            self.refuse_frame(frame, refused);
        }
        body
    }

    /// Answers bytes that are no frame; the first ones in the language that they seem to be of.
    fn misread(&mut self, refused: &Refused) {
        self.report.rejected.too_large += u64::from(refused.code == Code::FrameTooLarge);
        self.tell(refused, None);
    }

    fn turn_away(&mut self, stranger: Stranger) {
        let code = Code::NotSupported;
        match stranger.answer() {
            b"" => {
                let message = format!("This port speaks STOMP, and {} called", stranger.name());
                self.tell(&Refused::fatal(code, message), None);
            }
            answer => {
                self.report.errors.push(code);
                self.transmit.buffer().extend_from_slice(answer);
                self.stage = Stage::Closed(Departure::Abnormal);
            }
        }
    }
}

impl Protocol for Session {
    fn receive(&mut self, now: Now, bytes: &[u8], requests: &mut Vec<Request>) -> usize {
        self.peer.beat.heard = now.tick;
        requests.append(&mut self.peer.deferred);
        let mut consumed = 0;
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            match self.peer.stage {
                Stage::Stopping | Stage::Closed(_) => return bytes.len(),
                Stage::Waiting(_) => {
                    if let Some(stranger) = sniff::stranger(rest) {
                        self.peer.turn_away(stranger);
                        continue;
                    }
                }
                Stage::Open | Stage::Leaving => {}
            }
            if rest.is_empty() {
                return consumed;
            }
            let (done, more) = self.step(now, rest, requests);
            consumed += done;
            if !more {
                return consumed;
            }
        }
    }

    fn complete(&mut self, now: Now, completion: Completion) {
        let Completion { token, result } = completion;
        match (token, result) {
            (token, Err(refusal)) => self.peer.denied(token, &refusal),
            (Some(token), Ok(Done::Now)) => self.peer.granted(now, token),
            (Some(token), Ok(Done::At(sequence))) => self.peer.receipts.wait(token, sequence),
            (None, Ok(_)) => {}
        }
    }

    fn durable(&mut self, now: Now, up_to: Sequence) {
        while let Some(token) = self.peer.receipts.durable(up_to) {
            self.peer.granted(now, token);
        }
    }

    fn cancelled(&mut self, now: Now, sequence: Sequence) {
        if let Some(token) = self.peer.receipts.cancelled(sequence) {
            self.peer.granted(now, token);
        }
    }

    fn deliver(&mut self, delivery: &Delivery) {
        self.peer.encode_delivery(delivery);
    }

    fn transmit(&mut self) -> &mut Transmit {
        &mut self.peer.transmit
    }

    fn transmitted(&mut self, now: Now, bytes: usize, requests: &mut Vec<Request>) {
        self.peer.beat.spoken = now.tick;
        self.peer.note_written(bytes, requests);
        requests.append(&mut self.peer.deferred);
    }

    fn deadline(&self) -> Option<Tick> {
        let beat = &self.peer.beat;
        match self.peer.stage {
            Stage::Waiting(until) => Some(until),
            Stage::Open | Stage::Leaving => match (beat.silent_at(), beat.speak_at()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            Stage::Stopping | Stage::Closed(_) => None,
        }
    }

    fn expire(&mut self, now: Now, reading: bool) {
        let peer = &mut self.peer;
        match peer.stage {
            Stage::Waiting(until) if until <= now.tick => {
                let message = format!(
                    "No CONNECT came within {:?} (limits.login_timeout)",
                    peer.config.login_timeout
                );
                peer.tell(&Refused::fatal(Code::LoginTimeout, message), None);
            }
            Stage::Waiting(_) | Stage::Stopping | Stage::Closed(_) => {}
            Stage::Open | Stage::Leaving => {
                if !reading {
                    peer.beat.heard = now.tick;
                }
                if peer.beat.silent_at().is_some_and(|at| at <= now.tick) {
                    let silent = Duration::from_millis(now.tick.0 - peer.beat.heard.0);
                    let agreed = Duration::from_millis(peer.beat.expect);
                    let message = format!(
                        "No data came for {silent:?}, agreed was a heart-beat every {agreed:?}"
                    );
                    peer.tell(&Refused::fatal(Code::HeartBeatTimeout, message), None);
                } else if peer.beat.speak_at().is_some_and(|at| at <= now.tick) {
                    peer.beat.spoken = now.tick;
                    if peer.transmit.is_empty() {
                        peer.transmit.buffer().push(b'\n');
                    }
                }
            }
        }
    }

    fn store_failed(&mut self, _now: Now, cause: &str) {
        let mut refused = Refused::new(
            Code::StoreFailed,
            format!("The broker cannot store messages any more: {cause}"),
        );
        let waiting: Vec<_> = self.peer.receipts.take_all().collect();
        for pending in waiting {
            if let Some(receipt) = pending.receipt {
                self.peer.tell(&refused, Some(&receipt));
            }
        }
        refused.fatal = true;
        self.peer.tell(&refused, None);
    }

    fn shut_down(&mut self, _now: Now) {
        match self.peer.stage {
            Stage::Waiting(_) | Stage::Open => {
                self.peer.stage = Stage::Stopping;
                self.peer.end_if_stopped();
            }
            // It ends by itself.
            Stage::Leaving | Stage::Stopping | Stage::Closed(_) => {}
        }
    }

    fn arriving(&self) -> usize {
        self.large.as_ref().map_or(0, |large| large.held())
    }

    fn refuse_arriving(&mut self, _now: Now, refusal: &Refusal) {
        let mut refused = Refused::from(refusal);
        refused.fatal = true;
        self.large = None;
        self.peer.report.rejected.full += 1;
        self.peer.tell(&refused, None);
    }

    fn is_congested(&self) -> bool {
        self.peer.stage == Stage::Stopping || self.peer.is_congested()
    }

    fn closing(&self) -> Option<Departure> {
        match self.peer.stage {
            Stage::Closed(departure) => Some(departure),
            Stage::Waiting(_) | Stage::Open | Stage::Leaving | Stage::Stopping => None,
        }
    }

    fn written(&self, subscription: SubscriptionId) -> DeliveryTag {
        let known = self.peer.subscriptions.get(subscription);
        known.map_or(DeliveryTag(0), |known| known.written)
    }

    fn report(&mut self) -> &mut Report {
        &mut self.peer.report
    }
}

/// A name that the peer gives to something of its own, which the session has to keep.
pub(super) fn own_name(header: &str, value: &[u8]) -> Result<Box<[u8]>, Refused> {
    let (actual, limit) = (value.len(), OWN_NAME_MAX);
    if actual > limit {
        let message = format!("The header {header} is {actual} bytes long, at most are {limit}");
        return Err(Refused::new(Code::InvalidHeader, message).at_limit(
            "fixed",
            Some(actual as u64),
            limit as u64,
        ));
    }
    Ok(value.into())
}

/// A number in a header's value.
pub(super) fn value<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
