//! What a client does to be told each code, and a broker that is in the state for it.

use std::sync::Arc;
use std::time::Duration;

use tidegate::internal::broker::BrokerConfig;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::Tick;
use tidegate::internal::protocol::stomp::Config;
use tidegate::internal::store::{
    Batch, MemoryStore, Reader, Recovered, Store, StoreError, StoreSize,
};

use crate::say::{frame, granted, refused, send, subscribe, transaction};
use crate::support::world::{Id, World, config};

const Q: &str = "/queue/test";

/// A broker, the client that was refused something, and the ERROR that it got.
pub struct Provoked {
    pub world: World,
    pub client: Id,
    pub error: OwnedFrame,
    /// A client that does nothing wrong.
    pub bystander: Id,
}

thread_local! {
    static CLOSE_ON_ERROR: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Provokes it where every ERROR ends the connection.
pub fn in_strict_mode(provoke: fn() -> Provoked) -> Provoked {
    CLOSE_ON_ERROR.set(true);
    let provoked = provoke();
    CLOSE_ON_ERROR.set(false);
    provoked
}

/// A world with a bystander and a client that has logged in.
fn start() -> (World, Id, Id) {
    start_with(&config(), Box::new(MemoryStore::default()), |_| {})
}

fn start_with(
    broker: &BrokerConfig,
    store: Box<dyn Store>,
    change: impl FnOnce(&mut Config),
) -> (World, Id, Id) {
    let mut world = World::with(broker, store).session(|config| {
        config.close_on_error = CLOSE_ON_ERROR.get();
        change(config);
    });
    let bystander = world.connect(Version::V1_2);
    let client = world.connect(Version::V1_2);
    (world, client, bystander)
}

fn after_refused(what: OwnedFrame) -> Provoked {
    let (mut world, client, bystander) = start();
    let error = refused(&mut world, client, what);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

fn after_bytes(bytes: &[u8]) -> Provoked {
    let (mut world, client, bystander) = start();
    world.send_bytes(client, bytes);
    let error = world.receive(client);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

/// A login, in a session of these settings, that is refused.
fn after_login(login: OwnedFrame, change: impl FnOnce(&mut Config)) -> Provoked {
    let (mut world, _, bystander) = start();
    world = world.session(change);
    let client = world.open();
    let error = refused(&mut world, client, login);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

fn login() -> OwnedFrame {
    frame(Verb::Connect).with("accept-version", "1.2")
}

pub fn unknown_command() -> Provoked {
    after_bytes(b"SED\nAND:YOU\nreceipt:1\n\n\0")
}

pub fn malformed_frame() -> Provoked {
    after_bytes(b"SEND\ndestination:/queue/test\nno colon\n\nx\0")
}

pub fn content_length() -> Provoked {
    after_bytes(b"SEND\ndestination:/queue/test\ncontent-length:-1\n\nx\0")
}

pub fn too_large() -> Provoked {
    let (mut world, client, bystander) =
        start_with(&config(), Box::new(MemoryStore::default()), |config| {
            config.limits.body = 1000;
        });
    world.send(client, &send(Q).with_body(&[0; 2000]));
    let error = world.receive(client);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn not_connected() -> Provoked {
    after_login(send(Q).with_body(b"x"), |_| {})
}

pub fn already_connected() -> Provoked {
    after_refused(login())
}

pub fn unexpected_frame() -> Provoked {
    after_refused(frame(Verb::Receipt).with("receipt-id", "x"))
}

pub fn version_mismatch() -> Provoked {
    let provoked = after_login(frame(Verb::Connect).with("accept-version", "2.0"), |_| {});
    assert_eq!(provoked.error.get("version"), Some("1.0,1.1,1.2"));
    provoked
}

pub fn invalid_heart_beat() -> Provoked {
    after_login(login().with("heart-beat", "T,0"), |_| {})
}

pub fn heart_beat_required() -> Provoked {
    after_login(login(), |config| config.heart_beat.require = true)
}

pub fn heart_beat_timeout() -> Provoked {
    let (mut world, _, bystander) = start();
    let client = world.open();
    world.send(client, &login().with("heart-beat", "1000,0"));
    world.receive(client);
    world.set_version(client, Version::V1_2);
    world.advance(Duration::from_secs(4));
    let error = world.receive(client);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn login_timeout() -> Provoked {
    let (mut world, _, bystander) = start();
    let client = world.open();
    world.send_bytes(client, b"CONN");
    world.advance(Duration::from_secs(10));
    let error = world.receive(client);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn missing_header() -> Provoked {
    after_refused(frame(Verb::Send).with_body(b"x"))
}

pub fn invalid_header() -> Provoked {
    after_refused(send(Q).with("priority", "high").with_body(b"x"))
}

pub fn invalid_destination() -> Provoked {
    after_refused(send("/queue/").with_body(b"x"))
}

pub fn unknown_destination() -> Provoked {
    after_refused(send("/remote-temp-queue/ID:99:1").with_body(b"x"))
}

pub fn foreign_temporary() -> Provoked {
    after_refused(subscribe("/remote-temp-topic/ID:99:1", "one"))
}

pub fn invalid_selector() -> Provoked {
    after_refused(subscribe(Q, "one").with("selector", "a = "))
}

pub fn not_supported() -> Provoked {
    after_refused(subscribe(Q, "one").with("transformation", "jms-map-xml"))
}

/// The ERROR for the second of two frames of which the first is granted.
fn after_granted(first: OwnedFrame, second: OwnedFrame) -> Provoked {
    let (mut world, client, bystander) = start();
    assert_eq!(granted(&mut world, client, first), []);
    let error = refused(&mut world, client, second);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn subscription_exists() -> Provoked {
    after_granted(subscribe(Q, "one"), subscribe(Q, "one"))
}

pub fn subscription_in_use() -> Provoked {
    let (mut world, client, bystander) = start();
    let lasting = subscribe("/topic/test", "one").with("durable", "true");
    assert_eq!(granted(&mut world, bystander, lasting.clone()), []);
    let error = refused(&mut world, client, lasting);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn unknown_subscription() -> Provoked {
    after_refused(frame(Verb::Unsubscribe).with("id", "none"))
}

pub fn unknown_ack() -> Provoked {
    after_refused(frame(Verb::Ack).with("id", "none"))
}

pub fn transaction_exists() -> Provoked {
    let begin = transaction(Verb::Begin, "tx");
    after_granted(begin.clone(), begin)
}

pub fn unknown_transaction() -> Provoked {
    after_refused(transaction(Verb::Commit, "none"))
}

pub fn limit_reached() -> Provoked {
    let (mut world, client, bystander) =
        start_with(&config(), Box::new(MemoryStore::default()), |config| {
            config.max_subscriptions = 1;
        });
    granted(&mut world, client, subscribe(Q, "one"));
    let error = refused(&mut world, client, subscribe(Q, "two"));
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn full() -> Provoked {
    let mut small = config();
    small.policy.max_bytes = 1000;
    let (mut world, client, bystander) =
        start_with(&small, Box::new(MemoryStore::default()), |_| {});
    world.send(client, &send(Q).with_body(&[7; 900]));
    world.send(
        client,
        &send(Q).with("receipt", "second").with_body(&[7; 900]),
    );
    assert_eq!(world.drain(client), [], "it is made to wait first");
    world.advance(Duration::from_secs(10));
    let error = world.receive(client);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn store_failed() -> Provoked {
    let store = Box::new(Failing(MemoryStore::default()));
    let (mut world, client, bystander) = start_with(&config(), store, |_| {});
    let persistent = send(Q).with("persistent", "true").with("receipt", "1");
    world.send(client, &persistent.with_body(b"x"));
    let error = world.receive(client);
    if !world.session.close_on_error {
        let last = world.receive(client);
        assert_eq!(last.get("code"), Some("store-failed"));
        assert_eq!(last.get("receipt-id"), None);
    }
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

pub fn shutdown() -> Provoked {
    let (mut world, client, bystander) = start();
    world.stop();
    let error = world.receive(client);
    Provoked {
        world,
        client,
        error,
        bystander,
    }
}

/// A store whose first commit fails.
#[derive(Debug)]
struct Failing(MemoryStore);

impl Store for Failing {
    fn commit(&mut self, _batch: &Batch, _flush: bool) -> Result<(), StoreError> {
        Err(StoreError::Failed("no space left on device".to_owned()))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.0.sync()
    }

    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.0.recover()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.0.reader()
    }

    fn tidy(&mut self, now: Tick) -> Result<Option<Tick>, StoreError> {
        self.0.tidy(now)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.0.close()
    }

    fn size(&self) -> StoreSize {
        self.0.size()
    }

    fn engine(&self) -> &'static str {
        self.0.engine()
    }
}
