//! What clients of `ActiveMQ` rely on: one test for each of its own tests of STOMP that concerns what
//! is built, of the same name. Where Tidegate differs on purpose, the test asserts the difference, and
//! `docs/compatibility.md` gives the reason.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says by a panic what it found"
)]

mod advisories;
mod browse;
mod consumers;
mod damage;
mod dead_letters;
mod destinations;
mod dialects;
mod duplicates;
mod durable;
mod errors;
mod groups;
mod life;
mod limits;
mod overflow;
mod policies;
mod prefetch;
mod provoke;
mod redelivery;
mod refusals;
mod routing;
mod say;
mod schedule;
mod schedule_management;
mod selectors;
mod stomp10;
mod stomp11;
mod stomp12;
#[path = "../support/mod.rs"]
mod support;
mod temporary;
mod transactions;
mod unsupported;
mod waiting;
mod wildcards;
