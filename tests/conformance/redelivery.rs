//! Refused messages wait before they are delivered again, and hold up nobody but their group.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{DestinationName, RedeliveryDelays};
use tidegate::internal::store::MemoryStore;

use crate::say::{
    ack_id, bodies, frame, granted, message, send, settle_id, subscribe, transaction, waiting,
};
use crate::support::world::{Id, World, config};

const Q: &str = "/queue/again";

fn open() -> World {
    open_with(RedeliveryDelays::default())
}

fn open_with(delays: RedeliveryDelays) -> World {
    let mut settings = config();
    settings.policy.redelivery = delays;
    World::with(&settings, Box::new(MemoryStore::default()))
}

fn consumer(world: &mut World) -> Id {
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(Q, "1").with("ack", "client-individual"));
    client
}

fn text(body: &str) -> OwnedFrame {
    send(Q)
        .with("persistent", "true")
        .with_body(body.as_bytes())
}

fn nack(world: &mut World, client: Id, message: &OwnedFrame) {
    world.send(client, &settle_id(Verb::Nack, message));
}

#[test]
fn a_refused_message_waits_longer_each_time_and_dies_in_the_end() {
    let mut world = open();
    let client = consumer(&mut world);
    world.send(client, &text("x"));
    for seconds in [1, 2, 4, 8, 16, 32] {
        let refused = message(&mut world, client);
        nack(&mut world, client, &refused);
        world.advance(Duration::from_millis(seconds * 1000 - 1));
        assert_eq!(world.drain(client), [], "{seconds}");
        world.advance(Duration::from_millis(1));
    }
    let last = message(&mut world, client);
    assert_eq!(last.get("JMSXDeliveryCount"), Some("7"));
    nack(&mut world, client, &last);
    assert_eq!(waiting(&mut world, "/queue/ActiveMQ.DLQ").len(), 1);
}

#[test]
fn a_refused_message_holds_up_no_other_and_counts_as_waiting() {
    let mut world = open();
    let client = consumer(&mut world);
    world.send(client, &text("first"));
    let refused = message(&mut world, client);
    nack(&mut world, client, &refused);
    world.send(client, &text("second"));
    assert_eq!(bodies(&mut world, client), ["second"]);
    assert_eq!(world.broker.totals().queues.ready, 1);
    assert!(world.broker.totals().queues.ready_bytes > 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(bodies(&mut world, client), ["first"]);
}

#[test]
fn what_comes_back_with_a_lost_connection_does_not_wait() {
    let mut world = open();
    let client = consumer(&mut world);
    world.send(client, &text("x"));
    message(&mut world, client);
    let other = consumer(&mut world);
    world.vanish(client);
    assert_eq!(bodies(&mut world, other), ["x"]);
    world.send(other, &frame(Verb::Unsubscribe).with("id", "1"));
    let third = consumer(&mut world);
    assert_eq!(bodies(&mut world, third), ["x"]);
}

#[test]
fn a_refused_message_holds_up_its_group_and_no_other() {
    let mut world = open();
    let client = consumer(&mut world);
    let of = |group: &str, body: &str| text(body).with("JMSXGroupID", group);
    world.send(client, &of("a", "a1"));
    let first = message(&mut world, client);
    nack(&mut world, client, &first);
    for (group, body) in [("a", "a2"), ("b", "b1"), ("a", "a3")] {
        world.send(client, &of(group, body));
    }
    assert_eq!(bodies(&mut world, client), ["b1"]);
    world.advance(Duration::from_secs(1));
    assert_eq!(
        bodies(&mut world, client),
        ["a1", "a2", "a3"],
        "in their order"
    );
}

#[test]
fn what_a_transaction_refuses_waits_from_its_commit_on() {
    let mut world = open();
    let client = consumer(&mut world);
    world.send(client, &text("x"));
    let refused = message(&mut world, client);
    world.send(client, &transaction(Verb::Begin, "t"));
    let nack = settle_id(Verb::Nack, &refused).with("transaction", "t");
    world.send(client, &nack);
    world.advance(Duration::from_secs(10));
    granted(&mut world, client, transaction(Verb::Commit, "t"));
    assert_eq!(world.drain(client), []);
    world.advance(Duration::from_secs(1));
    assert_eq!(bodies(&mut world, client), ["x"]);
}

#[test]
fn a_delay_may_be_constant_or_none() {
    let constant = RedeliveryDelays {
        first: 500,
        multiplier: 100,
        ..RedeliveryDelays::default()
    };
    let mut world = open_with(constant);
    let client = consumer(&mut world);
    world.send(client, &text("x"));
    for _ in 0..3 {
        let refused = message(&mut world, client);
        nack(&mut world, client, &refused);
        assert_eq!(world.drain(client), []);
        world.advance(Duration::from_millis(500));
    }
    let mut world = open_with(RedeliveryDelays::NONE);
    let client = consumer(&mut world);
    world.send(client, &text("x"));
    let refused = message(&mut world, client);
    nack(&mut world, client, &refused);
    assert_eq!(world.drain(client).len(), 1);
}

#[test]
fn delayed_messages_are_browsed_purged_and_shut_down_like_others() {
    let mut world = open();
    let client = consumer(&mut world);
    for (body, group) in [("1", ""), ("2", "g")] {
        world.send(client, &text(body).with("JMSXGroupID", group));
        let refused = message(&mut world, client);
        nack(&mut world, client, &refused);
    }
    let other = world.connect(Version::V1_2);
    world.send(other, &subscribe(Q, "b").with("browser", "true"));
    assert_eq!(world.drain(other).len(), 3, "both, and the end");
    let queue = DestinationName::queue("again").unwrap();
    let purged = world.broker.purge(&queue, false).unwrap();
    world.run();
    assert_eq!((purged, world.broker.totals().queues.ready), (2, 0));
    world.advance(Duration::from_secs(5));
    assert_eq!(world.drain(client), [], "they are gone");
    world.send(client, &text("3"));
    let third = message(&mut world, client);
    world.send(client, &ack_id(&third));
    assert_eq!(world.broker.totals().memory_messages, 0);
}
