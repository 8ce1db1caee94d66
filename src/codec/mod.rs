//! Bytes to frames and back.
//!
//! Lives here: the STOMP decoder and encoder, as plain values that remember at most one unfinished
//! frame. May import: `bytes`, `nom`, `memchr`, `thiserror`. Deliberately not here: what a frame
//! means, what a queue is, sockets.

pub mod stomp;
