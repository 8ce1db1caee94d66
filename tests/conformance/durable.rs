//! Durable subscriptions: what is sent to a topic while nobody reads them waits.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::store::MemoryStore;

use crate::say::{
    ack_id, assert_alive, bodies, frame, granted, message, refused, send, settle_id, subscribe,
    transaction, waiting,
};
use crate::support::world::{Id, World, config};

const T: &str = "/topic/prices";

/// A client that calls itself so.
fn client(world: &mut World, name: &str) -> Id {
    let id = world.open();
    let login = frame(Verb::Connect).with("accept-version", "1.2");
    world.send(id, &login.with("client-id", name));
    assert_eq!(world.receive(id).verb, Verb::Connected);
    world.set_version(id, Version::V1_2);
    id
}

fn durable(id: &str) -> OwnedFrame {
    subscribe(T, id).with("activemq.subscriptionName", "watch")
}

fn text(topic: &str, body: &str) -> OwnedFrame {
    send(topic)
        .with("persistent", "true")
        .with_body(body.as_bytes())
}

fn publish(world: &mut World, topic: &str, bodies: &[&str]) {
    let sender = world.connect(Version::V1_2);
    for body in bodies {
        granted(world, sender, text(topic, body));
    }
}

fn forget() -> OwnedFrame {
    frame(Verb::Unsubscribe).with("activemq.subscriptionName", "watch")
}

#[test]
fn test_durable_sub_and_un_sub() {
    let mut world = World::new();
    let first = client(&mut world, "c");
    granted(&mut world, first, durable("1"));
    publish(&mut world, T, &["online"]);
    assert_eq!(bodies(&mut world, first), ["online"]);
    // ActiveMQ's two steps: the first deactivates, the second deletes.
    granted(&mut world, first, frame(Verb::Unsubscribe).with("id", "1"));
    publish(&mut world, T, &["offline"]);
    let second = client(&mut world, "c");
    world.send(second, &durable("1"));
    assert_eq!(bodies(&mut world, second), ["offline"]);
    granted(&mut world, second, frame(Verb::Unsubscribe).with("id", "1"));
    granted(&mut world, second, forget());
    publish(&mut world, T, &["to nobody"]);
    granted(&mut world, second, durable("1"));
    assert_eq!(bodies(&mut world, second), [""; 0]);
}

#[test]
fn test_durable_unsub() {
    let mut world = World::new();
    let one = client(&mut world, "c");
    granted(&mut world, one, durable("1"));
    // One step is enough, also for the one that receives.
    granted(&mut world, one, forget().with("id", "1"));
    publish(&mut world, T, &["to nobody"]);
    let error = refused(&mut world, one, forget());
    assert_eq!(error.get("code"), Some("unknown-subscription"));
    let text = "No durable subscription exists for clientID: c and subscriptionName: watch";
    assert_eq!(error.get("message"), Some(text));
    granted(&mut world, one, durable("1"));
    assert_eq!(world.drain(one), []);
}

#[test]
fn test_durable_sub_attempt_on_queue_fails() {
    let mut world = World::new();
    let one = client(&mut world, "c");
    let queue = subscribe("/queue/q", "1").with("activemq.subscriptionName", "watch");
    let error = refused(&mut world, one, queue);
    let text = "Invalid Subscription: cannot durably subscribe to a Queue destination!";
    assert_eq!(error.get("message"), Some(text));
    assert_alive(&mut world, one);
}

#[test]
fn a_durable_subscription_has_one_consumer_at_a_time() {
    let mut world = World::new();
    let [one, two] = ["c", "c"].map(|name| client(&mut world, name));
    granted(&mut world, one, durable("1"));
    for frame in [durable("1"), forget()] {
        let error = refused(&mut world, two, frame);
        assert_eq!(error.get("code"), Some("subscription-in-use"));
        let text = "Durable consumer is in use for client: c and subscriptionName: watch";
        assert_eq!(error.get("message"), Some(text));
    }
    assert_alive(&mut world, two);
    world.vanish(one);
    granted(&mut world, two, durable("1"));
    let other = client(&mut world, "d");
    granted(&mut world, other, durable("1"));
    publish(&mut world, T, &["both"]);
    assert_eq!(bodies(&mut world, two), ["both"]);
    assert_eq!(bodies(&mut world, other), ["both"]);
}

