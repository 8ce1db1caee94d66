//! Producers and consumers.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use super::super::error::CliError;
use super::link::{Receiver, Sender, now};
use super::load::{Shared, join};
use crate::codec::stomp::{OwnedFrame, Verb, Version, number};

/// Bytes of one write of a producer that waits for nothing.
const BURST: usize = 32 * 1024;

/// What a client is, once it runs.
type Running = Result<(), CliError>;

/// The bytes of a SEND up to where a receipt's number would be.
fn send_frame(destination: &str, size: usize, persistent: bool) -> (Vec<u8>, Vec<u8>) {
    let mut head = format!("SEND\ndestination:{destination}\n").into_bytes();
    if persistent {
        head.extend_from_slice(b"persistent:true\n");
    }
    let mut tail = vec![b'\n'];
    tail.resize(size + 1, b'x');
    tail.push(0);
    (head, tail)
}

/// Sends without waiting for anything, until told to stop; to so many message groups in turn, if any.
pub(super) async fn produce(shared: Rc<Shared>, destination: String, groups: u64) -> Running {
    let (mut sender, receiver, _) = join(&shared).await?;
    tokio::task::spawn_local(watch(receiver));
    let (head, tail) = send_frame(&destination, shared.size, false);
    let mut burst = Vec::new();
    let (mut count, mut group) = (0, 0);
    while !shared.stop.get() {
        if burst.is_empty() || groups > 0 {
            burst.clear();
            count = 0;
            while count == 0 || burst.len() < BURST {
                burst.extend_from_slice(&head);
                if groups > 0 {
                    group = (group + 1) % groups;
                    burst.extend_from_slice(b"JMSXGroupID:");
                    number(&mut burst, group);
                    burst.push(b'\n');
                }
                burst.extend_from_slice(&tail);
                count += 1;
            }
        }
        sender.send(&burst).await?;
        shared.sent(count);
        // A socket that always has room must not keep the others from their turn.
        tokio::task::yield_now().await;
    }
    // The connection stays until all has arrived everywhere: not every broker reads on after its end.
    std::future::pending::<()>().await;
    drop(sender);
    Ok(())
}

/// Reads what a broker may have to say to a producer that expects nothing.
async fn watch(mut receiver: Receiver) -> Running {
    loop {
        receiver.read(|_| {}).await?;
    }
}

/// Sends persistent messages with a receipt for each `every`th, at most `window` of them unanswered,
/// until told to stop or all are sent. Only what has a receipt counts as sent.
pub(super) async fn produce_windowed(
    shared: Rc<Shared>,
    destination: String,
    window: usize,
    every: u64,
    messages: Option<u64>,
) -> Running {
    let (mut sender, mut receiver, _) = join(&shared).await?;
    let (head, tail) = send_frame(&destination, shared.size, true);
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let mut sent = 0;
    loop {
        let more = !shared.stop.get() && messages.is_none_or(|messages| sent < messages);
        if !more && waiting.is_empty() {
            return Ok(());
        }
        while more && waiting.len() < window && messages.is_none_or(|messages| sent < messages) {
            sent += 1;
            sender.buffer.extend_from_slice(&head);
            if sent % every == 0 || messages == Some(sent) {
                sender.buffer.extend_from_slice(b"receipt:");
                number(&mut sender.buffer, sent);
                sender.buffer.push(b'\n');
                waiting.push_back(now());
            }
            sender.buffer.extend_from_slice(&tail);
        }
        if !sender.buffer.is_empty() {
            sender.flush().await?;
        }
        let mut receipts = 0;
        receiver
            .read(|frame| receipts += u64::from(frame.verb == Verb::Receipt))
            .await?;
        for since in waiting.drain(..usize::try_from(receipts).unwrap_or(0).min(waiting.len())) {
            shared.took(since);
        }
        shared.sent(receipts * every);
    }
}

