//! Starting, looking at it from outside, stopping.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tidegate::internal::codec::stomp::Verb;

use crate::support::process::{Plain, Process, ack, command, persistent, subscribe};

/// Runs the binary to its end: exit code, standard output, standard error output.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_banner_says_what_its_reader_needs() {
    let broker = Process::start(&["--memory"]);
    let banner = broker.banner.join("\n");
    for part in [
        "tidegate ",
        "pid ",
        "stomp ",
        "http ",
        "data ",
        "access ",
        "ready in ",
    ] {
        assert!(banner.contains(part), "{part}: {banner}");
    }
    assert!(banner.contains(&broker.pid().to_string()));
    assert!(broker.banner.len() <= 12, "{banner}");
}

#[test]
fn health_and_metrics_are_served() {
    let broker = Process::start(&["--memory"]);
    assert_eq!(broker.get("/health/live").0, 200);
    assert_eq!(broker.get("/health/ready").0, 200);
    assert_eq!(broker.get("/nothing").0, 404);
    let mut client = Plain::connect(broker.stomp);
    client.request(persistent("/queue/a", "x"));
    client.request(subscribe("1", "/queue/a"));
    let message = client.receive();
    client.request(ack(&message));
    let received =
        "tidegate_messages_received_total{protocol=\"stomp\",type=\"queue\",persistent=\"true\"}";
    assert_eq!(broker.metric(received), Some(1.0));
    assert_eq!(
        broker.metric("tidegate_messages_acknowledged_total{protocol=\"stomp\",result=\"ack\"}"),
        Some(1.0)
    );
    assert_eq!(
        broker.metric("tidegate_messages_ready{type=\"queue\"}"),
        Some(0.0)
    );
    assert_eq!(broker.metric("tidegate_ready{check=\"ready\"}"), Some(1.0));
    let (_, all) = broker.get("/metrics");
    assert!(
        !all.contains("queue/a"),
        "no destination is named by default"
    );
}

#[test]
fn a_stop_tells_clients_and_ends_well() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Process::start(&["--data", directory.path().to_str().unwrap()]);
    let mut client = Plain::connect(broker.stomp);
    client.request(persistent("/queue/a", "kept"));
    broker.terminate();
    let error = client.receive();
    assert_eq!(
        (error.verb, error.get("code")),
        (Verb::Error, Some("shutdown"))
    );
    assert_eq!(client.try_receive().unwrap(), None);
    drop(client);
    assert!(broker.wait().success());
    let broker = Process::start(&["--data", directory.path().to_str().unwrap()]);
    assert!(
        broker.banner.iter().any(|line| line.contains("1 message")),
        "{:?}",
        broker.banner
    );
    let mut client = Plain::connect(broker.stomp);
    client.request(subscribe("1", "/queue/a"));
    let message = client.receive();
    assert_eq!(
        (message.body.as_slice(), message.get("redelivered")),
        (&b"kept"[..], None)
    );
}

#[test]
fn a_port_in_use_is_explained() {
    let broker = Process::start(&["--memory"]);
    let address = broker.stomp.to_string();
    let (code, _, error) = run(&[
        "--memory",
        "--http",
        "off",
        "--listen",
        &format!("stomp={address}"),
    ]);
    assert_eq!(code, 1);
    assert!(
        error.contains(&address) && error.contains("--listen stomp="),
        "{error}"
    );
    assert!(error.contains(&format!("pid {}", broker.pid())), "{error}");
}

#[test]
fn a_second_broker_on_the_same_data_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let _broker = Process::start(&["--data", data]);
    let (code, _, error) = run(&[
        "--data",
        data,
        "--http",
        "off",
        "--listen",
        "stomp=127.0.0.1:0",
    ]);
    assert_eq!(code, 1);
    assert!(error.contains("open in another process"), "{error}");
}

#[test]
fn a_damaged_store_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.redb");
    std::fs::write(&file, vec![42; 50_000]).unwrap();
    let data = directory.path().to_str().unwrap();
    let (code, _, error) = run(&[
        "--data",
        data,
        "--http",
        "off",
        "--listen",
        "stomp=127.0.0.1:0",
    ]);
    assert_eq!(code, 1);
    assert!(error.contains("tidegate.redb"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), vec![42; 50_000]);
}

#[test]
fn mistakes_in_a_configuration_are_found_all_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.toml");
    std::fs::write(
        &file,
        "[limits]\nmax_conections = 5\nmax_headers = \"many\"\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let (code, _, error) = run(&["check-config", file]);
    assert_eq!(code, 2);
    assert!(
        error.contains("max_connections") && error.contains(":2:1"),
        "{error}"
    );
    assert!(
        error.contains("max_headers") && error.contains("2 errors"),
        "{error}"
    );
    let (code, json, _) = run(&["check-config", file, "--json"]);
    assert_eq!(code, 2);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 2);
    assert_eq!(run(&["--config", file, "--check"]).0, 2);
    assert_eq!(run(&["check-config"]).0, 0);
}

