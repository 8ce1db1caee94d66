//! Numbers: whole as long as they fit, else floating.

use std::cmp::Ordering;

/// 2^63, the first number beyond the largest integer.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Float(f64),
}

/// What numbers are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// How it is written.
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Number {
    /// The number that a text is, as a whole: digits with a sign, a point, an exponent.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        // Letters would let through what Rust calls infinity, and no number begins with them.
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return None;
        }
        if let Ok(integer) = text.parse() {
            return Some(Self::Integer(integer));
        }
        text.parse().ok().map(Self::Float)
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Integer(integer) => integer
                .checked_neg()
                .map_or(Self::Float(-(integer as f64)), Self::Integer),
            Self::Float(float) => Self::Float(-float),
        }
    }

    /// Computes; what does not fit an integer becomes floating. `None` when an integer would be
    /// divided by zero.
    pub(super) fn compute(self, operator: Operator, other: Self) -> Option<Self> {
        let (Self::Integer(left), Self::Integer(right)) = (self, other) else {
            return Some(Self::Float(floating(self.float(), operator, other.float())));
        };
        let integer = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::Divide | Operator::Remainder if right == 0 => return None,
            Operator::Divide => left.checked_div(right),
            Operator::Remainder => Some(left.wrapping_rem(right)),
        };
        Some(integer.map_or_else(
            || Self::Float(floating(left as f64, operator, right as f64)),
            Self::Integer,
        ))
    }

    /// How it compares; `None` with what is no number.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(&right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(&right),
            (Self::Integer(left), Self::Float(right)) => order(left, right),
            (Self::Float(left), Self::Integer(right)) => order(right, left).map(Ordering::reverse),
        }
    }
}

fn floating(left: f64, operator: Operator, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Remainder => left % right,
    }
}

/// Compares without rounding the integer, as a conversion to floating would.
fn order(integer: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= INTEGER_END {
        return Some(Ordering::Less);
    }
    if float < -INTEGER_END {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the range of i64")]
    let whole = float.trunc() as i64;
    let fraction = 0.0_f64.partial_cmp(&float.fract())?;
    Some(integer.cmp(&whole).then(fraction))
}
