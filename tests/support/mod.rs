//! A broker with its clients on one thread: real bytes through codec, session and core, with a clock
//! that stands still and a writer that commits when it is told to.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]

pub mod process;
pub mod random;
pub mod torn;
pub mod world;
