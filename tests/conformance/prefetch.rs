//! Prefetch, and what is given back when a consumer leaves.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::{
    ack_id, ack_message, bodies, frame, granted, message, refused, send, settle_id, subscribe,
    transaction, waiting,
};
use crate::support::world::{World, policed};

const Q: &str = "/queue/test";

fn fill(world: &mut World, destination: &str, count: usize) {
    let producer = world.connect(Version::V1_2);
    for number in 0..count {
        let body = number.to_string();
        world.queue_bytes(
            producer,
            format!(
                "SEND\ndestination:{destination}\ncontent-length:{}\n\n{body}\0",
                body.len()
            )
            .as_bytes(),
        );
    }
    world.run();
}

#[test]
fn test_prefetch_size_of_one_client_ack() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let one = subscribe(Q, "").with("ack", "client");
    world.send(client, &one.with("activemq.prefetchSize", "1"));
    fill(&mut world, Q, 3);
    for number in 0..3_u32 {
        let received = message(&mut world, client);
        assert_eq!(received.body, number.to_string().as_bytes());
        assert_eq!(world.try_receive(client), None, "one at a time");
        world.send(client, &ack_message(&received));
    }
    assert_eq!(world.try_receive(client), None);
}

#[test]
fn test_prefetch_size() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let one = subscribe(Q, "").with("ack", "client");
    world.send(client, &one.with("activemq.prefetchSize", "1"));
    fill(&mut world, Q, 5);
    let mut held = Vec::new();
    world.send(client, &transaction(Verb::Begin, "tx1"));
    for _ in 0..3 {
        let received = message(&mut world, client);
        world.send(client, &ack_message(&received).with("transaction", "tx1"));
        held.push(received);
    }
    assert_eq!(message(&mut world, client).body, b"3", "the window is open");
    world.send(client, &transaction(Verb::Abort, "tx1"));
    assert_eq!(world.try_receive(client), None, "nothing is redelivered");
    world.send(client, &transaction(Verb::Begin, "tx2"));
    for received in &held {
        world.send(client, &ack_message(received).with("transaction", "tx2"));
    }
    let after = granted(&mut world, client, transaction(Verb::Commit, "tx2"));
    assert_eq!(after, [], "number 3 fills the window again");
    world.send(client, &frame(Verb::Disconnect));
    let left = waiting(&mut world, Q);
    let left: Vec<_> = left.iter().map(|frame| frame.body.clone()).collect();
    assert_eq!(left, [b"3", b"4"]);
}

#[test]
fn test_queue_sub_prefetch() {
    let mut world = policed(|policy| policy.prefetch = 10);
    fill(&mut world, Q, 30);
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(Q, "1").with("ack", "client"));
    assert_eq!(bodies(&mut world, client).len(), 10, "the default");
    let greedy = world.connect(Version::V1_2);
    let fifteen = subscribe(Q, "1").with("ack", "client");
    world.send(greedy, &fifteen.with("activemq.prefetchSize", "15"));
    assert_eq!(bodies(&mut world, greedy).len(), 15, "the header wins");
}

#[test]
fn test_topic_sub_prefetch() {
    let mut world = policed(|policy| policy.topic_prefetch = 10);
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe("/topic/test", "1").with("ack", "client"));
    fill(&mut world, "/topic/test", 30);
    let received = world.drain(client);
    assert_eq!(received.len(), 10);
    world.send(client, &ack_id(&received[9]));
    assert_eq!(bodies(&mut world, client).len(), 10);
}

/// With `ActiveMQ` a window of 0 never delivers anything; here it is one at a time. RabbitMQ's word for
/// no bound is 0 too.
#[test]
fn a_window_of_nothing() {
    let mut world = World::new();
    fill(&mut world, Q, 300);
    for (header, value, expected) in [
        ("activemq.prefetchSize", "0", 1),
        ("prefetch-count", "7", 7),
        ("prefetch-count", "0", 292),
    ] {
        let client = world.connect(Version::V1_2);
        let window = subscribe(Q, "1").with("ack", "client").with(header, value);
        world.send(client, &window);
        assert_eq!(bodies(&mut world, client).len(), expected, "{header}");
    }
}

