//! Routing alone: which of many wildcard subscriptions want a message.
//!
//! `cargo bench --bench routing`. 100,000 subscriptions; each name is matched by the two that it is
//! looked up for. The gate is 500,000 names a second.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

use std::time::Instant;

use tidegate::internal::core::{Pattern, PatternTrie};

const GATE_PER_SECOND: f64 = 500_000.0;
const SUBSCRIPTIONS: usize = 100_000;
const NAMES: usize = 500_000;
const ROUNDS: usize = 9;

/// A pattern or name for each number.
type Text = fn(usize) -> String;

/// Half of them with each pattern.
fn subscribe(patterns: [Text; 2]) -> PatternTrie<usize> {
    let mut trie = PatternTrie::default();
    for number in 0..SUBSCRIPTIONS / 2 {
        for pattern in patterns {
            trie.insert(&Pattern::new(&pattern(number)), number);
        }
    }
    trie
}

/// Names in an order that no cache likes, the same in each run.
fn names(name: Text) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..NAMES)
        .map(|_| name(random.usize(..SUBSCRIPTIONS / 2)))
        .collect()
}

/// Names for each second.
fn measure(trie: &PatternTrie<usize>, names: &[String]) -> f64 {
    let mut found = 0;
    let started = Instant::now();
    for name in names {
        trie.matches(name, |_| found += 1);
    }
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(found, 2 * names.len(), "each name has two subscriptions");
    names.len() as f64 / seconds
}

fn main() {
    let cases: [(_, [Text; 2], Text); 3] = [
        (
            "orders.<n>.> and *.<n>.eu",
            [|n| format!("orders.{n}.>"), |n| format!("*.{n}.eu")],
            |n| format!("orders.{n}.eu"),
        ),
        (
            "<n>.eu and <n>.*",
            [|n| format!("{n}.eu"), |n| format!("{n}.*")],
            |n| format!("{n}.eu"),
        ),
        (
            "*.*.*.<n>.> and a.*.a.<n>",
            [|n| format!("*.*.*.{n}.>"), |n| format!("a.*.a.{n}")],
            |n| format!("a.a.a.{n}"),
        ),
    ];
    for (what, patterns, name) in cases {
        let (trie, names) = (subscribe(patterns), names(name));
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| measure(&trie, &names)).collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds[ROUNDS / 2];
        let verdict = if median >= GATE_PER_SECOND {
            "reached"
        } else {
            "MISSED"
        };
        println!("{what:<26} {median:.0} names/s   gate {GATE_PER_SECOND} {verdict}");
    }
}
