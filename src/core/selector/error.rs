//! Why a text is no selector.

/// A selector that cannot be used. Columns count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// Nothing but blanks and comments.
    #[error("the selector is empty")]
    Empty,
    /// The text is longer than is read.
    #[error("the selector has {actual} bytes, the longest that is read has {limit}")]
    TooLong {
        /// Its length in bytes.
        actual: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Parentheses, NOT and signs stand too deep within each other.
    #[error("column {column}: more than {limit} parentheses, NOT and signs within each other")]
    TooDeep {
        /// Where the first one beyond the limit is.
        column: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Too many names and values.
    #[error("column {column}: more than {limit} names and values")]
    TooManyTerms {
        /// Where the first one beyond the limit is.
        column: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The pattern of a LIKE is longer than can be kept.
    #[error(
        "column {column}: the pattern has {actual} characters, the longest that is kept has {limit}"
    )]
    PatternTooLong {
        /// Where the pattern begins.
        column: usize,
        /// Its length in characters.
        actual: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Something else should stand there.
    #[error("column {column}: expected {expected}, found {found}")]
    Unexpected {
        /// Where it stands.
        column: usize,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A text, a name or a comment without its end.
    #[error("column {column}: {what} has no closing {closing}")]
    Unclosed {
        /// Where it begins.
        column: usize,
        /// What it is.
        what: &'static str,
        /// What would end it.
        closing: &'static str,
    },
    /// A name that must stand in double quotes.
    #[error("column {column}: {found} can be in a name only between double quotes: \"{name}\"")]
    NeedsQuotes {
        /// Where the character stands.
        column: usize,
        /// The character.
        found: String,
        /// The whole name.
        name: String,
    },
    /// A number that cannot be kept.
    #[error("column {column}: {number} {cause}")]
    Number {
        /// Where it begins.
        column: usize,
        /// The number.
        number: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// NULL where a value should stand.
    #[error("column {column}: nothing compares with NULL; write IS NULL or IS NOT NULL")]
    Null {
        /// Where NULL stands.
        column: usize,
    },
    /// A function that other brokers have.
    #[error("column {column}: {name} is not supported in selectors")]
    Unsupported {
        /// Where it stands.
        column: usize,
        /// The function.
        name: String,
    },
}
