//! Subscriptions to more than one destination: wildcards and composite destinations.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::{
    ack_id, ack_message, assert_alive, bodies, frame, granted, message, refused, send, settle_id,
    subscribe, transaction, waiting,
};
use crate::support::world::{Id, World};

fn text(destination: &str, body: &str) -> OwnedFrame {
    send(destination).with_body(body.as_bytes())
}

fn persistent(destination: &str, body: &str) -> OwnedFrame {
    text(destination, body).with("persistent", "true")
}

fn listen(world: &mut World, frame: OwnedFrame) -> Id {
    let client = world.connect(Version::V1_2);
    assert_eq!(granted(world, client, frame), []);
    client
}

fn client(destination: &str) -> OwnedFrame {
    subscribe(destination, "1").with("ack", "client")
}

/// Body and destination of all that has come.
#[track_caller]
fn found(world: &mut World, client: Id) -> Vec<(String, String)> {
    let frames = world.drain(client);
    let both = |frame: OwnedFrame| {
        assert_eq!(frame.verb, Verb::Message, "{frame:?}");
        let destination = frame.get("destination").unwrap().to_owned();
        (String::from_utf8(frame.body).unwrap(), destination)
    };
    frames.into_iter().map(both).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(body, name): &(&str, &str)| ((*body).to_owned(), (*name).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn test_subscribe_with_wildcard_subscription() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/queue/a.b.>", "1"));
    let sender = world.connect(Version::V1_2);
    for queue in [
        "/queue/a.b",
        "/queue/a.b.c",
        "/queue/a.b.c.d",
        "/queue/a",
        "/queue/a.bc",
    ] {
        granted(&mut world, sender, text(queue, queue));
    }
    let names = ["/queue/a.b", "/queue/a.b.c", "/queue/a.b.c.d"];
    assert_eq!(
        found(&mut world, consumer),
        pairs(&names.map(|name| (name, name)))
    );
    assert_eq!(waiting(&mut world, "/queue/a.b.c"), [], "consumed");
    assert_eq!(waiting(&mut world, "/queue/a").len(), 1);
}

#[test]
fn a_wildcard_finds_queues_that_are_there_and_those_that_come() {
    let mut world = World::new();
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, persistent("/queue/x.1", "before"));
    let consumer = world.connect(Version::V1_2);
    world.send(consumer, &subscribe("/queue/*.1", "1"));
    granted(&mut world, sender, persistent("/queue/y.1", "after"));
    let expected = [("before", "/queue/x.1"), ("after", "/queue/y.1")];
    assert_eq!(found(&mut world, consumer), pairs(&expected));
}

#[test]
fn the_first_message_of_a_new_topic_reaches_a_wildcard_subscriber() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/topic/prices.*", "1"));
    let sender = world.connect(Version::V1_1);
    for topic in [
        "/topic/prices.oil",
        "/topic/prices",
        "/topic/prices.oil.eu",
        "/queue/prices.oil",
    ] {
        granted(&mut world, sender, text(topic, "x"));
    }
    assert_eq!(
        found(&mut world, consumer),
        pairs(&[("x", "/topic/prices.oil")])
    );
}

#[test]
fn test_subscribe_to_composite_queue() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/queue/a,/queue/b", "1"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, text("/queue/a", "one"));
    granted(&mut world, sender, text("/queue/b", "two"));
    let expected = [("one", "/queue/a"), ("two", "/queue/b")];
    assert_eq!(found(&mut world, consumer), pairs(&expected));
}

#[test]
fn test_subscribe_to_composite_queue_trailers_default() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/queue/a,b", "1"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, text("/queue/b", "x"));
    assert_eq!(bodies(&mut world, consumer), ["x"]);
}

#[test]
fn test_subscribe_to_composite_topics() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/topic/a,/topic/b", "1"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, text("/topic/a", "one"));
    granted(&mut world, sender, text("/topic/b", "two"));
    let expected = [("one", "/topic/a"), ("two", "/topic/b")];
    assert_eq!(found(&mut world, consumer), pairs(&expected));
}

