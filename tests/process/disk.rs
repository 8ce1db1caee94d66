//! Disks without room and disks that cannot be written, in a mount namespace of their own. Where none
//! can be made, these tests say so and pass.

use std::process::{Command, Stdio};

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, persistent, subscribe};

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
    let set = "--set disk.free_min=100GiB --set destination.full_timeout=200ms";
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
fn a_disk_that_fills_up_fails_the_store_for_good_and_says_so() {
    let set = "--set disk.free_min=1B --set disk.free_warn=1B";
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
