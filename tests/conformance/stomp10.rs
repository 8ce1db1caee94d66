//! STOMP 1.0, and what holds in every version.

use tidegate::internal::codec::stomp::{Verb, Version};

use crate::say::{
    ack_message, bodies, frame, granted, message, send, send_text, subscribe, waiting,
};
use crate::support::world::{EPOCH, World};

const Q: &str = "/queue/test";

#[test]
fn test_connect() {
    let mut world = World::new();
    let client = world.open();
    let login = frame(Verb::Connect)
        .with("login", "system")
        .with("passcode", "manager")
        .with("request-id", "1");
    world.send(client, &login);
    let connected = world.receive(client);
    assert_eq!(connected.verb, Verb::Connected);
    assert_eq!(connected.get("response-id"), Some("1"));
    assert_eq!(connected.get("version"), Some("1.0"));
    assert_eq!(connected.get("heart-beat"), Some("0,0"));
    assert!(connected.get("server").unwrap().contains("ActiveMQ"));
}

#[test]
fn test_send_message() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &[], "Hello World");
    let message = message(&mut world, client);
    assert_eq!(message.body, b"Hello World");
    assert_eq!(message.get("content-length"), None, "a text message");
    assert_eq!(message.get("timestamp"), Some(EPOCH.0.to_string().as_str()));
    assert_eq!(message.get("destination"), Some(Q));
    assert_eq!(message.get("expires"), Some("0"));
    assert_eq!(message.get("subscription"), None, "it was given no id");
}

#[test]
fn test_send_4byte_utf8_stomp_to_stomp() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &[], "!®౩\u{1F61C}");
    assert_eq!(message(&mut world, client).body, "!®౩\u{1F61C}".as_bytes());
}

#[test]
fn test_send_message_with_standard_headers() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let lines = [
        "correlation-id:c123",
        "priority:3",
        "type:t345",
        "foo:abc",
        "bar:123",
    ];
    send_text(&mut world, client, Q, &lines, "Hello World");
    let message = message(&mut world, client);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        assert_eq!(message.get(name), Some(value));
    }
}

#[test]
fn test_send_message_with_no_priority_receives_default() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &["correlation-id:c123"], "Hello");
    assert_eq!(message(&mut world, client).get("priority"), Some("4"));
}

/// The JMS spelling of a header overrides the STOMP one, whichever comes first.
#[test]
fn jms_spellings_override() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let lines = [
        "JMSDeliveryMode:PERSISTENT",
        "persistent:false",
        "JMSPriority:8",
        "priority:1",
        "correlation-id:stomp",
        "JMSCorrelationID:jms",
        "reply-to:stomp",
        "JMSReplyTo:queue://answers",
        "JMSType:jms",
        "type:stomp",
    ];
    send_text(&mut world, client, Q, &lines, "");
    let message = message(&mut world, client);
    for (name, value) in [
        ("persistent", "true"),
        ("priority", "8"),
        ("correlation-id", "jms"),
        ("reply-to", "/queue/answers"),
        ("type", "jms"),
    ] {
        let values: Vec<_> = message.headers.iter().filter(|(n, _)| n == name).collect();
        assert_eq!(values.len(), 1, "{values:?}");
        assert_eq!(message.get(name), Some(value));
    }
}

#[test]
fn test_receipts() {
    let mut world = World::new();
    let consumer = world.connect(Version::V1_0);
    world.send(consumer, &subscribe(Q, ""));
    let client = world.connect(Version::V1_0);
    send_text(&mut world, client, Q, &["receipt: msg-1"], "Hello");
    let receipt = world.receive(client);
    assert_eq!(
        (receipt.verb, receipt.get("receipt-id")),
        (Verb::Receipt, Some("msg-1"))
    );
    let received = message(&mut world, consumer);
    assert_eq!(received.get("receipt"), None, "not for consumers");
    world.send_bytes(client, b"DISCONNECT\nreceipt: dis-1\n\n\0");
    let receipt = world.receive(client);
    assert_eq!(receipt.get("receipt-id"), Some("dis-1"));
    assert!(world.is_closed(client));
}

#[test]
fn test_subscription_receipts() {
    let mut world = World::new();
    let producer = world.connect(Version::V1_0);
    for round in 0..20 {
        world.send(producer, &send(Q).with_body(b"hello"));
        let client = world.connect(Version::V1_0);
        world.send(
            client,
            &subscribe(Q, "").with("receipt", &round.to_string()),
        );
        let receipt = world.receive(client);
        assert_eq!(receipt.verb, Verb::Receipt, "before the first message");
        assert_eq!(receipt.get("receipt-id"), Some(round.to_string().as_str()));
        assert_eq!(message(&mut world, client).body, b"hello");
        let unsubscribe = frame(Verb::Unsubscribe).with("destination", Q);
        assert_eq!(granted(&mut world, client, unsubscribe), []);
        assert_eq!(granted(&mut world, client, frame(Verb::Disconnect)), []);
    }
}

