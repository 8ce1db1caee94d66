//! Transactions: the rows of every version.

use std::collections::VecDeque;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::protocol::stomp::Nack;

use crate::say::{
    ack_id, ack_message, bodies, frame, granted, message, refused, send, settle_id, subscribe,
    transaction, waiting,
};
use crate::support::world::{Id, World};

const Q: &str = "/queue/test";
const DEAD: &str = "/queue/ActiveMQ.DLQ";

fn begin(world: &mut World, client: Id, name: &str) {
    assert_eq!(granted(world, client, transaction(Verb::Begin, name)), []);
}

/// A client with `count` messages of a queue.
fn consumer(world: &mut World, version: Version, ack: &str, count: usize) -> (Id, Vec<OwnedFrame>) {
    let client = world.connect(version);
    world.send(client, &subscribe(Q, "12345").with("ack", ack));
    for number in 0..count {
        world.send(client, &send(Q).with_body(number.to_string().as_bytes()));
    }
    let received = world.drain(client);
    assert_eq!(received.len(), count);
    (client, received)
}

#[test]
fn test_transaction_commit() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    begin(&mut world, client, "tx1");
    let sent = send(Q).with("transaction", "tx1").with_body(b"hello");
    assert_eq!(granted(&mut world, client, sent), [], "when buffered");
    assert_eq!(waiting(&mut world, Q), []);
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Commit, "tx1")),
        []
    );
    assert_eq!(waiting(&mut world, Q).len(), 1);
}

#[test]
fn test_transaction_rollback() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    for (body, end) in [("dropped", Verb::Abort), ("kept", Verb::Commit)] {
        begin(&mut world, client, "tx1");
        let sent = send(Q).with("transaction", "tx1");
        world.send(client, &sent.with_body(body.as_bytes()));
        assert_eq!(granted(&mut world, client, transaction(end, "tx1")), []);
    }
    world.send(client, &subscribe(Q, ""));
    assert_eq!(bodies(&mut world, client), ["kept"]);
}

#[test]
fn test_message_id_header() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    begin(&mut world, client, "tx1");
    world.send(client, &send(Q).with("transaction", "tx1").with_body(b"x"));
    world.send(client, &transaction(Verb::Commit, "tx1"));
    world.send(client, &subscribe(Q, ""));
    let received = message(&mut world, client);
    assert_eq!(received.get("transaction"), None);
    assert!(received.get("message-id").unwrap().starts_with("ID"));
}

/// Without its exclusive consumer, which is not built yet.
#[test]
fn test_transactions_with_multiple_destinations() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let one = subscribe(Q, "").with("ack", "client");
    world.send(client, &one.with("activemq.prefetchSize", "1"));
    world.send(client, &send(Q).with_body(b"test"));
    let received = message(&mut world, client);
    begin(&mut world, client, "tx1");
    world.send(client, &ack_message(&received).with("transaction", "tx1"));
    let other = send("/queue/other").with("transaction", "tx1");
    world.send(client, &other.with_body(b"test"));
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Commit, "tx1")),
        []
    );
    world.send(client, &send(Q).with_body(b"next"));
    assert_eq!(bodies(&mut world, client), ["next"]);
    assert_eq!(waiting(&mut world, "/queue/other").len(), 1);
}

#[test]
fn test_transacted_client_ack_broker_stats() {
    let mut world = World::new();
    let (client, received) = consumer(&mut world, Version::V1_0, "client", 2);
    begin(&mut world, client, "tx1");
    for message in &received {
        world.send(client, &ack_message(message).with("transaction", "tx1"));
    }
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Commit, "tx1")),
        []
    );
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

fn ack_in_transactions(destination: &str) {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let window = subscribe(destination, "")
        .with("ack", "client")
        .with("activemq.prefetchSize", "10");
    world.send(client, &window);
    for number in 0..50_u32 {
        world.send(
            client,
            &send(destination).with_body(number.to_string().as_bytes()),
        );
    }
    let mut inbox = VecDeque::from(world.drain(client));
    for round in 0..5_u32 {
        let name = format!("tx-{round}");
        inbox.extend(granted(&mut world, client, transaction(Verb::Begin, &name)));
        for number in 0..10 {
            let received = inbox
                .pop_front()
                .expect("delivery goes on in a transaction");
            assert_eq!(received.body, (10 * round + number).to_string().as_bytes());
            world.send(client, &ack_message(&received).with("transaction", &name));
            inbox.extend(world.drain(client));
        }
        let end = transaction(Verb::Commit, &name);
        inbox.extend(granted(&mut world, client, end));
    }
    assert!(inbox.is_empty());
    world.vanish(client);
    if destination.starts_with("/queue") {
        assert_eq!(waiting(&mut world, destination), []);
    }
}

