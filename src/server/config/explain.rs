//! Which value each setting of one destination has, and where it was written.

use std::fmt;

use super::Loaded;
use super::load::{Entries, Entry};
use super::policy::{self, PolicyEntries, split_kind};
use super::problem::Origin;
use super::setting::Setting;
use crate::core::{DestinationName, Kind, NameError, PolicyRule};

/// Reads a destination as clients spell it: a bare name is a queue, and commas make a list.
///
/// # Errors
/// When no destination can have that name.
pub fn destination(text: &str) -> Result<DestinationName, NameError> {
    let one = |text: &str| {
        let (kind, name) = split_kind(text.trim());
        DestinationName::new(kind.unwrap_or(Kind::Queue), name)
    };
    if !text.contains(',') {
        return one(text);
    }
    let parts = text.split(',').map(one).collect::<Result<Vec<_>, _>>()?;
    DestinationName::composite(&parts)
}

/// All settings of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The destination.
    pub destination: DestinationName,
    /// The policies that concern it, from general to specific: the pattern, and where it is.
    pub policies: Vec<(String, String)>,
    /// Its settings.
    pub settings: Vec<ExplainedSetting>,
}

/// One setting of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedSetting {
    /// The setting.
    pub key: &'static str,
    /// Its value, as it is written in TOML.
    pub value: String,
    /// Where it was written: file, line and column, or `default`.
    pub origin: String,
    /// The pattern of the policy that sets it, if one does.
    pub policy: Option<String>,
}

impl Loaded {
    /// Says what holds for a destination.
    pub fn explain(&self, destination: &DestinationName) -> Explained {
        let matching = matching(&self.entries, destination);
        let settings = policy::settings()
            .filter(|setting| policy::concerns(setting.key, destination.kind()))
            .map(|setting| explain(&self.entries, &matching, setting))
            .collect();
        let policies = matching.iter();
        Explained {
            destination: destination.clone(),
            policies: policies
                .map(|(rule, policy)| (shown(rule), policy.origin.exact()))
                .collect(),
            settings,
        }
    }
}

/// The policies that concern a destination, from general to specific.
fn matching<'e>(
    entries: &'e Entries,
    destination: &DestinationName,
) -> Vec<(PolicyRule, &'e PolicyEntries)> {
    let mut matching: Vec<_> = entries
        .policies
        .iter()
        .filter_map(|policy| Some((policy.rule()?, policy)))
        .filter(|(rule, _)| rule.matches(destination))
        .collect();
    matching.sort_by(|(rule, _), (other, _)| rule.cmp_specificity(other));
    matching
}

fn explain(
    entries: &Entries,
    matching: &[(PolicyRule, &PolicyEntries)],
    setting: &'static Setting,
) -> ExplainedSetting {
    let by_policy = matching.iter().rev().find_map(|(rule, policy)| {
        let entry = policy.by_key.get(setting.key)?;
        Some((entry, Some(shown(rule))))
    });
    let found = by_policy.or_else(|| Some((entries.by_key.get(setting.key)?, None)));
    let of = |entry: &Entry| (setting.kind.toml(&entry.raw.word()), entry.origin.exact());
    let (value, origin) = match &found {
        Some((entry, _)) => of(entry),
        None => (setting.kind.toml(setting.default), Origin::Default.exact()),
    };
    ExplainedSetting {
        key: setting.key,
        value,
        origin,
        policy: found.and_then(|(_, policy)| policy),
    }
}

fn shown(rule: &PolicyRule) -> String {
    match rule.kind {
        Some(kind) => format!("{}://{}", kind.word(), rule.pattern),
        None => rule.pattern.to_string(),
    }
}

impl Explained {
    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        let policies = self.policies.iter();
        let policies = policies
            .map(|(matches, origin)| serde_json::json!({ "match": matches, "origin": origin }));
        let settings = self.settings.iter().map(|setting| {
            serde_json::json!({
                "key": setting.key,
                "value": setting.value,
                "origin": setting.origin,
                "policy": setting.policy,
            })
        });
        serde_json::json!({
            "destination": self.destination.to_string(),
            "policies": policies.collect::<Vec<_>>(),
            "settings": settings.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Explained {
    /// A line for each setting, as `--print-config` has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.destination)?;
        match self.policies.as_slice() {
            [] => writeln!(f, "# No policy concerns it.")?,
            policies => {
                writeln!(f, "# Policies, the later winning over the earlier:")?;
                for (matches, origin) in policies {
                    writeln!(f, "#   {matches:<34} {origin}")?;
                }
            }
        }
        for setting in &self.settings {
            let line = format!("{} = {}", setting.key, setting.value);
            match &setting.policy {
                Some(policy) => writeln!(f, "{line:<40} # {}, policy {policy}", setting.origin)?,
                None => writeln!(f, "{line:<40} # {}", setting.origin)?,
            }
        }
        Ok(())
    }
}
