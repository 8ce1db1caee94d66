//! A client that costs little: many frames in one write, many in one read, none of them allocated.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::super::client::{login, refusal, version};
use super::super::error::CliError;
use super::super::url::Url;
use crate::codec::stomp::{Decoder, Event, Frame, Limits, OwnedFrame, Verb, Version};

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// The sending side of a connection.
pub(super) struct Sender {
    url: Url,
    half: OwnedWriteHalf,
    /// Bytes to be sent with the next flush.
    pub(super) buffer: Vec<u8>,
}

/// The receiving side of a connection.
pub(super) struct Receiver {
    url: Url,
    half: OwnedReadHalf,
    decoder: Decoder,
    buffer: Vec<u8>,
    filled: usize,
}

/// Connects and logs in.
pub(super) async fn connect(url: &Url) -> Result<(Sender, Receiver, Version), CliError> {
    let unreachable = |source| CliError::Unreachable {
        url: url.clone(),
        source,
    };
    let stream = TcpStream::connect((url.host.as_str(), url.port))
        .await
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let (read, write) = stream.into_split();
    let mut sender = Sender {
        url: url.clone(),
        half: write,
        buffer: Vec::new(),
    };
    let mut receiver = Receiver {
        url: url.clone(),
        half: read,
        decoder: Decoder::new(Limits::default()),
        buffer: vec![0; READ],
        filled: 0,
    };
    login(url).encode(Version::V1_0, &mut sender.buffer);
    sender.flush().await?;
    let mut connected: Option<Result<Version, CliError>> = None;
    while connected.is_none() {
        receiver
            .read(|frame| {
                let owned = frame.to_owned();
                connected.get_or_insert(if owned.verb == Verb::Connected {
                    Ok(version(&owned))
                } else {
                    Err(refusal(&owned))
                });
            })
            .await?;
    }
    let version = connected.unwrap_or(Ok(Version::V1_0))?;
    receiver.decoder.set_version(version);
    Ok((sender, receiver, version))
}

impl Sender {
    /// Sends what the buffer holds.
    pub(super) async fn flush(&mut self) -> Result<(), CliError> {
        let sent = self.half.write_all(&self.buffer).await;
        self.buffer.clear();
        sent.map_err(|source| broken(&self.url, "sending", source))
    }

    /// Sends bytes beside the buffer.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let sent = self.half.write_all(bytes).await;
        sent.map_err(|source| broken(&self.url, "sending", source))
    }

    pub(super) fn frame(&mut self, frame: &OwnedFrame, version: Version) {
        frame.encode(version, &mut self.buffer);
    }
}

impl Receiver {
    /// Hands every whole frame to `each`: those that are there, or else those that one read brings. An
    /// ERROR ends it.
    pub(super) async fn read(&mut self, mut each: impl FnMut(&Frame<'_>)) -> Result<(), CliError> {
        let each = &mut |frame: &Frame<'_>| {
            each(frame);
            false
        };
        if self.take(each)?.0 == 0 {
            self.fill().await?;
            self.take(each)?;
        }
        Ok(())
    }

    /// Waits for a frame of this kind. What comes behind it is left for later.
    pub(super) async fn wait_for(&mut self, verb: Verb) -> Result<(), CliError> {
        while !self.take(&mut |frame| frame.verb == verb)?.1 {
            self.fill().await?;
        }
        Ok(())
    }

    /// Reads once.
    async fn fill(&mut self) -> Result<(), CliError> {
        if self.buffer.len() - self.filled < READ / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let place = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let count = self.half.read(place).await;
        let count = count.map_err(|source| broken(&self.url, "receiving", source))?;
        if count == 0 {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(broken(&self.url, "receiving", source));
        }
        self.filled += count;
        Ok(())
    }

    /// Takes whole frames off the buffer until `last` says so. Returns how many, and whether it did.
    fn take(
        &mut self,
        last: &mut impl FnMut(&Frame<'_>) -> bool,
    ) -> Result<(usize, bool), CliError> {
        let (mut done, mut frames, mut over) = (0, 0, false);
        while !over {
            let rest = self.buffer.get(done..self.filled).unwrap_or_default();
            let decoded = self
                .decoder
                .decode(rest)
                .map_err(|error| CliError::NotStomp {
                    url: self.url.clone(),
                    what: error.to_string(),
                })?;
            done += decoded.consumed;
            match decoded.event {
                Event::Incomplete => break,
                Event::Frame(frame) if frame.verb == Verb::Error => {
                    return Err(refusal(&frame.to_owned()));
                }
                Event::Frame(frame) => {
                    frames += 1;
                    over = last(&frame);
                }
                Event::LargeHead(..) => {
                    let what = "a frame larger than the bench sends".to_owned();
                    let url = self.url.clone();
                    return Err(CliError::NotStomp { url, what });
                }
            }
        }
        self.buffer.copy_within(done..self.filled, 0);
        self.filled -= done;
        Ok((frames, over))
    }

    /// Reads once and counts the frames that end in what was read: their bodies hold no NUL, so that
    /// each NUL ends one. Costs next to nothing. Not to be mixed with `read` within a frame.
    pub(super) async fn count(&mut self) -> Result<u64, CliError> {
        if self.filled > 0 {
            let left = self.buffer.get(..self.filled).unwrap_or_default();
            let count = memchr::memchr_iter(0, left).count() as u64;
            self.filled = 0;
            return Ok(count);
        }
        let count = self.half.read(&mut self.buffer).await;
        let count = count.map_err(|source| broken(&self.url, "receiving", source))?;
        if count == 0 {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(broken(&self.url, "receiving", source));
        }
        let bytes = self.buffer.get(..count).unwrap_or_default();
        Ok(memchr::memchr_iter(0, bytes).count() as u64)
    }
}

fn broken(url: &Url, doing: &'static str, source: io::Error) -> CliError {
    let url = url.clone();
    CliError::Broken { url, doing, source }
}

/// The median of bare round trips of a small message over the loopback, in microseconds: what no
/// broker can be faster than.
pub(super) async fn loopback_round_trip() -> io::Result<f64> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = std::thread::Builder::new().spawn(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut buffer = [0; 64];
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok::<_, io::Error>(());
            }
            stream.write_all(buffer.get(..count).unwrap_or_default())?;
        }
    })?;
    let (mut stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let mut buffer = [1; 64];
    for _ in 0..2000 {
        let started = now();
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
        times.push(started.elapsed().as_nanos() as f64 / 1000.0);
    }
    drop(stream);
    // Its end says nothing about the round trips.
    let _ = echo.join();
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the command line reads the clock"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
