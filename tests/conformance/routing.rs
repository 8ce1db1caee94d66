//! Messages that go to more than one destination: composite destinations, virtual topics, mirrors.

use tidegate::internal::broker::{BrokerConfig, MirroredQueues};
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{
    Branch, CompositeDestination, Composites, DestinationName, Selector,
};
use tidegate::internal::store::MemoryStore;

use crate::say::{
    assert_alive, bodies, frame, granted, message, refused, send, subscribe, transaction, waiting,
};
use crate::support::world::{Id, World, config};

const TOPIC: &str = "/topic/VirtualTopic.FOO";
const A: &str = "/queue/Consumer.A.VirtualTopic.FOO";
const B: &str = "/queue/Consumer.B.VirtualTopic.FOO";

fn composite(
    name: &str,
    branches: &[(&str, &str)],
    change: impl FnOnce(&mut CompositeDestination),
) -> World {
    let destination = |name: &str| match name.strip_prefix("topic://") {
        Some(topic) => DestinationName::topic(topic).unwrap(),
        None => DestinationName::queue(name).unwrap(),
    };
    let branch = |(to, selector): &(&str, &str)| Branch {
        to: destination(to),
        selector: (!selector.is_empty()).then(|| Selector::parse(selector).unwrap()),
    };
    let mut one = CompositeDestination {
        name: destination(name),
        forward_to: branches.iter().map(branch).collect(),
        forward_only: true,
        send_when_not_matched: false,
    };
    change(&mut one);
    open(|settings| settings.routing.composites = Composites::new([one]))
}

fn open(change: impl FnOnce(&mut BrokerConfig)) -> World {
    let mut settings = config();
    change(&mut settings);
    World::with(&settings, Box::new(MemoryStore::default()))
}

fn listen(world: &mut World, destination: &str) -> Id {
    let client = world.connect(Version::V1_2);
    granted(world, client, subscribe(destination, "1"));
    client
}

fn persistent(destination: &str, body: &str) -> OwnedFrame {
    let sent = send(destination).with("persistent", "true");
    sent.with_body(body.as_bytes())
}

#[test]
fn test_send_message_to_composite_queue() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, persistent("/queue/a,/queue/b", "x"));
    for queue in ["/queue/a", "/queue/b"] {
        let found = waiting(&mut world, queue);
        assert_eq!(found.len(), 1, "{queue}");
        assert_eq!(found[0].get("destination"), Some(queue));
        assert_eq!(
            found[0].get("original-destination"),
            Some("/queue/a,/queue/b")
        );
        assert_eq!(found[0].body, b"x");
    }
}

#[test]
fn test_send_message_to_composite_queue_no_prefixes() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &send("a,b").with_body(b"x"));
    for queue in ["/queue/a", "/queue/b"] {
        assert_eq!(waiting(&mut world, queue).len(), 1, "{queue}");
    }
}

#[test]
fn test_send_message_to_composite_topic() {
    let mut world = World::new();
    let [one, two] = ["/topic/a", "/topic/b"].map(|topic| listen(&mut world, topic));
    let sender = world.connect(Version::V1_1);
    granted(
        &mut world,
        sender,
        persistent("/topic/a,topic://b,/topic/a", "x"),
    );
    assert_eq!(bodies(&mut world, one), ["x"]);
    assert_eq!(bodies(&mut world, two), ["x"]);
}

#[test]
fn a_composite_may_mix_queues_and_topics() {
    let mut world = World::new();
    let topic = listen(&mut world, "/topic/t");
    let sender = world.connect(Version::V1_2);
    let sent = persistent("queue://q, topic://t", "x").with("odd", "a:b\nc");
    granted(&mut world, sender, sent);
    let received = message(&mut world, topic);
    assert_eq!(
        received.get("original-destination"),
        Some("/queue/q,/topic/t")
    );
    assert_eq!(received.get("odd"), Some("a:b\nc"));
    assert_eq!(waiting(&mut world, "/queue/q").len(), 1);
}

