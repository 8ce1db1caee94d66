//! What the simulation has found, each as the shortest scenario that shows it.

use tidegate::internal::broker::BrokerConfig;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use super::store::Disk;
use crate::support_world::{Id, World, config};

fn send(body: &str) -> OwnedFrame {
    OwnedFrame::new(Verb::Send)
        .with("destination", "/queue/a")
        .with_body(body.as_bytes())
}

fn persistent(body: &str) -> OwnedFrame {
    send(body).with("persistent", "true")
}

fn subscribe(id: &str, to: &str, ack: &str) -> OwnedFrame {
    OwnedFrame::new(Verb::Subscribe)
        .with("id", id)
        .with("destination", to)
        .with("ack", ack)
}

fn named(verb: Verb, name: &str, value: &str) -> OwnedFrame {
    OwnedFrame::new(verb).with(name, value)
}

fn world(disk: &Disk, change: impl FnOnce(&mut BrokerConfig)) -> World {
    let mut settings = config();
    change(&mut settings);
    World::with(&settings, Box::new(disk.clone()))
}

/// Several frames that arrive as one read.
fn send_at_once(world: &mut World, client: Id, frames: &[OwnedFrame]) {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(Version::V1_2, &mut bytes);
    }
    world.send_bytes(client, &bytes);
}

fn bodies(world: &mut World, client: Id) -> Vec<String> {
    let frames = world.drain(client);
    let messages = frames.iter().filter(|frame| frame.verb == Verb::Message);
    messages
        .map(|frame| String::from_utf8_lossy(&frame.body).into_owned())
        .collect()
}

fn ack_of(frame: &OwnedFrame) -> String {
    frame
        .get("ack")
        .expect("it has to be acknowledged")
        .to_owned()
}

/// Nobody told a connection of a batch that it had not waited for.
#[test]
fn a_goodbye_is_answered_when_all_was_durable_before() {
    let mut world = world(&Disk::new(false), |_| {});
    let (producer, other) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    world.send(producer, &persistent("000001").with("receipt", "1"));
    assert_eq!(world.receive(producer).verb, Verb::Receipt);
    world.send(other, &named(Verb::Disconnect, "receipt", "2"));
    assert_eq!(world.receive(other).verb, Verb::Receipt);
    assert!(world.is_closed(other));
}

/// A message went from one subscription of a vanished client to the next one, and its count with it.
#[test]
fn what_a_connection_gives_back_is_not_for_its_other_subscriptions() {
    let mut world = world(&Disk::new(false), |_| {});
    let (first, second) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    for id in ["1", "2", "3"] {
        world.send(first, &subscribe(id, "/queue/a", "client"));
    }
    world.send(first, &send("000001"));
    world.vanish(first);
    world.send(second, &subscribe("1", "/queue/a", "client"));
    assert_eq!(world.receive(second).get("JMSXDeliveryCount"), Some("2"));
}

/// The COMMIT right behind a refused SEND carried out the rest of its transaction.
#[test]
fn a_transaction_of_which_something_was_refused_is_not_committed() {
    let mut world = world(&Disk::new(false), |settings| {
        settings.limits.transaction_operations = 1;
    });
    let (producer, consumer) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    send_at_once(
        &mut world,
        producer,
        &[
            named(Verb::Begin, "transaction", "t"),
            send("000001").with("transaction", "t"),
            send("000002").with("transaction", "t").with("receipt", "2"),
            named(Verb::Commit, "transaction", "t").with("receipt", "3"),
        ],
    );
    let codes = world.drain(producer);
    let codes: Vec<_> = codes.iter().map(|frame| frame.get("code")).collect();
    assert_eq!(codes, [Some("full"), Some("unknown-transaction")]);
    world.send(consumer, &subscribe("1", "/queue/a", "auto"));
    assert_eq!(bodies(&mut world, consumer), [""; 0]);
    assert_eq!(world.broker.totals().memory_messages, 0);
}

/// UNSUBSCRIBE overtook its own SUBSCRIBE behind a SEND that had no room: the subscription stayed, and
/// what it was given was lost to everybody.
#[test]
fn an_end_does_not_overtake_its_beginning() {
    let mut world = world(&Disk::new(false), |settings| {
        settings.policy.max_bytes = 300;
    });
    let (client, other) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    world.send(other, &send("000001"));
    send_at_once(
        &mut world,
        client,
        &[
            send("000002"),
            subscribe("1", "/queue/a", "client").with("receipt", "1"),
            named(Verb::Unsubscribe, "id", "1").with("receipt", "2"),
        ],
    );
    world.send(other, &subscribe("1", "/queue/a", "auto"));
    assert_eq!(bodies(&mut world, other), ["000001", "000002"]);
    let verbs: Vec<_> = world.drain(client).iter().map(|frame| frame.verb).collect();
    assert_eq!(verbs, [Verb::Receipt, Verb::Receipt]);
    assert_eq!(world.broker.totals().queues.unacked, 0);
}

