//! How a selector is read.

use super::*;

#[test]
fn or_binds_looser_than_and_and_and_looser_than_not() {
    let same = [
        ("a OR b AND c", "a OR (b AND c)"),
        ("a AND b OR c AND d", "(a AND b) OR (c AND d)"),
        ("NOT a AND b", "(NOT a) AND b"),
        ("NOT a OR b", "(NOT a) OR b"),
    ];
    for (short, long) in same {
        assert_eq!(normal(short), normal(long));
    }
    assert_eq!(normal("(a OR b) AND c"), "(a OR b) AND c");
    assert_eq!(normal("NOT (a AND b)"), "NOT (a AND b)");
}

#[test]
fn not_binds_looser_than_comparisons() {
    assert_eq!(normal("NOT a = 1"), normal("NOT (a = 1)"));
    assert_eq!(normal("NOT a IS NULL"), normal("NOT (a IS NULL)"));
    assert_eq!(
        normal("NOT a BETWEEN 1 AND 2 AND b"),
        normal("(NOT (a BETWEEN 1 AND 2)) AND b")
    );
    all(
        Some(true),
        &headers(&[("a", "2")]),
        &["NOT a = 1", "NOT NOT a = 2"],
    );
}

#[test]
fn products_bind_tighter_than_sums_and_signs_tighter_than_both() {
    let nothing = headers(&[]);
    all(
        Some(true),
        &nothing,
        &[
            "1 + 2 * 3 = 7",
            "(1 + 2) * 3 = 9",
            "10 - 4 - 3 = 3",
            "10 - (4 - 3) = 9",
            "100 / 10 / 2 = 5",
            "-2 * -3 = 6",
            "- -2 = 2",
            "-(1 + 2) = -3",
            "7 % 4 * 2 = 6",
            "2 + 3 > 4 + 0",
        ],
    );
}

#[test]
fn keywords_are_read_in_any_case() {
    let properties = headers(&[("a", "x"), ("b", "2")]);
    all(
        Some(true),
        &properties,
        &[
            "a Like 'x' aNd b bEtween 1 and 3",
            "NoT a In ('y') oR false",
            "missing is null and a is Not Null",
            "a like 'x' escape '!'",
            "true",
        ],
    );
}

#[test]
fn names_keep_their_case() {
    let properties = headers(&[("Colour", "blue"), ("$a_1", "1"), ("_", "1")]);
    all(
        Some(true),
        &properties,
        &["Colour = 'blue'", "$a_1 = 1", "_ = 1"],
    );
    all(None, &properties, &["colour = 'blue'"]);
}

#[test]
fn a_name_in_double_quotes_can_be_anything() {
    let properties = headers(&[
        ("content-type", "text"),
        ("and", "1"),
        ("a\"b", "1"),
        ("größe", "1"),
    ]);
    all(
        Some(true),
        &properties,
        &[
            "\"content-type\" = 'text'",
            "\"content-type\" LIKE 't%'",
            "\"and\" = 1",
            "\"a\"\"b\" = 1",
            "\"größe\" = 1",
        ],
    );
    assert_eq!(normal("\"plain\" = 1"), "plain = 1");
    assert_eq!(normal("\"Or\" = 1"), "\"Or\" = 1");
}

#[test]
fn a_hyphen_between_names_subtracts() {
    all(
        Some(true),
        &headers(&[("a", "5"), ("b", "3")]),
        &["a-b = 2", "a -b=2", "a-1=4"],
    );
}

#[test]
fn not_equal_has_two_spellings() {
    assert_eq!(normal("a != 1"), "a <> 1");
    assert_eq!(normal("a<>1"), "a <> 1");
}

#[test]
fn numbers_have_all_spellings_of_java() {
    let nothing = headers(&[]);
    all(
        Some(true),
        &nothing,
        &[
            "0x1F = 31",
            "0Xff = 255",
            "017 = 15",
            "0 = 0",
            "00 = 0",
            "10L = 10",
            "10l = 10",
            "0x10L = 16",
            "1.5e3 = 1500",
            "1E-2 = .01",
            "5. = 5",
            ".5 * 2 = 1",
            "1e+2 = 100",
            "09.5 = 9.5",
            "9223372036854775808 = 9223372036854775808.0",
        ],
    );
}

#[test]
fn a_quote_within_a_text_is_doubled() {
    let properties = headers(&[("a", "it's"), ("b", "'"), ("c", "")]);
    all(
        Some(true),
        &properties,
        &["a = 'it''s'", "b = ''''", "c = ''", "a LIKE 'it''_'"],
    );
}

#[test]
fn comments_are_blanks() {
    let one = headers(&[("a", "1"), ("b", "1")]);
    all(
        Some(true),
        &one,
        &[
            "a = 1 -- the end",
            "-- first\r\na = 1",
            "a /* -- ' */ = /**/ 1",
            "a--\n=1",
            "/* a */ /* b */ a = 1",
        ],
    );
    assert_eq!(normal("a - - 1 = 2 -- - 3"), "a - -1 = 2");
    assert_eq!(normal("a = '--' OR b = '/*'"), "a = '--' OR b = '/*'");
}

#[test]
fn blanks_are_needed_only_between_words() {
    assert_eq!(normal("a=1AND(b)OR'x'=c"), "a = 1 AND b OR 'x' = c");
    assert_eq!(normal("\n\ta\r\n=\u{c}1 "), "a = 1");
}

#[test]
fn parentheses_hold_conditions_and_values() {
    let properties = headers(&[("a", "1"), ("t", "true")]);
    all(
        Some(true),
        &properties,
        &[
            "((a)) = (1)",
            "(t)",
            "((t)) AND (a = 1)",
            "(a + 1) * (2) = 4",
            "(a) IN ('1')",
            "(a) IS NOT NULL",
        ],
    );
}
