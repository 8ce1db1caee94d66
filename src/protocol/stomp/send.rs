//! SEND: from a frame to a message whose bytes are ready for its consumers.
//!
//! Headers and body are copied once, into the one allocation that the message owns: header lines of
//! MESSAGE, an empty line, the body, a NUL.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::destination::{self, Purpose as For};
use super::dialect::is_multicast;
use super::header_value::{
    delivery_mode, integer, is_group, is_identity, is_temporary, message_type, millis,
};
use super::receipts::Purpose;
use super::refusal::Refused;
use super::schedule;
use super::session::{Peer, value};
use super::subscribe::is_transformation;
use crate::codec::stomp::{Frame, Headers, Version, escape, needs_escape, number};
use crate::core::{
    BodyKind, DestinationName, Encoded, Form, Job, Message, MessageId, Now, Priority, Request,
    Timestamp, TransactionId,
};
use crate::protocol::report::{add, kind_index};

/// What the broker's own header lines of a message take at most, beside the destination, in bytes.
const OWN_LINES: usize = 200;

/// A message of which all but the body is known.
#[derive(Debug)]
pub(super) struct Draft {
    destination: DestinationName,
    job: Option<Box<Job>>,
    transaction: Option<TransactionId>,
    receipt: Option<Box<[u8]>>,
    timestamp: Timestamp,
    expiration: Option<Timestamp>,
    priority: Priority,
    persistent: bool,
    body_kind: BodyKind,
    grouped: bool,
    identified: bool,
    form: Form,
    id: MessageId,
}

/// Values of the headers that mean something to the broker.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "headers that are there or not"
)]
struct Known<'a> {
    destination: Option<std::borrow::Cow<'a, [u8]>>,
    persistent: Option<bool>,
    priority: Option<i64>,
    expires: Option<u64>,
    timestamp: Option<u64>,
    length_given: bool,
    kind: Option<BodyKind>,
    grouped: bool,
    identified: bool,
    schedule: schedule::Asked,
    multicast: bool,
    /// A temporary destination that is to be replied to.
    reply_to: Option<std::borrow::Cow<'a, [u8]>>,
}

impl Peer {
    /// Takes a whole frame.
    pub(super) fn send(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let (draft, mut block) = self.draft(now, &frame.headers, frame.body.len())?;
        let holds_nul =
            draft.body_kind == BodyKind::Text && memchr::memchr(0, frame.body).is_some();
        end_head(
            &mut block,
            draft.body_kind == BodyKind::Bytes || holds_nul,
            frame.body.len(),
        );
        let body_start = block.len();
        block.extend_from_slice(frame.body);
        self.finish(now, draft, block, body_start, requests);
        Ok(())
    }

    /// Reads the head of a frame and writes the header lines of its message, with room for a body of
    /// `body` bytes.
    pub(super) fn draft(
        &mut self,
        now: Now,
        headers: &Headers<'_>,
        body: usize,
    ) -> Result<(Draft, Vec<u8>), Refused> {
        let transaction = self.open_transaction(headers)?;
        let mut block = Vec::with_capacity(headers.size() + OWN_LINES + body + 1);
        let mut form = Form::StompPlain;
        let known = read_headers(headers, &mut block, &mut form)?;
        let text = known
            .destination
            .filter(|text| !text.is_empty())
            .ok_or_else(|| {
                Refused::missing(
                    "SEND received without a Destination specified!",
                    "destination",
                )
            })?;
        let destination = self.destination(&text, known.multicast)?;
        let expiration = known.expires.or(self.time_to_live(now, headers)?);
        if let Some(text) = &known.reply_to {
            let name = self.reply_destination(text)?;
            block.extend_from_slice(b"reply-to:");
            destination::write(&mut block, &name, Version::V1_2, None);
            block.push(b'\n');
            form = Form::StompEscaped;
        }
        if needs_escape(destination.name().as_bytes()) {
            form = Form::StompEscaped;
        }
        self.last_message += 1;
        let id = MessageId {
            connection: self.id,
            number: self.last_message,
        };
        // What the broker itself has sent on is not delayed once more.
        let fresh = headers.raw(b"scheduledJobId").is_none();
        let job = known.schedule.job(now.wall, &destination).filter(|_| fresh);
        let draft = Draft {
            job: job.map(Box::new),
            transaction,
            receipt: self.receipt(headers),
            timestamp: known.timestamp.map_or(now.wall, Timestamp),
            expiration: expiration.filter(|at| *at > 0).map(Timestamp),
            priority: known.priority.map_or(Priority::DEFAULT, Priority::clamped),
            persistent: known.persistent == Some(true),
            body_kind: known.kind.unwrap_or(if known.length_given {
                BodyKind::Bytes
            } else {
                BodyKind::Text
            }),
            grouped: known.grouped,
            identified: known.identified,
            destination,
            form,
            id,
        };
        draft.write_own_lines(&mut block);
        Ok((draft, block))
    }