/// Persistent messages of a transaction took their places before the others.
#[test]
fn a_transaction_keeps_the_order_of_its_messages() {
    let mut world = world(&Disk::new(false), |_| {});
    let (producer, consumer) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    world.send(producer, &named(Verb::Begin, "transaction", "t"));
    world.send(producer, &send("000001").with("transaction", "t"));
    world.send(producer, &persistent("000002").with("transaction", "t"));
    world.send(producer, &send("000003").with("transaction", "t"));
    world.send(producer, &named(Verb::Commit, "transaction", "t"));
    world.send(consumer, &subscribe("1", "/queue/a", "auto"));
    assert_eq!(bodies(&mut world, consumer), ["000001", "000002", "000003"]);
}

/// What transactions sent stayed in memory, however much it was.
#[test]
fn transactions_respect_the_memory_window() {
    for frame in [send(""), persistent("")] {
        let mut world = world(&Disk::new(false), |settings| {
            settings.policy.memory_window_bytes = 2000;
        });
        let (producer, consumer) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
        let mut sent = Vec::new();
        for number in 0..40 {
            let body = format!("{number:06}");
            world.send(producer, &named(Verb::Begin, "transaction", "t"));
            let frame = frame.clone().with_body(body.as_bytes());
            world.send(producer, &frame.with("transaction", "t"));
            world.send(producer, &named(Verb::Commit, "transaction", "t"));
            sent.push(body);
        }
        assert!(world.broker.totals().memory_messages <= 2000);
        world.send(consumer, &subscribe("1", "/queue/a", "auto"));
        assert_eq!(bodies(&mut world, consumer), sent);
    }
}

/// A clean stop took the horizon back to nothing, and with it the flags of messages that a crash
/// before had left doubtful.
#[test]
fn a_clean_stop_keeps_the_flags_that_a_crash_has_left() {
    let disk = Disk::new(false);
    let mut first = world(&disk, |_| {});
    let client = first.connect(Version::V1_2);
    first.send(client, &subscribe("1", "/queue/a", "client"));
    first.send(client, &persistent("000001"));
    assert_eq!(bodies(&mut first, client), ["000001"]);
    drop(first);
    disk.crash(0);
    let mut second = world(&disk, |_| {});
    let client = second.connect(Version::V1_2);
    // It is sent to a queue without consumers, behind a horizon that was raised ahead before.
    second.send(client, &persistent("000002"));
    second.vanish(client);
    second.broker.shutdown().unwrap();
    let mut third = world(&disk, |_| {});
    let client = third.connect(Version::V1_2);
    third.send(client, &subscribe("1", "/queue/a", "client"));
    let flags: Vec<_> = (0..2).map(|_| third.receive(client)).collect();
    let flags: Vec<_> = flags.iter().map(|frame| frame.get("redelivered")).collect();
    assert_eq!(flags, [Some("true"), None]);
}

/// The last message of a cumulative acknowledgement was never stored, so its receipt went out at once,
/// though the others were not removed yet.
#[test]
fn the_receipt_of_a_cumulative_acknowledgement_is_for_all_of_it() {
    let disk = Disk::new(false);
    let mut world = world(&disk, |_| {});
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe("1", "/queue/a", "client"));
    world.send(client, &persistent("000001"));
    assert_eq!(bodies(&mut world, client), ["000001"]);
    let mut bytes = Vec::new();
    persistent("000002").encode(Version::V1_2, &mut bytes);
    world.queue_bytes(client, &bytes);
    while world.turn(client) {}
    let second = ack_of(&world.receive(client));
    bytes.clear();
    let ack = named(Verb::Ack, "id", &second).with("receipt", "1");
    ack.encode(Version::V1_2, &mut bytes);
    world.queue_bytes(client, &bytes);
    while world.turn(client) {}
    assert_eq!(world.try_receive(client), None, "the removal is not stored");
    world.run();
    assert_eq!(world.receive(client).verb, Verb::Receipt);
    assert!(!disk.holds("000001"));
}

/// Lets a client take turns, without the writer.
fn turns(world: &mut World, client: Id, frames: &[OwnedFrame]) {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(Version::V1_2, &mut bytes);
    }
    world.queue_bytes(client, &bytes);
    while world.turn(client) {}
}

