//! MESSAGE: what differs from delivery to delivery is written in front of the lines and the body that
//! the message brings along.

use std::collections::VecDeque;

use super::destination;
use super::session::{Peer, Stage};
use super::temporary::Temporaries;
use crate::codec::stomp::{Version, escape, number, relax};
use crate::core::{
    AckMode, ConnectionId, Delivery, DeliveryTag, DestinationName, Encoded, Form, MessageId,
    Outcome, Provenance, Request, SubscriptionId, Tags, Timestamp,
};
use crate::protocol::report::{add, kind_index};

/// Deliveries on their way to the socket, in their order.
#[derive(Debug, Default)]
pub(super) struct OnTheirWay {
    /// Each with the count of bytes after which the socket has all of it.
    deliveries: VecDeque<(u64, SubscriptionId, DeliveryTag)>,
    /// Bytes that the socket has taken, since the start.
    taken: u64,
}

impl OnTheirWay {
    /// Bytes that the socket has taken, since the start.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The last delivery of a subscription that the socket has not taken.
    pub(super) fn last_of(&self, subscription: SubscriptionId) -> Option<DeliveryTag> {
        let mut deliveries = self.deliveries.iter().rev();
        let found = deliveries.find(|(_, id, _)| *id == subscription);
        found.map(|(.., tag)| *tag)
    }
}

impl Peer {
    /// Encodes a delivery. One of a subscription that has ended meanwhile is dropped: its message has
    /// gone back to its queue. So is one for a peer that has said goodbye or is being told why it is
    /// closed: its message goes back when the connection ends.
    pub(super) fn encode_delivery(&mut self, delivery: &Delivery) {
        if self.stage != Stage::Open {
            return;
        }
        let Some(subscription) = self.subscriptions.get_mut(delivery.subscription) else {
            return;
        };
        if delivery.end_of_browse {
            return self.encode_end_of_browse(delivery.subscription);
        }
        let buffer = self.transmit.buffer();
        buffer.extend_from_slice(&subscription.prefix);
        if subscription.mode != AckMode::Auto {
            if self.version == Version::V1_2 {
                number(buffer, delivery.tag.0);
                buffer.push(b'\n');
            }
            subscription
                .outstanding
                .push(delivery.tag, delivery.message.id);
        }
        write_history(buffer, delivery);
        let message = &*delivery.message;
        let encoded = &message.encoded;
        let named = &subscription.destination;
        let concrete = delivery.concrete.as_deref().unwrap_or(named);
        let own = &self.temporaries;
        let reply_to = own.reply_to(encoded);
        if let Some(name) = &reply_to {
            write_line(buffer, b"reply-to:", name, self.version, own);
        }
        let replaced = |name: &[u8]| reply_to.is_some() && name == b"reply-to";
        if let Some(provenance) = &message.provenance {
            write_line(buffer, b"destination:", concrete, self.version, own);
            write_provenance(buffer, provenance, message.expiration, self.version, own);
            let told = |name: &[u8]| is_told_by_provenance(name) || replaced(name);
            write_lines(buffer, encoded, self.version, told);
            self.transmit.push(&body_with_nul(encoded));
        } else if let Some(sent_to) = &message.sent_to {
            write_line(buffer, b"destination:", concrete, self.version, own);
            write_line(buffer, b"original-destination:", sent_to, self.version, own);
            let told = |name: &[u8]| matches!(name, b"destination" | b"original-destination");
            write_lines(buffer, encoded, self.version, |n| told(n) || replaced(n));
            self.transmit.push(&body_with_nul(encoded));
        } else if reply_to.is_some() || concrete.is_temporary() {
            write_line(buffer, b"destination:", concrete, self.version, own);
            let told = |name: &[u8]| name == b"destination" || replaced(name);
            write_lines(buffer, encoded, self.version, told);
            self.transmit.push(&body_with_nul(encoded));
        } else if encoded.form == Form::StompPlain || self.version == Version::V1_2 {
            self.transmit.push(&encoded.bytes);
        } else {
            write_lines(buffer, encoded, self.version, |_| false);
            self.transmit.push(&body_with_nul(encoded));
        }
        self.transmit.buffer().push(b'\n');
        if !subscription.browses {
            let kind = kind_index(concrete.kind());
            let redelivered = usize::from(delivery.redelivered);
            add(&mut self.report.delivered, kind, redelivered, 1);
        }
        let end = self.on_their_way.taken + self.transmit.len() as u64;
        self.on_their_way
            .deliveries
            .push_back((end, delivery.subscription, delivery.tag));
    }

