//! Selectors: which messages a subscription wants.

use tidegate::internal::codec::stomp::{Verb, Version};

use crate::say::{
    ack_id, assert_alive, bodies, frame, granted, message, refused, send, send_text, subscribe,
    waiting,
};
use crate::support::world::{Id, World};

const Q: &str = "/queue/test";
const T: &str = "/topic/test";

/// A client that wants what a selector matches, and one that sends.
fn pair(world: &mut World, destination: &str, selector: &str) -> (Id, Id) {
    let consumer = world.connect(Version::V1_1);
    let wanted = subscribe(destination, "1").with("selector", selector);
    granted(world, consumer, wanted);
    (consumer, world.connect(Version::V1_2))
}

#[track_caller]
fn only(selector: &str, sent: &[(&str, &str)], wanted: &[&str]) {
    for destination in [Q, T] {
        let mut world = World::new();
        let (consumer, producer) = pair(&mut world, destination, selector);
        for (line, body) in sent {
            send_text(&mut world, producer, destination, &[line], body);
        }
        assert_eq!(bodies(&mut world, consumer), wanted, "{selector}");
    }
}

#[test]
fn test_subscribe_with_auto_ack_and_selector() {
    let sent = [
        ("foo:1234", "Ignore this message"),
        ("foo:zzz", "Real message"),
    ];
    only("foo = 'zzz'", &sent, &["Real message"]);
}

#[test]
fn test_subscribe_with_auto_ack_and_numeric_selector() {
    let sent = [
        ("foo:abc", "no"),
        ("foo:42", "yes"),
        ("foo:42.0", "this too"),
    ];
    only("foo = 42", &sent, &["yes", "this too"]);
}

#[test]
fn test_subscribe_with_auto_ack_and_boolean_selector() {
    let sent = [("foo:false", "no"), ("foo:true", "yes"), ("bar:true", "no")];
    only("foo = true", &sent, &["yes"]);
    only("true = foo", &sent, &["yes"]);
}

#[test]
fn test_subscribe_with_auto_ack_an_float_selector() {
    let sent = [("foo:3.14", "no"), ("foo:3.14159", "yes")];
    only("foo = 3.14159", &sent, &["yes"]);
}

#[test]
fn test_send_message_with_custom_headers_and_selector() {
    let sent = [("foo:abc", "no"), ("foo:a\\cbc", "yes")];
    only("foo = 'a:bc'", &sent, &["yes"]);
    let sent = [("content-type:text/plain", "yes"), ("content-type:x", "no")];
    only("\"content-type\" LIKE 'text/%'", &sent, &["yes"]);
}

#[test]
fn test_subscribe_with_invalid_selector() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let invalid = subscribe(Q, "1").with("selector", "foo.bar = 1");
    let error = refused(&mut world, client, invalid);
    assert_eq!(error.get("code"), Some("invalid-selector"));
    let text = error.get("message").unwrap();
    assert!(
        text.contains("foo.bar = 1") && text.contains("column 4"),
        "{text}"
    );
    assert_alive(&mut world, client);
    // There is no subscription: its id is free, and nothing is given.
    world.send(client, &send(Q).with_body(b"x"));
    assert_eq!(world.try_receive(client), None);
    granted(&mut world, client, subscribe("/queue/other", "1"));
}

#[test]
fn what_one_consumer_does_not_want_waits_for_another_and_holds_up_nobody() {
    let mut world = World::new();
    let (red, producer) = pair(&mut world, Q, "colour = 'red'");
    for number in 0..5 {
        for colour in ["blue", "red"] {
            let line = format!("colour:{colour}");
            let body = format!("{colour}{number}");
            send_text(&mut world, producer, Q, &[&line], &body);
        }
    }
    assert_eq!(
        bodies(&mut world, red),
        ["red0", "red1", "red2", "red3", "red4"]
    );
    let blue = world.connect(Version::V1_2);
    world.send(blue, &subscribe(Q, "1").with("selector", "colour = 'blue'"));
    assert_eq!(
        bodies(&mut world, blue),
        ["blue0", "blue1", "blue2", "blue3", "blue4"]
    );
}

#[test]
fn what_comes_back_is_looked_at_again() {
    let mut world = World::new();
    let mut policy = crate::support::world::config();
    policy.policy.redelivery_max = 1;
    let consumer = world.connect(Version::V1_2);
    let fresh = subscribe(Q, "1").with("selector", "NOT JMSRedelivered");
    world.send(consumer, &fresh.with("ack", "client-individual"));
    world.send(consumer, &send(Q).with_body(b"x"));
    let received = message(&mut world, consumer);
    let nack = frame(Verb::Nack).with("id", received.get("ack").unwrap());
    assert_eq!(
        granted(&mut world, consumer, nack),
        [],
        "it is not wanted again"
    );
    let other = world.connect(Version::V1_2);
    let again = subscribe(Q, "1").with("selector", "JMSXDeliveryCount = 2");
    world.send(other, &again.with("ack", "client"));
    let received = message(&mut world, other);
    assert_eq!(received.get("redelivered"), Some("true"));
    world.send(other, &ack_id(&received));
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn a_topic_subscription_that_is_behind_gets_only_what_it_wants() {
    let mut world = World::new();
    let consumer = world.connect(Version::V1_2);
    let one = subscribe(T, "1")
        .with("selector", "n > 2")
        .with("ack", "client");
    world.send(consumer, &one.with("activemq.prefetchSize", "1"));
    let producer = world.connect(Version::V1_2);
    for number in [3, 1, 4, 2, 5] {
        let line = format!("n:{number}");
        send_text(&mut world, producer, T, &[&line], &number.to_string());
    }
    for expected in ["3", "4", "5"] {
        let received = message(&mut world, consumer);
        assert_eq!(received.body, expected.as_bytes());
        assert_eq!(world.try_receive(consumer), None);
        world.send(consumer, &ack_id(&received));
    }
    assert_eq!(world.try_receive(consumer), None);
}
