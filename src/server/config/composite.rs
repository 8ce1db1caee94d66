//! [[composite]]: destinations whose messages go to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::check::nearest_of;
use super::kind::Switch;
use super::load::{Entries, Entry, join, raw};
use super::policy::split_kind;
use super::problem::{Origin, Problem, Source};
use super::setting::{Kind as _, Raw, Spelling as _};
use crate::core::{
    Branch, CompositeDestination, Composites, DestinationName, Kind, Pattern, Selector,
};

const KEYS: [&str; 4] = [
    "name",
    "forward_to",
    "forward_only",
    "send_when_not_matched",
];

/// A composite destination as it was written.
#[derive(Clone, Debug)]
pub(super) struct CompositeEntries {
    pub(super) origin: Origin,
    pub(super) by_key: BTreeMap<String, Entry>,
    pub(super) branches: Vec<BranchEntries>,
}

/// One of those that it forwards to.
#[derive(Clone, Debug)]
pub(super) struct BranchEntries {
    origin: Origin,
    pub(super) to: Option<Entry>,
    pub(super) selector: Option<Entry>,
}

impl CompositeEntries {
    /// Takes a table over.
    pub(super) fn gather(
        entries: &mut Entries,
        source: &Arc<Source>,
        origin: Origin,
        table: &DeTable<'_>,
    ) -> Self {
        let mut composite = Self {
            origin,
            by_key: BTreeMap::new(),
            branches: Vec::new(),
        };
        for (name, value) in table {
            let key = name.get_ref();
            let origin = Origin::File {
                source: Arc::clone(source),
                key: name.span(),
                value: value.span(),
            };
            let items = value.get_ref().as_array();
            if let Some(items) = items.filter(|_| key == "forward_to") {
                for item in items {
                    let here = Origin::File {
                        source: Arc::clone(source),
                        key: item.span(),
                        value: item.span(),
                    };
                    let branch = BranchEntries::gather(entries, source, here, item.get_ref());
                    composite.branches.push(branch);
                }
            } else if key == "forward_to" {
                let message = "`forward_to` is a list of destinations".to_owned();
                entries.problems.push(Problem::value(key, &origin, message));
            } else if !KEYS.contains(&&**key) {
                entries.problems.push(stranger(key, &origin, &KEYS));
            } else if let Some(entry) = entries.entry(key, raw(value.get_ref()), origin) {
                composite.by_key.insert(key.to_string(), entry);
            }
        }
        composite
    }

    /// The composite destination; `None` after noting what is wrong.
    pub(super) fn read(&self, problems: &mut Vec<Problem>) -> Option<CompositeDestination> {
        let name = self.by_key.get("name");
        let name = concrete(name, "name", &self.origin, problems);
        let forward_only = self.switch("forward_only", true, problems);
        let send_when_not_matched = self.switch("send_when_not_matched", false, problems);
        let branches: Vec<_> = self
            .branches
            .iter()
            .map(|branch| branch.read(problems))
            .collect();
        if branches.is_empty() {
            let message = "a composite destination needs something to forward to".to_owned();
            let problem = Problem::key("composite", &self.origin, message);
            problems.push(problem.with_help("add forward_to = [\"queue://NAME\"]"));
            return None;
        }
        Some(CompositeDestination {
            name: name?,
            forward_to: branches.into_iter().collect::<Option<_>>()?,
            forward_only: forward_only?,
            send_when_not_matched: send_when_not_matched?,
        })
    }

    fn switch(&self, key: &str, default: bool, problems: &mut Vec<Problem>) -> Option<bool> {
        let Some(entry) = self.by_key.get(key) else {
            return Some(default);
        };
        let value = Switch.read(&entry.raw);
        if value.is_none() {
            let (expected, found) = (Switch.expects(), entry.raw.found());
            let message = format!("`{key}` takes {expected}; found {found}");
            problems.push(Problem::value(key, &entry.origin, message));
        }
        value
    }
}