#[test]
fn the_printed_configuration_can_be_read_back() {
    let (code, printed, _) = run(&["--print-config", "--set", "limits.max_headers=77"]);
    assert_eq!(code, 0);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.toml");
    std::fs::write(&file, &printed).unwrap();
    let (code, again, error) = run(&["--print-config", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split(" #")
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(values(&printed), values(&again));
    assert!(printed.contains("max_headers = 77"));
}

#[test]
fn a_completion_script_is_printed() {
    let (code, script, _) = run(&["completion", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("tidegate") && script.contains("check-config"));
}

#[test]
fn an_address_beyond_this_machine_needs_a_decision() {
    let (code, _, error) = run(&["--memory", "--http", "off", "--listen", "stomp=0.0.0.0:0"]);
    assert_eq!(code, 2);
    assert!(error.contains("auth.anonymous"), "{error}");
}

#[test]
fn send_and_recv_work_and_say_how_they_end() {
    let broker = Process::start(&["--memory"]);
    let url = format!("stomp://{}", broker.stomp);
    let (code, out, error) = run(&["send", "--url", &url, "/queue/hello", "it works"]);
    assert_eq!((code, out.trim()), (0, "sent to /queue/hello"), "{error}");
    let (code, out, _) = run(&["recv", "--url", &url, "/queue/hello"]);
    assert_eq!((code, out.trim()), (0, "it works"));
    let (code, _, error) = run(&["recv", "--url", &url, "/queue/hello", "--timeout", "0.05"]);
    assert_eq!(code, 3, "{error}");
    let (code, out, _) = run(&[
        "send",
        "--url",
        &url,
        "/queue/hello",
        "--template",
        "{{n}}",
        "-n",
        "250",
        "--tx",
        "100",
        "--json",
    ]);
    assert_eq!(code, 0);
    assert!(out.contains("250"), "{out}");
    let (code, out, _) = run(&[
        "recv",
        "--url",
        &url,
        "/queue/hello",
        "-n",
        "250",
        "--prefetch",
        "50",
    ]);
    assert_eq!(code, 0);
    assert_eq!(
        out.lines().map(str::to_owned).collect::<Vec<_>>(),
        (1..=250).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    let (code, _, error) = run(&["send", "--url", &url, "/reply-queue/x", "y"]);
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("not-supported"), "{error}");
    let (code, _, error) = run(&["send", "--url", "http://x", "/queue/a", "y"]);
    assert_eq!(code, 2, "{error}");
    let address = broker.stomp;
    drop(broker);
    let (code, _, error) = run(&[
        "send",
        "--url",
        &format!("stomp://{address}"),
        "/queue/a",
        "y",
    ]);
    assert_eq!(code, 5, "{error}");
}

#[test]
fn bench_measures_and_compares() {
    let broker = Process::start(&["--memory"]);
    let url = format!("stomp://{}", broker.stomp);
    let pid = format!("tidegate={}", broker.pid());
    let works = [
        "np-1x1",
        "topic-1x10",
        "persistent-4x4",
        "sync-1",
        "fill",
        "drain",
        "request-reply",
    ];
    let mut arguments = vec!["bench", "--url", &url, "--against", "again=", "--pid", &pid];
    let against = format!("again={url}");
    arguments[4] = &against;
    arguments.extend([
        "--rounds",
        "1",
        "--seconds",
        "0.05",
        "--backlog",
        "500",
        "--json",
    ]);
    arguments.extend(works);
    let (code, out, error) = run(&arguments);
    assert_eq!(code, 0, "{error}");
    let table: serde_json::Value = serde_json::from_str(&out).unwrap();
    let medians = table["medians"].as_array().unwrap();
    assert_eq!(medians.len(), 2 * works.len());
    for row in medians {
        assert!(row["per_second"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["missing"], 0, "{row}");
    }
}

/// An output that nobody reads any more.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_command_whose_result_nobody_can_read_fails_in_words() {
    for arguments in [
        &["--print-config"][..],
        &["completion", "bash"],
        &["check-config"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(arguments)
            .stdout(broken_pipe())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("cannot write the result"), "{error}");
    }
}

#[test]
fn a_broker_whose_banner_nobody_reads_serves_on() {
    let mut child = command(&["--memory"])
        .stdout(broken_pipe())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = log.any(|line| line.unwrap().contains("banner could not be printed"));
    let pid = rustix::process::Pid::from_child(&child);
    // One that has ended already is found out by its exit code.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    let status = child.wait().unwrap();
    assert!(told && status.success(), "{status}");
}

#[test]
fn a_broker_whose_log_nobody_reads_stops_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let broker =
        Process::launch(command(&["--data", data, "--log", "debug"]).stderr(broken_pipe()));
    let mut client = Plain::connect(broker.stomp);
    client.request(persistent("/queue/a", "kept"));
    drop(client);
    assert!(broker.stop().success());
}

#[test]
fn a_hangup_without_a_change_changes_nothing() {
    let mut broker = Process::launch(command(&["--memory"]).stderr(Stdio::piped()));
    let mut log = BufReader::new(broker.stderr().unwrap()).lines();
    broker.signal(rustix::process::Signal::HUP);
    assert!(log.any(|line| line.unwrap().contains("configuration reloaded")));
    let mut client = Plain::connect(broker.stomp);
    client.request(persistent("/queue/a", "x"));
    drop(client);
    assert!(broker.stop().success());
}

#[test]
fn a_second_signal_does_not_wait_for_clients() {
    let mut broker = Process::launch(
        command(&["--memory", "--set", "broker.shutdown_grace=1h"]).stderr(Stdio::piped()),
    );
    let mut log = BufReader::new(broker.stderr().unwrap()).lines();
    // A client that does not go when it is told to.
    let client = Plain::connect(broker.stomp);
    broker.terminate();
    assert!(log.any(|line| line.unwrap().contains("stopping")));
    broker.terminate();
    assert!(log.any(|line| line.unwrap().contains("not waiting for clients")));
    assert!(broker.wait().success());
    drop(client);
}