/// A consumer that acknowledges by itself is never held up by its window.
#[test]
fn auto_never_stalls() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    world.send(
        client,
        &subscribe(Q, "1").with("activemq.prefetchSize", "1"),
    );
    fill(&mut world, Q, 500);
    assert_eq!(bodies(&mut world, client).len(), 500);
}

/// A hundred connections upstream, fewer here: each subscription is given every message, one at a time.
#[test]
fn test_stomp_unload_load() {
    let mut world = World::new();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let client = world.connect(Version::V1_2);
        for number in 0..21 {
            let one = subscribe("/topic/load", &number.to_string());
            world.send(client, &one.with("activemq.prefetchSize", "1"));
        }
        clients.push(client);
    }
    fill(&mut world, "/topic/load", 25);
    for client in clients {
        let received = world.drain(client);
        assert_eq!(received.len(), 21 * 25);
        let mut next = [0_usize; 21];
        for one in received {
            let subscription: usize = one.get("subscription").unwrap().parse().unwrap();
            let expected = next[subscription].to_string();
            assert_eq!(one.body, expected.as_bytes(), "in order, once");
            next[subscription] += 1;
        }
        world.send(client, &frame(Verb::Disconnect));
    }
}

#[test]
fn test_remove_subscriber() {
    let mut world = World::new();
    fill(&mut world, Q, 2000);
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "client"));
    let received = world.drain(client);
    assert_eq!(received.len(), 100);
    for one in &received[..2] {
        let more = granted(&mut world, client, ack_message(one));
        assert_eq!(more.len(), 1, "one place in the window is free");
    }
    world.vanish(client);
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "auto"));
    let left = bodies(&mut world, client);
    let expected: Vec<_> = (2..2000).map(|number| number.to_string()).collect();
    assert_eq!(left, expected);
}

#[test]
fn test_producer_consumer_loop() {
    let mut world = World::new();
    for number in 0..500_u32 {
        let consumer = world.connect(Version::V1_0);
        let auto = subscribe("/topic/loop", "").with("ack", "auto");
        assert_eq!(granted(&mut world, consumer, auto), []);
        let producer = world.connect(Version::V1_0);
        let sent = send("/topic/loop").with("persistent", "true");
        let sent = sent.with_body(number.to_string().as_bytes());
        assert_eq!(granted(&mut world, producer, sent), []);
        assert_eq!(bodies(&mut world, consumer), [number.to_string()]);
        for client in [producer, consumer] {
            assert_eq!(granted(&mut world, client, frame(Verb::Disconnect)), []);
        }
    }
}

/// What a consumer had not acknowledged returns to its place, in front of what came later.
#[test]
fn what_returns_takes_its_old_place() {
    let mut world = World::new();
    fill(&mut world, Q, 6);
    let client = world.connect(Version::V1_2);
    let three = subscribe(Q, "1").with("ack", "client-individual");
    world.send(client, &three.with("prefetch-count", "3"));
    let received = world.drain(client);
    world.send(client, &ack_id(&received[1]));
    world.vanish(client);
    let found = waiting(&mut world, Q);
    let bodies: Vec<_> = found.iter().map(|one| one.body.clone()).collect();
    assert_eq!(bodies, [b"0", b"2", b"3", b"4", b"5"]);
    let flagged: Vec<_> = found
        .iter()
        .map(|one| one.get("redelivered").is_some())
        .collect();
    assert_eq!(flagged, [true, true, true, false, false]);
}

