//! What clients of `ActiveMQ` rely on most, said to the real binary over a socket: the tests of the same
//! names in `tests/conformance` say it to the session directly, and many more.

use std::io::{Read as _, Write as _};

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, ack, persistent, subscribe};

const Q: &str = "/queue/test";
const DEAD: &str = "/queue/ActiveMQ.DLQ";

/// A broker with a store, and a client.
fn start() -> (Process, Plain, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let settings = [
        "--data",
        data,
        "--set",
        "store.ring=1MiB",
        "--set",
        "redelivery.delay=0s",
    ];
    let broker = Process::start(&settings);
    let client = Plain::connect(broker.stomp);
    (broker, client, directory)
}

fn frame(verb: Verb) -> OwnedFrame {
    OwnedFrame::new(verb)
}

fn within(verb: Verb, transaction: &str) -> OwnedFrame {
    frame(verb).with("transaction", transaction)
}

fn nack(message: &OwnedFrame) -> OwnedFrame {
    frame(Verb::Nack).with("id", message.get("ack").unwrap())
}

/// The bodies of so many messages, which are acknowledged.
fn consume(client: &mut Plain, count: usize) -> Vec<String> {
    let taken = (0..count).map(|_| {
        let message = client.receive();
        assert_eq!(message.verb, Verb::Message, "{message:?}");
        client.request(ack(&message));
        String::from_utf8(message.body).unwrap()
    });
    taken.collect()
}

