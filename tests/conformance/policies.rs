//! Settings by pattern: what holds for which destination, from the start and after a change.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{
    DestinationPolicy, Kind, NameTemplate, Pattern, PolicyChange, PolicyRule, WhenFull,
};
use tidegate::internal::store::MemoryStore;

use crate::say::{bodies, frame, granted, message, send, settle_id, subscribe, waiting};
use crate::support::world::{Id, World, config};

/// A rule for the queues that a pattern matches.
pub fn queues(pattern: &str, change: impl FnOnce(&mut PolicyChange)) -> PolicyRule {
    let mut rule = PolicyRule {
        kind: Some(Kind::Queue),
        pattern: Pattern::new(pattern),
        change: PolicyChange::default(),
    };
    change(&mut rule.change);
    rule
}

fn world(rules: Vec<PolicyRule>) -> World {
    let mut config = config();
    config.policies = rules;
    World::with(&config, Box::new(MemoryStore::default()))
}

/// Sends a message and refuses it once. Returns whether it came again.
fn comes_again(world: &mut World, destination: &str) -> bool {
    let client = world.connect(Version::V1_2);
    let asked = subscribe(destination, "1").with("ack", "client-individual");
    granted(world, client, asked);
    world.send(client, &send(destination).with_body(b"x"));
    let received = message(world, client);
    world.send(client, &settle_id(Verb::Nack, &received));
    let again = world.try_receive(client).is_some();
    world.send(client, &frame(Verb::Disconnect));
    again
}

#[test]
fn a_policy_holds_for_what_its_pattern_matches() {
    let once = queues("orders.>", |change| change.redelivery_max = Some(0));
    let mut world = world(vec![once]);
    assert!(!comes_again(&mut world, "/queue/orders.eu"));
    assert!(!comes_again(&mut world, "/queue/orders"));
    assert!(comes_again(&mut world, "/queue/bills"));
    assert_eq!(waiting(&mut world, "/queue/ActiveMQ.DLQ").len(), 2);
}

/// With `ActiveMQ` the best matching entry wins whole; here each setting does by itself.
#[test]
fn policies_are_merged_setting_by_setting() {
    let mut world = world(vec![
        queues("orders.eu.>", |change| change.redelivery_max = Some(0)),
        queues("orders.>", |change| {
            change.redelivery_max = Some(9);
            change.dead_letter.queue = Some(NameTemplate::parse("DLQ.{name}").unwrap());
        }),
    ]);
    assert!(!comes_again(&mut world, "/queue/orders.eu.de"));
    assert_eq!(waiting(&mut world, "/queue/DLQ.orders.eu.de").len(), 1);
    assert!(comes_again(&mut world, "/queue/orders.us"));
}

/// The default prefetch is the policy's; a header wins over it (`StompPrefetchTest`).
#[test]
fn prefetch_is_a_setting_of_a_policy() {
    let mut world = world(vec![queues("slow", |change| change.prefetch = Some(1))]);
    let client = world.connect(Version::V1_2);
    let asked = |id: &str| subscribe("/queue/slow", id).with("ack", "client-individual");
    granted(&mut world, client, asked("1"));
    for _ in 0..5 {
        world.send(client, &send("/queue/slow").with_body(b"x"));
    }
    assert_eq!(bodies(&mut world, client).len(), 1);
    let greedy = asked("2").with("activemq.prefetchSize", "3");
    world.send(client, &greedy);
    assert_eq!(bodies(&mut world, client).len(), 3);
}

#[test]
fn destinations_that_are_there_take_a_changed_policy() {
    let mut world = world(Vec::new());
    assert!(comes_again(&mut world, "/queue/a"));
    let once = queues("a", |change| change.redelivery_max = Some(0));
    let base = config().policy;
    world.broker.set_policies(base.clone(), vec![once]);
    assert!(!comes_again(&mut world, "/queue/a"), "the old one");
    world.broker.set_policies(base, Vec::new());
    assert!(comes_again(&mut world, "/queue/a"));
}

fn body(text: &str) -> OwnedFrame {
    send("/queue/a")
        .with("persistent", "true")
        .with_body(text.as_bytes())
}

fn filled(world: &mut World) -> Id {
    let client = world.connect(Version::V1_2);
    for text in ["1", "2", "3"] {
        granted(world, client, body(text));
    }
    client
}

#[test]
fn a_limit_that_is_raised_lets_waiting_senders_go_on() {
    let few = |most: u64| queues("a", |change| change.max_messages = Some(most));
    let mut world = world(vec![few(3)]);
    let client = filled(&mut world);
    world.send(client, &body("4").with("receipt", "4"));
    assert_eq!(world.try_receive(client), None);
    let base = config().policy;
    world.broker.set_policies(base, vec![few(4)]);
    world.run();
    let receipt = world.receive(client);
    assert_eq!(receipt.get("receipt-id"), Some("4"));
    world.advance(Duration::from_mins(1));
    assert_eq!(world.try_receive(client), None);
    assert_eq!(waiting(&mut world, "/queue/a").len(), 4);
}

#[test]
fn a_queue_that_becomes_a_ring_drops_its_oldest_at_once() {
    let mut world = world(Vec::new());
    filled(&mut world);
    let ring = queues("a", |change| {
        change.max_messages = Some(2);
        change.when_full = Some(WhenFull::DropOldest);
    });
    world
        .broker
        .set_policies(DestinationPolicy::default(), vec![ring]);
    let left = waiting(&mut world, "/queue/a");
    let left: Vec<_> = left.iter().map(|frame| frame.body.as_slice()).collect();
    assert_eq!(left, [b"2", b"3"]);
}

#[test]
fn policies_hold_after_a_restart_too() {
    let store = MemoryStore::default();
    let mut config = config();
    config.policies = vec![queues("a", |change| change.redelivery_max = Some(0))];
    let mut world = World::with(&config, Box::new(store.clone()));
    filled(&mut world);
    drop(world);
    let mut world = World::with(&config, Box::new(store));
    assert!(!comes_again_first(&mut world));
}

fn comes_again_first(world: &mut World) -> bool {
    let client = world.connect(Version::V1_2);
    let asked = subscribe("/queue/a", "1").with("ack", "client-individual");
    world.send(client, &asked.with("activemq.prefetchSize", "1"));
    let received = message(world, client);
    world.send(client, &settle_id(Verb::Nack, &received));
    message(world, client).body == received.body
}
