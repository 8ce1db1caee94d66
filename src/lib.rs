//! Tidegate: a message broker, as a library.

mod broker;
#[cfg(feature = "server")]
pub mod cli;
mod codec;
mod core;
mod protocol;
#[cfg(feature = "server")]
pub mod server;
mod store;

/// What fuzz targets, benchmarks and the simulator reach: outside every promise of stability.
#[doc(hidden)]
pub mod internal {
    pub mod broker {
        pub use crate::broker::*;
    }
    pub mod codec {
        pub use crate::codec::*;
    }
    pub mod core {
        pub use crate::core::*;
    }
    pub mod protocol {
        pub use crate::protocol::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
}
