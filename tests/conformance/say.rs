//! What tests say to the broker, and what they expect to hear.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::support::world::{Id, World};

pub fn frame(verb: Verb) -> OwnedFrame {
    OwnedFrame::new(verb)
}

/// A bytes message: the frame has a `content-length` if it has a body.
pub fn send(destination: &str) -> OwnedFrame {
    frame(Verb::Send).with("destination", destination)
}

pub fn subscribe(destination: &str, id: &str) -> OwnedFrame {
    let frame = frame(Verb::Subscribe).with("destination", destination);
    if id.is_empty() {
        return frame;
    }
    frame.with("id", id)
}

/// Sends a text message, which is one without `content-length`. Each line is `name:value`.
pub fn send_text(world: &mut World, client: Id, destination: &str, lines: &[&str], body: &str) {
    let destination = format!("destination:{destination}");
    let head = [&["SEND", &destination], lines].concat();
    let text = format!("{}\n\n{body}\0", head.join("\n"));
    world.send_bytes(client, text.as_bytes());
}

/// Sends a frame with a receipt, which must come. Returns what else came.
#[track_caller]
pub fn granted(world: &mut World, client: Id, frame: OwnedFrame) -> Vec<OwnedFrame> {
    world.send(client, &frame.with("receipt", "granted"));
    let mut heard = world.drain(client);
    let place = heard
        .iter()
        .position(|frame| frame.get("receipt-id") == Some("granted"));
    let receipt = heard.remove(place.unwrap_or_else(|| panic!("no receipt in {heard:?}")));
    assert_eq!(receipt.verb, Verb::Receipt, "{receipt:?}");
    heard
}

/// Sends a frame with a receipt and returns the ERROR that must come instead of it, and nothing else.
#[track_caller]
pub fn refused(world: &mut World, client: Id, frame: OwnedFrame) -> OwnedFrame {
    world.send(client, &frame.with("receipt", "refused"));
    let mut heard = world.drain(client);
    assert_eq!(heard.len(), 1, "{heard:?}");
    let error = heard.remove(0);
    assert_eq!(error.verb, Verb::Error, "{error:?}");
    assert_eq!(error.get("receipt-id"), Some("refused"), "{error:?}");
    error
}

/// The next frame, which must be a MESSAGE.
#[track_caller]
pub fn message(world: &mut World, client: Id) -> OwnedFrame {
    let frame = world.receive(client);
    assert_eq!(frame.verb, Verb::Message, "{frame:?}");
    frame
}

/// The bodies of all messages that have come; nothing else may have.
#[track_caller]
pub fn bodies(world: &mut World, client: Id) -> Vec<String> {
    let frames = world.drain(client);
    frames
        .into_iter()
        .map(|frame| {
            assert_eq!(frame.verb, Verb::Message, "{frame:?}");
            String::from_utf8(frame.body).unwrap()
        })
        .collect()
}

/// An ACK in the words of 1.0 and 1.1.
pub fn ack_message(message: &OwnedFrame) -> OwnedFrame {
    settle_message(Verb::Ack, message)
}

pub fn settle_message(verb: Verb, message: &OwnedFrame) -> OwnedFrame {
    let mut settle = frame(verb).with("message-id", message.get("message-id").unwrap());
    if let Some(subscription) = message.get("subscription") {
        settle = settle.with("subscription", subscription);
    }
    settle
}

/// An ACK in the words of 1.2.
pub fn ack_id(message: &OwnedFrame) -> OwnedFrame {
    settle_id(Verb::Ack, message)
}

pub fn settle_id(verb: Verb, message: &OwnedFrame) -> OwnedFrame {
    frame(verb).with("id", message.get("ack").unwrap())
}

/// `BEGIN`, `COMMIT` or `ABORT`.
pub fn transaction(verb: Verb, name: &str) -> OwnedFrame {
    frame(verb).with("transaction", name)
}

/// Everything that waits in a queue, looked at by a client that settles nothing.
#[track_caller]
pub fn waiting(world: &mut World, destination: &str) -> Vec<OwnedFrame> {
    let client = world.connect(Version::V1_2);
    let all = subscribe(destination, "all").with("ack", "client-individual");
    world.send(client, &all.with("prefetch-count", "0"));
    let found = world.drain(client);
    assert!(
        found.iter().all(|frame| frame.verb == Verb::Message),
        "{found:?}"
    );
    world.send(client, &frame(Verb::Disconnect));
    assert!(world.is_closed(client));
    found
}

/// The connection is open and answers.
#[track_caller]
pub fn assert_alive(world: &mut World, client: Id) {
    assert!(!world.is_closed(client), "the connection is closed");
    let others = granted(world, client, send("/queue/alive").with_body(b"still here"));
    assert_eq!(others, []);
}
