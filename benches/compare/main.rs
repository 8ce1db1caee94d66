//! This broker beside others, in one run.
//!
//! `cargo bench --bench compare -- [NAME=stomp://HOST:PORT[@PID]]... [WORK]...` starts this broker, and
//! those of Debian's activemq, rabbitmq-server and nats-server that are installed. Others are to be
//! running. Each does the same work in turn.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

mod nats;
mod peers;

use std::process::Command;

const ROUNDS: usize = 3;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let own = peers::tidegate(&directory.path().join("tidegate"));
    let others = peers::others(directory.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["bench", "--url", &own.url, "--seconds", "2"]);
    command.args(["--rounds", &ROUNDS.to_string()]);
    for peer in &others {
        command.args(["--against", &format!("{}={}", peer.name, peer.url)]);
    }
    for peer in others.iter().chain([&own]) {
        let pid = peer.process.pid();
        command.args(["--pid", &format!("{}={pid}", peer.name)]);
    }
    let arguments = std::env::args().skip(1);
    for argument in arguments.filter(|argument| !argument.starts_with('-')) {
        match argument.split_once('=') {
            Some((name, place)) => {
                let (url, pid) = place.rsplit_once('@').unwrap_or((place, ""));
                command.args(["--against", &format!("{name}={url}")]);
                if !pid.is_empty() {
                    command.args(["--pid", &format!("{name}={pid}")]);
                }
            }
            None => {
                command.arg(argument);
            }
        }
    }
    assert!(command.status().unwrap().success());
    drop(others);
    match nats::start() {
        Some((server, port)) => show_nats(server.pid(), port),
        None => println!("nats-server is not installed"),
    }
}

fn show_nats(pid: u32, port: u16) {
    for subscribers in [1, 10, 100] {
        let mut rounds: Vec<_> = (0..ROUNDS)
            .map(|_| nats::fan_out(pid, port, subscribers))
            .collect();
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (speed, cost) = rounds[ROUNDS / 2];
        println!(
            "nats-server, 1 to {subscribers}: {speed:.0} deliveries in a second, {cost:.2} µs of CPU each"
        );
    }
}
