//! SEND that is to be delivered later: the headers by which clients of several brokers ask for it.

use std::sync::Arc;

use super::refusal::Refused;
use super::session::value;
use crate::core::{Cron, DestinationName, Job, Timestamp};

/// The most times that a message may be repeated, as with `ActiveMQ`.
const MOST_REPEATS: u32 = 1000;

/// A hundred years: what is later is a mistake. In milliseconds.
const LATEST: u64 = 100 * 366 * 24 * 3_600_000;

/// When a message is to be delivered, as its headers say.
#[derive(Debug, Default)]
pub(super) struct Asked {
    delay: Option<u64>,
    at: Option<u64>,
    period: Option<u64>,
    repeats: Option<u32>,
    cron: Option<Arc<str>>,
}

impl Asked {
    /// Takes a header, if it is one of these.
    pub(super) fn take(&mut self, name: &[u8], text: &[u8]) -> Result<bool, Refused> {
        let millis = |name: &str| {
            let read = value::<u64>(text).filter(|millis| *millis <= LATEST);
            read.ok_or_else(|| Refused::invalid(name, text, "a number of milliseconds, 0 or more"))
        };
        let time = |name: &str| {
            let read = value::<u64>(text);
            let expected = "a time in milliseconds since 1970";
            read.ok_or_else(|| Refused::invalid(name, text, expected))
        };
        match name {
            b"AMQ_SCHEDULED_DELAY" => self.delay = Some(millis("AMQ_SCHEDULED_DELAY")?),
            b"x-delay" => self.delay = Some(millis("x-delay")?),
            b"x-opt-delivery-delay" => self.delay = Some(millis("x-opt-delivery-delay")?),
            b"AMQ_SCHEDULED_PERIOD" => self.period = Some(millis("AMQ_SCHEDULED_PERIOD")?),
            b"AMQ_SCHEDULED_REPEAT" => self.repeats = Some(repeats(text)?),
            b"AMQ_SCHEDULED_CRON" => self.cron = cron(text)?,
            b"AMQ_SCHEDULED_TIME" => self.at = Some(time("AMQ_SCHEDULED_TIME")?),
            b"_AMQ_SCHED_DELIVERY" => self.at = Some(time("_AMQ_SCHED_DELIVERY")?),
            b"x-opt-delivery-time" => self.at = Some(time("x-opt-delivery-time")?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The job that a message sent now is, unless it is to be delivered at once.
    pub(super) fn job(self, now: Timestamp, target: &DestinationName) -> Option<Job> {
        let until = self.at.map(|at| at.saturating_sub(now.0));
        let delay = self.delay.or(until).unwrap_or_default();
        let period = self.period.unwrap_or_default();
        let repeats = self.repeats.unwrap_or_default();
        let at_once = delay == 0 && period == 0 && repeats == 0 && self.cron.is_none();
        if at_once {
            return None;
        }
        let job = Job {
            target: target.clone(),
            due: now,
            delay,
            period,
            repeats,
            cron: self.cron,
        };
        // An entry of the calendar that is never due has been refused.
        let due = job.first(now)?;
        Some(Job { due, ..job })
    }
}

/// Whether a header may ask for a delivery at another time. Most do not begin so.
pub(super) fn is_schedule(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'A' | b'_' | b'x'))
}

fn repeats(text: &[u8]) -> Result<u32, Refused> {
    let name = "AMQ_SCHEDULED_REPEAT";
    let read = value::<u32>(text);
    let repeats = read.ok_or_else(|| Refused::invalid(name, text, "a number, 0 or more"))?;
    if repeats > MOST_REPEATS {
        let mut refused = Refused::invalid(name, text, "1000 at most");
        refused.message = format!(
            "The scheduled repeat value is too large: {}",
            refused.message
        );
        return Err(refused);
    }
    Ok(repeats)
}

fn cron(text: &[u8]) -> Result<Option<Arc<str>>, Refused> {
    let name = "AMQ_SCHEDULED_CRON";
    let refused = |expected: &str| Refused::invalid(name, text, expected);
    let read = std::str::from_utf8(text).map_err(|_| refused("text"))?;
    if read.trim().is_empty() {
        return Ok(None);
    }
    let cron = Cron::parse(read).map_err(|error| refused(&format!("a cron entry: {error}")))?;
    if cron.next_after(Timestamp(0), 0).is_none() {
        return Err(refused("a cron entry that comes at some time"));
    }
    Ok(Some(read.into()))
}
