//! Message groups: `JMSXGroupID`, `JMSXGroupSeq`.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{DestinationName, Rebalance};

use crate::say::{
    ack_id, assert_alive, frame, granted, message, refused, send, subscribe, waiting,
};
use crate::support::world::{Id, World, config};

const Q: &str = "/queue/test";

fn of(group: &str, body: &str) -> OwnedFrame {
    send(Q)
        .with("JMSXGroupID", group)
        .with_body(body.as_bytes())
}

fn consumer(world: &mut World, prefetch: &str) -> Id {
    let client = world.connect(Version::V1_2);
    let asked = subscribe(Q, "1").with("ack", "client-individual");
    granted(world, client, asked.with("activemq.prefetchSize", prefetch));
    client
}

/// The messages that have come.
#[track_caller]
fn given(world: &mut World, client: Id) -> Vec<OwnedFrame> {
    let frames = world.drain(client);
    assert!(
        frames.iter().all(|frame| frame.verb == Verb::Message),
        "{frames:?}"
    );
    frames
}

fn texts(frames: &[OwnedFrame]) -> Vec<String> {
    let text = |frame: &OwnedFrame| String::from_utf8(frame.body.clone()).unwrap();
    frames.iter().map(text).collect()
}

#[test]
fn test_jmsx_group_id_can_be_set() {
    let mut world = World::new();
    let client = consumer(&mut world, "10");
    world.send(client, &of("TEST", "x").with("JMSXGroupSeq", "7"));
    let received = message(&mut world, client);
    assert_eq!(received.get("JMSXGroupID"), Some("TEST"));
    assert_eq!(received.get("JMSXGroupSeq"), Some("7"));
    assert_eq!(received.get("JMSXGroupFirstForConsumer"), Some("true"));
}

#[test]
fn a_group_goes_to_one_consumer_in_order_and_groups_are_spread() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_2);
    let consumers = [0, 1, 2].map(|_| consumer(&mut world, "100"));
    for number in 0..6 {
        for group in ["a", "b", "c", "d", "e", "f"] {
            world.send(producer, &of(group, &format!("{group}{number}")));
        }
    }
    let mut groups = Vec::new();
    for client in consumers {
        let frames = given(&mut world, client);
        let mut mine: Vec<_> = frames
            .iter()
            .map(|f| f.get("JMSXGroupID").unwrap())
            .collect();
        let firsts = frames
            .iter()
            .filter(|f| f.get("JMSXGroupFirstForConsumer").is_some());
        assert_eq!(firsts.count(), 2, "once for each group");
        mine.sort_unstable();
        mine.dedup();
        assert_eq!(mine.len(), 2, "a third of six groups: {mine:?}");
        for group in mine {
            let of_group = frames
                .iter()
                .filter(|f| f.get("JMSXGroupID") == Some(group));
            let of_group: Vec<_> = of_group.cloned().collect();
            let expected: Vec<_> = (0..6).map(|n| format!("{group}{n}")).collect();
            assert_eq!(texts(&of_group), expected);
            groups.push(group.to_owned());
        }
    }
    groups.sort_unstable();
    assert_eq!(groups, ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn a_group_whose_consumer_is_busy_holds_up_no_other() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_2);
    let [busy, idle] = [0, 1].map(|_| consumer(&mut world, "1"));
    for body in ["a0", "a1", "a2", "a3"] {
        world.send(producer, &of("a", body));
    }
    for body in ["b0", "b1"] {
        world.send(producer, &of("b", body));
    }
    world.send(producer, &send(Q).with_body(b"alone"));
    let held = message(&mut world, busy);
    assert_eq!(held.body, b"a0");
    for expected in ["b0", "b1", "alone"] {
        let received = message(&mut world, idle);
        assert_eq!(received.body, expected.as_bytes());
        world.send(idle, &ack_id(&received));
    }
    assert_eq!(world.try_receive(idle), None, "a stays where it is");
    world.send(busy, &ack_id(&held));
    assert_eq!(message(&mut world, busy).body, b"a1");
}

