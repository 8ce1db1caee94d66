//! What clients may ask of the scheduler by a message to `ActiveMQ.Scheduler.Management`, as with
//! `ActiveMQ`.

use std::borrow::Cow;

use super::super::compose::{Line, read_spelled, spelled};
use super::super::destination::DestinationName;
use super::super::id::{MessageId, Position};
use super::super::message::Message;
use super::super::time::Timestamp;

const MANAGEMENT: &str = "ActiveMQ.Scheduler.Management";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell what is scheduled.
    Browse {
        /// To whom.
        reply_to: DestinationName,
        /// Due when.
        due: DueRange,
    },
    /// Forget one.
    Remove {
        /// Which one.
        id: Position,
    },
    /// Forget all.
    RemoveAll {
        /// Due when.
        due: DueRange,
    },
}

/// When something is due, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRange {
    from: Timestamp,
    until: Timestamp,
}

impl DueRange {
    /// Whether a time is within.
    pub fn has(&self, due: Timestamp) -> bool {
        (self.from..=self.until).contains(&due)
    }
}

/// A message to the scheduler does not say what it is to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It asks for something else.
    #[error("AMQ_SCHEDULER_ACTION is \"{0}\"; expected BROWSE, REMOVE or REMOVEALL")]
    Action(String),
    /// The answer is for nobody.
    #[error("AMQ_SCHEDULER_ACTION:BROWSE needs a reply-to: a queue or topic")]
    ReplyTo,
    /// It is not said which one.
    #[error("AMQ_SCHEDULER_ACTION:REMOVE needs a scheduledJobId; \"{0}\" is none")]
    Job(String),
    /// A time cannot be read.
    #[error("{name} is \"{found}\"; expected a time in milliseconds since 1970")]
    Time {
        /// The header.
        name: &'static str,
        /// What it says.
        found: String,
    },
}

impl DestinationName {
    /// Whether messages to it are for the scheduler itself.
    pub fn is_scheduler_management(&self) -> bool {
        let start = self.name().as_bytes().get(..MANAGEMENT.len());
        let is_it = start.is_some_and(|start| start.eq_ignore_ascii_case(MANAGEMENT.as_bytes()));
        is_it && self.is_plain()
    }
}

impl Command {
    /// What a message asks.
    ///
    /// # Errors
    /// When it does not say that.
    pub fn of(message: &Message) -> Result<Self, CommandError> {
        let property = |name: &str| {
            let value = message.encoded.property(name.as_bytes());
            let text = value.as_deref().map(String::from_utf8_lossy);
            text.map(Cow::into_owned).unwrap_or_default()
        };
        let time = |name: &'static str, otherwise| match property(name) {
            text if text.is_empty() => Ok(Timestamp(otherwise)),
            found => {
                let read = found.trim().parse().map(Timestamp);
                read.map_err(|_| CommandError::Time { name, found })
            }
        };
        let due = || {
            Ok(DueRange {
                from: time("ACTION_START_TIME", 0)?,
                until: time("ACTION_END_TIME", u64::MAX)?,
            })
        };
        let action = property("AMQ_SCHEDULER_ACTION");
        match action.trim() {
            "BROWSE" => Ok(Self::Browse {
                reply_to: read_spelled(&property("reply-to")).ok_or(CommandError::ReplyTo)?,
                due: due()?,
            }),
            "REMOVE" => {
                let text = property("scheduledJobId");
                let id = text.trim().parse().map(Position);
                Ok(Self::Remove {
                    id: id.map_err(|_| CommandError::Job(text))?,
                })
            }
            "REMOVEALL" => Ok(Self::RemoveAll { due: due()? }),
            other => Err(CommandError::Action(other.to_owned())),
        }
    }
}

/// What is scheduled, as BROWSE tells it: the message with the headers that asked for its times.
pub fn told(message: &Message, job: Position, id: MessageId, to: &DestinationName) -> Message {
    let mut lines = vec![
        Line::new("destination", spelled(to)),
        Line::new("message-id", format!("ID-{}-{}", id.connection, id.number)),
        Line::number("scheduledJobId", job.0),
        Line::new("persistent", "false".to_owned()),
    ];
    if let Some(asked) = message.job.as_deref() {
        for (name, value) in [
            ("AMQ_SCHEDULED_DELAY", asked.delay),
            ("AMQ_SCHEDULED_PERIOD", asked.period),
            ("AMQ_SCHEDULED_REPEAT", asked.repeats.into()),
        ] {
            if value > 0 {
                lines.push(Line::number(name, value));
            }
        }
        if let Some(cron) = asked.cron.as_deref() {
            lines.push(Line::new("AMQ_SCHEDULED_CRON", cron.to_owned()));
        }
    }
    Message {
        id,
        expiration: None,
        persistent: false,
        grouped: false,
        identified: false,
        encoded: message.encoded.edited(&lines),
        sent_to: None,
        job: None,
        ..message.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::message::Encoded;
    use super::*;

    fn asking(head: &str) -> Message {
        let head = format!("{head}\n");
        Message {
            encoded: Encoded {
                body_start: u32::try_from(head.len()).unwrap(),
                bytes: head.into_bytes().into(),
                ..Encoded::default()
            },
            ..Message::empty()
        }
    }

    #[test]
    fn the_destination_is_known_in_any_case_and_with_anything_behind_it() {
        let is_it = |name: &str| {
            DestinationName::topic(name)
                .unwrap()
                .is_scheduler_management()
        };
        assert!(is_it("ActiveMQ.Scheduler.Management"));
        assert!(is_it("activemq.scheduler.management.x"));
        assert!(!is_it("ActiveMQ.Scheduler") && !is_it("x.ActiveMQ.Scheduler.Management"));
    }

    #[test]
    fn commands_are_read() {
        let of = |head: &str| Command::of(&asking(head));
        let remove = of("AMQ_SCHEDULER_ACTION:REMOVE\nscheduledJobId:7\n");
        assert_eq!(remove, Ok(Command::Remove { id: Position(7) }));
        let range = "ACTION_START_TIME:5\nACTION_END_TIME:9\n";
        let all = of(&format!("AMQ_SCHEDULER_ACTION:REMOVEALL\n{range}"));
        let Ok(Command::RemoveAll { due }) = all else {
            panic!("{all:?}");
        };
        let has = [4, 5, 9, 10].map(|at| due.has(Timestamp(at)));
        assert_eq!(has, [false, true, true, false]);
        let browse = of("AMQ_SCHEDULER_ACTION:BROWSE\nreply-to:/queue/me\n");
        let Ok(Command::Browse { reply_to, due }) = browse else {
            panic!("{browse:?}");
        };
        assert_eq!(reply_to.to_string(), "queue://me");
        assert!(due.has(Timestamp(0)));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (head, named) in [
            ("", "BROWSE, REMOVE or REMOVEALL"),
            ("AMQ_SCHEDULER_ACTION:STOP\n", "STOP"),
            ("AMQ_SCHEDULER_ACTION:BROWSE\n", "reply-to"),
            ("AMQ_SCHEDULER_ACTION:REMOVE\n", "scheduledJobId"),
            (
                "AMQ_SCHEDULER_ACTION:REMOVEALL\nACTION_END_TIME:now\n",
                "ACTION_END_TIME",
            ),
        ] {
            let error = Command::of(&asking(head)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
