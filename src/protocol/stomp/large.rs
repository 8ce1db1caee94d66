//! A frame whose body arrives in pieces: each piece goes straight to where it stays.

use super::refusal::Refused;
use super::send::{Draft, end_head};
use super::session::Peer;
use crate::codec::stomp::{Frame, Verb};
use crate::core::{Now, Request};

/// A body up to this many bytes is given its whole place at once. A larger one gets more as it
/// arrives, so that nobody takes memory by merely announcing a body.
const AT_ONCE: usize = 1024 * 1024;

/// A body on its way.
#[derive(Debug)]
pub(super) struct LargeBody {
    /// `None` when the frame was refused: its body is thrown away.
    message: Option<(Draft, Vec<u8>)>,
    /// The length of the header lines, without the line that ends them.
    head: usize,
    body_start: usize,
}

impl LargeBody {
    /// The body of a frame that was refused.
    pub(super) const fn discarded() -> Self {
        Self {
            message: None,
            head: 0,
            body_start: 0,
        }
    }

    /// The memory that it takes, in bytes.
    pub(super) fn held(&self) -> usize {
        self.message
            .as_ref()
            .map_or(0, |(_, block)| block.capacity())
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if let Some((_, block)) = &mut self.message {
            block.extend_from_slice(bytes);
        }
    }
}

impl Peer {
    /// Takes the head of a frame whose body is to follow.
    pub(super) fn large_head(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        length: usize,
    ) -> (LargeBody, Result<(), Refused>) {
        let drafted = if frame.verb == Verb::Send {
            self.draft(now, &frame.headers, length.min(AT_ONCE))
        } else {
            Err(Refused::unexpected_frame(frame.verb))
        };
        match drafted {
            Ok((draft, mut block)) => {
                let head = block.len();
                end_head(&mut block, draft.is_bytes(), length);
                let body_start = block.len();
                let message = Some((draft, block));
                let body = LargeBody {
                    message,
                    head,
                    body_start,
                };
                (body, Ok(()))
            }
            Err(refused) => (LargeBody::discarded(), Err(refused)),
        }
    }

    /// The whole body has arrived.
    pub(super) fn large_done(&mut self, now: Now, body: LargeBody, requests: &mut Vec<Request>) {
        let LargeBody {
            message,
            head,
            mut body_start,
        } = body;
        let Some((draft, mut block)) = message else {
            return;
        };
        let arrived = block.get(body_start..).unwrap_or_default();
        if !draft.is_bytes() && memchr::memchr(0, arrived).is_some() {
            // Text with a NUL in it, which only its length keeps from ending the frame.
            let mut line = Vec::new();
            end_head(&mut line, true, arrived.len());
            block.splice(head..body_start, line.iter().copied());
            body_start = head + line.len();
        }
        // It grew by doubling: what its accounts do not know of is given back.
        block.shrink_to(block.len() + 1);
        self.finish(now, draft, block, body_start, requests);
    }
}
