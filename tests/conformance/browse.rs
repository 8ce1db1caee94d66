//! Browsers: they look at a queue and change nothing.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::store::MemoryStore;

use crate::say::{
    ack_id, ack_message, assert_alive, frame, granted, message, refused, send, settle_message,
    subscribe, transaction, waiting,
};
use crate::support::world::{EPOCH, Id, World, config};

const Q: &str = "/queue/browsed";

fn browser() -> OwnedFrame {
    subscribe(Q, "b").with("browser", "true")
}

fn fill(world: &mut World, count: usize) {
    let sender = world.connect(Version::V1_2);
    for number in 0..count {
        let sent = send(Q).with("persistent", if number % 2 == 0 { "true" } else { "false" });
        let sent = sent.with("n", &number.to_string());
        granted(world, sender, sent.with_body(number.to_string().as_bytes()));
    }
}

/// What a new browser is shown until its end, which must come.
#[track_caller]
fn look(world: &mut World, frame: &OwnedFrame) -> Vec<String> {
    let client = world.connect(Version::V1_1);
    world.send(client, frame);
    let shown = shown(world, client);
    assert_eq!(world.drain(client), [], "nothing comes behind the end");
    assert_alive(world, client);
    shown
}

/// The bodies up to the mark of the end.
#[track_caller]
fn shown(world: &mut World, client: Id) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let next = message(world, client);
        if next.get("browser") == Some("end") {
            assert_eq!(next.get("message-id"), Some("0"));
            assert_eq!(next.get("subscription"), Some("b"));
            assert_eq!(next.get("destination"), Some(Q));
            assert_eq!(next.body, b"");
            return bodies;
        }
        bodies.push(String::from_utf8(next.body).unwrap());
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn test_queue_brower_subscription() {
    let mut world = World::new();
    fill(&mut world, 10);
    assert_eq!(look(&mut world, &browser()), numbers(0..10));
    let found = waiting(&mut world, Q);
    assert_eq!(found.len(), 10, "all are there for a consumer");
    let untouched = |frame: &OwnedFrame| frame.get("redelivered").is_none();
    assert!(
        found.iter().all(untouched),
        "nothing is said to have been delivered"
    );
}

#[test]
fn test_queue_browser_with_selectors() {
    let mut world = World::new();
    fill(&mut world, 10);
    let choosy = browser().with("selector", "n > 6");
    assert_eq!(look(&mut world, &choosy), numbers(7..10));
}

#[test]
fn test_queue_brower_not_in_auto_ack_mode() {
    let mut world = World::new();
    let nothing: [String; 0] = [];
    for mode in ["client", "client-individual"] {
        assert_eq!(look(&mut world, &browser().with("ack", mode)), nothing);
    }
    let client = world.connect(Version::V1_2);
    world.send(client, &browser().with("ack", "client"));
    let end = message(&mut world, client);
    assert_eq!((end.get("browser"), end.get("ack")), (Some("end"), None));
}

#[test]
fn test_queue_browser_subscription_is_of_no_use_to_1_0() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let error = refused(&mut world, client, browser());
    let text = "Queue Browser feature only valid for Stomp v1.1+ clients!";
    assert_eq!(error.get("message"), Some(text));
    assert_alive(&mut world, client);
}

#[test]
fn a_browser_is_shown_what_others_hold_and_what_was_refused() {
    let mut world = World::new();
    fill(&mut world, 4);
    let consumer = world.connect(Version::V1_1);
    let holding = subscribe(Q, "1").with("ack", "client-individual");
    world.send(consumer, &holding.with("activemq.prefetchSize", "2"));
    let held = world.drain(consumer);
    assert_eq!(look(&mut world, &browser()), numbers(0..4));
    world.send(consumer, &ack_message(&held[0]));
    world.vanish(consumer);
    let client = world.connect(Version::V1_2);
    world.send(client, &browser());
    let first = message(&mut world, client);
    assert_eq!(first.body, b"1");
    assert_eq!(first.get("redelivered"), Some("true"));
    assert_eq!(shown(&mut world, client), ["2", "3"]);
}

#[test]
fn a_browser_is_shown_a_snapshot_as_far_as_its_prefetch_goes() {
    let mut world = World::new();
    fill(&mut world, 6);
    let client = world.connect(Version::V1_2);
    let slow = browser()
        .with("ack", "client")
        .with("activemq.prefetchSize", "2");
    world.send(client, &slow);
    let mut seen = Vec::new();
    fill(&mut world, 3);
    waiting(&mut world, Q);
    for _ in 0..3 {
        let two = world.drain(client);
        assert_eq!(two.len() - usize::from(seen.len() == 4), 2, "{two:?}");
        world.send(client, &ack_id(&two[1]));
        let frames = two
            .into_iter()
            .filter(|frame| frame.get("browser").is_none());
        seen.extend(frames.map(|frame| String::from_utf8(frame.body).unwrap()));
    }
    assert_eq!(seen, numbers(0..6), "what came later is not shown");
    assert_eq!(waiting(&mut world, Q).len(), 9);
}