/// What is said as it is written, and all that is answered until the broker closes.
fn conversation(broker: &Process, text: &str) -> String {
    let mut client = Plain::open(broker.stomp);
    client.stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn test_connect_with_version_options() {
    let (broker, _client, _directory) = start();
    for (accept, expected) in [
        ("1.0", "1.0"),
        ("1.0,1.1", "1.1"),
        ("1.1,1.2,1.0", "1.2"),
        ("1.0,10.1", "1.0"),
    ] {
        let mut client = Plain::open(broker.stomp);
        let login = frame(Verb::Connect).with("accept-version", accept);
        client.send(&login.with("heart-beat", "0,0"));
        let connected = client.receive();
        assert_eq!(connected.get("version"), Some(expected), "{connected:?}");
        assert!(connected.get("session").is_some());
        assert!(connected.get("server").unwrap().contains("ActiveMQ"));
    }
}

#[test]
fn test_connect_with_invalid_fallback() {
    let (broker, _client, _directory) = start();
    let answer = conversation(&broker, "CONNECT\naccept-version:9.0,10.0\nhost:x\n\n\0");
    assert!(answer.starts_with("ERROR\n"), "{answer}");
    assert!(answer.contains("\ncode:version-mismatch\n"), "{answer}");
    assert!(answer.contains("\nversion:1.0,1.1,1.2\n"), "{answer}");
}

#[test]
fn test_telnet_style_sends() {
    let (broker, mut client, _directory) = start();
    let answer = conversation(
        &broker,
        "CONNECT\r\naccept-version:1.2\r\nhost:x\r\n\r\n\0\r\n\
         SEND\r\ndestination:/queue/test\r\nreceipt:1\r\n\r\ntyped\0\r\n\
         DISCONNECT\r\nreceipt:2\r\n\r\n\0",
    );
    assert!(answer.contains("receipt-id:1\n"), "{answer}");
    assert!(answer.contains("receipt-id:2\n"), "{answer}");
    client.send(&subscribe("1", Q));
    assert_eq!(consume(&mut client, 1), ["typed"]);
}

#[test]
fn test_frame_header_escapes() {
    let (_broker, mut client, _directory) = start();
    let value = "colon: newline\n return\r backslash\\ ü";
    client.request(persistent(Q, "x").with("cost", value));
    client.send(&subscribe("1", Q));
    let message = client.receive();
    assert_eq!(message.get("cost"), Some(value), "{message:?}");
}

#[test]
fn test_bytes_message_with_nulls() {
    let (_broker, mut client, _directory) = start();
    let body = [1, 0, 0, 4, 0];
    let send = frame(Verb::Send).with("destination", Q);
    client.request(send.with_body(&body));
    client.send(&subscribe("1", Q));
    let message = client.receive();
    assert_eq!(message.body, body);
    assert_eq!(message.get("content-length"), Some("5"));
}

#[test]
fn test_send_receive_big_message() {
    let (_broker, mut client, _directory) = start();
    let body = "x".repeat(5_000_000);
    client.request(persistent(Q, &body));
    client.send(&subscribe("1", Q));
    assert_eq!(consume(&mut client, 1), [body]);
}

#[test]
fn test_messages_are_in_order() {
    let (broker, mut client, _directory) = start();
    for number in 0..100 {
        client.send(&persistent(Q, &number.to_string()));
    }
    let mut consumer = Plain::connect(broker.stomp);
    consumer.send(&subscribe("1", Q));
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(consume(&mut consumer, 100), expected);
}

#[test]
fn test_client_ack_multiple_messages_with_single_ack() {
    let (broker, mut client, _directory) = start();
    for body in ["1", "2", "3"] {
        client.request(persistent(Q, body));
    }
    let mut cumulative = frame(Verb::Subscribe).with("id", "1");
    cumulative = cumulative.with("destination", Q).with("ack", "client");
    client.send(&cumulative);
    client.receive();
    let second = client.receive();
    client.receive();
    client.request(ack(&second));
    client.request(frame(Verb::Disconnect));
    let mut other = Plain::connect(broker.stomp);
    other.send(&subscribe("1", Q));
    let message = other.receive();
    assert_eq!(message.body, b"3");
    assert_eq!(message.get("redelivered"), Some("true"));
}

#[test]
fn test_nack_message() {
    let (_broker, mut client, _directory) = start();
    client.request(persistent(Q, "bad"));
    client.send(&subscribe("1", Q));
    for delivery in 1..=7 {
        let message = client.receive();
        let count = (delivery > 1).then(|| delivery.to_string());
        assert_eq!(message.get("JMSXDeliveryCount"), count.as_deref());
        client.request(nack(&message));
    }
    client.send(&subscribe("2", DEAD));
    let dead = client.receive();
    assert_eq!(dead.get("subscription"), Some("2"));
    assert_eq!(dead.get("original-destination"), Some(Q));
    assert_eq!(dead.body, b"bad");
}

#[test]
fn test_unsubscribe() {
    let (_broker, mut client, _directory) = start();
    client.request(subscribe("1", Q));
    client.request(frame(Verb::Unsubscribe).with("id", "1"));
    client.request(persistent(Q, "for whoever comes"));
    client.send(&subscribe("2", Q));
    let message = client.receive();
    assert_eq!(message.get("subscription"), Some("2"));
}

#[test]
fn test_transaction_commit() {
    let (broker, mut client, _directory) = start();
    let mut consumer = Plain::connect(broker.stomp);
    consumer.request(subscribe("1", Q));
    client.send(&within(Verb::Begin, "t"));
    client.send(&persistent(Q, "inside").with("transaction", "t"));
    client.request(persistent(Q, "outside"));
    assert_eq!(consume(&mut consumer, 1), ["outside"]);
    client.request(within(Verb::Commit, "t"));
    assert_eq!(consume(&mut consumer, 1), ["inside"]);
}

#[test]
fn test_transaction_rollback() {
    let (_broker, mut client, _directory) = start();
    client.request(persistent(Q, "kept"));
    client.send(&subscribe("1", Q));
    let message = client.receive();
    client.send(&within(Verb::Begin, "t"));
    client.send(&persistent(Q, "dropped").with("transaction", "t"));
    client.request(ack(&message).with("transaction", "t"));
    client.request(within(Verb::Abort, "t"));
    // The same id is valid again, and nothing else has come.
    client.request(ack(&message));
    client.request(persistent(Q, "last"));
    assert_eq!(consume(&mut client, 1), ["last"]);
}

#[test]
fn test_disconnected_clients_are_removed_from_the_broker() {
    let (broker, mut client, _directory) = start();
    client.request(persistent(Q, "x"));
    let mut first = Plain::connect(broker.stomp);
    first.send(&subscribe("1", Q));
    assert_eq!(first.receive().get("redelivered"), None);
    drop(first);
    client.send(&subscribe("1", Q));
    assert_eq!(client.receive().get("redelivered"), Some("true"));
}

#[test]
fn test_subscribe_to_topic_reaches_all() {
    let (broker, mut client, _directory) = start();
    let mut consumers: Vec<_> = (0..3).map(|_| Plain::connect(broker.stomp)).collect();
    for consumer in &mut consumers {
        consumer.request(subscribe("1", "/topic/news"));
    }
    client.request(persistent("/topic/news", "to all"));
    for consumer in &mut consumers {
        assert_eq!(consume(consumer, 1), ["to all"]);
    }
}

#[test]
fn test_errors_name_the_cause_and_keep_the_connection() {
    let (_broker, mut client, _directory) = start();
    let unknown = frame(Verb::Ack).with("id", "nothing").with("receipt", "1");
    for (refused, code) in [
        (unknown, "unknown-ack"),
        (frame(Verb::Send).with("receipt", "1"), "missing-header"),
        (
            within(Verb::Commit, "none").with("receipt", "1"),
            "unknown-transaction",
        ),
        (
            subscribe("1", Q)
                .with("selector", "a = ")
                .with("receipt", "1"),
            "invalid-selector",
        ),
    ] {
        client.send(&refused);
        let error = client.receive();
        assert_eq!(error.verb, Verb::Error);
        assert_eq!(error.get("code"), Some(code), "{error:?}");
        assert_eq!(error.get("receipt-id"), Some("1"));
    }
    client.request(persistent(Q, "still here"));
}
