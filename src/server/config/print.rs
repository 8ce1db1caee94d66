//! The configuration that holds, as a TOML file with the origin of each value.

use std::fmt::Write as _;

use super::composite::CompositeEntries;
use super::declared::SECTIONS;
use super::load::{Entries, Entry};
use super::policy::{self, PolicyEntries};
use super::setting::{Raw, Section, Setting, quoted};

/// Every setting with its value; what is not a default says where it was written.
pub(super) fn print(entries: &Entries) -> String {
    let mut out = String::new();
    for section in SECTIONS
        .iter()
        .filter(|section| !section.path.contains('*'))
    {
        let _ = writeln!(out, "[{}]", section.path);
        write_settings(&mut out, entries, section, "", section.path);
        out.push('\n');
    }
    for name in entries.listeners() {
        let _ = writeln!(out, "[[listener]]\nname = \"{name}\"");
        for section in SECTIONS.iter().filter(|section| section.path.contains('*')) {
            write_settings(&mut out, entries, section, &name, "listener.*");
        }
        out.push('\n');
    }
    for policy in &entries.policies {
        write_policy(&mut out, policy);
    }
    for composite in &entries.composites {
        write_composite(&mut out, composite);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn write_settings(out: &mut String, entries: &Entries, section: &Section, name: &str, at: &str) {
    for setting in section.settings {
        let key = setting
            .key
            .strip_prefix(at)
            .and_then(|key| key.strip_prefix('.'));
        let (value, origin) = value_of(entries, setting, name);
        let line = format!("{} = {value}", key.unwrap_or(setting.key));
        let _ = match origin {
            Some(origin) => writeln!(out, "{line:<40} # {origin}"),
            None => writeln!(out, "{line}"),
        };
    }
}

fn write_policy(out: &mut String, policy: &PolicyEntries) {
    let target = policy.target.as_ref().map(|entry| entry.raw.word());
    let target = target.unwrap_or_default();
    let _ = writeln!(out, "[[policy]]\nmatch = {}", quoted(&target));
    for setting in policy::settings() {
        if let Some(entry) = policy.by_key.get(setting.key) {
            let value = setting.kind.toml(&entry.raw.word());
            let line = format!("{} = {value}", policy::short(setting.key));
            let _ = writeln!(out, "{line:<40} # {}", entry.origin.short());
        }
    }
    out.push('\n');
}

fn write_composite(out: &mut String, composite: &CompositeEntries) {
    let quoted = |entry: &Entry| quoted(&entry.raw.word());
    let _ = writeln!(out, "[[composite]]");
    for (key, entry) in &composite.by_key {
        let value = if let Raw::Bool(value) = entry.raw {
            value.to_string()
        } else {
            quoted(entry)
        };
        let line = format!("{key} = {value}");
        let _ = writeln!(out, "{line:<40} # {}", entry.origin.short());
    }
    out.push_str("forward_to = [\n");
    for branch in &composite.branches {
        let to = branch.to.as_ref().map(quoted).unwrap_or_default();
        let _ = match branch.selector.as_ref().map(quoted) {
            Some(selector) => writeln!(out, "    {{ to = {to}, selector = {selector} }},"),
            None => writeln!(out, "    {to},"),
        };
    }
    out.push_str("]\n\n");
}

fn value_of(entries: &Entries, setting: &Setting, name: &str) -> (String, Option<String>) {
    match entries.by_key.get(&setting.key.replace('*', name)) {
        Some(entry) => {
            let origin = entry.origin.short();
            let origin = (origin != "default").then_some(origin);
            (setting.kind.toml(&entry.raw.word()), origin)
        }
        None => (setting.kind.toml(setting.default), None),
    }
}
