//! Queues that hold all they may: who waits, who is refused, what is dropped.

use tidegate::internal::broker::BrokerConfig;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{DestinationPolicy, Keep, WhenFull};
use tidegate::internal::store::MemoryStore;

use crate::say::{
    ack_id, assert_alive, bodies, frame, granted, message, refused, send, subscribe, transaction,
    waiting,
};
use crate::support::world::{Id, World, config, policed};

const Q: &str = "/queue/test";

fn holds(most: u64, when_full: WhenFull) -> World {
    policed(|policy| {
        policy.max_messages = most;
        policy.when_full = when_full;
    })
}

fn persistent(body: &str) -> OwnedFrame {
    let frame = send(Q).with("persistent", "true");
    frame.with_body(body.as_bytes())
}

fn fill(world: &mut World, bodies: impl IntoIterator<Item = u32>) -> Id {
    let client = world.connect(Version::V1_2);
    for number in bodies {
        granted(world, client, persistent(&number.to_string()));
    }
    client
}

fn left(world: &mut World) -> Vec<String> {
    let left = waiting(world, Q);
    left.into_iter()
        .map(|frame| String::from_utf8(frame.body).unwrap())
        .collect()
}

#[test]
fn block_makes_senders_wait_for_a_place() {
    let mut world = holds(2, WhenFull::Block);
    let client = fill(&mut world, 1..=2);
    world.send(client, &persistent("3").with("receipt", "3"));
    assert_eq!(world.try_receive(client), None);
    let consumer = world.connect(Version::V1_2);
    world.send(
        consumer,
        &subscribe(Q, "1").with("activemq.prefetchSize", "1"),
    );
    assert!(!bodies(&mut world, consumer).is_empty());
    assert_eq!(world.receive(client).get("receipt-id"), Some("3"));
}

#[test]
fn block_refuses_in_the_end_and_names_the_limit() {
    let mut world = holds(2, WhenFull::Block);
    let client = fill(&mut world, 1..=2);
    world.send(client, &persistent("3").with("receipt", "3"));
    world.advance(std::time::Duration::from_secs(10));
    let error = world.receive(client);
    assert_eq!(error.get("code"), Some("full"));
    assert_eq!(error.get("key"), Some("destination.max_messages"));
    assert_eq!(
        (error.get("actual"), error.get("limit")),
        (Some("2"), Some("2"))
    );
    assert_alive(&mut world, client);
}

#[test]
fn reject_refuses_at_once() {
    let mut world = holds(2, WhenFull::Reject);
    let client = fill(&mut world, 1..=2);
    let error = refused(&mut world, client, persistent("3"));
    assert_eq!(error.get("code"), Some("full"));
    assert_eq!(error.get("key"), Some("destination.max_messages"));
    // Without a receipt the sender hears of it all the same.
    world.send(client, &persistent("4"));
    assert_eq!(world.receive(client).get("code"), Some("full"));
    assert_alive(&mut world, client);
    assert_eq!(left(&mut world), ["1", "2"]);
}

#[test]
fn reject_refuses_a_composite_send_as_a_whole() {
    let mut world = holds(2, WhenFull::Reject);
    let client = fill(&mut world, 1..=2);
    let both = send("/queue/other,/queue/test").with_body(b"x");
    assert_eq!(refused(&mut world, client, both).get("code"), Some("full"));
    assert!(waiting(&mut world, "/queue/other").is_empty());
}

#[test]
fn reject_ends_a_transaction() {
    let mut world = holds(2, WhenFull::Reject);
    let client = fill(&mut world, 1..=2);
    world.send(client, &transaction(Verb::Begin, "t"));
    let error = refused(&mut world, client, persistent("3").with("transaction", "t"));
    assert_eq!(error.get("code"), Some("full"));
    let error = refused(&mut world, client, transaction(Verb::Commit, "t"));
    assert_eq!(error.get("code"), Some("unknown-transaction"));
}

/// What a ring queue is: the newest stay.
#[test]
fn drop_oldest_keeps_the_newest() {
    let mut world = holds(3, WhenFull::DropOldest);
    fill(&mut world, 1..=10);
    assert_eq!(left(&mut world), ["8", "9", "10"]);
}