/// Subscribes with automatic acknowledgement, and counts.
pub(super) async fn count(
    shared: &Rc<Shared>,
    destination: &str,
) -> Result<impl Future<Output = Running> + 'static, CliError> {
    let (sender, mut receiver, _) = subscribe(shared, destination, "auto", None).await?;
    let shared = Rc::clone(shared);
    Ok(async move {
        loop {
            let arrived = receiver.count().await;
            if arrived.is_err() && shared.stop.get() {
                drop(sender);
                return Ok(());
            }
            shared.received(arrived?);
        }
    })
}

/// Subscribes and acknowledges each message on its own.
pub(super) async fn consume(
    shared: &Rc<Shared>,
    destination: &str,
) -> Result<impl Future<Output = Running> + 'static, CliError> {
    let subscribed = subscribe(shared, destination, "client-individual", Some("100")).await?;
    let (mut sender, mut receiver, version) = subscribed;
    let shared = Rc::clone(shared);
    Ok(async move {
        loop {
            let mut count = 0;
            let buffer = &mut sender.buffer;
            receiver
                .read(|frame| {
                    if frame.verb == Verb::Message {
                        count += 1;
                        let (name, label): (&[u8], &[u8]) = match version {
                            Version::V1_2 => (b"ack", b"ACK\nid:"),
                            Version::V1_0 | Version::V1_1 => {
                                (b"message-id", b"ACK\nsubscription:0\nmessage-id:")
                            }
                        };
                        buffer.extend_from_slice(label);
                        buffer.extend_from_slice(frame.headers.raw(name).unwrap_or_default());
                        buffer.extend_from_slice(b"\n\n\0");
                    }
                })
                .await?;
            sender.flush().await?;
            shared.received(count);
        }
    })
}

/// Answers each message of one queue with one on another.
pub(super) async fn echo(
    shared: &Rc<Shared>,
    from: &str,
    to: &str,
) -> Result<impl Future<Output = Running> + 'static, CliError> {
    let (mut sender, mut receiver, _) = subscribe(shared, from, "auto", None).await?;
    let (head, tail) = send_frame(to, shared.size, false);
    Ok(async move {
        loop {
            let mut count = 0;
            receiver
                .read(|frame| count += u64::from(frame.verb == Verb::Message))
                .await?;
            for _ in 0..count {
                sender.buffer.extend_from_slice(&head);
                sender.buffer.extend_from_slice(&tail);
            }
            sender.flush().await?;
        }
    })
}

/// Sends a request, waits for its reply, and so on.
pub(super) async fn request(
    shared: &Rc<Shared>,
    to: &str,
    from: &str,
) -> Result<impl Future<Output = Running> + 'static, CliError> {
    let (mut sender, mut receiver, _) = subscribe(shared, from, "auto", None).await?;
    let (head, tail) = send_frame(to, shared.size, false);
    let shared = Rc::clone(shared);
    Ok(async move {
        while !shared.stop.get() {
            let started = now();
            sender.buffer.extend_from_slice(&head);
            sender.buffer.extend_from_slice(&tail);
            sender.flush().await?;
            let mut arrived = 0;
            while arrived == 0 {
                receiver
                    .read(|frame| arrived += u64::from(frame.verb == Verb::Message))
                    .await?;
            }
            shared.took(started);
            shared.received(arrived);
        }
        Ok(())
    })
}

async fn subscribe(
    shared: &Shared,
    destination: &str,
    ack: &str,
    prefetch: Option<&str>,
) -> Result<(Sender, Receiver, Version), CliError> {
    let (mut sender, mut receiver, version) = join(shared).await?;
    let mut frame = OwnedFrame::new(Verb::Subscribe)
        .with("id", "0")
        .with("destination", destination)
        .with("ack", ack)
        .with("receipt", "subscribed");
    if let Some(prefetch) = prefetch {
        frame = frame.with("activemq.prefetchSize", prefetch);
    }
    sender.frame(&frame, version);
    sender.flush().await?;
    receiver.wait_for(Verb::Receipt).await?;
    Ok((sender, receiver, version))
}
