//! Messages that nobody could work on: where they go, what they say, and how they come back.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{
    DestinationName, DestinationPolicy, LetterFilter, NameTemplate, Selector,
};
use tidegate::internal::store::MemoryStore;

use crate::policies::queues;
use crate::say::{ack_id, bodies, frame, granted, message, send, settle_id, subscribe, waiting};
use crate::support::world::{EPOCH, Id, World, config, policed};

const Q: &str = "/queue/orders";
const DLQ: &str = "/queue/ActiveMQ.DLQ";

/// A world in which one failure is enough.
fn strict(change: impl FnOnce(&mut DestinationPolicy)) -> World {
    policed(|policy| {
        policy.redelivery_max = 0;
        change(policy);
    })
}

fn persistent(destination: &str, body: &str) -> OwnedFrame {
    let frame = send(destination).with("persistent", "true");
    frame.with_body(body.as_bytes())
}

/// A consumer that refuses what comes, once for each message.
fn consumer(world: &mut World, destination: &str) -> Id {
    let client = world.connect(Version::V1_2);
    let asked = subscribe(destination, "worker").with("ack", "client-individual");
    world.send(client, &asked);
    client
}

fn fail(world: &mut World, destination: &str, frames: &[OwnedFrame]) {
    let client = consumer(world, destination);
    let sender = world.connect(Version::V1_2);
    for frame in frames {
        granted(world, sender, frame.clone());
        let received = message(world, client);
        world.send(client, &settle_id(Verb::Nack, &received));
    }
    world.send(client, &frame(Verb::Disconnect));
}

fn texts(frames: &[OwnedFrame]) -> Vec<&str> {
    let text = |frame| std::str::from_utf8(frame).unwrap();
    frames.iter().map(|frame| text(&frame.body[..])).collect()
}

fn dlq() -> DestinationName {
    DestinationName::queue("ActiveMQ.DLQ").unwrap()
}

#[test]
fn a_dead_letter_says_where_it_came_from_and_who_had_it_last() {
    let mut world = strict(|_| ());
    let sent = persistent(Q, "x").with("expires", "1700000100000");
    fail(&mut world, Q, &[sent.with("dlqLastConsumer", "forged")]);
    let dead = waiting(&mut world, DLQ).remove(0);
    assert_eq!(dead.get("original-destination"), Some(Q));
    assert_eq!(dead.get("dlqReason"), Some("redelivery limit reached"));
    assert_eq!(dead.get("dlqDeliveryCount"), Some("1"));
    assert_eq!(dead.get("originalExpiration"), Some("1700000100000"));
    assert_eq!(dead.get("expires"), Some("0"));
    let consumer = dead.get("dlqLastConsumer").unwrap();
    assert!(
        consumer.starts_with("ID-") && consumer.ends_with("/worker"),
        "{consumer}"
    );
    let told = dead
        .headers
        .iter()
        .filter(|(name, _)| name == "dlqLastConsumer");
    assert_eq!(told.count(), 1, "{dead:?}");
}

#[test]
fn the_last_consumer_is_known_after_a_restart() {
    let store = MemoryStore::default();
    let mut config = config();
    config.policy.redelivery_max = 0;
    let mut world = World::with(&config, Box::new(store.clone()));
    fail(&mut world, Q, &[persistent(Q, "x")]);
    drop(world);
    let mut world = World::with(&config, Box::new(store));
    let dead = waiting(&mut world, DLQ).remove(0);
    assert!(dead.get("dlqLastConsumer").unwrap().ends_with("/worker"));
}

/// `individualDeadLetterStrategy`: a queue for each destination.
#[test]
fn each_destination_can_have_a_dead_letter_queue_of_its_own() {
    let mut world = strict(|policy| {
        policy.dead_letter.queue = NameTemplate::parse("ActiveMQ.DLQ.{kind}.{name}").unwrap();
    });
    fail(&mut world, Q, &[persistent(Q, "x")]);
    fail(
        &mut world,
        "/topic/prices",
        &[persistent("/topic/prices", "y")],
    );
    assert_eq!(
        waiting(&mut world, "/queue/ActiveMQ.DLQ.Queue.orders").len(),
        1
    );
    let of_topic = waiting(&mut world, "/queue/ActiveMQ.DLQ.Topic.prices");
    assert_eq!(
        of_topic[0].get("original-destination"),
        Some("/topic/prices")
    );
}

