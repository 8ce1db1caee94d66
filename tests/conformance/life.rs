//! How destinations come and go: by use, by being declared, by idleness, by an operator.

use std::time::Duration;

use tidegate::internal::broker::{BrokerConfig, LifeError};
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::DestinationName;
use tidegate::internal::store::{MemoryStore, Store as _};

use crate::say::{
    ack_id, bodies, frame, granted, message, refused, send, subscribe, transaction, waiting,
};
use crate::support::world::{Id, World, config};

const IDLE: Duration = Duration::from_mins(10);
const ALMOST: Duration = Duration::from_millis(599_999);
const MOMENT: Duration = Duration::from_millis(1);

fn open_on(store: &MemoryStore, change: impl FnOnce(&mut BrokerConfig)) -> World {
    let mut settings = config();
    change(&mut settings);
    let mut world = World::with(&settings, Box::new(store.clone()));
    world.run();
    world
}

fn open(change: impl FnOnce(&mut BrokerConfig)) -> World {
    open_on(&MemoryStore::default(), change)
}

fn queue(name: &str) -> DestinationName {
    DestinationName::queue(name).unwrap()
}

fn topic(name: &str) -> DestinationName {
    DestinationName::topic(name).unwrap()
}

fn persistent(destination: &str, body: &str) -> OwnedFrame {
    let sent = send(destination).with("persistent", "true");
    sent.with_body(body.as_bytes())
}

/// Lets time go by, and removes what has been idle.
fn pass(world: &mut World, time: Duration) {
    world.advance(time);
    while world.broker.collect() {}
    world.run();
}

fn consumer(world: &mut World, destination: &str) -> Id {
    let client = world.connect(Version::V1_2);
    let one = subscribe(destination, "1").with("ack", "client-individual");
    granted(world, client, one);
    client
}

#[test]
fn an_idle_destination_is_removed_and_comes_back_when_it_is_used() {
    let store = MemoryStore::default();
    let mut world = open_on(&store, |_| {});
    let client = consumer(&mut world, "/queue/a");
    granted(&mut world, client, persistent("/queue/a", "x"));
    granted(&mut world, client, send("/topic/t"));
    world.send(client, &frame(Verb::Unsubscribe).with("id", "1"));
    pass(&mut world, IDLE * 2);
    assert!(world.broker.exists(&queue("a")), "a message waits in it");
    assert!(!world.broker.exists(&topic("t")));
    let found = consumer(&mut world, "/queue/a");
    world.vanish(found);
    pass(&mut world, IDLE * 2);
    assert!(world.broker.exists(&queue("a")), "it still waits");

    let found = world.connect(Version::V1_2);
    let come = granted(&mut world, found, subscribe("/queue/a", "1"));
    assert_eq!(come.len(), 1);
    pass(&mut world, IDLE * 2);
    assert!(world.broker.exists(&queue("a")), "it has a subscription");
    world.send(found, &frame(Verb::Disconnect));
    pass(&mut world, ALMOST);
    assert!(world.broker.exists(&queue("a")), "not yet");
    pass(&mut world, MOMENT);
    assert!(!world.broker.exists(&queue("a")));
    assert_eq!(store.clone().recover().unwrap().destinations, []);

    // The connection that remembers the old one finds the new one.
    granted(&mut world, client, persistent("/queue/a", "y"));
    let found = waiting(&mut world, "/queue/a");
    assert_eq!(found[0].body, b"y");
}

/// A monitor of everything keeps nothing alive, and sees what comes back from its first message on.
#[test]
fn a_wildcard_keeps_nothing_alive_and_a_list_does() {
    for kind in ["queue", "topic"] {
        let mut world = World::new();
        let names = ["a", "b", "c"].map(|name| format!("/{kind}/{name}"));
        let client = world.connect(Version::V1_2);
        let all = consumer(&mut world, &format!("/{kind}/>"));
        let list = consumer(&mut world, &format!("/{kind}/a,/{kind}/none.*"));
        let exists = |world: &World, name: &str| {
            let name = if kind == "queue" {
                queue(name)
            } else {
                topic(name)
            };
            world.broker.exists(&name)
        };
        for round in 0..3 {
            for name in &names {
                granted(&mut world, client, send(name).with_body(b"x"));
            }
            let mut seen = world.drain(all);
            for frame in seen
                .iter()
                .chain(&world.drain(list))
                .cloned()
                .collect::<Vec<_>>()
            {
                let to = if seen.contains(&frame) { all } else { list };
                if frame.get("destination") == Some(names[2].as_str()) {
                    continue;
                }
                granted(&mut world, to, ack_id(&frame));
            }
            seen.retain(|frame| frame.get("destination") == Some(names[2].as_str()));
            pass(&mut world, IDLE * 2);
            assert!(exists(&world, "a"), "the list names it");
            assert!(!exists(&world, "b"), "{round}");
            assert!(exists(&world, "c"), "a delivery of it is unsettled");
            for frame in seen {
                granted(&mut world, all, ack_id(&frame));
            }
            pass(&mut world, IDLE * 2);
            assert!(!exists(&world, "c"), "{round}");
        }
    }
}

