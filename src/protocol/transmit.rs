//! Bytes on their way out: small things copied into one buffer, large bodies as slices of their own,
//! so that one vectored write takes both.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// A body of at most this many bytes is cheaper to copy than to send as a slice of its own.
const COPY_MAX: usize = 4 * 1024;

/// An empty buffer larger than this is given back.
const KEEP_MAX: usize = 16 * 1024;

/// A queue of bytes for one socket.
#[derive(Debug, Default)]
pub struct Transmit {
    /// Copied bytes; those before `sent` are on their way.
    buffer: Vec<u8>,
    sent: usize,
    /// Large slices, each with the offset in `buffer` that it comes before.
    slices: VecDeque<(usize, Bytes)>,
    slice_bytes: usize,
}

impl Transmit {
    /// Where encoders append. Never shortened by them.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends shared bytes, copied if they are few.
    pub fn push(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_MAX {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.slice_bytes += bytes.len();
            self.slices.push_back((self.buffer.len(), bytes.clone()));
        }
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.sent + self.slice_bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with what is to be written next and returns how many entries it filled.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut from = self.sent;
        let mut slices = self.slices.iter();
        loop {
            let next = slices.next();
            let until = next.map_or(self.buffer.len(), |(offset, _)| *offset);
            for piece in [
                self.buffer.get(from..until),
                next.map(|(_, bytes)| bytes.as_ref()),
            ] {
                let Some(piece) = piece.filter(|piece| !piece.is_empty()) else {
                    continue;
                };
                let Some(place) = into.get_mut(filled) else {
                    return filled;
                };
                *place = IoSlice::new(piece);
                filled += 1;
            }
            if next.is_none() {
                return filled;
            }
            from = until;
        }
    }

    /// Takes off the first `count` bytes: the socket has them.
    pub fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let until = self
                .slices
                .front()
                .map_or(self.buffer.len(), |(offset, _)| *offset);
            let copied = count.min(until - self.sent);
            self.sent += copied;
            count -= copied;
            let Some((_, bytes)) = self.slices.front_mut().filter(|_| count > 0) else {
                break;
            };
            let taken = count.min(bytes.len());
            let _ = bytes.split_to(taken);
            self.slice_bytes -= taken;
            count -= taken;
            if bytes.is_empty() {
                self.slices.pop_front();
            }
        }
        if self.is_empty() {
            self.reset();
        } else if self.sent > 2 * KEEP_MAX && self.sent > self.buffer.len() / 2 {
            self.compact();
        }
    }

    fn reset(&mut self) {
        self.sent = 0;
        if self.buffer.capacity() > KEEP_MAX {
            self.buffer = Vec::new();
        } else {
            self.buffer.clear();
        }
        self.slices.clear();
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.sent);
        for (offset, _) in &mut self.slices {
            *offset -= self.sent;
        }
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(transmit: &mut Transmit, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !transmit.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = transmit.slices(&mut slices);
            let all: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
            let taken = step.min(all.len());
            out.extend_from_slice(&all[..taken]);
            transmit.advance(taken);
        }
        out
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_whatever_the_socket_takes() {
        for step in [1, 7, 4096, 5000, 1_000_000] {
            let mut transmit = Transmit::default();
            let mut expected = Vec::new();
            for (number, size) in [3, 5000, 10, 4096, 4097, 6000, 1].into_iter().enumerate() {
                let bytes = Bytes::from(vec![u8::try_from(number).unwrap(); size]);
                transmit.push(&bytes);
                transmit.buffer().push(b'|');
                expected.extend_from_slice(&bytes);
                expected.push(b'|');
            }
            assert_eq!(transmit.len(), expected.len());
            assert_eq!(drain(&mut transmit, step), expected, "in steps of {step}");
            assert!(transmit.slices.is_empty());
        }
    }

    #[test]
    fn a_large_buffer_is_given_back_once_empty() {
        let mut transmit = Transmit::default();
        transmit.buffer().resize(100_000, 0);
        transmit.advance(100_000);
        assert_eq!(transmit.buffer.capacity(), 0);
    }
}