/// A letter never moves on: a dead-letter queue of dead-letter queues would help nobody.
#[test]
fn a_message_on_its_dead_letter_queue_stays_there() {
    let mut world = strict(|policy| {
        policy.dead_letter.queue = NameTemplate::parse("DLQ.{name}").unwrap();
    });
    fail(&mut world, Q, &[persistent(Q, "x")]);
    let client = consumer(&mut world, "/queue/DLQ.orders");
    for _ in 0..3 {
        let received = message(&mut world, client);
        world.send(client, &settle_id(Verb::Nack, &received));
    }
    message(&mut world, client);
    assert!(waiting(&mut world, "/queue/DLQ.DLQ.orders").is_empty());
}

/// `discardingDLQBrokerPlugin`, `deadLetterStrategy` with `discard`.
#[test]
fn dead_letters_can_be_switched_off() {
    let mut world = strict(|policy| policy.dead_letter.enabled = false);
    fail(&mut world, Q, &[persistent(Q, "x")]);
    assert!(waiting(&mut world, DLQ).is_empty());
    assert!(waiting(&mut world, Q).is_empty());
}

/// `processNonPersistent`, which is off with `ActiveMQ`.
#[test]
fn messages_that_are_not_persistent_can_be_left_out() {
    let mut world = strict(|policy| policy.dead_letter.non_persistent = false);
    fail(
        &mut world,
        Q,
        &[send(Q).with_body(b"x"), persistent(Q, "y")],
    );
    assert_eq!(texts(&waiting(&mut world, DLQ)), ["y"]);
}

fn expiring(world: &mut World, destination: &str) {
    let sender = world.connect(Version::V1_2);
    let at = EPOCH.0 + 1000;
    let frame = persistent(destination, "late").with("expires", &at.to_string());
    granted(world, sender, frame);
    world.advance(Duration::from_secs(2));
    // Its time is looked at when its turn comes.
    waiting(world, destination);
}

/// `processExpired`, which is on with `ActiveMQ`.
#[test]
fn expired_messages_are_dropped_unless_they_are_wanted() {
    let mut world = strict(|_| ());
    expiring(&mut world, Q);
    assert!(waiting(&mut world, DLQ).is_empty());

    let mut world = strict(|policy| policy.dead_letter.expired = true);
    expiring(&mut world, Q);
    let dead = waiting(&mut world, DLQ).remove(0);
    assert_eq!(dead.get("dlqDeliveryFailureCause"), Some("expired"));
    assert_eq!(dead.get("original-destination"), Some(Q));
    assert_eq!(dead.get("dlqLastConsumer"), None);
    let expiration = (EPOCH.0 + 1000).to_string();
    assert_eq!(dead.get("originalExpiration"), Some(expiration.as_str()));
}

#[test]
fn a_message_that_has_expired_before_it_comes_is_a_dead_letter_too() {
    let mut world = strict(|policy| policy.dead_letter.expired = true);
    for destination in [Q, "/topic/prices"] {
        let sender = world.connect(Version::V1_2);
        let frame = persistent(destination, "late").with("expires", "1");
        granted(&mut world, sender, frame);
    }
    let dead = waiting(&mut world, DLQ);
    let origins: Vec<_> = dead.iter().map(|d| d.get("original-destination")).collect();
    assert_eq!(origins, [Some(Q), Some("/topic/prices")]);
}

#[test]
fn dead_letters_can_have_an_end() {
    let mut world = strict(|policy| policy.dead_letter.ttl = Some(60_000));
    fail(&mut world, Q, &[persistent(Q, "x")]);
    let dead = waiting(&mut world, DLQ).remove(0);
    let expires = (EPOCH.0 + 60_000).to_string();
    assert_eq!(dead.get("expires"), Some(expires.as_str()));
    world.advance(Duration::from_secs(61));
    assert!(waiting(&mut world, DLQ).is_empty());
}

/// The bound is of the queue that they come to; what waits elsewhere has nothing to do with it.
#[test]
fn a_full_dead_letter_queue_drops_its_oldest() {
    let mut config = config();
    config.policy.redelivery_max = 0;
    config.policies = vec![queues("ActiveMQ.DLQ", |change| {
        change.dead_letter.max_bytes = Some(3000);
    })];
    let mut world = World::with(&config, Box::new(MemoryStore::default()));
    let frames: Vec<_> = (0..10)
        .map(|n| persistent(Q, &format!("{n:0500}")))
        .collect();
    fail(&mut world, Q, &frames);
    let dead = waiting(&mut world, DLQ);
    assert!((2..=5).contains(&dead.len()), "{}", dead.len());
    assert!(dead.last().unwrap().body.ends_with(b"9"));
}

#[test]
fn a_bound_of_dead_letters_is_no_bound_of_other_queues() {
    let mut world = strict(|policy| policy.dead_letter.max_bytes = 2000);
    let sender = world.connect(Version::V1_2);
    for n in 0..10 {
        granted(&mut world, sender, persistent(Q, &format!("{n:0500}")));
    }
    assert_eq!(waiting(&mut world, Q).len(), 10);
}

