//! Three values of truth.

use super::super::truth;
use super::*;

const VALUES: [Option<bool>; 3] = [Some(true), Some(false), None];

/// A condition of each value: one true, one false, one unknown.
const WORDS: [&str; 3] = ["TRUE", "FALSE", "missing = 1"];

#[test]
fn and_or_and_not_follow_the_table() {
    let (yes, no, unknown) = (Some(true), Some(false), None);
    let and = [[yes, no, unknown], [no, no, no], [unknown, no, unknown]];
    let or = [[yes, yes, yes], [yes, no, unknown], [yes, unknown, unknown]];
    let nothing = headers(&[]);
    for (row, left) in WORDS.iter().enumerate() {
        for (column, right) in WORDS.iter().enumerate() {
            let both = format!("{left} AND {right}");
            assert_eq!(truth(&both, &nothing), and[row][column], "{both}");
            let either = format!("{left} OR {right}");
            assert_eq!(truth(&either, &nothing), or[row][column], "{either}");
        }
    }
    let not = [no, yes, unknown];
    for (word, expected) in WORDS.iter().zip(not) {
        assert_eq!(truth(&format!("NOT {word}"), &nothing), expected);
    }
}

#[test]
fn a_chain_is_what_its_pairs_are() {
    for a in VALUES {
        for b in VALUES {
            for c in VALUES {
                let pairs = truth::all([truth::all([a, b]), c]);
                assert_eq!(truth::all([a, b, c]), pairs);
                let pairs = truth::any([truth::any([a, b]), c]);
                assert_eq!(truth::any([a, b, c]), pairs);
            }
        }
    }
}

#[test]
fn a_missing_property_is_unknown_in_every_condition() {
    all(
        None,
        &headers(&[("there", "1")]),
        &[
            "missing",
            "missing = 1",
            "missing <> 1",
            "missing = there",
            "missing > 1",
            "missing + 1 = 2",
            "-missing = 1",
            "missing BETWEEN 1 AND 2",
            "missing NOT BETWEEN 1 AND 2",
            "there BETWEEN missing AND 2",
            "missing IN ('a')",
            "missing NOT IN ('a')",
            "missing LIKE '%'",
            "missing NOT LIKE '%'",
        ],
    );
}

#[test]
fn is_null_asks_whether_a_property_is_missing() {
    let there = headers(&[("there", "")]);
    all(
        Some(true),
        &there,
        &["missing IS NULL", "there IS NOT NULL"],
    );
    all(
        Some(false),
        &there,
        &["there IS NULL", "missing IS NOT NULL"],
    );
}

#[test]
fn a_property_alone_is_true_or_false_or_unknown() {
    let text = headers(&[
        ("t", "TruE"),
        ("f", "false"),
        ("x", "yes"),
        ("n", "1"),
        ("e", ""),
    ]);
    all(Some(true), &text, &["t", "(t)", "t AND NOT f"]);
    all(Some(false), &text, &["f", "NOT t"]);
    all(None, &text, &["x", "n", "e"]);
    all(Some(true), &typed("b", Value::Boolean(true)), &["b"]);
    all(Some(false), &typed("b", Value::Boolean(false)), &["b"]);
    all(None, &typed("b", Value::Integer(1)), &["b"]);
    all(None, &typed("b", Value::Float(1.0)), &["b"]);
}

#[test]
fn unknown_does_not_match_and_neither_does_its_opposite() {
    let selector = Selector::parse("a > 1").unwrap();
    assert!(!selector.matches(&headers(&[("a", "many")])));
    let selector = Selector::parse("NOT a > 1").unwrap();
    assert!(!selector.matches(&headers(&[("a", "many")])));
}

#[test]
fn between_is_false_when_one_side_is_and_the_other_is_unknown() {
    let five = headers(&[("a", "5")]);
    all(
        Some(false),
        &five,
        &["a BETWEEN missing AND 4", "a BETWEEN 6 AND missing"],
    );
    all(Some(true), &five, &["a NOT BETWEEN missing AND 4"]);
    all(None, &five, &["a BETWEEN missing AND 6"]);
}
