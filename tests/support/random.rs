//! Randomness that is the same on every machine, from a seed that is printed.

/// A generator.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// The seeds of a test: so many, or the one that `TIDEGATE_SEED` names. `TIDEGATE_SEEDS` asks for
/// another number of them.
pub fn seeds(count: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("TIDEGATE_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("TIDEGATE_SEEDS").unwrap_or(count)).collect(),
    }
}
