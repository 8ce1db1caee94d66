//! A ring after a crash. Any bytes: read or refused, never a panic. A ring that was written and
//! damaged: what is read is what was written, from the first record on, or it is refused.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidegate::internal::core::{DestinationId, Persist, Position, StoredAt};
use tidegate::internal::store::{RingImage, RingMark, RingRead};

const BLOCK: usize = 4096;
const BLOCKS: u64 = 24;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// How many changes each record has.
    records: Vec<u8>,
    damage: Vec<(u16, u8, Damage)>,
    position: u32,
    number: u8,
    salvage: bool,
    bytes: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Flip,
    /// A whole block is what it was before anything was written.
    Forget,
    /// A whole block is written over another one.
    Copy(u8),
}

fn remove(number: u64) -> Persist {
    let (destination, position) = (DestinationId(1), Position(number));
    Persist::Remove {
        at: StoredAt {
            destination,
            position,
        },
    }
}

fn any_bytes(input: &Input<'_>) {
    let mut bytes = RingImage::write(1, BLOCKS, &[]).bytes();
    let end = bytes.len().min(BLOCK + input.bytes.len());
    bytes[BLOCK..end].copy_from_slice(&input.bytes[..end - BLOCK]);
    let mark = RingMark {
        position: u64::from(input.position),
        number: u64::from(input.number),
    };
    let _ = RingImage::new(bytes).read_from(mark, input.salvage);
    let _ = RingImage::new(input.bytes.to_vec()).read_from(mark, input.salvage);
}

fn damaged(input: &Input<'_>) {
    let records: Vec<Vec<Persist>> = (1..)
        .zip(input.records.iter().take(8))
        .map(|(number, count)| {
            (0..=u64::from(*count))
                .map(|at| remove(number * 1000 + at))
                .collect()
        })
        .collect();
    let written = RingImage::write(1, BLOCKS, &records).bytes();
    let mut bytes = written.clone();
    for (place, bit, damage) in &input.damage {
        let place = BLOCK + usize::from(*place) % (bytes.len() - BLOCK);
        let block = place - place % BLOCK;
        match damage {
            Damage::Flip => bytes[place] ^= 1 << (bit % 8),
            Damage::Forget => bytes[block..block + BLOCK].fill(0),
            Damage::Copy(from) => {
                let from = BLOCK * (1 + usize::from(*from) % usize::try_from(BLOCKS).unwrap());
                bytes.copy_within(from..from + BLOCK, block);
            }
        }
    }
    let mark = RingMark {
        position: 0,
        number: 1,
    };
    match RingImage::new(bytes.clone()).read_from(mark, false) {
        RingRead::Whole(found) => {
            assert!(records.starts_with(&found));
            assert!(found == records || bytes != written);
        }
        RingRead::Refused => assert_ne!(bytes, written),
    }
    if let RingRead::Whole(found) = RingImage::new(bytes).read_from(mark, true) {
        let mut rest = records.iter();
        assert!(found.iter().all(|one| rest.any(|other| other == one)));
    }
}

fuzz_target!(|input: Input<'_>| {
    any_bytes(&input);
    damaged(&input);
});