#[test]
fn a_composite_of_queues_topics_and_wildcards_is_one_subscription() {
    let mut world = World::new();
    let consumer = listen(
        &mut world,
        subscribe("queue://q,topic://t.>,queue://w.*", "1"),
    );
    let sender = world.connect(Version::V1_2);
    let to = ["/topic/t.1", "/queue/w.1", "/queue/q", "/topic/other"];
    for name in to {
        granted(&mut world, sender, text(name, "x"));
    }
    let expected = to[..3].iter().map(|name| ("x", *name)).collect::<Vec<_>>();
    assert_eq!(found(&mut world, consumer), pairs(&expected));
    granted(
        &mut world,
        consumer,
        frame(Verb::Unsubscribe).with("id", "1"),
    );
    for name in ["/queue/q", "/queue/w.1", "/queue/w.2"] {
        granted(&mut world, sender, text(name, "y"));
        assert_eq!(
            waiting(&mut world, name).len(),
            1,
            "{name} has no consumer any more"
        );
    }
    assert_eq!(world.drain(consumer), []);
}

#[test]
fn all_queues_of_a_subscription_share_its_prefetch_and_take_turns() {
    let mut world = World::new();
    let sender = world.connect(Version::V1_2);
    for queue in ["/queue/w.a", "/queue/w.b"] {
        for number in 1..=10 {
            granted(&mut world, sender, persistent(queue, &number.to_string()));
        }
    }
    let frame = client("/queue/w.*").with("activemq.prefetchSize", "2");
    let consumer = world.connect(Version::V1_2);
    world.send(consumer, &frame);
    let mut seen = Vec::new();
    for round in 0..10 {
        let batch = world.drain(consumer);
        assert_eq!(batch.len(), 2, "round {round}: {batch:?}");
        seen.extend(
            batch
                .iter()
                .map(|m| m.get("destination").unwrap().to_owned()),
        );
        // One for both.
        world.send(consumer, &ack_id(&batch[1]));
    }
    assert_eq!(world.drain(consumer), []);
    let half = seen[..10].iter().filter(|name| name.ends_with('a')).count();
    assert!((3..=7).contains(&half), "neither starves: {seen:?}");
    for queue in ["/queue/w.a", "/queue/w.b"] {
        assert_eq!(waiting(&mut world, queue), []);
    }
}

#[test]
fn one_at_a_time_is_one_at_a_time_over_all_queues() {
    let mut world = World::new();
    let one = client("/queue/a,/queue/b").with("activemq.prefetchSize", "1");
    let consumer = listen(&mut world, one);
    let sender = world.connect(Version::V1_2);
    for queue in ["/queue/a", "/queue/b", "/queue/a"] {
        granted(&mut world, sender, text(queue, "x"));
    }
    for left in (0..3).rev() {
        let first = message(&mut world, consumer);
        assert_eq!(world.drain(consumer), [], "{left} are left");
        world.send(consumer, &ack_id(&first));
    }
}

#[test]
fn an_acknowledgement_stands_for_all_deliveries_before_it_whichever_queue_they_came_from() {
    let mut world = World::new();
    let consumer = world.connect(Version::V1_1);
    granted(&mut world, consumer, client("/queue/a,/queue/b"));
    let sender = world.connect(Version::V1_2);
    for queue in ["/queue/a", "/queue/b", "/queue/a", "/queue/b"] {
        granted(&mut world, sender, persistent(queue, "x"));
    }
    let all = world.drain(consumer);
    assert_eq!(granted(&mut world, consumer, ack_message(&all[2])), []);
    world.vanish(consumer);
    assert_eq!(waiting(&mut world, "/queue/a"), []);
    let left = waiting(&mut world, "/queue/b");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].get("redelivered"), Some("true"));
}

#[test]
fn a_refused_message_goes_back_to_the_queue_it_came_from() {
    let mut world = World::new();
    let one_by_one = subscribe("/queue/w.>", "1").with("ack", "client-individual");
    let consumer = listen(&mut world, one_by_one);
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, persistent("/queue/w.a", "x"));
    granted(&mut world, sender, persistent("/queue/w.b", "y"));
    let all = world.drain(consumer);
    world.send(consumer, &ack_id(&all[1]));
    world.send(consumer, &settle_id(Verb::Nack, &all[0]));
    let again = message(&mut world, consumer);
    assert_eq!(again.get("destination"), Some("/queue/w.a"));
    assert_eq!(again.get("JMSXDeliveryCount"), Some("2"));
    let error = refused(&mut world, consumer, ack_id(&all[0]));
    assert_eq!(error.get("code"), Some("unknown-ack"));
    world.send(consumer, &ack_id(&again));
    assert_eq!(waiting(&mut world, "/queue/w.a"), []);
}

