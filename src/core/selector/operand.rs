//! What stands beside a comparison: a property, a value, or what is computed of them.

use std::borrow::Cow;

use super::number::{Number, Operator};
use super::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Property(Box<str>),
    Literal(Literal),
    /// `+` and `-`, from left to right.
    Sum(Box<Chain>),
    /// `*`, `/` and `%`, from left to right.
    Product(Box<Chain>),
    Signed(Sign, Box<Self>),
}

/// A run of operators of the same rank: a list, so that a long one is not deep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    pub(super) first: Operand,
    pub(super) rest: Vec<(Operator, Operand)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(Box<str>),
    Number(Number),
    Boolean(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

impl Literal {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Number(number) => Value::from(*number),
            Self::Boolean(boolean) => Value::Boolean(*boolean),
        }
    }
}

impl Sign {
    pub(super) fn apply(self, number: Number) -> Number {
        match self {
            Self::Plus => number,
            Self::Minus => number.negated(),
        }
    }
}

impl Operand {
    /// Sets a sign. A number takes it over at once, so that `-5` is a value.
    pub(super) fn signed(sign: Sign, operand: Self) -> Self {
        if let Self::Literal(Literal::Number(number)) = operand {
            return Self::Literal(Literal::Number(sign.apply(number)));
        }
        Self::Signed(sign, Box::new(operand))
    }

    /// Whether nothing can be computed with it.
    pub(super) fn is_boolean(&self) -> bool {
        matches!(self, Self::Literal(Literal::Boolean(_)))
    }
}
