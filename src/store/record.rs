//! A message as it is stored: version 1, documented to the byte in `docs/storage-format.md`.

use bytes::Bytes;

use super::FormatError;
use super::bytes::{Input, put_text};
use crate::core::{
    BodyKind, ConnectionId, DeliveryState, DestinationName, Encoded, Form, Job, Kind, Message,
    MessageId, Priority, Provenance, Timestamp,
};

const PERSISTENT: u8 = 1;
const BYTES_BODY: u8 = 1 << 1;
const HAS_EXPIRATION: u8 = 1 << 2;
const HAS_PROVENANCE: u8 = 1 << 3;
const HAS_STATE: u8 = 1 << 4;
const GROUPED: u8 = 1 << 5;
const SENT_ELSEWHERE: u8 = 1 << 6;
/// A second byte of flags follows: most messages need none of them.
const MORE_FLAGS: u8 = 1 << 7;

const HAS_JOB: u8 = 1;
const KNOWN_MORE_FLAGS: u8 = HAS_JOB;

const WAS_PERSISTENT: u8 = 1;
const HAS_LAST_CONSUMER: u8 = 1 << 1;

/// Appends a message and what has happened to it.
pub(super) fn encode(out: &mut Vec<u8>, message: &Message, state: DeliveryState) {
    let has_state = state != DeliveryState::default();
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        flag(message.persistent, PERSISTENT)
            | flag(message.body_kind == BodyKind::Bytes, BYTES_BODY)
            | flag(message.expiration.is_some(), HAS_EXPIRATION)
            | flag(message.provenance.is_some(), HAS_PROVENANCE)
            | flag(has_state, HAS_STATE)
            | flag(message.grouped, GROUPED)
            | flag(message.sent_to.is_some(), SENT_ELSEWHERE)
            | flag(message.job.is_some(), MORE_FLAGS),
    );
    if message.job.is_some() {
        out.push(HAS_JOB);
    }
    out.push(message.priority.get());
    out.push(message.encoded.form as u8);
    out.extend_from_slice(&message.id.connection.0.to_le_bytes());
    out.extend_from_slice(&message.id.number.to_le_bytes());
    out.extend_from_slice(&message.timestamp.0.to_le_bytes());
    if let Some(expiration) = message.expiration {
        out.extend_from_slice(&expiration.0.to_le_bytes());
    }
    if has_state {
        encode_state(out, state);
    }
    if let Some(name) = &message.sent_to {
        encode_name(out, name);
    }
    if let Some(job) = &message.job {
        encode_job(out, job);
    }
    if let Some(provenance) = &message.provenance {
        encode_provenance(out, provenance);
    }
    let encoded = &message.encoded;
    out.extend_from_slice(&encoded.body_start.to_le_bytes());
    out.extend_from_slice(&encoded.body_length.to_le_bytes());
    let length = u32::try_from(encoded.bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&encoded.bytes);
}

/// Reads a message off the front. Its bytes are copied, so that it keeps nothing else alive.
pub(super) fn decode(input: &mut Input<'_>) -> Result<(Message, DeliveryState), FormatError> {
    let flags = input.u8("the flags of a message")?;
    let has = |bit: u8| flags & bit != 0;
    let more = if has(MORE_FLAGS) {
        input.u8("more flags of a message")?
    } else {
        0
    };
    if more & !KNOWN_MORE_FLAGS != 0 {
        return Err(value("more flags of a message", more));
    }
    let priority = input.u8("a priority")?;
    if usize::from(priority) >= Priority::COUNT {
        return Err(value("a priority", priority));
    }
    let form = input.u8("the form of a message")?;
    let form = Form::from_number(form).ok_or(value("the form of a message", form))?;
    let id = MessageId {
        connection: ConnectionId(input.u64("a message's connection")?),
        number: input.u64("a message's number")?,
    };
    let timestamp = Timestamp(input.u64("a timestamp")?);
    let expiration = if has(HAS_EXPIRATION) {
        Some(Timestamp(input.u64("an expiration")?))
    } else {
        None
    };
    let state = if has(HAS_STATE) {
        decode_state(input)?
    } else {
        DeliveryState::default()
    };
    let sent_to = if has(SENT_ELSEWHERE) {
        Some(Box::new(decode_name(input)?))
    } else {
        None
    };
    let job = if more & HAS_JOB != 0 {
        Some(Box::new(decode_job(input)?))
    } else {
        None
    };
    let provenance = if has(HAS_PROVENANCE) {
        Some(Box::new(decode_provenance(input)?))
    } else {
        None
    };
    let message = Message {
        id,
        timestamp,
        expiration,
        priority: Priority::clamped(i64::from(priority)),
        persistent: has(PERSISTENT),
        body_kind: if has(BYTES_BODY) {
            BodyKind::Bytes
        } else {
            BodyKind::Text
        },
        grouped: has(GROUPED),
        identified: false,
        encoded: decode_encoded(input, form)?,
        sent_to,
        job,
        provenance,
    };
    Ok((message, state))
}