#[test]
fn transactions_settle_over_all_queues_and_give_back_when_aborted() {
    let mut world = World::new();
    let consumer = listen(&mut world, client("/queue/a,/queue/b"));
    let sender = world.connect(Version::V1_2);
    for queue in ["/queue/a", "/queue/b"] {
        granted(&mut world, sender, persistent(queue, "x"));
    }
    let all = world.drain(consumer);
    for end in [Verb::Abort, Verb::Commit] {
        world.send(consumer, &transaction(Verb::Begin, "t"));
        world.send(consumer, &ack_id(&all[1]).with("transaction", "t"));
        assert_eq!(granted(&mut world, consumer, transaction(end, "t")), []);
    }
    let error = refused(&mut world, consumer, ack_id(&all[0]));
    assert_eq!(error.get("code"), Some("unknown-ack"));
    world.vanish(consumer);
    for queue in ["/queue/a", "/queue/b"] {
        assert_eq!(waiting(&mut world, queue), [], "{queue}");
    }
}

#[test]
fn a_client_that_vanishes_has_failed_at_one_message_of_all_queues() {
    let mut world = World::new();
    let consumer = listen(&mut world, client("/queue/a,/queue/b"));
    let sender = world.connect(Version::V1_2);
    for queue in ["/queue/a", "/queue/b"] {
        granted(&mut world, sender, persistent(queue, "x"));
    }
    for _ in 0..8 {
        world.drain(consumer);
    }
    world.vanish(consumer);
    for _ in 0..6 {
        let next = listen_and_take(&mut world);
        world.vanish(next);
    }
    // Seven tries at the first of both queues; the other was never the oldest.
    assert_eq!(waiting(&mut world, "/queue/a"), []);
    assert_eq!(waiting(&mut world, "/queue/b").len(), 1);
    let dead = waiting(&mut world, "/queue/ActiveMQ.DLQ");
    assert_eq!(dead[0].get("original-destination"), Some("/queue/a"));
}

fn listen_and_take(world: &mut World) -> Id {
    let consumer = world.connect(Version::V1_2);
    world.send(consumer, &client("/queue/a,/queue/b"));
    assert_eq!(world.drain(consumer).len(), 2);
    consumer
}

#[test]
fn selectors_and_no_local_hold_for_every_destination_of_a_subscription() {
    let mut world = World::new();
    let choosy = subscribe("/topic/>", "1").with("selector", "n > 1");
    let consumer = listen(&mut world, choosy.with("no-local", "true"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, text("/topic/a", "few").with("n", "1"));
    granted(&mut world, sender, text("/topic/b", "many").with("n", "2"));
    assert_eq!(bodies(&mut world, consumer), ["many"]);
    let own = text("/topic/b", "own").with("n", "2");
    assert_eq!(granted(&mut world, consumer, own), []);
}

#[test]
fn a_wildcard_gets_dead_letters_and_copies_too() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/queue/copy.>", "1"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, text("/queue/copy.a,/queue/copy.b", "x"));
    let all = world.drain(consumer);
    assert_eq!(all.len(), 2);
    for (frame, name) in all.iter().zip(["/queue/copy.a", "/queue/copy.b"]) {
        assert_eq!(frame.get("destination"), Some(name));
        let composite = Some("/queue/copy.a,/queue/copy.b");
        assert_eq!(frame.get("original-destination"), composite);
    }
}

#[test]
fn wildcards_of_other_brokers_are_refused_with_a_hint() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let error = refused(&mut world, client, subscribe("/topic/a.#", "1"));
    assert_eq!(error.get("code"), Some("invalid-destination"));
    assert!(error.get("message").unwrap().contains("'>'"), "{error:?}");
    assert_alive(&mut world, client);
}

#[test]
fn a_star_within_a_level_is_a_plain_queue() {
    let mut world = World::new();
    let consumer = listen(&mut world, subscribe("/queue/fo*", "1"));
    let sender = world.connect(Version::V1_2);
    granted(&mut world, sender, text("/queue/foo", "x"));
    granted(&mut world, sender, text("/queue/fo*", "y"));
    assert_eq!(found(&mut world, consumer), pairs(&[("y", "/queue/fo*")]));
}