#[test]
fn each_send_is_use() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for _ in 0..5 {
        granted(&mut world, client, send("/topic/t"));
        pass(&mut world, ALMOST);
    }
    assert!(world.broker.exists(&topic("t")));
    pass(&mut world, MOMENT);
    assert!(!world.broker.exists(&topic("t")));
}

#[test]
fn collection_can_be_switched_off() {
    let mut world = open(|settings| settings.life.collect_after = None);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, send("/topic/t"));
    pass(&mut world, IDLE * 100);
    assert!(world.broker.exists(&topic("t")));
    assert_eq!(world.broker.collect_at(), None);
}

#[test]
fn a_queue_of_a_virtual_topic_stays() {
    let mut world = World::new();
    let consumer = consumer(&mut world, "/queue/Consumer.A.VirtualTopic.T");
    world.send(consumer, &frame(Verb::Disconnect));
    pass(&mut world, IDLE * 100);
    let client = world.connect(Version::V1_2);
    granted(
        &mut world,
        client,
        send("/topic/VirtualTopic.T").with_body(b"x"),
    );
    assert_eq!(
        waiting(&mut world, "/queue/Consumer.A.VirtualTopic.T").len(),
        1
    );
}

#[test]
fn what_a_transaction_has_under_way_keeps_a_destination() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, transaction(Verb::Begin, "t"));
    for to in ["/queue/a", "/topic/b"] {
        granted(
            &mut world,
            client,
            persistent(to, "x").with("transaction", "t"),
        );
    }
    let reader = consumer(&mut world, "/topic/b");
    world.send(reader, &frame(Verb::Disconnect));
    // The transaction is open for longer than destinations stay.
    world.broker.collect();
    world.clock.advance(IDLE * 2);
    world.broker.collect();
    assert!(!world.broker.exists(&queue("a")) && !world.broker.exists(&topic("b")));
    let reader = consumer(&mut world, "/topic/b");
    granted(&mut world, client, transaction(Verb::Commit, "t"));
    assert_eq!(bodies(&mut world, reader), ["x"]);
    assert_eq!(waiting(&mut world, "/queue/a").len(), 1);
}

/// While a COMMIT is on its way to the disk, its topic is removed and comes back with a subscription.
#[test]
fn what_is_being_committed_finds_the_topic_that_has_the_name_by_then() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let reader = world.connect(Version::V1_2);
    granted(&mut world, client, transaction(Verb::Begin, "t"));
    for to in ["/queue/a", "/topic/b"] {
        granted(
            &mut world,
            client,
            persistent(to, "x").with("transaction", "t"),
        );
    }
    world.queue_bytes(client, b"COMMIT\ntransaction:t\nreceipt:c\n\n\0");
    world.turn(client);
    world.clock.advance(IDLE * 2);
    world.broker.collect();
    assert!(!world.broker.exists(&topic("b")));
    assert!(
        world.broker.exists(&queue("a")),
        "a message has its place in it"
    );
    assert_eq!(world.try_receive(client), None, "it is on its way");
    world.send(reader, &subscribe("/topic/b", "1"));
    assert_eq!(bodies(&mut world, reader), ["x"]);
    assert_eq!(world.receive(client).get("receipt-id"), Some("c"));
    assert_eq!(waiting(&mut world, "/queue/a").len(), 1);
}

