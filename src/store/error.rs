//! What can go wrong below the writer.

use std::path::PathBuf;

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused an operation on a file or directory.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("{path} is open in another process: two brokers cannot share a data directory")]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The store was written by another version of the broker.
    #[error("{path} has format {found}, this broker reads format {expected}")]
    Version {
        /// The store's file.
        path: PathBuf,
        /// The format that it has.
        found: u64,
        /// The format that this broker reads.
        expected: u64,
    },
    /// What is stored makes no sense.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What was found where.
        what: String,
    },
    /// A stored value cannot be read.
    #[error("{path} is damaged: {place}: {source}")]
    Format {
        /// The store's file.
        path: PathBuf,
        /// Where the value is.
        place: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A part of the ring that had been flushed cannot be read any more.
    #[error(
        "{path} is damaged: record {number} at byte {offset} was flushed and cannot be read, so that \
         something acknowledged is gone; store.salvage=true starts with all that is left"
    )]
    RingDamaged {
        /// The ring's file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// The number of the record.
        number: u64,
    },
    /// The ring is that of another store.
    #[error("{ring} does not belong to {store}: put the right one back, or move it away")]
    RingForeign {
        /// The ring's file.
        ring: PathBuf,
        /// The store's file.
        store: PathBuf,
    },
    /// There is no ring, and what it held is not in the store.
    #[error(
        "{ring} is missing or no ring, and {store} was not closed: what was acknowledged last may be \
         gone; put it back, or start once with store.salvage=true"
    )]
    RingMissing {
        /// The ring's file.
        ring: PathBuf,
        /// The store's file.
        store: PathBuf,
    },
    /// The embedded database refused an operation.
    #[cfg(feature = "redb")]
    #[error("{action} {path}: {source}")]
    Engine {
        /// What was tried.
        action: &'static str,
        /// The store's file.
        path: PathBuf,
        /// What the database said.
        source: Box<::redb::Error>,
    },
    /// The store has failed before; nothing is accepted until it is opened again.
    #[error("the store has failed: {0}")]
    Failed(String),
}

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There are fewer bytes than there should be.
    #[error("{what} is cut short: {expected} bytes are needed, {found} are left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes that are needed.
        expected: usize,
        /// Bytes that are left.
        found: usize,
    },
    /// A value that nothing writes.
    #[error("{what} has the value {found}")]
    Value {
        /// What was being read.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// Text that is not UTF-8, or a name that no destination has.
    #[error("{what} is no proper name")]
    Name {
        /// What was being read.
        what: &'static str,
    },
    /// The checksum does not fit the bytes.
    #[error("{what} has the checksum {found:08x}, written was {expected:08x}")]
    Checksum {
        /// What was being read.
        what: &'static str,
        /// As it was written.
        expected: u32,
        /// As it comes out.
        found: u32,
    },
}
