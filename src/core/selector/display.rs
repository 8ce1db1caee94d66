//! The normal form of a selector, which reads back as the same tree.
//!
//! Parentheses stand only where the parser needs them: writing one more than was read could go
//! beyond the limit of depth.

use std::fmt::{self, Display, Formatter};

use super::condition::Condition;
use super::number::Number;
use super::operand::{Chain, Literal, Operand, Sign};
use super::token::Keyword;

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(list) => joined(f, list, " OR ", |part| matches!(part, Self::Or(_))),
            Self::And(list) => joined(f, list, " AND ", Self::is_list),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                enclosed(f, inner.as_ref(), inner.is_list())
            }
            Self::Property(name) => property(f, name),
            Self::Constant(constant) => boolean(f, *constant),
            Self::Compare(left, comparison, right) => {
                write!(f, "{left} {} {right}", comparison.symbol())
            }
            Self::Between {
                operand,
                negated,
                low,
                high,
            } => write!(f, "{operand}{} BETWEEN {low} AND {high}", not(*negated)),
            Self::In {
                property: name,
                negated,
                list,
            } => {
                property(f, name)?;
                write!(f, "{} IN (", not(*negated))?;
                let mut separator = "";
                for entry in list.texts() {
                    f.write_str(separator)?;
                    quoted(f, entry, '\'')?;
                    separator = ", ";
                }
                for entry in list.numbers() {
                    write!(f, "{separator}{entry}")?;
                    separator = ", ";
                }
                f.write_str(")")
            }
            Self::Like {
                property: name,
                negated,
                pattern,
            } => {
                property(f, name)?;
                write!(f, "{} LIKE ", not(*negated))?;
                quoted(f, pattern.text(), '\'')?;
                let Some(escape) = pattern.escape() else {
                    return Ok(());
                };
                f.write_str(" ESCAPE ")?;
                quoted(f, escape.encode_utf8(&mut [0; 4]), '\'')
            }
            Self::Null {
                property: name,
                negated,
            } => {
                property(f, name)?;
                write!(f, " IS{} NULL", not(*negated))
            }
        }
    }
}

impl Condition {
    /// Whether it is a chain that binds looser than NOT.
    fn is_list(&self) -> bool {
        matches!(self, Self::Or(_) | Self::And(_))
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property(name) => property(f, name),
            Self::Literal(literal) => literal.fmt(f),
            Self::Sum(chain) => chain.write(f, |part| matches!(part, Self::Sum(_))),
            Self::Product(chain) => chain.write(f, Self::is_chain),
            Self::Signed(sign, operand) => {
                f.write_str(match sign {
                    Sign::Plus => "+",
                    Sign::Minus => "-",
                })?;
                // Two minus signs would begin a comment.
                if matches!(**operand, Self::Signed(..)) {
                    f.write_str(" ")?;
                }
                enclosed(f, operand.as_ref(), operand.is_chain())
            }
        }
    }
}

impl Operand {
    fn is_chain(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Product(_))
    }
}

impl Chain {
    fn write(&self, f: &mut Formatter<'_>, encloses: fn(&Operand) -> bool) -> fmt::Result {
        enclosed(f, &self.first, encloses(&self.first))?;
        for (operator, operand) in &self.rest {
            write!(f, " {} ", operator.symbol())?;
            enclosed(f, operand, encloses(operand))?;
        }
        Ok(())
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(f, text, '\''),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(value) => boolean(f, *value),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            // Keeps the point or the exponent that makes it floating.
            Self::Float(float) => write!(f, "{float:?}"),
        }
    }
}

fn joined(
    f: &mut Formatter<'_>,
    list: &[Condition],
    separator: &str,
    encloses: fn(&Condition) -> bool,
) -> fmt::Result {
    for (index, part) in list.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        enclosed(f, part, encloses(part))?;
    }
    Ok(())
}

fn enclosed(f: &mut Formatter<'_>, part: &impl Display, enclose: bool) -> fmt::Result {
    if enclose {
        write!(f, "({part})")
    } else {
        part.fmt(f)
    }
}

fn not(negated: bool) -> &'static str {
    if negated { " NOT" } else { "" }
}

fn boolean(f: &mut Formatter<'_>, value: bool) -> fmt::Result {
    f.write_str(if value { "TRUE" } else { "FALSE" })
}

/// A name, in double quotes where it would not be one without them.
fn property(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let plain = name.starts_with(super::lexer::begins_name)
        && name.chars().all(super::lexer::continues_name)
        && Keyword::from_word(name).is_none();
    if plain {
        f.write_str(name)
    } else {
        quoted(f, name, '"')
    }
}

/// A text between marks, each mark within it doubled.
fn quoted(f: &mut Formatter<'_>, text: &str, mark: char) -> fmt::Result {
    write!(f, "{mark}")?;
    for (index, piece) in text.split(mark).enumerate() {
        if index > 0 {
            write!(f, "{mark}{mark}")?;
        }
        f.write_str(piece)?;
    }
    write!(f, "{mark}")
}
