//! The broker, its clients, and the turns they take.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use tidegate::internal::broker::{
    Broker, BrokerConfig, BrokerLimits, Clock, Connection, StoreConfig,
};
use tidegate::internal::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Verb, Version};
use tidegate::internal::core::{DestinationPolicy, Now, RedeliveryDelays, Tick, Timestamp};
use tidegate::internal::protocol::stomp::{Config, Session};
use tidegate::internal::protocol::{Departure, Session as _};
use tidegate::internal::store::{Durability, MemoryStore, Store};

/// The wall clock at the start of every world.
pub const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

/// A broker without threads and its clients.
pub struct World {
    pub broker: Broker,
    pub clock: Clock,
    pub session: Arc<Config>,
    clients: Vec<Client>,
}

/// A client by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub usize);

struct Client {
    session: Session,
    connection: Option<Connection>,
    /// Bytes on their way to the broker.
    outgoing: Vec<u8>,
    /// Bytes that came from the broker.
    incoming: Vec<u8>,
    decoder: Decoder,
    version: Version,
    /// Whether it takes what the broker sends.
    reading: bool,
    /// How many bytes the broker takes at once.
    chunk: usize,
}

/// What a world's broker is opened with unless a test wants something else.
pub fn config() -> BrokerConfig {
    BrokerConfig {
        store: StoreConfig::Memory,
        durability: Durability::Sync,
        // What is refused comes again at once, unless a test is about that.
        policy: DestinationPolicy {
            redelivery: RedeliveryDelays::NONE,
            ..DestinationPolicy::default()
        },
        policies: Vec::new(),
        routing: tidegate::internal::broker::Routing {
            virtual_topics: Some(tidegate::internal::core::VirtualTopics::default()),
            selector_aware: false,
            mirrored_queues: None,
            composites: tidegate::internal::core::Composites::default(),
        },
        life: tidegate::internal::broker::Life::default(),
        limits: BrokerLimits::default(),
        memory_limit_bytes: 1 << 30,
        advisories: true,
        duplicates: tidegate::internal::core::DuplicateWindow::default(),
        memory_slow_at: 0.8,
    }
}

/// A world whose destinations are treated in another way.
pub fn policed(change: impl FnOnce(&mut DestinationPolicy)) -> World {
    let mut config = config();
    change(&mut config.policy);
    World::with(&config, Box::new(MemoryStore::default()))
}

impl World {
    /// A world whose store is a memory store that keeps everything.
    pub fn new() -> Self {
        Self::with(&config(), Box::new(MemoryStore::default()))
    }

    pub fn with(config: &BrokerConfig, store: Box<dyn Store>) -> Self {
        let clock = Clock::manual(Now {
            wall: EPOCH,
            tick: Tick(0),
        });
        Self::at(config, store, clock)
    }

    pub fn at(config: &BrokerConfig, store: Box<dyn Store>, clock: Clock) -> Self {
        let broker = Broker::assemble(config, store, clock.clone()).unwrap();
        Self {
            broker,
            clock,
            session: Arc::new(Config::default()),
            clients: Vec::new(),
        }
    }

    /// The same with other settings for the sessions to come.
    pub fn session(mut self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = (*self.session).clone();
        change(&mut config);
        self.session = Arc::new(config);
        self
    }

    /// Opens a connection that has not logged in.
    pub fn open(&mut self) -> Id {
        let connection = self.broker.connect();
        let session = Session::new(Arc::clone(&self.session), connection.id(), self.clock.now());
        self.clients.push(Client {
            session,
            connection: Some(connection),
            outgoing: Vec::new(),
            incoming: Vec::new(),
            decoder: Decoder::new(Limits::default()),
            version: Version::V1_0,
            reading: true,
            chunk: usize::MAX,
        });
        Id(self.clients.len() - 1)
    }

