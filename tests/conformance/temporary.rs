//! Temporary queues and topics, and both ways in which clients are replied to by them.

use tidegate::internal::broker::BrokerConfig;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::DestinationName;
use tidegate::internal::store::{MemoryStore, Store as _};

use crate::say::{
    assert_alive, bodies, frame, granted, message, refused, send, settle_message, subscribe,
    transaction, waiting,
};
use crate::support::world::{Id, World, config};

const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

fn open(change: impl FnOnce(&mut BrokerConfig)) -> World {
    let mut settings = config();
    change(&mut settings);
    World::with(&settings, Box::new(MemoryStore::default()))
}

/// A responder on `/queue/requests` is asked by a client that wants its reply there. Returns the
/// request as the responder sees it.
fn ask(world: &mut World, client: Id, responder: Id, reply_to: &str) -> OwnedFrame {
    let request = send("/queue/requests").with("reply-to", reply_to);
    world.send(client, &request.with_body(b"ask"));
    message(world, responder)
}

/// The responder answers.
fn answer(world: &mut World, responder: Id, request: &OwnedFrame) -> Vec<OwnedFrame> {
    let reply = send(request.get("reply-to").unwrap());
    granted(world, responder, reply.with_body(b"reply"))
}

fn responder(world: &mut World, version: Version) -> Id {
    let responder = world.connect(version);
    granted(world, responder, subscribe("/queue/requests", "r"));
    responder
}

#[test]
fn test_temp_destination() {
    for version in VERSIONS {
        for own in ["/temp-queue/a", "/temp-topic/a"] {
            let mut world = World::new();
            let client = world.connect(version);
            granted(&mut world, client, subscribe(own, "1"));
            world.send(client, &send(own).with_body(b"x"));
            let received = message(&mut world, client);
            assert_eq!(received.get("destination"), Some(own));
            assert_eq!(received.body, b"x");
        }
    }
}

#[test]
fn test_reply_to_destination_naming() {
    for version in VERSIONS {
        for own in ["/temp-queue/a", "/temp-topic/a"] {
            let mut world = World::new();
            let client = world.connect(version);
            granted(&mut world, client, subscribe(own, "1"));
            granted(&mut world, client, subscribe("/queue/requests", "2"));
            let request = ask(&mut world, client, client, own);
            assert_eq!(request.get("reply-to"), Some(own), "{request:?}");
            assert_eq!(request.get("destination"), Some("/queue/requests"));
            world.send(client, &send(own).with_body(b"reply"));
            let reply = message(&mut world, client);
            assert_eq!(reply.get("destination"), Some(own));
            let totals = world.broker.totals();
            let (queues, topics) = (totals.queues.destinations, totals.topics.destinations);
            assert_eq!(queues + topics, 2, "one temporary destination exists");
        }
    }
}

#[test]
fn test_reply_to_across_connections() {
    for (asks, answers) in VERSIONS.iter().flat_map(|a| VERSIONS.map(|b| (*a, b))) {
        for (own, remote) in [
            ("/temp-queue/a", "/remote-temp-queue/ID:"),
            ("/temp-topic/a", "/remote-temp-topic/ID:"),
        ] {
            let mut world = World::new();
            let responder = responder(&mut world, answers);
            let client = world.connect(asks);
            granted(&mut world, client, subscribe(own, "1"));
            let request = ask(&mut world, client, responder, own);
            let reply_to = request.get("reply-to").unwrap();
            assert!(reply_to.starts_with(remote), "{reply_to}");
            assert_eq!(answer(&mut world, responder, &request), []);
            let reply = message(&mut world, client);
            assert_eq!(reply.get("destination"), Some(own));
            assert_eq!(reply.body, b"reply");
        }
    }
}

#[test]
fn as_with_rabbitmq_a_reply_comes_although_nobody_subscribed() {
    for own in ["/temp-queue/foo", "/temp-topic/foo"] {
        let mut world = World::new();
        let responder = responder(&mut world, Version::V1_2);
        let client = world.connect(Version::V1_2);
        for round in 0..2 {
            let request = ask(&mut world, client, responder, own);
            answer(&mut world, responder, &request);
            let reply = message(&mut world, client);
            assert_eq!(reply.get("subscription"), Some(own), "{round}");
            assert_eq!(reply.get("destination"), Some(own));
            assert_eq!(reply.get("ack"), None, "it acknowledges by itself");
        }
        // It can be ended like any other.
        granted(&mut world, client, frame(Verb::Unsubscribe).with("id", own));
        assert_eq!(world.broker.totals().queues.unacked, 0);
    }
}

