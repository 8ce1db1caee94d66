//! What a user is told.

use super::*;

#[track_caller]
fn says(selector: &str, sentence: &str) {
    assert_eq!(error(selector).to_string(), sentence, "{selector}");
}

#[test]
fn an_error_names_the_column_what_was_expected_and_what_was_found() {
    says(
        "foo = ",
        "column 7: expected a value after '=', found the end",
    );
    says(
        "a = 1 AND",
        "column 10: expected a condition after 'AND', found the end",
    );
    says("AND a", "column 1: expected a condition, found 'AND'");
    says(
        "(",
        "column 2: expected a condition or a value after '(', found the end",
    );
    says(
        "()",
        "column 2: expected a condition or a value after '(', found ')'",
    );
    says("a = = 1", "column 5: expected a value after '=', found '='");
    says("a == 1", "column 4: expected a value after '=', found '='");
    says("a + = 1", "column 5: expected a value after '+', found '='");
    says(
        "NOT",
        "column 4: expected a condition after 'NOT', found the end",
    );
    says(
        "a = NOT b",
        "column 5: expected a value after '=', found 'NOT'",
    );
}

#[test]
fn what_follows_a_whole_selector_is_an_error() {
    says(
        "a = 1 b",
        "column 7: expected AND, OR or the end, found 'b'",
    );
    says(
        "a b",
        "column 3: expected a comparison, AND, OR or the end, found 'b'",
    );
    says("a = 1)", "column 6: expected AND, OR or the end, found ')'");
    says(
        "a = b = c",
        "column 7: expected AND, OR or the end, found '='",
    );
    says("(a = 1", "column 7: expected AND, OR or ')', found the end");
    says(
        "(a 'x'",
        "column 4: expected a comparison, AND, OR or ')', found the text 'x'",
    );
    says(
        "a = 10abc",
        "column 7: expected AND, OR or the end, found 'abc'",
    );
}

#[test]
fn a_value_is_no_condition_and_a_condition_no_value() {
    says("5", "column 2: expected a comparison, found the end");
    says("'x' AND a", "column 5: expected a comparison, found 'AND'");
    says(
        "NOT (a + 1) OR b",
        "column 13: expected a comparison, found 'OR'",
    );
    says(
        "1 + (a = 1) = 2",
        "column 5: expected a value after '+', found a condition",
    );
    says(
        "a = (b = c)",
        "column 5: expected a value after '=', found a condition",
    );
}

#[test]
fn predicates_say_what_they_need() {
    says(
        "a IS 1",
        "column 6: expected NULL or NOT NULL after 'IS', found '1'",
    );
    says(
        "a IS NOT 1",
        "column 10: expected NULL after 'NOT', found '1'",
    );
    says(
        "a NOT 1",
        "column 7: expected LIKE, IN or BETWEEN after 'NOT', found '1'",
    );
    says(
        "a LIKE 5",
        "column 8: expected a pattern between single quotes after 'LIKE', found '5'",
    );
    for escape in ["'ab'", "''", "x", "5"] {
        let found = if escape.starts_with('\'') {
            format!("the text {escape}")
        } else {
            format!("'{escape}'")
        };
        says(
            &format!("a LIKE 'x' ESCAPE {escape}"),
            &format!(
                "column 19: expected one character between single quotes after 'ESCAPE', found {found}"
            ),
        );
    }
}

#[test]
fn lists_and_ranges_say_what_they_need() {
    says(
        "a IN 'x'",
        "column 6: expected '(' after 'IN', found the text 'x'",
    );
    says(
        "a IN ()",
        "column 7: expected a text or a number after '(', found ')'",
    );
    says(
        "a IN ('x',)",
        "column 11: expected a text or a number after ',', found ')'",
    );
    says(
        "a IN ('x' 'y')",
        "column 11: expected ',' or ')' in the list of IN, found the text 'y'",
    );
    says(
        "a IN (TRUE)",
        "column 7: expected a text or a number after '(', found 'TRUE'",
    );
    says(
        "a IN (-'x')",
        "column 8: expected a number after '-', found the text 'x'",
    );
    says(
        "a BETWEEN 1",
        "column 12: expected AND and the upper value of BETWEEN, found the end",
    );
    says(
        "a BETWEEN 1 AND",
        "column 16: expected a value after 'AND', found the end",
    );
    says(
        "5 IN ('x')",
        "column 1: expected the name of a property before IN, found a value",
    );
    says(
        "a + 1 IS NULL",
        "column 1: expected the name of a property before IS, found a value",
    );
    says(
        "'x' LIKE 'x'",
        "column 1: expected the name of a property before LIKE, found a value",
    );
}

