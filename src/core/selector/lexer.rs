//! Cuts a selector into tokens.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{
    is_not, tag, tag_no_case, take_till, take_until, take_while, take_while1,
};
use nom::character::complete::{digit1, hex_digit1, one_of, satisfy};
use nom::combinator::{map, opt, recognize, value};
use nom::multi::{many0_count, many1_count};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use super::error::SelectorError;
use super::number::{Number, Operator};
use super::token::{Keyword, Token};
use super::value::Comparison;

/// The most characters of a token that an error repeats.
const SHOWN: usize = 40;

/// A token and where it stands, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What is left of a selector.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    rest: &'a str,
}

/// A token before numbers are converted.
#[derive(Clone, Debug)]
enum Raw<'a> {
    Number(&'a str),
    Token(Token<'a>),
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    /// The next token; [`Token::End`] behind the last one.
    pub(super) fn next(&mut self) -> Result<Placed<'a>, SelectorError> {
        if let Ok((rest, _)) = blanks(self.rest) {
            self.rest = rest;
        }
        let start = self.offset();
        if self.rest.is_empty() {
            let token = Token::End;
            return Ok(Placed {
                token,
                start,
                end: start,
            });
        }
        if self.rest.starts_with("/*") {
            return Err(self.unclosed("the comment", "*/"));
        }
        let Ok((rest, raw)) = raw(self.rest) else {
            return Err(self.diagnose());
        };
        self.rest = rest;
        let end = self.offset();
        let token = match raw {
            Raw::Token(token) => token,
            Raw::Number(digits) => Token::Number(self.number(digits, start)?),
        };
        if matches!(token, Token::Name(_) | Token::Keyword(_)) {
            self.refuse_longer_name(start)?;
        }
        Ok(Placed { token, start, end })
    }

    /// The column of a place, counted in characters from 1.
    pub(super) fn column(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        before.chars().count() + 1
    }

    /// A piece of the text, for an error.
    pub(super) fn shown(&self, start: usize, end: usize) -> String {
        shown(self.text.get(start..end).unwrap_or_default())
    }

    fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn number(&self, digits: &str, start: usize) -> Result<Number, SelectorError> {
        convert(digits).map_err(|cause| SelectorError::Number {
            column: self.column(start),
            number: shown(digits),
            cause,
        })
    }

    /// Why no token begins here.
    fn diagnose(&self) -> SelectorError {
        if self.rest.starts_with('\'') {
            return self.unclosed("the text", "'");
        }
        if let Some(name) = self.rest.strip_prefix('"') {
            if name.starts_with('"') && !name.starts_with("\"\"") {
                return self.unexpected("a name between double quotes", "none");
            }
            return self.unclosed("the name", "\"");
        }
        let first = self.first();
        if first.chars().all(char::is_alphabetic) {
            return self.needs_quotes(self.offset());
        }
        self.unexpected("a name, a value or an operator", &quote(&shown(&first)))
    }

    /// A name that goes on with what only a quoted name can hold.
    fn refuse_longer_name(&self, start: usize) -> Result<(), SelectorError> {
        let longer = |next: char| next == '.' || next.is_alphanumeric();
        let quoted = self
            .text
            .get(start..)
            .is_some_and(|name| name.starts_with('"'));
        if quoted || !self.rest.starts_with(longer) {
            return Ok(());
        }
        Err(self.needs_quotes(start))
    }

    fn needs_quotes(&self, start: usize) -> SelectorError {
        let within = |next: char| next.is_alphanumeric() || matches!(next, '_' | '$' | '.' | '-');
        let name = self.text.get(start..).unwrap_or_default();
        let end = name.find(|next| !within(next)).unwrap_or(name.len());
        let first = self.first();
        SelectorError::NeedsQuotes {
            column: self.column(self.offset()),
            found: quote(&first),
            name: shown(name.get(..end).unwrap_or(name)),
        }
    }

    /// The next character, or nothing at the end.
    fn first(&self) -> String {
        self.rest
            .chars()
            .next()
            .map(String::from)
            .unwrap_or_default()
    }

    fn unclosed(&self, what: &'static str, closing: &'static str) -> SelectorError {
        SelectorError::Unclosed {
            column: self.column(self.offset()),
            what,
            closing,
        }
    }

    fn unexpected(&self, expected: &str, found: &str) -> SelectorError {
        SelectorError::Unexpected {
            column: self.column(self.offset()),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}

/// Whether a name without quotes may begin with a character.
pub(super) fn begins_name(first: char) -> bool {
    first.is_ascii_alphabetic() || matches!(first, '_' | '$')
}

/// Whether a name without quotes may hold a character.
pub(super) fn continues_name(next: char) -> bool {
    begins_name(next) || next.is_ascii_digit()
}

fn quote(text: &str) -> String {
    format!("'{text}'")
}

/// The beginning of a text, on one line.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn blanks(input: &str) -> IResult<&str, usize> {
    let blank = take_while1(|c: char| c.is_ascii_whitespace());
    let line = recognize((tag("--"), take_till(|c| matches!(c, '\n' | '\r'))));
    let block = recognize((tag("/*"), take_until("*/"), tag("*/")));
    many0_count(alt((blank, line, block))).parse(input)
}

fn raw(input: &str) -> IResult<&str, Raw<'_>> {
    alt((
        map(number, Raw::Number),
        map(word, Raw::Token),
        map(text, Raw::Token),
        map(quoted_name, Raw::Token),
        map(symbol, Raw::Token),
    ))
    .parse(input)
}

