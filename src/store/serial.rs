//! A batch as bytes: what goes to a log. Version 1, documented to the byte in
//! `docs/storage-format.md`.

use std::sync::Arc;

use super::bytes::Input;
use super::record::{decode, decode_name, decode_state, encode, encode_name, encode_state};
use super::{Batch, FormatError};
use crate::core::{DestinationId, Persist, Position, Sequence, StoredAt};

const MAGIC: [u8; 4] = *b"TGB1";

const DEFINE: u8 = 1;
const UNDEFINE: u8 = 2;
const PUT: u8 = 3;
const REMOVE: u8 = 4;
const RETURNED: u8 = 5;
const HORIZON: u8 = 6;

/// A batch as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialBatch {
    /// The sequence of its first change.
    pub first: Sequence,
    /// The sequence of its last change, those that cancelled each other included.
    pub last: Sequence,
    /// What is to be stored, in order.
    pub changes: Vec<Persist>,
}

/// Appends a batch.
pub fn write(out: &mut Vec<u8>, batch: &Batch) {
    write_parts(out, batch.first(), batch.last(), batch.changes());
}

/// Appends a batch of these changes.
pub(super) fn write_parts<'a>(
    out: &mut Vec<u8>,
    first: Sequence,
    last: Sequence,
    changes: impl Iterator<Item = &'a Persist>,
) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&first.0.to_le_bytes());
    out.extend_from_slice(&last.0.to_le_bytes());
    let count_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count: u32 = 0;
    for change in changes {
        count += 1;
        write_change(out, change);
    }
    if let Some(place) = out.get_mut(count_at..count_at + 4) {
        place.copy_from_slice(&count.to_le_bytes());
    }
    let sum = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&sum.to_le_bytes());
}

fn write_change(out: &mut Vec<u8>, change: &Persist) {
    match change {
        Persist::Define { destination, name } => {
            out.push(DEFINE);
            out.extend_from_slice(&destination.0.to_le_bytes());
            encode_name(out, name);
        }
        Persist::Undefine { destination } => {
            out.push(UNDEFINE);
            out.extend_from_slice(&destination.0.to_le_bytes());
        }
        Persist::Put {
            at,
            message,
            state,
            transient,
        } => {
            out.push(PUT);
            write_place(out, *at);
            out.push(u8::from(*transient));
            encode(out, message, *state);
        }
        Persist::Remove { at } => {
            out.push(REMOVE);
            write_place(out, *at);
        }
        Persist::Returned { at, state } => {
            out.push(RETURNED);
            write_place(out, *at);
            encode_state(out, *state);
        }
        Persist::Horizon {
            destination,
            position,
        } => {
            out.push(HORIZON);
            let (destination, position) = (*destination, *position);
            write_place(
                out,
                StoredAt {
                    destination,
                    position,
                },
            );
        }
    }
}

fn write_place(out: &mut Vec<u8>, at: StoredAt) {
    out.extend_from_slice(&at.destination.0.to_le_bytes());
    out.extend_from_slice(&at.position.0.to_le_bytes());
}

/// Reads a batch.
///
/// # Errors
/// When the bytes are not exactly one batch as [`write`] writes it.
pub fn read(bytes: &[u8]) -> Result<SerialBatch, FormatError> {
    read_covered(check(bytes)?)
}

/// Whether bytes have the checksum of a batch.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    check(bytes).is_ok()
}

/// Takes the checksum off, which has to fit.
fn check(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let body = bytes.len().checked_sub(4).ok_or(FormatError::Short {
        what: "a batch",
        expected: 4,
        found: bytes.len(),
    })?;
    let mut input = Input::new(bytes);
    let covered = input.take("a batch", body)?;
    let expected = input.u32("the checksum of a batch")?;
    let found = crc32c::crc32c(covered);
    if expected != found {
        let what = "a batch";
        return Err(FormatError::Checksum {
            what,
            expected,
            found,
        });
    }
    Ok(covered)
}

fn read_covered(covered: &[u8]) -> Result<SerialBatch, FormatError> {
    let mut input = Input::new(covered);
    let magic = input.u32("the version of a batch")?;
    if magic != u32::from_le_bytes(MAGIC) {
        return Err(FormatError::Value {
            what: "the version of a batch",
            found: u64::from(magic),
        });
    }
    let first = Sequence(input.u64("a first sequence")?);
    let last = Sequence(input.u64("a last sequence")?);
    let count = input.u32("the number of changes")?;
    let changes = (0..count)
        .map(|_| read_change(&mut input))
        .collect::<Result<_, _>>()?;
    input.end("what follows the last change")?;
    Ok(SerialBatch {
        first,
        last,
        changes,
    })
}

fn read_change(input: &mut Input<'_>) -> Result<Persist, FormatError> {
    Ok(match input.u8("the kind of a change")? {
        DEFINE => Persist::Define {
            destination: DestinationId(input.u64("a destination")?),
            name: decode_name(input)?,
        },
        UNDEFINE => Persist::Undefine {
            destination: DestinationId(input.u64("a destination")?),
        },
        PUT => {
            let at = read_place(input)?;
            let transient = input.flag("whether a message is transient")?;
            let (message, state) = decode(input)?;
            Persist::Put {
                at,
                message: Arc::new(message),
                state,
                transient,
            }
        }
        REMOVE => Persist::Remove {
            at: read_place(input)?,
        },
        RETURNED => Persist::Returned {
            at: read_place(input)?,
            state: decode_state(input)?,
        },
        HORIZON => {
            let at = read_place(input)?;
            Persist::Horizon {
                destination: at.destination,
                position: at.position,
            }
        }
        other => {
            return Err(FormatError::Value {
                what: "the kind of a change",
                found: u64::from(other),
            });
        }
    })
}

fn read_place(input: &mut Input<'_>) -> Result<StoredAt, FormatError> {
    Ok(StoredAt {
        destination: DestinationId(input.u64("a destination")?),
        position: Position(input.u64("a position")?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::tests::{any_message, any_state};
    use super::*;
    use crate::core::DestinationName;

    fn any_change() -> impl Strategy<Value = Persist> {
        let place = any::<(u64, u64)>().prop_map(|(destination, position)| StoredAt {
            destination: DestinationId(destination),
            position: Position(position),
        });
        prop_oneof![
            ("[a-z.]{1,20}", place.clone()).prop_map(|(name, at)| Persist::Define {
                destination: at.destination,
                name: DestinationName::topic(&name).unwrap(),
            }),
            place.clone().prop_map(|at| Persist::Undefine {
                destination: at.destination
            }),
            (place.clone(), any_message(), any_state(), any::<bool>()).prop_map(
                |(at, message, state, transient)| Persist::Put {
                    at,
                    message: Arc::new(message),
                    state,
                    transient,
                }
            ),
            place.clone().prop_map(|at| Persist::Remove { at }),
            (place.clone(), any_state()).prop_map(|(at, state)| Persist::Returned { at, state }),
            place.prop_map(|at| Persist::Horizon {
                destination: at.destination,
                position: at.position,
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            changes in proptest::collection::vec(any_change(), 0..20),
            first in 1..u64::MAX / 2,
            damage in any::<proptest::sample::Index>(),
        ) {
            let first = Sequence(first);
            let last = Sequence(first.0 + changes.len() as u64);
            let mut bytes = Vec::new();
            write_parts(&mut bytes, first, last, changes.iter());
            prop_assert_eq!(read(&bytes).unwrap(), SerialBatch { first, last, changes });
            let index = damage.index(bytes.len());
            bytes[index] ^= 1;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
