//! When messages are due that are not to be delivered at once.
//!
//! Lives here: jobs, and the cron entries by which a message comes again and again. Deliberately not here: the
//! clock and the zone of the machine; both come in as arguments.

mod cron;
mod job;
mod jobs;

pub use cron::{Cron, CronError};
pub use job::{Fired, Job};
pub use jobs::{JobState, Jobs};
