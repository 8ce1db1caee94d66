//! The trie finds what patterns match, forgets what is taken out, and does no work in vain.

use super::*;

fn trie(patterns: &[&str]) -> PatternTrie<String> {
    let mut trie = PatternTrie::default();
    for text in patterns {
        trie.insert(&Pattern::new(text), (*text).to_owned());
    }
    trie
}

fn found<'t>(trie: &'t PatternTrie<String>, name: &str) -> Vec<&'t str> {
    let mut found = Vec::new();
    trie.matches(name, |value| found.push(value.as_str()));
    found.sort_unstable();
    found
}

/// How many nodes a walk visits.
fn work<V>(trie: &PatternTrie<V>, name: &str) -> usize {
    let mut visited = 0;
    trie.walk(name, |_, _| visited += 1);
    visited
}

/// How many nodes there are below the root.
fn nodes<V>(trie: &PatternTrie<V>) -> usize {
    let mut open = vec![&trie.root];
    let mut count = 0;
    while let Some(node) = open.pop() {
        count += node.children();
        open.extend(node.star.as_deref());
        open.extend(node.literals.sorted());
    }
    count
}

#[test]
fn a_name_finds_every_pattern_that_matches_it_once() {
    let trie = trie(&[
        ">", "*", "a", "a.>", "a.*", "a.b", "*.b", "*.*", "a.*.>", "a.b.c", "*.*.c", "b.>", "a.>.b",
    ]);
    assert_eq!(found(&trie, "a"), ["*", ">", "a", "a.>"]);
    assert_eq!(
        found(&trie, "a.b"),
        ["*.*", "*.b", ">", "a.*", "a.*.>", "a.>", "a.b"]
    );
    assert_eq!(
        found(&trie, "a.b.c"),
        ["*.*.c", ">", "a.*.>", "a.>", "a.b.c"]
    );
    assert_eq!(found(&trie, "a.>.b"), [">", "a.*.>", "a.>", "a.>.b"]);
    assert_eq!(found(&trie, ""), ["*", ">"]);
    assert_eq!(found(&trie, "c.c.c.c"), [">"]);
}

#[test]
fn values_of_one_pattern_stay_in_their_order() {
    let mut trie = PatternTrie::default();
    for text in ["a.*", "a.>"] {
        let pattern = Pattern::new(text);
        for value in 0..5 {
            trie.insert(&pattern, (text, value));
        }
        let removed = trie.remove(&pattern, |(_, value)| *value > 0);
        assert_eq!(removed, Some((text, 1)));
        trie.insert(&pattern, (text, 9));
        let mut found = Vec::new();
        trie.matches("a.b", |value| found.push(*value));
        found.retain(|(of, _)| *of == text);
        assert_eq!(found, [0, 2, 3, 4, 9].map(|value| (text, value)));
    }
    assert_eq!(trie.len(), 10);
    assert_eq!(trie.iter().count(), 10);
}

#[test]
fn what_was_not_inserted_is_not_removed() {
    let mut trie = trie(&["a.*", "a.b.c"]);
    for text in ["a", "a.>", "a.b", "*.*", "a.b.c.d", "x", ">"] {
        assert_eq!(trie.remove(&Pattern::new(text), |_| true), None, "{text}");
    }
    assert_eq!(trie.remove(&Pattern::new("a.*"), |_| false), None);
    assert_eq!(trie.len(), 2);
    assert_eq!(nodes(&trie), 4);
}

#[test]
fn a_removed_pattern_leaves_no_node_behind() {
    let patterns = [
        "a.b.c.d", "a.b", "a.b.>", "a.*.c", "*.*.>", ">", "a.b.x", "*", "b",
    ];
    for offset in 0..patterns.len() {
        let mut trie = trie(&patterns);
        for index in 0..patterns.len() {
            let text = patterns[(index * 2 + offset) % patterns.len()];
            let pattern = Pattern::new(text);
            assert!(trie.remove(&pattern, |_| true).is_some(), "{text}");
            assert_eq!(trie.len(), patterns.len() - index - 1);
            let left: Vec<_> = trie.iter().map(String::as_str).collect();
            assert_eq!(nodes(&trie), nodes(&self::trie(&left)), "without {text}");
        }
        assert!(trie.is_empty());
        assert_eq!(nodes(&trie), 0);
    }
}

#[test]
fn room_for_many_patterns_is_given_back() {
    let patterns: Vec<_> = (0..1000).map(|n| Pattern::new(&format!("a.{n}"))).collect();
    let mut trie = PatternTrie::default();
    for pattern in &patterns {
        trie.insert(pattern, ());
    }
    for (left, pattern) in (0..1000).rev().zip(&patterns) {
        assert_eq!(trie.remove(pattern, |()| true), Some(()));
        if let Some(node) = trie.root.literals.get("a") {
            let room = node.literals.more.capacity();
            assert!(room <= 8 * left, "room for {room} when {left} are left");
        }
    }
    assert_eq!(nodes(&trie), 0);
}

