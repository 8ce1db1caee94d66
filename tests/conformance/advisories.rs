//! Advisories: what happens in the broker is told to whoever wants to hear it.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::DestinationName;
use tidegate::internal::store::MemoryStore;

use crate::say::{assert_alive, frame, granted, message, refused, send, settle_id, subscribe};
use crate::support::world::{EPOCH, Id, World, config};

const Q: &str = "/queue/orders";

/// A world, and a client in it that hears these advisories.
fn listening(topic: &str) -> (World, Id) {
    let mut world = World::new();
    let listener = world.connect(Version::V1_2);
    let destination = format!("/topic/ActiveMQ.Advisory.{topic}");
    granted(&mut world, listener, subscribe(&destination, "1"));
    world.drain(listener);
    (world, listener)
}

/// The topic and the body of each advisory that has come.
fn told(world: &mut World, listener: Id) -> Vec<(String, String)> {
    let came = world.drain(listener);
    let one = |frame: OwnedFrame| {
        assert_eq!(frame.verb, Verb::Message, "{frame:?}");
        let topic = frame.get("destination").unwrap();
        let topic = topic.strip_prefix("/topic/ActiveMQ.Advisory.").unwrap();
        (topic.to_owned(), String::from_utf8(frame.body).unwrap())
    };
    came.into_iter().map(one).collect()
}

#[test]
fn test_connection_advisory() {
    let (mut world, listener) = listening("Connection");
    let client = world.open();
    assert_eq!(told(&mut world, listener), [], "it has not logged in");
    let login = frame(Verb::Connect).with("accept-version", "1.2");
    world.send(client, &login.with("client-id", "till \"7\""));
    let number = (1_u64 << 32) + 1;
    let known = format!("\"connectionId\":{number},\"clientId\":\"till \\\"7\\\"\"");
    let came = (
        "Connection".to_owned(),
        format!("{{\"ConnectionInfo\":{{{known}}}}}"),
    );
    assert_eq!(told(&mut world, listener), [came]);
    world.vanish(client);
    let gone = (
        "Connection".to_owned(),
        format!("{{\"RemoveInfo\":{{{known}}}}}"),
    );
    assert_eq!(told(&mut world, listener), [gone]);
}

#[test]
fn consumers_are_told_of_when_they_come_and_go() {
    let (mut world, listener) = listening("Consumer.Queue.>");
    let client = world.connect(Version::V1_2);
    let terms = subscribe(Q, "a")
        .with("activemq.prefetchSize", "7")
        .with("selector", "x = 1");
    granted(&mut world, client, terms);
    granted(&mut world, client, subscribe("/queue/a.>", "b"));
    let came = told(&mut world, listener);
    let topics: Vec<_> = came.iter().map(|(topic, _)| &**topic).collect();
    assert_eq!(topics, ["Consumer.Queue.orders", "Consumer.Queue.a.>"]);
    let body = &came[0].1;
    for part in [
        "ConsumerInfo",
        "queue://orders",
        "\"prefetchSize\":7",
        "x = 1",
    ] {
        assert!(body.contains(part), "{body}");
    }
    granted(&mut world, client, frame(Verb::Unsubscribe).with("id", "a"));
    let gone = told(&mut world, listener);
    assert!(
        gone[0].1.starts_with("{\"RemoveInfo\":{\"consumerId\":"),
        "{gone:?}"
    );
    world.vanish(client);
    let gone = told(&mut world, listener);
    assert_eq!(gone[0].0, "Consumer.Queue.a.>");
}

#[test]
fn producers_and_destinations_are_told_of() {
    let (mut world, listener) = listening(">");
    let client = world.connect(Version::V1_2);
    told(&mut world, listener);
    for _ in 0..3 {
        granted(&mut world, client, send(Q).with_body(b"x"));
    }
    let came = told(&mut world, listener);
    let topics: Vec<_> = came.iter().map(|(topic, _)| &**topic).collect();
    assert_eq!(topics, ["Queue", "Producer.Queue.orders"]);
    let add =
        "{\"DestinationInfo\":{\"destination\":\"queue://orders\",\"operationType\":\"add\"}}";
    assert_eq!(came[0].1, add);
    let name = DestinationName::queue("orders").unwrap();
    world.broker.delete(&name).unwrap();
    world.run();
    let remove = add.replace("add", "remove");
    assert_eq!(told(&mut world, listener), [("Queue".to_owned(), remove)]);
}