#[test]
fn a_blocked_group_with_a_long_backlog_holds_up_no_other() {
    let mut small = config();
    small.policy.memory_window_bytes = 4000;
    let store = Box::new(tidegate::internal::store::MemoryStore::default());
    let mut world = World::with(&small, store);
    let producer = world.connect(Version::V1_2);
    let [busy, idle] = [0, 1].map(|_| consumer(&mut world, "1"));
    world.send(producer, &of("a", "a0"));
    for number in 1..200 {
        let persistent = if number % 2 == 0 { "true" } else { "false" };
        let body = format!("a{number}");
        world.send(producer, &of("a", &body).with("persistent", persistent));
    }
    for number in 0..50 {
        world.send(producer, &of("b", &format!("b{number}")));
    }
    for number in 0..50 {
        let received = message(&mut world, idle);
        assert_eq!(
            texts(std::slice::from_ref(&received)),
            [format!("b{number}")]
        );
        world.send(idle, &ack_id(&received));
    }
    for number in 0..200 {
        let received = message(&mut world, busy);
        assert_eq!(
            texts(std::slice::from_ref(&received)),
            [format!("a{number}")]
        );
        world.send(busy, &ack_id(&received));
    }
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn a_group_goes_on_with_another_consumer_when_its_own_leaves() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_2);
    let first = consumer(&mut world, "2");
    for number in 0..4 {
        world.send(producer, &of("a", &format!("a{number}")));
    }
    assert_eq!(texts(&given(&mut world, first)), ["a0", "a1"]);
    let second = consumer(&mut world, "10");
    assert_eq!(world.try_receive(second), None);
    world.vanish(first);
    let frames = given(&mut world, second);
    assert_eq!(texts(&frames), ["a0", "a1", "a2", "a3"], "in their order");
    assert_eq!(frames[0].get("redelivered"), Some("true"));
    assert_eq!(frames[0].get("JMSXGroupFirstForConsumer"), Some("true"));
    assert_eq!(frames[1].get("JMSXGroupFirstForConsumer"), None);
    assert_eq!(frames[3].get("redelivered"), None);
}

#[test]
fn a_negative_sequence_closes_a_group_once_it_is_settled() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_2);
    let [one, two] = [0, 1].map(|_| consumer(&mut world, "10"));
    world.send(producer, &of("b", "b0"));
    world.send(producer, &of("a", "a0"));
    let (of_one, of_two) = (given(&mut world, one), given(&mut world, two));
    let (owner, other, held) = if texts(&of_one) == ["a0"] {
        (one, two, of_one)
    } else {
        (two, one, of_two)
    };
    world.send(producer, &of("a", "last").with("JMSXGroupSeq", "-1"));
    let last = message(&mut world, owner);
    // The other one has fewer groups from here on.
    world.send(producer, &of("c", "c0"));
    world.send(producer, &of("a", "next"));
    let between = [given(&mut world, owner), given(&mut world, other)].concat();
    assert_eq!(
        texts(&between),
        ["c0"],
        "it waits until the last one is settled"
    );
    world.send(owner, &ack_id(&held[0]));
    assert_eq!(world.try_receive(owner), None);
    world.send(owner, &ack_id(&last));
    let frames = [given(&mut world, owner), given(&mut world, other)].concat();
    assert_eq!(texts(&frames), ["next"]);
    assert_eq!(frames[0].get("JMSXGroupFirstForConsumer"), Some("true"));
}

#[test]
fn the_sequence_1_gives_a_group_anew() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_2);
    let one = consumer(&mut world, "10");
    world.send(producer, &of("a", "a0"));
    let held = message(&mut world, one);
    world.send(producer, &of("a", "new").with("JMSXGroupSeq", "1"));
    assert_eq!(
        world.try_receive(one),
        None,
        "what is in flight comes first"
    );
    world.send(one, &ack_id(&held));
    let received = message(&mut world, one);
    assert_eq!(received.body, b"new");
    assert_eq!(received.get("JMSXGroupFirstForConsumer"), Some("true"));
}

fn joined(rebalance: Rebalance) -> (World, Id, Id, Vec<OwnedFrame>) {
    let mut settings = config();
    settings.policy.groups.rebalance = rebalance;
    let store = Box::new(tidegate::internal::store::MemoryStore::default());
    let mut world = World::with(&settings, store);
    let first = consumer(&mut world, "100");
    for group in ["a", "b", "c", "d"] {
        world.send(first, &of(group, &format!("{group}0")));
    }
    let held = given(&mut world, first);
    assert_eq!(held.len(), 4);
    let second = consumer(&mut world, "100");
    for group in ["a", "b", "c", "d"] {
        world.send(second, &of(group, &format!("{group}1")));
    }
    (world, first, second, held)
}

#[test]
fn a_consumer_that_joins_gets_its_share_once_it_is_settled() {
    let (mut world, first, second, held) = joined(Rebalance::Drain);
    assert_eq!(
        world.try_receive(second),
        None,
        "all are in flight elsewhere"
    );
    assert_eq!(given(&mut world, first).len(), 2, "the groups that stay");
    for message in &held {
        world.send(first, &ack_id(message));
    }
    assert_eq!(given(&mut world, second).len(), 2, "its share");
}

