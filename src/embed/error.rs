//! Why a client of the embedded broker did not get what it asked for.

use crate::core::{NameError, Refusal, SelectorError};

/// Why something could not be done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker refused it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The destination cannot be used.
    #[error("the destination '{text}' cannot be used: {cause}")]
    Destination {
        /// What was given.
        text: String,
        /// What is wrong with it.
        cause: NameError,
    },
    /// A message cannot be sent to a wildcard.
    #[error("a message cannot be sent to the wildcard '{0}'")]
    Wildcard(String),
    /// A property's name is taken by the broker, or could not be read back.
    #[error("a property cannot have the name '{0}'")]
    Property(String),
    /// The selector cannot be read.
    #[error("the selector cannot be read: {0}")]
    Selector(#[from] SelectorError),
    /// No transaction was begun, or one was already.
    #[error("{0}")]
    Transaction(&'static str),
}
