//! Clients of Artemis and RabbitMQ, as they write destinations and headers.

use std::time::Duration;

use tidegate::internal::codec::stomp::{Verb, Version};
use tidegate::internal::protocol::stomp::{Dialect, Nack};

use crate::say::{
    assert_alive, bodies, granted, message, refused, send, settle_id, subscribe, waiting,
};
use crate::support::world::World;

fn speaking(dialect: Dialect) -> World {
    World::new().session(|config| config.dialect = dialect)
}

#[test]
fn a_hash_is_a_wildcard_for_clients_of_artemis_and_rabbitmq_only() {
    for dialect in [Dialect::Artemis, Dialect::RabbitMq] {
        let mut world = speaking(dialect);
        let client = world.connect(Version::V1_1);
        granted(&mut world, client, subscribe("/topic/prices.#", "1"));
        for topic in ["/topic/prices", "/topic/prices.oil.eu", "/topic/other"] {
            world.send(client, &send(topic).with_body(topic.as_bytes()));
        }
        assert_eq!(
            bodies(&mut world, client),
            ["/topic/prices", "/topic/prices.oil.eu"]
        );
        for destination in ["/topic/a.>", "/topic/a.#.b"] {
            let error = refused(&mut world, client, subscribe(destination, "2"));
            assert_eq!(
                error.get("code"),
                Some("invalid-destination"),
                "{destination}"
            );
        }
        assert_alive(&mut world, client);
    }
}

#[test]
fn an_exchange_is_a_topic_in_every_dialect() {
    for dialect in [Dialect::ActiveMq, Dialect::RabbitMq] {
        let mut world = speaking(dialect);
        let client = world.connect(Version::V1_2);
        granted(&mut world, client, subscribe("/topic/news.eu", "1"));
        granted(
            &mut world,
            client,
            subscribe("/exchange/amq.topic/oil.*", "2"),
        );
        world.send(client, &send("/exchange/news/eu").with_body(b"1"));
        world.send(client, &send("/exchange/amq.topic/oil.us").with_body(b"2"));
        assert_eq!(bodies(&mut world, client), ["1", "2"]);
    }
}

#[test]
fn a_header_chooses_between_queue_and_topic_for_a_bare_name() {
    let mut world = speaking(Dialect::Artemis);
    let client = world.connect(Version::V1_1);
    let topic = subscribe("news", "1").with("subscription-type", "MULTICAST");
    granted(&mut world, client, topic);
    for (kind, body) in [
        ("MULTICAST", "topic"),
        ("ANYCAST", "queue"),
        ("MULTICAST", "again"),
    ] {
        let sent = send("news").with("destination-type", kind);
        world.send(client, &sent.with_body(body.as_bytes()));
    }
    world.send(client, &send("news").with_body(b"bare"));
    assert_eq!(bodies(&mut world, client), ["topic", "again"]);
    assert_eq!(waiting(&mut world, "/queue/news").len(), 2);
    let wrong = send("news").with("destination-type", "BROADCAST");
    let error = refused(&mut world, client, wrong);
    assert_eq!(error.get("code"), Some("invalid-header"));
}

#[test]
fn expiration_counts_from_now_on_for_clients_of_rabbitmq() {
    for (dialect, left) in [(Dialect::RabbitMq, 0), (Dialect::ActiveMq, 1)] {
        let mut world = speaking(dialect);
        let client = world.connect(Version::V1_2);
        let sent = send("/queue/short").with("expiration", "1000");
        granted(&mut world, client, sent.with_body(b"x"));
        world.advance(Duration::from_secs(2));
        assert_eq!(
            waiting(&mut world, "/queue/short").len(),
            left,
            "{dialect:?}"
        );
    }
    let mut world = speaking(Dialect::RabbitMq);
    let client = world.connect(Version::V1_2);
    let error = refused(
        &mut world,
        client,
        send("/queue/q").with("expiration", "soon"),
    );
    assert_eq!(error.get("code"), Some("invalid-header"));
}

#[test]
fn names_of_rabbitmq_may_hold_escaped_characters() {
    let mut world = speaking(Dialect::RabbitMq);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, send("/queue/a%2Fb").with_body(b"x"));
    granted(
        &mut world,
        client,
        subscribe("/queue/a/b", "1").with("ack", "client"),
    );
    assert_eq!(
        waiting(&mut world, "/queue/a/b").len(),
        0,
        "it was delivered"
    );
}

#[test]
fn an_error_closes_from_1_2_on_for_clients_of_artemis() {
    let mut world = speaking(Dialect::Artemis);
    for (version, closed) in [(Version::V1_1, false), (Version::V1_2, true)] {
        let client = world.connect(version);
        refused(&mut world, client, send("/queue/").with_body(b"x"));
        assert_eq!(world.is_closed(client), closed, "{version:?}");
    }
}

#[test]
fn what_clients_of_rabbitmq_refuse_comes_again_without_end() {
    let mut world = speaking(Dialect::RabbitMq).session(|config| config.nack = Nack::Requeue);
    let client = world.connect(Version::V1_2);
    granted(
        &mut world,
        client,
        subscribe("/queue/q", "1").with("ack", "client-individual"),
    );
    world.send(client, &send("/queue/q").with_body(b"x"));
    for _ in 0..20 {
        let again = message(&mut world, client);
        world.send(client, &settle_id(Verb::Nack, &again));
    }
    assert_eq!(
        message(&mut world, client).get("JMSXDeliveryCount"),
        Some("21")
    );
}
