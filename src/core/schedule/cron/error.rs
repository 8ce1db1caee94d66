//! Why a text is no cron entry.

use super::Cron;

/// A cron entry that cannot be used. Columns count bytes from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The entry is longer than any that makes sense.
    #[error(
        "the cron entry has {actual} bytes, the longest that is read has {}",
        Cron::MAX_LENGTH
    )]
    TooLong {
        /// Its length in bytes.
        actual: usize,
    },
    /// Something stands where it has no meaning.
    #[error("{field}, column {column}: expected {expected}, found {found}")]
    Unexpected {
        /// The field that was read.
        field: &'static str,
        /// Where.
        column: usize,
        /// What could have stood there.
        expected: &'static str,
        /// What stands there: one character, or the end.
        found: String,
    },
    /// A number is not one that the field has.
    #[error(
        "{field}, column {column}: expected a number from {lowest} to {highest}, found {found}"
    )]
    OutOfRange {
        /// The field that was read.
        field: &'static str,
        /// Where the number starts.
        column: usize,
        /// The lowest number that the field has.
        lowest: u32,
        /// The highest.
        highest: u32,
        /// The digits.
        found: String,
    },
    /// A range ends before it starts.
    #[error(
        "{field}, column {column}: expected a number from {first} on as the end of the range, found {last}"
    )]
    Backwards {
        /// The field that was read.
        field: &'static str,
        /// Where its end is.
        column: usize,
        /// The start of the range.
        first: u32,
        /// Its end.
        last: u32,
    },
    /// The field would never match.
    #[error(
        "{field}, column {column}: expected a value that is divisible by the step {step}, found none"
    )]
    NothingSelected {
        /// The field that was read.
        field: &'static str,
        /// Where the step is.
        column: usize,
        /// The step.
        step: u32,
    },
}
