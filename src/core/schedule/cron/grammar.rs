//! How a cron entry is written.
//!
//! ```text
//! entry = blank* field (blank+ field){4} blank*
//! field = item ("," item)* ("/" number)?
//! item  = "*" | "?" | number ("-" number)?
//! ```

use nom::branch::alt;
use nom::character::complete::{char, digit1, multispace0, multispace1, one_of};
use nom::combinator::{cut, eof, map, opt, value};
use nom::error::{ContextError, ErrorKind, ParseError, context};
use nom::multi::many0;
use nom::sequence::preceded;
use nom::{IResult, Offset, Parser};

use super::error::CronError;
use super::{Cron, range};

/// What a field is called, and which numbers it has.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    lowest: u32,
    highest: u32,
}

const MINUTE: Field = Field::new("minute", 0, 59);
const HOUR: Field = Field::new("hour", 0, 23);
pub(super) const DAY: Field = Field::new("day-of-month", 1, 31);
const MONTH: Field = Field::new("month", 1, 12);
/// Written; 7 becomes 0 when it has been read.
const WEEKDAY: Field = Field::new("day-of-week", 0, 7);

/// A part of a field. Digits are kept where they stand, for their column.
#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    All,
    Range(&'a str, &'a str),
}

/// A field as it is written.
#[derive(Debug)]
struct Written<'a> {
    items: Vec<Item<'a>>,
    step: Option<&'a str>,
}

/// Where reading stopped, and what could have stood there.
#[derive(Debug)]
struct Stop<'a> {
    rest: &'a str,
    expected: Option<&'static str>,
}

type Read<'a, T> = IResult<&'a str, T, Stop<'a>>;

impl<'a> ParseError<&'a str> for Stop<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Self {
            rest,
            expected: None,
        }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> ContextError<&'a str> for Stop<'a> {
    /// The innermost expectation is the one that was not met.
    fn add_context(_: &'a str, expected: &'static str, other: Self) -> Self {
        Self {
            expected: other.expected.or(Some(expected)),
            ..other
        }
    }
}

impl Field {
    const fn new(name: &'static str, lowest: u32, highest: u32) -> Self {
        Self {
            name,
            lowest,
            highest,
        }
    }

    /// Every value.
    pub(super) const fn all(&self) -> u64 {
        range(self.lowest, self.highest)
    }

    /// Reads this field at the front of `rest`, which is the end of `text`.
    fn read<'a>(&self, text: &'a str, rest: &'a str) -> Result<(&'a str, u64), CronError> {
        let (rest, written) = written(rest).map_err(|stop| self.unexpected(text, stop))?;
        let mut bits = 0;
        for item in written.items {
            bits |= match item {
                Item::All => self.all(),
                Item::Range(first, last) => {
                    let (low, high) = (self.number(text, first)?, self.number(text, last)?);
                    if low > high {
                        return Err(CronError::Backwards {
                            field: self.name,
                            column: column(text, last),
                            first: low,
                            last: high,
                        });
                    }
                    range(low, high)
                }
            };
        }
        if let Some(digits) = written.step {
            bits = self.stepped(text, digits, bits)?;
        }
        Ok((rest, bits))
    }

    /// Keeps the values that are divisible by the step.
    fn stepped(&self, text: &str, digits: &str, bits: u64) -> Result<u64, CronError> {
        // Only 0 is divisible by a number that is larger than all values, however much larger.
        let step = digits.parse().unwrap_or(u32::MAX);
        if step == 0 {
            return Err(CronError::Unexpected {
                field: self.name,
                column: column(text, digits),
                expected: "a step of 1 or more",
                found: digits.to_owned(),
            });
        }
        let divisible = (self.lowest..=self.highest).filter(|value| value % step == 0);
        let bits = bits & divisible.fold(0, |bits, value| bits | 1 << value);
        if bits == 0 {
            return Err(CronError::NothingSelected {
                field: self.name,
                column: column(text, digits),
                step,
            });
        }
        Ok(bits)
    }

    fn number(&self, text: &str, digits: &str) -> Result<u32, CronError> {
        match digits.parse() {
            Ok(number) if (self.lowest..=self.highest).contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(CronError::OutOfRange {
                field: self.name,
                column: column(text, digits),
                lowest: self.lowest,
                highest: self.highest,
                found: digits.to_owned(),
            }),
        }
    }

    fn unexpected(&self, text: &str, stop: nom::Err<Stop<'_>>) -> CronError {
        let (rest, expected) = match stop {
            nom::Err::Error(stop) | nom::Err::Failure(stop) => (stop.rest, stop.expected),
            nom::Err::Incomplete(_) => ("", None),
        };
        let first = rest.chars().next();
        CronError::Unexpected {
            field: self.name,
            // What is left is the end of the text.
            column: text.len().saturating_sub(rest.len()) + 1,
            expected: expected.unwrap_or("a field"),
            found: first.map_or_else(|| "the end".to_owned(), |found| format!("{found:?}")),
        }
    }
}

/// Reads an entry.
pub(super) fn parse(text: &str) -> Result<Cron, CronError> {
    if text.len() > Cron::MAX_LENGTH {
        return Err(CronError::TooLong { actual: text.len() });
    }
    let after = |field: &Field, rest| blank(rest).map_err(|stop| field.unexpected(text, stop));
    let (rest, _) = blanks(text).map_err(|stop| MINUTE.unexpected(text, stop))?;
    let (rest, minutes) = MINUTE.read(text, rest)?;
    let (rest, _) = after(&MINUTE, rest)?;
    let (rest, hours) = HOUR.read(text, rest)?;
    let (rest, _) = after(&HOUR, rest)?;
    let (rest, days) = DAY.read(text, rest)?;
    let (rest, _) = after(&DAY, rest)?;
    let (rest, months) = MONTH.read(text, rest)?;
    let (rest, _) = after(&MONTH, rest)?;
    let (rest, weekdays) = WEEKDAY.read(text, rest)?;
    end(rest).map_err(|stop| WEEKDAY.unexpected(text, stop))?;
    Ok(Cron {
        text: text.into(),
        minutes,
        hours,
        days,
        months,
        weekdays: (weekdays | weekdays >> 7) & super::EVERY_WEEKDAY,
    })
}

fn written(text: &str) -> Read<'_, Written<'_>> {
    let step = context("a number as the step", digit1);
    let parts = (
        item,
        many0(preceded(char(','), cut(item))),
        opt(preceded(char('/'), cut(step))),
    );
    map(parts, |(first, mut items, step)| {
        items.insert(0, first);
        Written { items, step }
    })
    .parse(text)
}

fn item(text: &str) -> Read<'_, Item<'_>> {
    let last = context("a number as the end of the range", digit1);
    let numbers = (digit1, opt(preceded(char('-'), cut(last))));
    let item = alt((
        value(Item::All, one_of("*?")),
        map(numbers, |(first, last)| {
            Item::Range(first, last.unwrap_or(first))
        }),
    ));
    context("a number, '*' or '?'", item).parse(text)
}

fn blanks(text: &str) -> Read<'_, &str> {
    multispace0(text)
}

fn blank(text: &str) -> Read<'_, &str> {
    context("a blank and the next of five fields", multispace1).parse(text)
}

fn end(text: &str) -> Read<'_, &str> {
    context("the end behind five fields", preceded(multispace0, eof)).parse(text)
}

/// Where a part of the text starts.
fn column(text: &str, part: &str) -> usize {
    text.offset(part) + 1
}
