//! The real binary: started, spoken to, mistreated, killed.

#[path = "../support/mod.rs"]
mod support;

mod disk;
mod hostile;
mod kill;
mod start;
