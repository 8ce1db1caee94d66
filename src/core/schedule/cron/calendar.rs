//! The Gregorian calendar, for all years, by arithmetic alone.

/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

/// Days from the 1st of March of the year 0 to the 1st of January 1970.
const EPOCH: i64 = 719_468;

/// One month of one year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month {
    year: i64,
    /// 1 for January.
    number: u32,
    /// The day before its first, in days since the 1st of January 1970.
    eve: i64,
}

impl Month {
    fn new(year: i64, number: u32) -> Self {
        // Years that start in March have their leap day at the end, so it shifts nothing.
        let (year_from_march, months) = if number < 3 {
            (year - 1, number + 9)
        } else {
            (year, number - 3)
        };
        let eras = year_from_march.div_euclid(400);
        let years = year_from_march.rem_euclid(400);
        let days = years * 365 + years / 4 - years / 100 + days_before(months);
        Self {
            year,
            number,
            eve: eras * DAYS_PER_ERA + days - EPOCH - 1,
        }
    }

    /// The month that a day since the 1st of January 1970 is in, and which of its days it is.
    pub(super) fn of(day: i64) -> (Self, u32) {
        let days = day + EPOCH;
        let of_era = days.rem_euclid(DAYS_PER_ERA);
        // Leap days are what makes a year of 365 days too short to divide by: take them out first.
        let leap_days = of_era / 1_460 - of_era / 36_524 + of_era / (DAYS_PER_ERA - 1);
        let years = (of_era - leap_days) / 365;
        let year = days.div_euclid(DAYS_PER_ERA) * 400 + years;
        let of_year = of_era - (years * 365 + years / 4 - years / 100);
        let months = (0..12)
            .rev()
            .find(|months| days_before(*months) <= of_year)
            .unwrap_or(0);
        let month = if months < 10 {
            Self::new(year, months + 3)
        } else {
            Self::new(year + 1, months - 9)
        };
        // A day of a month is from 1 to 31; the fallback only satisfies the type.
        (month, u32::try_from(day - month.eve).unwrap_or(1))
    }

    /// The month after it.
    pub(super) fn next(self) -> Self {
        if self.number == 12 {
            Self::new(self.year + 1, 1)
        } else {
            Self::new(self.year, self.number + 1)
        }
    }

    /// 1 for January.
    pub(super) fn number(self) -> u32 {
        self.number
    }

    /// How many days it has.
    pub(super) fn length(self) -> u32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.number {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// The weekday of its first day; 0 is Sunday.
    pub(super) fn first_weekday(self) -> i64 {
        // The 1st of January 1970 was a Thursday.
        (self.day(1) + 4).rem_euclid(7)
    }

    /// One of its days, in days since the 1st of January 1970.
    pub(super) fn day(self, number: u32) -> i64 {
        self.eve + i64::from(number)
    }
}

/// Days of a year that starts in March, before this many months of it have passed.
fn days_before(months: u32) -> i64 {
    // From March on, five months have 153 days: 31, 30, 31, 30, 31.
    (i64::from(months) * 153 + 2) / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (day, year, number, of_month) in [
            (0, 1970, 1, 1),
            (-1, 1969, 12, 31),
            (59, 1970, 3, 1),
            (11_016, 2000, 2, 29),
            (11_017, 2000, 3, 1),
            (20_512, 2026, 2, 28),
            (-719_468, 0, 3, 1),
            (2_932_896, 9999, 12, 31),
        ] {
            let (month, found) = Month::of(day);
            assert_eq!((month.year, month.number, found), (year, number, of_month));
            assert_eq!(month.day(found), day);
        }
    }

    #[test]
    fn every_day_of_two_eras_follows_the_day_before() {
        let start = -DAYS_PER_ERA - EPOCH;
        let (mut month, mut of_month) = Month::of(start);
        for day in start + 1..DAYS_PER_ERA - EPOCH {
            if of_month == month.length() {
                (month, of_month) = (month.next(), 0);
            }
            of_month += 1;
            assert_eq!(Month::of(day), (month, of_month), "day {day}");
        }
        assert_eq!((month.year, month.number, of_month), (400, 2, 29));
    }
}
