//! What makes a condition of values: comparisons, BETWEEN, IN, LIKE and IS NULL.

use super::super::condition::Condition;
use super::super::error::SelectorError;
use super::super::like::{Like, MAX_PATTERN};
use super::super::list::List;
use super::super::number::{Number, Operator};
use super::super::operand::Operand;
use super::super::token::{Keyword, Token};
use super::super::value::Comparison;
use super::{MORE, Parsed, Parser, Step};

impl Parser<'_> {
    /// An operand, and what is asked of it if something is.
    pub(super) fn predicate(&mut self) -> Step<Parsed> {
        let start = self.next.start;
        match self.sum()? {
            Parsed::Operand(operand) => self.asked_of(operand, start),
            condition @ Parsed::Condition(_) => Ok(condition),
        }
    }

    fn asked_of(&mut self, operand: Operand, start: usize) -> Step<Parsed> {
        if let Token::Comparison(comparison) = self.next.token {
            return self.comparison(operand, start, comparison);
        }
        if self.take(&Token::Keyword(Keyword::Is), "NULL or NOT NULL")? {
            return self.is_null(operand, start);
        }
        let negated = self.take(&Token::Keyword(Keyword::Not), "LIKE, IN or BETWEEN")?;
        if self.take(&Token::Keyword(Keyword::Between), "a value")? {
            return self.between(operand, negated, start);
        }
        if self.take(&Token::Keyword(Keyword::In), "'('")? {
            return self.list(operand, negated, start);
        }
        if self.take(
            &Token::Keyword(Keyword::Like),
            "a pattern between single quotes",
        )? {
            return self.like(operand, negated, start);
        }
        if negated {
            return self.missing();
        }
        Ok(Parsed::Operand(operand))
    }

    fn comparison(&mut self, left: Operand, start: usize, comparison: Comparison) -> Step<Parsed> {
        self.advance("a value")?;
        let right_start = self.next.start;
        let right = self.operand(Self::sum)?;
        if comparison.orders() {
            self.refuse_boolean(&left, start)?;
            self.refuse_boolean(&right, right_start)?;
        }
        Ok(parsed(Condition::Compare(left, comparison, right)))
    }

    fn is_null(&mut self, operand: Operand, start: usize) -> Step<Parsed> {
        let property = self.property(operand, start, "IS")?;
        let negated = self.take(&Token::Keyword(Keyword::Not), "NULL")?;
        if !self.take(&Token::Keyword(Keyword::Null), MORE)? {
            return self.missing();
        }
        Ok(parsed(Condition::Null { property, negated }))
    }

    fn between(&mut self, operand: Operand, negated: bool, start: usize) -> Step<Parsed> {
        self.refuse_boolean(&operand, start)?;
        let low = self.number(Self::sum)?;
        if !self.take(&Token::Keyword(Keyword::And), "a value")? {
            return self.unexpected("AND and the upper value of BETWEEN".to_owned());
        }
        let high = self.number(Self::sum)?;
        Ok(parsed(Condition::Between {
            operand,
            negated,
            low,
            high,
        }))
    }

    fn list(&mut self, operand: Operand, negated: bool, start: usize) -> Step<Parsed> {
        let property = self.property(operand, start, "IN")?;
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        if !self.take(&Token::Open, "a text or a number")? {
            return self.missing();
        }
        loop {
            self.entry(&mut texts, &mut numbers)?;
            if self.take(&Token::Close, MORE)? {
                break;
            }
            if !self.take(&Token::Comma, "a text or a number")? {
                return self.unexpected("',' or ')' in the list of IN".to_owned());
            }
        }
        Ok(parsed(Condition::In {
            property,
            negated,
            list: List::new(texts, numbers),
        }))
    }

    fn entry(&mut self, texts: &mut Vec<Box<str>>, numbers: &mut Vec<Number>) -> Step<()> {
        self.count_term()?;
        if let Token::Text(text) = &self.next.token {
            texts.push(text.as_ref().into());
            return self.advance(MORE);
        }
        let negative = self.take(&Token::Operator(Operator::Subtract), "a number")?;
        if !negative {
            self.take(&Token::Operator(Operator::Add), "a number")?;
        }
        let Token::Number(number) = self.next.token else {
            return self.missing();
        };
        numbers.push(if negative { number.negated() } else { number });
        self.advance(MORE)
    }

    fn like(&mut self, operand: Operand, negated: bool, start: usize) -> Step<Parsed> {
        let property = self.property(operand, start, "LIKE")?;
        let Token::Text(text) = self.next.token.clone() else {
            return self.missing();
        };
        let actual = text.chars().count();
        if actual > MAX_PATTERN {
            return Err(Box::new(SelectorError::PatternTooLong {
                column: self.lexer.column(self.next.start),
                actual,
                limit: MAX_PATTERN,
            }));
        }
        self.count_term()?;
        self.advance(MORE)?;
        let one = "one character between single quotes";
        let mut escape = None;
        if self.take(&Token::Keyword(Keyword::Escape), one)? {
            escape = Some(self.escape()?);
            self.advance(MORE)?;
        }
        Ok(parsed(Condition::Like {
            property,
            negated,
            pattern: Box::new(Like::new(&text, escape)),
        }))
    }

    fn escape(&self) -> Step<char> {
        let Token::Text(text) = &self.next.token else {
            return self.missing();
        };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(escape), None) => Ok(escape),
            _ => self.missing(),
        }
    }

    /// The name of a property, where nothing else can stand.
    fn property(&self, operand: Operand, start: usize, keyword: &str) -> Step<Box<str>> {
        let Operand::Property(name) = operand else {
            return Err(Box::new(SelectorError::Unexpected {
                column: self.lexer.column(start),
                expected: format!("the name of a property before {keyword}"),
                found: "a value".to_owned(),
            }));
        };
        Ok(name)
    }
}

fn parsed(condition: Condition) -> Parsed {
    Parsed::Condition(Box::new(condition))
}
