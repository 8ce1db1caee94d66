//! Every code of `docs/errors.md`: what provokes it, what the peer is told, whether the connection
//! stays, and that nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use tidegate::internal::broker::BrokerConfig;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::Tick;
use tidegate::internal::protocol::Code;
use tidegate::internal::protocol::stomp::Config;
use tidegate::internal::store::{
    Batch, MemoryStore, Reader, Recovered, Store, StoreError, StoreSize,
};

use crate::say::{assert_alive, frame, granted, refused, send, subscribe, transaction};
use crate::support::world::{Id, World, config};

const Q: &str = "/queue/test";

/// A broker, the client that was refused something, and the ERROR that it got.
struct Provoked {
    world: World,
    client: Id,
    error: OwnedFrame,
    /// A client that does nothing wrong.
    bystander: Id,
}

/// What a code looks like from outside.
struct Row {
    code: Code,
    provoke: fn() -> Provoked,
    /// A part of the message that names the cause.
    names: &'static str,
    closed: bool,
    receipt: bool,
    /// The setting that it names, and whether the actual value is told.
    limit: Option<(&'static str, bool)>,
}

fn row(code: Code, provoke: fn() -> Provoked, names: &'static str) -> Row {
    Row {
        code,
        provoke,
        names,
        closed: false,
        receipt: true,
        limit: None,
    }
}

impl Row {
    fn closes(mut self) -> Self {
        self.closed = true;
        self
    }

    /// What could not be read as a frame has no receipt that could be named.
    fn without_receipt(mut self) -> Self {
        self.receipt = false;
        self
    }