#[test]
fn declared_destinations_are_there_from_the_start_and_stay() {
    let store = MemoryStore::default();
    let declared = vec![queue("orders"), topic("prices")];
    let mut world = open_on(&store, |settings| settings.life.declared = declared.clone());
    for name in &declared {
        assert!(world.broker.exists(name), "{name}");
    }
    pass(&mut world, IDLE * 100);
    for name in &declared {
        assert!(world.broker.exists(name), "{name}");
    }
    let kept = store.clone().recover().unwrap().destinations;
    assert_eq!(kept.len(), 2, "{kept:?}");
    // What was declared once and is not any more goes when nobody uses it.
    let mut later = open_on(&store, |_| {});
    assert!(later.broker.exists(&queue("orders")));
    pass(&mut later, IDLE * 2);
    assert!(!later.broker.exists(&queue("orders")));
}

#[test]
fn without_auto_create_only_declared_ones_can_be_used() {
    let mut world = open(|settings| {
        settings.life.auto_create = false;
        settings.life.declared = vec![queue("orders")];
    });
    let client = world.connect(Version::V1_2);
    for frame in [
        send("/queue/order"),
        send("/queue/orders,/queue/order"),
        send("/topic/orders"),
        subscribe("/queue/order", "1"),
        subscribe("/queue/orders,/queue/order", "2"),
    ] {
        let error = refused(&mut world, client, frame);
        assert_eq!(error.get("code"), Some("unknown-destination"));
        let text = error.get("message").unwrap();
        assert!(text.contains("://order"), "{text}");
        assert!(text.ends_with(" does not exist."), "{text}");
    }
    granted(&mut world, client, send("/queue/orders").with_body(b"x"));
    // Temporary ones are their owner's own affair, and a wildcard names nothing.
    granted(&mut world, client, send("/temp-queue/a"));
    let all = granted(&mut world, client, subscribe("/queue/>", "3"));
    assert_eq!(all.len(), 1);
}

#[test]
fn a_paused_queue_takes_messages_and_gives_none() {
    let mut world = World::new();
    let reader = consumer(&mut world, "/queue/a");
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, send("/queue/a").with_body(b"1"));
    let first = message(&mut world, reader);
    world.broker.pause(&queue("a")).unwrap();
    granted(&mut world, client, send("/queue/a").with_body(b"2"));
    granted(&mut world, reader, ack_id(&first));
    let late = consumer(&mut world, "/queue/a");
    world.run();
    assert_eq!(world.try_receive(reader), None);
    assert_eq!(world.try_receive(late), None);
    world.vanish(late);
    world.broker.resume(&queue("a")).unwrap();
    world.run();
    assert_eq!(bodies(&mut world, reader), ["2"]);
    granted(&mut world, client, send("/queue/a").with_body(b"3"));
    assert_eq!(bodies(&mut world, reader), ["3"]);
}

#[test]
fn purge_takes_what_waits_and_leaves_what_is_in_flight() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let reader = world.connect(Version::V1_2);
    let one = subscribe("/queue/a", "1").with("ack", "client-individual");
    granted(&mut world, reader, one.with("activemq.prefetchSize", "1"));
    for number in 0..5 {
        let body = number.to_string();
        granted(&mut world, client, persistent("/queue/a", &body));
    }
    let first = message(&mut world, reader);
    assert_eq!(world.broker.purge(&queue("a"), false), Ok(4));
    world.run();
    let totals = world.broker.totals().queues;
    assert_eq!((totals.ready, totals.unacked), (0, 1));
    granted(&mut world, client, persistent("/queue/a", "new"));
    let next = granted(&mut world, reader, ack_id(&first));
    assert_eq!(next[0].body, b"new");
}

#[test]
fn a_forced_purge_takes_what_is_in_flight_too() {
    let store = MemoryStore::default();
    let mut world = open_on(&store, |_| {});
    let client = world.connect(Version::V1_2);
    let reader = world.connect(Version::V1_2);
    let one = subscribe("/queue/a", "1").with("ack", "client-individual");
    granted(&mut world, reader, one.with("activemq.prefetchSize", "1"));
    granted(&mut world, client, persistent("/queue/a", "x"));
    let first = message(&mut world, reader);
    for body in ["y", "z"] {
        granted(&mut world, client, persistent("/queue/a", body));
    }
    assert_eq!(world.broker.purge(&queue("a"), true), Ok(3));
    world.run();
    let error = refused(&mut world, reader, ack_id(&first));
    assert_eq!(error.get("code"), Some("unknown-ack"));
    let text = error.get("message").unwrap();
    assert!(text.contains("taken back"), "{text}");
    world.vanish(reader);
    assert_eq!(waiting(&mut world, "/queue/a"), []);
    assert_eq!(world.broker.totals().memory_messages, 0);
    granted(&mut world, client, persistent("/queue/a", "y"));
    assert_eq!(waiting(&mut world, "/queue/a").len(), 1);
}

