//! Real clients, written by others, against the real binary. A client that is missing is said to be
//! skipped; with `TIDEGATE_REQUIRE_CLIENTS=1` it fails. `scripts/test` installs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::process::Process;

fn clients() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Whether a client is there.
fn present(name: &str, probe: &mut Command) -> bool {
    let there = probe.output().is_ok_and(|output| output.status.success());
    if !there {
        let required = std::env::var("TIDEGATE_REQUIRE_CLIENTS").is_ok_and(|value| value == "1");
        assert!(!required, "{name} is required and missing");
        eprintln!("skipped: {name} is missing; scripts/test installs it");
    }
    there
}

/// Runs a client's program against a broker in memory and one on disk.
fn run(program: impl Fn() -> Command) {
    let directory = tempfile::tempdir().unwrap();
    for store in [
        vec!["--memory"],
        vec!["--data", directory.path().to_str().unwrap()],
    ] {
        // What clients refuse comes again at once.
        let settings = ["--set", "redelivery.delay=0s"];
        let broker = Process::start(&[store.as_slice(), &settings].concat());
        let output = program()
            .env("TIDEGATE_STOMP_PORT", broker.stomp.port().to_string())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{store:?}: {}\n{}\n{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        assert!(broker.stop().success());
    }
}

fn python() -> Command {
    Command::new(clients().join(".venv/bin/python"))
}

#[test]
fn stomp_py() {
    if present("stomp.py", python().args(["-c", "import stomp"])) {
        run(|| {
            let mut command = python();
            command.arg(clients().join("python/stomp_test.py"));
            command
        });
    }
}

#[test]
fn stomp_py_with_what_applications_rely_on() {
    if present("stomp.py", python().args(["-c", "import stomp"])) {
        run(|| {
            let mut command = python();
            command.arg(clients().join("python/features_test.py"));
            command
        });
    }
}

#[test]
fn stomp_js_over_tcp() {
    let node = || {
        let mut command = Command::new("node");
        command.current_dir(clients().join("node"));
        command
    };
    if present(
        "@stomp/stompjs",
        node().args(["-e", "import('@stomp/stompjs')"]),
    ) {
        run(|| {
            let mut command = node();
            command.arg("stompjs.test.mjs");
            command
        });
        run(|| {
            let mut command = node();
            command.arg("stompit.test.mjs");
            command
        });
    }
}

#[test]
fn go_stomp() {
    let program = clients().join("go/stomp_test_client");
    if present("go-stomp", Command::new("test").arg("-x").arg(&program)) {
        run(|| Command::new(&program));
    }
}

#[test]
fn ruby_stomp() {
    if present(
        "Ruby's stomp",
        Command::new("ruby").args(["-e", "require 'stomp'"]),
    ) {
        run(|| {
            let mut command = Command::new("ruby");
            command.arg(clients().join("ruby/stomp_test.rb"));
            command
        });
    }
}

#[test]
fn perl_net_stomp() {
    if present(
        "Perl's Net::Stomp",
        Command::new("perl").args(["-MNet::Stomp", "-e1"]),
    ) {
        run(|| {
            let mut command = Command::new("perl");
            command.arg(clients().join("perl/net_stomp.pl"));
            command
        });
    }
}

#[test]
fn what_stomp_py_had_a_receipt_for_survives_a_kill() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    if !present("stomp.py", python().args(["-c", "import stomp"])) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let program = |broker: &Process, arguments: &[&str]| {
        let mut command = python();
        command
            .arg(clients().join("python/survive.py"))
            .args(arguments)
            .env("TIDEGATE_STOMP_PORT", broker.stomp.port().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let broker = Process::start(&["--data", data]);
    let mut sender = program(&broker, &["send", "100000"]);
    let mut lines = BufReader::new(sender.stdout.take().unwrap()).lines();
    let mut sent: Vec<String> = lines.by_ref().take(300).map(Result::unwrap).collect();
    broker.kill();
    sent.extend(lines.map(Result::unwrap));
    assert!(
        !sender.wait().unwrap().success(),
        "the sender notices the end"
    );
    let broker = Process::start(&["--data", data]);
    let reading = program(&broker, &["receive"]).wait_with_output().unwrap();
    assert!(reading.status.success());
    let output = String::from_utf8(reading.stdout).unwrap();
    let received: Vec<&str> = output.lines().collect();
    // One more may have been stored whose receipt did not arrive.
    assert!(received.len() <= sent.len() + 1);
    assert_eq!(received[..sent.len()], sent[..]);
}