#[test]
fn booleans_have_no_order_and_are_not_computed_with() {
    says(
        "a > TRUE",
        "column 5: expected a number, found TRUE or FALSE",
    );
    says(
        "FALSE <= a",
        "column 1: expected a number, found TRUE or FALSE",
    );
    says(
        "TRUE + 1 = a",
        "column 1: expected a number, found TRUE or FALSE",
    );
    says(
        "a * FALSE = 1",
        "column 5: expected a number, found TRUE or FALSE",
    );
    says(
        "-TRUE = 1",
        "column 2: expected a number, found TRUE or FALSE",
    );
    says(
        "a BETWEEN 1 AND TRUE",
        "column 17: expected a number, found TRUE or FALSE",
    );
}

#[test]
fn null_is_compared_with_by_is() {
    says(
        "a = NULL",
        "column 5: nothing compares with NULL; write IS NULL or IS NOT NULL",
    );
    assert_eq!(error("NULL <> a"), SelectorError::Null { column: 1 });
    assert_eq!(error("a > 1 + null"), SelectorError::Null { column: 9 });
}

#[test]
fn a_name_with_a_point_is_told_to_be_quoted() {
    says(
        "foo.bar = 1",
        "column 4: '.' can be in a name only between double quotes: \"foo.bar\"",
    );
    says(
        "a AND b.c-d = 1",
        "column 8: '.' can be in a name only between double quotes: \"b.c-d\"",
    );
    says(
        "a.5 = 1",
        "column 2: '.' can be in a name only between double quotes: \"a.5\"",
    );
    says(
        "größe = 1",
        "column 3: 'ö' can be in a name only between double quotes: \"größe\"",
    );
    says(
        "a = éa",
        "column 5: 'é' can be in a name only between double quotes: \"éa\"",
    );
}

#[test]
fn functions_of_other_brokers_are_named() {
    says(
        "REGEX('a', b)",
        "column 1: REGEX is not supported in selectors",
    );
    for call in [
        "inlist(a, b)",
        "MAKELIST('a')",
        "REPLACE (a, 'b', 'c') = 'd'",
        "Split(a, 'b')",
        "XPATH 'a'",
        "xquery 'a'",
    ] {
        let found = error(&format!("a = 1 AND {call}"));
        assert!(
            matches!(found, SelectorError::Unsupported { column: 11, .. }),
            "{found}"
        );
    }
    assert_eq!(
        normal("xpath = 'a' AND regex = 1"),
        "xpath = 'a' AND regex = 1"
    );
}

#[test]
fn what_is_not_closed_is_shown_where_it_begins() {
    says("a = 'blue", "column 5: the text has no closing '");
    says("a = 'it''s", "column 5: the text has no closing '");
    says("\"a = 1", "column 1: the name has no closing \"");
    says("a = 1 /* b", "column 7: the comment has no closing */");
    says(
        "\"\" = 1",
        "column 1: expected a name between double quotes, found none",
    );
}

#[test]
fn characters_without_a_meaning_are_shown() {
    says(
        "a = #",
        "column 5: expected a name, a value or an operator, found '#'",
    );
    says(
        "a ! b",
        "column 3: expected a name, a value or an operator, found '!'",
    );
    says(
        "a:b = 1",
        "column 2: expected a name, a value or an operator, found ':'",
    );
    says(
        "a = .",
        "column 5: expected a name, a value or an operator, found '.'",
    );
    says(
        "a = \u{1}",
        "column 5: expected a name, a value or an operator, found ' '",
    );
}

#[test]
fn numbers_that_cannot_be_kept_are_refused() {
    says("a = 1e999", "column 5: 1e999 is too large");
    says(
        "a = 089",
        "column 5: 089 begins with 0 and so is octal, which has no 8 and no 9",
    );
    says(
        "a = 0xFFFFFFFFFFFFFFFF",
        "column 5: 0xFFFFFFFFFFFFFFFF does not fit 64 bits",
    );
    let long = format!("a = {}", "9".repeat(400));
    says(
        &long,
        &format!("column 5: {}… is too large", "9".repeat(40)),
    );
}

#[test]
fn columns_count_characters_across_lines() {
    says(
        "\"größe\" = 'ä' AND\n=",
        "column 19: expected a condition after 'AND', found '='",
    );
}

#[test]
fn a_long_token_is_shortened_and_stays_on_one_line() {
    let text = format!("a 'x\n{}'", "y".repeat(100));
    let shown = format!("the text 'x {}…", "y".repeat(37));
    says(
        &text,
        &format!("column 3: expected a comparison, AND, OR or the end, found {shown}"),
    );
}

#[test]
fn nothing_is_an_error_of_its_own() {
    for nothing in ["", " \r\n\t", "-- a = 1", "/* a */ -- b\n "] {
        assert_eq!(error(nothing), SelectorError::Empty);
    }
}
