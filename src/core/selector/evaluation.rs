//! What a condition says of a message.
//!
//! Recursion is as deep as the tree, and the parser limits that.

use super::Properties;
use super::condition::Condition;
use super::number::Number;
use super::operand::{Chain, Operand};
use super::truth::{self, Truth};
use super::value::{Comparison, Value};

impl Condition {
    pub(super) fn evaluate(&self, properties: &dyn Properties) -> Truth {
        match self {
            Self::Or(list) => truth::any(list.iter().map(|part| part.evaluate(properties))),
            Self::And(list) => truth::all(list.iter().map(|part| part.evaluate(properties))),
            Self::Not(inner) => truth::not(inner.evaluate(properties)),
            Self::Property(name) => properties.get(name)?.boolean(),
            Self::Constant(constant) => Some(*constant),
            Self::Compare(left, comparison, right) => {
                comparison.holds(&left.value(properties)?, &right.value(properties)?)
            }
            Self::Between {
                operand,
                negated,
                low,
                high,
            } => negate_if(*negated, between(operand, low, high, properties)),
            Self::In {
                property,
                negated,
                list,
            } => negate_if(*negated, list.contains(&properties.get(property)?)),
            Self::Like {
                property,
                negated,
                pattern,
            } => match properties.get(property)? {
                Value::Text(text) => negate_if(*negated, Some(pattern.matches(&text))),
                Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => None,
            },
            Self::Null { property, negated } => {
                Some(properties.get(property).is_some() == *negated)
            }
        }
    }
}

fn negate_if(negated: bool, truth: Truth) -> Truth {
    if negated { truth::not(truth) } else { truth }
}

fn between(operand: &Operand, low: &Operand, high: &Operand, properties: &dyn Properties) -> Truth {
    let value = operand.value(properties)?;
    let side = |comparison: Comparison, bound: &Operand| {
        comparison.holds(&value, &bound.value(properties)?)
    };
    truth::all([
        side(Comparison::GreaterOrEqual, low),
        side(Comparison::LessOrEqual, high),
    ])
}

impl Operand {
    fn value<'a>(&'a self, properties: &'a dyn Properties) -> Option<Value<'a>> {
        match self {
            Self::Property(name) => properties.get(name),
            Self::Literal(literal) => Some(literal.value()),
            Self::Sum(chain) | Self::Product(chain) => chain.compute(properties).map(Value::from),
            Self::Signed(sign, operand) => {
                let number = operand.value(properties)?.number()?;
                Some(Value::from(sign.apply(number)))
            }
        }
    }
}

impl Chain {
    fn compute(&self, properties: &dyn Properties) -> Option<Number> {
        let mut result = self.first.value(properties)?.number()?;
        for (operator, operand) in &self.rest {
            let number = operand.value(properties)?.number()?;
            result = result.compute(*operator, number)?;
        }
        Some(result)
    }
}