/// A message died before it was stored, and its sender had the receipt before its dead letter was.
#[test]
fn the_receipt_of_a_message_that_dies_early_is_for_its_dead_letter() {
    let disk = Disk::new(false);
    let mut world = world(&disk, |settings| settings.policy.redelivery_max = 0);
    let (producer, consumer) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    world.send(consumer, &subscribe("1", "/queue/a", "client"));
    turns(
        &mut world,
        producer,
        &[persistent("000001").with("receipt", "1")],
    );
    turns(&mut world, consumer, &[]);
    let ack = ack_of(&world.receive(consumer));
    turns(&mut world, consumer, &[named(Verb::Nack, "id", &ack)]);
    turns(&mut world, producer, &[]);
    assert_eq!(
        world.try_receive(producer),
        None,
        "the dead letter is not stored"
    );
    world.run();
    assert_eq!(world.receive(producer).verb, Verb::Receipt);
    assert!(disk.holds("000001"));
}

/// The same with a message that a transaction consumes, which is not stored either.
#[test]
fn the_receipt_of_a_message_that_is_consumed_early_is_for_the_whole_transaction() {
    let disk = Disk::new(false);
    let mut world = world(&disk, |_| {});
    let (producer, consumer) = (world.connect(Version::V1_2), world.connect(Version::V1_2));
    world.send(consumer, &subscribe("1", "/queue/a", "client"));
    turns(
        &mut world,
        producer,
        &[persistent("000001").with("receipt", "1")],
    );
    turns(&mut world, consumer, &[]);
    let ack = ack_of(&world.receive(consumer));
    let within = |frame: OwnedFrame| frame.with("transaction", "t");
    let commit = [
        within(OwnedFrame::new(Verb::Begin)),
        within(named(Verb::Ack, "id", &ack)),
        within(persistent("000002")),
        within(OwnedFrame::new(Verb::Commit)),
    ];
    turns(&mut world, consumer, &commit);
    turns(&mut world, producer, &[]);
    assert_eq!(
        world.try_receive(producer),
        None,
        "the transaction is not stored"
    );
    world.run();
    assert_eq!(world.receive(producer).verb, Verb::Receipt);
    assert!(disk.holds("000002") && !disk.holds("000001"));
}

/// What a transaction gives back to a subscription that has ended stayed in the accounts.
#[test]
fn what_returns_to_an_ended_subscription_of_a_topic_is_forgotten() {
    let mut world = world(&Disk::new(false), |_| {});
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe("1", "/topic/a", "client-individual"));
    let frame = send("000001");
    let headers = vec![("destination".to_owned(), "/topic/a".to_owned())];
    world.send(client, &OwnedFrame { headers, ..frame });
    let ack = ack_of(&world.receive(client));
    world.send(client, &named(Verb::Begin, "transaction", "t"));
    world.send(
        client,
        &named(Verb::Nack, "id", &ack).with("transaction", "t"),
    );
    world.send(client, &named(Verb::Unsubscribe, "id", "1"));
    world.send(client, &named(Verb::Commit, "transaction", "t"));
    assert_eq!(world.broker.totals().memory_messages, 0);
}

/// A page came for a subscription of a topic that had ended, and stayed in the accounts.
#[test]
fn a_page_for_an_ended_subscription_of_a_topic_is_forgotten() {
    let mut world = world(&Disk::new(false), |settings| {
        settings.policy.memory_window_bytes = 300;
    });
    let client = world.connect(Version::V1_2);
    let one = subscribe("1", "/topic/a", "client-individual").with("prefetch-count", "1");
    world.send(client, &one);
    let headers = vec![("destination".to_owned(), "/topic/a".to_owned())];
    for body in ["000001", "000002", "000003", "000004"] {
        let headers = headers.clone();
        world.send(
            client,
            &OwnedFrame {
                headers,
                ..send(body)
            },
        );
    }
    let ack = ack_of(&world.receive(client));
    let within = |frame: OwnedFrame| frame.with("transaction", "t");
    let settle = [
        within(OwnedFrame::new(Verb::Begin)),
        within(named(Verb::Ack, "id", &ack)),
        named(Verb::Unsubscribe, "id", "1"),
    ];
    turns(&mut world, client, &settle);
    assert!(world.broker.step_pager(), "a page was on its way");
    world.send(client, &within(OwnedFrame::new(Verb::Commit)));
    assert_eq!(world.broker.totals().memory_messages, 0);
}
