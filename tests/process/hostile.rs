//! Clients that mean harm, or merely do it: each gets its answer, and nobody else notices.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, ack, persistent, subscribe};
use crate::support::random::{Random, seeds};

/// A broker, and a client that must not notice anything.
fn broker_and_neighbour(arguments: &[&str]) -> (Process, Plain) {
    let broker = Process::start(arguments);
    let mut neighbour = Plain::connect(broker.stomp);
    neighbour.request(subscribe("1", "/queue/neighbour"));
    (broker, neighbour)
}

#[track_caller]
fn still_served(neighbour: &mut Plain) {
    neighbour.request(persistent("/queue/neighbour", "still there"));
    let message = neighbour.receive();
    assert_eq!(message.body, b"still there");
    neighbour.request(ack(&message));
}

/// Sends bytes and reads what comes until the broker closes.
fn answer_to(broker: &Process, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(broker.stomp).unwrap();
    // The broker may have closed before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn random_bytes_harm_nobody() {
    let (broker, mut neighbour) = broker_and_neighbour(&["--memory"]);
    for seed in seeds(50) {
        let mut random = Random(seed);
        let length = usize::try_from(random.below(5000)).unwrap();
        let mut bytes: Vec<u8> = (0..length)
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        if random.below(2) == 0 {
            bytes.splice(0..0, b"CONNECT\naccept-version:1.2\n\n\0".iter().copied());
        }
        answer_to(&broker, &bytes);
    }
    still_served(&mut neighbour);
}

#[test]
fn strangers_are_answered_in_their_own_language() {
    let (broker, mut neighbour) = broker_and_neighbour(&["--memory"]);
    let http = answer_to(&broker, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        http.starts_with(b"HTTP/1.1 400 "),
        "{}",
        String::from_utf8_lossy(&http)
    );
    let tls = answer_to(&broker, &[0x16, 0x03, 0x01, 0x00, 0x05, 1, 0, 0, 1, 3]);
    assert_eq!(tls.first(), Some(&0x15), "a TLS alert");
    let amqp = answer_to(&broker, b"AMQP\0\x01\0\0");
    assert!(amqp.windows(18).any(|part| part == b"code:not-supported"));
    still_served(&mut neighbour);
}

#[test]
fn lengths_that_lie_are_refused() {
    let (broker, mut neighbour) = broker_and_neighbour(&["--memory"]);
    let login = "CONNECT\naccept-version:1.2\n\n\0";
    for (length, code) in [
        ("-1", "invalid-content-length"),
        ("99999999999999999999999", "invalid-content-length"),
        ("9999999999", "frame-too-large"),
        ("x", "invalid-content-length"),
        ("2", "invalid-content-length"),
    ] {
        let text =
            format!("{login}SEND\ndestination:/queue/a\ncontent-length:{length}\n\nabcdef\0");
        let answer = answer_to(&broker, text.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.contains(&format!("code:{code}")),
            "{length}: {answer}"
        );
    }
    still_served(&mut neighbour);
}

#[test]
fn a_client_that_announces_much_and_sends_little_takes_little_memory() {
    let (broker, mut neighbour) = broker_and_neighbour(&["--memory"]);
    let before = resident(&broker);
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let mut client = Plain::connect(broker.stomp);
            let head = "SEND\ndestination:/queue/a\ncontent-length:100000000\n\nabc";
            client.stream.write_all(head.as_bytes()).unwrap();
            client
        })
        .collect();
    still_served(&mut neighbour);
    assert!(resident(&broker) < before + (64 << 20));
    drop(clients);
    still_served(&mut neighbour);
}

