//! Random clients that speak real bytes through codec, session, core and writer, on one thread, with
//! a clock that stands still and a disk that forgets; and a small model that knows what they were
//! promised.
//!
//! `TIDEGATE_SEED=0x…` replays one seed, `TIDEGATE_TRACE=1` prints what happens in it;
//! `TIDEGATE_SEEDS=n` runs the first n seeds, `TIDEGATE_STEPS=n` makes each run shorter or longer.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::single_match_else,
    clippy::struct_excessive_bools,
    clippy::unused_self,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    reason = "all of this is a test, and its rooms see each other"
)]

#[path = "../support/random.rs"]
mod random;
#[path = "../support/world.rs"]
mod support_world;
#[path = "../support/torn.rs"]
mod torn;

mod checks;
mod clients;
mod dispatch;
mod driver;
mod ends;
mod found;
mod hear;
mod model;
mod scenario;
mod store;
mod units;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use scenario::Scenario;
use world::Sim;

const SEEDS: u64 = 64;
const STEPS: usize = 1500;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(parsed.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn steps() -> usize {
    number("TIDEGATE_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap())
}

/// Runs one seed. Returns how many deliveries were made, and how many destinations removed.
fn run(seed: u64, steps: usize) -> (u64, usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let scenario = Scenario::of(&mut rng, steps);
    let mut sim = Sim::new(scenario, rng);
    sim.run();
    (sim.model.dispatches, sim.model.collected)
}

#[test]
fn random_clients_get_what_they_were_promised() {
    let steps = steps();
    let seeds = match number("TIDEGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TIDEGATE_SEEDS").unwrap_or(SEEDS),
    };
    let (mut failed, mut deliveries, mut collected) = (Vec::new(), 0, 0);
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| run(seed, steps))) {
            Ok((made, gone)) => {
                deliveries += made;
                collected += gone;
            }
            Err(_) => {
                println!("replay: TIDEGATE_SEED={seed:#x} TIDEGATE_STEPS={steps}");
                failed.push(seed);
            }
        }
    }
    println!(
        "{} seeds, {deliveries} deliveries, {collected} destinations removed",
        seeds.end - seeds.start
    );
    assert!(
        failed.is_empty(),
        "{} seeds failed: {failed:?}",
        failed.len()
    );
}