#[test]
fn a_subscription_that_is_not_durable_misses_what_came_while_it_was_away() {
    for persistent in ["true", "false"] {
        let mut world = World::new();
        let [plain, lasting] = ["a", "b"].map(|name| client(&mut world, name));
        granted(&mut world, plain, subscribe(T, "1"));
        granted(&mut world, lasting, durable("1"));
        for id in [plain, lasting] {
            world.send(id, &frame(Verb::Disconnect));
        }
        let sender = world.connect(Version::V1_2);
        let sent = send(T)
            .with("persistent", persistent)
            .with_body(b"meanwhile");
        granted(&mut world, sender, sent);
        let [plain, lasting] = ["a", "b"].map(|name| client(&mut world, name));
        granted(&mut world, plain, subscribe(T, "1"));
        world.send(lasting, &durable("1"));
        assert_eq!(bodies(&mut world, plain), [""; 0]);
        assert_eq!(
            bodies(&mut world, lasting),
            ["meanwhile"],
            "persistent: {persistent}"
        );
    }
}

#[test]
fn every_spelling_names_the_same_subscription() {
    let mut world = World::new();
    for name in [
        "activemq.subscriptionName",
        "activemq.subcriptionName",
        "durable-subscription-name",
        "durable-subscriber-name",
    ] {
        let one = client(&mut world, "c");
        world.send(one, &subscribe(T, "1").with(name, "watch"));
        let expected: &[&str] = if name == "activemq.subscriptionName" {
            &[]
        } else {
            &["x"]
        };
        assert_eq!(bodies(&mut world, one), expected, "{name}");
        world.send(one, &frame(Verb::Disconnect));
        publish(&mut world, T, &["x"]);
    }
}

#[test]
fn clients_of_rabbitmq_name_it_by_destination_and_id() {
    let mut world = World::new();
    let lasting = |id: &str| subscribe(T, id).with("durable", "true");
    let one = world.connect(Version::V1_2);
    granted(&mut world, one, lasting("app"));
    world.vanish(one);
    publish(&mut world, T, &["x"]);
    let two = world.connect(Version::V1_1);
    world.send(two, &lasting("app").with("auto-delete", "false"));
    assert_eq!(bodies(&mut world, two), ["x"]);
    let end = frame(Verb::Unsubscribe)
        .with("id", "app")
        .with("durable", "true");
    granted(&mut world, two, end.clone());
    let error = refused(&mut world, two, end.with("destination", T));
    assert_eq!(error.get("code"), Some("unknown-subscription"));
    // A queue is durable anyway.
    let queue = subscribe("/queue/q", "q").with("durable", "true");
    granted(&mut world, two, queue);
    let nameless = subscribe(T, "").with("durable", "true");
    let error = refused(&mut world, two, nameless);
    assert_eq!(error.get("code"), Some("missing-header"));
}

#[test]
fn without_a_client_id_nobody_could_come_back() {
    let mut world = World::new();
    let one = world.connect(Version::V1_2);
    let error = refused(&mut world, one, durable("1"));
    assert_eq!(error.get("code"), Some("missing-header"));
    assert!(error.get("message").unwrap().contains("client-id"));
    for typing_error in ["activemq.subscriptonName", "activemq.durableName"] {
        let odd = subscribe(T, "1").with(typing_error, "watch");
        let error = refused(&mut world, one, odd);
        assert_eq!(error.get("code"), Some("invalid-header"), "{typing_error}");
    }
    assert_alive(&mut world, one);
}

#[test]
fn a_changed_selector_makes_it_anew() {
    let mut world = World::new();
    let many = |frame: OwnedFrame| frame.with("selector", "n > 1");
    for (frame, sent, found) in [
        (durable("1"), ["a", "b"], vec![]),
        (durable("1"), ["c", "d"], vec!["a", "b"]),
        (many(durable("1")), ["e", "f"], vec![]),
        (many(durable("1")), ["g", "h"], vec!["f"]),
        (durable("1"), ["i", "j"], vec![]),
    ] {
        let one = client(&mut world, "c");
        world.send(one, &frame);
        assert_eq!(bodies(&mut world, one), found);
        world.send(one, &super::say::frame(Verb::Disconnect));
        let sender = world.connect(Version::V1_2);
        for (number, body) in (1..).zip(sent) {
            granted(
                &mut world,
                sender,
                text(T, body).with("n", &number.to_string()),
            );
        }
    }
}

#[test]
fn what_its_own_connection_sends_is_left_out_if_it_says_so() {
    let mut world = World::new();
    let one = client(&mut world, "c");
    granted(
        &mut world,
        one,
        durable("1").with("activemq.noLocal", "true"),
    );
    granted(&mut world, one, text(T, "own"));
    publish(&mut world, T, &["other"]);
    assert_eq!(bodies(&mut world, one), ["other"]);
}

