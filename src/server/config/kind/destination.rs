//! Kinds of values that only settings of destinations have.

use super::super::setting::{Kind, Raw, Spelling};
use super::super::units;
use super::{number, text};
use crate::core::NameTemplate;

/// A whole number from 1, or "unlimited".
pub(in crate::server::config) struct CountOrUnlimited;

/// The name of a queue, with places for that of another destination.
pub(in crate::server::config) struct QueueTemplate;

impl Spelling for QueueTemplate {
    fn expects(&self) -> String {
        "the name of a queue such as \"ActiveMQ.DLQ\" or \"DLQ.{name}\"; only {name} and {kind} may \
         stand in braces"
            .to_owned()
    }
}

impl Kind for QueueTemplate {
    type Value = NameTemplate;

    fn read(&self, raw: &Raw) -> Option<NameTemplate> {
        NameTemplate::parse(text(raw)?).ok()
    }
}

impl Spelling for CountOrUnlimited {
    fn expects(&self) -> String {
        "\"unlimited\" or a whole number from 1".to_owned()
    }

    fn toml(&self, word: &str) -> String {
        if word == "unlimited" {
            "\"unlimited\"".to_owned()
        } else {
            word.to_owned()
        }
    }
}

impl Kind for CountOrUnlimited {
    type Value = Option<u64>;

    fn read(&self, raw: &Raw) -> Option<Option<u64>> {
        if text(raw) == Some("unlimited") {
            return Some(None);
        }
        units::integer(number(raw)?)
            .filter(|count| *count >= 1)
            .map(Some)
    }
}
