//! The real binary as a child, and a plain client of it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use tidegate::internal::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Verb, Version};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running broker. Killed when it is dropped.
pub struct Process {
    child: Child,
    pub stomp: SocketAddr,
    pub http: Option<SocketAddr>,
    pub banner: Vec<String>,
}

/// A command that runs the broker on free ports.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(["--listen", "stomp=127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

impl Process {
    /// Starts the broker and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::launch(&mut command(arguments))
    }

    pub fn launch(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let output = child.stdout.take().unwrap();
        let mut banner = Vec::new();
        for line in BufReader::new(output).lines() {
            let line = line.unwrap();
            let ready = line.starts_with("ready in ");
            banner.push(line);
            if ready {
                break;
            }
        }
        let address = |prefix: &str, lead: &str| {
            let line = banner
                .iter()
                .find(|line| line.trim_start().starts_with(prefix))?;
            let word = line.split_whitespace().nth(1)?;
            word.trim_start_matches(lead).parse().ok()
        };
        let stomp = address("stomp ", "").unwrap_or_else(|| panic!("no banner: {banner:?}"));
        let http = address("http ", "http://");
        Self {
            child,
            stomp,
            http,
            banner,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks it to stop and waits for that.
    pub fn stop(self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// A page over HTTP: the status line's number and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http.expect("http is on")).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// The value of a metric, with its labels as they are written.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find(|line| {
            line.strip_prefix(series)
                .is_some_and(|r| r.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that does one thing after the other.
pub struct Plain {
    pub stream: TcpStream,
    decoder: Decoder,
    incoming: Vec<u8>,
    early: VecDeque<OwnedFrame>,
    receipts: u64,
}

impl Clone for Plain {
    /// The same connection, to send on while another thread receives.
    fn clone(&self) -> Self {
        Self {
            stream: self.stream.try_clone().unwrap(),
            decoder: Decoder::new(Limits::default()),
            incoming: Vec::new(),
            early: VecDeque::new(),
            receipts: 0,
        }
    }
}

impl Plain {
    /// Connects without logging in.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let decoder = Decoder::new(Limits::default());
        Self {
            stream,
            decoder,
            incoming: Vec::new(),
            early: VecDeque::new(),
            receipts: 0,
        }
    }

    /// Connects and logs in as 1.2.
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, OwnedFrame::new(Verb::Connect))
    }

    /// Logs in as 1.2 with a frame of its own.
    pub fn connect_with(address: SocketAddr, login: OwnedFrame) -> Self {
        let mut client = Self::open(address);
        client.send(&login.with("accept-version", "1.2"));
        let connected = client.receive();
        assert_eq!(connected.verb, Verb::Connected, "{connected:?}");
        client.decoder.set_version(Version::V1_2);
        client
    }

    pub fn send(&mut self, frame: &OwnedFrame) {
        self.try_send(frame).unwrap();
    }

    pub fn try_send(&mut self, frame: &OwnedFrame) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(Version::V1_2, &mut bytes);
        self.stream.write_all(&bytes)
    }

    /// Sends a frame and waits for its receipt. Frames that come before it are received later.
    pub fn request(&mut self, frame: OwnedFrame) {
        self.receipts += 1;
        let id = format!("request-{}", self.receipts);
        self.send(&frame.with("receipt", &id));
        let mut early = VecDeque::new();
        loop {
            let frame = self.receive();
            assert_ne!(frame.verb, Verb::Error, "{frame:?}");
            if frame.verb == Verb::Receipt && frame.get("receipt-id") == Some(id.as_str()) {
                self.early.append(&mut early);
                return;
            }
            early.push_back(frame);
        }
    }

    #[track_caller]
    pub fn receive(&mut self) -> OwnedFrame {
        self.try_receive()
            .expect("the broker is there")
            .expect("a frame comes")
    }

    /// The next frame; `None` when the broker has closed the connection.
    pub fn try_receive(&mut self) -> std::io::Result<Option<OwnedFrame>> {
        if let Some(frame) = self.early.pop_front() {
            return Ok(Some(frame));
        }
        loop {
            let decoded = self
                .decoder
                .decode(&self.incoming)
                .expect("the broker sends frames");
            let (consumed, frame) = match decoded.event {
                Event::Incomplete => (decoded.consumed, None),
                Event::Frame(frame) => (decoded.consumed, Some(frame.to_owned())),
                Event::LargeHead(frame, length) => {
                    let mut frame = frame.to_owned();
                    self.incoming.drain(..decoded.consumed);
                    while self.incoming.len() <= length {
                        if self.fill()? == 0 {
                            return Ok(None);
                        }
                    }
                    let part = self.decoder.body(&self.incoming).unwrap();
                    frame.body = part.bytes.to_vec();
                    (part.consumed, Some(frame))
                }
            };
            self.incoming.drain(..consumed);
            if frame.is_some() {
                return Ok(frame);
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.incoming.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

/// SEND of a persistent message.
pub fn persistent(destination: &str, body: &str) -> OwnedFrame {
    OwnedFrame::new(Verb::Send)
        .with("destination", destination)
        .with("persistent", "true")
        .with("content-type", "text/plain")
        .with_body(body.as_bytes())
}

/// SUBSCRIBE that acknowledges one by one.
pub fn subscribe(id: &str, destination: &str) -> OwnedFrame {
    OwnedFrame::new(Verb::Subscribe)
        .with("id", id)
        .with("destination", destination)
        .with("ack", "client-individual")
}

/// ACK of a MESSAGE.
pub fn ack(message: &OwnedFrame) -> OwnedFrame {
    OwnedFrame::new(Verb::Ack).with("id", message.get("ack").expect("an ack header"))
}
