//! Reading single properties of a message out of its encoded form.

use std::borrow::Cow;

use super::message::{DeliveryState, Encoded, Form, Message};
use super::selector::{Properties, Value};

/// The group that a message belongs to, as its sender said (`JMSXGroupID`, `JMSXGroupSeq`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Membership<'a> {
    pub(super) group: Cow<'a, [u8]>,
    /// 1 asks for the group to be given anew, a negative number closes it; others mean nothing.
    pub(super) sequence: i32,
}

/// A message and what has happened to it, as selectors see it. Headers are text; what JMS names
/// otherwise (JMS 2.0 section 3.8.1.1) goes by those names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described<'a> {
    pub(super) message: &'a Message,
    pub(super) state: DeliveryState,
}

impl Properties for Described<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let message = self.message;
        let integer = |number: u64| i64::try_from(number).ok().map(Value::Integer);
        match name.strip_prefix("JMS").unwrap_or_default() {
            "DeliveryMode" if message.persistent => Some(Value::Text("PERSISTENT".into())),
            "DeliveryMode" => Some(Value::Text("NON_PERSISTENT".into())),
            "Priority" => integer(message.priority.get().into()),
            "Timestamp" => integer(message.timestamp.0),
            "Expiration" => integer(message.expiration.map_or(0, |at| at.0)),
            "Redelivered" => Some(Value::Boolean(self.state.redelivered)),
            "XDeliveryCount" => integer(u64::from(self.state.deliveries) + 1),
            "MessageID" => self.text("message-id"),
            "CorrelationID" => self.text("correlation-id"),
            "Type" => self.text("type"),
            "Destination" => match &message.provenance {
                Some(provenance) => Some(Value::Text(provenance.origin.to_string().into())),
                None => self.destination("destination"),
            },
            "ReplyTo" => self.destination("reply-to"),
            _ => {
                let provenance = message.provenance.as_deref();
                let told = provenance.and_then(|provenance| provenance.property(name));
                told.or_else(|| self.text(name))
            }
        }
    }
}

impl Described<'_> {
    fn text(&self, name: &str) -> Option<Value<'_>> {
        let value = self.message.encoded.property(name.as_bytes())?;
        let text = match value {
            Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
        };
        Some(Value::Text(text))
    }

    /// A destination as JMS spells it.
    fn destination(&self, name: &str) -> Option<Value<'_>> {
        let value = self.text(name)?;
        let Value::Text(text) = &value else {
            return Some(value);
        };
        for (stomp, jms) in [("/queue/", "queue://"), ("/topic/", "topic://")] {
            if let Some(bare) = text.strip_prefix(stomp) {
                return Some(Value::Text(format!("{jms}{bare}").into()));
            }
        }
        Some(value)
    }
}

impl Message {
    /// The identity that its sender gave it (`_AMQ_DUPL_ID`), by which a second one is known.
    pub fn identity(&self) -> Option<Cow<'_, [u8]>> {
        if !self.identified {
            return None;
        }
        self.encoded.property(b"_AMQ_DUPL_ID")
    }

    /// The group that it belongs to.
    pub(super) fn membership(&self) -> Option<Membership<'_>> {
        if !self.grouped {
            return None;
        }
        let group = self.encoded.property(b"JMSXGroupID")?;
        let sequence = self.encoded.property(b"JMSXGroupSeq");
        let sequence = sequence.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
        Some(Membership {
            group,
            sequence: sequence.unwrap_or(0),
        })
    }
}

