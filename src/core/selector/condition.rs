//! What a selector asks.

use super::like::Like;
use super::list::List;
use super::operand::Operand;
use super::value::Comparison;

/// A condition on the properties of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// One of them: a list, so that a long one is not deep.
    Or(Vec<Self>),
    /// All of them.
    And(Vec<Self>),
    Not(Box<Self>),
    /// A property that is itself true or false.
    Property(Box<str>),
    Constant(bool),
    Compare(Operand, Comparison, Operand),
    Between {
        operand: Operand,
        negated: bool,
        low: Operand,
        high: Operand,
    },
    In {
        property: Box<str>,
        negated: bool,
        list: List,
    },
    Like {
        property: Box<str>,
        negated: bool,
        pattern: Box<Like>,
    },
    Null {
        property: Box<str>,
        negated: bool,
    },
}
