//! Selectors alone: how often one is asked about a message in a second.
//!
//! `cargo bench --bench selector`. A selector of three terms is asked about messages that it wants
//! and messages that it does not, all of seven properties that are text. The gate is five million
//! answers a second where all three terms have to be looked at.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use tidegate::internal::core::{Properties, Selector, Value};

const GATE_MILLIONS: f64 = 5.0;
const SELECTOR: &str = "colour = 'blue' AND weight > 2500 AND region LIKE 'eu%'";
const ASKED: usize = 1_000_000;
const ROUNDS: usize = 9;

struct Headers<'a>(&'a [(&'a str, &'a str)]);

impl Properties for Headers<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(Value::Text(Cow::Borrowed(value)))
    }
}

/// Millions of answers in a second.
fn measure(headers: &Headers<'_>, expected: bool) -> f64 {
    let selector = Selector::parse(SELECTOR).unwrap();
    let started = Instant::now();
    for _ in 0..ASKED {
        let wanted = black_box(&selector).matches(black_box(headers));
        assert_eq!(wanted, expected);
    }
    ASKED as f64 / started.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let message = |colour, weight, region| {
        [
            ("content-type", "text/plain"),
            ("correlation-id", "order-4711"),
            ("tenant", "north"),
            ("colour", colour),
            ("weight", weight),
            ("shape", "round"),
            ("region", region),
        ]
    };
    for (what, headers, expected) in [
        ("matches", message("blue", "3000", "eu-west"), true),
        (
            "misses at the third term",
            message("blue", "3000", "us-east"),
            false,
        ),
        (
            "misses at the first term",
            message("red", "3000", "eu-west"),
            false,
        ),
    ] {
        let headers = Headers(&headers);
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| measure(&headers, expected)).collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds[ROUNDS / 2];
        let verdict = if median >= GATE_MILLIONS {
            "reached"
        } else {
            "MISSED"
        };
        println!("{what:<26} {median:.1} M evaluations/s   gate {GATE_MILLIONS} M {verdict}");
    }
}
