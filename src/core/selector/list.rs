//! The values of an IN.

use super::number::Number;
use super::truth::{self, Truth};
use super::value::Value;

/// A set of texts and numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    /// Sorted, each once: a long list is searched by halves.
    texts: Vec<Box<str>>,
    numbers: Vec<Number>,
}

impl List {
    pub(super) fn new(mut texts: Vec<Box<str>>, numbers: Vec<Number>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        Self { texts, numbers }
    }

    pub(super) fn texts(&self) -> &[Box<str>] {
        &self.texts
    }

    pub(super) fn numbers(&self) -> &[Number] {
        &self.numbers
    }

    /// Whether a value equals one of the list, as a chain of `=` and OR would find.
    pub(super) fn contains(&self, value: &Value<'_>) -> Truth {
        let texts = match value {
            Value::Text(text) => {
                let found = self.texts.binary_search_by(|entry| (**entry).cmp(text));
                Some(found.is_ok())
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {
                let texts = self.texts.iter();
                truth::any(texts.map(|entry| value.equals(&Value::Text((&**entry).into()))))
            }
        };
        if texts == Some(true) || self.numbers.is_empty() {
            return texts;
        }
        let number = value.number()?;
        let numbers = self.numbers.iter().map(|entry| {
            let order = number.order(*entry)?;
            Some(order.is_eq())
        });
        truth::any([texts, truth::any(numbers)])
    }
}