#[test]
fn a_subscription_that_comes_later_takes_over() {
    let mut world = World::new();
    let responder = responder(&mut world, Version::V1_1);
    let client = world.connect(Version::V1_1);
    let request = ask(&mut world, client, responder, "/temp-queue/foo");
    for next in ["mine", "/temp-queue/foo"] {
        let own = subscribe("/temp-queue/foo", next).with("ack", "client");
        granted(&mut world, client, own);
        answer(&mut world, responder, &request);
        let reply = message(&mut world, client);
        assert_eq!(reply.get("subscription"), Some(next));
        granted(&mut world, client, settle_message(Verb::Ack, &reply));
        assert_eq!(world.try_receive(client), None, "it comes once");
        granted(
            &mut world,
            client,
            frame(Verb::Unsubscribe).with("id", next),
        );
        // With none of its own there is one again for the next request.
        let again = ask(&mut world, client, responder, "/temp-queue/foo");
        assert_eq!(again.get("reply-to"), request.get("reply-to"));
        answer(&mut world, responder, &again);
        let reply = message(&mut world, client);
        assert_eq!(reply.get("subscription"), Some("/temp-queue/foo"));
    }
}

#[test]
fn what_waits_is_there_for_the_subscription_that_comes_later() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    granted(
        &mut world,
        client,
        send("/temp-queue/a").with_body(b"early"),
    );
    let waited = granted(&mut world, client, subscribe("/temp-queue/a", "1"));
    assert_eq!(waited[0].body, b"early");
}

#[test]
fn the_same_name_is_another_destination_on_another_connection() {
    let mut world = World::new();
    let [one, two] = [(); 2].map(|()| world.connect(Version::V1_2));
    for client in [one, two] {
        granted(&mut world, client, subscribe("/temp-queue/a", "1"));
    }
    world.send(two, &send("/temp-queue/a").with_body(b"for two"));
    assert_eq!(bodies(&mut world, two), ["for two"]);
    assert_eq!(world.try_receive(one), None);
}

#[test]
fn a_foreign_one_can_be_sent_to_and_not_be_received_from() {
    let mut world = World::new();
    let responder = responder(&mut world, Version::V1_2);
    let client = world.connect(Version::V1_2);
    let request = ask(&mut world, client, responder, "/temp-queue/a");
    let remote = request.get("reply-to").unwrap().to_owned();
    let also = format!("/queue/free,{remote}");
    for foreign in [&remote, &also] {
        let error = refused(&mut world, responder, subscribe(foreign, "1"));
        assert_eq!(error.get("code"), Some("foreign-temporary"));
        let text =
            "Subscribing to a temporary queue created by another connection is not permitted";
        assert_eq!(error.get("message"), Some(text));
    }
    // Nor by any plain name, be it a wildcard.
    let plain = remote.replace("/remote-temp-queue/", "/queue/");
    for other in [plain.as_str(), "/queue/>", ">"] {
        granted(&mut world, responder, subscribe(other, other));
    }
    answer(&mut world, responder, &request);
    assert_eq!(world.try_receive(responder), None);
    assert_eq!(bodies(&mut world, client), ["reply"]);
    world.send(responder, &send(&plain).with_body(b"elsewhere"));
    assert_eq!(world.try_receive(client), None);
}

