//! What selectors say of messages, rule by rule.

mod comparing;
mod errors;
mod like;
mod limits;
mod logic;
mod roundtrip;
mod syntax;

use std::borrow::Cow;

use super::{Properties, Selector, SelectorError, Value};

/// Properties in a list.
pub(super) struct Listed<'a>(pub(super) Vec<(&'a str, Value<'a>)>);

impl Properties for Listed<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(value.clone())
    }
}

/// Headers as STOMP has them: text only.
fn headers<'a>(list: &[(&'a str, &'a str)]) -> Listed<'a> {
    let text = |(name, value): &(&'a str, &'a str)| (*name, Value::Text(Cow::Borrowed(*value)));
    Listed(list.iter().map(text).collect())
}

/// One property that is no text.
fn typed<'a>(name: &'a str, value: Value<'a>) -> Listed<'a> {
    Listed(vec![(name, value)])
}

/// What a selector says: true, false or, where neither it nor its opposite matches, unknown.
#[track_caller]
fn truth(selector: &str, properties: &Listed<'_>) -> Option<bool> {
    let asked = |text: &str| match Selector::parse(text) {
        Ok(selector) => selector.matches(properties),
        Err(error) => panic!("{text}: {error}"),
    };
    match (asked(selector), asked(&format!("NOT ({selector}\n)"))) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
        (true, true) => panic!("{selector} and its opposite both match"),
    }
}

#[track_caller]
fn all(expected: Option<bool>, properties: &Listed<'_>, selectors: &[&str]) {
    for selector in selectors {
        assert_eq!(truth(selector, properties), expected, "{selector}");
    }
}

#[track_caller]
fn error(selector: &str) -> SelectorError {
    match Selector::parse(selector) {
        Err(error) => error,
        Ok(read) => panic!("{selector} was read as {read}"),
    }
}

/// The normal form, which shows how a selector was read.
#[track_caller]
fn normal(selector: &str) -> String {
    match Selector::parse(selector) {
        Ok(selector) => selector.to_string(),
        Err(error) => panic!("{selector}: {error}"),
    }
}

#[test]
fn a_selector_keeps_its_text() {
    let text = "  a=1 -- one\n";
    let selector = Selector::parse(text).unwrap();
    assert_eq!(selector.text(), text);
    assert_eq!(selector.to_string(), "a = 1");
}

#[test]
fn selectors_are_equal_whatever_their_blanks_and_needless_parentheses() {
    let parse = |text| Selector::parse(text).unwrap();
    assert_eq!(
        parse("a=1 and b in ('y','x')"),
        parse("((a) = 1) AND b IN ('x', 'y')")
    );
    assert_ne!(parse("a = 1"), parse("a = 1.0"));
    assert_ne!(parse("a = 1 OR b AND c"), parse("(a = 1 OR b) AND c"));
}

#[test]
fn a_selector_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>(_: &T) {}
    shared(&Selector::parse("a").unwrap());
}