#[test]
fn a_composite_that_holds_what_cannot_be_sent_to_is_refused_as_a_whole() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for (text, code) in [
        ("/queue/a,/queue/", "invalid-destination"),
        ("/queue/a,", "invalid-destination"),
        ("/queue/a,/queue/b.>", "invalid-destination"),
        ("/queue/a,/reply-queue/b", "not-supported"),
    ] {
        let error = refused(&mut world, client, persistent(text, "x"));
        assert_eq!(error.get("code"), Some(code), "{text}");
    }
    let long = format!("/queue/a,{}", "b".repeat(1024));
    let error = refused(&mut world, client, persistent(&long, "x"));
    assert_eq!(error.get("code"), Some("invalid-destination"));
    assert_alive(&mut world, client);
    assert_eq!(waiting(&mut world, "/queue/a"), []);
}

#[test]
fn a_composite_of_which_one_queue_is_full_waits_and_goes_to_all_then() {
    let mut world = open(|settings| settings.policy.max_bytes = 2000);
    let client = world.connect(Version::V1_2);
    let filling = persistent("/queue/full", &"f".repeat(1900));
    granted(&mut world, client, filling);
    let both = persistent("/queue/full,/queue/free", "x").with("receipt", "both");
    world.send(client, &both);
    assert_eq!(world.try_receive(client), None, "it waits");
    let consumer = listen(&mut world, "/queue/free");
    assert_eq!(world.try_receive(consumer), None, "nobody has it");
    let other = world.connect(Version::V1_2);
    world.send(other, &subscribe("/queue/full", "1"));
    assert_eq!(bodies(&mut world, other).len(), 2);
    assert_eq!(bodies(&mut world, consumer), ["x"]);
    assert_eq!(world.receive(client).get("receipt-id"), Some("both"));
}

#[test]
fn a_transaction_sends_to_all_or_none() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    listen(&mut world, A);
    for (end, expected) in [(Verb::Abort, 0), (Verb::Commit, 1)] {
        world.send(client, &transaction(Verb::Begin, "tx"));
        let sent = persistent("/queue/a,/topic/VirtualTopic.FOO", "x");
        world.send(client, &sent.with("transaction", "tx"));
        assert_eq!(waiting(&mut world, "/queue/a"), []);
        granted(&mut world, client, transaction(end, "tx"));
        assert_eq!(waiting(&mut world, "/queue/a").len(), expected);
    }
}

#[test]
fn test_stomp_on_virtual_topics() {
    let mut world = World::new();
    let consumer = world.connect(Version::V1_1);
    let asked = subscribe(A, "1").with("ack", "client");
    granted(&mut world, consumer, asked);
    let producer = world.connect(Version::V1_1);
    for number in 0..3000 {
        let body = number.to_string();
        world.send(producer, &send(TOPIC).with_body(body.as_bytes()));
    }
    for number in 0..3000 {
        let received = message(&mut world, consumer);
        assert_eq!(received.body, number.to_string().as_bytes());
        assert_eq!(received.get("destination"), Some(A));
        assert_eq!(received.get("original-destination"), Some(TOPIC));
        world.send(consumer, &crate::say::ack_message(&received));
    }
    world.send(consumer, &frame(Verb::Disconnect));
    assert_eq!(waiting(&mut world, A), []);
}

#[test]
fn each_queue_of_a_virtual_topic_and_each_subscriber_gets_every_message() {
    let mut world = World::new();
    let early = world.connect(Version::V1_2);
    world.send(early, &send(TOPIC).with_body(b"before anybody"));
    let a = [0, 1].map(|_| listen(&mut world, A));
    let b = listen(&mut world, B);
    let plain = listen(&mut world, TOPIC);
    let other = listen(&mut world, "/queue/Consumer.A.VirtualTopic.BAR");
    for body in ["0", "1"] {
        granted(&mut world, early, persistent(TOPIC, body));
    }
    let of_a = a.map(|client| bodies(&mut world, client)).concat();
    assert_eq!(of_a, ["0", "1"], "between them");
    assert_eq!(bodies(&mut world, b), ["0", "1"]);
    let received = message(&mut world, plain);
    assert_eq!(received.get("destination"), Some(TOPIC));
    assert_eq!(received.get("original-destination"), None);
    assert_eq!(world.try_receive(other), None);
}

#[test]
fn the_queue_of_a_virtual_topic_keeps_what_comes_while_nobody_listens() {
    let mut world = World::new();
    let consumer = listen(&mut world, A);
    world.send(consumer, &frame(Verb::Disconnect));
    let producer = world.connect(Version::V1_2);
    granted(&mut world, producer, persistent(TOPIC, "kept"));
    assert_eq!(waiting(&mut world, A)[0].body, b"kept");
}

