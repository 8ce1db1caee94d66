//! Core NATS: publish and subscribe without queues, which shows what a broker without waste reaches.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::peers::{Started, cpu_micros, free_port, wait_for_port};

const BODY: usize = 1024;
const TIME: Duration = Duration::from_secs(2);

/// Core NATS on a port of its own, if it is installed.
pub(crate) fn start() -> Option<(Started, u16)> {
    let port = free_port();
    let mut command = Command::new("nats-server");
    command
        .args(["-a", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Started::start(&mut command)?;
    wait_for_port(port).then_some((server, port))
}

fn client(port: u16) -> TcpStream {
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

/// Deliveries in a second from one publisher to so many subscribers, and the server's CPU time for
/// each, in microseconds.
pub(crate) fn fan_out(pid: u32, port: u16, subscribers: usize) -> (f64, f64) {
    let size = format!("MSG a 1 {BODY}\r\n").len() + BODY + 2;
    let received = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..subscribers)
        .map(|_| {
            let mut stream = client(port);
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
    let mut publisher = client(port);
    let one = [
        format!("PUB a {BODY}\r\n").as_bytes(),
        &[b'x'; BODY],
        b"\r\n",
    ]
    .concat();
    let burst = one.repeat(32);
    let (started, cpu) = (Instant::now(), cpu_micros(pid));
    while started.elapsed() < TIME {
        publisher.write_all(&burst).unwrap();
    }
    publisher.write_all(b"PING\r\n").unwrap();
    let count = received.load(Ordering::Relaxed) as f64;
    let speed = count / started.elapsed().as_secs_f64();
    let cost = (cpu_micros(pid) - cpu) / count;
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    (speed, cost)
}
