//! Writes frames, and the escapes of header values.

use super::frame::{Verb, Version};

/// Appends the command line.
pub fn begin(out: &mut Vec<u8>, verb: Verb) {
    out.extend_from_slice(verb.text().as_bytes());
    out.push(b'\n');
}

/// Appends a header line, its value escaped as the version asks. The name is written as it is, but
/// for line ends, which no version lets through.
pub fn header(out: &mut Vec<u8>, name: &[u8], value: &[u8], version: Version) {
    out.extend(name.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    out.push(b':');
    escape(out, value, version);
    out.push(b'\n');
}

/// Ends the head and appends the body and what ends a frame.
pub fn end(out: &mut Vec<u8>, body: &[u8]) {
    out.push(b'\n');
    out.extend_from_slice(body);
    out.extend_from_slice(b"\0\n");
}

/// Whether any version escapes a byte of this value.
pub fn needs_escape(value: &[u8]) -> bool {
    memchr::memchr3(b'\\', b':', b'\n', value).is_some() || memchr::memchr(b'\r', value).is_some()
}

/// Appends a value as a peer of that version reads it. 1.0 knows no escapes, so that line ends, which
/// would let a value pass for further headers, are written as the two characters `\n` and `\r`. 1.1
/// has no escape for the carriage return, which is part of a value there like any other byte.
pub fn escape(out: &mut Vec<u8>, value: &[u8], version: Version) {
    if !needs_escape(value) {
        out.extend_from_slice(value);
        return;
    }
    for byte in value {
        match (byte, version) {
            (b'\n', _) => out.extend_from_slice(b"\\n"),
            (b'\r', Version::V1_0 | Version::V1_2) => out.extend_from_slice(b"\\r"),
            (b':', Version::V1_1 | Version::V1_2) => out.extend_from_slice(b"\\c"),
            (b'\\', Version::V1_1 | Version::V1_2) => out.extend_from_slice(b"\\\\"),
            (other, _) => out.push(*other),
        }
    }
}

/// Appends a value that is escaped for 1.2 as a peer of another version reads it.
pub fn relax(out: &mut Vec<u8>, escaped: &[u8], version: Version) {
    // What has no escape in it holds nothing that any version escapes.
    if memchr::memchr(b'\\', escaped).is_none() {
        out.extend_from_slice(escaped);
        return;
    }
    let mut bytes = escaped.iter().copied();
    let mut value = Vec::with_capacity(escaped.len());
    while let Some(byte) = bytes.next() {
        match (byte, byte == b'\\') {
            (_, false) => value.push(byte),
            (_, true) => match bytes.next() {
                Some(b'n') => value.push(b'\n'),
                Some(b'r') => value.push(b'\r'),
                Some(b'c') => value.push(b':'),
                Some(other) => value.push(other),
                None => {}
            },
        }
    }
    escape(out, &value, version);
}

/// Appends a number in decimal.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        if let (Some(digit), Ok(rest)) = (digits.get_mut(start), u8::try_from(value % 10)) {
            *digit = b'0' + rest;
        }
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}
