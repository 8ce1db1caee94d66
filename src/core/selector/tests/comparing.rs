//! Comparing, converting and computing.

use super::*;

#[test]
fn text_compares_with_text_as_text() {
    let properties = headers(&[
        ("a", "blue"),
        ("b", "blue"),
        ("c", "Blue"),
        ("n", "5"),
        ("m", "5.0"),
    ]);
    all(
        Some(true),
        &properties,
        &["a = 'blue'", "a = b", "a <> c", "'blue' = a", "n = '5'"],
    );
    all(
        Some(false),
        &properties,
        &["a <> 'blue'", "a = 'Blue'", "n = '5.0'", "n = m"],
    );
}

#[test]
fn text_is_converted_to_the_number_that_it_meets() {
    let properties = headers(&[
        ("whole", "42"),
        ("part", "10.5"),
        ("signed", "-3"),
        ("big", "1e3"),
    ]);
    all(
        Some(true),
        &properties,
        &[
            "whole = 42",
            "42 = whole",
            "whole = 42.0",
            "whole <> 41",
            "part = 10.5",
            "part > 10",
            "part < 11",
            "part <> 10",
            "signed = -3",
            "signed < 0",
            "big = 1000",
            "whole >= 42",
            "whole <= 42",
        ],
    );
    all(
        Some(false),
        &properties,
        &["part = 10", "whole < 42", "whole > 42", "whole <> 42"],
    );
}

#[test]
fn text_that_is_no_number_is_unknown_beside_a_number() {
    let properties = headers(&[
        ("word", "abc"),
        ("empty", ""),
        ("blank", " 5"),
        ("unit", "5kg"),
        ("infinite", "inf"),
        ("none", "NaN"),
        ("hex", "0x10"),
        ("signs", "+-5"),
    ]);
    for name in [
        "word", "empty", "blank", "unit", "infinite", "none", "hex", "signs",
    ] {
        for comparison in ["=", "<>", "<", "<=", ">", ">="] {
            all(None, &properties, &[&format!("{name} {comparison} 5")]);
        }
    }
}

#[test]
fn text_is_converted_to_the_boolean_that_it_meets() {
    let properties = headers(&[("t", "True"), ("f", "FALSE"), ("x", "1")]);
    all(
        Some(true),
        &properties,
        &["t = TRUE", "f = false", "t <> FALSE", "TRUE = t"],
    );
    all(Some(false), &properties, &["t = FALSE", "f <> FALSE"]);
    all(None, &properties, &["x = TRUE", "x <> TRUE"]);
}

#[test]
fn a_number_and_a_boolean_do_not_compare() {
    let number = typed("n", Value::Integer(1));
    all(None, &number, &["n = TRUE", "n <> TRUE"]);
    let boolean = typed("b", Value::Boolean(true));
    all(
        None,
        &boolean,
        &[
            "b = 1",
            "b < 1",
            "b + 1 = 2",
            "b BETWEEN 0 AND 1",
            "b IN (1)",
        ],
    );
    all(
        Some(true),
        &boolean,
        &["b = 'true'", "b = TRUE", "b IN ('true')"],
    );
}

#[test]
fn text_has_an_order_only_where_both_sides_are_numbers() {
    let properties = headers(&[("a", "9"), ("b", "10"), ("c", "blue")]);
    all(
        Some(true),
        &properties,
        &["a < b", "a < '10'", "a BETWEEN '8' AND b"],
    );
    all(
        None,
        &properties,
        &["a < c", "c > 'amber'", "c BETWEEN 'a' AND 'd'"],
    );
}

#[test]
fn integers_and_floats_compare_without_rounding() {
    let edge = typed("n", Value::Integer(9_007_199_254_740_993));
    all(Some(false), &edge, &["n = 9007199254740992.0"]);
    all(
        Some(true),
        &edge,
        &["n > 9007199254740992.0", "n < 9007199254740994.0"],
    );
    let most = typed("n", Value::Integer(i64::MAX));
    all(
        Some(true),
        &most,
        &["n < 9223372036854775808.0", "n < 1e300", "n > -1e300"],
    );
    let least = typed("n", Value::Integer(i64::MIN));
    all(
        Some(true),
        &least,
        &["n = -9223372036854775808", "n > -9223372036854777856.0"],
    );
    let half = typed("n", Value::Integer(-2));
    all(
        Some(true),
        &half,
        &["n > -2.5", "n < -1.5", "n = -2.0", "-2.5 < n"],
    );
}