fn number(input: &str) -> IResult<&str, &str> {
    let exponent = || recognize((one_of("eE"), opt(one_of("+-")), digit1));
    let long = || opt(one_of("lL"));
    alt((
        recognize((tag_no_case("0x"), hex_digit1, long())),
        recognize((digit1, tag("."), opt(digit1), opt(exponent()))),
        recognize((tag("."), digit1, opt(exponent()))),
        recognize((digit1, exponent())),
        recognize((digit1, long())),
    ))
    .parse(input)
}

/// The number that some digits stand for, or what is wrong with it.
fn convert(digits: &str) -> Result<Number, &'static str> {
    let plain = digits.trim_end_matches(['l', 'L']);
    let whole = |digits: &str, radix: u32| {
        i64::from_str_radix(digits, radix)
            .map(Number::Integer)
            .map_err(|_| "does not fit 64 bits")
    };
    if let Some(hexadecimal) = plain.strip_prefix("0x").or(plain.strip_prefix("0X")) {
        return whole(hexadecimal, 16);
    }
    if plain.bytes().all(|digit| digit.is_ascii_digit()) {
        if let Some(octal) = plain.strip_prefix('0').filter(|octal| !octal.is_empty()) {
            if octal.contains(['8', '9']) {
                return Err("begins with 0 and so is octal, which has no 8 and no 9");
            }
            return whole(octal, 8);
        }
        if let Ok(integer) = whole(plain, 10) {
            return Ok(integer);
        }
    }
    match plain.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Number::Float(float)),
        Ok(_) | Err(_) => Err("is too large"),
    }
}

fn word(input: &str) -> IResult<&str, Token<'_>> {
    let word = recognize((satisfy(begins_name), take_while(continues_name)));
    map(word, |word: &str| {
        Keyword::from_word(word).map_or(Token::Name(Cow::Borrowed(word)), Token::Keyword)
    })
    .parse(input)
}

fn text(input: &str) -> IResult<&str, Token<'_>> {
    let inside = recognize(many0_count(alt((is_not("'"), tag("''")))));
    map(delimited(tag("'"), inside, tag("'")), |text| {
        Token::Text(undoubled(text, "''", "'"))
    })
    .parse(input)
}

fn quoted_name(input: &str) -> IResult<&str, Token<'_>> {
    let inside = recognize(many1_count(alt((is_not("\""), tag("\"\"")))));
    map(delimited(tag("\""), inside, tag("\"")), |name| {
        Token::Name(undoubled(name, "\"\"", "\""))
    })
    .parse(input)
}

fn undoubled<'a>(text: &'a str, doubled: &str, single: &str) -> Cow<'a, str> {
    if text.contains(doubled) {
        Cow::Owned(text.replace(doubled, single))
    } else {
        Cow::Borrowed(text)
    }
}

fn symbol(input: &str) -> IResult<&str, Token<'_>> {
    let compare = |text, comparison| value(Token::Comparison(comparison), tag(text));
    let operator = |operator: Operator| value(Token::Operator(operator), tag(operator.symbol()));
    alt((
        compare("<>", Comparison::NotEqual),
        compare("!=", Comparison::NotEqual),
        compare("<=", Comparison::LessOrEqual),
        compare(">=", Comparison::GreaterOrEqual),
        compare("<", Comparison::Less),
        compare(">", Comparison::Greater),
        compare("=", Comparison::Equal),
        operator(Operator::Add),
        operator(Operator::Subtract),
        operator(Operator::Multiply),
        operator(Operator::Divide),
        operator(Operator::Remainder),
        value(Token::Open, tag("(")),
        value(Token::Close, tag(")")),
        value(Token::Comma, tag(",")),
    ))
    .parse(input)
}