#[test]
fn it_ends_with_its_connection() {
    for clean in [true, false] {
        let mut world = World::new();
        let responder = responder(&mut world, Version::V1_2);
        let client = world.connect(Version::V1_2);
        let own = subscribe("/temp-queue/a", "1").with("ack", "client");
        granted(&mut world, client, own.with("activemq.prefetchSize", "1"));
        let request = ask(&mut world, client, responder, "/temp-queue/a");
        for _ in 0..3 {
            answer(&mut world, responder, &request);
        }
        assert_eq!(bodies(&mut world, client), ["reply"]);
        if clean {
            world.send(client, &frame(Verb::Disconnect));
        } else {
            world.vanish(client);
        }
        let totals = world.broker.totals();
        assert_eq!(totals.queues.destinations, 1, "only the queue of requests");
        assert_eq!((totals.queues.ready, totals.memory_messages), (0, 0));
        let reply = send(request.get("reply-to").unwrap()).with_body(b"late");
        let error = refused(&mut world, responder, reply);
        assert_eq!(error.get("code"), Some("unknown-destination"));
        let name = request.get("reply-to").unwrap();
        let name = name.strip_prefix("/remote-temp-queue/").unwrap();
        let text = format!("The destination temp-queue://{name} does not exist.");
        assert_eq!(error.get("message"), Some(text.as_str()));
        assert_alive(&mut world, responder);
    }
}

#[test]
fn a_name_that_nobody_has_given_does_not_exist() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for name in ["/remote-temp-queue/ID:99:1", "/remote-temp-topic/x"] {
        let error = refused(&mut world, client, send(name).with_body(b"x"));
        assert_eq!(error.get("code"), Some("unknown-destination"), "{name}");
        let error = refused(&mut world, client, subscribe(name, "1"));
        assert_eq!(error.get("code"), Some("foreign-temporary"), "{name}");
    }
}

#[test]
fn what_is_sent_in_a_transaction_ends_with_it_too() {
    let mut world = World::new();
    let responder = responder(&mut world, Version::V1_2);
    let client = world.connect(Version::V1_2);
    let request = ask(&mut world, client, responder, "/temp-queue/a");
    granted(&mut world, responder, transaction(Verb::Begin, "t"));
    for to in [request.get("reply-to").unwrap(), "/queue/log"] {
        let sent = send(to).with("transaction", "t").with("persistent", "true");
        granted(&mut world, responder, sent.with_body(b"x"));
    }
    world.vanish(client);
    granted(&mut world, responder, transaction(Verb::Commit, "t"));
    granted(&mut world, responder, subscribe("/queue/log", "log"));
    assert_eq!(world.broker.totals().memory_messages, 0);
}

#[test]
fn persistent_messages_to_it_are_not_stored() {
    let store = MemoryStore::default();
    let mut world = World::with(&config(), Box::new(store.clone()));
    let client = world.connect(Version::V1_2);
    let sent = send("/temp-queue/a").with("persistent", "true");
    granted(&mut world, client, sent.with_body(b"x"));
    let mut again = World::with(&config(), Box::new(store));
    assert_eq!(again.broker.totals().queues.destinations, 0);
    let client = again.connect(Version::V1_2);
    assert_alive(&mut again, client);
}

/// What does not fit in memory waits on disk, and is forgotten with its owner.
#[test]
fn many_messages_wait_on_disk_and_go_with_their_owner() {
    let store = MemoryStore::default();
    let mut settings = config();
    settings.policy.memory_window_bytes = 1000;
    let mut world = World::with(&settings, Box::new(store.clone()));
    let client = world.connect(Version::V1_2);
    for number in 0..50 {
        let body = format!("{number}");
        granted(
            &mut world,
            client,
            send("/temp-queue/a").with_body(body.as_bytes()),
        );
    }
    let own = subscribe("/temp-queue/a", "1").with("ack", "client");
    assert_eq!(granted(&mut world, client, own).len(), 50);
    world.vanish(client);
    let totals = world.broker.totals();
    assert_eq!((totals.queues.destinations, totals.memory_messages), (0, 0));
}

#[test]
fn after_a_crash_nothing_is_left_of_it() {
    let store = MemoryStore::default();
    let mut settings = config();
    settings.policy.memory_window_bytes = 1000;
    let mut world = World::with(&settings, Box::new(store.clone()));
    let client = world.connect(Version::V1_2);
    for _ in 0..50 {
        granted(&mut world, client, send("/temp-queue/a").with_body(b"x"));
    }
    for _ in 0..2 {
        let mut crashed = World::with(&settings, Box::new(store.clone()));
        crashed.run();
        assert_eq!(crashed.broker.totals().queues.destinations, 0);
        assert_eq!(store.clone().recover().unwrap().destinations, []);
    }
}

