//! (floor)

pub mod metrics;
