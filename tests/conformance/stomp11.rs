//! STOMP 1.1.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::protocol::stomp::Nack;

use crate::say::{
    ack_message, assert_alive, frame, granted, message, refused, send, settle_message, subscribe,
    waiting,
};
use crate::support::world::{EPOCH, Id, World};

const Q: &str = "/queue/test";
const DEAD: &str = "/queue/ActiveMQ.DLQ";

fn login(verb: Verb, accept: &str) -> OwnedFrame {
    frame(verb)
        .with("accept-version", accept)
        .with("host", "localhost")
}

/// Logs in by this frame and returns the answer.
fn answer_to(frame: &OwnedFrame) -> (World, Id, OwnedFrame) {
    let mut world = World::new();
    let client = world.open();
    world.send(client, frame);
    let answer = world.receive(client);
    world.set_version(client, Version::V1_1);
    (world, client, answer)
}

#[test]
fn test_connect() {
    let frame = login(Verb::Stomp, "1.1").with("request-id", "1");
    let (_, _, connected) = answer_to(&frame);
    assert_eq!(connected.verb, Verb::Connected);
    assert_eq!(connected.get("response-id"), Some("1"));
    assert_eq!(connected.get("version"), Some("1.1"));
    assert!(connected.get("session").is_some());
}

#[test]
fn test_connected_never_encoded() {
    let mut world = World::new();
    let client = world.open();
    let frame = login(Verb::Stomp, "1.1").with("client-id", "ID:some:client");
    world.send(client, &frame);
    let raw = String::from_utf8(world.take_raw(client)).unwrap();
    assert!(raw.contains("\nsession:ID:some:client\n"), "{raw}");
}

#[test]
fn test_connect_with_version_options() {
    for (accept, expected) in [
        ("1.0,1.1", "1.1"),
        ("1.2,1.0", "1.2"),
        ("1.0, 1.1", "1.1"),
        ("1.1,1.2,1.0", "1.2"),
    ] {
        let (_, _, connected) = answer_to(&login(Verb::Stomp, accept));
        assert_eq!(connected.get("version"), Some(expected), "{accept}");
    }
}

#[test]
fn test_connect_with_valid_fallback() {
    let (_, _, connected) = answer_to(&login(Verb::Stomp, "1.0,10.1"));
    assert_eq!(connected.get("version"), Some("1.0"));
}

#[test]
fn test_connect_with_invalid_fallback() {
    let (world, client, error) = answer_to(&login(Verb::Stomp, "9.0,10.1"));
    assert_eq!(error.verb, Verb::Error);
    assert_eq!(error.get("version"), Some("1.0,1.1,1.2"));
    let text = error.get("message").unwrap();
    assert!(
        text.starts_with("Invalid Protocol version[9.0,10.1]"),
        "{text}"
    );
    assert!(world.is_closed(client));
}

#[test]
fn test_heartbeats() {
    let frame = login(Verb::Stomp, "1.1").with("heart-beat", "0,1000");
    let (mut world, client, connected) = answer_to(&frame);
    assert_eq!(connected.get("heart-beat"), Some("1000,0"));
    world.take_raw(client);
    let mut beats = Vec::new();
    for tenth in 1..=30 {
        world.advance(Duration::from_millis(100));
        match world.take_raw(client).as_slice() {
            b"" => {}
            b"\n" => beats.push(tenth),
            other => panic!("{other:?}"),
        }
    }
    assert!(beats.len() >= 3, "{beats:?}");
    let spacing: Vec<_> = beats.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(spacing.iter().all(|tenths| (8..=10).contains(tenths)));
}

#[test]
fn test_heartbeats_drops_idle_connection() {
    let frame = login(Verb::Stomp, "1.1").with("heart-beat", "1000,0");
    let (mut world, client, connected) = answer_to(&frame);
    assert_eq!(connected.get("heart-beat"), Some("0,1000"));
    world.advance(Duration::from_secs(1));
    assert!(!world.is_closed(client), "not before one interval");
    world.advance(Duration::from_secs(3));
    let error = world.receive(client);
    assert_eq!(error.get("code"), Some("heart-beat-timeout"));
    assert!(world.is_closed(client));
}

#[test]
fn test_heartbeats_keeps_connection_open() {
    let frame = login(Verb::Stomp, "1.1").with("heart-beat", "2000,0");
    let (mut world, client, _) = answer_to(&frame);
    for _ in 0..20 {
        world.advance(Duration::from_secs(1));
        world.send_bytes(client, b"\n");
    }
    assert_alive(&mut world, client);
}

#[test]
fn test_send_after_missing_heartbeat() {
    let frame = login(Verb::Stomp, "1.1").with("heart-beat", "1000,0");
    let (mut world, client, _) = answer_to(&frame);
    world.advance(Duration::from_secs(5));
    world.drain(client);
    world.send(client, &send(Q).with("receipt", "1").with_body(b"x"));
    assert_eq!(world.drain(client), []);
    assert_eq!(waiting(&mut world, Q), []);
}

