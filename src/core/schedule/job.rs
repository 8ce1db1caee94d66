//! A message that is to be sent on later, once or again and again.

use std::sync::Arc;

use super::super::compose::Line;
use super::super::destination::DestinationName;
use super::super::id::{MessageId, Position};
use super::super::message::Message;
use super::super::time::Timestamp;
use super::Cron;

/// When a message is sent on, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where to.
    pub target: DestinationName,
    /// When it is due first.
    pub due: Timestamp,
    /// Milliseconds before the first time, counted from each tick of `cron` if there is one.
    pub delay: u64,
    /// Milliseconds between times.
    pub period: u64,
    /// How often it is sent on after the first time.
    pub repeats: u32,
    /// At which times of the calendar, without end.
    pub cron: Option<Arc<str>>,
}

/// What comes of a job that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The message that is sent on.
    pub message: Arc<Message>,
    /// Where to; a series that begins with a tick of the calendar is scheduled anew.
    pub to: DestinationName,
    /// When it is due again, unless that was the last time.
    pub next: Option<Timestamp>,
}

impl Job {
    /// When it is due first, asked for at `now`; `None` if it never is.
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.cron {
            Some(text) => Cron::parse(text).ok()?.next_after(now, 0),
            None if self.delay > 0 => Some(Timestamp(now.0.saturating_add(self.delay))),
            None => Some(Timestamp(now.0.saturating_add(self.period))),
        }
    }

    /// Sends its message on at `now`, due as it was, after so many times: without the headers that asked
    /// for that, and with the identity of its job. `again` is the identity of messages that come more
    /// than once.
    pub fn fire(
        &self,
        message: &Message,
        place: Position,
        (due, times): (Timestamp, u32),
        now: Timestamp,
        again: MessageId,
    ) -> Fired {
        let cron = self.cron.as_ref();
        let next = match cron {
            Some(text) => Cron::parse(text)
                .ok()
                .and_then(|cron| cron.next_after(now, 0)),
            None => (times < self.repeats).then(|| {
                // What was missed is made up for once, not as often as it was missed.
                let next = due.0.saturating_add(self.period);
                Timestamp(if next > now.0 {
                    next
                } else {
                    now.0.saturating_add(self.period)
                })
            }),
        };
        let repeats = cron.is_some() || self.repeats > 0;
        let id = if repeats { again } else { message.id };
        // The time to live begins when it is sent on.
        let time_to_live = message
            .expiration
            .map(|at| at.0.saturating_sub(message.timestamp.0));
        let expiration = time_to_live.map(|time| Timestamp(now.0.saturating_add(time)));
        let series = cron.is_some() && (self.delay > 0 || self.period > 0 || self.repeats > 0);
        let mut lines = vec![Line::number("scheduledJobId", place.0)];
        if repeats {
            let MessageId { connection, number } = id;
            lines.push(Line::new("message-id", format!("ID-{connection}-{number}")));
        }
        if let Some(Timestamp(at)) = expiration {
            lines.push(Line::number("expires", at));
        }
        let job = series.then(|| {
            let once = Self {
                cron: None,
                ..self.clone()
            };
            let due = once.first(now).unwrap_or(now);
            Box::new(Self { due, ..once })
        });
        let to = if series {
            DestinationName::schedule()
        } else {
            self.target.clone()
        };
        let message = Message {
            id,
            expiration,
            encoded: message.encoded.edited(&lines),
            job,
            ..message.clone()
        };
        let message = Arc::new(message);
        Fired { message, to, next }
    }
}