/// In memory, on disk, of groups and of all priorities; durable afterwards.
#[test]
fn purge_takes_what_is_on_disk_only() {
    let store = MemoryStore::default();
    let small = |settings: &mut BrokerConfig| settings.policy.memory_window_bytes = 2000;
    let mut world = open_on(&store, small);
    let client = world.connect(Version::V1_2);
    let picky = world.connect(Version::V1_2);
    let none = subscribe("/queue/a", "1").with("selector", "colour = 'red'");
    granted(&mut world, picky, none);
    for number in 0..300 {
        let mut sent = persistent("/queue/a", "x").with("priority", &(number % 10).to_string());
        if number % 3 == 0 {
            sent = sent.with("JMSXGroupID", &(number % 7).to_string());
        }
        if number % 5 == 0 {
            sent = sent.with("persistent", "false");
        }
        granted(&mut world, client, sent);
    }
    assert_eq!(world.broker.totals().queues.ready, 300);
    let begun = world.broker.purge(&queue("a"), false);
    // Those that come while it is under way stay.
    world.queue_bytes(
        client,
        b"SEND\ndestination:/queue/a\npersistent:true\n\nnew\0",
    );
    world.run();
    assert_eq!(begun, Ok(300));
    assert_eq!(world.broker.totals().queues.ready, 1);
    let found = waiting(&mut world, "/queue/a");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].body, b"new");
    let mut again = open_on(&store, small);
    assert_eq!(waiting(&mut again, "/queue/a").len(), 1);
}

#[test]
fn a_deleted_queue_is_gone_with_its_messages_and_its_name_is_free() {
    let store = MemoryStore::default();
    let mut world = open_on(&store, |_| {});
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, persistent("/queue/a", "old"));
    let reader = consumer(&mut world, "/queue/a");
    let in_use = Err(LifeError::InUse(queue("a")));
    assert_eq!(world.broker.delete(&queue("a")), in_use);
    world.vanish(reader);
    assert_eq!(world.broker.delete(&queue("a")), Ok(()));
    let missing = Err(LifeError::Missing(queue("a")));
    assert_eq!(world.broker.delete(&queue("a")), missing);
    world.run();
    assert_eq!(world.broker.totals().memory_messages, 0);
    let mut again = open_on(&store, |_| {});
    assert!(!again.broker.exists(&queue("a")), "also after a crash");
    granted(&mut world, client, persistent("/queue/a", "new"));
    let found = waiting(&mut world, "/queue/a");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].body, b"new");
    again.run();
}

/// A sender that waits for room in a queue goes on when there is another of that name.
#[test]
fn who_waits_for_room_in_a_deleted_queue_goes_on() {
    let mut world = open(|settings| settings.policy.max_bytes = 1000);
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, send("/queue/a").with_body(&[0; 900]));
    world.send(
        client,
        &send("/queue/a").with_body(b"waits").with("receipt", "r"),
    );
    assert_eq!(world.try_receive(client), None);
    world.broker.delete(&queue("a")).unwrap();
    world.run();
    assert_eq!(world.receive(client).get("receipt-id"), Some("r"));
    assert_eq!(waiting(&mut world, "/queue/a").len(), 1);
}

#[test]
fn operators_are_told_what_cannot_be_done() {
    let world = World::new();
    let broker = &world.broker;
    assert_eq!(
        broker.pause(&queue("x")),
        Err(LifeError::Missing(queue("x")))
    );
    assert_eq!(
        broker.resume(&topic("x")),
        Err(LifeError::NoQueue(topic("x")))
    );
    assert_eq!(
        broker.purge(&topic("x"), true),
        Err(LifeError::NoQueue(topic("x")))
    );
    broker.declare(&queue("x"));
    assert_eq!(broker.pause(&queue("x")), Ok(()));
}
