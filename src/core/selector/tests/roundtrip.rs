//! Any tree is read back from its normal form, and no text does harm.

use proptest::prelude::*;

use super::super::condition::Condition;
use super::super::like::Like;
use super::super::list::List;
use super::super::number::{Number, Operator};
use super::super::operand::{Chain, Literal, Operand, Sign};
use super::super::parser;
use super::super::value::Comparison;
use super::*;

fn name() -> impl Strategy<Value = Box<str>> {
    prop_oneof![
        "[a-c$_][a-c0-9]{0,2}",
        "[a-z.\"' -]{1,6}",
        prop::sample::select(vec!["and", "NULL", "xpath", "regex", "größe"]).prop_map(String::from),
    ]
    .prop_map(Box::from)
}

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-c'\"%_!\n-]{0,6}".prop_map(Box::from)
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        // The least integer is read as a float: its digits alone do not fit.
        (-i64::MAX..=i64::MAX).prop_map(Number::Integer),
        (-20_i64..20).prop_map(Number::Integer),
        prop::num::f64::NORMAL.prop_map(Number::Float),
        (-20_i32..20).prop_map(|quarters| Number::Float(f64::from(quarters) / 4.0)),
    ]
}

fn literal() -> impl Strategy<Value = Operand> {
    prop_oneof![
        text().prop_map(Literal::Text),
        number().prop_map(Literal::Number)
    ]
    .prop_map(Operand::Literal)
}

fn chain(
    operators: Vec<Operator>,
    part: impl Strategy<Value = Operand> + Clone,
) -> impl Strategy<Value = Box<Chain>> {
    let rest = prop::collection::vec((prop::sample::select(operators), part.clone()), 1..4);
    (part, rest).prop_map(|(first, rest)| Box::new(Chain { first, rest }))
}

fn operand() -> impl Strategy<Value = Operand> + Clone {
    let leaf = prop_oneof![name().prop_map(Operand::Property), literal()];
    leaf.prop_recursive(4, 24, 4, |part| {
        let sums = vec![Operator::Add, Operator::Subtract];
        let products = vec![Operator::Multiply, Operator::Divide, Operator::Remainder];
        let sign = prop::sample::select(vec![Sign::Plus, Sign::Minus]);
        prop_oneof![
            chain(sums, part.clone()).prop_map(Operand::Sum),
            chain(products, part.clone()).prop_map(Operand::Product),
            (sign, part).prop_map(|(sign, operand)| Operand::signed(sign, operand)),
        ]
    })
}

fn list() -> impl Strategy<Value = List> {
    let texts = prop::collection::vec(text(), 0..4);
    let numbers = prop::collection::vec(number(), 0..4);
    (texts, numbers)
        .prop_filter("a list is not empty", |(texts, numbers)| {
            !texts.is_empty() || !numbers.is_empty()
        })
        .prop_map(|(texts, numbers)| List::new(texts, numbers))
}

fn predicate() -> impl Strategy<Value = Condition> {
    let comparisons = vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];
    let comparison = prop::sample::select(comparisons);
    let escape = prop::option::of(prop::sample::select(vec!['!', '\'', '%', 'ö']));
    prop_oneof![
        name().prop_map(Condition::Property),
        any::<bool>().prop_map(Condition::Constant),
        (operand(), comparison, operand())
            .prop_map(|(left, comparison, right)| Condition::Compare(left, comparison, right)),
        (operand(), any::<bool>(), operand(), operand()).prop_map(
            |(operand, negated, low, high)| Condition::Between {
                operand,
                negated,
                low,
                high
            }
        ),
        (name(), any::<bool>(), list()).prop_map(|(property, negated, list)| Condition::In {
            property,
            negated,
            list
        }),
        (name(), any::<bool>(), text(), escape).prop_map(|(property, negated, text, escape)| {
            let pattern = Box::new(Like::new(&text, escape));
            Condition::Like {
                property,
                negated,
                pattern,
            }
        }),
        (name(), any::<bool>())
            .prop_map(|(property, negated)| Condition::Null { property, negated }),
        (name(), any::<bool>(), Just(Comparison::Equal)).prop_map(|(name, boolean, comparison)| {
            let boolean = Operand::Literal(Literal::Boolean(boolean));
            Condition::Compare(Operand::Property(name), comparison, boolean)
        }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    predicate().prop_recursive(5, 32, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(part.clone(), 2..4).prop_map(Condition::Or),
            part.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

/// Texts of what selectors are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a", "b", "1", "1.5", "'x'", "\"y\"", "'", "\"", "(", ")", "+", "-", "*", "/", "%", "=",
        "<>", "!=", "<", ">=", ",", "AND", "OR", "NOT", "IS", "NULL", "LIKE", "'%_'", "ESCAPE",
        "'!'", "BETWEEN", "IN", "TRUE", "--", "/*", "*/", "\n", ".", "ö", "0x", "e5", "REGEX",
    ];
    let piece = prop::sample::select(pieces);
    let blank = prop::sample::select(vec![" ", ""]);
    prop::collection::vec((piece, blank), 0..24).prop_map(|pieces| {
        pieces
            .into_iter()
            .flat_map(|(piece, blank)| [piece, blank])
            .collect()
    })
}

/// Reads a text, and if it is a selector, writes it and reads it again, and asks it.
fn harmless(text: &str) -> Result<(), TestCaseError> {
    let Ok(selector) = Selector::parse(text) else {
        return Ok(());
    };
    let again = Selector::parse(&selector.to_string());
    prop_assert_eq!(again.as_ref(), Ok(&selector), "{}", selector);
    selector.matches(&headers(&[("a", "1"), ("b", "x"), ("y", "true")]));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_read_back_from_its_normal_form(tree in condition()) {
        let text = tree.to_string();
        prop_assert_eq!(parser::parse(&text), Ok(tree), "{}", text);
    }

    #[test]
    fn no_text_does_harm(text in any::<String>()) {
        harmless(&text)?;
    }

    #[test]
    fn no_order_of_tokens_does_harm(text in pieces()) {
        harmless(&text)?;
    }
}
