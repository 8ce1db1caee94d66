//! What patterns match, capture, and which of two says more.

use std::cmp::Ordering;

use super::*;

/// Patterns, names that they match, and names that they do not.
const MATCHES: [(&str, &[&str], &[&str]); 15] = [
    ("a.b", &["a.b"], &["a", "a.c", "a.b.c", "A.b", ""]),
    ("*", &["a", "", "*", ">"], &["a.b", "."]),
    ("a.*", &["a.b", "a.", "a.*", "a.>"], &["a", "a.b.c", "b.a"]),
    ("*.b", &["a.b", ".b"], &["b", "a.b.c", "a.a.b"]),
    ("a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c", "a.b"]),
    ("a.>", &["a", "a.b", "a.b.c", "a."], &["", "b", "ab", "b.a"]),
    (">", &["", "a", "a.b.c", "..", ">"], &[]),
    ("a.*.>", &["a.b", "a.b.c", "a.b.c.d"], &["a", "b.b"]),
    ("*.*.>", &["a.b", "a.b.c", "."], &["a", ""]),
    ("*.>", &["a", "a.b", ""], &[]),
    ("fo*", &["fo*"], &["foo", "fo", "fo*.a"]),
    ("a.*b.c>", &["a.*b.c>"], &["a.bb.cc", "a.*b.c"]),
    ("a.>.b", &["a.>.b"], &["a.c.b", "a.b", "a"]),
    (">.>", &[">", ">.a"], &["a", "a.b"]),
    ("", &[""], &["a", "."]),
];

#[test]
fn a_pattern_matches_what_its_levels_say() {
    for (text, names, others) in MATCHES {
        let pattern = Pattern::new(text);
        for name in names {
            assert!(pattern.matches(name), "{text} and {name}");
        }
        for name in others {
            assert!(!pattern.matches(name), "{text} and {name}");
        }
    }
}

#[test]
fn only_whole_levels_are_wildcards() {
    for text in ["*", ">", "a.*", "a.>", "*.a", "a.*.b", "*.>"] {
        assert!(Pattern::new(text).is_wildcard(), "{text}");
    }
    for text in ["", "a", "a.b", "fo*", "a.b>", ">.a", "a.>.b", "**", ">>"] {
        assert!(!Pattern::new(text).is_wildcard(), "{text}");
    }
}

#[test]
fn a_pattern_tells_what_its_wildcards_stand_for() {
    let table: [(&str, &str, &[&str]); 9] = [
        ("Consumer.*.X", "Consumer.A.X", &["A"]),
        ("*.b.*", "a.b.c", &["a", "c"]),
        ("a.>", "a.b.c", &["b.c"]),
        ("a.>", "a", &[""]),
        ("*.>", "a.b.c", &["a", "b.c"]),
        (">", "a.b", &["a.b"]),
        ("a.b", "a.b", &[]),
        ("*.b", "a.c", &[]),
        ("*.*", "a.b.c", &[]),
    ];
    for (text, name, expected) in table {
        assert_eq!(
            Pattern::new(text).captured(name),
            expected,
            "{text} and {name}"
        );
    }
}

#[test]
fn patterns_are_ordered_from_general_to_specific() {
    let order = [
        ">", "*.>", "*", "*.*.>", "*.*", "*.b", "a.>", "a", "a.*.>", "a.*", "a.*.c", "a.b.>",
        "a.b", "a.b.*", "a.b.c",
    ];
    let patterns = order.map(Pattern::new);
    for (i, one) in patterns.iter().enumerate() {
        for (j, other) in patterns.iter().enumerate() {
            assert_eq!(one.cmp_specificity(other), i.cmp(&j), "{one} and {other}");
        }
    }
    let same = Pattern::new("b.*").cmp_specificity(&Pattern::new("a.*"));
    assert_eq!(same, Ordering::Equal);
}

#[test]
fn a_pattern_is_shown_as_it_was_written() {
    let pattern = Pattern::new("a.*.>");
    assert_eq!(pattern.to_string(), "a.*.>");
    assert_eq!(format!("{pattern:?}"), "a.*.>");
    assert_eq!(pattern.as_str(), "a.*.>");
    assert_eq!(pattern, Pattern::new("a.*.>"));
    assert_ne!(pattern, Pattern::new("a.*.*"));
}

mod properties {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// The rules once more, over levels in a list and by recursion.
    fn slow(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([">"], _) | ([], []) => true,
            ([], _) | (_, []) => false,
            ([wanted, pattern @ ..], [level, name @ ..]) => {
                (*wanted == "*" || wanted == level) && slow(pattern, name)
            }
        }
    }

    proptest! {
        #[test]
        fn matching_follows_the_rules(
            pattern in "[ab*>](\\.[ab*>]{0,1}){0,4}",
            name in "[ab](\\.[ab>]{0,1}){0,4}",
        ) {
            let levels = |text| str::split(text, '.').collect::<Vec<_>>();
            let expected = slow(&levels(&pattern), &levels(&name));
            let pattern = Pattern::new(&pattern);
            prop_assert_eq!(pattern.matches(&name), expected);
            let captured = pattern.captured(&name);
            prop_assert_eq!(expected && pattern.is_wildcard(), !captured.is_empty());
        }

        #[test]
        fn a_name_is_captured_as_it_was_made(
            levels in vec(("[ab*]", "[abc]{0,2}"), 1..5),
            rest in option::of("[ab](\\.[ab]{0,1}){0,3}|"),
        ) {
            let stars = levels.iter().filter(|(level, _)| level == "*");
            let mut expected: Vec<_> = stars.map(|(_, part)| part.as_str()).collect();
            let mut pattern: Vec<_> = levels.iter().map(|(level, _)| level.as_str()).collect();
            let parts = levels.iter().map(|(level, part)| if level == "*" { part } else { level });
            let mut name: Vec<_> = parts.map(String::as_str).collect();
            if let Some(rest) = &rest {
                pattern.push(">");
                expected.push(rest);
                name.extend((!rest.is_empty()).then_some(rest.as_str()));
            }
            let name = name.join(".");
            prop_assert_eq!(Pattern::new(&pattern.join(".")).captured(&name), expected);
        }
    }
}
