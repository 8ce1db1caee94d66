//! What is said about texts that are no entries.

use super::*;

fn expected(what: &str, found: &str) -> String {
    format!("expected {what}, found {found}")
}

#[track_caller]
fn check(table: &[(&str, &str, String)]) {
    for (text, place, what) in table {
        let error = Cron::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("{place}: {what}"), "{text:?}");
    }
}

#[test]
fn what_has_no_meaning_is_refused_where_it_stands() {
    let item = "a number, '*' or '?'";
    let blank = "a blank and the next of five fields";
    check(&[
        ("", "minute, column 1", expected(item, "the end")),
        ("   ", "minute, column 4", expected(item, "the end")),
        ("x", "minute, column 1", expected(item, "'x'")),
        ("1", "minute, column 2", expected(blank, "the end")),
        ("1 2 3 4", "month, column 8", expected(blank, "the end")),
        (
            "1 2 3 4 ",
            "day-of-week, column 9",
            expected(item, "the end"),
        ),
        (
            "1 2 3 4 MON",
            "day-of-week, column 9",
            expected(item, "'M'"),
        ),
        ("1 2 3 JAN *", "month, column 7", expected(item, "'J'")),
        (
            "* * * * * *",
            "day-of-week, column 11",
            expected("the end behind five fields", "'*'"),
        ),
        ("1,,2 * * * *", "minute, column 3", expected(item, "','")),
        ("1, * * * *", "minute, column 3", expected(item, "' '")),
        (
            "1- * * * *",
            "minute, column 3",
            expected("a number as the end of the range", "' '"),
        ),
        (
            "1/ * * * *",
            "minute, column 3",
            expected("a number as the step", "' '"),
        ),
        ("2/2,3 * * * *", "minute, column 4", expected(blank, "','")),
        ("-1 * * * *", "minute, column 1", expected(item, "'-'")),
        ("* +1 * * *", "hour, column 3", expected(item, "'+'")),
        ("*-5 * * * *", "minute, column 2", expected(blank, "'-'")),
        ("**** * * * *", "minute, column 2", expected(blank, "'*'")),
        ("1\0 * * * *", "minute, column 2", expected(blank, "'\\0'")),
    ]);
}

#[test]
fn numbers_that_a_field_does_not_have_are_refused() {
    let range = |low, high, found| expected(&format!("a number from {low} to {high}"), found);
    check(&[
        (
            "*/0 * * * *",
            "minute, column 3",
            expected("a step of 1 or more", "0"),
        ),
        ("60 * * * *", "minute, column 1", range(0, 59, "60")),
        ("* 24 * * *", "hour, column 3", range(0, 23, "24")),
        ("* * 0 * *", "day-of-month, column 5", range(1, 31, "0")),
        ("* * 32 * *", "day-of-month, column 5", range(1, 31, "32")),
        ("* * * 1-13 *", "month, column 9", range(1, 12, "13")),
        ("* * * 0 *", "month, column 7", range(1, 12, "0")),
        ("* * * * 8", "day-of-week, column 9", range(0, 7, "8")),
        (
            "4294967296 * * * *",
            "minute, column 1",
            range(0, 59, "4294967296"),
        ),
        (
            "* 1,9-5 * * *",
            "hour, column 7",
            "expected a number from 9 on as the end of the range, found 5".to_owned(),
        ),
        (
            "15/10 * * * *",
            "minute, column 4",
            "expected a value that is divisible by the step 10, found none".to_owned(),
        ),
        (
            "* * */40 * *",
            "day-of-month, column 7",
            "expected a value that is divisible by the step 40, found none".to_owned(),
        ),
    ]);
}

#[test]
fn a_long_text_is_not_read() {
    let longest = format!("{:256}", "* * * * *");
    assert!(Cron::parse(&longest).is_ok());
    let error = Cron::parse(&format!("{longest} ")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the cron entry has 257 bytes, the longest that is read has 256"
    );
    let dense = "1,".repeat(123);
    assert!(Cron::parse(&format!("{dense}1 * * * *")).is_ok());
}
