//! Random operations on a queue against a model. `TIDEGATE_SEED` replays one seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "support/queue_model.rs"]
mod queue_model;
#[path = "support/random.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod random;

use random::{Random, seeds};

#[test]
fn a_queue_does_what_its_model_says() {
    for seed in seeds(600) {
        let mut random = Random(seed);
        let length = usize::try_from(random.below(1000)).unwrap();
        let bytes: Vec<u8> = (0..length)
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        if let Err(panic) = std::panic::catch_unwind(|| queue_model::run(&bytes)) {
            eprintln!("TIDEGATE_SEED={seed} replays this");
            std::panic::resume_unwind(panic);
        }
    }
}
