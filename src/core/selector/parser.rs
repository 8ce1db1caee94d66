//! Reads a selector, from the loosest binding to the tightest: OR, AND, NOT, comparisons, `+ -`,
//! `* / %`, signs.
//!
//! Parentheses may hold a condition or a value, and only what follows tells which was meant. So each
//! step gives [`Parsed`], and whoever needs one of the two says so.

mod predicate;

use super::condition::Condition;
use super::error::SelectorError;
use super::lexer::{Lexer, Placed};
use super::number::Operator;
use super::operand::{Chain, Literal, Operand, Sign};
use super::token::{Keyword, Token};

/// How deep parentheses, NOT and signs may stand within each other. Bounds the recursion here, in
/// evaluation and when a tree is dropped.
const MAX_DEPTH: usize = 100;

/// The most names and values in one selector.
const MAX_TERMS: usize = 1000;

/// What other brokers can call.
const FUNCTIONS: [&str; 5] = ["INLIST", "MAKELIST", "REGEX", "REPLACE", "SPLIT"];

/// What other brokers can apply to a body, by writing a text behind it.
const QUERIES: [&str; 2] = ["XPATH", "XQUERY"];

/// What an expression turned out to be. Small, as errors are: both pass through all steps of each
/// level of parentheses.
#[derive(Debug)]
enum Parsed {
    Operand(Operand),
    Condition(Box<Condition>),
}

/// What is wanted where a value or a condition has ended: its caller knows.
const MORE: &str = "more";

type Step<T> = Result<T, Box<SelectorError>>;

/// A selector that is being read.
struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is next.
    next: Placed<'a>,
    /// Where the token before it stands, once there is one.
    previous: Option<(usize, usize)>,
    /// What has to come next if an expression does.
    wanted: &'static str,
    depth: usize,
    terms: usize,
}

/// Reads a whole selector.
pub(super) fn parse(text: &str) -> Result<Condition, SelectorError> {
    let mut lexer = Lexer::new(text);
    let next = lexer.next()?;
    if next.token == Token::End {
        return Err(SelectorError::Empty);
    }
    let mut parser = Parser {
        lexer,
        next,
        previous: None,
        wanted: "a condition",
        depth: 0,
        terms: 0,
    };
    parser
        .whole()
        .map_or_else(|error| Err(*error), |condition| Ok(*condition))
}