#[test]
fn test_subscribe_with_auto_ack() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "auto"));
    send_text(&mut world, client, Q, &["persistent:true"], "test");
    let received = message(&mut world, client);
    assert_eq!(received.get("destination"), Some(Q));
    assert_eq!(received.get("ack"), None);
    world.vanish(client);
    assert_eq!(waiting(&mut world, Q), [], "acknowledged by being written");
}

#[test]
fn test_subscribe_with_auto_ack_and_bytes_message() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "auto"));
    world.send(client, &send(Q).with_body(&[1, 2, 3, 4, 5]));
    let received = message(&mut world, client);
    assert_eq!(received.get("content-length"), Some("5"));
    assert_eq!(received.get("type"), None);
    assert_eq!(received.body, [1, 2, 3, 4, 5]);
}

#[test]
fn test_bytes_message_with_nulls() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    world.send_bytes(
        client,
        b"SEND\ndestination:/queue/test\ncontent-length:5 \n\n\x01\x02\0\x04\x05\0",
    );
    let received = message(&mut world, client);
    assert_eq!(received.get("content-length"), Some("5"));
    assert_eq!(received.body, b"\x01\x02\0\x04\x05");
}

#[test]
fn test_send_multiple_bytes_messages() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let one = b"SEND\ndestination:/queue/test\ncontent-length:5 \n\n\x01\x02\0\x04\x05\0";
    world.send_bytes(client, &one.repeat(50));
    let received = world.drain(client);
    assert_eq!(received.len(), 50);
    assert!(received.iter().all(|one| one.body == b"\x01\x02\0\x04\x05"));
}

#[test]
fn test_subscribe_with_message_sent_with_properties() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let lines = [
        "S:value", "n:false", "byte:9", "d:2", "i:10", "l:121", "s:12",
    ];
    send_text(&mut world, client, Q, &lines, "Hello World");
    let received = message(&mut world, client);
    assert_eq!(received.body, b"Hello World");
    assert_eq!(received.get("l"), Some("121"));
}

#[test]
fn test_messages_are_in_order() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    for burst in 0..2 {
        let numbers: Vec<_> = (0..10).map(|n| format!("{burst}.{n}")).collect();
        for number in &numbers {
            world.send(client, &send(Q).with_body(number.as_bytes()));
        }
        assert_eq!(bodies(&mut world, client), numbers);
    }
}

#[test]
fn test_subscribe_with_client_ack() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "client"));
    world.send(client, &send(Q).with_body(b"test"));
    let received = message(&mut world, client);
    assert_eq!(received.get("redelivered"), None);
    world.send(client, &frame(Verb::Disconnect));
    let found = waiting(&mut world, Q);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].get("redelivered"), Some("true"));
    assert_eq!(found[0].get("JMSXDeliveryCount"), Some("2"));
}

#[test]
fn test_subscribe_with_client_acked_and_content_length() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "client"));
    world.send(client, &send(Q).with_body(b"test"));
    let received = message(&mut world, client);
    let ack = ack_message(&received).with("content-length", "8511");
    assert_eq!(granted(&mut world, client, ack), []);
    world.send(client, &frame(Verb::Disconnect));
    assert_eq!(waiting(&mut world, Q), []);
}

#[test]
fn test_unsubscribe() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    world.send(client, &send(Q).with_body(b"first"));
    assert_eq!(message(&mut world, client).body, b"first");
    let unsubscribe = frame(Verb::Unsubscribe).with("destination", Q);
    assert_eq!(granted(&mut world, client, unsubscribe), []);
    world.send(client, &send(Q).with_body(b"second"));
    assert_eq!(world.try_receive(client), None);
    assert_eq!(waiting(&mut world, Q).len(), 1);
}

/// What is on its way to a subscriber that acknowledges by itself reaches it, and nobody else.
#[test]
fn unsubscribe_does_not_repeat_what_is_on_its_way() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "auto"));
    world.set_reading(client, false);
    world.send(client, &send(Q).with_body(b"on its way"));
    world.send(client, &frame(Verb::Unsubscribe).with("destination", Q));
    assert_eq!(waiting(&mut world, Q), []);
    world.set_reading(client, true);
    world.run();
    assert_eq!(bodies(&mut world, client), ["on its way"]);
}

/// Nothing is given to a client that has said goodbye: it would be lost with `ack:auto`.
#[test]
fn nothing_is_delivered_behind_a_goodbye() {
    for goodbye in ["DISCONNECT\n\n\0", "DISCONNECT\nreceipt:1\n\n\0"] {
        let mut world = World::new();
        let client = world.connect(Version::V1_0);
        world.send(client, &subscribe(Q, "").with("ack", "auto"));
        let text = format!("SEND\ndestination:{Q}\n\nlate\0{goodbye}");
        world.send_bytes(client, text.as_bytes());
        assert!(world.is_closed(client));
        let heard = world.drain(client);
        assert!(
            heard.iter().all(|frame| frame.verb == Verb::Receipt),
            "{heard:?}"
        );
        assert_eq!(waiting(&mut world, Q).len(), 1);
    }
}

