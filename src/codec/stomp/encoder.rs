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

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"a:b\\c\nd\re";

    fn escaped(version: Version) -> Vec<u8> {
        let mut out = Vec::new();
        escape(&mut out, VALUE, version);
        out
    }

    #[test]
    fn each_version_escapes_what_its_readers_take_back() {
        assert_eq!(escaped(Version::V1_2), br"a\cb\\c\nd\re");
        assert_eq!(escaped(Version::V1_1), b"a\\cb\\\\c\\nd\re");
    }

    #[test]
    fn to_1_0_colon_and_backslash_go_raw_and_no_line_end_does() {
        assert_eq!(escaped(Version::V1_0), br"a:b\c\nd\re");
    }

    #[test]
    fn relaxing_what_1_2_escaped_is_escaping_for_the_other_version() {
        for value in [VALUE, b"plain", b"", b"\\", b"\\\\n", b"\r\n"] {
            let mut stored = Vec::new();
            escape(&mut stored, value, Version::V1_2);
            for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
                let (mut relaxed, mut direct) = (Vec::new(), Vec::new());
                relax(&mut relaxed, &stored, version);
                escape(&mut direct, value, version);
                assert_eq!(relaxed, direct, "{value:?} for {version:?}");
            }
        }
    }

    #[test]
    fn a_name_cannot_start_another_line() {
        let mut out = Vec::new();
        header(&mut out, b"a\r\nb", b"c", Version::V1_2);
        assert_eq!(out, b"ab:c\n");
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for value in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
