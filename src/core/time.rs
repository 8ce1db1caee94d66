//! Time as values. Nothing on this floor reads a clock: `Now` comes in as an argument.

/// Milliseconds since the Unix epoch, as wall clocks show them. May step when the clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// Milliseconds since the broker started; never steps back. Deadlines are ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick `milliseconds` later, or the last tick there is.
    #[must_use]
    pub const fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

/// The moment at which something happens, read once per batch of work: the wall clock for what
/// messages carry (timestamp, expiration), the tick for deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What the wall clock shows.
    pub wall: Timestamp,
    /// How long the broker has been running.
    pub tick: Tick,
}