    fn at(mut self, key: &'static str, actual: bool) -> Self {
        self.limit = Some((key, actual));
        self
    }
}

fn table() -> Vec<Row> {
    use Code::*;
    vec![
        row(UnknownCommand, unknown_command, "Unknown STOMP action: SED")
            .closes()
            .without_receipt(),
        row(
            MalformedFrame,
            malformed_frame,
            "line 2 of the frame has no colon: no colon",
        )
        .closes()
        .without_receipt(),
        row(
            InvalidContentLength,
            content_length,
            "may not be negative: -1",
        )
        .closes()
        .without_receipt(),
        row(
            FrameTooLarge,
            too_large,
            "maximum data length was exceeded: 2000, the limit is 1000",
        )
        .closes()
        .without_receipt()
        .at("limits.max_frame", true),
        row(
            NotConnected,
            not_connected,
            "before CONNECT or STOMP frame: SEND",
        )
        .closes(),
        row(
            AlreadyConnected,
            already_connected,
            "duplicate CONNECT or STOMP frame",
        )
        .closes(),
        row(
            UnexpectedFrame,
            unexpected_frame,
            "RECEIPT is only expected from a server",
        )
        .closes(),
        row(
            VersionMismatch,
            version_mismatch,
            "Invalid Protocol version[2.0]",
        )
        .closes(),
        row(
            InvalidHeartBeat,
            invalid_heart_beat,
            "Invalid heart-beat header:T,0",
        )
        .closes(),
        row(HeartBeatRequired, heart_beat_required, "wants heart-beats").closes(),
        row(
            HeartBeatTimeout,
            heart_beat_timeout,
            "No data came for 4s, agreed was a heart-beat every 1s",
        )
        .closes()
        .without_receipt(),
        row(
            LoginTimeout,
            login_timeout,
            "No CONNECT came within 10s (limits.login_timeout)",
        )
        .closes()
        .without_receipt(),
        row(MissingHeader, missing_header, "(header: destination)"),
        row(
            InvalidHeader,
            invalid_header,
            "The header priority is 'high'",
        ),
        row(
            InvalidDestination,
            invalid_destination,
            "The destination '/queue/' cannot be used",
        ),
        row(
            NotSupported,
            not_supported,
            "The header selector asks for a selector",
        ),
        row(
            SubscriptionExists,
            subscription_exists,
            "A subscription with the id 'one' exists",
        ),
        row(
            UnknownSubscription,
            unknown_subscription,
            "No subscription matched: 'none'",
        ),
        row(
            UnknownAck,
            unknown_ack,
            "[none]: it is no id that this broker gave",
        ),
        row(
            TransactionExists,
            transaction_exists,
            "The transaction was already started: tx",
        ),
        row(
            UnknownTransaction,
            unknown_transaction,
            "Invalid transaction id: none",
        ),
        row(
            LimitReached,
            limit_reached,
            "has 1 subscriptions, as many as it may",
        )
        .at("limits.max_subscriptions_per_connection", false),
        row(Full, full, "No room: the queue holds").at("destination.max_bytes", true),
        row(StoreFailed, store_failed, "cannot store messages any more").closes(),
        row(Shutdown, shutdown, "The broker is stopping")
            .closes()
            .without_receipt(),
    ]
}

#[test]
fn every_code_is_told_as_documented() {
    let table = table();
    let codes: Vec<_> = table.iter().map(|row| row.code).collect();
    assert_eq!(codes, Code::ALL, "each code has its row");
    for row in table {
        let Provoked {
            mut world,
            client,
            error,
            bystander,
        } = (row.provoke)();
        let code = row.code.text();
        let told = |name| error.get(name);
        assert_eq!(error.verb, Verb::Error, "{code}: {error:?}");
        assert_eq!(told("code"), Some(code), "{error:?}");
        assert_eq!(told("content-type"), Some("text/plain"), "{code}");
        let message = told("message").unwrap();
        assert!(message.contains(row.names), "{code}: {message}");
        let body = String::from_utf8(error.body.clone()).unwrap();
        let expected = format!(
            "{message}\n{}\nSee docs/errors.md#{code}\n",
            row.code.hint()
        );
        assert_eq!(body, expected, "{code}");
        assert_eq!(told("receipt-id").is_some(), row.receipt, "{code}");
        assert_eq!(told("key"), row.limit.map(|(key, _)| key), "{code}");
        assert_eq!(told("limit").is_some(), row.limit.is_some(), "{code}");
        let actual = row.limit.is_some_and(|(_, actual)| actual);
        assert_eq!(told("actual").is_some(), actual, "{code}");
        assert_eq!(world.drain(client), [], "{code}: one ERROR for one mistake");
        assert_eq!(world.is_closed(client), row.closed, "{code}");
        if matches!(row.code, Code::StoreFailed | Code::Shutdown) {
            continue;
        }
        if !row.closed && row.code != Code::Full {
            assert_alive(&mut world, client);
        }
        if row.code != Code::HeartBeatTimeout {
            assert_alive(&mut world, bystander);
        }
    }
}

/// As the standard wants it, where the listener says so.
#[test]
fn every_error_closes_in_strict_mode() {
    for row in table() {
        let Provoked {
            world,
            client,
            error,
            ..
        } = with_sessions(row.provoke);
        assert_eq!(error.get("code"), Some(row.code.text()));
        assert!(world.is_closed(client), "{}", row.code.text());
    }
}

thread_local! {
    static CLOSE_ON_ERROR: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn with_sessions(provoke: fn() -> Provoked) -> Provoked {
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

fn unknown_command() -> Provoked {
    after_bytes(b"SED\nAND:YOU\nreceipt:1\n\n\0")
}

fn malformed_frame() -> Provoked {
    after_bytes(b"SEND\ndestination:/queue/test\nno colon\n\nx\0")
}

fn content_length() -> Provoked {
    after_bytes(b"SEND\ndestination:/queue/test\ncontent-length:-1\n\nx\0")
}

fn too_large() -> Provoked {
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

fn not_connected() -> Provoked {
    after_login(send(Q).with_body(b"x"), |_| {})
}

fn already_connected() -> Provoked {
    after_refused(login())
}

fn unexpected_frame() -> Provoked {
    after_refused(frame(Verb::Receipt).with("receipt-id", "x"))
}

fn version_mismatch() -> Provoked {
    let provoked = after_login(frame(Verb::Connect).with("accept-version", "2.0"), |_| {});
    assert_eq!(provoked.error.get("version"), Some("1.0,1.1,1.2"));
    provoked
}

fn invalid_heart_beat() -> Provoked {
    after_login(login().with("heart-beat", "T,0"), |_| {})
}

fn heart_beat_required() -> Provoked {
    after_login(login(), |config| config.heart_beat.require = true)
}

fn heart_beat_timeout() -> Provoked {
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

fn login_timeout() -> Provoked {
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

fn missing_header() -> Provoked {
    after_refused(frame(Verb::Send).with_body(b"x"))
}

fn invalid_header() -> Provoked {
    after_refused(send(Q).with("priority", "high").with_body(b"x"))
}

fn invalid_destination() -> Provoked {
    after_refused(send("/queue/").with_body(b"x"))
}

fn not_supported() -> Provoked {
    after_refused(subscribe(Q, "one").with("selector", "a = 1"))
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

fn subscription_exists() -> Provoked {
    after_granted(subscribe(Q, "one"), subscribe(Q, "one"))
}

fn unknown_subscription() -> Provoked {
    after_refused(frame(Verb::Unsubscribe).with("id", "none"))
}

fn unknown_ack() -> Provoked {
    after_refused(frame(Verb::Ack).with("id", "none"))
}

fn transaction_exists() -> Provoked {
    let begin = transaction(Verb::Begin, "tx");
    after_granted(begin.clone(), begin)
}

fn unknown_transaction() -> Provoked {
    after_refused(transaction(Verb::Commit, "none"))
}

fn limit_reached() -> Provoked {
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

fn full() -> Provoked {
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

fn store_failed() -> Provoked {
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

fn shutdown() -> Provoked {
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
