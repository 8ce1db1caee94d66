//! Which instants an entry selects, and what is said about texts that are none.

use super::*;

const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn length(year: u64, month: u64) -> u64 {
    LENGTHS[usize::try_from(month).unwrap() - 1] + u64::from(month == 2 && is_leap(year))
}

/// The minute since 1970 of a time such as `2026-03-01 10:05`, counted year by year.
fn minute(text: &str) -> u64 {
    let parts: Vec<u64> = text
        .split(['-', ' ', ':'])
        .map(|part| part.parse().unwrap())
        .collect();
    let [year, month, day, hour, minute] = parts[..] else {
        panic!("{text}");
    };
    let years: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let months: u64 = (1..month).map(|month| length(year, month)).sum();
    ((years + months + day - 1) * 24 + hour) * 60 + minute
}

/// The same backwards.
fn shown(minute: u64) -> String {
    let (mut days, of_day) = (minute / 1440, minute % 1440);
    let (mut year, mut month) = (1970, 1);
    while days >= length(year, month) {
        days -= length(year, month);
        (year, month) = if month == 12 {
            (year + 1, 1)
        } else {
            (year, month + 1)
        };
    }
    let (hour, minute) = (of_day / 60, of_day % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02}", days + 1)
}

fn next(cron: &str, after: &str, offset: i32) -> Option<String> {
    let after = Timestamp(minute(after) * 60_000);
    let found = Cron::parse(cron).unwrap().next_after(after, offset)?;
    assert!(found > after && found.0.is_multiple_of(60_000));
    Some(shown(found.0 / 60_000))
}

#[track_caller]
fn check(table: &[(&str, &str, &str)]) {
    for (cron, after, expected) in table {
        assert_eq!(next(cron, after, 0).as_deref(), Some(*expected), "{cron}");
    }
}

/// The values that a text selects for the minute.
fn minutes(field: &str) -> Vec<u32> {
    let cron = Cron::parse(&format!("{field} * * * *")).unwrap();
    (0..64).filter(|bit| cron.minutes >> bit & 1 == 1).collect()
}

#[test]
fn numbers_lists_and_ranges_select_what_they_name() {
    assert_eq!(minutes("7"), [7]);
    assert_eq!(minutes("0,59,7,7"), [0, 7, 59]);
    assert_eq!(minutes("10-13"), [10, 11, 12, 13]);
    assert_eq!(minutes("5-5"), [5]);
    assert_eq!(minutes("1,10-12,58-59"), [1, 10, 11, 12, 58, 59]);
    assert_eq!(minutes("00007"), [7]);
    let all: Vec<_> = (0..60).collect();
    assert_eq!(minutes("*"), all);
    assert_eq!(minutes("?"), all);
    assert_eq!(minutes("3,*"), all);
}

#[test]
fn a_step_selects_what_is_divisible_by_it() {
    assert_eq!(minutes("*/15"), [0, 15, 30, 45]);
    assert_eq!(minutes("?/20"), [0, 20, 40]);
    assert_eq!(minutes("5-59/10"), [10, 20, 30, 40, 50]);
    assert_eq!(minutes("7-13/7"), [7]);
    assert_eq!(minutes("5,10,15,20/10"), [10, 20]);
    assert_eq!(minutes("*/99999999999999999999"), [0]);
    assert_eq!(minutes("30/15"), [30]);
    assert_eq!(minutes("2-4/1"), [2, 3, 4]);
    check(&[
        ("0 0 */10 * *", "2026-01-01 00:00", "2026-01-10 00:00"),
        ("0 0 */10 * *", "2026-01-30 00:00", "2026-02-10 00:00"),
        ("0 0 1 */5 *", "2026-01-01 00:00", "2026-05-01 00:00"),
        ("0 */7 * * *", "2026-01-01 07:00", "2026-01-01 14:00"),
    ]);
}

#[test]
fn the_next_time_is_later_at_the_start_of_a_minute() {
    check(&[
        ("* * * * *", "2026-01-01 00:00", "2026-01-01 00:01"),
        ("5 * * * *", "2026-01-01 00:05", "2026-01-01 01:05"),
        ("5 * * * *", "2026-01-01 00:04", "2026-01-01 00:05"),
        ("0 0 * * *", "2026-12-31 23:59", "2027-01-01 00:00"),
        ("30 4 * * *", "2026-01-01 04:31", "2026-01-02 04:30"),
        ("10,50 9-17 * * *", "2026-01-01 17:50", "2026-01-02 09:10"),
        ("10,50 9-17 * * *", "2026-01-01 09:10", "2026-01-01 09:50"),
        ("59 23 31 12 *", "1999-12-31 23:59", "2000-12-31 23:59"),
    ]);
    let cron = Cron::parse("* * * * *").unwrap();
    for (after, expected) in [
        (0, 60_000),
        (1, 60_000),
        (59_999, 60_000),
        (60_000, 120_000),
    ] {
        let found = cron.next_after(Timestamp(after), 0);
        assert_eq!(found, Some(Timestamp(expected)), "after {after}");
    }
}

#[test]
fn months_end_where_the_calendar_says() {
    check(&[
        ("0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00"),
        ("0 0 30 * *", "2026-01-30 00:00", "2026-03-30 00:00"),
        ("0 0 31 4,5 *", "2026-01-01 00:00", "2026-05-31 00:00"),
        ("0 12 28-31 2 *", "2026-02-28 12:00", "2027-02-28 12:00"),
        ("0 12 28-31 2 *", "2028-02-28 12:00", "2028-02-29 12:00"),
        ("59 23 * * *", "2026-04-30 23:59", "2026-05-01 23:59"),
        ("0 0 1 1 *", "2026-01-01 00:00", "2027-01-01 00:00"),
    ]);
}