/// The subscription that makes the queue is granted once the queue outlives a crash.
#[test]
fn the_queue_of_a_virtual_topic_is_there_after_a_restart() {
    let store = MemoryStore::default();
    let mut world = World::with(&config(), Box::new(store.clone()));
    let consumer = listen(&mut world, A);
    assert_alive(&mut world, consumer);
    drop(world);
    let mut world = World::with(&config(), Box::new(store));
    let producer = world.connect(Version::V1_2);
    granted(&mut world, producer, persistent(TOPIC, "kept"));
    assert_eq!(waiting(&mut world, A).len(), 1);
}

#[test]
fn virtual_topics_can_be_switched_off() {
    let mut world = open(|settings| settings.routing.virtual_topics = None);
    let consumer = listen(&mut world, A);
    let plain = listen(&mut world, TOPIC);
    world.send(plain, &send(TOPIC).with_body(b"x"));
    assert_eq!(bodies(&mut world, plain), ["x"]);
    assert_eq!(world.try_receive(consumer), None);
}

#[test]
fn a_mirrored_queue_is_seen_on_its_topic_and_its_virtual_queues() {
    let mut world = open(|settings| {
        settings.routing.mirrored_queues = Some(MirroredQueues {
            prefix: "VirtualTopic.Mirror.".to_owned(),
            postfix: String::new(),
        });
    });
    let monitor = listen(&mut world, "/topic/VirtualTopic.Mirror.orders");
    let drain = listen(&mut world, "/queue/Consumer.X.VirtualTopic.Mirror.orders");
    let worker = listen(&mut world, "/queue/orders");
    granted(&mut world, worker, subscribe("/queue/other", "2"));
    granted(&mut world, monitor, persistent("/queue/elsewhere", "y"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, persistent("/queue/orders", "x"));
    let seen = message(&mut world, monitor);
    assert_eq!(
        seen.get("destination"),
        Some("/topic/VirtualTopic.Mirror.orders")
    );
    assert_eq!(seen.get("original-destination"), Some("/queue/orders"));
    assert_eq!(bodies(&mut world, drain), ["x"]);
    let received = message(&mut world, worker);
    assert_eq!(received.get("original-destination"), None);
    assert_eq!(received.get("destination"), Some("/queue/orders"));
}

#[test]
fn a_dead_letter_of_a_virtual_queue_comes_from_that_queue() {
    let mut world = open(|settings| settings.policy.redelivery_max = 0);
    let consumer = world.connect(Version::V1_2);
    let asked = subscribe(A, "1").with("ack", "client-individual");
    granted(&mut world, consumer, asked);
    world.send(consumer, &persistent(TOPIC, "x"));
    let received = message(&mut world, consumer);
    let nack = frame(Verb::Nack).with("id", received.get("ack").unwrap());
    granted(&mut world, consumer, nack);
    let dead = waiting(&mut world, "/queue/ActiveMQ.DLQ");
    assert_eq!(dead[0].get("original-destination"), Some(A));
}

/// `compositeQueue` with `forwardTo`: copies carry `original-destination`.
#[test]
fn a_configured_composite_forwards_to_what_it_names() {
    let branches = [("a", ""), ("topic://b", "")];
    let mut world = composite("orders", &branches, |_| ());
    let listener = listen(&mut world, "/topic/b");
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, persistent("/queue/orders", "x"));
    let found = waiting(&mut world, "/queue/a");
    assert_eq!(found[0].get("destination"), Some("/queue/a"));
    assert_eq!(found[0].get("original-destination"), Some("/queue/orders"));
    let heard = message(&mut world, listener);
    assert_eq!(heard.get("original-destination"), Some("/queue/orders"));
    assert!(
        waiting(&mut world, "/queue/orders").is_empty(),
        "forwardOnly"
    );
}

/// `forwardOnly="false"`.
#[test]
fn a_configured_composite_may_keep_a_copy() {
    let mut world = composite("orders", &[("a", "")], |one| one.forward_only = false);
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, persistent("/queue/orders", "x"));
    assert_eq!(waiting(&mut world, "/queue/a").len(), 1);
    let own = waiting(&mut world, "/queue/orders").remove(0);
    assert_eq!(own.get("original-destination"), None);
}