fn retry(world: &mut World, filter: &LetterFilter, limit: usize) -> usize {
    let count = world.broker.retry_dead_letters(&dlq(), filter, limit);
    world.run();
    count.unwrap()
}

#[test]
fn dead_letters_go_back_as_they_were_sent() {
    let mut world = strict(|_| ());
    let sent = persistent(Q, "x")
        .with("colour", "blue")
        .with("expires", "1700000100000");
    fail(&mut world, Q, &[sent, send(Q).with_body(b"y")]);
    assert_eq!(retry(&mut world, &LetterFilter::All, usize::MAX), 2);
    assert!(waiting(&mut world, DLQ).is_empty());
    let back = waiting(&mut world, Q);
    assert_eq!(texts(&back), ["x", "y"]);
    let first = &back[0];
    assert_eq!(first.get("destination"), Some(Q));
    assert_eq!(first.get("colour"), Some("blue"));
    assert_eq!(first.get("persistent"), Some("true"));
    assert_eq!(first.get("expires"), Some("1700000100000"));
    assert_eq!(first.get("redelivered"), None, "it is tried anew");
    assert_eq!(back[1].get("persistent"), None);
    let told = |(name, _): &(String, String)| name.starts_with("dlq");
    assert!(!first.headers.iter().any(told), "{first:?}");
    assert_eq!(first.get("original-destination"), None);
}

#[test]
fn what_fails_again_is_a_dead_letter_again() {
    let mut world = strict(|_| ());
    fail(&mut world, Q, &[persistent(Q, "x")]);
    for _ in 0..3 {
        assert_eq!(retry(&mut world, &LetterFilter::All, 10), 1);
        let client = consumer(&mut world, Q);
        let received = message(&mut world, client);
        world.send(client, &settle_id(Verb::Nack, &received));
        world.send(client, &frame(Verb::Disconnect));
        let dead = waiting(&mut world, DLQ);
        assert_eq!(dead[0].get("original-destination"), Some(Q));
    }
}

#[test]
fn an_expiration_that_is_over_does_not_count_after_a_retry() {
    let mut world = strict(|_| ());
    let at = (EPOCH.0 + 1000).to_string();
    fail(
        &mut world,
        Q,
        &[persistent(Q, "x").with("expires", &at).with("z", "1")],
    );
    world.advance(Duration::from_secs(5));
    assert_eq!(retry(&mut world, &LetterFilter::All, 10), 1);
    let back = waiting(&mut world, Q).remove(0);
    assert_eq!(back.get("expires"), Some("0"));
    assert_eq!(
        (back.get("z"), back.body.as_slice()),
        (Some("1"), &b"x"[..])
    );
}

#[test]
fn some_go_back_by_selector_by_id_or_up_to_a_limit() {
    let mut world = strict(|_| ());
    let numbered: Vec<_> = (0..6)
        .map(|n: u32| persistent(Q, &n.to_string()).with("n", &n.to_string()))
        .collect();
    fail(&mut world, Q, &numbered);
    fail(
        &mut world,
        "/queue/bills",
        &[persistent("/queue/bills", "b")],
    );
    let selector = "JMSDestination = 'queue://orders' AND n >= 4 AND dlqDeliveryCount = 1";
    let some = LetterFilter::Matching(Selector::parse(selector).unwrap());
    assert_eq!(retry(&mut world, &some, 10), 2);
    assert_eq!(texts(&waiting(&mut world, Q)), ["4", "5"]);
    assert_eq!(retry(&mut world, &some, 10), 0, "once is enough");
    assert_eq!(retry(&mut world, &LetterFilter::All, 2), 2);
    assert_eq!(texts(&waiting(&mut world, DLQ)), ["2", "3", "b"]);
    let none = LetterFilter::Ids(BTreeSet::new());
    assert_eq!(retry(&mut world, &none, 10), 0);
}

/// What a consumer of the dead letters holds is its own.
#[test]
fn what_somebody_holds_stays() {
    let mut world = strict(|_| ());
    fail(&mut world, Q, &[persistent(Q, "x"), persistent(Q, "y")]);
    let client = world.connect(Version::V1_2);
    let asked = subscribe(DLQ, "1").with("ack", "client-individual");
    world.send(client, &asked.with("activemq.prefetchSize", "1"));
    let held = message(&mut world, client);
    assert_eq!(retry(&mut world, &LetterFilter::All, 10), 1);
    granted(&mut world, client, ack_id(&held));
    assert_eq!(texts(&waiting(&mut world, Q)), ["y"]);
    assert_eq!(retry(&mut world, &LetterFilter::All, 10), 0);
}

