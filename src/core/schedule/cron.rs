//! Cron entries of five fields, with the meaning that `ActiveMQ` gives them: minute, hour, day of
//! month, month, day of week.
//!
//! A field is `*` or `?` for every value, a number, a range `a-b`, or a list of these with commas. A
//! step `/n` ends a field and selects, of all values before it, those that are *divisible* by `n`:
//! `5-59/10` is 10, 20, 30, 40 and 50. Days of week are 0 (Sunday) to 6; 7 is Sunday too. When neither
//! of the two fields for days selects every day, a day that is in one of them is enough.

mod calendar;
mod error;
mod grammar;

use super::super::time::Timestamp;
use calendar::Month;

pub use error::CronError;

const MINUTES_PER_DAY: i64 = 24 * 60;
const MILLISECONDS_PER_MINUTE: u64 = 60_000;

/// The 29th of February is up to eight years away.
const MONTHS_SEARCHED: usize = 8 * 12;

/// Which minutes a message is sent at.
///
/// The set bits of each field are the values that it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: Box<str>,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is bit 0.
    weekdays: u64,
}

impl Cron {
    /// The longest entry that is read, in bytes.
    pub const MAX_LENGTH: usize = 256;

    /// Reads an entry.
    ///
    /// # Errors
    /// When it is too long, is no cron entry, or has a field that selects nothing. Dates that do not
    /// exist, such as the 30th of February, are no error here.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        grammar::parse(text)
    }

    /// The entry as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first start of a selected minute that is later than `after`, in a zone whose clocks are
    /// this many minutes ahead of UTC all year. None when there is none within eight years.
    pub fn next_after(&self, after: Timestamp, offset_minutes: i32) -> Option<Timestamp> {
        let offset = i64::from(offset_minutes);
        let minute = i64::try_from(after.0 / MILLISECONDS_PER_MINUTE).ok()?;
        let minute = self.next_from(minute + 1 + offset)? - offset;
        let milliseconds = u64::try_from(minute)
            .ok()?
            .checked_mul(MILLISECONDS_PER_MINUTE)?;
        Some(Timestamp(milliseconds))
    }

    /// The first selected minute that is not before this one; both count from 1970 on local clocks.
    fn next_from(&self, minute: i64) -> Option<i64> {
        let today = minute.div_euclid(MINUTES_PER_DAY);
        let (month, mut day) = Month::of(today);
        if self.days_of(month) >> day & 1 == 1 {
            let of_day = minute.rem_euclid(MINUTES_PER_DAY);
            if let Some(found) = self.minute_of_day_from(of_day) {
                return Some(today * MINUTES_PER_DAY + found);
            }
        }
        let first = self.minute_of_day_from(0)?;
        day += 1;
        let mut month = month;
        for _ in 0..=MONTHS_SEARCHED {
            if let Some(day) = lowest_from(self.days_of(month), day) {
                return Some(month.day(day) * MINUTES_PER_DAY + first);
            }
            month = month.next();
            day = 1;
        }
        None
    }

    /// The first selected minute of any day that is not before this one.
    fn minute_of_day_from(&self, minute: i64) -> Option<i64> {
        let (hour, minute) = (minute / 60, minute % 60);
        let hour = u32::try_from(hour).ok()?;
        let minute = u32::try_from(minute).ok()?;
        let this_hour = (self.hours >> hour & 1 == 1)
            .then(|| lowest_from(self.minutes, minute))
            .flatten();
        let (hour, minute) = match this_hour {
            Some(minute) => (hour, minute),
            None => (
                lowest_from(self.hours, hour + 1)?,
                lowest_from(self.minutes, 0)?,
            ),
        };
        Some(i64::from(hour * 60 + minute))
    }

    /// The selected days of a month.
    fn days_of(&self, month: Month) -> u64 {
        if self.months >> month.number() & 1 == 0 {
            return 0;
        }
        // Six weeks on end, cut so that bit 1 is the weekday of the first.
        let weeks = (0..6).fold(0, |bits, week| bits | self.weekdays << (7 * week));
        let by_weekday = weeks >> month.first_weekday() << 1;
        let both_restricted = self.days != grammar::DAY.all() && self.weekdays != EVERY_WEEKDAY;
        let days = if both_restricted {
            self.days | by_weekday
        } else {
            self.days & by_weekday
        };
        days & range(1, month.length())
    }
}

const EVERY_WEEKDAY: u64 = range(0, 6);

/// The bits from `first` to `last`, which is below 64.
const fn range(first: u32, last: u32) -> u64 {
    u64::MAX >> (63 - last) & u64::MAX << first
}

/// The lowest bit that is set, from this one on.
fn lowest_from(bits: u64, first: u32) -> Option<u32> {
    let bits = bits & u64::MAX.checked_shl(first)?;
    (bits != 0).then(|| bits.trailing_zeros())
}

#[cfg(test)]
mod tests;
