//! Duplicate detection: a message with an identity is taken once by its destination.

use std::time::Duration;

use tidegate::internal::broker::Clock;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{Now, Tick, Timestamp};
use tidegate::internal::store::{RedbOptions, RedbStore};

use crate::say::{assert_alive, bodies, granted, refused, send, subscribe, transaction, waiting};
use crate::support::world::{EPOCH, World, config};

const Q: &str = "/queue/orders";

fn once(id: &str, body: &str) -> OwnedFrame {
    send(Q)
        .with("_AMQ_DUPL_ID", id)
        .with("persistent", "true")
        .with_body(body.as_bytes())
}

#[test]
fn a_second_message_of_an_identity_gets_its_receipt_and_is_not_taken() {
    let mut world = World::new();
    let [one, two] = [(); 2].map(|()| world.connect(Version::V1_2));
    granted(&mut world, one, once("1", "a"));
    granted(&mut world, one, once("2", "b"));
    granted(&mut world, two, once("1", "again"));
    // The rest of a batch comes in order.
    granted(&mut world, two, send(Q).with_body(b"c"));
    let found = waiting(&mut world, Q);
    assert_eq!(found[0].get("_AMQ_DUPL_ID"), Some("1"), "it stays readable");
    let found: Vec<_> = found.iter().map(|frame| &*frame.body).collect();
    assert_eq!(found, [&b"a"[..], b"b", b"c"]);
    // Also when the first one is gone.
    let reader = world.connect(Version::V1_2);
    world.send(reader, &subscribe(Q, "1"));
    assert_eq!(bodies(&mut world, reader).len(), 3);
    granted(&mut world, one, once("2", "again"));
    assert_eq!(bodies(&mut world, reader), [""; 0]);
}

#[test]
fn an_identity_is_that_of_one_destination_for_a_while() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once("1", "a"));
    let elsewhere = send("/queue/other").with("_AMQ_DUPL_ID", "1");
    granted(&mut world, client, elsewhere.clone());
    assert_eq!(waiting(&mut world, "/queue/other").len(), 1);
    world.advance(Duration::from_secs(119));
    granted(&mut world, client, once("1", "again"));
    assert_eq!(waiting(&mut world, Q).len(), 1);
    world.advance(Duration::from_secs(1));
    granted(&mut world, client, once("1", "later"));
    assert_eq!(waiting(&mut world, Q).len(), 2);
    granted(&mut world, client, send(Q).with("_AMQ_DUPL_ID", ""));
    granted(&mut world, client, send(Q).with("_AMQ_DUPL_ID", ""));
    assert_eq!(waiting(&mut world, Q).len(), 4, "an empty one is none");
}

#[test]
fn all_that_a_destination_stands_for_gets_a_message_once() {
    for (sent_to, read_from) in [
        ("/topic/t", "/topic/t"),
        ("/queue/a,/queue/b", "/queue/b"),
        ("/topic/VirtualTopic.x", "/queue/Consumer.c.VirtualTopic.x"),
    ] {
        let mut world = World::new();
        let client = world.connect(Version::V1_2);
        world.send(client, &subscribe(read_from, "1"));
        for _ in 0..2 {
            let frame = send(sent_to).with("_AMQ_DUPL_ID", "1").with_body(b"x");
            let came = granted(&mut world, client, frame);
            drop(came);
        }
        let more = send(sent_to).with("_AMQ_DUPL_ID", "2").with_body(b"y");
        world.send(client, &more);
        assert_eq!(bodies(&mut world, client).last().unwrap(), "y", "{sent_to}");
        world.send(
            client,
            &send(sent_to).with("_AMQ_DUPL_ID", "2").with_body(b"z"),
        );
        assert_eq!(world.drain(client), [], "{sent_to}");
    }
}

#[test]
fn a_transaction_leaves_out_what_has_been_there() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once("1", "a"));
    for (end, expected) in [
        (Verb::Abort, &["a"][..]),
        (Verb::Commit, &["a", "x", "b", "y"]),
    ] {
        granted(&mut world, client, transaction(Verb::Begin, "t"));
        let plain = |body: &str| send(Q).with_body(body.as_bytes());
        for frame in [
            plain("x"),
            once("1", "again"),
            once("2", "b"),
            once("2", "twice in one transaction"),
            plain("y"),
        ] {
            granted(&mut world, client, frame.with("transaction", "t"));
        }
        granted(&mut world, client, transaction(end, "t"));
        let found: Vec<_> = waiting(&mut world, Q)
            .into_iter()
            .map(|frame| String::from_utf8(frame.body).unwrap())
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_scheduled_twice_comes_once() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for _ in 0..2 {
        granted(&mut world, client, once("1", "x").with("x-delay", "100"));
    }
    assert_eq!(world.broker.totals().scheduled, 1);
}

#[test]
fn an_identity_has_a_longest_length() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once(&"x".repeat(256), "a"));
    let error = refused(&mut world, client, once(&"x".repeat(257), "a"));
    assert_eq!(error.get("code"), Some("invalid-header"), "{error:?}");
    assert_alive(&mut world, client);
}

#[test]
fn a_message_that_was_refused_may_be_sent_again() {
    let mut settings = config();
    settings.policy.max_messages = 1;
    settings.policy.when_full = tidegate::internal::core::WhenFull::Reject;
    let store = Box::new(tidegate::internal::store::MemoryStore::default());
    let mut world = World::with(&settings, store);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once("1", "a"));
    let error = refused(&mut world, client, once("2", "b"));
    assert_eq!(error.get("code"), Some("full"), "{error:?}");
    let reader = world.connect(Version::V1_2);
    world.send(reader, &subscribe(Q, "1"));
    assert_eq!(bodies(&mut world, reader), ["a"]);
    granted(&mut world, client, once("2", "b"));
    assert_eq!(bodies(&mut world, reader), ["b"]);
}

#[test]
fn identities_of_persistent_messages_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let at = |seconds: u64| {
        let store = RedbStore::open(directory.path(), &RedbOptions::default()).unwrap();
        let clock = Clock::manual(Now {
            wall: Timestamp(EPOCH.0 + seconds * 1000),
            tick: Tick(0),
        });
        let mut world = World::at(&config(), Box::new(store), clock);
        world.run();
        world
    };
    let mut world = at(0);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once("1", "a"));
    let fleeting = send(Q).with("_AMQ_DUPL_ID", "2").with_body(b"b");
    granted(&mut world, client, fleeting.clone());
    let reader = world.connect(Version::V1_2);
    world.send(reader, &subscribe(Q, "1"));
    assert_eq!(bodies(&mut world, reader).len(), 2);
    for id in [client, reader] {
        world.vanish(id);
    }
    world.broker.shutdown().unwrap();
    drop(world);
    let mut world = at(60);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once("1", "again"));
    assert_eq!(waiting(&mut world, Q), []);
    granted(&mut world, client, fleeting);
    assert_eq!(
        waiting(&mut world, Q).len(),
        1,
        "it was gone with the broker"
    );
    world.vanish(client);
    world.broker.shutdown().unwrap();
    drop(world);
    let mut world = at(120);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, once("1", "two minutes later"));
    assert_eq!(waiting(&mut world, Q).len(), 1);
}
