//! What can go wrong with a broker as a whole.

use crate::store::StoreError;

/// Why a broker could not be opened or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The store could not be opened, read or closed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("the system has no thread left: {0}")]
    Thread(#[from] std::io::Error),
}
