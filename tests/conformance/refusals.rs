//! What is refused, in which words, and what a peer that goes on and on can make the broker hold.

use std::sync::Arc;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{ConnectionId, Now};
use tidegate::internal::protocol::stomp::{Config, Overload, Session};
use tidegate::internal::protocol::{Departure, Session as _};

use crate::say::{
    ack_id, ack_message, assert_alive, bodies, frame, granted, message, refused, send, subscribe,
    transaction, waiting,
};
use crate::support::world::{Id, World};

const Q: &str = "/queue/test";

/// Sends bytes as a client that has logged in, and expects an ERROR and the end.
#[track_caller]
fn ends(bytes: &[u8], text: &str) {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    ends_with(&mut world, client, bytes, text);
    let other = world.connect(Version::V1_2);
    assert_alive(&mut world, other);
}

#[track_caller]
fn ends_with(world: &mut World, client: Id, bytes: &[u8], text: &str) {
    world.send_bytes(client, bytes);
    let error = world.receive(client);
    assert_eq!(error.verb, Verb::Error);
    assert!(error.get("message").unwrap().contains(text), "{error:?}");
    assert!(world.is_closed(client));
    world.send_bytes(client, b"SEND\ndestination:/queue/test\n\nignored\0");
    assert_eq!(world.try_receive(client), None);
    assert_eq!(waiting(world, Q), []);
}

#[test]
fn test_send_frame_with_invalid_action() {
    ends(
        b"SED\nAND:YOU\n\n\0",
        "Unknown STOMP action: SED. Known are CONNECT,",
    );
}

#[test]
fn test_missing_connect_frame() {
    let mut world = World::new();
    let client = world.open();
    let sent = b"SEND\ndestination:/queue/test\n\nx\0";
    ends_with(
        &mut world,
        client,
        sent,
        "unexpected frame before CONNECT or STOMP frame: SEND",
    );
}

#[test]
fn test_negative_content_length() {
    ends(
        b"SEND\ndestination:/queue/test\ncontent-length:-1\n\nx\0",
        "may not be negative",
    );
}

#[test]
fn test_duplicate_connect() {
    ends(b"CONNECT\n\n\0", "duplicate CONNECT or STOMP frame");
}

#[test]
fn test_duplicate_stomp() {
    ends(b"STOMP\n\n\0", "duplicate CONNECT or STOMP frame");
}

#[test]
fn test_invalid_server_response_received() {
    for verb in [Verb::Receipt, Verb::Connected, Verb::Message, Verb::Error] {
        let text = verb.text();
        ends(
            format!("{text}\n\n\0").as_bytes(),
            &format!("{text} is only expected from a server"),
        );
    }
}

#[test]
fn frames_that_cannot_be_read() {
    for (bytes, text) in [
        (
            "SEND\ndestination:/queue/test\ncontent-length:two\n\nxx\0",
            "Specified content-length is not a valid integer: two",
        ),
        (
            "SEND\ndestination:/queue/test\ncontent-length:1\n\nxx\0",
            "there was no trailing null byte",
        ),
        (
            "SEND\nno colon\n\n\0",
            "Header line 1 of the frame has no colon",
        ),
        (
            "SEND\n:value\n\n\0",
            "Header line 1 of the frame has an empty name",
        ),
        ("SEND\na:\n\0", "Line 3 of the frame holds a NUL"),
        ("random bytes\0", "Line 1 of the frame holds a NUL"),
    ] {
        ends(bytes.as_bytes(), text);
    }
    let body = "x".repeat(40_000);
    let long = format!("SEND\ndestination:{Q}\ncontent-length:30000\n\n{body}\0");
    ends(long.as_bytes(), "there was no trailing null byte");
}

