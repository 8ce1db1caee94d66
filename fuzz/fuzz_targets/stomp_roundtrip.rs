//! Any frame: what is written for a version is read back by it.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidegate::internal::codec::stomp::{Decoder, Event, Limits, OwnedFrame, Verb, Version};

#[derive(Arbitrary, Debug)]
struct Input {
    verb: u8,
    version: u8,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let version = [Version::V1_1, Version::V1_2][usize::from(input.version % 2)];
    let mut frame = OwnedFrame::new(Verb::ALL[usize::from(input.verb) % Verb::ALL.len()]);
    for (name, value) in input.headers.iter().take(50) {
        // What cannot be written: names that end lines or hold a colon, and, before 1.2, a carriage
        // return.
        let plain = |c: char| c.is_ascii_graphic() && c != ':';
        if name.is_empty() || !name.chars().all(plain) || name == "content-length" {
            continue;
        }
        if value.contains('\0') || (version == Version::V1_1 && value.contains('\r')) {
            continue;
        }
        frame = frame.with(name, value);
    }
    if frame.verb == Verb::Send {
        frame.body = input.body;
    }
    let mut bytes = Vec::new();
    frame.encode(version, &mut bytes);
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(version);
    let Ok(decoded) = decoder.decode(&bytes) else {
        // Only a limit may keep a frame from being read.
        assert!(bytes.len() > 60_000, "{frame:?}");
        return;
    };
    let consumed = decoded.consumed;
    let mut read = match decoded.event {
        Event::Frame(read) => read.to_owned(),
        Event::LargeHead(read, _) => {
            let mut read = read.to_owned();
            read.body = decoder.body(&bytes[consumed..]).unwrap().bytes.to_vec();
            read
        }
        Event::Incomplete => panic!("a whole frame is incomplete"),
    };
    read.headers.retain(|(name, _)| name != "content-length");
    assert_eq!(read, frame);
});