/// `filteredDestination`.
#[test]
fn a_branch_may_want_only_some() {
    let branches = [("cheap", "price < 10"), ("dear", "price >= 10")];
    let mut world = composite("orders", &branches, |_| ());
    let sender = world.connect(Version::V1_2);
    for price in ["5", "15"] {
        let frame = persistent("/queue/orders", price).with("price", price);
        granted(&mut world, sender, frame);
    }
    // What nobody wants is gone, and its sender hears nothing of it.
    granted(&mut world, sender, persistent("/queue/orders", "free"));
    for (queue, body) in [("/queue/cheap", b"5".as_slice()), ("/queue/dear", b"15")] {
        let found = waiting(&mut world, queue);
        assert_eq!((found.len(), found[0].body.as_slice()), (1, body));
    }
    assert!(waiting(&mut world, "/queue/orders").is_empty());
}

/// `sendWhenNotMatched`.
#[test]
fn what_no_branch_wants_may_be_kept() {
    let branches = [("cheap", "price < 10")];
    let mut world = composite("orders", &branches, |one| one.send_when_not_matched = true);
    let sender = world.connect(Version::V1_2);
    for price in ["5", "15"] {
        let frame = persistent("/queue/orders", price).with("price", price);
        granted(&mut world, sender, frame);
    }
    assert_eq!(waiting(&mut world, "/queue/orders")[0].body, b"15");
    assert_eq!(waiting(&mut world, "/queue/orders").len(), 1);
    assert_eq!(waiting(&mut world, "/queue/cheap").len(), 1);
}

#[test]
fn a_configured_composite_holds_in_transactions_and_lists() {
    let mut world = composite("orders", &[("a", ""), ("b", "")], |_| ());
    let sender = world.connect(Version::V1_2);
    world.send(sender, &transaction(Verb::Begin, "t"));
    let sent = persistent("/queue/orders", "x").with("transaction", "t");
    world.send(sender, &sent);
    assert!(waiting(&mut world, "/queue/a").is_empty());
    granted(&mut world, sender, transaction(Verb::Commit, "t"));
    let list = persistent("/queue/b,/queue/orders", "y");
    granted(&mut world, sender, list);
    assert_eq!(waiting(&mut world, "/queue/a").len(), 2);
    assert_eq!(waiting(&mut world, "/queue/b").len(), 2, "each once");
}

/// A composite topic may feed queues of its own, and virtual topics theirs.
#[test]
fn a_composite_may_forward_to_a_virtual_topic() {
    let branches = [("topic://VirtualTopic.FOO", "")];
    let mut world = composite("topic://news", &branches, |_| ());
    let consumer = listen(&mut world, A);
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, persistent("/topic/news", "x"));
    let received = message(&mut world, consumer);
    assert_eq!(received.get("original-destination"), Some("/topic/news"));
}

#[test]
fn a_queue_of_a_virtual_topic_gets_what_its_consumers_want_if_that_is_asked_for() {
    let mut world = open(|settings| settings.routing.selector_aware = true);
    let [picky, all] = [A, B].map(|_| world.connect(Version::V1_2));
    let some = subscribe(A, "1").with("selector", "size > 2");
    granted(&mut world, picky, some.clone());
    granted(&mut world, all, subscribe(B, "1"));
    let sender = world.connect(Version::V1_2);
    let publish = |world: &mut World, size: &str| {
        let sent = persistent(TOPIC, size).with("size", size);
        granted(world, sender, sent);
    };
    for size in ["1", "3"] {
        publish(&mut world, size);
    }
    assert_eq!(bodies(&mut world, picky), ["3"]);
    assert_eq!(bodies(&mut world, all), ["1", "3"]);
    // What nobody wants does not wait; while nobody is there, everything does.
    world.send(picky, &frame(Verb::Disconnect));
    assert_eq!(waiting(&mut world, A), []);
    publish(&mut world, "1");
    assert_eq!(waiting(&mut world, A).len(), 1);
    // A browser is no consumer.
    let browser = world.connect(Version::V1_2);
    world.send(browser, &some.with("browser", "true"));
    publish(&mut world, "2");
    assert_eq!(waiting(&mut world, A).len(), 2);
}
