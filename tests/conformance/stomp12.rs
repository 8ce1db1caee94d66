//! STOMP 1.2.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::{
    ack_id, ack_message, assert_alive, bodies, frame, granted, message, refused, send, settle_id,
    subscribe, waiting,
};
use crate::support::world::{Id, World};

const Q: &str = "/queue/test";
const CLIENT: &str = "client";
const INDIVIDUAL: &str = "client-individual";

fn consumer(world: &mut World, ack: &str) -> Id {
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(Q, "1").with("ack", ack));
    client
}

/// A client that has been given so many messages.
fn holding(world: &mut World, ack: &str, count: usize) -> (Id, Vec<OwnedFrame>) {
    let client = consumer(world, ack);
    for number in 1..=count {
        world.send(client, &send(Q).with_body(number.to_string().as_bytes()));
    }
    let received = world.drain(client);
    assert_eq!(received.len(), count);
    (client, received)
}

#[test]
fn test_telnet_style_sends() {
    let mut world = World::new();
    let client = world.open();
    world.send_bytes(
        client,
        b"CONNECT\r\naccept-version:1.2\r\nhost:localhost\r\n\r\n\0\r\n",
    );
    assert_eq!(world.receive(client).get("version"), Some("1.2"));
    world.set_version(client, Version::V1_2);
    world.send_bytes(
        client,
        b"SEND\r\ndestination:/queue/test\r\nreceipt:1\r\n\r\n1234\0\r\n\r\n\r\n",
    );
    let receipt = world.receive(client);
    assert_eq!(receipt.get("receipt-id"), Some("1"));
    world.send_bytes(
        client,
        b"SUBSCRIBE\r\nid:a\r\ndestination:/queue/test\r\n\r\n\0\r\n",
    );
    assert_eq!(message(&mut world, client).body, b"1234");
    world.send_bytes(client, b"DISCONNECT\r\n\r\n\0\r\n");
    assert!(world.is_closed(client));
}

#[test]
fn test_client_ack_without_ack_id() {
    let mut world = World::new();
    let (client, received) = holding(&mut world, CLIENT, 1);
    let error = refused(&mut world, client, ack_message(&received[0]));
    let text = error.get("message").unwrap();
    assert!(text.starts_with("ACK received without an ack id"), "{text}");
    assert_alive(&mut world, client);
    let unsubscribe = frame(Verb::Unsubscribe).with("id", "1");
    assert_eq!(granted(&mut world, client, unsubscribe), []);
    world.send(client, &subscribe(Q, "2").with("ack", CLIENT));
    let again = message(&mut world, client);
    assert_eq!(again.get("redelivered"), Some("true"));
    assert_eq!(granted(&mut world, client, ack_id(&again)), []);
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

/// Clients that send every header of every version at once are understood by the one of theirs.
#[test]
fn headers_of_other_versions_are_of_no_effect() {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        let mut world = World::new();
        let client = world.connect(version);
        world.send(client, &subscribe(Q, "1").with("ack", CLIENT));
        world.send(client, &send(Q).with_body(b"x"));
        let received = message(&mut world, client);
        let all = ack_message(&received).with("id", received.get("ack").unwrap_or("0-0-1"));
        assert_eq!(granted(&mut world, client, all), []);
        world.vanish(client);
        assert_eq!(waiting(&mut world, Q), []);
    }
}

#[test]
fn test_client_ack() {
    let mut world = World::new();
    let (client, received) = holding(&mut world, CLIENT, 3);
    assert_eq!(granted(&mut world, client, ack_id(&received[1])), []);
    world.vanish(client);
    let client = consumer(&mut world, CLIENT);
    assert_eq!(bodies(&mut world, client), ["3"]);
}

#[test]
fn test_client_ack_multiple_messages_with_single_ack() {
    let mut world = World::new();
    let (client, received) = holding(&mut world, CLIENT, 10);
    assert_eq!(granted(&mut world, client, ack_id(&received[9])), []);
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_client_individual_ack() {
    let mut world = World::new();
    let (client, received) = holding(&mut world, INDIVIDUAL, 2);
    assert_eq!(granted(&mut world, client, ack_id(&received[1])), []);
    world.vanish(client);
    let producer = world.connect(Version::V1_2);
    world.send(producer, &send(Q).with_body(b"3"));
    let client = consumer(&mut world, INDIVIDUAL);
    let first = message(&mut world, client);
    assert_eq!(first.body, b"1");
    assert_eq!(first.get("redelivered"), Some("true"));
    assert_eq!(bodies(&mut world, client), ["3"]);
}

/// As in 1.1: an ERROR in strict mode only.
#[test]
fn test_subscribe_with_no_id() {
    let mut strict = World::new().session(|config| config.strict_subscription_id = true);
    let client = strict.connect(Version::V1_2);
    let error = refused(&mut strict, client, subscribe(Q, ""));
    assert_eq!(error.get("code"), Some("missing-header"));
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    assert_eq!(granted(&mut world, client, subscribe(Q, "")), []);
}

/// `ActiveMQ` lets the new subscription take the name and the old one go on unnamed.
#[test]
fn an_id_in_use_is_refused() {
    let mut world = World::new();
    let client = consumer(&mut world, CLIENT);
    let error = refused(&mut world, client, subscribe("/queue/other", "1"));
    assert_eq!(error.get("code"), Some("subscription-exists"));
    let unsubscribe = frame(Verb::Unsubscribe).with("id", "1");
    assert_eq!(granted(&mut world, client, unsubscribe), []);
    assert_eq!(
        granted(&mut world, client, subscribe("/queue/other", "1")),
        []
    );
}

fn mixed_ack_and_nack(ack: &str) {
    let mut world = World::new().session(|config| {
        config.nack = tidegate::internal::protocol::stomp::Nack::DeadLetter;
    });
    let (client, received) = holding(&mut world, ack, 10);
    for (number, one) in received.iter().enumerate() {
        let verb = if number % 2 == 0 {
            Verb::Ack
        } else {
            Verb::Nack
        };
        assert_eq!(granted(&mut world, client, settle_id(verb, one)), []);
    }
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
    assert_eq!(waiting(&mut world, "/queue/ActiveMQ.DLQ").len(), 5);
}

#[test]
fn test_mixed_ack_nack_with_message_ack_ids_client_ack() {
    mixed_ack_and_nack(CLIENT);
}

#[test]
fn test_mixed_ack_nack_with_message_ack_ids_client_individual() {
    mixed_ack_and_nack(INDIVIDUAL);
}

/// NACK is about one message also where ACK is about all before it.
#[test]
fn nack_is_single() {
    let mut world = World::new();
    let (client, received) = holding(&mut world, CLIENT, 3);
    let again = granted(&mut world, client, settle_id(Verb::Nack, &received[2]));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].body, b"3");
    assert_eq!(granted(&mut world, client, ack_id(&received[1])), []);
}

