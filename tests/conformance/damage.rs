//! Random frames, whole and damaged, in random pieces: no panic, no client without an answer, and no
//! harm to another one.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::assert_alive;
use crate::support::world::World;

const CASES: u32 = 150;

/// More bytes than any damaged `content-length` here can ask for: five digits.
const PADDING: usize = 100_001;

/// What one client does.
#[derive(Clone, Debug)]
struct Script {
    version: Version,
    frames: Vec<OwnedFrame>,
    /// Places, counted in thousandths of all bytes, and what is done there.
    damage: Vec<(usize, Damage)>,
    /// Sizes of the pieces, over and over.
    pieces: Vec<usize>,
    /// Whether the client reads while it sends.
    reading: bool,
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Replace(u8),
    Insert(u8),
    Remove,
}

/// Runs a property with a seed that is printed if it fails, or taken from `TIDEGATE_SEED`.
fn check(scripts: impl Strategy<Value = Vec<Script>>, property: fn(&[Script])) {
    let seed = match std::env::var("TIDEGATE_SEED") {
        Ok(text) => text.parse().expect("TIDEGATE_SEED is a number"),
        Err(_) => RandomState::new().hash_one(CASES),
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&scripts, |scripts| {
        property(&scripts);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("TIDEGATE_SEED={seed}: {failure}");
    }
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![
        Just(Version::V1_0),
        Just(Version::V1_1),
        Just(Version::V1_2)
    ]
}

/// A frame that a client may send, sensible or not; often about something that is there.
fn any_frame() -> impl Strategy<Value = OwnedFrame> {
    let verb = prop_oneof![
        4 => Just(Verb::Send),
        2 => Just(Verb::Subscribe),
        2 => Just(Verb::Ack),
        1 => Just(Verb::Nack),
        1 => Just(Verb::Unsubscribe),
        1 => Just(Verb::Begin),
        1 => Just(Verb::Commit),
        1 => Just(Verb::Abort),
    ];
    let header = prop_oneof![
        4 => sample("destination", &["/queue/a", "/topic/b", "/queue/a,b", "/queue/>", "c", "/queue/"]),
        2 => sample("id", &["1", "2", "4294967296-0-1", "4294967297-0-1", "x"]),
        2 => sample("ack", &["auto", "client", "client-individual", "?"]),
        2 => sample("transaction", &["t", "u"]),
        1 => sample("message-id", &["ID-4294967296-1", "ID-4294967297-2", "x"]),
        1 => sample("subscription", &["1", "2", "auto-0"]),
        1 => sample("activemq.prefetchSize", &["0", "1", "5", "-1"]),
        1 => sample("persistent", &["true", "false"]),
        1 => sample("priority", &["0", "9", "99", "x"]),
        1 => sample("expires", &["0", "1", "1700000000001"]),
        1 => sample("selector", &["", "a = 1"]),
        1 => sample("requeue", &["false"]),
        1 => ("[a-z]{1,8}", "[ -~\u{e9}\n\r]{0,12}").prop_map(|(name, value)| (name, value)),
    ];
    let headers = prop::collection::vec(header, 1..7);
    let body = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(vec![b'x'; 20_000]),
    ];
    (verb, headers, body).prop_map(|(verb, headers, body)| {
        let plain = OwnedFrame::new(verb);
        let mut frame = headers
            .into_iter()
            .fold(plain, |frame, (name, value)| frame.with(&name, &value));
        if verb == Verb::Send {
            frame = frame.with_body(&body);
        }
        frame
    })
}

fn sample(
    name: &'static str,
    values: &'static [&'static str],
) -> impl Strategy<Value = (String, String)> {
    prop::sample::select(values).prop_map(move |value| (name.to_owned(), value.to_owned()))
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![
        Just(0),
        Just(b'\n'),
        Just(b':'),
        Just(b'\\'),
        b'0'..=b'9',
        any::<u8>()
    ];
    prop_oneof![
        byte.clone().prop_map(Damage::Replace),
        byte.prop_map(Damage::Insert),
        Just(Damage::Remove),
    ]
}

