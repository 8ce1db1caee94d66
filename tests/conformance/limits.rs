//! Limits and framing.

use std::time::Duration;

use tidegate::internal::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Verb, Version};
use tidegate::internal::protocol::stomp::Config;

use crate::say::{
    assert_alive, bodies, frame, granted, message, send, send_text, subscribe, waiting,
};
use crate::support::world::{Id, World};

const Q: &str = "/queue/test";
const KIB: usize = 1024;

/// A client, logged in, of a listener whose limit of bodies and of heads is this.
fn limited(limit: usize) -> (World, Id) {
    let mut world = World::new().session(|config| {
        config.limits.body = limit;
        config.limits.head = limit;
        config.limits.header_line = limit;
    });
    let client = world.connect(Version::V1_2);
    (world, client)
}

#[track_caller]
fn too_large(world: &mut World, client: Id, text: &str) -> OwnedFrame {
    let error = world.receive(client);
    assert_eq!(error.get("code"), Some("frame-too-large"), "{error:?}");
    assert!(error.get("message").unwrap().contains(text), "{error:?}");
    assert!(world.is_closed(client));
    error
}

/// `ActiveMQ`'s limits are in force; it has one for the whole frame besides, which is off by default.
#[test]
fn test_defaults() {
    let limits = Limits::default();
    assert_eq!(limits.body, 100 << 20);
    assert_eq!((limits.command, limits.headers), (1024, 1000));
    assert_eq!(Config::default().limits, limits);
}

#[test]
fn test_setters() {
    let (mut world, client) = limited(KIB);
    world.send(client, &send(Q).with_body(&[0; 2 * KIB]));
    let error = too_large(&mut world, client, "The maximum data length was exceeded");
    assert_eq!(error.get("limit"), Some("1024"));
    assert_eq!(error.get("actual"), Some("2048"));
    assert_eq!(error.get("key"), Some("limits.max_frame"));
}

#[test]
fn test_oversized_message_on_plain_socket() {
    for with_length in [true, false] {
        let (mut world, client) = limited(64 * KIB);
        let body = "x".repeat(64 * KIB + 1);
        if with_length {
            world.send(client, &send(Q).with_body(body.as_bytes()));
        } else {
            send_text(&mut world, client, Q, &[], &body);
        }
        too_large(&mut world, client, "The maximum data length was exceeded");
        assert_eq!(waiting(&mut world, Q), []);
    }
}

#[test]
fn test_oversized_body_on_plain_socket() {
    for limit in [64 * KIB, 5 * KIB, 512] {
        let (mut world, client) = limited(limit);
        world.send(client, &send(Q).with_body(&vec![b'x'; 2 * limit]));
        too_large(&mut world, client, "exceeded");
    }
}

/// Here the head has a limit of its own: what is too much for both together may pass, what is too much
/// for either is refused.
#[test]
fn test_oversized_total_frame_on_plain_socket() {
    let limit = 5 * KIB;
    let (mut world, client) = limited(limit);
    let half = "x".repeat(limit * 2 / 3);
    let frame = send(Q).with("big", &half).with_body(half.as_bytes());
    assert_eq!(granted(&mut world, client, frame.clone()), []);
    world.send(client, &frame.with("bigger", &half));
    too_large(
        &mut world,
        client,
        "The maximum size of all headers was exceeded",
    );
}

#[test]
fn test_undersized_total_frame_on_plain_socket() {
    for limit in [64 * KIB, 5 * KIB, 512] {
        let (mut world, client) = limited(limit);
        world.send(client, &subscribe(Q, "1"));
        world.send(client, &send(Q).with_body(b"small"));
        assert_eq!(bodies(&mut world, client), ["small"]);
    }
}

#[test]
fn test_oversized_action_on_plain_socket() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    world.send_bytes(client, "X".repeat(1025).as_bytes());
    too_large(
        &mut world,
        client,
        "The maximum command length was exceeded",
    );
}

#[test]
fn test_oversized_headers_on_plain_socket() {
    let (mut world, client) = limited(5 * KIB);
    world.send(client, &send(Q).with("big", &"x".repeat(6 * KIB)));
    let error = too_large(&mut world, client, "The maximum header length was exceeded");
    assert_eq!(error.get("key"), Some("limits.max_header_line"));

    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    let mut many = send(Q);
    for number in 0..1000 {
        many = many.with(&number.to_string(), "");
    }
    world.send(client, &many);
    let error = too_large(
        &mut world,
        client,
        "The maximum number of headers was exceeded",
    );
    assert_eq!(error.get("key"), Some("limits.max_headers"));
}

/// Each limit is met while bytes arrive: nobody waits for the end of what is too long.
#[test]
fn limits_are_met_before_the_frame_is_complete() {
    for start in [
        format!("SEND\ndestination:/queue/test\n\n{}", "x".repeat(6 * KIB)),
        format!(
            "SEND\ndestination:/queue/test\ncontent-length:{}\n",
            6 * KIB
        ) + "\n",
        format!("SEND\nbig:{}", "x".repeat(6 * KIB)),
    ] {
        let (mut world, client) = limited(5 * KIB);
        for byte in start.as_bytes() {
            world.queue_bytes(client, &[*byte]);
            world.run();
        }
        too_large(&mut world, client, "exceeded");
    }
}