    /// Asks for the message to be sent. `block` ends with the body.
    pub(super) fn finish(
        &mut self,
        now: Now,
        draft: Draft,
        mut block: Vec<u8>,
        body_start: usize,
        requests: &mut Vec<Request>,
    ) {
        let body_length = block.len() - body_start;
        block.push(0);
        let kind = kind_index(draft.destination.kind());
        add(
            &mut self.report.received,
            kind,
            usize::from(draft.persistent),
            1,
        );
        self.report.message_size = Some(body_length as u64);
        let message = Message {
            id: draft.id,
            timestamp: draft.timestamp,
            expiration: draft.expiration,
            priority: draft.priority,
            persistent: draft.persistent,
            body_kind: draft.body_kind,
            grouped: draft.grouped,
            identified: draft.identified,
            encoded: Encoded {
                form: draft.form,
                bytes: Bytes::from(block),
                body_start: u32::try_from(body_start).unwrap_or(u32::MAX),
                body_length: u32::try_from(body_length).unwrap_or(u32::MAX),
            },
            sent_to: None,
            job: draft.job,
            provenance: None,
        };
        let token = match (draft.transaction, draft.receipt) {
            (Some(transaction), receipt) => {
                Some(self.receipts.add(receipt, Purpose::Within(transaction)))
            }
            (None, Some(receipt)) => {
                let (persistent, since) = (draft.persistent, now.tick);
                Some(
                    self.receipts
                        .add(Some(receipt), Purpose::Send { persistent, since }),
                )
            }
            (None, None) => None,
        };
        // A reply that comes at once must find its destination.
        requests.append(&mut self.deferred);
        requests.push(Request::Send {
            destination: draft.destination,
            message: Arc::new(message),
            transaction: draft.transaction,
            token,
        });
    }

    /// When the message expires, if the dialect has a header for how long it lives.
    fn time_to_live(&self, now: Now, headers: &Headers<'_>) -> Result<Option<u64>, Refused> {
        let Some(name) = self.config.dialect.time_to_live() else {
            return Ok(None);
        };
        let Some(text) = headers.get(name.as_bytes()) else {
            return Ok(None);
        };
        let lives: Option<u64> = value(&text);
        let lives =
            lives.ok_or_else(|| Refused::invalid(name, &text, "a number of milliseconds"))?;
        Ok(Some(now.wall.0.saturating_add(lives)))
    }

    /// Reads a destination; the one of the last message is known already.
    fn destination(&mut self, text: &[u8], multicast: bool) -> Result<DestinationName, Refused> {
        if let Some((last, name)) = &self.last_destination
            && last.as_ref() == text
            && !multicast
        {
            return Ok(name.clone());
        }
        let translated = self.config.dialect.destination(text, multicast)?;
        let name = destination::parse(&translated, For::Send, &mut self.temporaries)?;
        // A long one, which may be mostly options, is not worth its memory.
        if text.len() <= 2 * DestinationName::MAX_LENGTH && !multicast {
            self.last_destination = Some((text.into(), name.clone()));
        }
        Ok(name)
    }
}

impl Draft {
    fn write_own_lines(&self, block: &mut Vec<u8>) {
        block.extend_from_slice(b"message-id:");
        super::deliver::write_message_id(block, self.id);
        block.extend_from_slice(b"\ndestination:");
        destination::write(block, &self.destination, Version::V1_2, None);
        for (name, value) in [
            (b"\ntimestamp:".as_slice(), self.timestamp.0),
            (b"\nexpires:", self.expiration.map_or(0, |at| at.0)),
            (b"\npriority:", u64::from(self.priority.get())),
        ] {
            block.extend_from_slice(name);
            number(block, value);
        }
        block.push(b'\n');
        if self.persistent {
            block.extend_from_slice(b"persistent:true\n");
        }
    }

    /// Whether `content-length` is to be written before the body is known.
    pub(super) fn is_bytes(&self) -> bool {
        self.body_kind == BodyKind::Bytes
    }
}

/// Ends the header lines, with the length of the body if consumers need it.
pub(super) fn end_head(block: &mut Vec<u8>, with_length: bool, length: usize) {
    if with_length {
        block.extend_from_slice(b"content-length:");
        number(block, length as u64);
        block.push(b'\n');
    }
    block.push(b'\n');
}