impl Parsed {
    /// What may follow it besides its end, for an error.
    fn may_be_followed_by(&self) -> &'static str {
        match self {
            Self::Operand(_) => "a comparison, AND, OR",
            Self::Condition(_) => "AND, OR",
        }
    }
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Step<Box<Condition>> {
        let parsed = self.disjunction()?;
        let more = parsed.may_be_followed_by();
        let condition = self.condition(parsed)?;
        if self.next.token != Token::End {
            return self.unexpected(format!("{more} or the end"));
        }
        Ok(condition)
    }

    fn disjunction(&mut self) -> Step<Parsed> {
        self.conditions(Keyword::Or, Self::conjunction, Condition::Or)
    }

    fn conjunction(&mut self) -> Step<Parsed> {
        self.conditions(Keyword::And, Self::negation, Condition::And)
    }

    /// One condition, or several with a keyword between them.
    fn conditions(
        &mut self,
        keyword: Keyword,
        part: fn(&mut Self) -> Step<Parsed>,
        whole: fn(Vec<Condition>) -> Condition,
    ) -> Step<Parsed> {
        let mut parsed = part(self)?;
        if self.next.token != Token::Keyword(keyword) {
            return Ok(parsed);
        }
        let mut list = Vec::new();
        self.append(&mut list, parsed)?;
        while self.take(&Token::Keyword(keyword), "a condition")? {
            parsed = part(self)?;
            self.append(&mut list, parsed)?;
        }
        Ok(Parsed::Condition(Box::new(whole(list))))
    }

    fn append(&self, list: &mut Vec<Condition>, parsed: Parsed) -> Step<()> {
        list.push(*self.condition(parsed)?);
        Ok(())
    }

    fn negation(&mut self) -> Step<Parsed> {
        if self.next.token != Token::Keyword(Keyword::Not) {
            return self.predicate();
        }
        self.enter()?;
        self.advance("a condition")?;
        let parsed = self.negation()?;
        let inner = self.condition(parsed)?;
        self.depth -= 1;
        Ok(Parsed::Condition(Box::new(Condition::Not(inner))))
    }

    fn sum(&mut self) -> Step<Parsed> {
        let operators = [Operator::Add, Operator::Subtract];
        self.chain(&operators, Self::product, Operand::Sum)
    }

    fn product(&mut self) -> Step<Parsed> {
        let operators = [Operator::Multiply, Operator::Divide, Operator::Remainder];
        self.chain(&operators, Self::signed, Operand::Product)
    }

    /// One operand, or several with operators of one rank between them.
    fn chain(
        &mut self,
        operators: &[Operator],
        part: fn(&mut Self) -> Step<Parsed>,
        whole: fn(Box<Chain>) -> Operand,
    ) -> Step<Parsed> {
        let start = self.next.start;
        let parsed = part(self)?;
        let mut rest = Vec::new();
        let Parsed::Operand(first) = parsed else {
            return Ok(parsed);
        };
        while let Token::Operator(operator) = self.next.token
            && operators.contains(&operator)
        {
            if rest.is_empty() {
                self.refuse_boolean(&first, start)?;
            }
            self.advance("a value")?;
            rest.push((operator, self.number(part)?));
        }
        if rest.is_empty() {
            return Ok(Parsed::Operand(first));
        }
        Ok(Parsed::Operand(whole(Box::new(Chain { first, rest }))))
    }

    fn signed(&mut self) -> Step<Parsed> {
        let sign = if self.next.token == Token::Operator(Operator::Add) {
            Sign::Plus
        } else if self.next.token == Token::Operator(Operator::Subtract) {
            Sign::Minus
        } else {
            return self.primary();
        };
        self.enter()?;
        self.advance("a value")?;
        let operand = self.number(Self::signed)?;
        self.depth -= 1;
        Ok(Parsed::Operand(Operand::signed(sign, operand)))
    }

    fn primary(&mut self) -> Step<Parsed> {
        let operand = match &self.next.token {
            Token::Open => return self.parentheses(),
            Token::Name(name) => Operand::Property(name.as_ref().into()),
            Token::Text(text) => Operand::Literal(Literal::Text(text.as_ref().into())),
            Token::Number(number) => Operand::Literal(Literal::Number(*number)),
            Token::Keyword(Keyword::True) => Operand::Literal(Literal::Boolean(true)),
            Token::Keyword(Keyword::False) => Operand::Literal(Literal::Boolean(false)),
            Token::Keyword(Keyword::Null) => {
                return Err(Box::new(SelectorError::Null {
                    column: self.lexer.column(self.next.start),
                }));
            }
            Token::Keyword(_)
            | Token::Comparison(_)
            | Token::Operator(_)
            | Token::Close
            | Token::Comma
            | Token::End => return self.missing(),
        };
        self.count_term()?;
        let start = self.next.start;
        self.advance(MORE)?;
        if let Operand::Property(name) = &operand {
            self.refuse_function(name, start)?;
        }
        Ok(Parsed::Operand(operand))
    }

    fn parentheses(&mut self) -> Step<Parsed> {
        self.enter()?;
        self.advance("a condition or a value")?;
        let parsed = self.disjunction()?;
        let more = parsed.may_be_followed_by();
        if !self.take(&Token::Close, MORE)? {
            return self.unexpected(format!("{more} or ')'"));
        }
        self.depth -= 1;
        Ok(parsed)
    }

    /// An operand, where a condition would be wrong.
    fn operand(&mut self, part: fn(&mut Self) -> Step<Parsed>) -> Step<Operand> {
        let (start, expected) = (self.next.start, self.wanted_here());
        match part(self)? {
            Parsed::Operand(operand) => Ok(operand),
            Parsed::Condition(_) => Err(Box::new(SelectorError::Unexpected {
                column: self.lexer.column(start),
                expected,
                found: "a condition".to_owned(),
            })),
        }
    }

    /// An operand that can be computed with.
    fn number(&mut self, part: fn(&mut Self) -> Step<Parsed>) -> Step<Operand> {
        let start = self.next.start;
        let operand = self.operand(part)?;
        self.refuse_boolean(&operand, start)?;
        Ok(operand)
    }

    /// A condition, where a value that is none would be wrong.
    fn condition(&self, parsed: Parsed) -> Step<Box<Condition>> {
        match parsed {
            Parsed::Condition(condition) => Ok(condition),
            Parsed::Operand(Operand::Property(name)) => Ok(Box::new(Condition::Property(name))),
            Parsed::Operand(Operand::Literal(Literal::Boolean(constant))) => {
                Ok(Box::new(Condition::Constant(constant)))
            }
            Parsed::Operand(_) => self.unexpected("a comparison".to_owned()),
        }
    }

    fn advance(&mut self, wanted: &'static str) -> Step<()> {
        self.previous = Some((self.next.start, self.next.end));
        self.wanted = wanted;
        self.next = self.lexer.next()?;
        Ok(())
    }

    /// Goes on if a token is next.
    fn take(&mut self, token: &Token<'a>, wanted: &'static str) -> Step<bool> {
        let found = self.next.token == *token;
        if found {
            self.advance(wanted)?;
        }
        Ok(found)
    }

    fn enter(&mut self) -> Step<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Box::new(SelectorError::TooDeep {
                column: self.lexer.column(self.next.start),
                limit: MAX_DEPTH,
            }));
        }
        Ok(())
    }

    fn count_term(&mut self) -> Step<()> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(Box::new(SelectorError::TooManyTerms {
                column: self.lexer.column(self.next.start),
                limit: MAX_TERMS,
            }));
        }
        Ok(())
    }

    fn refuse_boolean(&self, operand: &Operand, start: usize) -> Step<()> {
        if !operand.is_boolean() {
            return Ok(());
        }
        Err(Box::new(SelectorError::Unexpected {
            column: self.lexer.column(start),
            expected: "a number".to_owned(),
            found: "TRUE or FALSE".to_owned(),
        }))
    }

    /// Refuses a name behind which a call is open.
    fn refuse_function(&self, name: &str, start: usize) -> Step<()> {
        let known: &[&str] = if self.next.token == Token::Open {
            &FUNCTIONS
        } else if matches!(self.next.token, Token::Text(_)) {
            &QUERIES
        } else {
            return Ok(());
        };
        if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        Err(Box::new(SelectorError::Unsupported {
            column: self.lexer.column(start),
            name: name.to_ascii_uppercase(),
        }))
    }

    /// No expression begins with the next token.
    fn missing<T>(&self) -> Step<T> {
        self.unexpected(self.wanted_here())
    }

    fn wanted_here(&self) -> String {
        self.previous.map_or_else(
            || self.wanted.to_owned(),
            |(start, end)| format!("{} after {}", self.wanted, self.word(start, end)),
        )
    }

    fn unexpected<T>(&self, expected: String) -> Step<T> {
        let found = if self.next.token == Token::End {
            "the end".to_owned()
        } else {
            self.word(self.next.start, self.next.end)
        };
        Err(Box::new(SelectorError::Unexpected {
            column: self.lexer.column(self.next.start),
            expected,
            found,
        }))
    }

    /// A token as it was written, for an error.
    fn word(&self, start: usize, end: usize) -> String {
        let word = self.lexer.shown(start, end);
        if word.starts_with('\'') {
            return format!("the text {word}");
        }
        format!("'{word}'")
    }
}