impl Encoded {
    /// The value of a property, or of what the broker itself says of the message, by its name as
    /// STOMP spells it; the first one of that name.
    pub fn property(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let end = (self.body_start as usize).min(self.bytes.len());
        let mut rest = self.bytes.get(..end)?;
        while !rest.is_empty() {
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, behind) = rest.split_at_checked(length)?;
            if let Some(value) = line.strip_prefix(name)
                && let Some(value) = value.strip_prefix(b":")
            {
                return Some(match self.form {
                    Form::StompPlain => Cow::Borrowed(value),
                    Form::StompEscaped => unescape(value),
                });
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        None
    }
}

impl Encoded {
    /// The same without the expiration that its sender gave it.
    pub(super) fn without_expiration(&self) -> Self {
        let mut encoded = self.clone();
        let start = (self.body_start as usize).min(self.bytes.len());
        let (head, rest) = self.bytes.split_at_checked(start).unwrap_or_default();
        let name = b"expires:";
        let line = head
            .split(|byte| *byte == b'\n')
            .find(|line| line.starts_with(name));
        let at = line.and_then(|line| memchr::memmem::find(head, line).map(|at| (at, line.len())));
        let Some((at, length)) = at else {
            return encoded;
        };
        let (before, after) = head.split_at_checked(at).unwrap_or_default();
        let after = after.get(length..).unwrap_or_default();
        let bytes = [before, name, b"0", after, rest].concat();
        let shorter = self.bytes.len().saturating_sub(bytes.len());
        encoded.body_start -= u32::try_from(shorter).unwrap_or(0);
        encoded.bytes = bytes.into();
        encoded
    }
}

/// Takes the escapes of STOMP 1.2 out of a value.
fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', value) else {
        return Cow::Borrowed(value);
    };
    let (plain, mut rest) = value.split_at_checked(first).unwrap_or((value, &[]));
    let mut out = Vec::with_capacity(value.len());
    out.extend_from_slice(plain);
    while let Some((byte, behind)) = rest.split_first() {
        let escaped = (*byte == b'\\').then(|| behind.first()).flatten();
        let (byte, behind) = match escaped {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'c') => (b':', 2),
            Some(b'\\') => (b'\\', 2),
            _ => (*byte, 1),
        };
        out.push(byte);
        rest = rest.get(behind..).unwrap_or_default();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(form: Form, head: &str) -> Encoded {
        Encoded {
            form,
            bytes: format!("{head}\n\nbody:x\n\0").into_bytes().into(),
            body_start: u32::try_from(head.len() + 2).unwrap(),
            body_length: 7,
        }
    }

    #[test]
    fn the_first_property_of_a_name_counts_and_the_body_is_none() {
        let some = encoded(Form::StompPlain, "ab:1\na:2\na:3\ncolon:x:y\nempty:");
        assert_eq!(some.property(b"a").as_deref(), Some(b"2".as_slice()));
        assert_eq!(some.property(b"colon").as_deref(), Some(b"x:y".as_slice()));
        assert_eq!(some.property(b"empty").as_deref(), Some(b"".as_slice()));
        assert_eq!(some.property(b"body"), None);
        assert_eq!(some.property(b""), None);
    }

    #[test]
    fn what_jms_names_is_found_by_its_name() {
        let mut message = Message {
            id: crate::core::MessageId {
                connection: crate::core::ConnectionId(1),
                number: 1,
            },
            timestamp: crate::core::Timestamp(5),
            expiration: None,
            priority: crate::core::Priority::clamped(7),
            persistent: true,
            body_kind: crate::core::BodyKind::Text,
            grouped: false,
            identified: false,
            encoded: encoded(
                Form::StompPlain,
                "message-id:ID-1-1\ndestination:/queue/a.b\ntype:order\ncolour:blue\nreply-to:/topic/x",
            ),
            sent_to: None,
            job: None,
            provenance: None,
        };
        let state = DeliveryState {
            deliveries: 1,
            redelivered: true,
            ..DeliveryState::default()
        };
        let matches = |message: &Message, text: &str| {
            let selector = crate::core::Selector::parse(text).unwrap();
            selector.matches(&Described { message, state })
        };
        for text in [
            "JMSDestination = 'queue://a.b' AND JMSReplyTo = 'topic://x'",
            "JMSType = 'order' AND colour = 'blue' AND JMSMessageID LIKE 'ID-%'",
            "JMSPriority > 5 AND JMSTimestamp = 5 AND JMSExpiration = 0",
            "JMSRedelivered AND JMSXDeliveryCount = 2 AND JMSDeliveryMode = 'PERSISTENT'",
            "JMSCorrelationID IS NULL AND JMSXGroupID IS NULL",
        ] {
            assert!(matches(&message, text), "{text}");
        }
        message.persistent = false;
        assert!(matches(&message, "JMSDeliveryMode = 'NON_PERSISTENT'"));
    }

    #[test]
    fn escapes_are_taken_out_of_values_that_have_them() {
        let head = r"a:one\ntwo\cthree\\four\r\x\";
        let some = encoded(Form::StompEscaped, head);
        let expected = b"one\ntwo:three\\four\r\\x\\".as_slice();
        assert_eq!(some.property(b"a").as_deref(), Some(expected));
        let plain = encoded(Form::StompPlain, head);
        assert_eq!(plain.property(b"a").as_deref(), Some(&head.as_bytes()[2..]));
    }
}
