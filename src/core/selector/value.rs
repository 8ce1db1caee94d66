//! Values of properties, and how they compare.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::number::Number;
use super::truth::{self, Truth};

/// The value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// What every header of STOMP is. Where it meets a number or a boolean it is converted.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A floating number.
    Float(f64),
    /// True or false.
    Boolean(bool),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// How it is written.
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether it says which value is the greater one.
    pub(super) const fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// Whether it holds between two values.
    pub(super) fn holds(self, left: &Value<'_>, right: &Value<'_>) -> Truth {
        match self {
            Self::Equal => left.equals(right),
            Self::NotEqual => truth::not(left.equals(right)),
            Self::Less => left.order(right).map(Ordering::is_lt),
            Self::LessOrEqual => left.order(right).map(Ordering::is_le),
            Self::Greater => left.order(right).map(Ordering::is_gt),
            Self::GreaterOrEqual => left.order(right).map(Ordering::is_ge),
        }
    }
}

impl Value<'_> {
    /// The number that it is or, as text, says.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Self::Text(text) => Number::from_text(text),
            Self::Integer(integer) => Some(Number::Integer(*integer)),
            Self::Float(float) => Some(Number::Float(*float)),
            Self::Boolean(_) => None,
        }
    }

    /// The boolean that it is or, as text, says.
    pub(super) fn boolean(&self) -> Truth {
        match self {
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Self::Boolean(boolean) => Some(*boolean),
            Self::Text(_) | Self::Integer(_) | Self::Float(_) => None,
        }
    }

    /// Whether two values are the same: text as text, else text as what the other one is.
    pub(super) fn equals(&self, other: &Self) -> Truth {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => Some(left == right),
            (Self::Boolean(_), _) | (_, Self::Boolean(_)) => {
                Some(self.boolean()? == other.boolean()?)
            }
            _ => self.order(other).map(Ordering::is_eq),
        }
    }

    /// Which of two numbers is the greater one. Only numbers have an order, and text that says one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        self.number()?.order(other.number()?)
    }
}

impl From<Number> for Value<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Integer(integer) => Self::Integer(integer),
            Number::Float(float) => Self::Float(float),
        }
    }
}