/// A NUL in a header would end the frame early for consumers, and what follows pass for another one.
#[test]
fn no_frame_can_be_smuggled_to_a_consumer() {
    let mut world = World::new();
    let consumer = world.connect(Version::V1_2);
    world.send(consumer, &subscribe(Q, "1"));
    for forged in [
        "x:\0\nMESSAGE\nmessage-id:1\n\nforged",
        "x\0MESSAGE:1",
        "x:\\nMESSAGE\\n\\nforged\\r\\n",
    ] {
        let client = world.connect(Version::V1_2);
        let text = format!("SEND\ndestination:{Q}\n{forged}\n\nbody\0");
        world.send_bytes(client, text.as_bytes());
    }
    let raw = String::from_utf8(world.take_raw(consumer)).unwrap();
    let frames: Vec<_> = raw.split('\0').filter(|frame| frame.trim() != "").collect();
    assert_eq!(frames.len(), 1, "{raw:?}");
    assert_eq!(raw.matches("\nMESSAGE\n").count(), 1, "{raw:?}");
    assert!(frames[0].ends_with("\n\nbody"), "{raw:?}");
}

#[test]
fn test_empty_destination_on_subscribe() {
    for destination in [None, Some("")] {
        let mut world = World::new();
        let client = world.connect(Version::V1_2);
        let mut subscribe = frame(Verb::Subscribe).with("id", "1");
        if let Some(destination) = destination {
            subscribe = subscribe.with("destination", destination);
        }
        let error = refused(&mut world, client, subscribe);
        let text = error.get("message").unwrap();
        assert!(
            text.starts_with("Invalid empty or 'null' Destination header"),
            "{text}"
        );
        assert_alive(&mut world, client);
    }
}

#[test]
fn headers_that_a_frame_cannot_do_without() {
    for (verb, text) in [
        (Verb::Send, "SEND received without a Destination specified!"),
        (Verb::Ack, "ACK received without an ack id"),
        (Verb::Nack, "NACK received without an ack id"),
        (
            Verb::Begin,
            "Must specify the transaction you are beginning",
        ),
        (
            Verb::Commit,
            "Must specify the transaction you are committing",
        ),
        (Verb::Abort, "Must specify the transaction you are aborting"),
        (
            Verb::Unsubscribe,
            "UNSUBSCRIBE received without a subscription id!",
        ),
    ] {
        let mut world = World::new();
        let client = world.connect(Version::V1_2);
        let error = refused(&mut world, client, frame(verb));
        assert_eq!(error.get("code"), Some("missing-header"));
        assert!(error.get("message").unwrap().starts_with(text), "{error:?}");
        assert_alive(&mut world, client);
    }
}

/// A number that is none gets an ERROR; `ActiveMQ` closes without a word.
#[test]
fn numbers_that_are_none() {
    for name in [
        "priority",
        "expires",
        "timestamp",
        "JMSPriority",
        "JMSDeliveryMode",
    ] {
        let mut world = World::new();
        let client = world.connect(Version::V1_2);
        let error = refused(
            &mut world,
            client,
            send(Q).with(name, "soon").with_body(b"x"),
        );
        assert_eq!(error.get("code"), Some("invalid-header"));
        let expected = format!("The header {name} is 'soon', expected is ");
        assert!(
            error.get("message").unwrap().starts_with(&expected),
            "{error:?}"
        );
        assert_alive(&mut world, client);
    }
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let kind = send(Q).with("amq-msg-type", "map").with_body(b"x");
    let error = refused(&mut world, client, kind);
    assert!(
        error
            .get("message")
            .unwrap()
            .starts_with("Unsupported message type 'map'")
    );
    for (name, value) in [("activemq.prefetchSize", "-1"), ("prefetch-count", "all")] {
        let error = refused(&mut world, client, subscribe(Q, "1").with(name, value));
        assert_eq!(error.get("code"), Some("invalid-header"), "{name}");
    }
}

/// The id, and why it settles nothing: it never was, it is settled already, its subscription is gone.
#[test]
fn acknowledgements_of_nothing_say_why() {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        for verb in [Verb::Ack, Verb::Nack] {
            if (version, verb) == (Version::V1_0, Verb::Nack) {
                continue;
            }
            acknowledges_nothing(version, verb);
        }
    }
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let error = refused(
        &mut world,
        client,
        frame(Verb::Nack).with("message-id", "x"),
    );
    let text = error.get("message").unwrap();
    assert_eq!(text, "NACK received but connection is in v1.0 mode.");
}

