//! Selectors: conditions that a consumer sets on the properties of the messages that it wants.
//!
//! The language is the subset of SQL-92 that JMS names, with the conversion of text that messages
//! of STOMP need, where every property is text. A selector is compiled once; asking it about a
//! message looks properties up by name and allocates nothing.
//!
//! The road of a selector: `lexer` cuts the text into tokens, `parser` makes a tree of `condition`
//! and `operand` of them, `evaluation` asks the tree, `display` writes it again.

mod condition;
mod display;
mod error;
mod evaluation;
mod lexer;
mod like;
mod list;
mod number;
mod operand;
mod parser;
#[cfg(test)]
mod tests;
mod token;
mod truth;
mod value;

use std::fmt;
use std::sync::Arc;

use condition::Condition;

pub use error::SelectorError;
pub use value::Value;

/// The longest selector that is read, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// The properties of one message, as a selector sees them.
pub trait Properties {
    /// The value of a property, or `None` where the message does not have it.
    fn get(&self, name: &str) -> Option<Value<'_>>;
}

/// A compiled selector. Cheap to clone.
///
/// Shown in a normal form: one blank between words, no needless parentheses. Two selectors are
/// equal when they are the same in that form.
#[derive(Clone, Debug)]
pub struct Selector {
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    text: Box<str>,
    condition: Condition,
}

impl Selector {
    /// Compiles a selector.
    ///
    /// # Errors
    /// When the text is no selector, says something that is not supported, or goes beyond a limit;
    /// the error names the column and what was expected there.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_LENGTH {
            return Err(SelectorError::TooLong {
                actual: text.len(),
                limit: MAX_LENGTH,
            });
        }
        let condition = parser::parse(text)?;
        Ok(Self {
            compiled: Arc::new(Compiled {
                text: text.into(),
                condition,
            }),
        })
    }

    /// Whether a message with these properties is wanted. What is unknown, because a property is
    /// missing or values do not compare, is not.
    pub fn matches(&self, properties: &dyn Properties) -> bool {
        self.compiled.condition.evaluate(properties) == Some(true)
    }

    /// The text that it was compiled from.
    pub fn text(&self) -> &str {
        &self.compiled.text
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.compiled.condition == other.compiled.condition
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.compiled.condition, f)
    }
}
