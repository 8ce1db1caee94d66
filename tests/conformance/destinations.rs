//! How destinations are written, and what consumers read.

use tidegate::internal::codec::stomp::Version;

use crate::say::{bodies, message, refused, send, subscribe};
use crate::support::world::World;

/// Sends to one spelling what a subscriber to another receives, and returns what that one reads.
fn between(from: &str, to: &str) -> String {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(to, "1"));
    world.send(client, &send(from).with_body(b"x"));
    let received = message(&mut world, client);
    received.get("destination").unwrap().to_owned()
}

#[test]
fn test_convert_queue() {
    let spellings = [
        "/queue/a.b",
        "a.b",
        "queue://a.b",
        "jms.queue.a.b",
        "queue/a.b",
        "/amq/queue/a.b",
        "/queue/a.b?consumer.exclusive=true",
    ];
    for from in spellings {
        for to in spellings {
            assert_eq!(between(from, to), "/queue/a.b");
        }
    }
}

#[test]
fn test_convert_topic() {
    let spellings = ["/topic/a/b", "topic://a/b", "jms.topic.a/b", "topic/a/b"];
    for from in spellings {
        for to in spellings {
            assert_eq!(between(from, to), "/topic/a/b");
        }
    }
}

/// A queue and a topic of one name have nothing to do with each other.
#[test]
fn kinds_are_apart() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe("/topic/a", "1"));
    world.send(client, &send("/queue/a").with_body(b"queue"));
    world.send(client, &send("/topic/a").with_body(b"topic"));
    assert_eq!(bodies(&mut world, client), ["topic"]);
}

/// Characters that some version escapes come back as they were.
#[test]
fn names_are_escaped_like_other_values() {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        let mut world = World::new();
        let client = world.connect(version);
        for name in ["/queue/a:b", "/queue/\u{e9}\u{1F61C}", "/queue/fo*"] {
            world.send(client, &subscribe(name, name));
            world.send(client, &send(name).with_body(b"x"));
            let received = message(&mut world, client);
            assert_eq!(received.get("destination"), Some(name), "{version:?}");
        }
    }
}

/// A message cannot be sent to many destinations by a pattern.
#[test]
fn a_wildcard_is_no_place_to_send_to() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for name in ["/queue/a.>", "/topic/*", ">"] {
        let error = refused(&mut world, client, send(name).with_body(b"x"));
        assert_eq!(error.get("code"), Some("invalid-destination"), "{name}");
    }
}
