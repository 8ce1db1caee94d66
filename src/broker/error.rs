//! What can go wrong with a broker as a whole.

use crate::core::DestinationName;
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

/// Why an operator's wish about a destination was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifeError {
    /// There is none of that name.
    #[error("the destination {0} does not exist")]
    Missing(DestinationName),
    /// Only queues can do that.
    #[error("{0} is no queue")]
    NoQueue(DestinationName),
    /// It has subscriptions, or transactions under way.
    #[error("the destination {0} is in use")]
    InUse(DestinationName),
}