#[test]
fn a_consumer_that_joins_can_get_its_share_at_once_or_never() {
    let (mut world, _, second, _) = joined(Rebalance::Immediate);
    assert_eq!(given(&mut world, second).len(), 2);
    let (mut world, first, second, held) = joined(Rebalance::Off);
    for message in &held {
        world.send(first, &ack_id(message));
    }
    assert_eq!(given(&mut world, first).len(), 4);
    assert_eq!(world.try_receive(second), None);
}

#[test]
fn a_message_given_back_goes_before_those_of_its_group_behind_it() {
    let mut world = World::new();
    let client = consumer(&mut world, "2");
    for number in 0..4 {
        world.send(client, &of("a", &format!("a{number}")));
    }
    world.send(client, &of("b", "b0"));
    let held = given(&mut world, client);
    assert_eq!(texts(&held), ["a0", "a1"]);
    let nack = frame(Verb::Nack).with("id", held[0].get("ack").unwrap());
    world.send(client, &nack);
    world.send(client, &ack_id(&held[1]));
    assert_eq!(texts(&given(&mut world, client)), ["a0", "a2"]);
}

#[test]
fn a_group_that_fails_for_good_goes_on() {
    let mut settings = config();
    settings.policy.redelivery_max = 0;
    let store = Box::new(tidegate::internal::store::MemoryStore::default());
    let mut world = World::with(&settings, store);
    let client = consumer(&mut world, "1");
    for number in 0..2 {
        world.send(client, &of("a", &format!("a{number}")));
    }
    let held = message(&mut world, client);
    world.send(
        client,
        &frame(Verb::Nack).with("id", held.get("ack").unwrap()),
    );
    assert_eq!(message(&mut world, client).body, b"a1");
    let dead = waiting(&mut world, "/queue/ActiveMQ.DLQ");
    assert_eq!(texts(&dead), ["a0"]);
    assert_eq!(dead[0].get("JMSXGroupID"), Some("a"));
}

#[test]
fn a_group_header_that_cannot_be_used_is_refused() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let error = refused(&mut world, client, of("a", "x").with("JMSXGroupSeq", "one"));
    assert_eq!(error.get("code"), Some("invalid-header"));
    let error = refused(&mut world, client, of(&"g".repeat(1025), "x"));
    assert_eq!(error.get("code"), Some("invalid-header"));
    let plain = granted(&mut world, client, of("", "an empty name is none"));
    assert_eq!(plain, []);
    assert_alive(&mut world, client);
    assert_eq!(waiting(&mut world, Q).len(), 1);
}

#[test]
fn groups_can_be_listed_and_taken_from_their_consumers() {
    let mut world = World::new();
    let queue = DestinationName::queue("listed").unwrap();
    assert_eq!(world.broker.groups(&queue), None, "there is no such queue");
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let client = world.connect(Version::V1_2);
        let one = subscribe("/queue/listed", "1").with("ack", "client-individual");
        granted(&mut world, client, one.with("activemq.prefetchSize", "1"));
        consumers.push(client);
    }
    let sender = world.connect(Version::V1_2);
    for group in ["a", "b", "a", "a"] {
        let sent = send("/queue/listed").with("JMSXGroupID", group);
        granted(&mut world, sender, sent.with_body(group.as_bytes()));
    }
    let shown = |world: &World| -> Vec<(String, bool, usize, usize)> {
        let groups = world.broker.groups(&queue).unwrap().into_iter();
        groups
            .map(|group| {
                (
                    group.name,
                    group.consumer.is_some(),
                    group.waiting,
                    group.in_flight,
                )
            })
            .collect()
    };
    let b = message(&mut world, consumers[1]);
    world.send(consumers[1], &ack_id(&b));
    // The consumer of b is free, and the queue has come to what waits for the other one.
    let expected = [("a".to_owned(), true, 2, 1), ("b".to_owned(), true, 0, 0)];
    assert_eq!(shown(&world), expected);
    let totals = world.broker.totals();
    assert_eq!((totals.groups_assigned, totals.groups_waiting), (2, 1));
    let a = message(&mut world, consumers[0]);
    assert_eq!(world.broker.reset_groups(&queue, Some("a")), 1);
    world.run();
    assert_eq!(
        world.drain(consumers[1]),
        [],
        "what is in flight comes first"
    );
    world.send(consumers[0], &ack_id(&a));
    let next = [0, 1].map(|place| world.drain(consumers[place]).len());
    assert_eq!(next.iter().sum::<usize>(), 1, "one consumer at a time");
    assert_eq!(world.broker.reset_groups(&queue, None), 2, "a and b");
    assert_eq!(world.broker.reset_groups(&queue, Some("unheard-of")), 0);
}
