//! A small blocking STOMP client.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::PATIENCE;
use super::error::CliError;
use super::url::Url;
use crate::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Verb, Version};

/// Bytes of one read.
const READ: usize = 16 * 1024;

/// A connection that has logged in.
pub(super) struct Client {
    url: Url,
    stream: TcpStream,
    decoder: Decoder,
    pub(super) version: Version,
    incoming: Vec<u8>,
    /// Frames that came while another was waited for.
    early: VecDeque<OwnedFrame>,
    receipts: u64,
}

/// The frame that logs in.
pub(super) fn login(url: &Url) -> OwnedFrame {
    let mut frame = OwnedFrame::new(Verb::Connect)
        .with("accept-version", "1.2,1.1,1.0")
        .with("host", &url.virtual_host)
        .with("heart-beat", "0,0");
    if let Some(user) = &url.user {
        frame = frame.with("login", user);
    }
    if let Some(password) = &url.password {
        frame = frame.with("passcode", password);
    }
    frame
}

/// The version that a broker has agreed to.
pub(super) fn version(connected: &OwnedFrame) -> Version {
    match connected.get("version") {
        Some("1.2") => Version::V1_2,
        Some("1.1") => Version::V1_1,
        _ => Version::V1_0,
    }
}

/// What a broker refused, from its ERROR.
pub(super) fn refusal(error: &OwnedFrame) -> CliError {
    let body = String::from_utf8_lossy(&error.body);
    let message = error.get("message").unwrap_or(&body).trim().to_owned();
    let code = error.get("code").unwrap_or_default().to_owned();
    CliError::Refused { message, code }
}

impl Client {
    /// Connects and logs in.
    pub(super) fn connect(url: &Url) -> Result<Self, CliError> {
        let unreachable = |source| CliError::Unreachable {
            url: url.clone(),
            source,
        };
        let stream = dial(url).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut client = Self {
            url: url.clone(),
            stream,
            decoder: Decoder::new(Limits::default()),
            version: Version::V1_0,
            incoming: Vec::new(),
            early: VecDeque::new(),
            receipts: 0,
        };
        client.send(&login(url))?;
        let connected = client.receive(Some(PATIENCE), "logging in")?;
        if connected.verb == Verb::Connected {
            client.version = version(&connected);
            client.decoder.set_version(client.version);
            return Ok(client);
        }
        if connected.verb == Verb::Error {
            return Err(refusal(&connected));
        }
        Err(CliError::NotStomp {
            url: url.clone(),
            what: format!("it answered CONNECT with {}", connected.verb.text()),
        })
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, frame: &OwnedFrame) -> Result<(), CliError> {
        let mut bytes = Vec::with_capacity(frame.body.len() + 256);
        frame.encode(self.version, &mut bytes);
        self.stream
            .write_all(&bytes)
            .map_err(|source| self.broken("sending", source))
    }

    /// Sends a frame with a receipt, and returns the receipt's id.
    pub(super) fn send_with_receipt(&mut self, frame: OwnedFrame) -> Result<u64, CliError> {
        self.receipts += 1;
        self.send(&frame.with("receipt", &self.receipts.to_string()))?;
        Ok(self.receipts)
    }

    /// Waits for a receipt. A MESSAGE that comes before it is kept for later.
    pub(super) fn await_receipt(&mut self, id: u64) -> Result<(), CliError> {
        let id = id.to_string();
        let mut early = VecDeque::new();
        loop {
            let frame = self.receive(Some(PATIENCE), "waiting for a receipt")?;
            if frame.verb == Verb::Receipt && frame.get("receipt-id") == Some(id.as_str()) {
                self.early.append(&mut early);
                return Ok(());
            }
            if frame.verb == Verb::Error {
                return Err(refusal(&frame));
            }
            early.extend((frame.verb == Verb::Message).then_some(frame));
        }
    }

    /// The next frame. With a time, it has to come within that.
    pub(super) fn receive(
        &mut self,
        within: Option<Duration>,
        doing: &'static str,
    ) -> Result<OwnedFrame, CliError> {
        match self.try_receive(within) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.broken(doing, io::ErrorKind::TimedOut.into())),
            Err(error) => Err(error),
        }
    }

    /// The next frame, unless none comes within a time.
    pub(super) fn try_receive(
        &mut self,
        within: Option<Duration>,
    ) -> Result<Option<OwnedFrame>, CliError> {
        if let Some(frame) = self.early.pop_front() {
            return Ok(Some(frame));
        }
        let doing = "receiving";
        self.stream
            .set_read_timeout(within)
            .map_err(|source| self.broken(doing, source))?;
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            let mut buffer = [0; READ];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(self.broken(doing, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.incoming
                        .extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(doing, error)),
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<OwnedFrame>, CliError> {
        let url = &self.url;
        let not_stomp = |error: crate::codec::stomp::DecodeError| CliError::NotStomp {
            url: url.clone(),
            what: error.to_string(),
        };
        let decoded = self.decoder.decode(&self.incoming).map_err(not_stomp)?;
        let consumed = decoded.consumed;
        let found = match decoded.event {
            Event::Incomplete => None,
            Event::Frame(frame) => Some(frame.to_owned()),
            Event::LargeHead(frame, length) => {
                let frame = frame.to_owned();
                self.incoming.drain(..consumed);
                return self.take_body(frame, length).map(Some);
            }
        };
        self.incoming.drain(..consumed);
        Ok(found)
    }

    fn take_body(&mut self, mut frame: OwnedFrame, length: usize) -> Result<OwnedFrame, CliError> {
        frame.body.reserve(length);
        loop {
            let url = &self.url;
            let part = self
                .decoder
                .body(&self.incoming)
                .map_err(|error| CliError::NotStomp {
                    url: url.clone(),
                    what: error.to_string(),
                })?;
            frame.body.extend_from_slice(part.bytes);
            let (consumed, done) = (part.consumed, part.done);
            self.incoming.drain(..consumed);
            if done {
                return Ok(frame);
            }
            let mut buffer = [0; READ];
            let count = self
                .stream
                .read(&mut buffer)
                .map_err(|e| self.broken("receiving", e))?;
            if count == 0 {
                return Err(self.broken("receiving", io::ErrorKind::UnexpectedEof.into()));
            }
            self.incoming
                .extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Says goodbye and waits for the answer, so that all that was sent before is done.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        let id = self.send_with_receipt(OwnedFrame::new(Verb::Disconnect))?;
        self.await_receipt(id)
    }

    /// Says goodbye when nothing is left to hear: whether that arrives is of no importance.
    pub(super) fn disconnect(mut self) {
        let _ = self.send(&OwnedFrame::new(Verb::Disconnect));
    }

    fn broken(&self, doing: &'static str, source: io::Error) -> CliError {
        CliError::Broken {
            url: self.url.clone(),
            doing,
            source,
        }
    }
}

fn dial(url: &Url) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (url.host.as_str(), url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
