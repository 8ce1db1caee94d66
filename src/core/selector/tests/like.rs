//! Patterns.

use super::super::like::Like;
use super::*;

#[track_caller]
fn like(text: &str, pattern: &str) -> bool {
    Like::new(pattern, None).matches(text)
}

/// What LIKE means, by trying everything.
fn by_trying(text: &[char], pattern: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some(('%', rest)), None) => by_trying(text, rest),
        (Some(('%', rest)), Some((_, after))) => by_trying(text, rest) || by_trying(after, pattern),
        (Some(_), None) => false,
        (Some((sign, rest)), Some((c, after))) => {
            (*sign == '_' || sign == c) && by_trying(after, rest)
        }
    }
}

#[test]
fn like_matches_the_whole_text() {
    assert!(like("blue", "blue"));
    assert!(!like("blue", "blu"));
    assert!(!like("blue", "lue"));
    assert!(!like("Blue", "blue"));
    assert!(like("", ""));
    assert!(!like("a", ""));
}

#[test]
fn percent_is_any_run_even_an_empty_one_and_line_feeds() {
    for pattern in [
        "%", "%%", "eu%", "%west", "eu%west", "%-%", "%u%w%t%", "eu-west%",
    ] {
        assert!(like("eu-west", pattern), "{pattern}");
    }
    for pattern in ["us%", "%east", "eu-west-%", "%x%", "eu%u-west"] {
        assert!(!like("eu-west", pattern), "{pattern}");
    }
    assert!(like("a\n\nb", "a%b"));
    assert!(like("", "%"));
    assert!(!like("aba", "ab%ba"), "the ends must not overlap");
}

#[test]
fn underscore_is_one_character_whatever_its_length_in_bytes() {
    assert!(like("größe", "gr__e"));
    assert!(like("größe", "%ö_e"));
    assert!(like("größe", "%r_ß%"));
    assert!(like("größe", "_____"));
    assert!(!like("größe", "____"));
    assert!(!like("größe", "______"));
    assert!(like("a\nb", "a_b"));
    assert!(!like("", "_"));
    assert!(like("x", "%_%"));
    assert!(!like("", "%_%"));
}

#[test]
fn an_escaped_sign_stands_for_itself() {
    let escaped = |text: &str, pattern: &str| Like::new(pattern, Some('\\')).matches(text);
    assert!(escaped("100%", "100\\%"));
    assert!(!escaped("1000", "100\\%"));
    assert!(escaped("a_b", "a\\_b"));
    assert!(!escaped("axb", "a\\_b"));
    assert!(escaped("a\\b", "a\\\\b"));
    assert!(
        escaped("a\\b", "a\\b"),
        "before a plain character it is one itself"
    );
    assert!(escaped("a\\", "a\\"), "and at the end");
    assert!(like("a\\b", "a\\_"), "without ESCAPE nothing is special");
    let percent = |text: &str, pattern: &str| Like::new(pattern, Some('%')).matches(text);
    assert!(percent("%", "%%"));
    assert!(!percent("x", "%%"));
}

#[test]
fn like_is_for_text_only() {
    let text = headers(&[("a", "50")]);
    all(
        Some(true),
        &text,
        &[
            "a LIKE '5%'",
            "a NOT LIKE '6%'",
            "a LIKE '5!0' ESCAPE '!' OR a LIKE '50'",
        ],
    );
    all(Some(false), &text, &["a NOT LIKE '5_'"]);
    for value in [Value::Integer(50), Value::Float(50.0), Value::Boolean(true)] {
        all(None, &typed("a", value), &["a LIKE '%'", "a NOT LIKE '%'"]);
    }
}

#[test]
fn like_is_what_trying_everything_finds() {
    let texts = strings(&['a', 'b'], 6);
    for pattern in strings(&['a', 'b', '_', '%'], 5) {
        let like = Like::new(&pattern, None);
        let signs: Vec<char> = pattern.chars().collect();
        for text in &texts {
            let characters: Vec<char> = text.chars().collect();
            let expected = by_trying(&characters, &signs);
            assert_eq!(like.matches(text), expected, "{text} LIKE {pattern}");
        }
    }
}

/// Every text of some letters up to a length.
fn strings(letters: &[char], length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut start = 0;
    for _ in 0..length {
        let end = all.len();
        for index in start..end {
            for letter in letters {
                all.push(format!("{}{letter}", all[index]));
            }
        }
        start = end;
    }
    all
}

#[test]
fn a_long_piece_is_found_across_words_of_places() {
    let piece = format!("{}_{}", "ab".repeat(50), "c".repeat(90));
    let pattern = format!("%{piece}%");
    let found = format!("{}{}", "ab".repeat(70), piece.replace('_', "ß"));
    assert!(like(&found, &pattern));
    assert!(!like(&found[..found.len() - 1], &pattern));
    assert!(!like(&found.replacen("cc", "cd", 1), &pattern));
}

#[test]
fn a_pattern_made_to_be_slow_is_not() {
    let text = "a".repeat(64 * 1024);
    let piece = format!("_{}b", "a".repeat(400));
    assert!(!like(&text, &format!("%{piece}%")));
    assert!(!like(&text, &format!("{}b", "%a".repeat(255))));
    assert!(like(&text, &"%a_".repeat(170)));
}