#[test]
fn what_is_no_number_compares_with_nothing() {
    let none = typed("n", Value::Float(f64::NAN));
    all(
        None,
        &none,
        &["n = 1", "n <> 1", "n < 1", "n = n", "n IN (1, 1.5)"],
    );
    let infinite = typed("n", Value::Float(f64::INFINITY));
    all(Some(true), &infinite, &["n > 1", "n > 1e308", "1 < n"]);
    all(None, &infinite, &["n - n = 0"]);
}

#[test]
fn text_is_computed_with_as_a_number() {
    let properties = headers(&[("a", "7"), ("b", "2.5"), ("c", "x")]);
    all(
        Some(true),
        &properties,
        &[
            "a + 1 = 8",
            "a + b = 9.5",
            "a * 2 > 13",
            "-a = -7",
            "'5' + 1 = 6",
            "+a = +'7.0'",
            "a + 1 = '8'",
        ],
    );
    all(
        None,
        &properties,
        &["c + 1 = 2", "1 + c <> 2", "-c = 1", "+c = 1"],
    );
}

#[test]
fn integers_are_divided_without_a_rest_and_floats_with_it() {
    let seven = headers(&[("a", "7")]);
    all(
        Some(true),
        &seven,
        &[
            "a / 2 = 3",
            "a / 2.0 = 3.5",
            "-a / 2 = -3",
            "a % 4 = 3",
            "-a % 4 = -3",
            "a % 2.5 = 2.0",
        ],
    );
}

#[test]
fn an_integer_divided_by_zero_is_unknown() {
    let seven = headers(&[("a", "7"), ("zero", "0")]);
    all(
        None,
        &seven,
        &["a / 0 = 1", "a % 0 = 1", "a / zero <> 1", "a % 0.0 = 1"],
    );
    all(Some(true), &seven, &["a / 0.0 > 1e300"]);
}

#[test]
fn integers_that_do_not_fit_become_floats() {
    let most = typed("n", Value::Integer(i64::MAX));
    all(
        Some(true),
        &most,
        &[
            "n + 1 = 9223372036854775808.0",
            "n * 2 > n",
            "-n - 2 = -9223372036854775808.0",
        ],
    );
    let least = typed("n", Value::Integer(i64::MIN));
    all(
        Some(true),
        &least,
        &[
            "-n = 9223372036854775808.0",
            "n / -1 = 9223372036854775808.0",
            "n % -1 = 0",
            "n - 1 < 0",
        ],
    );
}

#[test]
fn between_takes_both_ends() {
    let five = headers(&[("a", "5")]);
    all(
        Some(true),
        &five,
        &[
            "a BETWEEN 5 AND 6",
            "a BETWEEN 4 AND 5",
            "a NOT BETWEEN 6 AND 7",
        ],
    );
    all(
        Some(false),
        &five,
        &["a BETWEEN 6 AND 4", "a NOT BETWEEN 5 AND 5"],
    );
    all(Some(true), &five, &["a + 1 BETWEEN a AND a * 2"]);
}

#[test]
fn in_finds_texts() {
    let properties = headers(&[("a", "uk"), ("b", "de")]);
    all(
        Some(true),
        &properties,
        &["a IN ('us', 'uk', 'fr')", "b NOT IN ('us', 'uk')"],
    );
    all(
        Some(false),
        &properties,
        &["b IN ('us', 'uk')", "a NOT IN ('uk')", "a IN ('')"],
    );
}

#[test]
fn in_finds_numbers() {
    let properties = headers(&[("a", "5"), ("b", "x")]);
    all(
        Some(true),
        &properties,
        &[
            "a IN (1, 5.0)",
            "a IN ('x', 5)",
            "b IN ('x', 5)",
            "a NOT IN (-5, +6)",
        ],
    );
    all(Some(false), &properties, &["a IN (1, 2)", "a IN ('x', 6)"]);
    all(None, &properties, &["b IN (1)", "b NOT IN ('y', 1)"]);
    let number = typed("n", Value::Integer(5));
    all(
        Some(true),
        &number,
        &["n IN ('5')", "n IN ('x', '5')", "n IN (5)"],
    );
    all(None, &number, &["n IN ('x')", "n NOT IN ('x', '6')"]);
    all(Some(false), &number, &["n IN ('6')"]);
}
