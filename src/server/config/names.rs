//! A list of destinations' names.

use super::setting::{Kind, Raw, Spelling};
use crate::core::{self, DestinationName, Pattern};

/// Names of queues or topics, none of them a wildcard or a list.
pub(super) struct Names;

impl Spelling for Names {
    fn expects(&self) -> String {
        "a list of names such as [\"orders\", \"invoices.eu\"], without wildcards and commas"
            .to_owned()
    }

    fn toml(&self, word: &str) -> String {
        let items = word.split(',').filter(|item| !item.is_empty());
        let items: Vec<String> = items
            .map(|item| format!("\"{}\"", item.escape_default()))
            .collect();
        format!("[{}]", items.join(", "))
    }
}

impl Kind for Names {
    type Value = Vec<String>;

    fn read(&self, raw: &Raw) -> Option<Vec<String>> {
        let items: Vec<&str> = match raw {
            Raw::List(items) => items.iter().map(String::as_str).collect(),
            Raw::Word(words) if words.is_empty() => Vec::new(),
            Raw::Word(words) => words.split(',').map(str::trim).collect(),
            Raw::Text(_) | Raw::Number(_) | Raw::Bool(_) | Raw::Other(_) => return None,
        };
        let named = |item: &&str| {
            let name = DestinationName::new(core::Kind::Queue, item);
            let one = name.is_ok_and(|name| !name.is_composite());
            one && !Pattern::new(item).is_wildcard()
        };
        let all = items.iter().all(named);
        all.then(|| items.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_plain_names_only() {
        let list = |items: &[&str]| Raw::List(items.iter().map(|i| (*i).to_owned()).collect());
        let read = |items: &[&str]| Names.read(&list(items));
        assert_eq!(read(&["a", "b.c"]).unwrap(), ["a", "b.c"]);
        assert_eq!(read(&[]).unwrap(), [""; 0]);
        assert_eq!(
            Names.read(&Raw::Word("a, b".to_owned())).unwrap(),
            ["a", "b"]
        );
        for wrong in [&["a.>"], &["a,b"], &[""], &["*"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(Names.toml(""), "[]");
        assert_eq!(Names.toml("a,b"), "[\"a\", \"b\"]");
    }
}