#[test]
fn it_can_be_part_of_a_composite_destination() {
    let mut world = World::new();
    let client = world.connect(Version::V1_1);
    granted(&mut world, client, subscribe("/temp-queue/a,/queue/b", "1"));
    let both = send("/temp-queue/a,/queue/b").with_body(b"x");
    world.send(client, &both);
    let mut received = [message(&mut world, client), message(&mut world, client)];
    received.sort_by_key(|frame| frame.get("destination").map(str::to_owned));
    for (frame, destination) in received.iter().zip(["/queue/b", "/temp-queue/a"]) {
        assert_eq!(frame.get("destination"), Some(destination));
        let sent_to = frame.get("original-destination");
        assert_eq!(sent_to, Some("/temp-queue/a,/queue/b"));
    }
}

#[test]
fn a_reply_address_can_be_spelled_as_jms_does() {
    let mut world = World::new();
    let responder = responder(&mut world, Version::V1_2);
    let client = world.connect(Version::V1_2);
    let request = send("/queue/requests").with("JMSReplyTo", "temp-queue://a");
    world.send(client, &request.with("reply-to", "/queue/other"));
    let request = message(&mut world, responder);
    let reply_to = request.get("reply-to").unwrap();
    assert!(reply_to.starts_with("/remote-temp-queue/ID:"), "{reply_to}");
    answer(&mut world, responder, &request);
    assert_eq!(bodies(&mut world, client), ["reply"]);
}

/// A request may go on through others, who name the address as they see it.
#[test]
fn a_reply_address_is_passed_on() {
    let mut world = World::new();
    let responder = responder(&mut world, Version::V1_2);
    let client = world.connect(Version::V1_2);
    let request = ask(&mut world, client, responder, "/temp-queue/a");
    let remote = request.get("reply-to").unwrap();
    let again = ask(&mut world, responder, responder, remote);
    assert_eq!(again.get("reply-to"), Some(remote));
    answer(&mut world, responder, &again);
    assert_eq!(bodies(&mut world, client), ["reply"]);
    let error = refused(
        &mut world,
        client,
        send("/queue/requests").with("reply-to", "/temp-queue/a,/temp-queue/b"),
    );
    assert_eq!(error.get("code"), Some("invalid-header"));
}

#[test]
fn a_connection_has_only_so_many() {
    let mut world = World::new().session(|config| config.max_temporary = 2);
    let client = world.connect(Version::V1_2);
    for name in ["a", "b", "a"] {
        granted(&mut world, client, send(&format!("/temp-queue/{name}")));
    }
    let error = refused(&mut world, client, send("/temp-queue/c"));
    assert_eq!(error.get("code"), Some("limit-reached"));
    assert_eq!(
        error.get("key"),
        Some("limits.max_temporary_per_connection")
    );
}

#[test]
fn what_cannot_be_consumed_becomes_a_dead_letter_with_its_real_name() {
    let mut world = open(|settings| settings.policy.redelivery_max = 0);
    let client = world.connect(Version::V1_2);
    let own = subscribe("/temp-queue/a", "1").with("ack", "client-individual");
    granted(&mut world, client, own);
    world.send(client, &send("/temp-queue/a").with_body(b"x"));
    let received = message(&mut world, client);
    let nack = frame(Verb::Nack).with("id", received.get("ack").unwrap());
    granted(&mut world, client, nack);
    let dead = waiting(&mut world, "/queue/ActiveMQ.DLQ");
    let origin = dead[0].get("original-destination").unwrap();
    assert!(origin.starts_with("/remote-temp-queue/ID:"), "{origin}");
}

#[test]
fn it_is_neither_mirrored_nor_virtual() {
    let mut world = open(|settings| {
        settings.routing.mirrored_queues = Some(tidegate::internal::broker::MirroredQueues {
            prefix: String::new(),
            postfix: ".mirror".to_owned(),
        });
    });
    let client = world.connect(Version::V1_2);
    granted(&mut world, client, send("/temp-queue/VirtualTopic.a"));
    granted(&mut world, client, send("/temp-topic/VirtualTopic.a"));
    assert_eq!(world.broker.totals().topics.destinations, 1);
    let mirror = DestinationName::topic("VirtualTopic.a.mirror").unwrap();
    assert!(!world.broker.exists(&mirror));
}
