//! Reading and writing the values that the formats are made of: little-endian numbers, and bytes with
//! their length in front.

use super::FormatError;

/// Reads values off the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn take(
        &mut self,
        what: &'static str,
        length: usize,
    ) -> Result<&'a [u8], FormatError> {
        match self.bytes.split_at_checked(length) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(FormatError::Short {
                what,
                expected: length,
                found: self.bytes.len(),
            }),
        }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, FormatError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number in as few bytes as it needs: seven bits in each, the lowest first, the top bit set on
    /// all but the last.
    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, FormatError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(FormatError::Value { what, found: bits });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::Value { what, found: value })
    }

    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, FormatError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(FormatError::Value {
                what,
                found: u64::from(other),
            }),
        }
    }

    /// Text with its length in two bytes in front.
    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, FormatError> {
        let length = usize::from(self.u16(what)?);
        let bytes = self.take(what, length)?;
        std::str::from_utf8(bytes).map_err(|_| FormatError::Name { what })
    }

    pub(super) fn end(&self, what: &'static str) -> Result<(), FormatError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let found = self.bytes.len() as u64;
        Err(FormatError::Value { what, found })
    }
}

/// Appends a number in as few bytes as it needs.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends text with its length in two bytes in front. Longer text is cut at a character.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