/// Most of a deep queue is on disk only; none is lost, doubled or back after a restart.
#[test]
fn a_deep_queue_is_retried_from_disk() {
    let store = MemoryStore::default();
    let mut config = config();
    config.policy.redelivery_max = 0;
    config.policy.memory_window_bytes = 1500;
    let mut world = World::with(&config, Box::new(store.clone()));
    let all: Vec<_> = (0..40).map(|n| persistent(Q, &format!("{n:02}"))).collect();
    fail(&mut world, Q, &all);
    drop(world);
    let mut world = World::with(&config, Box::new(store.clone()));
    let listener = world.connect(Version::V1_2);
    let asked = subscribe(DLQ, "1").with("ack", "client-individual");
    world.send(listener, &asked.with("activemq.prefetchSize", "3"));
    assert_eq!(bodies(&mut world, listener), ["00", "01", "02"]);
    assert_eq!(retry(&mut world, &LetterFilter::All, 20), 20);
    assert_eq!(retry(&mut world, &LetterFilter::All, 100), 17);
    world.vanish(listener);
    let mut back: Vec<_> = waiting(&mut world, Q);
    back.sort_by(|a, b| a.body.cmp(&b.body));
    let expected: Vec<_> = (3..40).map(|n| format!("{n:02}")).collect();
    assert_eq!(texts(&back), expected);
    assert_eq!(texts(&waiting(&mut world, DLQ)), ["00", "01", "02"]);
    drop(world);
    let mut world = World::with(&config, Box::new(store));
    assert_eq!(waiting(&mut world, Q).len(), 37);
    assert_eq!(texts(&waiting(&mut world, DLQ)), ["00", "01", "02"]);
}

/// Also when the second call comes before the store has heard of the first.
#[test]
fn nothing_goes_back_twice() {
    let store = MemoryStore::default();
    let mut config = config();
    config.policy.redelivery_max = 0;
    config.policy.memory_window_bytes = 1500;
    let mut world = World::with(&config, Box::new(store.clone()));
    let all: Vec<_> = (0..40).map(|n| persistent(Q, &format!("{n:02}"))).collect();
    fail(&mut world, Q, &all);
    drop(world);
    let mut world = World::with(&config, Box::new(store));
    let retry = |world: &World| {
        let broker = &world.broker;
        broker
            .retry_dead_letters(&dlq(), &LetterFilter::All, 10)
            .unwrap()
    };
    // What goes in these calls is on disk only, and goes on being there until the writer has its turn.
    assert_eq!(retry(&world), 10);
    assert_eq!(retry(&world), 10);
    world.run();
    assert_eq!(retry(&world), 10);
    assert_eq!(retry(&world), 10);
    assert_eq!(retry(&world), 0);
    world.run();
    let back = waiting(&mut world, Q);
    let mut back = texts(&back);
    back.sort_unstable();
    back.dedup();
    assert_eq!(back.len(), 40);
    assert!(waiting(&mut world, DLQ).is_empty());
}

#[test]
fn a_dead_letter_of_a_topic_goes_back_to_the_topic() {
    let mut world = strict(|_| ());
    fail(
        &mut world,
        "/topic/prices",
        &[persistent("/topic/prices", "x")],
    );
    let listener = consumer(&mut world, "/topic/prices");
    assert_eq!(retry(&mut world, &LetterFilter::All, 10), 1);
    assert_eq!(bodies(&mut world, listener), ["x"]);
    assert!(waiting(&mut world, DLQ).is_empty());
}

/// Groups and choosy consumers keep messages in places of their own.
#[test]
fn what_was_set_aside_goes_back_too() {
    let mut world = strict(|_| ());
    let frames = ["1", "2", "3"].map(|n| persistent(Q, n).with("JMSXGroupID", "g"));
    fail(&mut world, Q, &frames);
    let client = world.connect(Version::V1_2);
    let asked = subscribe(DLQ, "1").with("ack", "client-individual");
    let asked = asked.with("activemq.prefetchSize", "1");
    world.send(client, &asked);
    assert_eq!(bodies(&mut world, client), ["1"]);
    let picky = consumer_of_nothing(&mut world);
    let some = LetterFilter::Matching(Selector::parse("JMSXGroupID = 'g'").unwrap());
    assert_eq!(retry(&mut world, &some, 10), 2);
    assert_eq!(texts(&waiting(&mut world, Q)), ["2", "3"]);
    world.send(picky, &frame(Verb::Disconnect));
}

fn consumer_of_nothing(world: &mut World) -> Id {
    let client = world.connect(Version::V1_2);
    let asked = subscribe(DLQ, "1").with("selector", "x = 'y'");
    granted(world, client, asked);
    client
}
