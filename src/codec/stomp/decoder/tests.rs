//! Frames in every shape, whole and in pieces.

use super::*;
use crate::codec::stomp::OwnedFrame;

const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

/// A peer's bytes as they arrive: offers what is not consumed again, as the driver does.
struct Peer {
    decoder: Decoder,
    unread: Vec<u8>,
    /// The frame whose large body is arriving.
    large: Option<OwnedFrame>,
    frames: Vec<OwnedFrame>,
}

impl Peer {
    fn new(version: Version, limits: Limits) -> Self {
        let mut decoder = Decoder::new(limits);
        decoder.set_version(version);
        Self {
            decoder,
            unread: Vec::new(),
            large: None,
            frames: Vec::new(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut rest = unread.as_slice();
        let result = loop {
            match self.step(rest) {
                Ok((consumed, more)) => {
                    rest = &rest[consumed..];
                    if !more {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.unread = rest.to_vec();
        result
    }

    /// Decodes once. Returns how many bytes are done with, and whether more may come of the rest.
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, bool), DecodeError> {
        if let Some(frame) = &mut self.large {
            let part = self.decoder.body(bytes)?;
            frame.body.extend_from_slice(part.bytes);
            if part.done {
                self.frames.extend(self.large.take());
            }
            return Ok((part.consumed, part.done));
        }
        let decoded = self.decoder.decode(bytes)?;
        let more = match decoded.event {
            Event::Incomplete => false,
            Event::Frame(frame) => {
                self.frames.push(frame.to_owned());
                true
            }
            Event::LargeHead(frame, _) => {
                self.large = Some(frame.to_owned());
                true
            }
        };
        Ok((decoded.consumed, more))
    }
}

/// What comes of these bytes, which is the same in one piece and byte by byte.
fn decode(version: Version, limits: Limits, bytes: &[u8]) -> Result<Vec<OwnedFrame>, DecodeError> {
    let mut whole = Peer::new(version, limits);
    let outcome = whole.receive(bytes);
    let mut slow = Peer::new(version, limits);
    let slowly = bytes.chunks(1).try_for_each(|byte| slow.receive(byte));
    assert_eq!(
        outcome.as_ref().err().map(std::mem::discriminant),
        slowly.as_ref().err().map(std::mem::discriminant),
        "{outcome:?} and {slowly:?}"
    );
    assert_eq!(whole.frames, slow.frames);
    outcome.map(|()| whole.frames)
}

fn frames(version: Version, bytes: &[u8]) -> Vec<OwnedFrame> {
    decode(version, Limits::default(), bytes).unwrap()
}

fn refused(bytes: &[u8]) -> DecodeError {
    decode(Version::V1_2, Limits::default(), bytes).unwrap_err()
}

fn send(name: &str, value: &str) -> OwnedFrame {
    OwnedFrame::new(Verb::Send).with(name, value)
}

#[test]
fn escapes_are_taken_back_as_each_version_knows_them() {
    let bytes = br"SEND
a:1\n2\c3\\4\r5\t6\
b\n:c

"
    .iter()
    .chain(b"\0")
    .copied()
    .collect::<Vec<_>>();
    for version in VERSIONS {
        let carriage_return = if version == Version::V1_2 {
            "\r"
        } else {
            "\\r"
        };
        let value = format!("1\n2:3\\4{carriage_return}5\\t6\\");
        let expected = send("a", &value).with("b\\n", "c");
        assert_eq!(frames(version, &bytes), [expected], "{version:?}");
    }
}

#[test]
fn a_carriage_return_ends_a_line_except_in_1_1() {
    let bytes = b"SEND\r\na: b \r\n\r\nbody\0\r\n";
    let with = |value| send("a", value).with_body(b"body");
    assert_eq!(frames(Version::V1_0, bytes), [with("b")]);
    assert_eq!(frames(Version::V1_1, bytes), [with(" b \r")]);
    assert_eq!(frames(Version::V1_2, bytes), [with(" b ")]);
}

#[test]
fn what_lies_between_frames_is_skipped() {
    let bytes = b"\n\r\n \t\r\n\0\0\nBEGIN\n\n\0\n\n\r\n\0  \n \n COMMIT \n\n\0\r\n\0";
    for version in VERSIONS {
        let verbs: Vec<_> = frames(version, bytes).iter().map(|f| f.verb).collect();
        assert_eq!(verbs, [Verb::Begin, Verb::Commit], "{version:?}");
    }
}

#[test]
fn heart_beats_are_consumed_at_once() {
    let mut decoder = Decoder::new(Limits::default());
    for (bytes, consumed) in [(b"\n\r\n ".as_slice(), 4), (b"\nSE", 1)] {
        let step = decoder.decode(bytes).unwrap();
        assert!(matches!(step.event, Event::Incomplete));
        assert_eq!(step.consumed, consumed);
    }
}

#[test]
fn old_short_commands_are_known_and_others_are_not() {
    let short = frames(Version::V1_0, b"SUB\n\n\0UNSUB\n\n\0");
    let verbs: Vec<_> = short.iter().map(|frame| frame.verb).collect();
    assert_eq!(verbs, [Verb::Subscribe, Verb::Unsubscribe]);
    for bytes in [b"SED\n\n\0".as_slice(), b"send\n\n\0", b"SEND x\n\n\0"] {
        assert!(matches!(refused(bytes), DecodeError::UnknownCommand(_)));
    }
}

#[test]
fn a_repeated_header_counts_once_and_the_first_wins() {
    let bytes = b"SEND\na:1\na:2\n\n\0";
    let mut decoder = Decoder::new(Limits::default());
    let Event::Frame(frame) = decoder.decode(bytes).unwrap().event else {
        panic!("not complete");
    };
    assert_eq!(frame.headers.get(b"a").as_deref(), Some(b"1".as_slice()));
    assert_eq!(frame.headers.len(), 2);
}

#[test]
fn a_body_ends_where_its_length_says_or_at_a_nul() {
    let with_length = b"SEND\ncontent-length: 3 \n\n\0\n\0\0ACK\ncontent-length:99\n\n\0";
    let decoded = frames(Version::V1_2, with_length);
    assert_eq!(decoded[0].body, b"\0\n\0");
    assert_eq!((decoded[1].verb, decoded[1].body.len()), (Verb::Ack, 0));
    assert_eq!(
        frames(Version::V1_2, b"SEND\n\nab\ncd\0")[0].body,
        b"ab\ncd"
    );
    assert_eq!(
        refused(b"SEND\ncontent-length:1\n\nab\0"),
        DecodeError::NoNul
    );
}

#[test]
fn a_length_that_is_no_length_is_named() {
    let refusal = |value: &str| refused(format!("SEND\ncontent-length:{value}\n\nx\0").as_bytes());
    for text in ["-1", "-9223372036854775808"] {
        assert_eq!(refusal(text), DecodeError::LengthNegative(text.to_owned()));
    }
    for text in ["", "-", "-x", "1 2", "0x10", "99999999999999999999999"] {
        assert_eq!(refusal(text), DecodeError::LengthInvalid(text.to_owned()));
    }
    let largest = usize::MAX.to_string();
    assert!(matches!(refusal(&largest), DecodeError::TooLarge { .. }));
    // The largest length that limits can allow does not overflow either.
    let limits = Limits {
        body: usize::MAX,
        ..Limits::default()
    };
    let bytes = format!("SEND\ncontent-length:{largest}\n\nx");
    let endless = decode(Version::V1_2, limits, bytes.as_bytes());
    assert_eq!(endless, Ok(Vec::new()));
}

#[test]
fn a_header_line_needs_a_name_and_a_colon() {
    assert_eq!(
        refused(b"SEND\na:b\nx\n\n\0"),
        DecodeError::NoColon {
            line: 2,
            text: "x".to_owned()
        }
    );
    assert_eq!(
        refused(b"SEND\n:b\n\n\0"),
        DecodeError::EmptyName { line: 1 }
    );
    assert_eq!(refused(b"SEND\na:b\0"), DecodeError::Nul { line: 2 });
    assert_eq!(refused(b"SE\0"), DecodeError::Nul { line: 1 });
}

#[test]
fn each_limit_holds_while_bytes_arrive() {
    let limits = Limits {
        command: 8,
        header_line: 16,
        headers: 3,
        head: 40,
        body: 5,
        ..Limits::default()
    };
    let what = |bytes: &[u8]| match decode(Version::V1_2, limits, bytes) {
        Err(DecodeError::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    // None of these is complete.
    assert_eq!(what(b"XXXXXXXXX"), "command length");
    assert_eq!(what(b"SEND\na:345678901234567"), "header length");
    assert_eq!(what(b"SEND\na:1\na:2\na:3\na:4\n"), "number of headers");
    let long = b"SEND\na:1234567890\nb:1234567890\nc:123456789";
    assert_eq!(what(long), "size of all headers");
    assert_eq!(what(b"SEND\n\n123456"), "data length");
    assert_eq!(what(b"SEND\ncontent-length:6\n\n"), "data length");
    assert_eq!(what(b"ACK\n\n123456"), "data length");
    // And what is just within them all is a frame.
    let within = b"DISCONNE";
    assert!(matches!(decode(Version::V1_2, limits, within), Ok(none) if none.is_empty()));
    let within = b"SEND\na:34567890\nb:34567890\nc:1234567\n\n12345\0";
    assert_eq!(decode(Version::V1_2, limits, within).unwrap().len(), 1);
}

#[test]
fn before_login_head_and_body_share_one_smaller_limit() {
    let limits = Limits::default().before_login(64);
    let key = |bytes: &[u8]| match decode(Version::V1_0, limits, bytes) {
        Err(DecodeError::TooLarge { key, limit, .. }) => (key, limit),
        other => panic!("{other:?}"),
    };
    let before_login = ("limits.max_frame_before_login", 64);
    let headers = format!("CONNECT\n{}", "login:somebody\n".repeat(5));
    assert_eq!(key(headers.as_bytes()), before_login);
    let body = format!("CONNECT\n\n{}", "x".repeat(65));
    assert_eq!(key(body.as_bytes()), before_login);
    assert_eq!(key(b"SEND\ncontent-length:65\n\n"), before_login);
    let mut peer = Peer::new(Version::V1_0, limits);
    peer.decoder.set_limits(Limits::default());
    peer.receive(headers.as_bytes()).unwrap();
}

#[test]
fn nothing_is_decoded_behind_an_error() {
    let mut decoder = Decoder::new(Limits::default());
    assert!(decoder.decode(b"SED\n").is_err());
    let after = decoder.decode(b"SEND\n\n\0").map(|_| ());
    assert_eq!(after, Err(DecodeError::Poisoned));
}

#[test]
fn a_large_body_comes_piece_by_piece() {
    let body = vec![b'x'; LARGE_BODY + 1];
    let mut bytes = Vec::new();
    send("a", "b")
        .with_body(&body)
        .encode(Version::V1_2, &mut bytes);
    let head = bytes.len() - body.len() - 2;
    let mut decoder = Decoder::new(Limits::default());
    let step = decoder.decode(&bytes[..head + 10]).unwrap();
    assert!(matches!(step.event, Event::LargeHead(_, length) if length == body.len()));
    assert_eq!(step.consumed, head);
    let part = decoder.body(&bytes[head..head + 10]).unwrap();
    assert_eq!(
        (part.bytes.len(), part.consumed, part.done),
        (10, 10, false)
    );
    let nul = head + body.len();
    let part = decoder.body(&bytes[head + 10..nul]).unwrap();
    assert_eq!((part.consumed, part.done), (body.len() - 10, false));
    assert_eq!(decoder.body(b"x"), Err(DecodeError::NoNul));
}

#[test]
fn a_frame_of_a_mebibyte_byte_by_byte_is_looked_at_once() {
    const SIZE: usize = 1 << 20;
    let filler = "x".repeat(60 * 1024);
    let mut long_lines = b"SEND\n".to_vec();
    for _ in 0..16 {
        long_lines.extend_from_slice(format!("name:{filler}\n").as_bytes());
    }
    long_lines.extend_from_slice(b"\n\0");
    let mut long_body = b"SEND\n\n".to_vec();
    long_body.resize(SIZE, b'x');
    long_body.push(0);
    for bytes in [long_lines, long_body] {
        let mut decoder = Decoder::new(Limits::default());
        let mut done = 0;
        for end in 1..=bytes.len() {
            let step = decoder.decode(&bytes[..end]).unwrap();
            done += usize::from(matches!(step.event, Event::Frame(_)));
        }
        assert_eq!(done, 1);
        assert!(decoder.work <= bytes.len(), "{} bytes", decoder.work);
    }
}

#[test]
fn an_idle_decoder_keeps_little_memory() {
    let mut decoder = Decoder::new(Limits::default());
    let many = format!("SEND\n{}\n\0", "a:b\n".repeat(1000));
    decoder.decode(many.as_bytes()).unwrap();
    decoder.decode(b"BEGIN\n\n\0").unwrap();
    assert!(decoder.spans.capacity() <= SPANS_KEPT);
}

mod round_trip {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frame(version: Version) -> impl Strategy<Value = OwnedFrame> {
        let verb = prop::sample::select(Verb::ALL);
        // 1.0 trims values, and what its writer cannot escape its reader cannot tell apart.
        let value = match version {
            Version::V1_0 => "([a-z:é😀]([a-z: é😀]{0,8}[a-z:é😀])?)?",
            Version::V1_1 | Version::V1_2 => "[a-z:\\\\\n\r\t é😀]{0,10}",
        };
        let headers = vec(("[a-z\\\\ -]{1,10}", value), 0..8);
        (verb, headers, vec(any::<u8>(), 0..300)).prop_map(|(verb, headers, body)| {
            let mut frame = OwnedFrame::new(verb);
            frame.headers = headers;
            if verb.has_body() {
                frame.body = body;
            }
            frame
        })
    }

    /// As the frame is read: with the length that was added to it.
    fn written(mut frame: OwnedFrame) -> OwnedFrame {
        if !frame.body.is_empty() {
            let length = frame.body.len().to_string();
            frame = frame.with("content-length", &length);
        }
        frame
    }

    proptest! {
        #[test]
        fn every_frame_comes_back_however_it_is_cut(
            (version, sent) in prop::sample::select(&VERSIONS[..])
                .prop_flat_map(|version| (Just(version), vec(frame(version), 1..5))),
            cuts in vec(1_usize..40, 1..20),
        ) {
            let mut bytes = Vec::new();
            for frame in &sent {
                frame.encode(version, &mut bytes);
            }
            let mut peer = Peer::new(version, Limits::default());
            let mut cuts = cuts.iter().cycle();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let cut = cuts.next().copied().unwrap_or(1).min(rest.len());
                peer.receive(&rest[..cut]).unwrap();
                rest = &rest[cut..];
            }
            let expected: Vec<_> = sent.into_iter().map(written).collect();
            prop_assert_eq!(&peer.frames, &expected);
            prop_assert_eq!(decode(version, Limits::default(), &bytes), Ok(expected));
        }

        #[test]
        fn any_bytes_decode_the_same_in_any_pieces(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(Version::V1_1, Limits::default(), &bytes);
        }
    }
}
