//! What headers of SEND say that mean something to the broker.

use super::refusal::{Refused, shown};
use super::session::value;
use crate::core::BodyKind;
use crate::protocol::Code;

/// The longest name of a message group, in bytes: names are kept as long as the group is.
const GROUP_NAME_MAX: usize = 1024;

/// The longest identity by which a second message is known, in bytes.
const IDENTITY_MAX: usize = 256;

/// Whether a message has an identity by which a second one is known. An empty one is none.
pub(super) fn is_identity(id: &[u8]) -> Result<bool, Refused> {
    if id.len() > IDENTITY_MAX {
        let refused = Refused::invalid("_AMQ_DUPL_ID", id, "at most 256 bytes");
        return Err(refused);
    }
    Ok(!id.is_empty())
}

/// Whether a message belongs to a group. An empty name is none.
pub(super) fn is_group(name: &[u8]) -> Result<bool, Refused> {
    if name.len() > GROUP_NAME_MAX {
        return Err(Refused::new(
            Code::InvalidHeader,
            format!(
                "The JMSXGroupID has {} bytes; at most {GROUP_NAME_MAX} are allowed",
                name.len()
            ),
        ));
    }
    Ok(!name.is_empty())
}

pub(super) fn message_type(value: &[u8]) -> Result<BodyKind, Refused> {
    let value = value.trim_ascii();
    if value.eq_ignore_ascii_case(b"text") {
        Ok(BodyKind::Text)
    } else if value.eq_ignore_ascii_case(b"bytes") {
        Ok(BodyKind::Bytes)
    } else {
        let shown = shown(value);
        Err(Refused::new(
            Code::InvalidHeader,
            format!("Unsupported message type '{shown}': amq-msg-type is text or bytes"),
        ))
    }
}

pub(super) fn is_temporary(value: &[u8]) -> bool {
    [
        b"/temp-queue/".as_slice(),
        b"/temp-topic/",
        b"/remote-temp-queue/",
        b"/remote-temp-topic/",
        b"temp-queue://",
        b"temp-topic://",
    ]
    .iter()
    .any(|prefix| value.starts_with(prefix))
}

pub(super) fn integer(name: &'static str, text: &[u8]) -> Result<i64, Refused> {
    value(text).ok_or_else(|| Refused::invalid(name, text, "a whole number"))
}

pub(super) fn millis(name: &'static str, text: &[u8]) -> Result<u64, Refused> {
    let expected = "a time in milliseconds since 1970";
    value(text).ok_or_else(|| Refused::invalid(name, text, expected))
}

/// The spellings of persistence that `ActiveMQ` knows.
pub(super) fn delivery_mode(text: &[u8]) -> Result<bool, Refused> {
    match text.trim_ascii() {
        b"PERSISTENT" | b"2" | b"true" => Ok(true),
        b"NON_PERSISTENT" | b"1" | b"false" => Ok(false),
        other => Err(Refused::invalid(
            "JMSDeliveryMode",
            other,
            "PERSISTENT or NON_PERSISTENT",
        )),
    }
}