impl BranchEntries {
    fn gather(
        entries: &mut Entries,
        source: &Arc<Source>,
        origin: Origin,
        item: &DeValue<'_>,
    ) -> Self {
        let mut branch = Self {
            origin: origin.clone(),
            to: None,
            selector: None,
        };
        let Some(table) = item.as_table() else {
            branch.to = entries.entry("forward_to", raw(item), origin);
            return branch;
        };
        for (name, value) in table {
            let key = join("forward_to", name.get_ref());
            let origin = Origin::File {
                source: Arc::clone(source),
                key: name.span(),
                value: value.span(),
            };
            let place = match &**name.get_ref() {
                "to" => &mut branch.to,
                "selector" => &mut branch.selector,
                _ => {
                    let known = ["forward_to.to", "forward_to.selector"];
                    entries.problems.push(stranger(&key, &origin, &known));
                    continue;
                }
            };
            *place = entries.entry(&key, raw(value.get_ref()), origin);
        }
        branch
    }

    fn read(&self, problems: &mut Vec<Problem>) -> Option<Branch> {
        let to = concrete(self.to.as_ref(), "forward_to", &self.origin, problems);
        let Some(entry) = &self.selector else {
            return Some(Branch {
                to: to?,
                selector: None,
            });
        };
        let parsed = if let Raw::Text(text) = &entry.raw {
            Selector::parse(text).map_err(|error| error.to_string())
        } else {
            Err(format!("it is text; found {}", entry.raw.found()))
        };
        match parsed {
            Ok(selector) => Some(Branch {
                to: to?,
                selector: Some(selector),
            }),
            Err(error) => {
                let message = format!("`selector` cannot be read: {error}");
                problems.push(Problem::value("selector", &entry.origin, message));
                None
            }
        }
    }
}

/// A destination by its one name.
fn concrete(
    entry: Option<&Entry>,
    key: &str,
    otherwise: &Origin,
    problems: &mut Vec<Problem>,
) -> Option<DestinationName> {
    let help = "write queue://NAME or topic://NAME";
    let Some(entry) = entry else {
        let message = format!("`{key}` names no destination");
        problems.push(Problem::key(key, otherwise, message).with_help(help));
        return None;
    };
    let Raw::Text(text) = &entry.raw else {
        let message = format!("`{key}` takes a destination; found {}", entry.raw.found());
        problems.push(Problem::value(key, &entry.origin, message).with_help(help));
        return None;
    };
    let (kind, name) = split_kind(text);
    let strange = name.contains("://") || name.starts_with('/') || name.contains(',');
    let wrong = match DestinationName::new(kind.unwrap_or(Kind::Queue), name) {
        Ok(_) if strange => format!("`{key}` takes one destination; found \"{text}\""),
        Ok(_) if Pattern::new(name).is_wildcard() => {
            format!("`{key}` takes one destination; \"{text}\" is a pattern")
        }
        Ok(name) => return Some(name),
        Err(error) => format!("`{key}` names no destination: {error}"),
    };
    problems.push(Problem::value(key, &entry.origin, wrong).with_help(help));
    None
}

fn stranger(key: &str, origin: &Origin, known: &[&str]) -> Problem {
    let message = format!("unknown setting `{key}` in a composite destination");
    let problem = Problem::key(key, origin, message);
    match nearest_of(key, known.iter().map(|known| (*known).to_owned())) {
        Some(known) => problem.with_help(format!("did you mean `{known}`?")),
        None => problem,
    }
}

/// Finds composite destinations that are there twice, or lead to each other.
pub(super) fn sense(all: &[CompositeDestination], entries: &Entries) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, (composite, written)) in all.iter().zip(&entries.composites).enumerate() {
        let mut earlier = all.iter().take(number);
        if earlier.any(|other| other.name == composite.name) {
            let message = format!("{} is a composite destination twice", composite.name);
            problems.push(Problem::key("composite", &written.origin, message));
        }
    }
    let composites = Composites::new(all.iter().cloned());
    if let Some((one, other)) = composites.round() {
        let message = format!("messages to {one} and {other} would go round in circles");
        let written = all.iter().zip(&entries.composites);
        let origin = written
            .filter(|(composite, _)| composite.name == *other)
            .map(|(_, written)| &written.origin)
            .next_back();
        let origin = origin.unwrap_or(&Origin::Default);
        problems.push(Problem::key("composite", origin, message));
    }
    problems
}

#[cfg(test)]
mod tests;
