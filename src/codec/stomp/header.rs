//! The headers of a frame, where they lie in the bytes that were read.

use std::borrow::Cow;
use std::fmt;

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{tag, take_till};
use nom::combinator::rest;
use nom::sequence::separated_pair;

use super::error::DecodeError;
use super::frame::Version;

/// One header line: where its name and its value are, counted from the start of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    name: (u32, u32),
    value: (u32, u32),
    /// Whether the value holds a backslash.
    escaped: bool,
}

/// The headers of one frame. First one wins, as in `ActiveMQ` and the standard.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) spans: &'a [Span],
    pub(super) version: Version,
}

/// One header.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its name, as it was sent: names are never unescaped.
    pub name: &'a [u8],
    /// Its value, as it was sent.
    pub raw: &'a [u8],
    /// Whether `raw` holds a backslash.
    pub escaped: bool,
    version: Version,
}

impl<'a> Header<'a> {
    /// Its value, unescaped.
    pub fn value(&self) -> Cow<'a, [u8]> {
        if self.escaped {
            unescape(self.raw, self.version)
        } else {
            Cow::Borrowed(self.raw)
        }
    }
}

impl<'a> Headers<'a> {
    /// All headers in their order, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let Self { bytes, version, .. } = *self;
        let slice = move |(start, end): (u32, u32)| {
            bytes.get(start as usize..end as usize).unwrap_or_default()
        };
        self.spans.iter().map(move |span| Header {
            name: slice(span.name),
            raw: slice(span.value),
            escaped: span.escaped,
            version,
        })
    }

    /// The unescaped value of the first header of that name.
    pub fn get(&self, name: &[u8]) -> Option<Cow<'a, [u8]>> {
        self.iter()
            .find(|header| header.name == name)
            .map(|header| header.value())
    }

    /// The value of the first header of that name, as it was sent.
    pub fn raw(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter()
            .find(|header| header.name == name)
            .map(|header| header.raw)
    }

    /// Bytes of the head of the frame up to the end of the last header.
    pub fn size(&self) -> usize {
        self.spans.last().map_or(0, |span| span.value.1 as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

impl fmt::Debug for Headers<'_> {
    /// Shows all but what must stay secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &'_ [u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_map()
            .entries(self.iter().map(|header| {
                let secret = header.name == b"passcode";
                (
                    text(header.name),
                    if secret {
                        "*****".into()
                    } else {
                        text(header.raw)
                    },
                )
            }))
            .finish()
    }
}

/// Reads one header line, without its line end, that starts at `offset` of the frame.
pub(super) fn parse(
    line: &[u8],
    offset: usize,
    number: usize,
    version: Version,
) -> Result<Span, DecodeError> {
    let Ok((_, (name, mut value))) = split(line) else {
        let text = String::from_utf8_lossy(line.get(..64).unwrap_or(line)).into_owned();
        return Err(DecodeError::NoColon { line: number, text });
    };
    if name.is_empty() {
        return Err(DecodeError::EmptyName { line: number });
    }
    let name_end = offset + name.len();
    let mut start = name_end + 1;
    if version == Version::V1_0 {
        let trimmed = value.trim_ascii_start();
        start += value.len() - trimmed.len();
        value = trimmed.trim_ascii_end();
    }
    let place = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    Ok(Span {
        name: (place(offset), place(name_end)),
        value: (place(start), place(start + value.len())),
        escaped: memchr::memchr(b'\\', value).is_some(),
    })
}

fn split(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    separated_pair(take_till(|byte| byte == b':'), tag(":".as_bytes()), rest).parse(line)
}

/// Takes escapes back, as lenient as `ActiveMQ`: those of 1.1 in every version, `\r` in 1.2 only, and
/// what is no escape stays as it is.
fn unescape(raw: &[u8], version: Version) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'c') => out.push(b':'),
            Some(b'r') if version == Version::V1_2 => out.push(b'\r'),
            Some(b'\\') | None => out.push(b'\\'),
            Some(other) => out.extend_from_slice(&[b'\\', other]),
        }
    }
    Cow::Owned(out)
}