fn rejects_heart_beat(text: &str) {
    let frame = login(Verb::Stomp, "1.1").with("heart-beat", text);
    let (world, client, error) = answer_to(&frame);
    assert_eq!(error.verb, Verb::Error);
    assert_eq!(error.get("code"), Some("invalid-heart-beat"));
    let expected = format!("Invalid heart-beat header:{text}");
    assert!(error.get("message").unwrap().starts_with(&expected));
    assert!(world.is_closed(client));
}

#[test]
fn test_reject_invalid_heartbeats1() {
    rejects_heart_beat("0");
}

#[test]
fn test_reject_invalid_heartbeats2() {
    rejects_heart_beat("T,0");
}

#[test]
fn test_reject_invalid_heartbeats3() {
    rejects_heart_beat("100,10,50");
}

#[test]
fn test_subscribe_and_unsubscribe() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "12345"));
    world.send(client, &send(Q).with_body(b"Hello World"));
    let received = message(&mut world, client);
    assert_eq!(received.get("subscription"), Some("12345"));
    let unsubscribe = frame(Verb::Unsubscribe).with("id", "12345");
    assert_eq!(granted(&mut world, client, unsubscribe), []);
    world.send(client, &send(Q).with_body(b"Hello again"));
    assert_eq!(world.try_receive(client), None);
}

/// With `ActiveMQ` an ERROR; here only in strict mode. Otherwise an id is made up.
#[test]
fn test_subscribe_with_no_id() {
    let mut strict = World::new().session(|config| config.strict_subscription_id = true);
    let client = strict.connect(Version::V1_1);
    let error = refused(&mut strict, client, subscribe(Q, ""));
    let text = error.get("message").unwrap();
    assert!(
        text.starts_with("SUBSCRIBE received without a subscription id!"),
        "{text}"
    );
    assert_alive(&mut strict, client);

    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    let without = subscribe(Q, "").with("ack", "client");
    assert_eq!(granted(&mut world, client, without), []);
    world.send(client, &send(Q).with_body(b"x"));
    let received = message(&mut world, client);
    assert_eq!(granted(&mut world, client, ack_message(&received)), []);
    let made_up = received.get("subscription").unwrap();
    let unsubscribe = frame(Verb::Unsubscribe).with("id", made_up);
    assert_eq!(granted(&mut world, client, unsubscribe), []);
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_unsubscribe_with_no_id() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "12345"));
    let error = refused(&mut world, client, frame(Verb::Unsubscribe));
    let text = error.get("message").unwrap();
    assert!(
        text.starts_with("UNSUBSCRIBE received without a subscription id!"),
        "{text}"
    );
    assert_alive(&mut world, client);
}

fn one_message(world: &mut World, version: Version, ack: &str) -> (Id, OwnedFrame) {
    let client = world.connect(version);
    world.send(client, &subscribe(Q, "12345").with("ack", ack));
    let persistent = send(Q).with("persistent", "true");
    world.send(client, &persistent.with_body(b"test"));
    let received = message(world, client);
    (client, received)
}

#[test]
fn test_ack_message_with_id() {
    let mut world = World::new();
    let (client, received) = one_message(&mut world, Version::V1_1, "client");
    assert_eq!(received.get("ack"), None, "only since 1.2");
    assert_eq!(granted(&mut world, client, ack_message(&received)), []);
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_ack_message_with_no_id() {
    let mut world = World::new();
    let (client, received) = one_message(&mut world, Version::V1_1, "client");
    let id = received.get("message-id").unwrap();
    let error = refused(&mut world, client, frame(Verb::Ack).with("message-id", id));
    let text = error.get("message").unwrap();
    assert!(
        text.starts_with("ACK received without a subscription id for acknowledge!"),
        "{text}"
    );
    assert_alive(&mut world, client);
    assert_eq!(granted(&mut world, client, ack_message(&received)), []);
}

#[test]
fn test_send_message_with_standard_headers_encoded() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "1"));
    world.send_bytes(
        client,
        b"SEND\ncorrelation-id:c1\\:\\n\\c23\npriority:3\ntype:t34:5\nfoo:a\\bc\nbar:1\\n23\n\
        destination:/queue/test\n\nHello World\0",
    );
    let received = message(&mut world, client);
    assert_eq!(received.get("correlation-id"), Some("c1\\:\n:23"));
    assert_eq!(received.get("type"), Some("t34:5"));
    assert_eq!(received.get("foo"), Some("a\\bc"));
    assert_eq!(received.get("bar"), Some("1\n23"));
}

#[test]
fn test_send_message_with_repeated_entries() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "1"));
    let mut repeated = send(Q)
        .with("value", "newest")
        .with("value", "older")
        .with("destination", "/queue/other")
        .with("priority", "1")
        .with("priority", "7");
    for number in 0..30 {
        repeated = repeated.with(&format!("n{number}"), "first");
    }
    world.send(client, &repeated.with("value", "oldest").with_body(b"x"));
    let received = message(&mut world, client);
    let values: Vec<_> = received
        .headers
        .iter()
        .filter(|(name, _)| name == "value")
        .collect();
    assert_eq!(values, [&("value".to_owned(), "newest".to_owned())]);
    assert_eq!(received.get("priority"), Some("1"));
}

