//! Who of several consumers is given a message: consumer priority, exclusive consumers, no-local.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::{
    ack_id, bodies, frame, granted, message, refused, send, subscribe, transaction, waiting,
};
use crate::support::world::{Id, World};

const Q: &str = "/queue/test";

fn join(world: &mut World, lines: &[(&str, &str)]) -> Id {
    let client = world.connect(Version::V1_2);
    let mut asked = subscribe(Q, "1").with("ack", "client-individual");
    for (name, value) in lines {
        asked = asked.with(name, value);
    }
    granted(world, client, asked);
    client
}

fn put(world: &mut World, count: usize) {
    let producer = world.connect(Version::V1_2);
    for number in 0..count {
        world.send(producer, &send(Q).with_body(number.to_string().as_bytes()));
    }
}

#[test]
fn a_consumer_of_higher_priority_is_given_all_that_it_can_hold() {
    for header in ["activemq.priority", "x-priority"] {
        let mut world = World::new();
        let low = join(&mut world, &[]);
        let high = join(&mut world, &[(header, "5"), ("activemq.prefetchSize", "3")]);
        put(&mut world, 5);
        assert_eq!(bodies(&mut world, high), ["0", "1", "2"], "{header}");
        assert_eq!(bodies(&mut world, low), ["3", "4"]);
    }
}

#[test]
fn consumers_of_the_same_priority_take_turns() {
    let mut world = World::new();
    let clients = [0, 1].map(|_| join(&mut world, &[("activemq.priority", "-7")]));
    put(&mut world, 4);
    assert_eq!(bodies(&mut world, clients[0]), ["0", "2"]);
    assert_eq!(bodies(&mut world, clients[1]), ["1", "3"]);
}

#[test]
fn a_priority_that_is_none_is_refused() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for value in ["high", "128", "-129"] {
        let asked = subscribe(Q, "1").with("activemq.priority", value);
        let error = refused(&mut world, client, asked);
        assert_eq!(error.get("code"), Some("invalid-header"), "{value}");
    }
}

#[test]
fn the_first_exclusive_consumer_has_the_queue_for_itself() {
    let exclusive = ("activemq.exclusive", "true");
    let mut world = World::new();
    let plain = join(&mut world, &[]);
    let first = join(&mut world, &[exclusive, ("activemq.prefetchSize", "1")]);
    let second = join(&mut world, &[exclusive]);
    put(&mut world, 3);
    let held = message(&mut world, first);
    for other in [plain, second] {
        assert_eq!(
            world.try_receive(other),
            None,
            "also while the first one is full"
        );
    }
    world.send(first, &ack_id(&held));
    assert_eq!(bodies(&mut world, first), ["1"]);
    world.send(first, &frame(Verb::Disconnect));
    assert_eq!(bodies(&mut world, second), ["1", "2"]);
    world.send(second, &frame(Verb::Unsubscribe).with("id", "1"));
    assert_eq!(
        bodies(&mut world, plain),
        ["1", "2"],
        "without one all take part"
    );
}

#[test]
fn an_exclusive_consumer_of_higher_priority_takes_the_queue_over() {
    let exclusive = ("activemq.exclusive", "true");
    let mut world = World::new();
    let first = join(&mut world, &[exclusive]);
    let higher = join(&mut world, &[exclusive, ("activemq.priority", "1")]);
    put(&mut world, 1);
    assert_eq!(bodies(&mut world, higher), ["0"]);
    assert_eq!(world.try_receive(first), None);
    let top = [0, 1].map(|_| join(&mut world, &[exclusive, ("activemq.priority", "127")]));
    put(&mut world, 1);
    assert_eq!(bodies(&mut world, top[1]), ["0"], "127 always takes it");
}

#[test]
fn test_transactions_with_multiple_destinations() {
    let mut world = World::new();
    let client = join(
        &mut world,
        &[
            ("activemq.exclusive", "true"),
            ("activemq.prefetchSize", "1"),
        ],
    );
    put(&mut world, 2);
    for number in 0..2 {
        let received = message(&mut world, client);
        let staged = |frame: OwnedFrame| frame.with("transaction", "tx");
        world.send(client, &transaction(Verb::Begin, "tx"));
        world.send(
            client,
            &staged(send("/queue/other").with_body(&received.body)),
        );
        world.send(client, &staged(ack_id(&received)));
        let commit = transaction(Verb::Commit, "tx");
        let others = granted(&mut world, client, commit);
        assert_eq!(others.len(), 1 - number);
        for other in others {
            let nack = frame(Verb::Nack).with("id", other.get("ack").unwrap());
            world.send(client, &nack);
        }
    }
    assert_eq!(waiting(&mut world, Q), []);
    assert_eq!(waiting(&mut world, "/queue/other").len(), 2);
}

#[test]
fn a_consumer_can_leave_out_what_its_own_connection_sends() {
    for header in ["activemq.noLocal", "no-local"] {
        for destination in ["/topic/test", Q] {
            let mut world = World::new();
            let [one, two] = [0, 1].map(|_| world.connect(Version::V1_2));
            let asked = subscribe(destination, "1").with(header, "true");
            granted(&mut world, one, asked);
            for (client, body) in [(one, "own"), (two, "other")] {
                world.send(client, &send(destination).with_body(body.as_bytes()));
            }
            assert_eq!(bodies(&mut world, one), ["other"], "{destination}");
            if destination == Q {
                assert_eq!(
                    waiting(&mut world, Q).len(),
                    1,
                    "it waits for somebody else"
                );
            }
        }
    }
}