#[test]
fn a_client_that_stays_silent_is_closed() {
    let set = ["--memory", "--set", "limits.login_timeout=200ms"];
    let (broker, mut neighbour) = broker_and_neighbour(&set);
    let mut half = Plain::open(broker.stomp);
    half.stream.write_all(b"CONNECT\naccept-ver").unwrap();
    let error = half.receive();
    assert_eq!(error.get("code"), Some("login-timeout"));
    assert_eq!(half.try_receive().unwrap(), None);
    still_served(&mut neighbour);
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let (broker, mut neighbour) = broker_and_neighbour(&["--memory"]);
    let files = open_files(&broker);
    for number in 0..10_000 {
        let stream = TcpStream::connect(broker.stomp).unwrap();
        if number % 3 == 0 {
            drop((&stream).write_all(b"CONNECT\n\n\0"));
        }
    }
    still_served(&mut neighbour);
    let series = "tidegate_connections{protocol=\"stomp\",transport=\"tcp\",listener=\"stomp\"}";
    while broker.metric(series) != Some(1.0) {
        std::thread::yield_now();
    }
    assert!(open_files(&broker) <= files + 5);
}

#[test]
fn more_connections_than_allowed_are_told_so() {
    let set = ["--memory", "--set", "limits.max_connections=3"];
    let (broker, mut neighbour) = broker_and_neighbour(&set);
    let _others = (Plain::connect(broker.stomp), Plain::connect(broker.stomp));
    let mut refused = Plain::open(broker.stomp);
    let error = refused.receive();
    assert_eq!(error.get("code"), Some("limit-reached"));
    assert_eq!(error.get("key"), Some("limits.max_connections"));
    still_served(&mut neighbour);
}

#[test]
fn a_consumer_that_never_reads_holds_up_nobody() {
    let set = [
        "--memory",
        "--set",
        "limits.outbound_buffer=64KiB",
        "--set",
        "memory.limit=256MiB",
    ];
    let (broker, mut neighbour) = broker_and_neighbour(&set);
    let mut stuck = Plain::connect(broker.stomp);
    let greedy = subscribe("1", "/topic/news").with("prefetch-count", "0");
    stuck.request(greedy.clone());
    let mut reader = Plain::connect(broker.stomp);
    reader.request(subscribe("1", "/topic/news"));
    let mut sender = Plain::connect(broker.stomp);
    let body = "x".repeat(10_000);
    let news = OwnedFrame::new(Verb::Send)
        .with("destination", "/topic/news")
        .with_body(body.as_bytes());
    for _ in 0..2_000 {
        sender.send(&news);
        let message = reader.receive();
        reader.send(&ack(&message));
    }
    still_served(&mut neighbour);
    drop(stuck);
    still_served(&mut neighbour);
}

#[test]
fn a_producer_that_never_stops_is_held_back_and_then_refused() {
    let set = [
        "--memory",
        "--set",
        "destination.max_bytes=1MiB",
        "--set",
        "limits.full_timeout=200ms",
    ];
    let (broker, mut neighbour) = broker_and_neighbour(&set);
    let mut sender = Plain::connect(broker.stomp);
    let body = "x".repeat(10_000);
    let frame = OwnedFrame::new(Verb::Send)
        .with("destination", "/queue/full")
        .with_body(body.as_bytes());
    let writer = sender.stream.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        frame.encode(tidegate::internal::codec::stomp::Version::V1_2, &mut bytes);
        for _ in 0..1_000 {
            if (&writer).write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let error = sender.receive();
    assert_eq!(error.get("code"), Some("full"), "{error:?}");
    assert_eq!(error.get("key"), Some("destination.max_bytes"));
    still_served(&mut neighbour);
    sender.stream.shutdown(Shutdown::Both).unwrap();
    flood.join().unwrap();
    let series = "tidegate_messages_ready_bytes{type=\"queue\"}";
    assert!(broker.metric(series).unwrap() <= f64::from(1 << 20));
    still_served(&mut neighbour);
}

/// Bytes that a process has in memory.
fn resident(broker: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024
}

fn open_files(broker: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", broker.pid()))
        .unwrap()
        .count()
}
