//! Policies as the binary reads them: explained without a broker, and read again by a running one.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, command, persistent};

/// Runs the binary to its end: exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

const CONFIGURATION: &str = "\
[destination]
prefetch = 7
[[policy]]
match = \"queue://orders.>\"
max_bytes = \"1GiB\"
dead_letter.queue = \"DLQ.{name}\"
[[composite]]
name = \"queue://orders.eu\"
forward_to = [\"queue://archive\", { to = \"topic://VirtualTopic.orders\", selector = \"x > 1\" }]
forward_only = false
";

fn configured(directory: &Path, text: &str) -> String {
    let file = directory.join("tidegate.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn config_explain_says_which_line_sets_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let file = configured(directory.path(), CONFIGURATION);
    let explain = |rest: &[&str]| {
        let arguments = ["--config", &file, "config", "explain"];
        run(&[&arguments, rest].concat())
    };
    let (code, shown, _) = explain(&["queue://orders.eu"]);
    assert_eq!(code, 0);
    let line = |key: &str| {
        let found = shown.lines().find(|line| line.starts_with(key));
        found.unwrap_or_else(|| panic!("{key} in {shown}"))
    };
    assert!(line("destination.prefetch = 7").ends_with(&format!("{file}:2:1")));
    let size = line("destination.max_bytes = \"1GiB\"");
    assert!(size.ends_with(&format!("{file}:5:1, policy queue://orders.>")));
    assert!(line("groups.rebalance = \"drain\"").ends_with("# default"));

    let (code, json, _) = explain(&["/queue/orders.eu", "--json"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["policies"][0]["match"], "queue://orders.>");
    let settings = json["settings"].as_array().unwrap();
    let queue = settings
        .iter()
        .find(|one| one["key"] == "dead_letter.queue");
    assert_eq!(queue.unwrap()["policy"], "queue://orders.>");

    let (code, _, error) = explain(&["queue://"]);
    assert_eq!(code, 2);
    assert!(error.contains("is no destination"), "{error}");
    let broken = configured(directory.path(), "[[policy]]\nprefetch = 1\n");
    let (code, _, error) = run(&["--config", &broken, "config", "explain", "a"]);
    assert_eq!(code, 2);
    assert!(error.contains("needs a pattern"), "{error}");
}

#[test]
fn routes_explain_says_where_a_message_would_go() {
    let directory = tempfile::tempdir().unwrap();
    let file = configured(directory.path(), CONFIGURATION);
    let explain = |rest: &[&str]| {
        let arguments = ["--config", &file, "routes", "explain"];
        let (code, shown, error) = run(&[&arguments, rest].concat());
        assert_eq!(code, 0, "{error}");
        shown
    };
    let shown = explain(&["/queue/orders.eu,/topic/news"]);
    for expected in [
        "queue://archive",
        "topic://VirtualTopic.orders",
        "queue://Consumer.*.VirtualTopic.orders",
        "composite queue://orders.eu forwards to it, where x > 1",
        "topic://news",
        "a part of the list",
        "dead letters of queue://orders.eu go to queue://DLQ.orders.eu",
    ] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let json = explain(&[
        "orders.eu",
        "--json",
        "--set",
        "mirrored_queues.enabled=true",
    ]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let routes = json["routes"].as_array().unwrap();
    let mirrored = routes.iter().filter(|route| route["reason"] == "mirror");
    assert_eq!(mirrored.count(), 2, "of archive and of orders.eu: {json}");
    assert_eq!(json["dead_letters"][0]["to"], "queue://ActiveMQ.DLQ");
}

/// Reads the log up to a line, and returns all that came.
fn read_to(log: &mut Lines<BufReader<ChildStderr>>, end: &str) -> String {
    let mut all = String::new();
    for line in log {
        let line = line.unwrap();
        all.push_str(&line);
        all.push('\n');
        if line.contains(end) {
            return all;
        }
    }
    panic!("{end} is not in {all}");
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = configured(directory.path(), "");
    let mut command = command(&["--memory", "--config", &file]);
    let mut broker = Process::launch(command.stderr(Stdio::piped()));
    let mut log = BufReader::new(broker.stderr().unwrap()).lines();
    let hangup = |broker: &Process| broker.signal(rustix::process::Signal::HUP);
    let mut client = Plain::connect(broker.stomp);
    client.request(persistent("/queue/a", "1"));

    // A mistake changes nothing, and the log has it with its place.
    let few = "[[policy]]\nmatch = \"queue://a\"\nmax_messages = 2\nwhen_full = \"reject\"\n";
    configured(
        directory.path(),
        &few.replace("max_messages", "max_mesages"),
    );
    hangup(&broker);
    let said = read_to(&mut log, "error in the configuration");
    assert!(
        said.contains("was not reloaded") && said.contains("max_messages") && said.contains(":3:1"),
        "{said}"
    );
    client.request(persistent("/queue/a", "2"));

    // What is right holds at once, also for queues that are there; the rest is named.
    configured(
        directory.path(),
        &format!("{few}[limits]\nmax_headers = 50\n"),
    );
    hangup(&broker);
    let said = read_to(&mut log, "configuration reloaded");
    assert!(
        said.contains("limits.max_headers has changed, but needs a restart"),
        "{said}"
    );
    assert!(said.contains("policy has changed"), "{said}");
    let third = persistent("/queue/a", "3").with("receipt", "3");
    client.send(&third);
    let error: OwnedFrame = client.receive();
    assert_eq!(
        (error.verb, error.get("code"), error.get("key")),
        (Verb::Error, Some("full"), Some("destination.max_messages"))
    );

    // Taken back, all is as before.
    configured(directory.path(), "");
    hangup(&broker);
    let said = read_to(&mut log, "configuration reloaded");
    assert!(!said.contains("needs a restart"), "{said}");
    client.request(persistent("/queue/a", "3"));
    assert!(broker.stop().success());
}
