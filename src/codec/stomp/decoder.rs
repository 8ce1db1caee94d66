//! The incremental decoder: finds the end of lines and frames by `memchr`, reads complete lines with
//! nom, and never looks at a byte twice.

use super::error::DecodeError;
use super::frame::{Frame, Verb, Version};
use super::header::{self, Headers, Span};
use super::limits::Limits;

/// A body above this many bytes is handed over piece by piece, so that the caller can put it where it
/// is to stay while it arrives.
pub const LARGE_BODY: usize = 16 * 1024;

/// Room for the headers of a frame that is kept for the next one; idle connections are many.
const SPANS_KEPT: usize = 64;

/// Decodes the bytes of one peer.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    version: Version,
    stage: Stage,
    /// Where the unfinished line starts, from the start of the frame.
    line: usize,
    /// How far the unfinished frame has been looked at, from its start.
    scanned: usize,
    /// The headers of the frame at hand.
    spans: Vec<Span>,
    /// How many bytes were looked at in search of an end.
    #[cfg(test)]
    work: usize,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Between frames, or in the first line.
    Command,
    Headers(Verb),
    /// The head is complete and so long; the body has this length, or ends with a NUL.
    Body(Verb, usize, Option<usize>),
    /// A large body, of which so much has not arrived.
    Large(usize),
    Poisoned,
}

/// What decoding brought.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// How many bytes at the front of the input are done with.
    pub consumed: usize,
    /// What they were.
    pub event: Event<'a>,
}

