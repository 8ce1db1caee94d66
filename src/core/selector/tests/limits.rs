//! What is too much.

use super::super::MAX_LENGTH;
use super::*;

#[test]
fn a_selector_of_64_kib_is_read_and_a_longer_one_is_not() {
    let start = "a = 1 -- ";
    let text = format!("{start}{}", "x".repeat(MAX_LENGTH - start.len()));
    assert_eq!(normal(&text), "a = 1");
    let expected = SelectorError::TooLong {
        actual: MAX_LENGTH + 1,
        limit: MAX_LENGTH,
    };
    assert_eq!(error(&format!("{text}x")), expected);
}

#[test]
fn a_hundred_levels_are_read_and_no_more() {
    for (open, inside, close) in [
        ("(", "a = 1", ")"),
        ("NOT ", "a = 1", ""),
        ("- ", "a = 1", ""),
    ] {
        let nested = |depth| format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
        let selector = Selector::parse(&nested(100)).unwrap();
        assert!(!selector.matches(&headers(&[])));
        let column = 100 * open.len() + 1;
        let expected = SelectorError::TooDeep { column, limit: 100 };
        assert_eq!(error(&nested(101)), expected);
    }
}

#[test]
fn levels_are_counted_only_while_they_are_open() {
    let text = vec!["NOT (-a = 1)"; 200].join(" AND ");
    assert_eq!(normal(&text).matches("NOT").count(), 200);
}

/// Runs on a stack that is half as large as that of a worker thread.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn very_deep_texts_do_not_overflow_the_stack() {
    on_a_small_stack(|| {
        for piece in [
            "(",
            "NOT ",
            "- ",
            "+",
            "NOT(",
            "(-",
            "(a=1 AND ",
            "a+(1*",
            "(a OR ",
            "NOT (a AND (",
            "a OR a AND a = a + a * (",
            "a OR a AND a NOT BETWEEN a + a * (",
        ] {
            let text = piece.repeat(60_000 / piece.len());
            assert!(
                matches!(error(&text), SelectorError::TooDeep { .. }),
                "{piece}"
            );
        }
    });
}

#[test]
fn the_deepest_trees_are_evaluated_shown_and_dropped_on_a_small_stack() {
    on_a_small_stack(|| {
        let conditions = format!("{}t{}", "t AND (f OR (".repeat(50), "))".repeat(50));
        let values = format!("{}1{} > 0", "1 + (1 * (".repeat(50), "))".repeat(50));
        let negations = format!("{}t", "NOT ".repeat(100));
        for text in [conditions, values, negations] {
            let selector = Selector::parse(&text).unwrap();
            assert!(selector.matches(&headers(&[("t", "true"), ("f", "false")])));
            assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
    });
}

#[test]
fn a_thousand_names_and_values_are_read_and_no_more() {
    let chains = [
        ("TRUE", " AND "),
        ("FALSE", " OR "),
        ("1", " + "),
        ("1", " * "),
    ];
    for (term, operator) in chains {
        let chain = |terms| vec![term; terms].join(operator);
        let (start, spare) = if term == "1" { ("a = ", 1) } else { ("", 0) };
        assert!(Selector::parse(&format!("{start}{}", chain(1000 - spare))).is_ok());
        let beyond = error(&format!("{start}{}", chain(1001 - spare)));
        assert!(matches!(
            beyond,
            SelectorError::TooManyTerms { limit: 1000, .. }
        ));
    }
    let list = |terms| format!("a IN ({})", vec!["'x'"; terms].join(","));
    assert!(Selector::parse(&list(999)).is_ok());
    let expected = SelectorError::TooManyTerms {
        column: 4003,
        limit: 1000,
    };
    assert_eq!(error(&list(1000)), expected);
}

#[test]
fn a_long_chain_is_evaluated_to_its_end() {
    let sum = format!("{} = 999", vec!["1"; 999].join(" + "));
    all(Some(true), &headers(&[]), &[&sum]);
    let or = format!("{}TRUE", "FALSE OR ".repeat(999));
    assert!(Selector::parse(&or).unwrap().matches(&headers(&[])));
}

#[test]
fn a_pattern_of_512_characters_is_kept_and_a_longer_one_is_not() {
    let pattern = |length: usize| format!("a LIKE '{}'", "ä".repeat(length));
    assert!(Selector::parse(&pattern(512)).is_ok());
    let expected = SelectorError::PatternTooLong {
        column: 8,
        actual: 513,
        limit: 512,
    };
    assert_eq!(error(&pattern(513)), expected);
}