#[test]
fn test_disconnected_clients_are_removed_from_the_broker() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, "").with("ack", "client"));
    world.vanish(client);
    let producer = world.connect(Version::V1_0);
    world.send(producer, &send(Q).with_body(b"for nobody yet"));
    let found = waiting(&mut world, Q);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].get("redelivered"), None, "nobody was given it");
}

#[test]
fn test_transformation_unknown_translator() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &["transformation:test"], "Hello");
    assert_eq!(message(&mut world, client).body, b"Hello");
}

#[test]
fn test_client_set_message_id_is_ignored() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let lines = [
        "message-id:foo",
        "redelivered:true",
        "subscription:foo",
        "JMSXUserID:foo",
        "JMSXDeliveryCount:5",
        "timestamp:1234",
    ];
    send_text(&mut world, client, Q, &lines, "Hello");
    let received = message(&mut world, client);
    assert_ne!(received.get("message-id"), Some("foo"));
    for name in [
        "redelivered",
        "subscription",
        "JMSXUserID",
        "JMSXDeliveryCount",
    ] {
        assert_eq!(received.get(name), None, "{name}");
    }
    assert_eq!(received.get("timestamp"), Some("1234"));
}

/// With `ActiveMQ` an expired persistent message is on its dead-letter queue; here it is dropped. The
/// sender hears the same: a receipt.
#[test]
fn test_expire() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    let expired = send(Q)
        .with("persistent", "true")
        .with("expires", "1")
        .with_body(b"late");
    assert_eq!(granted(&mut world, client, expired), []);
    let soon = (EPOCH.0 + 1000).to_string();
    world.send(client, &send(Q).with("expires", &soon).with_body(b"soon"));
    assert_eq!(waiting(&mut world, Q).len(), 1, "not expired yet");
    world.advance(std::time::Duration::from_secs(1));
    assert_eq!(waiting(&mut world, Q), []);
    assert_eq!(waiting(&mut world, "/queue/ActiveMQ.DLQ"), []);
}

#[test]
fn test_default_jms_reply_to_dest() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &["reply-to:foo"], "Hello");
    assert_eq!(message(&mut world, client).get("reply-to"), Some("foo"));
}

#[test]
fn test_replyto_modification() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let reply_to = "reply-to:/queue/a b/c";
    send_text(&mut world, client, Q, &[reply_to], "Hello");
    assert_eq!(
        message(&mut world, client).get("reply-to"),
        Some("/queue/a b/c")
    );
}

#[test]
fn test_persistent() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &["persistent:true"], "Hello");
    assert_eq!(message(&mut world, client).get("persistent"), Some("true"));
}

#[test]
fn test_persistent_default_value() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    send_text(&mut world, client, Q, &[], "Hello");
    send_text(&mut world, client, Q, &["persistent:TRUE"], "Hello");
    for _ in 0..2 {
        assert_eq!(message(&mut world, client).get("persistent"), None);
    }
}

#[test]
fn test_receipt_new_queue() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    for name in ["/queue/new.1", "/queue/new.2"] {
        let empty = send(name).with("content-length", "0");
        assert_eq!(granted(&mut world, client, empty), []);
        world.send(client, &subscribe(name, name));
        let received = message(&mut world, client);
        assert_eq!(received.get("content-length"), Some("0"));
        assert_eq!(received.body, b"");
    }
}

#[test]
fn test_disconnect_does_not_deadlock_broker() {
    let mut world = World::new();
    for _ in 0..20 {
        let client = world.connect(Version::V1_0);
        world.send(client, &subscribe(Q, "").with("ack", "client"));
        world.set_reading(client, false);
        world.queue_bytes(client, b"SEND\ndestination:/queue/test\nreceipt:1\n\nx\0");
        world.vanish(client);
    }
    let client = world.connect(Version::V1_0);
    crate::say::assert_alive(&mut world, client);
}

#[test]
fn test_header_values_are_trimmed1_0() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    let lines = ["test1: value", "test2:value ", "test3: value "];
    send_text(&mut world, client, Q, &lines, "Hello");
    let received = message(&mut world, client);
    for name in ["test1", "test2", "test3"] {
        assert_eq!(received.get(name), Some("value"));
    }
}

#[test]
fn test_send_receive_big_message() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    for size in [100, 3 << 20] {
        let body = "x".repeat(size);
        send_text(&mut world, client, Q, &[], &body);
        assert_eq!(bodies(&mut world, client), std::slice::from_ref(&body));
        world.send(client, &send(Q).with_body(body.as_bytes()));
        assert_eq!(bodies(&mut world, client), [body]);
    }
}

/// `\c`, `\n` and `\\` are decoded on input and not escaped on output, but for the line feed, which
/// would let a value pass for further headers.
#[test]
fn test_frame_header_escapes() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send(client, &subscribe(Q, ""));
    world.send_bytes(
        client,
        b"SEND\ndestination:/queue/test\nc:a\\cb\nn:a\\nb\nb:a\\\\b\n\nx\0",
    );
    let raw = String::from_utf8(world.take_raw(client)).unwrap();
    for line in ["\nc:a:b\n", "\nn:a\\nb\n", "\nb:a\\b\n"] {
        assert!(raw.contains(line), "{line:?} in {raw:?}");
    }
}