/// Reads the headers that mean something and copies all others as properties. Of repeated headers the
/// first one counts.
fn read_headers<'a>(
    headers: &Headers<'a>,
    block: &mut Vec<u8>,
    form: &mut Form,
) -> Result<Known<'a>, Refused> {
    let mut known = Known::default();
    let mut jms = Known::default();
    let mut seen = Seen::of(headers);
    for (index, header) in headers.iter().enumerate() {
        let name = header.name;
        if seen.repeats(index, name) {
            continue;
        }
        match name {
            b"destination" => known.destination = Some(header.value()),
            b"persistent" => known.persistent = Some(header.raw == b"true"),
            b"priority" => known.priority = Some(integer("priority", &header.value())?),
            b"expires" => known.expires = Some(millis("expires", &header.value())?),
            b"timestamp" => known.timestamp = Some(millis("timestamp", &header.value())?),
            b"content-length" => known.length_given = true,
            b"JMSPriority" => jms.priority = Some(integer("JMSPriority", &header.value())?),
            b"JMSExpiration" => jms.expires = Some(millis("JMSExpiration", &header.value())?),
            b"JMSTimestamp" => jms.timestamp = Some(millis("JMSTimestamp", &header.value())?),
            b"JMSDeliveryMode" => jms.persistent = Some(delivery_mode(&header.value())?),
            b"JMSCorrelationID" => property(block, form, b"correlation-id", &header.value()),
            b"JMSType" => property(block, form, b"type", &header.value()),
            b"reply-to" if headers.raw(b"JMSReplyTo").is_some() => {}
            b"JMSReplyTo" | b"reply-to" if is_temporary(&header.value()) => {
                known.reply_to = Some(header.value());
            }
            b"JMSReplyTo" => reply_to(block, form, &header.value()),
            b"correlation-id" if headers.raw(b"JMSCorrelationID").is_some() => {}
            b"type" if headers.raw(b"JMSType").is_some() => {}
            b"receipt"
            | b"transaction"
            | b"message-id"
            | b"redelivered"
            | b"subscription"
            | b"ack"
            | b"JMSXUserID"
            | b"JMSXDeliveryCount"
            | b"JMSRedelivered"
            | b"JMSXGroupFirstForConsumer" => {}
            _ if schedule::is_schedule(name) && known.schedule.take(name, &header.value())? => {}
            _ => {
                let value = header.value();
                check_property(name, &value, headers, &mut known)?;
                if header.escaped || needs_escape(header.raw) || name.contains(&b'\r') {
                    property(block, form, name, &value);
                } else {
                    block.extend_from_slice(name);
                    block.push(b':');
                    block.extend_from_slice(header.raw);
                    block.push(b'\n');
                }
            }
        }
    }
    known.persistent = jms.persistent.or(known.persistent);
    known.priority = jms.priority.or(known.priority);
    known.expires = jms.expires.or(known.expires);
    known.timestamp = jms.timestamp.or(known.timestamp);
    Ok(known)
}

/// Tells repeated headers from first ones: by looking back, or by a set where they are so many that
/// this would take too long.
enum Seen<'a> {
    Few(Headers<'a>),
    Many(FxHashSet<&'a [u8]>),
}

impl<'a> Seen<'a> {
    const FEW: usize = 24;

    fn of(headers: &Headers<'a>) -> Self {
        if headers.len() <= Self::FEW {
            Self::Few(*headers)
        } else {
            Self::Many(FxHashSet::default())
        }
    }

    fn repeats(&mut self, index: usize, name: &'a [u8]) -> bool {
        match self {
            Self::Few(headers) => headers.iter().take(index).any(|other| other.name == name),
            Self::Many(names) => !names.insert(name),
        }
    }
}

/// Appends `reply-to` for a destination as JMS spells it.
fn reply_to(block: &mut Vec<u8>, form: &mut Form, value: &[u8]) {
    let spelled = [(b"queue://", b"/queue/"), (b"topic://", b"/topic/")];
    let stomp = spelled.iter().find_map(|(jms, stomp)| {
        let name = value.strip_prefix(jms.as_slice())?;
        Some([stomp.as_slice(), name].concat())
    });
    property(block, form, b"reply-to", stomp.as_deref().unwrap_or(value));
}

/// Appends a header line whose value may need escapes.
fn property(block: &mut Vec<u8>, form: &mut Form, name: &[u8], value: &[u8]) {
    if needs_escape(value) {
        *form = Form::StompEscaped;
    }
    block.extend(name.iter().filter(|byte| **byte != b'\r'));
    block.push(b':');
    escape(block, value, Version::V1_2);
    block.push(b'\n');
}

/// Looks at properties that ask the broker for something: nothing of that may pass unnoticed.
fn check_property(
    name: &[u8],
    value: &[u8],
    headers: &Headers<'_>,
    known: &mut Known<'_>,
) -> Result<(), Refused> {
    let what = match name {
        b"amq-msg-type" => {
            known.kind = Some(message_type(value)?);
            return Ok(());
        }
        b"JMSXGroupID" => {
            known.grouped = is_group(value)?;
            return Ok(());
        }
        b"_AMQ_DUPL_ID" => {
            known.identified = is_identity(value)?;
            return Ok(());
        }
        b"destination-type" => {
            known.multicast = is_multicast("destination-type", value)?;
            return Ok(());
        }
        b"JMSXGroupSeq" => {
            let sequence: Option<i32> = self::value(value);
            let expected = "a whole number";
            sequence.ok_or_else(|| Refused::invalid("JMSXGroupSeq", value, expected))?;
            return Ok(());
        }
        b"transformation"
            if is_transformation(value) && headers.get(b"content-length").is_none() =>
        {
            "a transformation"
        }
        b"ActiveMQ.Retain" if value == b"true" => "a retained message",
        _ => return Ok(()),
    };
    Err(Refused::unbuilt(name, what))
}