#[test]
fn test_ack_in_transaction_topic() {
    ack_in_transactions("/topic/test");
}

#[test]
fn test_ack_in_transaction_queue() {
    ack_in_transactions(Q);
}

fn rollback_allows_second_ack(ack: &str) {
    let mut world = World::new();
    let (client, received) = consumer(&mut world, Version::V1_1, ack, 1);
    begin(&mut world, client, "tx1");
    let within = ack_message(&received[0]).with("transaction", "tx1");
    assert_eq!(granted(&mut world, client, within), []);
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Abort, "tx1")),
        [],
        "nothing is redelivered"
    );
    assert_eq!(granted(&mut world, client, ack_message(&received[0])), []);
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_transaction_rollback_allows_second_ack_outside_tx_client_ack() {
    rollback_allows_second_ack("client");
}

#[test]
fn test_transaction_rollback_allows_second_ack_outside_tx_client_individual_ack() {
    rollback_allows_second_ack("client-individual");
}

fn ack_out_of_order(ack: &str) {
    let mut world = World::new();
    let (client, received) = consumer(&mut world, Version::V1_1, ack, 2);
    begin(&mut world, client, "tx1");
    for index in [1, 0] {
        let within = ack_message(&received[index]).with("transaction", "tx1");
        assert_eq!(granted(&mut world, client, within), []);
    }
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Commit, "tx1")),
        []
    );
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_ack_messages_in_transaction_out_of_order_with_tx_client_ack() {
    ack_out_of_order("client");
}

#[test]
fn test_ack_messages_in_transaction_out_of_order_with_tx_client_individual_ack() {
    ack_out_of_order("client-individual");
}

/// An open transaction keeps what it acknowledged from others.
#[test]
fn an_acknowledgement_belongs_to_one_transaction() {
    let mut world = World::new();
    let (client, received) = consumer(&mut world, Version::V1_2, "client", 2);
    begin(&mut world, client, "one");
    begin(&mut world, client, "two");
    let within = ack_id(&received[1]).with("transaction", "one");
    assert_eq!(granted(&mut world, client, within), []);
    let other = ack_id(&received[0]).with("transaction", "two");
    let error = refused(&mut world, client, other);
    assert_eq!(error.get("code"), Some("unknown-ack"));
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Commit, "one")),
        []
    );
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_repeated_client_individual_ack_in_multiple_transactions() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for number in 0..50_u32 {
        world.send(client, &send(Q).with_body(number.to_string().as_bytes()));
    }
    let one = subscribe(Q, "1").with("ack", "client-individual");
    world.send(client, &one.with("activemq.prefetchSize", "1"));
    let mut received = message(&mut world, client);
    for number in 0..50_u32 {
        assert_eq!(received.body, number.to_string().as_bytes());
        let name = format!("tx-{number}");
        world.send(client, &transaction(Verb::Begin, &name));
        world.send(client, &ack_id(&received).with("transaction", &name));
        world.send(client, &transaction(Verb::Commit, &name));
        match world.drain(client).pop() {
            Some(next) => received = next,
            None => assert_eq!(number, 49),
        }
    }
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
}

/// Acknowledges ten messages in a transaction, aborts it, and settles each by its old id.
fn settle_after_abort(ack: &str, settle: Verb) {
    let mut world = World::new().session(|config| config.nack = Nack::DeadLetter);
    let client = world.connect(Version::V1_2);
    for number in 0..10_u32 {
        world.send(client, &send(Q).with_body(number.to_string().as_bytes()));
    }
    let cumulative = ack == "client";
    let prefetch = if cumulative { "10" } else { "1" };
    let window = subscribe(Q, "1").with("ack", ack);
    world.send(client, &window.with("activemq.prefetchSize", prefetch));
    world.send(client, &transaction(Verb::Begin, "tx1"));
    let mut received = world.drain(client);
    if cumulative {
        world.send(client, &ack_id(&received[9]).with("transaction", "tx1"));
    } else {
        while received.len() < 10 {
            let last = received.last().unwrap();
            world.send(client, &ack_id(last).with("transaction", "tx1"));
            received.push(message(&mut world, client));
        }
        world.send(client, &ack_id(&received[9]).with("transaction", "tx1"));
    }
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Abort, "tx1")),
        []
    );
    assert_eq!(waiting(&mut world, Q), [], "the consumer still holds them");
    if cumulative && settle == Verb::Ack {
        assert_eq!(granted(&mut world, client, ack_id(&received[9])), []);
    } else {
        for one in &received {
            assert_eq!(granted(&mut world, client, settle_id(settle, one)), []);
        }
    }
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), []);
    let dead = if settle == Verb::Nack { 10 } else { 0 };
    assert_eq!(waiting(&mut world, DEAD).len(), dead);
}

