//! Tidegate: a message broker, as a library.
#![forbid(unsafe_code)]

pub mod broker;
mod codec;
pub mod core;
#[cfg(feature = "server")]
pub mod server;
mod store;

/// Floors for the binary, fuzz targets, benches and the simulator; no promise of stability.
#[doc(hidden)]
pub mod internal {
    pub use crate::broker;
    pub use crate::core;
    #[cfg(feature = "server")]
    pub use crate::server;
}
