//! One end of a connection: what the driver of a socket does, in pieces that a seed puts in order.
//! A driver that sleeps does nothing until its bytes, its clock or its mail's waker wake it, so that
//! a wake that is lost shows.

use std::cell::Cell;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use tidegate::internal::broker::{Broker, Connection};
use tidegate::internal::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Version};
use tidegate::internal::core::{Delivery, Now, Request};
use tidegate::internal::protocol::stomp::{Config, Session};
use tidegate::internal::protocol::{Departure, Session as _};

/// Set by the mail's waker.
#[derive(Debug, Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How much a turn may do.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes that arrive at the broker.
    pub read: usize,
    /// Bytes that the socket takes.
    pub write: usize,
    /// Bytes encoded ahead of the socket.
    pub ahead: usize,
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub clean: bool,
}

/// Session, connection and socket of one client.
pub struct Peer {
    session: Session,
    connection: Option<Connection>,
    /// Bytes on their way to the broker; the first `arrived` of them are there.
    outgoing: Vec<u8>,
    arrived: usize,
    /// Bytes that came from the broker, and what they have become.
    incoming: Vec<u8>,
    decoder: Decoder,
    large: Option<OwnedFrame>,
    pub version: Version,
    pub frames: Vec<OwnedFrame>,
    pub reading: bool,
    bell: Arc<Bell>,
    awake: bool,
    /// Deliveries taken from the mail, and seen by [`Peer::observe`].
    taken: usize,
    observed: usize,
    /// Deliveries that were made while the connection ended.
    last: Vec<Delivery>,
    /// Told to end before the broker had carried out all that the client has said.
    stopped_short: Cell<bool>,
}

impl Peer {
    pub fn new(broker: &Broker, config: &Arc<Config>, now: Now, version: Version) -> Self {
        let connection = broker.connect();
        let session = Session::new(Arc::clone(config), connection.id(), now);
        Self {
            session,
            connection: Some(connection),
            outgoing: Vec::new(),
            arrived: 0,
            incoming: Vec::new(),
            decoder: Decoder::new(Limits::default()),
            large: None,
            version: Version::V1_0,
            frames: Vec::new(),
            reading: true,
            bell: Arc::default(),
            stopped_short: Cell::new(false),
            awake: true,
            taken: 0,
            observed: 0,
            last: Vec::new(),
        }
        .speaking(version)
    }

    fn speaking(mut self, version: Version) -> Self {
        self.version = version;
        self.decoder.set_version(version);
        self
    }

    pub fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the broker has taken and carried out all that the client has said.
    pub fn is_heard(&self) -> bool {
        let idle = |c: &Connection| !c.is_parked() && !c.is_committing();
        let idle = self.connection.as_ref().is_some_and(idle);
        self.outgoing.is_empty() && idle && !self.stopped_short.get()
    }

    /// Bytes that the broker has not taken.
    pub fn unheard_bytes(&self) -> usize {
        self.outgoing.len()
    }

    pub fn say(&mut self, frame: &OwnedFrame) {
        frame.encode(self.version, &mut self.outgoing);
    }

    /// Asks the connection to end, as a broker that stops does.
    pub fn stop(&self) {
        // What waits is refused, and what it has not read is not read any more.
        self.stopped_short.set(!self.is_heard());
        if let Some(connection) = &self.connection {
            connection.outbox().stop();
        }
    }

    /// Whether a turn would do anything.
    pub fn can_turn(&mut self) -> bool {
        let Some(connection) = &self.connection else {
            return false;
        };
        self.awake
            || self.bell.0.load(Ordering::Relaxed)
            || (!self.outgoing.is_empty()
                && !connection.is_blocked()
                && !self.session.is_congested())
            || (self.reading && !self.session.transmit().is_empty())
    }

    /// New deliveries since the last call, whether taken or not.
    pub fn observe(&mut self) -> Vec<Delivery> {
        let Some(connection) = &self.connection else {
            return std::mem::take(&mut self.last);
        };
        let untaken = connection.untaken();
        let new = untaken.iter().skip(self.observed - self.taken);
        let new: Vec<_> = new.cloned().collect();
        self.observed += new.len();
        new
    }

