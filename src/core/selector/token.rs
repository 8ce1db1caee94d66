//! The tokens of a selector.

use std::borrow::Cow;

use super::number::{Number, Operator};
use super::value::Comparison;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Name(Cow<'a, str>),
    Text(Cow<'a, str>),
    Number(Number),
    Keyword(Keyword),
    Comparison(Comparison),
    Operator(Operator),
    Open,
    Close,
    Comma,
    End,
}

/// Words that are no names, in any case of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Not,
    Is,
    Null,
    Like,
    Escape,
    Between,
    In,
    True,
    False,
}

impl Keyword {
    const ALL: [(Self, &'static str); 11] = [
        (Self::And, "AND"),
        (Self::Or, "OR"),
        (Self::Not, "NOT"),
        (Self::Is, "IS"),
        (Self::Null, "NULL"),
        (Self::Like, "LIKE"),
        (Self::Escape, "ESCAPE"),
        (Self::Between, "BETWEEN"),
        (Self::In, "IN"),
        (Self::True, "TRUE"),
        (Self::False, "FALSE"),
    ];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        let named = |(_, name): &&(Self, &str)| name.eq_ignore_ascii_case(word);
        Self::ALL.iter().find(named).map(|(keyword, _)| *keyword)
    }
}