    /// Tells a browser that it has been shown everything. There is nothing to acknowledge.
    fn encode_end_of_browse(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get(id) else {
            return;
        };
        let prefix = &subscription.prefix;
        let lines = memchr::memrchr(b'\n', prefix).map_or(0, |last| last + 1);
        let buffer = self.transmit.buffer();
        buffer.extend_from_slice(prefix.get(..lines).unwrap_or_default());
        buffer.extend_from_slice(b"message-id:0\n");
        let destination = &subscription.destination;
        let own = &self.temporaries;
        write_line(buffer, b"destination:", destination, self.version, own);
        buffer.extend_from_slice(b"browser:end\n\n\0\n");
    }

    /// The socket has taken bytes: deliveries that are wholly among them are written, and thereby
    /// acknowledged where the subscription says so.
    pub(super) fn note_written(&mut self, bytes: usize, requests: &mut Vec<Request>) {
        let way = &mut self.on_their_way;
        way.taken += bytes as u64;
        let taken = way.taken;
        self.unread.taken(taken);
        let mut run: Option<(SubscriptionId, DeliveryTag)> = None;
        while let Some((_, id, tag)) = way.deliveries.pop_front_if(|(end, ..)| *end <= taken) {
            if let Some((other, last)) = run.filter(|(other, _)| *other != id) {
                settle_written(
                    &mut self.subscriptions,
                    &mut self.report,
                    other,
                    last,
                    requests,
                );
            }
            run = Some((id, tag));
        }
        if way.deliveries.is_empty() && way.deliveries.capacity() > 256 {
            way.deliveries = VecDeque::new();
        }
        if let Some((id, last)) = run {
            settle_written(
                &mut self.subscriptions,
                &mut self.report,
                id,
                last,
                requests,
            );
        }
    }
}

pub(super) fn settle_written(
    subscriptions: &mut super::subscription::Subscriptions,
    report: &mut crate::protocol::Report,
    id: SubscriptionId,
    last: DeliveryTag,
    requests: &mut Vec<Request>,
) {
    let Some(subscription) = subscriptions.get_mut(id) else {
        return;
    };
    let before = std::mem::replace(&mut subscription.written, last);
    if subscription.mode == AckMode::Auto {
        if !subscription.browses {
            report.acknowledged.auto += last.0.saturating_sub(before.0);
        }
        requests.push(Request::Settle {
            subscription: id,
            tags: Tags::Through(last),
            outcome: Outcome::Accept,
            transaction: None,
            token: None,
        });
    }
}

/// What has happened to the message so far.
fn write_history(buffer: &mut Vec<u8>, delivery: &Delivery) {
    if delivery.redelivered {
        buffer.extend_from_slice(b"redelivered:true\n");
    }
    if delivery.count > 1 {
        buffer.extend_from_slice(b"JMSXDeliveryCount:");
        number(buffer, u64::from(delivery.count));
        buffer.push(b'\n');
    }
    if delivery.first_of_group {
        buffer.extend_from_slice(b"JMSXGroupFirstForConsumer:true\n");
    }
}

fn write_line(
    buffer: &mut Vec<u8>,
    label: &[u8],
    name: &DestinationName,
    version: Version,
    own: &Temporaries,
) {
    buffer.extend_from_slice(label);
    destination::write(buffer, name, version, Some(own));
    buffer.push(b'\n');
}

/// The body and the NUL behind it.
fn body_with_nul(encoded: &Encoded) -> bytes::Bytes {
    let start = (encoded.body_start as usize).min(encoded.bytes.len());
    encoded.bytes.slice(start..)
}

/// Copies header lines that are not left out, escaped for the version, and ends the head.
fn write_lines(
    buffer: &mut Vec<u8>,
    encoded: &Encoded,
    version: Version,
    left_out: impl Fn(&[u8]) -> bool,
) {
    let start = (encoded.body_start as usize).min(encoded.bytes.len());
    let head = encoded.bytes.get(..start).unwrap_or_default();
    for line in head
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if left_out(name) {
            continue;
        }
        buffer.extend_from_slice(name);
        buffer.push(b':');
        let value = value.get(1..).unwrap_or_default();
        if encoded.form == Form::StompEscaped {
            relax(buffer, value, version);
        } else {
            buffer.extend_from_slice(value);
        }
        buffer.push(b'\n');
    }
    buffer.push(b'\n');
}