/// An ack id that a client remembers from an earlier connection settles nothing on this one.
#[test]
fn ack_ids_are_of_one_connection() {
    let mut world = World::new();
    let (first, received) = holding(&mut world, INDIVIDUAL, 2);
    assert_eq!(granted(&mut world, first, ack_id(&received[0])), []);
    world.vanish(first);
    let second = consumer(&mut world, INDIVIDUAL);
    let again = message(&mut world, second);
    let error = refused(&mut world, second, ack_id(&received[0]));
    assert_eq!(error.get("code"), Some("unknown-ack"));
    let text = error.get("message").unwrap();
    assert!(text.contains("another connection"), "{text}");
    world.vanish(second);
    assert_eq!(waiting(&mut world, Q).len(), 1, "{again:?}");
}

/// A message that one client left and another settles; both hear exactly their own.
#[test]
fn fifo_and_fair_between_consumers() {
    let mut world = World::new();
    let clients: Vec<_> = (0..3).map(|_| consumer(&mut world, CLIENT)).collect();
    let producer = world.connect(Version::V1_2);
    for number in 0..9 {
        world.send(producer, &send(Q).with_body(number.to_string().as_bytes()));
    }
    for (index, client) in clients.iter().enumerate() {
        let expected: Vec<_> = (0..3).map(|n| (index + 3 * n).to_string()).collect();
        assert_eq!(bodies(&mut world, *client), expected);
    }
}

/// Every topic subscriber is sent each message, and one of a queue only.
#[test]
fn topics_fan_out() {
    let mut world = World::new();
    let clients: Vec<_> = [Version::V1_0, Version::V1_1, Version::V1_2]
        .into_iter()
        .map(|version| {
            let client = world.connect(version);
            world.send(client, &subscribe("/topic/news", "1"));
            client
        })
        .collect();
    let producer = world.connect(Version::V1_2);
    let news = send("/topic/news")
        .with("colon", "a:b\\x")
        .with_body(b"news");
    world.send(producer, &news);
    for client in clients {
        let received = message(&mut world, client);
        assert_eq!(received.get("destination"), Some("/topic/news"));
        assert_eq!(received.get("colon"), Some("a:b\\x"), "in each version");
        assert_eq!(world.try_receive(client), None);
    }
    let late = world.connect(Version::V1_2);
    world.send(late, &subscribe("/topic/news", "1"));
    assert_eq!(world.try_receive(late), None);
}

#[test]
fn test_frame_header_escapes() {
    let mut world = World::new();
    let client = consumer(&mut world, "auto");
    world.send_bytes(
        client,
        b"SEND\ndestination:/queue/test\nc:a\\cb\nn:a\\nb\nb:a\\\\b\nr:a\\rb\n\nx\0",
    );
    let raw = String::from_utf8(world.take_raw(client)).unwrap();
    for line in ["\nc:a\\cb\n", "\nn:a\\nb\n", "\nb:a\\\\b\n", "\nr:a\\rb\n"] {
        assert!(raw.contains(line), "{line:?} in {raw:?}");
    }
}

/// A text with a NUL in it can only be read by its length.
#[test]
fn text_with_a_nul_has_a_length() {
    let mut world = World::new();
    let client = consumer(&mut world, "auto");
    for size in [3, 40_000] {
        let body = "a\0b".repeat(size);
        let text = format!(
            "SEND\ndestination:{Q}\namq-msg-type:text\ncontent-length:{}\n\n{body}\0",
            body.len()
        );
        world.send_bytes(client, text.as_bytes());
        let received = message(&mut world, client);
        assert_eq!(
            received.get("content-length"),
            Some(body.len().to_string().as_str())
        );
        assert_eq!(received.body, body.as_bytes());
        assert_eq!(received.get("amq-msg-type"), Some("text"));
    }
}