fn decode_encoded(input: &mut Input<'_>, form: Form) -> Result<Encoded, FormatError> {
    let body_start = input.u32("where a body starts")?;
    let body_length = input.u32("the length of a body")?;
    let length = input.u32("the length of a message")?;
    let end = u64::from(body_start) + u64::from(body_length);
    if end > u64::from(length) {
        return Err(FormatError::Value {
            what: "the end of a body",
            found: end,
        });
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes = Bytes::copy_from_slice(input.take("the bytes of a message", length)?);
    Ok(Encoded {
        form,
        bytes,
        body_start,
        body_length,
    })
}

/// Appends what has happened to a message.
pub(super) fn encode_state(out: &mut Vec<u8>, state: DeliveryState) {
    out.extend_from_slice(&state.deliveries.to_le_bytes());
    out.extend_from_slice(&state.attempts.to_le_bytes());
    out.push(u8::from(state.redelivered));
    let first = state.first_failure.map_or(0, |at| at.0.saturating_add(1));
    out.extend_from_slice(&first.to_le_bytes());
}

/// Reads what has happened to a message.
pub(super) fn decode_state(input: &mut Input<'_>) -> Result<DeliveryState, FormatError> {
    Ok(DeliveryState {
        deliveries: input.u32("a delivery count")?,
        attempts: input.u32("a count of attempts")?,
        redelivered: input.flag("a redelivery flag")?,
        first_failure: input.u64("a first failure")?.checked_sub(1).map(Timestamp),
    })
}

fn encode_job(out: &mut Vec<u8>, job: &Job) {
    encode_name(out, &job.target);
    for number in [job.due.0, job.delay, job.period] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&job.repeats.to_le_bytes());
    put_text(out, job.cron.as_deref().unwrap_or_default());
}

fn decode_job(input: &mut Input<'_>) -> Result<Job, FormatError> {
    let target = decode_name(input)?;
    let due = Timestamp(input.u64("when a job is due")?);
    let delay = input.u64("the delay of a job")?;
    let period = input.u64("the period of a job")?;
    let repeats = input.u32("the repeats of a job")?;
    let cron = input.text("the calendar of a job")?;
    Ok(Job {
        target,
        due,
        delay,
        period,
        repeats,
        cron: (!cron.is_empty()).then(|| cron.into()),
    })
}

fn encode_provenance(out: &mut Vec<u8>, provenance: &Provenance) {
    encode_name(out, &provenance.origin);
    put_text(out, &provenance.cause);
    out.extend_from_slice(&provenance.delivery_count.to_le_bytes());
    out.extend_from_slice(&provenance.first_failure.0.to_le_bytes());
    out.extend_from_slice(&provenance.last_failure.0.to_le_bytes());
    let expiration = provenance.expiration.map_or(0, |at| at.0.saturating_add(1));
    out.extend_from_slice(&expiration.to_le_bytes());
    // Whoever wrote neither knew of no consumers: 0 and 1 mean what they always did.
    let consumer = provenance.last_consumer.as_deref();
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        flag(provenance.was_persistent, WAS_PERSISTENT)
            | flag(consumer.is_some(), HAS_LAST_CONSUMER),
    );
    if let Some(consumer) = consumer {
        put_text(out, consumer);
    }
}

fn decode_provenance(input: &mut Input<'_>) -> Result<Provenance, FormatError> {
    let mut provenance = Provenance {
        origin: decode_name(input)?,
        cause: input.text("the cause of a dead letter")?.to_owned(),
        delivery_count: input.u32("the delivery count of a dead letter")?,
        first_failure: Timestamp(input.u64("a first failure")?),
        last_failure: Timestamp(input.u64("a last failure")?),
        last_consumer: None,
        expiration: input.u64("an expiration")?.checked_sub(1).map(Timestamp),
        was_persistent: false,
    };
    let flags = input.u8("the flags of a dead letter")?;
    if flags & !(WAS_PERSISTENT | HAS_LAST_CONSUMER) != 0 {
        return Err(value("the flags of a dead letter", flags));
    }
    provenance.was_persistent = flags & WAS_PERSISTENT != 0;
    if flags & HAS_LAST_CONSUMER != 0 {
        provenance.last_consumer = Some(input.text("the consumer of a dead letter")?.into());
    }
    Ok(provenance)
}

/// Appends a destination's kind and name.
pub(super) fn encode_name(out: &mut Vec<u8>, name: &DestinationName) {
    out.push(match (name.kind(), name.is_temporary()) {
        _ if name.is_durable() => 4,
        _ if name.is_schedule() => 5,
        _ if name.is_duplicates() => 6,
        (Kind::Queue, false) => 0,
        (Kind::Topic, false) => 1,
        (Kind::Queue, true) => 2,
        (Kind::Topic, true) => 3,
    });
    put_text(out, name.name());
}