#[test]
fn drop_oldest_takes_nothing_from_a_consumer() {
    let mut world = holds(2, WhenFull::DropOldest);
    fill(&mut world, 1..=2);
    let consumer = world.connect(Version::V1_2);
    let asked = subscribe(Q, "1").with("ack", "client-individual");
    world.send(consumer, &asked.with("activemq.prefetchSize", "1"));
    let held = message(&mut world, consumer);
    fill(&mut world, 3..=6);
    let others = granted(&mut world, consumer, ack_id(&held));
    assert_eq!(
        (held.body, others[0].body.as_slice()),
        (b"1".to_vec(), &b"5"[..])
    );
}

#[test]
fn drop_oldest_drops_the_lowest_priority_first() {
    let mut world = holds(3, WhenFull::DropOldest);
    let client = world.connect(Version::V1_2);
    for (body, priority) in [("a", "9"), ("b", "1"), ("c", "4"), ("d", "4"), ("e", "1")] {
        granted(
            &mut world,
            client,
            persistent(body).with("priority", priority),
        );
    }
    assert_eq!(left(&mut world), ["a", "c", "d"]);
}

#[test]
fn drop_oldest_counts_bytes_too() {
    let size = 1000;
    let mut world = policed(|policy| {
        policy.max_bytes = 5 * size;
        policy.when_full = WhenFull::DropOldest;
    });
    let client = world.connect(Version::V1_2);
    for number in 0..20 {
        let body = format!("{number:0600}");
        granted(&mut world, client, persistent(&body));
    }
    let left = left(&mut world);
    assert!((3..=6).contains(&left.len()), "{}", left.len());
    assert!(left.last().unwrap().ends_with("19"));
}

/// Also of what waits on disk only, after a restart.
#[test]
fn drop_oldest_reads_what_it_drops_from_disk() {
    let store = MemoryStore::default();
    let ring = |most: u64| -> BrokerConfig {
        let mut config = config();
        config.policy = DestinationPolicy {
            keep: Keep::All,
            memory_window_bytes: 1500,
            max_messages: most,
            when_full: WhenFull::DropOldest,
            ..DestinationPolicy::default()
        };
        config
    };
    let mut world = World::with(&ring(u64::MAX), Box::new(store.clone()));
    fill(&mut world, 1..=50);
    drop(world);
    let mut world = World::with(&ring(20), Box::new(store.clone()));
    fill(&mut world, 51..=60);
    let expected: Vec<_> = (41..=60).map(|number: u32| number.to_string()).collect();
    assert_eq!(left(&mut world), expected);
    drop(world);
    // What was dropped does not come back.
    let mut world = World::with(&ring(u64::MAX), Box::new(store));
    assert_eq!(left(&mut world).len(), 20);
}

#[test]
fn drop_oldest_drops_what_was_set_aside_for_groups_in_their_order() {
    let mut world = holds(4, WhenFull::DropOldest);
    let consumer = world.connect(Version::V1_2);
    let asked = subscribe(Q, "1").with("ack", "client-individual");
    world.send(consumer, &asked.with("selector", "kind = 'none'"));
    let client = world.connect(Version::V1_2);
    for number in 0..12 {
        let group = ["a", "b"][number % 2];
        let frame = persistent(&number.to_string()).with("JMSXGroupID", group);
        granted(&mut world, client, frame);
    }
    world.send(consumer, &frame(Verb::Disconnect));
    assert_eq!(left(&mut world), ["8", "9", "10", "11"]);
}

#[test]
fn drop_newest_keeps_the_oldest_and_tells_nobody() {
    let mut world = holds(2, WhenFull::DropNewest);
    let client = fill(&mut world, 1..=5);
    assert_alive(&mut world, client);
    assert_eq!(left(&mut world), ["1", "2"]);
}

#[test]
fn drop_newest_holds_in_transactions() {
    let mut world = holds(2, WhenFull::DropNewest);
    let client = fill(&mut world, 1..=1);
    world.send(client, &transaction(Verb::Begin, "t"));
    for body in ["2", "3"] {
        world.send(client, &persistent(body).with("transaction", "t"));
    }
    granted(&mut world, client, transaction(Verb::Commit, "t"));
    assert_eq!(left(&mut world), ["1", "2"]);
}

#[test]
fn drop_oldest_holds_in_transactions() {
    let mut world = holds(2, WhenFull::DropOldest);
    let client = fill(&mut world, 1..=1);
    world.send(client, &transaction(Verb::Begin, "t"));
    for body in ["2", "3"] {
        world.send(client, &persistent(body).with("transaction", "t"));
    }
    granted(&mut world, client, transaction(Verb::Commit, "t"));
    assert_eq!(left(&mut world), ["2", "3"]);
}