/// Lines of the message that a dead letter's own replace.
fn is_told_by_provenance(name: &[u8]) -> bool {
    matches!(
        name,
        b"destination"
            | b"expires"
            | b"persistent"
            | b"original-destination"
            | b"dlqReason"
            | b"dlqDeliveryFailureCause"
            | b"dlqDeliveryCount"
            | b"dlqFirstFailure"
            | b"dlqLastFailure"
            | b"dlqLastConsumer"
            | b"originalExpiration"
            | b"originalDeliveryMode"
    )
}

/// Appends where a dead letter comes from, in the words of `ActiveMQ` where it has some.
fn write_provenance(
    buffer: &mut Vec<u8>,
    provenance: &Provenance,
    expiration: Option<Timestamp>,
    version: Version,
    own: &Temporaries,
) {
    buffer.extend_from_slice(b"expires:");
    number(buffer, expiration.map_or(0, |at| at.0));
    buffer.extend_from_slice(b"\npersistent:true\n");
    write_line(
        buffer,
        b"original-destination:",
        &provenance.origin,
        version,
        own,
    );
    for name in [b"dlqDeliveryFailureCause:".as_slice(), b"\ndlqReason:"] {
        buffer.extend_from_slice(name);
        escape(buffer, provenance.cause.as_bytes(), version);
    }
    for (name, value) in [
        (
            b"\ndlqDeliveryCount:".as_slice(),
            u64::from(provenance.delivery_count),
        ),
        (b"\ndlqFirstFailure:", provenance.first_failure.0),
        (b"\ndlqLastFailure:", provenance.last_failure.0),
    ] {
        buffer.extend_from_slice(name);
        number(buffer, value);
    }
    if let Some(consumer) = &provenance.last_consumer {
        buffer.extend_from_slice(b"\ndlqLastConsumer:");
        escape(buffer, consumer.as_bytes(), version);
    }
    if let Some(expiration) = provenance.expiration {
        buffer.extend_from_slice(b"\noriginalExpiration:");
        number(buffer, expiration.0);
    }
    if !provenance.was_persistent {
        buffer.extend_from_slice(b"\noriginalDeliveryMode:NON_PERSISTENT");
    }
    buffer.push(b'\n');
}

/// Appends a message's id. It holds no colon, so that no version escapes anything in it.
pub(super) fn write_message_id(out: &mut Vec<u8>, id: MessageId) {
    out.extend_from_slice(b"ID-");
    number(out, id.connection.0);
    out.push(b'-');
    number(out, id.number);
}

/// Reads a message's id back.
pub(super) fn parse_message_id(text: &[u8]) -> Option<MessageId> {
    let (connection, number) = pair(text.strip_prefix(b"ID-")?)?;
    Some(MessageId {
        connection: ConnectionId(connection),
        number,
    })
}

/// Appends what the names of all deliveries to a subscription start with; the tag follows. They name
/// the connection too, so that one that a client remembers from an earlier connection is never taken
/// for a delivery of this one.
pub(super) fn write_ack_prefix(
    out: &mut Vec<u8>,
    connection: ConnectionId,
    subscription: SubscriptionId,
) {
    number(out, connection.0);
    out.push(b'-');
    number(out, u64::from(subscription.0));
    out.push(b'-');
}

/// Reads the name of a delivery back.
pub(super) fn parse_ack_id(text: &[u8]) -> Option<(ConnectionId, SubscriptionId, DeliveryTag)> {
    let hyphen = memchr::memchr(b'-', text)?;
    let (connection, rest) = text.split_at_checked(hyphen)?;
    let connection = std::str::from_utf8(connection).ok()?.parse().ok()?;
    let (subscription, tag) = pair(rest.get(1..)?)?;
    Some((
        ConnectionId(connection),
        SubscriptionId(u32::try_from(subscription).ok()?),
        DeliveryTag(tag),
    ))
}

/// Two numbers with a hyphen between them.
fn pair(text: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = std::str::from_utf8(text).ok()?.split_once('-')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}