#[test]
fn a_leap_day_is_found_up_to_eight_years_ahead() {
    check(&[
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00", "2032-02-29 00:00"),
        ("0 0 29 2 *", "1999-03-01 00:00", "2000-02-29 00:00"),
        ("0 0 29 2 *", "2096-02-29 00:00", "2104-02-29 00:00"),
        ("5 1 29 2 *", "2096-02-29 01:05", "2104-02-29 01:05"),
    ]);
}

#[test]
fn dates_that_do_not_exist_are_never_reached() {
    for cron in [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "* * 31 2,4 ?",
        "0 0 30-31 2 *",
    ] {
        assert_eq!(next(cron, "2026-01-01 00:00", 0), None, "{cron}");
    }
}

#[test]
fn weekdays_count_from_sunday() {
    // The 1st of March 2026 is a Sunday.
    check(&[
        ("0 0 * * 0", "2026-02-28 12:00", "2026-03-01 00:00"),
        ("0 0 * * 7", "2026-02-28 12:00", "2026-03-01 00:00"),
        ("0 0 * * 7", "2026-03-01 00:00", "2026-03-08 00:00"),
        ("0 0 * * 1-5", "2026-03-06 00:00", "2026-03-09 00:00"),
        ("0 0 * * 6", "2026-03-01 00:00", "2026-03-07 00:00"),
        ("0 0 * * 5-7", "2026-03-01 00:00", "2026-03-06 00:00"),
        ("0 0 ? 5 3", "2026-03-01 00:00", "2026-05-06 00:00"),
        ("0 0 * * */2", "2026-03-01 00:00", "2026-03-03 00:00"),
        ("0 0 * * */2", "2026-03-05 00:00", "2026-03-07 00:00"),
    ]);
    let weekdays = |field| Cron::parse(&format!("0 0 * * {field}")).unwrap().weekdays;
    assert_eq!(weekdays("0"), weekdays("7"));
    assert_eq!(weekdays("0-7"), weekdays("*"));
    assert_eq!(weekdays("1-7"), weekdays("*"));
}

#[test]
fn of_two_restricted_fields_for_days_the_nearer_day_is_taken() {
    check(&[
        ("0 0 13 * 5", "2026-03-01 00:00", "2026-03-06 00:00"),
        ("0 0 13 * 2", "2026-03-10 00:00", "2026-03-13 00:00"),
        ("0 0 13 * 2", "2026-03-13 00:00", "2026-03-17 00:00"),
        ("0 0 30 2 1", "2026-02-23 00:00", "2027-02-01 00:00"),
        ("0 0 1 6 0", "2026-05-31 00:00", "2026-06-01 00:00"),
        // A field that selects every day restricts nothing, however it is written.
        ("0 0 13 * 0-6", "2026-03-01 00:00", "2026-03-13 00:00"),
        ("0 0 1-31 * 2", "2026-03-04 00:00", "2026-03-10 00:00"),
        ("0 0 ? * 2", "2026-03-04 00:00", "2026-03-10 00:00"),
        ("0 0 13 * ?", "2026-03-01 00:00", "2026-03-13 00:00"),
    ]);
}

#[test]
fn fields_are_read_on_the_clocks_of_the_zone() {
    for (offset, after, expected) in [
        (0, "2026-03-01 12:00", "2026-03-02 00:00"),
        (120, "2026-03-01 12:00", "2026-03-01 22:00"),
        (-300, "2026-03-01 12:00", "2026-03-02 05:00"),
        (345, "2026-03-01 12:00", "2026-03-01 18:15"),
        (60, "2026-03-01 22:59", "2026-03-01 23:00"),
        (60, "2026-03-01 23:00", "2026-03-02 23:00"),
        (-1, "1970-01-01 00:00", "1970-01-01 00:01"),
    ] {
        let found = next("0 0 * * *", after, offset);
        assert_eq!(found.as_deref(), Some(expected), "{offset}");
    }
    let last = next("0 0 31 12 *", "2026-12-30 23:30", 60);
    assert_eq!(last.as_deref(), Some("2027-12-30 23:00"));
}

#[test]
fn blanks_around_fields_are_of_no_meaning() {
    let cron = Cron::parse(" \t1  2\t3 4   5 \n").unwrap();
    assert_eq!(cron.text(), " \t1  2\t3 4   5 \n");
    let plain = Cron::parse("1 2 3 4 5").unwrap();
    let fields = |cron: &Cron| {
        (
            cron.minutes,
            cron.hours,
            cron.days,
            cron.months,
            cron.weekdays,
        )
    };
    assert_eq!(fields(&cron), fields(&plain));
}

#[test]
fn the_end_of_time_is_no_place_to_fall_off() {
    let cron = Cron::parse("* * * * *").unwrap();
    assert_eq!(cron.next_after(Timestamp(u64::MAX), 0), None);
    let last = u64::MAX / 60_000 * 60_000;
    let found = cron.next_after(Timestamp(last - 1), 0);
    assert_eq!(found, Some(Timestamp(last)));
    for offset in [i32::MIN, i32::MAX] {
        let found = cron.next_after(Timestamp(0), offset);
        assert_eq!(found, Some(Timestamp(60_000)));
    }
}

mod errors;
mod properties;
