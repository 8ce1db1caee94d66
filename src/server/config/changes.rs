//! What is different between two configurations.

use super::Loaded;
use super::check::settings;
use super::declared::PER_DESTINATION;
use super::load::Entries;
use super::setting::Setting;

/// A setting with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// Whether a running broker takes it over.
    pub live: bool,
}

impl Loaded {
    /// The settings whose values are others in `next`.
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for setting in settings() {
            for name in names(setting, &self.entries, &next.entries) {
                let key = setting.key.replace('*', &name);
                if word(&self.entries, &key, setting) != word(&next.entries, &key, setting) {
                    let table = key.split('.').next().unwrap_or_default();
                    let live = PER_DESTINATION.contains(&table);
                    changes.push(Change { key, live });
                }
            }
        }
        if self.settings.policies != next.settings.policies {
            let key = "policy".to_owned();
            changes.push(Change { key, live: true });
        }
        if self.settings.composites != next.settings.composites {
            let key = "composite".to_owned();
            changes.push(Change { key, live: false });
        }
        changes
    }
}

/// What `*` stands for in the key of a setting.
fn names(setting: &Setting, old: &Entries, new: &Entries) -> Vec<String> {
    if !setting.key.contains('*') {
        return vec![String::new()];
    }
    let mut names = old.listeners();
    names.extend(new.listeners());
    names.sort();
    names.dedup();
    names
}

fn word(entries: &Entries, key: &str, setting: &Setting) -> String {
    let entry = entries.by_key.get(key);
    entry.map_or_else(|| setting.default.to_owned(), |entry| entry.raw.word())
}