#[test]
fn dead_letters_and_expired_messages_are_told_of() {
    let (mut world, listener) = listening("MessageDLQd.>");
    let client = world.connect(Version::V1_2);
    let expired = "/topic/ActiveMQ.Advisory.Expired.Queue.orders";
    granted(&mut world, listener, subscribe(expired, "2"));
    let all = subscribe(Q, "1").with("ack", "client-individual");
    granted(&mut world, client, all);
    let lasting = send(Q).with("persistent", "true").with_body(b"x");
    world.send(client, &lasting);
    for _ in 0..7 {
        let failed = message(&mut world, client);
        world.send(client, &settle_id(Verb::Nack, &failed));
    }
    let came = told(&mut world, listener);
    assert_eq!(came.len(), 1, "{came:?}");
    assert_eq!(came[0].0, "MessageDLQd.Queue.orders");
    for part in [
        "\"messageId\":\"ID-",
        "queue://orders",
        "queue://ActiveMQ.DLQ",
        "\"cause\"",
    ] {
        assert!(came[0].1.contains(part), "{came:?}");
    }
    world.vanish(client);
    let client = world.connect(Version::V1_2);
    let short = send(Q).with("expires", &(EPOCH.0 + 1).to_string());
    world.send(client, &short);
    world.advance(Duration::from_secs(1));
    granted(&mut world, client, subscribe(Q, "1"));
    let body = "{\"MessageExpired\":{\"destination\":\"queue://orders\",\"count\":1}}";
    let topic = "Expired.Queue.orders".to_owned();
    assert_eq!(told(&mut world, listener), [(topic, body.to_owned())]);
}

#[test]
fn a_consumer_that_does_not_read_is_told_of() {
    let (mut world, listener) = listening("SlowConsumer.>");
    let slow = world.connect(Version::V1_2);
    granted(&mut world, slow, subscribe("/topic/t", "1"));
    world.set_reading(slow, false);
    let sender = world.connect(Version::V1_2);
    let body = vec![b'x'; 1 << 20];
    for _ in 0..8 {
        world.send(sender, &send("/topic/t").with_body(&body));
    }
    let came = told(&mut world, listener);
    assert_eq!(came[0].0, "SlowConsumer.Topic.t", "{came:?}");
}

#[test]
fn a_durable_subscription_keeps_no_advisories() {
    let mut world = World::new();
    let login = |world: &mut World| {
        let client = world.open();
        let login = frame(Verb::Connect).with("accept-version", "1.2");
        world.send(client, &login.with("client-id", "auditor"));
        world.receive(client);
        world.set_version(client, Version::V1_2);
        client
    };
    let durable = subscribe("/topic/>", "1").with("activemq.subscriptionName", "all");
    let auditor = login(&mut world);
    granted(&mut world, auditor, durable.clone());
    world.send(auditor, &frame(Verb::Disconnect));
    let client = world.connect(Version::V1_2);
    granted(
        &mut world,
        client,
        subscribe("/topic/ActiveMQ.Advisory.>", "1"),
    );
    granted(&mut world, client, send(Q));
    granted(&mut world, client, send("/topic/t").with_body(b"kept"));
    let auditor = login(&mut world);
    world.send(auditor, &durable);
    assert_eq!(message(&mut world, auditor).body, b"kept");
}

#[test]
fn advisories_come_from_the_broker_alone_and_to_nobody_who_did_not_ask() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let error = refused(&mut world, client, send("/topic/ActiveMQ.Advisory.Queue"));
    assert_eq!(error.get("code"), Some("invalid-destination"), "{error:?}");
    assert_alive(&mut world, client);
    let topics = world.broker.totals().topics.destinations;
    assert_eq!(topics, 0, "none has come to life");
    let mut settings = config();
    settings.advisories = false;
    let mut world = World::with(&settings, Box::new(MemoryStore::default()));
    let client = world.connect(Version::V1_2);
    let all = subscribe("/topic/ActiveMQ.Advisory.>", "1");
    granted(&mut world, client, all);
    granted(&mut world, client, send(Q));
    assert_eq!(world.drain(client), []);
}
