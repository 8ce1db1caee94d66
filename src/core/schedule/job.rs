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

#[cfg(test)]
mod tests {
    use super::super::super::id::ConnectionId;
    use super::*;

    fn job(delay: u64, period: u64, repeats: u32, cron: Option<&str>) -> Job {
        Job {
            target: DestinationName::queue("q").unwrap(),
            due: Timestamp(0),
            delay,
            period,
            repeats,
            cron: cron.map(Into::into),
        }
    }

    fn message(timestamp: u64, expiration: Option<u64>) -> Message {
        Message {
            timestamp: Timestamp(timestamp),
            expiration: expiration.map(Timestamp),
            ..Message::empty()
        }
    }

    fn fire(job: &Job, (due, times): (u64, u32), now: u64) -> Fired {
        let again = MessageId {
            connection: ConnectionId(9),
            number: 1,
        };
        let message = message(0, None);
        let due = (Timestamp(due), times);
        job.fire(&message, Position(4), due, Timestamp(now), again)
    }

    #[test]
    fn a_delay_comes_before_a_period() {
        let first = |job: Job| job.first(Timestamp(100)).map(|at| at.0);
        assert_eq!(first(job(5, 70, 2, None)), Some(105));
        assert_eq!(first(job(0, 70, 2, None)), Some(170));
        assert_eq!(first(job(5, 70, 2, Some("* * * * *"))), Some(60_000));
        assert_eq!(first(job(0, 0, 0, Some("0 0 31 2 *"))), None);
    }

    #[test]
    fn a_series_goes_on_from_when_it_was_due_and_makes_up_for_one() {
        let series = job(0, 10, 2, None);
        let next = |times, now| fire(&series, (100, times), now).next.map(|at| at.0);
        assert_eq!(next(0, 100), Some(110));
        assert_eq!(
            next(1, 104),
            Some(110),
            "what was late by less than a period"
        );
        assert_eq!(next(1, 500), Some(510), "what was missed");
        assert_eq!(next(2, 100), None, "the last time");
    }

    #[test]
    fn what_comes_more_than_once_has_an_identity_of_its_own_each_time() {
        let once = fire(&job(5, 0, 0, None), (5, 0), 5);
        assert_eq!(once.message.id, MessageId::default());
        let series = fire(&job(5, 0, 1, None), (5, 0), 5);
        assert_eq!(series.message.id.connection, ConnectionId(9));
        let id = series.message.encoded.property(b"message-id");
        assert_eq!(id.as_deref(), Some("ID-9-1".as_bytes()));
        let job = series.message.encoded.property(b"scheduledJobId");
        assert_eq!(job.as_deref(), Some(b"4".as_slice()));
    }

    #[test]
    fn the_time_to_live_begins_when_it_is_sent_on() {
        let due = (Timestamp(60), 0);
        let message = message(10, Some(30));
        let job = job(50, 0, 0, None);
        let fired = job.fire(&message, Position(1), due, Timestamp(70), message.id);
        assert_eq!(fired.message.expiration, Some(Timestamp(90)));
        let told = fired.message.encoded.property(b"expires");
        assert_eq!(told.as_deref(), Some(b"90".as_slice()));
    }

    #[test]
    fn a_tick_of_the_calendar_begins_a_series_if_there_is_one() {
        let tick = fire(&job(0, 0, 0, Some("* * * * *")), (60_000, 0), 60_000);
        assert_eq!((tick.message.job.is_some(), tick.to.name()), (false, "q"));
        assert_eq!(tick.next, Some(Timestamp(120_000)));
        let series = fire(&job(5, 7, 1, Some("* * * * *")), (60_000, 0), 60_000);
        assert!(series.to.is_schedule());
        let job = series.message.job.as_deref().unwrap();
        assert_eq!((job.cron.as_ref(), job.due), (None, Timestamp(60_005)));
    }
}
