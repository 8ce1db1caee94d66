//! Any bytes: whatever pieces they arrive in, the same frames come out, or the same refusal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::internal::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Version};

/// All frames in some bytes that arrive in pieces, and whether they ended in a refusal.
fn frames(bytes: &[u8], pieces: usize, version: Version) -> (Vec<OwnedFrame>, bool) {
    let limits = Limits {
        body: 1 << 20,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    decoder.set_version(version);
    let (mut found, mut held) = (Vec::new(), Vec::new());
    let mut large: Option<OwnedFrame> = None;
    for piece in bytes.chunks(pieces) {
        held.extend_from_slice(piece);
        loop {
            let consumed = if let Some(mut frame) = large.take() {
                let Ok(part) = decoder.body(&held) else {
                    return (found, true);
                };
                frame.body.extend_from_slice(part.bytes);
                let more = part.done;
                if part.done {
                    found.push(frame);
                } else {
                    large = Some(frame);
                }
                held.drain(..part.consumed);
                if !more {
                    break;
                }
                continue;
            } else {
                let Ok(decoded) = decoder.decode(&held) else {
                    return (found, true);
                };
                let consumed = decoded.consumed;
                match decoded.event {
                    Event::Incomplete => {
                        held.drain(..consumed);
                        break;
                    }
                    Event::Frame(frame) => found.push(frame.to_owned()),
                    Event::LargeHead(frame, _) => large = Some(frame.to_owned()),
                }
                consumed
            };
            held.drain(..consumed);
        }
    }
    (found, false)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (pieces, version, bytes) = input;
    let version = [Version::V1_0, Version::V1_1, Version::V1_2][usize::from(version % 3)];
    let whole = frames(bytes, usize::MAX, version);
    let torn = frames(bytes, usize::from(pieces) + 1, version);
    assert_eq!(whole.0, torn.0);
    assert_eq!(whole.1, torn.1);
});
