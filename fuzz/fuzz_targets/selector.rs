//! Any text as a selector: it is refused, or its normal form reads back as the same selector, and
//! both say the same of any message.
//!
//! Behind a blank line come properties, one a line: the kind of its value (`t`, `i`, `f` or `b`),
//! its name, a colon, its value.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use tidegate::internal::core::{Properties, Selector, SelectorError, Value};

struct Lines<'a>(&'a str);

impl Properties for Lines<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        self.0.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            let mut kind = known.chars();
            let first = kind.next()?;
            if kind.as_str() != name {
                return None;
            }
            match first {
                'i' => value.parse().ok().map(Value::Integer),
                'f' => value.parse().ok().map(Value::Float),
                'b' => value.parse().ok().map(Value::Boolean),
                _ => Some(Value::Text(Cow::Borrowed(value))),
            }
        })
    }
}

fuzz_target!(|input: &str| {
    let (text, properties) = input.split_once("\n\n").unwrap_or((input, ""));
    let properties = Lines(properties);
    let selector = match Selector::parse(text) {
        Ok(selector) => selector,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            return;
        }
    };
    let normal = selector.to_string();
    match Selector::parse(&normal) {
        Ok(again) => {
            assert_eq!(again, selector, "{normal}");
            assert_eq!(again.matches(&properties), selector.matches(&properties));
        }
        // Blanks between words make it longer.
        Err(SelectorError::TooLong { .. }) => assert!(text.len() > 32 * 1024),
        Err(error) => panic!("{normal}: {error}"),
    }
    // Nothing is true together with its opposite.
    if let Ok(opposite) = Selector::parse(&format!("NOT ({normal})")) {
        assert!(!(opposite.matches(&properties) && selector.matches(&properties)));
    }
});