fn scripts(damage: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Script>> {
    let script = (
        version(),
        prop::collection::vec(any_frame(), 1..20),
        prop::collection::vec((0..1000_usize, any_damage()), damage),
        prop::collection::vec(prop_oneof![1..60_usize, 1..30_000_usize], 2..8),
        any::<bool>(),
    );
    let script = script.prop_map(|(version, frames, damage, pieces, reading)| Script {
        version,
        frames,
        damage,
        pieces,
        reading,
    });
    prop::collection::vec(script, 1..4)
}

/// The bytes of a script, each frame with a receipt of its own.
fn bytes_of(script: &Script) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, frame) in script.frames.iter().enumerate() {
        let frame = frame.clone().with("receipt", &format!("r{number}"));
        frame.encode(script.version, &mut bytes);
    }
    for (place, damage) in &script.damage {
        let place = (bytes.len() * place / 1000).min(bytes.len() - 1);
        match damage {
            Damage::Replace(byte) => bytes[place] = *byte,
            Damage::Insert(byte) => bytes.insert(place, *byte),
            Damage::Remove => {
                bytes.remove(place);
            }
        }
    }
    bytes
}

/// Lets all clients send their bytes in turns, piece by piece, and returns what each was told, and
/// whether its connection is open.
fn play(scripts: &[Script], tail: &[u8]) -> Vec<(Vec<OwnedFrame>, bool)> {
    let mut world = World::new();
    let bystander = world.connect(Version::V1_2);
    let mut clients = Vec::new();
    for script in scripts {
        let client = world.connect(script.version);
        world.set_reading(client, script.reading);
        clients.push((client, bytes_of(script), 0, script.pieces.iter().cycle()));
    }
    loop {
        let mut busy = false;
        for (client, bytes, sent, pieces) in &mut clients {
            let end = bytes.len().min(*sent + pieces.next().copied().unwrap_or(1));
            busy |= *sent < end;
            world.send_bytes(*client, &bytes[*sent..end]);
            *sent = end;
        }
        if !busy {
            break;
        }
    }
    for (client, ..) in &clients {
        world.send_bytes(*client, tail);
        world.set_reading(*client, true);
    }
    world.run();
    // Sends that wait for room, and transactions without an end.
    world.advance(Duration::from_mins(10));
    assert_alive(&mut world, bystander);
    clients
        .iter()
        .map(|(client, ..)| (world.drain(*client), !world.is_closed(*client)))
        .collect()
}

/// Each frame that is one is answered, exactly once, by RECEIPT or ERROR; of these frames none ends
/// the connection.
fn whole_frames(scripts: &[Script]) {
    for (script, (told, open)) in scripts.iter().zip(play(scripts, b"")) {
        assert!(open, "{told:?}");
        for number in 0..script.frames.len() {
            let receipt = format!("r{number}");
            let answers = told
                .iter()
                .filter(|frame| frame.get("receipt-id") == Some(&receipt));
            assert_eq!(answers.count(), 1, "{receipt} of {script:?}: {told:?}");
        }
        for frame in told {
            let expected = [Verb::Message, Verb::Receipt, Verb::Error];
            assert!(expected.contains(&frame.verb), "{frame:?}");
        }
    }
}

/// After any damage the client is either served, or was told why not.
fn damaged_frames(scripts: &[Script]) {
    let mut tail = vec![0; PADDING];
    tail.extend_from_slice(b"\nSEND\ndestination:/queue/probe\nreceipt:probe\n\nx\0");
    for (script, (told, open)) in scripts.iter().zip(play(scripts, &tail)) {
        if open {
            let probed = told
                .iter()
                .any(|frame| frame.get("receipt-id") == Some("probe"));
            assert!(probed, "not served after {script:?}: {told:?}");
            continue;
        }
        let reason = told.iter().rposition(|frame| frame.verb == Verb::Error);
        let behind = &told[reason.unwrap_or_else(|| panic!("closed without a word: {script:?}"))..];
        assert!(behind[0].get("code").is_some(), "{behind:?}");
        let delivered = behind.iter().any(|frame| frame.verb == Verb::Message);
        assert!(!delivered, "behind the end: {behind:?}");
    }
}

#[test]
fn every_whole_frame_is_answered_once() {
    check(scripts(0..1), whole_frames);
}

#[test]
fn damage_is_answered_and_harms_nobody() {
    check(scripts(1..4), damaged_frames);
}
