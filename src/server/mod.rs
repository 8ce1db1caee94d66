//! (floor)
pub mod config;
