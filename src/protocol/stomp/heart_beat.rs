//! Signs of life between frames.

use std::time::Duration;

use super::config::HeartBeat;
use super::refusal::{Refused, shown};
use crate::core::Tick;
use crate::protocol::Code;

/// What was agreed with the peer, and when it was last heard and spoken to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beat {
    /// Milliseconds in which the peer is sent something; 0 is never.
    pub(super) send: u64,
    /// Milliseconds in which the peer sends something; 0 is never.
    pub(super) expect: u64,
    /// Milliseconds of silence after which the peer is given up.
    allowance: u64,
    pub(super) heard: Tick,
    pub(super) spoken: Tick,
}

impl Beat {
    /// Agrees to what the peer's `heart-beat` header asks for: `cx,cy`, what it sends and wants.
    pub(super) fn agree(
        asked: Option<&[u8]>,
        settings: &HeartBeat,
        now: Tick,
    ) -> Result<Self, Refused> {
        let (cx, cy) = match asked {
            Some(text) => pair(text).ok_or_else(|| {
                let shown = shown(text);
                Refused::fatal(
                    Code::InvalidHeartBeat,
                    format!("Invalid heart-beat header:{shown}. Expected are two numbers of milliseconds, such as 10000,10000"),
                )
            })?,
            None => (0, 0),
        };
        if settings.require && cx == 0 {
            return Err(Refused::fatal(
                Code::HeartBeatRequired,
                "This listener wants heart-beats, and the client offers none",
            ));
        }
        let (min, max) = (millis(settings.min), millis(settings.max));
        let within = |asked: u64, max: u64| match asked {
            0 => 0,
            asked => asked.clamp(min, max.max(min)),
        };
        let expect = within(cx, u64::MAX);
        Ok(Self {
            send: within(cy, max),
            expect,
            allowance: allowance(expect, settings),
            heard: now,
            spoken: now,
        })
    }

    /// When the peer is given up unless it is heard before.
    pub(super) fn silent_at(&self) -> Option<Tick> {
        (self.expect > 0).then(|| self.heard.after(self.allowance))
    }

    /// When the peer is to be sent something: somewhat early, since it counts from what it received.
    pub(super) fn speak_at(&self) -> Option<Tick> {
        (self.send > 0).then(|| self.spoken.after(self.send - self.send / 8))
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and nobody waits for that long"
)]
fn allowance(expect: u64, settings: &HeartBeat) -> u64 {
    let graceful = (expect as f64 * settings.grace.max(1.0)) as u64;
    graceful.saturating_add(millis(settings.grace_extra))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn pair(text: &[u8]) -> Option<(u64, u64)> {
    let (cx, cy) = std::str::from_utf8(text).ok()?.split_once(',')?;
    Some((cx.trim().parse().ok()?, cy.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(asked: &str) -> Result<(u64, u64), Code> {
        Beat::agree(Some(asked.as_bytes()), &HeartBeat::default(), Tick(0))
            .map(|beat| (beat.send, beat.expect))
            .map_err(|refused| refused.code)
    }

    #[test]
    fn what_is_asked_is_agreed_to_within_bounds() {
        assert_eq!(agree("5000,10000"), Ok((10_000, 5_000)));
        assert_eq!(agree("0,0"), Ok((0, 0)));
        assert_eq!(agree(" 1 , 99999999 "), Ok((3_600_000, 1_000)));
    }

    #[test]
    fn a_peer_is_not_held_to_more_than_it_promises() {
        assert_eq!(agree("99999999,0"), Ok((0, 99_999_999)));
        let text = format!("{},0", u64::MAX);
        let beat = Beat::agree(Some(text.as_bytes()), &HeartBeat::default(), Tick(5)).unwrap();
        assert_eq!(beat.silent_at(), Some(Tick(u64::MAX)));
    }

    #[test]
    fn what_is_no_pair_of_numbers_is_refused() {
        for text in ["0", "T,0", "100,10,50", "-1,0", ""] {
            assert_eq!(agree(text), Err(Code::InvalidHeartBeat), "{text}");
        }
    }

    #[test]
    fn a_peer_is_given_up_after_two_intervals_and_two_seconds() {
        let beat = Beat::agree(Some(b"4000,0"), &HeartBeat::default(), Tick(100)).unwrap();
        assert_eq!(beat.silent_at(), Some(Tick(10_100)));
        assert_eq!(beat.speak_at(), None);
    }
}