#[test]
fn patterns_that_do_not_match_cost_nothing() {
    let mut trie = trie(&["orders.7.>", "*.7.eu"]);
    let name = "orders.7.eu";
    let alone = work(&trie, name);
    for number in 100..10_000 {
        for text in [format!("orders.{number}.>"), format!("*.{number}.eu")] {
            trie.insert(&Pattern::new(&text), text);
        }
    }
    assert_eq!(work(&trie, name), alone);
    assert_eq!(found(&trie, name), ["*.7.eu", "orders.7.>"]);
}

#[test]
fn hostile_patterns_cost_no_more_than_their_nodes() {
    // As many levels as a name can have.
    let name = ".".repeat(1023);
    let mut trie = PatternTrie::default();
    for levels in 1..=300 {
        let stars = vec!["*"; levels].join(".");
        trie.insert(&Pattern::new(&stars), ());
        trie.insert(&Pattern::new(&format!("{stars}.>")), ());
        // Both ways at each level: a star and the empty level that the name has.
        trie.insert(
            &Pattern::new(&format!("{stars}.{}", ".".repeat(levels))),
            (),
        );
    }
    let all = nodes(&trie);
    assert!(work(&trie, &name) <= all + 1);
    assert_eq!(all, 300 + (1..=300).map(|levels| levels + 1).sum::<usize>());
    let mut count = 0;
    trie.matches(&name, |()| count += 1);
    assert_eq!(count, 300);
}

#[test]
fn every_way_is_walked_once_where_all_ways_exist() {
    const LEVELS: u32 = 10;
    let mut trie = PatternTrie::default();
    for ways in 0_u32..1 << LEVELS {
        let level = |bit| if ways >> bit & 1 == 0 { "*" } else { "a" };
        let text = (0..LEVELS).map(level).collect::<Vec<_>>().join(".");
        trie.insert(&Pattern::new(&text), ways);
    }
    let name = vec!["a"; LEVELS as usize].join(".");
    let mut found = Vec::new();
    trie.matches(&name, |ways| found.push(*ways));
    found.sort_unstable();
    assert_eq!(found, (0..1 << LEVELS).collect::<Vec<_>>());
    assert_eq!(work(&trie, &name), (1 << (LEVELS + 1)) - 1);
}

#[test]
fn no_pattern_is_too_deep() {
    let deep = Pattern::new(&".".repeat(100_000));
    let stars = Pattern::new(&vec!["*"; 100_000].join("."));
    let mut trie = PatternTrie::default();
    trie.insert(&deep, 1);
    trie.insert(&stars, 2);
    let mut found = 0;
    trie.matches(&".".repeat(99_999), |_| found += 1);
    assert_eq!(found, 1);
    assert_eq!(trie.remove(&deep, |_| true), Some(1));
    assert_eq!(nodes(&trie), 100_000);
}

mod properties {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn agree(trie: &PatternTrie<usize>, held: &[(Pattern, usize)], name: &str) {
        let mut found = Vec::new();
        trie.matches(name, |value| found.push(*value));
        found.sort_unstable();
        let matching = held.iter().filter(|(pattern, _)| pattern.matches(name));
        let mut expected: Vec<_> = matching.map(|(_, value)| *value).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name} in {held:?}");
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_each_pattern_alone(
            steps in vec(("[ab*]{0,1}(\\.[abc*>]{0,1}){0,3}", any::<prop::sample::Index>(), 0..3), 1..40),
            names in vec("[abcd](\\.[abc>]{0,1}){0,4}", 10),
        ) {
            let mut trie = PatternTrie::default();
            let mut held: Vec<(Pattern, usize)> = Vec::new();
            for (number, (text, which, dice)) in steps.into_iter().enumerate() {
                if dice == 0 && !held.is_empty() {
                    let (pattern, value) = held.remove(which.index(held.len()));
                    prop_assert_eq!(trie.remove(&pattern, |held| *held == value), Some(value));
                } else {
                    let pattern = Pattern::new(&text);
                    trie.insert(&pattern, number);
                    held.push((pattern, number));
                }
                prop_assert_eq!(trie.len(), held.len());
                for name in &names {
                    agree(&trie, &held, name);
                }
            }
            let mut again = PatternTrie::default();
            for (pattern, value) in &held {
                again.insert(pattern, *value);
            }
            prop_assert_eq!(nodes(&trie), nodes(&again));
            let mut all: Vec<_> = trie.iter().copied().collect();
            all.sort_unstable();
            let mut expected: Vec<_> = held.iter().map(|(_, value)| *value).collect();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
        }
    }
}