#[test]
fn a_wildcard_can_be_subscribed_to_durably() {
    let mut world = World::new();
    publish(&mut world, "/topic/w.old", &["before"]);
    let wide = subscribe("/topic/w.>", "1").with("activemq.subscriptionName", "wide");
    let one = client(&mut world, "c");
    granted(&mut world, one, wide.clone());
    world.vanish(one);
    publish(&mut world, "/topic/w.old", &["1"]);
    publish(&mut world, "/topic/w.new", &["2"]);
    publish(&mut world, "/topic/other", &["3"]);
    let one = client(&mut world, "c");
    world.send(one, &wide);
    let found = world.drain(one);
    let found: Vec<_> = found
        .iter()
        .map(|frame| frame.get("destination").unwrap())
        .collect();
    assert_eq!(found, ["/topic/w.old", "/topic/w.new"]);
}

#[test]
fn what_is_not_acknowledged_comes_again_and_dies_with_the_topic_as_its_origin() {
    let mut world = World::new();
    let one = client(&mut world, "c");
    granted(
        &mut world,
        one,
        durable("1").with("ack", "client-individual"),
    );
    publish(&mut world, T, &["x", "y"]);
    let all = world.drain(one);
    world.send(one, &ack_id(&all[1]));
    world.vanish(one);
    let one = client(&mut world, "c");
    world.send(one, &durable("1").with("ack", "client-individual"));
    for count in 2..=7 {
        let again = message(&mut world, one);
        assert_eq!(
            again.get("JMSXDeliveryCount"),
            Some(count.to_string().as_str())
        );
        assert_eq!(again.get("destination"), Some(T));
        world.send(one, &settle_id(Verb::Nack, &again));
    }
    let dead = waiting(&mut world, "/queue/ActiveMQ.DLQ");
    assert_eq!(dead[0].get("original-destination"), Some(T));
    assert_eq!(dead[0].body, b"x");
    assert_eq!(world.drain(one), []);
}

#[test]
fn transactions_reach_it_and_settle_it() {
    let mut world = World::new();
    let one = client(&mut world, "c");
    granted(&mut world, one, durable("1").with("ack", "client"));
    let sender = world.connect(Version::V1_2);
    for (end, count) in [(Verb::Abort, 0), (Verb::Commit, 2)] {
        world.send(sender, &transaction(Verb::Begin, "t"));
        for body in ["a", "b"] {
            world.send(sender, &text(T, body).with("transaction", "t"));
        }
        granted(&mut world, sender, transaction(end, "t"));
        let found = world.drain(one);
        assert_eq!(found.len(), count);
        if let Some(last) = found.last() {
            world.send(one, &transaction(Verb::Begin, "t"));
            world.send(one, &ack_id(last).with("transaction", "t"));
            granted(&mut world, one, transaction(Verb::Commit, "t"));
        }
    }
    world.vanish(one);
    let one = client(&mut world, "c");
    granted(&mut world, one, durable("1"));
    assert_eq!(world.drain(one), []);
}

#[test]
fn its_queue_is_nobody_elses() {
    let mut world = World::new();
    let one = client(&mut world, "c");
    granted(&mut world, one, durable("1"));
    world.vanish(one);
    let other = world.connect(Version::V1_2);
    granted(&mut world, other, subscribe("/queue/>", "all"));
    publish(&mut world, T, &["private"]);
    assert_eq!(world.drain(other), []);
}

#[test]
fn a_forgotten_subscription_ends_if_that_is_wanted() {
    let mut settings = config();
    let day = std::time::Duration::from_hours(24);
    settings.life.forget_durable_after = Some(day);
    settings.life.collect_after = None;
    let mut world = World::with(&settings, Box::new(MemoryStore::default()));
    let reader = client(&mut world, "c");
    granted(&mut world, reader, durable("1"));
    // It does not end while somebody receives from it, however little there is.
    world.advance(2 * day);
    world.broker.collect();
    publish(&mut world, T, &["one"]);
    assert_eq!(bodies(&mut world, reader), ["one"]);
    world.vanish(reader);
    world.advance(day.saturating_sub(std::time::Duration::from_millis(1)));
    world.broker.collect();
    // What is sent to it is no use of it.
    publish(&mut world, T, &["two"]);
    let reader = client(&mut world, "c");
    world.send(reader, &durable("1"));
    assert_eq!(bodies(&mut world, reader), ["two"]);
    world.vanish(reader);
    publish(&mut world, T, &["three"]);
    for _ in 0..2 {
        world.advance(day);
        world.broker.collect();
    }
    let reader = client(&mut world, "c");
    granted(&mut world, reader, durable("1"));
    assert_eq!(world.drain(reader), []);
}