fn acknowledges_nothing(version: Version, verb: Verb) {
    let mut world = World::new();
    let client = world.connect(version);
    for (id, ack) in [("one", "client-individual"), ("auto", "auto")] {
        let destination = format!("/queue/{id}");
        world.send(client, &subscribe(&destination, id).with("ack", ack));
        for _ in 0..2 {
            world.send(client, &send(&destination).with_body(b"x"));
        }
    }
    let received: Vec<_> = world.drain(client);
    let settle = |message: &OwnedFrame| -> OwnedFrame {
        let mut settle = match version {
            Version::V1_2 => match message.get("ack") {
                Some(_) => ack_id(message),
                None => frame(Verb::Ack).with("id", message.get("message-id").unwrap()),
            },
            Version::V1_0 | Version::V1_1 => ack_message(message),
        };
        settle.verb = verb;
        settle
    };
    let by_itself = match version {
        Version::V1_2 => "no id that this broker gave",
        Version::V1_0 | Version::V1_1 => "the subscription acknowledges by itself",
    };
    nothing_to_settle(&mut world, client, settle(&received[2]), by_itself);
    let first = OwnedFrame {
        verb: Verb::Ack,
        ..settle(&received[0])
    };
    assert_eq!(granted(&mut world, client, first.clone()), []);
    let again = "is acknowledged already";
    nothing_to_settle(&mut world, client, settle(&received[0]), again);
    let end = frame(Verb::Unsubscribe).with("id", "one");
    assert_eq!(granted(&mut world, client, end), []);
    let gone = match version {
        Version::V1_0 => "there is no such subscription",
        Version::V1_1 | Version::V1_2 => "has ended",
    };
    nothing_to_settle(&mut world, client, settle(&received[1]), gone);
    assert_alive(&mut world, client);
}

#[track_caller]
fn nothing_to_settle(world: &mut World, client: Id, settle: OwnedFrame, why: &str) {
    let named = format!("[{}]", settle.headers[0].1);
    let start = format!("Unexpected {} received for", settle.verb.text());
    let error = refused(world, client, settle);
    assert_eq!(error.get("code"), Some("unknown-ack"), "{error:?}");
    let text = error.get("message").unwrap();
    assert!(text.starts_with(&start), "{text}");
    assert!(text.contains(&named) && text.contains(why), "{text}");
}

/// A peer that took this port for another is told so in its own language.
#[test]
fn strangers_are_answered_in_their_own_language() {
    let mut world = World::new();
    for bytes in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\n",
    ] {
        let client = world.open();
        let (first, second) = bytes.split_at(2);
        world.send_bytes(client, first.as_bytes());
        world.send_bytes(client, second.as_bytes());
        let answer = String::from_utf8(world.take_raw(client)).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        let length = format!("Content-Length: {}", body.len());
        assert!(head.contains(&length), "{length} in {head}");
        assert!(body.contains("STOMP"), "{body}");
        assert!(world.is_closed(client));
    }
    let tls = world.open();
    world.send_bytes(tls, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
    let alert = world.take_raw(tls);
    assert_eq!(alert, [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a]);
    assert!(world.is_closed(tls));
    let amqp = world.open();
    world.send_bytes(amqp, b"AMQP\x00\x01\x00\x00");
    let error = world.receive(amqp);
    assert_eq!(error.get("code"), Some("not-supported"));
    assert!(error.get("message").unwrap().contains("AMQP"));
    assert!(world.is_closed(amqp));
}