/// Reads a destination's kind and name.
pub(super) fn decode_name(input: &mut Input<'_>) -> Result<DestinationName, FormatError> {
    let space = input.u8("the kind of a destination")?;
    let what = "the name of a destination";
    let text = input.text(what)?;
    let name = match space {
        0 => DestinationName::queue(text),
        1 => DestinationName::topic(text),
        2 => DestinationName::temporary(Kind::Queue, text),
        3 => DestinationName::temporary(Kind::Topic, text),
        4 => DestinationName::durable(text),
        5 => Ok(DestinationName::schedule()),
        6 => Ok(DestinationName::duplicates()),
        other => return Err(value("the kind of a destination", other)),
    };
    name.map_err(|_| FormatError::Name { what })
}

fn value(what: &'static str, found: u8) -> FormatError {
    FormatError::Value {
        what,
        found: u64::from(found),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_job()(
            target in "[a-z.,]{1,20}",
            (due, delay, period, repeats) in any::<(u64, u64, u64, u32)>(),
            cron in proptest::option::of(".{1,20}"),
        ) -> Job {
            Job {
                target: DestinationName::queue(&target).unwrap(),
                due: Timestamp(due),
                delay,
                period,
                repeats,
                cron: cron.map(Into::into),
            }
        }
    }

    prop_compose! {
        /// Any message that a session can make.
        pub(in crate::store) fn any_message()(
            (connection, number, timestamp) in any::<(u64, u64, u64)>(),
            expiration in any::<Option<u64>>(),
            priority in 0..10_i64,
            (persistent, bytes_body, escaped, grouped) in any::<(bool, bool, bool, bool)>(),
            head in proptest::collection::vec(any::<u8>(), 0..100),
            body in proptest::collection::vec(any::<u8>(), 0..2000),
            sent_to in proptest::option::of("[a-z.,]{1,20}"),
            job in proptest::option::of(any_job()),
            dead in proptest::option::of(("[a-z.]{1,20}", ".{0,40}", any::<(u32, u64, u64, bool)>(), 0..u64::MAX, proptest::option::of(".{0,20}"))),
        ) -> Message {
            let mut bytes = head.clone();
            bytes.extend_from_slice(&body);
            Message {
                id: MessageId { connection: ConnectionId(connection), number },
                timestamp: Timestamp(timestamp),
                expiration: expiration.map(Timestamp),
                priority: Priority::clamped(priority),
                persistent,
                body_kind: if bytes_body { BodyKind::Bytes } else { BodyKind::Text },
                grouped,
                identified: false,
                encoded: Encoded {
                    form: if escaped { Form::StompEscaped } else { Form::StompPlain },
                    bytes: bytes.into(),
                    body_start: u32::try_from(head.len()).unwrap(),
                    body_length: u32::try_from(body.len()).unwrap(),
                },
                sent_to: sent_to.map(|name| Box::new(DestinationName::topic(&name).unwrap())),
                job: job.map(Box::new),
                provenance: dead.map(|(name, cause, (count, first, last, was), expiration, consumer)| {
                    Box::new(Provenance {
                        origin: DestinationName::queue(&name).unwrap(),
                        cause,
                        delivery_count: count,
                        first_failure: Timestamp(first),
                        last_failure: Timestamp(last),
                        last_consumer: consumer.map(Into::into),
                        expiration: Some(Timestamp(expiration)),
                        was_persistent: was,
                    })
                }),
            }
        }
    }

    prop_compose! {
        pub(in crate::store) fn any_state()(
            (deliveries, attempts, redelivered) in any::<(u32, u32, bool)>(),
            first in proptest::option::of(0..u64::MAX),
        ) -> DeliveryState {
            DeliveryState { deliveries, attempts, redelivered, first_failure: first.map(Timestamp) }
        }
    }

    /// Files of before there were consumers have 0 or 1 where the flags are now.
    #[test]
    fn a_dead_letter_without_a_consumer_is_written_as_it_always_was() {
        let mut provenance = Provenance {
            origin: DestinationName::queue("q").unwrap(),
            cause: "x".to_owned(),
            delivery_count: 1,
            first_failure: Timestamp(2),
            last_failure: Timestamp(3),
            last_consumer: None,
            expiration: None,
            was_persistent: true,
        };
        for (was_persistent, last) in [(true, 1), (false, 0)] {
            provenance.was_persistent = was_persistent;
            let mut bytes = Vec::new();
            encode_provenance(&mut bytes, &provenance);
            assert_eq!(bytes.last(), Some(&last));
            assert_eq!(
                decode_provenance(&mut Input::new(&bytes)).unwrap(),
                provenance
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(message in any_message(), state in any_state()) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &message, state);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(decode(&mut input).unwrap(), (message, state));
            prop_assert_eq!(input.left(), 0);
            for cut in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
                prop_assert!(decode(&mut Input::new(&bytes[..cut])).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&mut Input::new(&bytes));
        }
    }
}
