//! When messages are due that are not to be delivered at once.
//!
//! Lives here: the cron entries by which a message comes again and again. Deliberately not here: the
//! clock and the zone of the machine; both come in as arguments.

mod cron;

pub use cron::{Cron, CronError};
