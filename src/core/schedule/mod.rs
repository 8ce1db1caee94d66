//! When messages are due that are not to be delivered at once.
//!
//! Lives here: jobs, the cron entries by which a message comes again and again, and what clients may ask
//! of the scheduler. Deliberately not here: the clock and the zone of the machine; both come in as arguments.

mod command;
mod cron;
mod job;
mod jobs;

pub use command::{Command, CommandError, DueRange, told};
pub use cron::{Cron, CronError};
pub use job::{Fired, Job};
pub use jobs::{JobState, Jobs};
