//! How commands end.

use std::io;

use super::url::{Url, UrlError};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it should.
    Ok,
    /// It did not.
    Failed,
    /// It was not understood.
    Usage,
    /// What it asks for is not there.
    NotFound,
    /// The broker refused.
    Refused,
    /// The broker did not answer.
    Unreachable,
}

impl Exit {
    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::Unreachable => 5,
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The broker cannot be reached.
    #[error("cannot reach {url}: {source}; is the broker running there? (--url names another)")]
    Unreachable {
        /// Where it was looked for.
        url: Url,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or nothing came for too long.
    #[error("the connection to {url} broke while {doing}: {source}")]
    Broken {
        /// The broker.
        url: Url,
        /// What was going on.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The broker has refused something.
    #[error("the broker refused: {message}{}", if code.is_empty() { String::new() } else { format!(" ({code})") })]
    Refused {
        /// Its words.
        message: String,
        /// Its code, if it has one.
        code: String,
    },
    /// What came is not STOMP.
    #[error("{url} does not speak STOMP: {what}")]
    NotStomp {
        /// Who was taken for a broker.
        url: Url,
        /// What it did.
        what: String,
    },
    /// An argument cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A file or a program cannot be used.
    #[error("{action}: {source}")]
    Local {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing arrived in time.
    #[error("no message came within {0:?}")]
    Nothing(std::time::Duration),
    /// A comparison with an earlier run found it slower.
    #[error("{0}")]
    Slower(String),
}

impl CliError {
    /// How the command ends with this.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::NotStomp { .. } => {
                Exit::Unreachable
            }
            Self::Refused { .. } => Exit::Refused,
            Self::Usage(_) | Self::Url(_) => Exit::Usage,
            Self::Nothing(_) => Exit::NotFound,
            Self::Local { .. } | Self::Slower(_) => Exit::Failed,
        }
    }
}
