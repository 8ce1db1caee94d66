//! Disks without room and disks that cannot be written, in a mount namespace of their own. Where none
//! can be made, these tests say so and pass.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, ack, persistent, subscribe};

/// A command that runs the broker on a small file system of its own, mounted with these options.
fn on_a_mount(options: &str, arguments: &str) -> Option<(Command, tempfile::TempDir)> {
    let possible = Command::new("unshare").args(["-m", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mount namespace can be made here");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display();
    let script = format!(
        "mount -t tmpfs -o {options} none {data} && exec {} --data {data} \
         --listen stomp=127.0.0.1:0 --http 127.0.0.1:0 {arguments}",
        env!("CARGO_BIN_EXE_tidegate"),
    );
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", &script])
        .stdin(Stdio::null());
    Some((command, directory))
}

#[test]
fn below_the_free_space_that_was_asked_for_persistent_messages_wait_and_are_refused() {
    let set = "--set disk.free_min=100GiB --set limits.full_timeout=200ms --set store.ring=1MiB";
    let Some((mut command, _directory)) = on_a_mount("size=64m", set) else {
        return;
    };
    let broker = Process::launch(&mut command);
    let mut client = Plain::connect(broker.stomp);
    client.send(&persistent("/queue/a", "x").with("receipt", "1"));
    let error = client.receive();
    assert_eq!(
        (error.verb, error.get("code")),
        (Verb::Error, Some("full")),
        "{error:?}"
    );
    assert_eq!(error.get("key"), Some("disk.free_min"));
    assert_eq!(error.get("receipt-id"), Some("1"));
    // What needs no disk goes on.
    client.request(subscribe("1", "/queue/b"));
    client.request(
        OwnedFrame::new(Verb::Send)
            .with("destination", "/queue/b")
            .with_body(b"y"),
    );
    assert_eq!(client.receive().body, b"y");
}

#[test]
fn without_a_ring_a_disk_that_fills_up_fails_the_store_for_good_and_says_so() {
    let set = "--set disk.free_min=1B --set disk.free_warn=1B --set store.ring=0";
    let Some((mut command, _directory)) = on_a_mount("size=24m", set) else {
        return;
    };
    let broker = Process::launch(&mut command);
    let mut client = Plain::connect(broker.stomp);
    let mut idle = Plain::connect(broker.stomp);
    let body = "x".repeat(100_000);
    let mut receipts = 0;
    let error = loop {
        client.send(&persistent("/queue/a", &body).with("receipt", "r"));
        let frame = client.receive();
        if frame.verb == Verb::Error {
            break frame;
        }
        receipts += 1;
        assert!(receipts < 1000, "the disk never fills up");
    };
    assert_eq!(error.get("code"), Some("store-failed"), "{error:?}");
    assert!(receipts > 20);
    // Those who wait for nothing are told as well, and so are those who come later.
    assert_eq!(idle.receive().get("code"), Some("store-failed"));
    let mut late = Plain::open(broker.stomp);
    assert_eq!(late.receive().get("code"), Some("store-failed"));
    let (status, reason) = broker.get("/health/ready");
    assert_eq!(status, 503);
    assert!(reason.contains("store has failed"), "{reason}");
    let series = "tidegate_store_errors_total{op=\"commit\"}";
    assert_eq!(broker.metric(series), Some(1.0));
}

/// What is in the ring waits there until the disk has room again; senders wait or are refused.
#[test]
fn with_a_ring_the_broker_goes_on_when_a_full_disk_has_room_again() {
    const MESSAGES: usize = 900;
    let set = "--set store.ring=4MiB --set limits.full_timeout=1s --set disk.free_min=1MiB \
               --set disk.free_warn=1MiB";
    let Some((mut command, directory)) = on_a_mount("size=256m", set) else {
        return;
    };
    let mut broker = Process::launch(command.stderr(Stdio::piped()));
    let mut log = BufReader::new(broker.stderr().unwrap()).lines();
    let data = directory.path().strip_prefix("/").unwrap();
    let root = std::path::PathBuf::from(format!("/proc/{}/root", broker.pid()));
    let ballast = root.join(data).join("ballast");
    std::fs::write(&ballast, vec![1; 216 << 20]).unwrap();
    let mut client = Plain::connect(broker.stomp);
    let body = "x".repeat(100_000);
    let sender = {
        let mut client = client.clone();
        std::thread::spawn(move || {
            for _ in 0..MESSAGES {
                client.send(&persistent("/queue/a", &body).with("receipt", "r"));
            }
        })
    };
    assert!(log.any(|line| line.unwrap().contains("the disk is full")));
    let (mut receipts, mut refused) = (0, 0);
    let mut ballast = Some(ballast);
    while receipts + refused < MESSAGES {
        let frame = client.receive();
        if frame.verb == Verb::Receipt {
            receipts += 1;
            continue;
        }
        assert_eq!(frame.get("code"), Some("full"), "{frame:?}");
        refused += 1;
        if let Some(ballast) = ballast.take() {
            std::fs::remove_file(ballast).unwrap();
        }
    }
    sender.join().unwrap();
    assert!(receipts > 100 && refused > 0, "{receipts} {refused}");
    let mut consumer = Plain::connect(broker.stomp);
    consumer.send(&subscribe("1", "/queue/a"));
    for _ in 0..receipts {
        let message = consumer.receive();
        assert_eq!(message.body.len(), 100_000);
        consumer.request(ack(&message));
    }
    assert_eq!(
        broker.metric("tidegate_messages_ready{type=\"queue\"}"),
        Some(0.0)
    );
    client.request(persistent("/queue/a", "there is room"));
    assert!(broker.stop().success());
}

#[test]
fn a_read_only_data_directory_is_explained() {
    let Some((mut command, _directory)) = on_a_mount("size=8m,ro", "") else {
        return;
    };
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("Read-only file system"), "{error}");
}