    /// Opens a connection and logs in.
    pub fn connect(&mut self, version: Version) -> Id {
        let id = self.open();
        let login = OwnedFrame::new(Verb::Connect).with("accept-version", version.text());
        self.send(id, &login);
        let connected = self.receive(id);
        assert_eq!(connected.verb, Verb::Connected, "{connected:?}");
        self.set_version(id, version);
        id
    }

    /// From here on the client writes and reads frames by the rules of this version.
    pub fn set_version(&mut self, id: Id, version: Version) {
        let client = self.client(id);
        client.version = version;
        client.decoder.set_version(version);
    }

    /// Sends a frame and lets everything run.
    pub fn send(&mut self, id: Id, frame: &OwnedFrame) {
        let mut bytes = Vec::new();
        frame.encode(self.client(id).version, &mut bytes);
        self.send_bytes(id, &bytes);
    }

    /// Sends bytes and lets everything run.
    pub fn send_bytes(&mut self, id: Id, bytes: &[u8]) {
        self.queue_bytes(id, bytes);
        self.run();
    }

    /// Puts bytes on their way to the broker.
    pub fn queue_bytes(&mut self, id: Id, bytes: &[u8]) {
        self.client(id).outgoing.extend_from_slice(bytes);
    }

    /// The next frame for a client, which has to be there.
    #[track_caller]
    pub fn receive(&mut self, id: Id) -> OwnedFrame {
        self.try_receive(id).expect("a frame is there")
    }

    /// The next frame for a client, if there is one.
    pub fn try_receive(&mut self, id: Id) -> Option<OwnedFrame> {
        let client = self.client(id);
        let decoded = client
            .decoder
            .decode(&client.incoming)
            .expect("the broker sends frames");
        let (consumed, frame) = match decoded.event {
            Event::Incomplete => {
                client.incoming.drain(..decoded.consumed);
                return None;
            }
            Event::Frame(frame) => (decoded.consumed, frame.to_owned()),
            Event::LargeHead(frame, length) => {
                let mut frame = frame.to_owned();
                let head = decoded.consumed;
                let part = client.decoder.body(&client.incoming[head..]).unwrap();
                assert!(
                    part.done && part.bytes.len() == length,
                    "large bodies arrive whole"
                );
                frame.body = part.bytes.to_vec();
                (head + part.consumed, frame)
            }
        };
        client.incoming.drain(..consumed);
        Some(frame)
    }

    /// All frames for a client.
    pub fn drain(&mut self, id: Id) -> Vec<OwnedFrame> {
        std::iter::from_fn(|| self.try_receive(id)).collect()
    }

    /// Bytes for a client that are no frames, such as heart-beats.
    pub fn take_raw(&mut self, id: Id) -> Vec<u8> {
        std::mem::take(&mut self.client(id).incoming)
    }

    /// Whether the client takes what the broker sends.
    pub fn set_reading(&mut self, id: Id, reading: bool) {
        self.client(id).reading = reading;
    }

    /// How many bytes the broker takes from this client at once.
    pub fn set_chunk(&mut self, id: Id, chunk: usize) {
        self.client(id).chunk = chunk.max(1);
    }

    /// How many bytes on their way to the broker it has not taken.
    pub fn untaken(&self, id: Id) -> usize {
        self.clients[id.0].outgoing.len()
    }

    /// The broker asks all clients to go.
    pub fn stop(&mut self) {
        for client in &self.clients {
            if let Some(connection) = &client.connection {
                connection.outbox().stop();
            }
        }
        self.run();
    }

    /// Whether the broker has closed the connection.
    pub fn is_closed(&self, id: Id) -> bool {
        self.clients[id.0].connection.is_none()
    }

    /// The client vanishes without a word.
    pub fn vanish(&mut self, id: Id) {
        self.end(id, false);
        self.run();
    }