/// Higher priorities first, then the order of arrival; `ActiveMQ` looks at the latter alone by default.
#[test]
fn priorities_go_first() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_2);
    for (number, priority) in ["4", "0", "9", "4", "99", "-3"].into_iter().enumerate() {
        let sent = send(Q).with("priority", priority);
        world.send(producer, &sent.with_body(number.to_string().as_bytes()));
    }
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(Q, "1"));
    assert_eq!(bodies(&mut world, client), ["2", "4", "0", "3", "1", "5"]);
}

/// Of what a client takes along when it breaks off, the oldest counts as tried, and only if it has
/// reached the client. What kills every client does not do so for ever.
#[test]
fn a_message_that_kills_its_consumers_is_given_up() {
    let mut world = World::new();
    fill(&mut world, Q, 3);
    for life in 1..=7 {
        let client = world.connect(Version::V1_2);
        world.send(client, &subscribe(Q, "1").with("ack", "client"));
        let received = world.drain(client);
        assert_eq!(received.len(), 3);
        let count = received[0].get("JMSXDeliveryCount");
        let expected = (life > 1).then(|| life.to_string());
        assert_eq!(count, expected.as_deref());
        world.vanish(client);
    }
    let bodies =
        |found: Vec<OwnedFrame>| -> Vec<_> { found.into_iter().map(|frame| frame.body).collect() };
    let dead = waiting(&mut world, "/queue/ActiveMQ.DLQ");
    assert_eq!(bodies(dead), [b"0"]);
    assert_eq!(bodies(waiting(&mut world, Q)), [b"1", b"2"]);

    let polite = world.connect(Version::V1_2);
    for _ in 0..20 {
        let client = subscribe(Q, "1").with("ack", "client");
        assert_eq!(granted(&mut world, polite, client).len(), 2);
        let end = frame(Verb::Unsubscribe).with("id", "1");
        assert_eq!(granted(&mut world, polite, end), []);
    }
    assert_eq!(waiting(&mut world, Q).len(), 2, "nothing was counted");
}

#[test]
fn a_window_in_bytes_bounds_what_a_subscription_holds() {
    let mut world = World::new();
    let sender = world.connect(Version::V1_2);
    for _ in 0..6 {
        granted(
            &mut world,
            sender,
            send("/queue/w").with_body(&[b'x'; 1000]),
        );
    }
    for (window, held) in [("3000", 3), ("1", 1), ("0", 1), ("-1", 6), ("1000000", 6)] {
        let client = world.connect(Version::V1_2);
        let frame = subscribe("/queue/w", "1").with("ack", "client-individual");
        world.send(client, &frame.with("consumer-window-size", window));
        let found = world.drain(client);
        assert_eq!(found.len(), held, "{window}");
        if held < 6 {
            world.send(client, &settle_id(Verb::Nack, &found[0]));
            assert_eq!(world.drain(client).len(), 1, "one goes back, one comes");
        }
        world.send(client, &self::frame(Verb::Disconnect));
    }
    let client = world.connect(Version::V1_2);
    for bad in ["-2", "much"] {
        let frame = subscribe("/queue/w", "1").with("consumer-window-size", bad);
        let error = refused(&mut world, client, frame);
        assert_eq!(error.get("code"), Some("invalid-header"), "{bad}");
    }
}

#[test]
fn transactions_widen_a_window_in_bytes_until_they_are_aborted() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for _ in 0..3 {
        world.send(client, &send("/queue/w").with_body(&[b'x'; 1000]));
    }
    let one = subscribe("/queue/w", "1").with("ack", "client-individual");
    world.send(client, &one.with("consumer-window-size", "1000"));
    let first = message(&mut world, client);
    world.send(client, &transaction(Verb::Begin, "t"));
    world.send(client, &ack_id(&first).with("transaction", "t"));
    let second = message(&mut world, client);
    world.send(client, &transaction(Verb::Abort, "t"));
    world.send(client, &ack_id(&first));
    assert_eq!(world.drain(client), [], "the second one fills it");
    world.send(client, &ack_id(&second));
    assert_eq!(world.drain(client).len(), 1);
}
