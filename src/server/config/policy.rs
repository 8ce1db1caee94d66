//! [[policy]]: settings for the destinations that a pattern matches.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::DeTable;

use super::check::nearest_of;
use super::declared::{
    DeadLetterChange, DestinationChange, GroupsChange, PER_DESTINATION, RedeliveryChange, SECTIONS,
};
use super::load::{Entries, Entry, Reader, join, raw};
use super::problem::{Origin, Problem, Source};
use super::setting::{Raw, Setting};
use crate::core::{DestinationName, Kind, Pattern, PolicyChange, PolicyRule};

/// Settings that are of no effect for topics.
const QUEUES_ONLY: [&str; 7] = [
    "destination.prefetch",
    "destination.max_bytes",
    "destination.max_messages",
    "destination.when_full",
    "dead_letter.max_bytes",
    "redelivery.",
    "groups.",
];

/// Settings that are of no effect for queues.
const TOPICS_ONLY: [&str; 1] = ["destination.topic_prefetch"];

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Only queues, only topics, or both.
    pub kind: Option<Kind>,
    /// Which names.
    pub pattern: Pattern,
    /// What it changes of `[destination]`.
    pub destination: DestinationChange,
    /// What it changes of `[dead_letter]`.
    pub dead_letter: DeadLetterChange,
    /// What it changes of `[redelivery]`.
    pub redelivery: RedeliveryChange,
    /// What it changes of `[groups]`.
    pub groups: GroupsChange,
}

/// A policy as it was written.
#[derive(Clone, Debug)]
pub(super) struct PolicyEntries {
    pub(super) origin: Origin,
    /// What it matches.
    pub(super) target: Option<Entry>,
    /// Its settings, by their full keys.
    pub(super) by_key: BTreeMap<String, Entry>,
}

/// Every setting that a policy may have.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    let tables = const { &SECTIONS }.iter();
    tables
        .filter(|section| PER_DESTINATION.contains(&section.path))
        .flat_map(|section| section.settings)
}

/// A setting's key as it is written in a policy: those of `[destination]` stand there by themselves.
pub(super) fn short(key: &str) -> &str {
    key.strip_prefix("destination.").unwrap_or(key)
}

/// The full key of a setting in a policy.
fn full(key: &str) -> String {
    let own = format!("destination.{key}");
    if settings().any(|setting| setting.key == own) {
        own
    } else {
        key.to_owned()
    }
}

/// Whether a setting has an effect on destinations of a kind.
pub(super) fn concerns(key: &str, kind: Kind) -> bool {
    let without: &[&str] = match kind {
        Kind::Queue => &TOPICS_ONLY,
        Kind::Topic => &QUEUES_ONLY,
    };
    !without.iter().any(|prefix| key.starts_with(prefix))
}

impl PolicyEntries {
    /// Takes a table over.
    pub(super) fn gather(
        entries: &mut Entries,
        source: &Arc<Source>,
        origin: Origin,
        table: &DeTable<'_>,
    ) -> Self {
        let mut policy = Self {
            origin,
            target: None,
            by_key: BTreeMap::new(),
        };
        policy.read_table(entries, source, "", table);
        policy
    }