/// A stranger is given less room than a client.
#[test]
fn before_login_a_frame_is_small() {
    let mut world = World::new();
    let client = world.open();
    let header = "x".repeat(40 * KIB);
    let login = format!("CONNECT\na:{header}\nb:{header}\n\n\0");
    world.send_bytes(client, login.as_bytes());
    let error = too_large(&mut world, client, "The maximum size of all headers");
    assert_eq!(error.get("key"), Some("limits.max_frame_before_login"));
}

/// A whole number beyond every limit is a limit met, not a mistake.
#[test]
fn a_huge_content_length_is_refused() {
    for length in ["104857601", "18446744073709551615"] {
        let mut world = World::new();
        let client = world.connect(Version::V1_2);
        let text = format!("SEND\ndestination:{Q}\ncontent-length:{length}\n\n");
        world.send_bytes(client, text.as_bytes());
        let error = too_large(&mut world, client, "The maximum data length was exceeded");
        assert_eq!(error.get("actual"), Some(length));
    }
}

#[test]
fn test_no_passcode_in_to_string() {
    let mut decoder = Decoder::new(Limits::default());
    let login = b"CONNECT\nlogin:me\npasscode:secret\n\n\0";
    let Event::Frame(frame) = decoder.decode(login).unwrap().event else {
        panic!("a whole frame");
    };
    let shown = format!("{frame:?}");
    assert!(
        shown.contains("*****") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn test_crlf() {
    let mut world = World::new();
    let client = world.open();
    world.send_bytes(client, b"CONNECT\r\n\r\n\0\r\n");
    assert_eq!(world.receive(client).get("version"), Some("1.0"));
    world.send_bytes(
        client,
        b"SEND\r\ndestination:/queue/test\r\nreceipt:1\r\n\r\nx\0\r\n",
    );
    assert_eq!(world.receive(client).get("receipt-id"), Some("1"));
}

/// In 1.1 a carriage return belongs to the value, but not before a version is agreed, and a lone one
/// still ends the headers.
#[test]
fn test_crlf11() {
    let mut world = World::new();
    let client = world.open();
    world.send_bytes(client, b"CONNECT\r\naccept-version:1.1\r\n\r\n\0\r\n\r\n");
    assert_eq!(world.receive(client).get("version"), Some("1.1"));
    world.set_version(client, Version::V1_1);
    world.send(client, &subscribe(Q, "1"));
    world.send_bytes(client, b"SEND\ndestination:/queue/test\nend:a\r\n\r\nx\0\n");
    assert_eq!(message(&mut world, client).get("end"), Some("a\r"));
}

#[test]
fn test_stomp_connect_leak() {
    let mut world = World::new();
    for _ in 0..500 {
        let client = world.connect(Version::V1_2);
        world.send(client, &subscribe(Q, "1").with("ack", "client"));
        world.send(client, &frame(Verb::Disconnect));
        assert!(world.is_closed(client));
    }
    let producer = world.connect(Version::V1_2);
    world.send(producer, &send(Q).with_body(b"x"));
    assert_eq!(waiting(&mut world, Q)[0].get("redelivered"), None);
}

/// Upstream the socket closes without a word; here an ERROR says why.
#[test]
fn test_stomp_connect_timeout() {
    let mut world = World::new();
    let client = world.open();
    world.send_bytes(client, b"S");
    world.advance(Duration::from_millis(9_999));
    assert!(!world.is_closed(client));
    world.advance(Duration::from_millis(1));
    assert_eq!(world.receive(client).get("code"), Some("login-timeout"));
    assert!(world.is_closed(client));
}

/// A SEND that arrives a byte at a time is a sign of life.
#[test]
fn test_inactivity_monitor() {
    let mut world = World::new();
    let client = world.open();
    let login = frame(Verb::Connect).with("accept-version", "1.1");
    world.send(client, &login.with("heart-beat", "1000,0"));
    world.receive(client);
    world.set_version(client, Version::V1_1);
    for byte in b"SEND\nreceipt:slow\ndestination:/queue/test\n\nbody\0" {
        world.advance(Duration::from_secs(1));
        world.send_bytes(client, &[*byte]);
    }
    assert_eq!(world.receive(client).get("receipt-id"), Some("slow"));
}

#[test]
fn between_frames_line_ends_and_nuls_are_of_no_account() {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    world.send_bytes(client, b"\r\n\n\r\n\0\0\n\n");
    assert_alive(&mut world, client);
}

/// Old clients shorten commands, and put a `content-length` on everything.
#[test]
fn what_old_clients_send() {
    let mut world = World::new();
    let client = world.connect(Version::V1_0);
    world.send_bytes(
        client,
        b"SUB\ndestination:/queue/test\ncontent-length:0\n\n\0",
    );
    world.send(client, &send(Q).with_body(b"x"));
    assert_eq!(bodies(&mut world, client), ["x"]);
    world.send_bytes(client, b"UNSUB\ndestination:/queue/test\nreceipt:1\n\n\0");
    assert_eq!(world.receive(client).get("receipt-id"), Some("1"));
}