#[test]
fn acknowledgements_of_a_browser_remove_nothing_and_nack_is_refused() {
    let mut world = World::new();
    fill(&mut world, 2);
    let client = world.connect(Version::V1_1);
    world.send(client, &browser().with("ack", "client-individual"));
    let all = world.drain(client);
    assert_eq!(granted(&mut world, client, ack_message(&all[0])), []);
    let nack = settle_message(Verb::Nack, &all[1]);
    let error = refused(&mut world, client, nack);
    let text = "Cannot Nack a message on a Queue Browser Subscription.";
    assert_eq!(error.get("message"), Some(text));
    world.send(client, &transaction(Verb::Begin, "t"));
    granted(
        &mut world,
        client,
        ack_message(&all[1]).with("transaction", "t"),
    );
    granted(&mut world, client, transaction(Verb::Commit, "t"));
    granted(&mut world, client, frame(Verb::Unsubscribe).with("id", "b"));
    assert_eq!(waiting(&mut world, Q).len(), 2);
}

#[test]
fn what_is_on_disk_is_shown_in_its_place() {
    let mut small = config();
    small.policy.memory_window_bytes = 2000;
    let mut world = World::with(&small, Box::new(MemoryStore::default()));
    fill(&mut world, 100);
    assert_eq!(look(&mut world, &browser()), numbers(0..100));
    // Some are in flight, some in memory, the rest on disk.
    let consumer = world.connect(Version::V1_2);
    let holding = subscribe(Q, "1").with("ack", "client-individual");
    world.send(consumer, &holding.with("activemq.prefetchSize", "30"));
    let held = world.drain(consumer);
    world.send(consumer, &ack_id(&held[3]));
    let mut left = numbers(0..100);
    left.remove(3);
    assert_eq!(look(&mut world, &browser()), left);
    world.vanish(consumer);
    assert_eq!(waiting(&mut world, Q).len(), 99);
    world.broker.shutdown().unwrap();
}

#[test]
fn a_browser_that_leaves_early_leaves_nothing_behind() {
    let mut small = config();
    small.policy.memory_window_bytes = 2000;
    let mut world = World::with(&small, Box::new(MemoryStore::default()));
    fill(&mut world, 50);
    let before = world.broker.totals().memory_messages;
    for _ in 0..3 {
        let client = world.connect(Version::V1_2);
        let slow = browser()
            .with("ack", "client")
            .with("activemq.prefetchSize", "5");
        world.send(client, &slow);
        assert_eq!(world.drain(client).len(), 5);
        world.vanish(client);
    }
    assert_eq!(world.broker.totals().memory_messages, before);
    assert_eq!(look(&mut world, &browser()).len(), 50);
}

#[test]
fn a_browser_does_not_keep_a_queue_from_its_exclusive_consumer_or_its_groups() {
    let mut world = World::new();
    let consumer = world.connect(Version::V1_2);
    let only = subscribe(Q, "1").with("activemq.exclusive", "true");
    granted(&mut world, consumer, only);
    let client = world.connect(Version::V1_2);
    let everything = browser().with("activemq.exclusive", "true");
    world.send(client, &everything.with("activemq.priority", "127"));
    assert_eq!(shown(&mut world, client).len(), 0);
    let sender = world.connect(Version::V1_2);
    for _ in 0..3 {
        granted(
            &mut world,
            sender,
            send(Q).with("JMSXGroupID", "g").with_body(b"x"),
        );
    }
    assert_eq!(world.drain(consumer).len(), 3);
    assert_eq!(world.drain(client), []);
}

#[test]
fn only_one_queue_can_be_browsed() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for destination in ["/topic/t", "/queue/a,/queue/b", "/queue/a.>"] {
        let error = refused(
            &mut world,
            client,
            subscribe(destination, "1").with("browser", "true"),
        );
        assert_eq!(
            error.get("code"),
            Some("invalid-destination"),
            "{destination}"
        );
    }
    assert_alive(&mut world, client);
}

#[test]
fn what_has_expired_is_not_shown() {
    let mut world = World::new();
    let sender = world.connect(Version::V1_2);
    let soon = (EPOCH.0 + 1000).to_string();
    granted(
        &mut world,
        sender,
        send(Q).with("expires", &soon).with_body(b"x"),
    );
    assert_eq!(look(&mut world, &browser()), ["x"]);
    world.advance(Duration::from_secs(2));
    assert_eq!(look(&mut world, &browser()).len(), 0);
}