#[test]
fn test_ack_messages_after_transaction_abort_client_individual_ack_mode() {
    settle_after_abort("client-individual", Verb::Ack);
}

#[test]
fn test_nack_messages_after_transaction_abort_client_individual_ack_mode() {
    settle_after_abort("client-individual", Verb::Nack);
}

#[test]
fn test_ack_messages_after_transaction_abort_client_ack_mode() {
    settle_after_abort("client", Verb::Ack);
}

#[test]
fn test_nack_messages_after_transaction_abort_client_ack_mode() {
    settle_after_abort("client", Verb::Nack);
}

/// NACK in a transaction takes effect when it commits, and is undone when it aborts.
#[test]
fn nack_in_a_transaction() {
    let mut world = World::new();
    let (client, received) = consumer(&mut world, Version::V1_2, "client", 1);
    begin(&mut world, client, "tx1");
    let nack = settle_id(Verb::Nack, &received[0]).with("transaction", "tx1");
    assert_eq!(granted(&mut world, client, nack.clone()), []);
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Abort, "tx1")),
        []
    );
    begin(&mut world, client, "tx1");
    assert_eq!(granted(&mut world, client, nack), [], "valid again");
    let again = granted(&mut world, client, transaction(Verb::Commit, "tx1"));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].get("redelivered"), Some("true"));
}

/// As with `ActiveMQ`, where NACK is the end of a message at once.
#[test]
fn nack_in_a_transaction_is_refused_where_it_is_final() {
    let mut world = World::new().session(|config| config.nack = Nack::DeadLetter);
    let (client, received) = consumer(&mut world, Version::V1_2, "client", 1);
    begin(&mut world, client, "tx1");
    let nack = settle_id(Verb::Nack, &received[0]).with("transaction", "tx1");
    let error = refused(&mut world, client, nack);
    assert!(
        error
            .get("message")
            .unwrap()
            .starts_with("Poison ack cannot be transacted"),
        "{error:?}"
    );
}

/// A transaction with a hole in it must not be committed.
#[test]
fn a_refused_frame_ends_its_transaction() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    begin(&mut world, client, "tx1");
    world.send(client, &send(Q).with("transaction", "tx1").with_body(b"x"));
    let nowhere = send("/queue/>").with("transaction", "tx1");
    let error = refused(&mut world, client, nowhere.with_body(b"y"));
    assert!(
        error
            .get("message")
            .unwrap()
            .ends_with("its transaction was rolled back")
    );
    let error = refused(&mut world, client, transaction(Verb::Commit, "tx1"));
    assert_eq!(error.get("code"), Some("unknown-transaction"));
    assert_eq!(waiting(&mut world, Q), []);
}

/// A frame that is no part of a transaction does not end it.
#[test]
fn a_second_begin_leaves_the_transaction_open() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    begin(&mut world, client, "tx1");
    world.send(client, &send(Q).with("transaction", "tx1").with_body(b"x"));
    let error = refused(&mut world, client, transaction(Verb::Begin, "tx1"));
    assert_eq!(error.get("code"), Some("transaction-exists"));
    assert_eq!(
        granted(&mut world, client, transaction(Verb::Commit, "tx1")),
        []
    );
    assert_eq!(waiting(&mut world, Q).len(), 1);
}

/// One ERROR for one frame, also where the transaction had ended by its time-out.
#[test]
fn a_transaction_that_was_left_open_ends() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    begin(&mut world, client, "tx1");
    world.send(client, &send(Q).with("transaction", "tx1").with_body(b"x"));
    world.advance(std::time::Duration::from_mins(5));
    let late = send(Q).with("transaction", "tx1").with_body(b"y");
    let error = refused(&mut world, client, late);
    assert_eq!(error.get("code"), Some("unknown-transaction"));
    assert!(error.get("message").unwrap().contains("limits.tx_timeout"));
    world.send(client, &frame(Verb::Disconnect));
    assert_eq!(world.drain(client), []);
    assert_eq!(waiting(&mut world, Q), []);
}