/// One too many is told at the door which limit it met.
#[test]
fn a_peer_is_turned_away_at_the_door() {
    let mut session = Session::new(Arc::new(Config::default()), ConnectionId(1), Now::default());
    session.refuse(&Overload {
        what: "The broker",
        key: "limits.max_connections",
        limit: 10,
    });
    assert_eq!(session.closing(), Some(Departure::Abnormal));
    let told = String::from_utf8(session.transmit().buffer().clone()).unwrap();
    for line in [
        "ERROR",
        "code:limit-reached",
        "key:limits.max_connections",
        "limit:10",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
}

/// Names that the session has to keep are short, and what is quoted back is cut.
#[test]
fn long_names_are_refused() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let long = "n".repeat(20_000);
    for frame in [
        subscribe(Q, &long),
        transaction(Verb::Begin, &long),
        transaction(Verb::Commit, &long),
        send(&format!("/queue/{long}")).with_body(b"x"),
        subscribe(&format!("/temp-queue/{long}"), "1"),
        subscribe(Q, "1").with("activemq.prefetchSize", &long),
        frame(Verb::Ack).with("id", &long),
        frame(Verb::Unsubscribe).with("id", &long),
    ] {
        let error = refused(&mut world, client, frame.clone());
        let size = error.get("message").unwrap().len();
        assert!(size < 500, "{size} bytes for {:?}", frame.verb);
    }
    let error = refused(&mut world, client, subscribe(Q, &long));
    assert_eq!(error.get("limit"), Some("1024"));
    assert_eq!(error.get("actual"), Some("20000"));
    let most = "n".repeat(1024);
    assert_eq!(granted(&mut world, client, subscribe(Q, &most)), []);
    let options = format!("{Q}?{long}");
    assert_eq!(granted(&mut world, client, send(&options)).len(), 1);
}

/// A peer that asks and never reads is not read from any more; nothing is lost once it reads.
#[test]
fn answers_that_nobody_reads_stop_the_asking() {
    const FRAMES: usize = 5000;
    let mut world = World::new().session(|config| config.outbound_bytes = 64 * 1024);
    let client = world.connect(Version::V1_2);
    world.set_chunk(client, 4096);
    world.set_reading(client, false);
    world.queue_bytes(client, &b"ACK\nid:none\nreceipt:1\n\n\0".repeat(FRAMES));
    world.run();
    assert!(world.untaken(client) > 50_000, "{}", world.untaken(client));
    let other = world.connect(Version::V1_2);
    assert_alive(&mut world, other);
    world.set_reading(client, true);
    world.run();
    assert_eq!(world.untaken(client), 0);
    let errors = world.drain(client);
    assert_eq!(errors.len(), FRAMES);
    assert!(
        errors
            .iter()
            .all(|error| error.get("receipt-id") == Some("1"))
    );
}

/// A consumer that does not read its deliveries for now is still heard.
#[test]
fn deliveries_that_wait_do_not_stop_the_asking() {
    let mut world = World::new().session(|config| config.outbound_bytes = 64 * 1024);
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(Q, "1").with("prefetch-count", "0"));
    world.set_reading(client, false);
    for _ in 0..100 {
        world.send(client, &send(Q).with_body(&[7; 2000]));
    }
    world.send(client, &send("/queue/other").with_body(b"heard"));
    assert_eq!(waiting(&mut world, "/queue/other").len(), 1);
    world.set_reading(client, true);
    world.run();
    assert_eq!(bodies(&mut world, client).len(), 100);
}

#[test]
fn open_transactions_have_a_limit() {
    let mut world = World::new().session(|config| config.max_transactions = 2);
    let client = world.connect(Version::V1_2);
    for name in ["one", "two"] {
        assert_eq!(
            granted(&mut world, client, transaction(Verb::Begin, name)),
            []
        );
    }
    let error = refused(&mut world, client, transaction(Verb::Begin, "three"));
    assert_eq!(
        error.get("key"),
        Some("limits.max_transactions_per_connection")
    );
    assert_eq!(error.get("limit"), Some("2"));
    world.send(client, &transaction(Verb::Abort, "one"));
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Begin, "three")),
        []
    );
}

/// Whatever a subscription is refused for, there is none then.
#[test]
fn a_refused_subscription_leaves_nothing() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    refused(
        &mut world,
        client,
        subscribe(Q, "1").with("selector", "a = "),
    );
    world.send(client, &send(Q).with_body(b"x"));
    assert_eq!(world.try_receive(client), None);
    assert_eq!(granted(&mut world, client, subscribe(Q, "1")).len(), 1);
    assert_eq!(world.try_receive(client), None, "it has come");
    world.send(client, &send(Q).with_body(b"y"));
    assert_eq!(message(&mut world, client).body, b"y");
}
