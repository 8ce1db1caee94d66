//! This broker beside others, in one run.
//!
//! `cargo bench --bench compare -- [NAME=stomp://HOST:PORT[@PID]]... [WORK]...` starts this broker, and
//! core NATS if `nats-server` is found, which has no queues but shows what a broker without waste
//! reaches. Other brokers are to be running; each does the same work in turn.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BODY: usize = 1024;
const ROUNDS: usize = 3;
const TIME: Duration = Duration::from_secs(2);

/// A process that ends with this.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tidegate(directory: &std::path::Path) -> (Started, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--listen", "stomp=127.0.0.1:0", "--http", "off", "--data"])
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let address = lines
        .take_while(|line| !line.starts_with("ready"))
        .filter_map(|line| Some(line.trim().strip_prefix("stomp ")?.trim().to_owned()))
        .last()
        .unwrap();
    (Started(child), format!("stomp://{address}"))
}

/// Core NATS on a port of its own, if it is installed.
fn nats() -> Option<(Started, u16)> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let child = Command::new("nats-server")
        .args(["-a", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let started = Started(child);
    let ends = Instant::now() + Duration::from_secs(10);
    while Instant::now() < ends {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some((started, port));
        }
        std::thread::yield_now();
    }
    None
}

fn nats_client(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut info = [0; 4096];
    assert!(stream.read(&mut info).unwrap() > 0);
    let login = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n";
    stream.write_all(login).unwrap();
    let mut pong = [0; 6];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"PONG\r\n");
    stream
}

/// Deliveries in a second from one publisher to so many subscribers.
fn nats_fan_out(port: u16, subscribers: usize) -> f64 {
    let size = format!("MSG a 1 {BODY}\r\n").len() + BODY + 2;
    let received = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..subscribers)
        .map(|_| {
            let mut stream = nats_client(port);
            stream.write_all(b"SUB a 1\r\nPING\r\n").unwrap();
            let mut pong = [0; 6];
            stream.read_exact(&mut pong).unwrap();
            let (received, over) = (Arc::clone(&received), Arc::clone(&over));
            stream
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            std::thread::spawn(move || {
                let (mut buffer, mut bytes, mut told) = (vec![0; 64 * 1024], 0, 0);
                while !over.load(Ordering::Relaxed) {
                    let Ok(count) = stream.read(&mut buffer) else {
                        continue;
                    };
                    bytes += count;
                    received.fetch_add((bytes / size - told) as u64, Ordering::Relaxed);
                    told = bytes / size;
                }
            })
        })
        .collect();
    let mut publisher = nats_client(port);
    let one = [
        format!("PUB a {BODY}\r\n").as_bytes(),
        &[b'x'; BODY],
        b"\r\n",
    ]
    .concat();
    let burst = one.repeat(32);
    let started = Instant::now();
    while started.elapsed() < TIME {
        publisher.write_all(&burst).unwrap();
    }
    publisher.write_all(b"PING\r\n").unwrap();
    let speed = received.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    speed
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let (own, url) = tidegate(directory.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args([
        "bench",
        "--url",
        &url,
        "--rounds",
        &ROUNDS.to_string(),
        "--seconds",
        "2",
    ]);
    command.args(["--pid", &format!("tidegate={}", own.0.id())]);
    for argument in std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
    {
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
    match nats() {
        Some((_server, port)) => {
            for subscribers in [1, 10, 100] {
                let mut speeds: Vec<f64> = (0..ROUNDS)
                    .map(|_| nats_fan_out(port, subscribers))
                    .collect();
                speeds.sort_by(f64::total_cmp);
                println!(
                    "nats-server, 1 to {subscribers}: {:.0} deliveries in a second",
                    speeds[ROUNDS / 2]
                );
            }
        }
        None => println!("nats-server is not installed"),
    }
}