#[test]
fn test_subscribe_with_message_sent_with_encoded_properties() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "1"));
    world.send(client, &send(Q).with("s", "\\value:").with_body(b"x"));
    let raw = String::from_utf8(world.take_raw(client)).unwrap();
    assert!(raw.contains("\ns:\\\\value\\c\n"), "{raw}");
}

/// With `ActiveMQ` NACK is the end of a message at once, which `nack = "dead-letter"` keeps. By default
/// it is delivered six times more first.
#[test]
fn test_nack_message() {
    let mut classic = World::new().session(|config| config.nack = Nack::DeadLetter);
    let (client, received) = one_message(&mut classic, Version::V1_1, "client");
    let nack = settle_message(Verb::Nack, &received);
    assert_eq!(granted(&mut classic, client, nack), []);
    let dead = waiting(&mut classic, DEAD);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].get("message-id"), received.get("message-id"));

    let mut world = World::new();
    let (client, first) = one_message(&mut world, Version::V1_1, "client");
    let mut received = first.clone();
    for delivery in 2..=7 {
        let nack = settle_message(Verb::Nack, &received);
        let mut again = granted(&mut world, client, nack);
        assert_eq!(again.len(), 1, "delivery {delivery}");
        received = again.remove(0);
        assert_eq!(received.get("redelivered"), Some("true"));
        assert_eq!(
            received.get("JMSXDeliveryCount"),
            Some(delivery.to_string().as_str())
        );
    }
    let last = settle_message(Verb::Nack, &received);
    assert_eq!(granted(&mut world, client, last), []);
    let dead = waiting(&mut world, DEAD);
    assert_eq!(dead.len(), 1);
    let now = EPOCH.0.to_string();
    for (name, value) in [
        ("message-id", first.get("message-id").unwrap()),
        ("destination", DEAD),
        ("original-destination", Q),
        ("persistent", "true"),
        ("expires", "0"),
        ("dlqDeliveryFailureCause", "redelivery limit reached"),
        ("dlqReason", "redelivery limit reached"),
        ("dlqDeliveryCount", "7"),
        ("dlqFirstFailure", &now),
        ("dlqLastFailure", &now),
    ] {
        assert_eq!(dead[0].get(name), Some(value), "{name}");
    }
    assert_eq!(dead[0].get("redelivered"), None, "it is new there");
    assert_eq!(dead[0].body, b"test");
}

/// `ActiveMQ` drops what was not persistent; here it is a dead letter like others, and says so.
#[test]
fn what_was_not_persistent_is_dead_lettered_too() {
    let mut world = World::new().session(|config| config.nack = Nack::DeadLetter);
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "1").with("ack", "client"));
    let expires = (EPOCH.0 + 60_000).to_string();
    world.send(client, &send(Q).with("expires", &expires).with_body(b"x"));
    let received = message(&mut world, client);
    world.send(client, &settle_message(Verb::Nack, &received));
    let dead = waiting(&mut world, DEAD);
    assert_eq!(dead[0].get("originalDeliveryMode"), Some("NON_PERSISTENT"));
    assert_eq!(dead[0].get("originalExpiration"), Some(expires.as_str()));
    assert_eq!(dead[0].get("expires"), Some("0"));
}

/// RabbitMQ's spelling of a NACK that is final, and its policy of one that never is.
#[test]
fn nack_in_the_words_of_rabbitmq() {
    let mut world = World::new();
    let (client, received) = one_message(&mut world, Version::V1_1, "client");
    let nack = settle_message(Verb::Nack, &received).with("requeue", "false");
    assert_eq!(granted(&mut world, client, nack), []);
    assert_eq!(waiting(&mut world, DEAD).len(), 1);

    let mut world = World::new().session(|config| config.nack = Nack::Requeue);
    let (client, mut received) = one_message(&mut world, Version::V1_1, "client");
    for _ in 0..20 {
        let nack = settle_message(Verb::Nack, &received);
        received = granted(&mut world, client, nack).remove(0);
    }
    assert_eq!(received.get("JMSXDeliveryCount"), Some("21"));
}

#[test]
fn test_header_values_are_not_ws_trimmed() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "1"));
    let padded = send(Q)
        .with("test1", " value")
        .with("test2", "value ")
        .with("test3", " value ");
    world.send(client, &padded.with_body(b"x"));
    let received = message(&mut world, client);
    assert_eq!(received.get("test1"), Some(" value"));
    assert_eq!(received.get("test2"), Some("value "));
    assert_eq!(received.get("test3"), Some(" value "));
}

#[test]
fn test_frame_header_escapes() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    world.send(client, &subscribe(Q, "1"));
    world.send_bytes(
        client,
        b"SEND\ndestination:/queue/test\nc:a\\cb\nn:a\\nb\nb:a\\\\b\nr:a\\rb\n\nx\0",
    );
    let received = message(&mut world, client);
    assert_eq!(received.get("c"), Some("a:b"));
    assert_eq!(received.get("n"), Some("a\nb"));
    assert_eq!(received.get("b"), Some("a\\b"));
    assert_eq!(received.get("r"), Some("a\\rb"), "no escape in 1.1");
}
