//! Tidegate: a message broker, as a library.
#![forbid(unsafe_code)]

mod codec;
mod core;
mod store;