    /// One turn. Says how the connection has ended, if it has.
    pub fn turn(&mut self, now: Now, budget: Budget) -> Option<Ended> {
        self.bell.0.store(false, Ordering::Relaxed);
        self.awake = false;
        self.collect(now, budget.ahead);
        self.write(now, budget.write);
        if let Some(departure) = self.session.closing() {
            return self.leave(now, departure == Departure::Clean);
        }
        self.read(now, budget.read);
        if let Some(departure) = self.session.closing() {
            return self.leave(now, departure == Departure::Clean);
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        if let Some(connection) = &self.connection {
            self.awake = !connection.outbox().sleep(&waker);
            // Deliveries that were left because the socket was behind.
            self.awake |= !connection.untaken().is_empty() && self.session.transmit().is_empty();
        }
        None
    }

    /// Does what is due by the clock.
    pub fn expire(&mut self, now: Now) -> Option<Ended> {
        let connection = self.connection.as_mut()?;
        let reading = !connection.is_blocked() && !self.session.is_congested();
        if self.session.deadline().is_some_and(|at| at <= now.tick) {
            self.session.expire(now, reading);
        }
        let mut completions = Vec::new();
        connection.expire(now, &mut completions);
        for completion in completions {
            self.session.complete(now, completion);
        }
        self.awake = true;
        None
    }

    /// The client vanishes. A commit on its way is waited for.
    pub fn vanish(&mut self, now: Now) -> Option<Ended> {
        self.outgoing.clear();
        self.arrived = 0;
        self.leave(now, false)
    }

    fn leave(&mut self, now: Now, clean: bool) -> Option<Ended> {
        // The last words go out as far as the client reads.
        self.write(now, usize::MAX);
        let connection = self.connection.as_mut()?;
        connection.collect(now, &mut Vec::new());
        if connection.is_committing() {
            self.awake = true;
            return None;
        }
        self.last = self.observe();
        let session = &self.session;
        let connection = self.connection.take()?;
        connection.disconnect(now, |subscription| {
            (!clean).then(|| session.written(subscription))
        });
        Some(Ended { clean })
    }

    /// The broker is gone.
    pub fn cut(&mut self) {
        self.connection = None;
    }

    fn collect(&mut self, now: Now, ahead: usize) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut completions = Vec::new();
        let mail = connection.collect(now, &mut completions);
        for completion in completions {
            self.session.complete(now, completion);
        }
        if mail.durable.0 > 0 {
            self.session.durable(now, std::mem::take(&mut mail.durable));
        }
        for sequence in mail.cancelled.drain(..) {
            self.session.cancelled(now, sequence);
        }
        if let Some(cause) = mail.failed.take() {
            self.session.store_failed(now, &cause);
        }
        if std::mem::take(&mut mail.stop) {
            self.session.shut_down(now);
        }
        let mut bytes = 0;
        while self.session.transmit().len() < ahead {
            let Some(delivery) = mail.deliveries.pop_front() else {
                break;
            };
            self.taken += 1;
            bytes += delivery.message.footprint();
            self.session.deliver(&delivery);
        }
        assert!(self.taken <= self.observed, "a delivery went unseen");
        if bytes > 0 {
            connection.encoded(now, bytes);
        }
    }

    fn write(&mut self, now: Now, most: usize) {
        let waiting = self.session.transmit().len();
        if !self.reading || waiting == 0 {
            return;
        }
        let mut left = most.clamp(1, waiting);
        while left > 0 {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = self.session.transmit().slices(&mut slices);
            let mut written = 0;
            for slice in &slices[..filled] {
                let part = slice.len().min(left - written);
                self.incoming.extend_from_slice(&slice[..part]);
                written += part;
            }
            left -= written;
            self.session.transmit().advance(written);
            if left == 0 && self.incoming.last() == Some(&0) && !self.session.transmit().is_empty()
            {
                // A frame ends with the line feed behind its NUL, for the broker's accounts.
                left = 1;
            }
            let mut requests = Vec::new();
            self.session.transmitted(now, written, &mut requests);
            self.submit(now, requests);
        }
        self.decode();
    }

    fn decode(&mut self) {
        loop {
            if let Some(frame) = &mut self.large {
                let part = self.decoder.body(&self.incoming).expect("a body");
                frame.body.extend_from_slice(part.bytes);
                let (consumed, done) = (part.consumed, part.done);
                self.incoming.drain(..consumed);
                if !done {
                    return;
                }
                self.frames.extend(self.large.take());
            }
            let decoded = self.decoder.decode(&self.incoming).expect("a frame");
            let consumed = decoded.consumed;
            let (frame, large) = match decoded.event {
                Event::Incomplete => (None, None),
                Event::Frame(frame) => (Some(frame.to_owned()), None),
                Event::LargeHead(frame, _) => (None, Some(frame.to_owned())),
            };
            self.incoming.drain(..consumed);
            if frame.is_none() && large.is_none() {
                return;
            }
            self.frames.extend(frame);
            self.large = large;
        }
    }

    fn read(&mut self, now: Now, most: usize) {
        let Some(connection) = &self.connection else {
            return;
        };
        let reads = !connection.is_blocked() && !self.session.is_congested();
        if !reads || self.outgoing.is_empty() {
            return;
        }
        self.arrived = self
            .arrived
            .saturating_add(most.max(1))
            .min(self.outgoing.len());
        let mut requests = Vec::new();
        let offered = &self.outgoing[..self.arrived];
        let consumed = self.session.receive(now, offered, &mut requests);
        self.outgoing.drain(..consumed);
        self.arrived -= consumed;
        self.submit(now, requests);
    }

    fn submit(&mut self, now: Now, mut requests: Vec<Request>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut completions = Vec::new();
        connection.submit(now, &mut requests, &mut completions);
        for completion in completions {
            self.session.complete(now, completion);
        }
    }
}