    /// Moves the clock on and does what is due.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        let now = self.clock.now();
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let Some(connection) = &mut client.connection else {
                continue;
            };
            let reading = !connection.is_blocked() && !client.session.is_congested();
            if client.session.deadline().is_some_and(|at| at <= now.tick) {
                client.session.expire(now, reading);
            }
            let mut completions = Vec::new();
            connection.expire(now, &mut completions);
            if let Some(refusal) = connection.refuses_arriving(now) {
                client.session.refuse_arriving(now, &refusal);
            }
            for completion in completions {
                client.session.complete(now, completion);
            }
        }
        self.run();
    }

    /// Lets clients, writer and pager take turns until nobody has anything to do.
    pub fn run(&mut self) {
        loop {
            let mut busy = false;
            for index in 0..self.clients.len() {
                busy |= self.turn(Id(index));
            }
            busy |= self.broker.step();
            if !busy {
                return;
            }
        }
    }

    /// One turn of one client, as the driver of a socket takes it. Returns whether it did anything.
    pub fn turn(&mut self, id: Id) -> bool {
        let now = self.clock.now();
        let client = &mut self.clients[id.0];
        if client.connection.is_none() {
            // The last words are still on their way.
            return client.write(now);
        }
        let mut busy = client.collect(now);
        busy |= client.write(now);
        let Some(connection_now) = &mut client.connection else {
            return busy;
        };
        if let Some(departure) = client.session.closing() {
            if !connection_now.is_committing() {
                self.end(id, departure == Departure::Clean);
            }
            return true;
        }
        let reads = !connection_now.is_blocked() && !client.session.is_congested();
        if reads && !client.outgoing.is_empty() {
            busy |= client.read(now);
        }
        busy
    }

    fn end(&mut self, id: Id, clean: bool) {
        let now = self.clock.now();
        let client = &mut self.clients[id.0];
        if let Some(connection) = client.connection.take() {
            let session = &client.session;
            connection.disconnect(now, |subscription| {
                (!clean).then(|| session.written(subscription))
            });
        }
    }

    fn client(&mut self, id: Id) -> &mut Client {
        &mut self.clients[id.0]
    }
}

impl Client {
    fn collect(&mut self, now: Now) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let mut completions = Vec::new();
        let mail = connection.collect(now, &mut completions);
        let mut busy = mail.durable.0 > 0 || !mail.cancelled.is_empty() || !completions.is_empty();
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
            busy = true;
        }
        if std::mem::take(&mut mail.stop) {
            self.session.shut_down(now);
            busy = true;
        }
        let mut bytes = 0;
        while self.session.transmit().len() < 256 * 1024 {
            let Some(delivery) = mail.deliveries.pop_front() else {
                break;
            };
            bytes += delivery.message.footprint();
            self.session.deliver(&delivery);
        }
        if bytes > 0 {
            connection.encoded(now, bytes);
        }
        busy || bytes > 0
    }

    fn write(&mut self, now: Now) -> bool {
        if !self.reading || self.session.transmit().is_empty() {
            return false;
        }
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = self.session.transmit().slices(&mut slices);
        let before = self.incoming.len();
        for slice in &slices[..filled] {
            self.incoming.extend_from_slice(slice);
        }
        let written = self.incoming.len() - before;
        self.session.transmit().advance(written);
        let mut requests = Vec::new();
        self.session.transmitted(now, written, &mut requests);
        self.submit(now, requests);
        true
    }

    fn read(&mut self, now: Now) -> bool {
        let mut requests = Vec::new();
        let offered = self.chunk.min(self.outgoing.len());
        let consumed = self
            .session
            .receive(now, &self.outgoing[..offered], &mut requests);
        self.outgoing.drain(..consumed);
        if consumed == 0 && requests.is_empty() {
            // The frame is longer than a piece: offer more the next time, as a socket would.
            self.chunk = self.chunk.saturating_mul(2);
            return offered < self.outgoing.len();
        }
        self.submit(now, requests);
        let arriving = self.session.arriving();
        if let Some(connection) = &mut self.connection {
            connection.set_arriving(now, arriving);
        }
        true
    }

    fn submit(&mut self, now: Now, mut requests: Vec<tidegate::internal::core::Request>) {
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
