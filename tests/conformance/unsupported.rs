//! What brokers like this can do and this one cannot yet: each gets an ERROR that says so, and none is
//! silently taken for something else.

use tidegate::internal::codec::stomp::{OwnedFrame, Version};

use crate::say::{assert_alive, refused, send, subscribe, waiting};
use crate::support::world::World;

const Q: &str = "/queue/test";
const T: &str = "/topic/test";

/// Headers of SEND. The names of the tests of `ActiveMQ` that are about a feature stand before it.
const SENT_WITH: &[(&str, &str, &str)] = &[
    (
        "test_transformation_send_xml_object",
        "transformation",
        "jms-object-xml",
    ),
    (
        "test_transformation_send_json_object",
        "transformation",
        "jms-object-json",
    ),
    (
        "test_transformation_send_xml_map",
        "transformation",
        "jms-map-xml",
    ),
    (
        "test_transformation_send_json_map",
        "transformation",
        "jms-map-json",
    ),
    ("retained messages", "ActiveMQ.Retain", "true"),
];

/// Headers of SUBSCRIBE.
const SUBSCRIBED_WITH: &[(&str, &str, &str)] = &[
    ("retroactive consumers", "activemq.retroactive", "true"),
    (
        "test_transformation_receive_xml_map",
        "transformation",
        "jms-map-xml",
    ),
    (
        "test_transformation_receive_json_object",
        "transformation",
        "jms-object-json",
    ),
];

/// Destinations of SEND.
const SENT_TO: &[(&str, &str)] = &[
    (
        "test_statistics_advisory",
        "/queue/ActiveMQ.Statistics.Broker",
    ),
    ("reply queues of RabbitMQ", "/reply-queue/a"),
];

fn frames() -> Vec<(&'static str, OwnedFrame)> {
    let mut frames = Vec::new();
    let sent_with = SENT_WITH.iter();
    frames.extend(sent_with.map(|(test, name, value)| (*test, send(Q).with(name, value))));
    let with = SUBSCRIBED_WITH.iter();
    frames.extend(with.map(|(test, name, value)| (*test, subscribe(Q, "1").with(name, value))));
    frames.extend(SENT_TO.iter().map(|(test, to)| (*test, send(to))));
    frames
}

#[test]
fn what_is_not_built_says_so() {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        for (test, frame) in frames() {
            let mut world = World::new();
            let client = world.connect(version);
            let error = refused(&mut world, client, frame);
            assert_eq!(
                error.get("code"),
                Some("not-supported"),
                "{test}: {error:?}"
            );
            assert_alive(&mut world, client);
            // Neither a message nor a subscription has come of it.
            assert_eq!(waiting(&mut world, Q), [], "{test}");
            for destination in [Q, T] {
                world.send(client, &send(destination).with_body(b"x"));
                assert_eq!(world.try_receive(client), None, "{test}");
            }
        }
    }
}

/// The same names with values that ask for nothing are let through, as clients send them by default.
#[test]
fn defaults_spelled_out_ask_for_nothing() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let mut plain = subscribe(Q, "1");
    for (name, value) in [
        ("selector", ""),
        ("browser", "false"),
        ("durable", "false"),
        ("activemq.noLocal", "false"),
        ("activemq.exclusive", "false"),
        ("activemq.retroactive", "false"),
        ("activemq.priority", "0"),
        ("activemq.dispatchAsync", "true"),
        ("transformation", "unheard-of"),
    ] {
        plain = plain.with(name, value);
    }
    assert_eq!(crate::say::granted(&mut world, client, plain), []);
    let sent = send(Q).with("ActiveMQ.Retain", "false");
    world.send(
        client,
        &sent.with("transformation", "jms-byte").with_body(b"x"),
    );
    assert_eq!(crate::say::bodies(&mut world, client), ["x"]);
}

/// A name that looks like that of a durable subscription must not quietly give one that is not.
#[test]
fn mistyped_durable_names_are_refused() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for name in [
        "activemq.subscriberName",
        "activemq.durableName",
        "activemq.SubName",
    ] {
        let error = refused(&mut world, client, subscribe(T, "1").with(name, "n"));
        assert_eq!(error.get("code"), Some("invalid-header"));
        let expected = format!("The header {name} is 'n'");
        assert!(
            error.get("message").unwrap().starts_with(&expected),
            "{error:?}"
        );
    }
    assert_alive(&mut world, client);
}
