//! Senders that are made to wait, and what becomes of them when the wait is over.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::store::MemoryStore;

use crate::say::{assert_alive, frame, message, send, subscribe};
use crate::support::world::{Id, World, config};

const Q: &str = "/queue/test";
const OTHER: &str = "/queue/other";

/// A world whose queues hold one message of 900 bytes, and a client that has filled one.
fn filled() -> (World, Id) {
    let mut small = config();
    small.policy.max_bytes = 1000;
    let mut world = World::with(&small, Box::new(MemoryStore::default()));
    let client = world.connect(Version::V1_2);
    world.send(client, &send(Q).with_body(&[7; 900]));
    (world, client)
}

fn large(destination: &str, receipt: &str) -> OwnedFrame {
    let frame = send(destination).with("receipt", receipt);
    frame.with_body(&[7; 900])
}

/// The answers that have come, as (verb, receipt, code).
fn answers(world: &mut World, client: Id) -> Vec<(Verb, String, String)> {
    let frames = world.drain(client);
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    frames
        .iter()
        .map(|frame| {
            (
                frame.verb,
                text(frame.get("receipt-id")),
                text(frame.get("code")),
            )
        })
        .collect()
}

fn full(receipt: &str) -> (Verb, String, String) {
    (Verb::Error, receipt.to_owned(), "full".to_owned())
}

fn receipt(receipt: &str) -> (Verb, String, String) {
    (Verb::Receipt, receipt.to_owned(), String::new())
}

#[test]
fn senders_wait_for_room_together_not_one_after_the_other() {
    let (mut world, client) = filled();
    for name in ["1", "2", "3"] {
        world.send(client, &large(Q, name));
    }
    world.send(client, &large(OTHER, "4"));
    assert_eq!(answers(&mut world, client), []);
    world.advance(Duration::from_secs(10));
    let expected = [full("1"), full("2"), full("3"), receipt("4")];
    assert_eq!(answers(&mut world, client), expected);
    assert_alive(&mut world, client);
}

#[test]
fn who_came_later_waits_longer() {
    let (mut world, client) = filled();
    world.send(client, &large(Q, "1"));
    world.advance(Duration::from_secs(6));
    world.send(client, &large(Q, "2"));
    world.advance(Duration::from_secs(4));
    assert_eq!(answers(&mut world, client), [full("1")]);
    world.advance(Duration::from_secs(5));
    assert_eq!(answers(&mut world, client), []);
    world.advance(Duration::from_secs(1));
    assert_eq!(answers(&mut world, client), [full("2")]);
}

#[test]
fn while_some_find_room_the_others_go_on_waiting() {
    let (mut world, client) = filled();
    for name in ["1", "2"] {
        world.send(client, &large(Q, name));
    }
    world.advance(Duration::from_secs(9));
    let consumer = world.connect(Version::V1_2);
    let one = subscribe(Q, "s").with("ack", "client-individual");
    world.send(consumer, &one.with("prefetch-count", "1"));
    message(&mut world, consumer);
    assert_eq!(answers(&mut world, client), [receipt("1")]);
    world.advance(Duration::from_secs(9));
    assert_eq!(answers(&mut world, client), []);
    world.advance(Duration::from_secs(1));
    assert_eq!(answers(&mut world, client), [full("2")]);
}

#[test]
fn a_stopping_broker_refuses_who_waits_for_room() {
    let (mut world, client) = filled();
    world.send(client, &large(Q, "1"));
    world.stop();
    let told = |receipt: &str| (Verb::Error, receipt.to_owned(), "shutdown".to_owned());
    assert_eq!(answers(&mut world, client), [told("1"), told("")]);
    assert!(world.is_closed(client));
}

#[test]
fn a_stopping_broker_gives_the_receipts_that_are_due() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let mut bytes = Vec::new();
    let durable = send(Q).with("persistent", "true").with_body(b"x");
    durable
        .with("receipt", "1")
        .encode(Version::V1_2, &mut bytes);
    frame(Verb::Begin)
        .with("transaction", "t")
        .encode(Version::V1_2, &mut bytes);
    let within = send(Q).with("transaction", "t").with_body(b"y");
    within.encode(Version::V1_2, &mut bytes);
    let commit = frame(Verb::Commit).with("transaction", "t");
    commit
        .with("receipt", "2")
        .encode(Version::V1_2, &mut bytes);
    world.queue_bytes(client, &bytes);
    // It is taken, but nothing is committed yet.
    world.turn(client);
    assert_eq!(world.untaken(client), 0);
    assert_eq!(answers(&mut world, client), []);
    world.stop();
    let mut heard = answers(&mut world, client);
    let last = (Verb::Error, String::new(), "shutdown".to_owned());
    assert_eq!(heard.pop(), Some(last));
    heard.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(heard, [receipt("1"), receipt("2")]);
    assert!(world.is_closed(client));
}

#[test]
fn what_has_not_arrived_whole_counts_and_waits_for_memory_but_not_for_ever() {
    const MIB: usize = 1 << 20;
    let mut small = config();
    small.memory_limit_bytes = MIB as u64;
    let mut world = World::with(&small, Box::new(MemoryStore::default()));
    let [greedy, other] = [(); 2].map(|()| world.connect(Version::V1_2));
    world.set_chunk(greedy, 64 * 1024);
    let head = format!("SEND\ndestination:{Q}\ncontent-length:{}\n\n", 3 * MIB);
    world.send_bytes(greedy, head.as_bytes());
    world.send_bytes(greedy, &vec![7; 2 * MIB]);
    assert!(world.untaken(greedy) > MIB / 2, "it is not all taken");
    let memory = world.broker.totals().memory_messages;
    assert!(
        (MIB..2 * MIB).contains(&usize::try_from(memory).unwrap()),
        "{memory}"
    );

    world.advance(Duration::from_secs(1));
    world.send(other, &large(OTHER, "1"));
    assert_eq!(answers(&mut world, other), []);
    world.advance(Duration::from_secs(9));
    assert_eq!(answers(&mut world, greedy), [full("")]);
    assert!(world.is_closed(greedy));
    assert_eq!(answers(&mut world, other), [receipt("1")]);
}