/// What was found at the front of the input.
#[derive(Debug)]
pub enum Event<'a> {
    /// Nothing complete. The bytes that are not consumed are to be offered again, in front of more.
    Incomplete,
    /// A whole frame.
    Frame(Frame<'a>),
    /// The head of a frame whose body, of this many bytes, is to be taken by [`Decoder::body`].
    LargeHead(Frame<'a>, usize),
}

/// The next piece of a large body.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyPart<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// Whether the frame is complete.
    pub done: bool,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.addressable(),
            version: Version::V1_0,
            stage: Stage::Command,
            line: 0,
            scanned: 0,
            spans: Vec::new(),
            #[cfg(test)]
            work: 0,
        }
    }

    /// Decodes by the rules of this version from the next frame on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Applies these limits from the next frame on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits.addressable();
    }

    /// Takes the next frame from the front of the input.
    ///
    /// # Errors
    /// When the bytes are no STOMP frame or exceed a limit. The decoder is of no use afterwards.
    pub fn decode<'a>(&'a mut self, input: &'a [u8]) -> Result<Decoded<'a>, DecodeError> {
        let skipped = self.skip_between_frames(input);
        let frame = input.get(skipped..).unwrap_or_default();
        match self.advance(frame) {
            Ok(step) => Ok(self.conclude(frame, skipped, step)),
            Err(error) => {
                self.stage = Stage::Poisoned;
                Err(error)
            }
        }
    }

    /// Takes the next bytes of a large body from the front of the input.
    ///
    /// # Errors
    /// When the NUL behind the body is missing.
    pub fn body<'a>(&mut self, input: &'a [u8]) -> Result<BodyPart<'a>, DecodeError> {
        let Stage::Large(left) = self.stage else {
            return Err(DecodeError::Poisoned);
        };
        let bytes = input.get(..left.min(input.len())).unwrap_or_default();
        let left = left - bytes.len();
        match input.get(bytes.len()) {
            Some(0) if left == 0 => {
                self.stage = Stage::Command;
                Ok(BodyPart {
                    bytes,
                    consumed: bytes.len() + 1,
                    done: true,
                })
            }
            Some(_) if left == 0 => {
                self.stage = Stage::Poisoned;
                Err(DecodeError::NoNul)
            }
            _ => {
                self.stage = Stage::Large(left);
                Ok(BodyPart {
                    bytes,
                    consumed: bytes.len(),
                    done: false,
                })
            }
        }
    }

    /// Heart-beats, and what some clients send behind the NUL: empty lines, blanks, further NULs. None
    /// of it can be the start of a command.
    fn skip_between_frames(&self, input: &[u8]) -> usize {
        if !matches!(self.stage, Stage::Command) || self.scanned > 0 {
            return 0;
        }
        input
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0)
            .count()
    }

    /// Looks at what is new, line by line, until the frame is complete or the input is used up.
    fn advance(&mut self, frame: &[u8]) -> Result<Step, DecodeError> {
        loop {
            match self.stage {
                Stage::Poisoned | Stage::Large(_) => return Err(DecodeError::Poisoned),
                Stage::Command => {
                    let limit = self.limits.command;
                    let Some(line) = self.line(frame, "command length", limit, "fixed")? else {
                        return Ok(Step::Incomplete);
                    };
                    let (start, end) = line;
                    let line = frame.get(start..end).unwrap_or_default();
                    self.spans.clear();
                    self.spans.shrink_to(SPANS_KEPT);
                    self.stage = Stage::Headers(command(line)?);
                }
                Stage::Headers(verb) => {
                    let limit = self.limits.header_line;
                    let key = "limits.max_header_line";
                    let Some(line) = self.line(frame, "header length", limit, key)? else {
                        return Ok(Step::Incomplete);
                    };
                    self.header(frame, verb, line)?;
                }
                Stage::Body(verb, head, length) => {
                    return self.find_body(frame, verb, head, length);
                }
            }
        }
    }

    /// The next complete line, without its end, as a range of the frame.
    fn line(
        &mut self,
        frame: &[u8],
        what: &'static str,
        limit: usize,
        key: &'static str,
    ) -> Result<Option<(usize, usize)>, DecodeError> {
        let start = self.line;
        let found = self.search(frame, |new| memchr::memchr2(b'\n', 0, new));
        let end = self.scanned;
        let length = end - start;
        if length > limit {
            return Err(DecodeError::TooLarge {
                what,
                actual: length,
                limit,
                key,
            });
        }
        if end > self.limits.head {
            return Err(DecodeError::TooLarge {
                what: "size of all headers",
                actual: end,
                limit: self.limits.head,
                key: self.limits.head_key,
            });
        }
        if !found {
            return Ok(None);
        }
        if frame.get(end) == Some(&0) {
            let before = frame.get(..start).unwrap_or_default();
            return Err(DecodeError::Nul {
                line: memchr::memchr_iter(b'\n', before).count() + 1,
            });
        }
        self.scanned = end + 1;
        self.line = end + 1;
        let last = end.checked_sub(1).and_then(|last| frame.get(last));
        let carriage_return = length > 0 && last == Some(&b'\r');
        // In 1.1 a carriage return belongs to the value, but a lone one still ends the head.
        let strip = carriage_return && (self.version != Version::V1_1 || length == 1);
        Ok(Some((start, end - usize::from(strip))))
    }

    /// Looks at the bytes of the frame that are new. Returns whether the end that `find` knows is among
    /// them: it is where `scanned` is then.
    fn search(&mut self, frame: &[u8], find: impl Fn(&[u8]) -> Option<usize>) -> bool {
        let new = frame.get(self.scanned..).unwrap_or_default();
        let found = find(new);
        let looked = found.unwrap_or(new.len());
        self.scanned += looked;
        #[cfg(test)]
        {
            self.work += looked;
        }
        found.is_some()
    }

    fn header(
        &mut self,
        frame: &[u8],
        verb: Verb,
        (start, end): (usize, usize),
    ) -> Result<(), DecodeError> {
        if start == end {
            let length = self.content_length(frame, verb)?;
            self.stage = Stage::Body(verb, self.scanned, length);
            return Ok(());
        }
        if self.spans.len() >= self.limits.headers {
            return Err(DecodeError::TooLarge {
                what: "number of headers",
                actual: self.spans.len() + 1,
                limit: self.limits.headers,
                key: "limits.max_headers",
            });
        }
        let line = frame.get(start..end).unwrap_or_default();
        self.spans.push(header::parse(
            line,
            start,
            self.spans.len() + 1,
            self.version,
        )?);
        Ok(())
    }

    fn content_length(&self, frame: &[u8], verb: Verb) -> Result<Option<usize>, DecodeError> {
        if !verb.has_body() {
            return Ok(None);
        }
        let Some(value) = self.headers(frame).get(b"content-length") else {
            return Ok(None);
        };
        let length = body_length(value.trim_ascii())?;
        self.check_body(length)?;
        Ok(Some(length))
    }

    fn check_body(&self, length: usize) -> Result<(), DecodeError> {
        let (limit, key) = (self.limits.body, self.limits.body_key);
        if length > limit {
            return Err(DecodeError::TooLarge {
                what: "data length",
                actual: length,
                limit,
                key,
            });
        }
        Ok(())
    }

    fn find_body(
        &mut self,
        frame: &[u8],
        verb: Verb,
        head: usize,
        length: Option<usize>,
    ) -> Result<Step, DecodeError> {
        if let Some(length) = length {
            let end = head.saturating_add(length);
            return match frame.get(end) {
                Some(0) => Ok(Step::Complete(verb, head, end)),
                Some(_) => Err(DecodeError::NoNul),
                None if length > LARGE_BODY => Ok(Step::Large(verb, head, length)),
                None => Ok(Step::Incomplete),
            };
        }
        let found = self.search(frame, |new| memchr::memchr(0, new));
        let end = self.scanned;
        self.check_body(end - head)?;
        Ok(if found {
            Step::Complete(verb, head, end)
        } else {
            Step::Incomplete
        })
    }

    fn conclude<'a>(&'a mut self, frame: &'a [u8], skipped: usize, step: Step) -> Decoded<'a> {
        let (consumed, verb, body, large) = match step {
            Step::Incomplete => {
                return Decoded {
                    consumed: skipped,
                    event: Event::Incomplete,
                };
            }
            Step::Complete(verb, start, end) => {
                self.stage = Stage::Command;
                (
                    end + 1,
                    verb,
                    frame.get(start..end).unwrap_or_default(),
                    None,
                )
            }
            Step::Large(verb, head, length) => {
                self.stage = Stage::Large(length);
                (head, verb, [].as_slice(), Some(length))
            }
        };
        self.line = 0;
        self.scanned = 0;
        let frame = Frame {
            verb,
            headers: self.headers(frame),
            body,
        };
        let event = match large {
            Some(length) => Event::LargeHead(frame, length),
            None => Event::Frame(frame),
        };
        Decoded {
            consumed: skipped + consumed,
            event,
        }
    }

    fn headers<'a>(&'a self, frame: &'a [u8]) -> Headers<'a> {
        Headers {
            bytes: frame,
            spans: &self.spans,
            version: self.version,
        }
    }
}

/// How far the frame at hand is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Incomplete,
    /// Its body lies between these offsets.
    Complete(Verb, usize, usize),
    /// Its head is so long, and a large body follows.
    Large(Verb, usize, usize),
}

fn command(line: &[u8]) -> Result<Verb, DecodeError> {
    let line = line.trim_ascii();
    match line {
        b"SUB" => Ok(Verb::Subscribe),
        b"UNSUB" => Ok(Verb::Unsubscribe),
        _ => Verb::parse(line).ok_or_else(|| {
            let shown = line.get(..64).unwrap_or(line);
            DecodeError::UnknownCommand(String::from_utf8_lossy(shown).into_owned())
        }),
    }
}

/// Reads a `content-length`.
fn body_length(text: &[u8]) -> Result<usize, DecodeError> {
    let text = String::from_utf8_lossy(text);
    let shown = || text.chars().take(64).collect();
    match text.parse() {
        Ok(length) => Ok(length),
        Err(_) if text.parse::<i64>().is_ok() => Err(DecodeError::LengthNegative(shown())),
        Err(_) => Err(DecodeError::LengthInvalid(shown())),
    }
}

#[cfg(test)]
mod tests;