    fn read_table(
        &mut self,
        entries: &mut Entries,
        source: &Arc<Source>,
        path: &str,
        table: &DeTable<'_>,
    ) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            let origin = Origin::File {
                source: Arc::clone(source),
                key: name.span(),
                value: value.span(),
            };
            let value = value.get_ref();
            let below = format!("{key}.");
            let is_table = settings().any(|setting| short(setting.key).starts_with(&below));
            if let Some(inner) = value.as_table().filter(|_| is_table) {
                self.read_table(entries, source, &key, inner);
            } else if let Some(entry) = entries.entry(&key, raw(value), origin) {
                if key == "match" {
                    self.target = Some(entry);
                } else {
                    self.by_key.insert(full(&key), entry);
                }
            }
        }
    }

    /// Finds keys that mean nothing in a policy, or nothing for what it matches.
    pub(super) fn strangers(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let kind = self.matches().ok().and_then(|(kind, _)| kind);
        for (key, entry) in &self.by_key {
            let shown = short(key);
            if !settings().any(|setting| setting.key == *key) {
                problems.push(stranger(key, entry));
            } else if let Some(kind) = kind.filter(|kind| !concerns(key, *kind)) {
                let message = format!("`{shown}` has no effect on a {}", kind.word());
                let help = match kind {
                    Kind::Topic if shown == "prefetch" => "did you mean `topic_prefetch`?",
                    Kind::Queue if shown == "topic_prefetch" => "did you mean `prefetch`?",
                    Kind::Topic => "take it out, or let the policy match queues",
                    Kind::Queue => "take it out, or let the policy match topics",
                };
                problems.push(Problem::key(shown, &entry.origin, message).with_help(help));
            }
        }
        problems
    }

    /// The typed policy; `None` after noting what is wrong.
    pub(super) fn read(&self, problems: &mut Vec<Problem>) -> Option<Policy> {
        let target = self.matches().map_err(|problem| problems.push(*problem));
        let mut reader = Reader::new(&self.by_key);
        let destination = DestinationChange::read(&mut reader);
        let dead_letter = DeadLetterChange::read(&mut reader);
        let redelivery = RedeliveryChange::read(&mut reader);
        let groups = GroupsChange::read(&mut reader);
        problems.append(&mut reader.problems);
        let (kind, pattern) = target.ok()?;
        Some(Policy {
            kind,
            pattern,
            destination: destination?,
            dead_letter: dead_letter?,
            redelivery: redelivery?,
            groups: groups?,
        })
    }

    /// What it matches.
    fn matches(&self) -> Result<(Option<Kind>, Pattern), Box<Problem>> {
        let Some(entry) = &self.target else {
            let message = "a policy needs a pattern of names".to_owned();
            let problem = Problem::key("policy", &self.origin, message)
                .with_help("add match = \"queue://orders.>\" below [[policy]]");
            return Err(Box::new(problem));
        };
        let wrong = |message: String| {
            let help = "write queue://NAME or topic://NAME, or NAME for both; `*` is any one level, `>` \
                        at the end any further ones";
            Box::new(Problem::value("match", &entry.origin, message).with_help(help))
        };
        let Raw::Text(text) = &entry.raw else {
            let found = entry.raw.found();
            return Err(wrong(format!(
                "`match` takes a pattern of names; found {found}"
            )));
        };
        let (kind, name) = split_kind(text);
        let strange = name.contains("://") || name.starts_with('/') || name.contains(',');
        match DestinationName::queue(name) {
            Ok(_) if strange => Err(wrong(format!(
                "`match` takes one pattern; found \"{text}\""
            ))),
            Ok(_) => Ok((kind, Pattern::new(name))),
            Err(error) => Err(wrong(format!("`match` names no destination: {error}"))),
        }
    }

    /// As a rule that changes nothing, to see what it matches and how specific it is.
    pub(super) fn rule(&self) -> Option<PolicyRule> {
        let (kind, pattern) = self.matches().ok()?;
        Some(PolicyRule {
            kind,
            pattern,
            change: PolicyChange::default(),
        })
    }
}

/// Takes the kind off a name or pattern of destinations, in the spellings that clients use.
pub(super) fn split_kind(text: &str) -> (Option<Kind>, &str) {
    let prefixes = [
        ("queue://", Kind::Queue),
        ("/queue/", Kind::Queue),
        ("topic://", Kind::Topic),
        ("/topic/", Kind::Topic),
    ];
    let found = prefixes
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, text.strip_prefix(prefix)?)));
    match found {
        Some((kind, name)) => (Some(kind), name),
        None => (None, text),
    }
}

fn stranger(key: &str, entry: &Entry) -> Problem {
    let message = format!("unknown setting `{key}` in a policy");
    let problem = Problem::key(key, &entry.origin, message);
    if key.split('.').next() == Some("destination") {
        return problem.with_help("settings of [destination] stand in a policy by themselves");
    }
    if super::check::settings().any(|setting| setting.key == key) {
        return problem.with_help("it holds for the whole broker, not for single destinations");
    }
    let known = settings().map(|setting| short(setting.key));
    let known = known.chain(PER_DESTINATION).chain(["match"]);
    match nearest_of(key, known.map(str::to_owned)) {
        Some(known) => problem.with_help(format!("did you mean `{known}`?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests;
