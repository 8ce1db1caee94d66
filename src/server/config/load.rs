//! Puts together what files, environment and flags say, key by key; the last word wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check;
use super::composite::CompositeEntries;
use super::declared::BASE;
use super::policy::{self, PolicyEntries};
use super::problem::{Origin, Problem, Source};
use super::setting::{Kind, Raw};
use super::substitute;

const ENVIRONMENT_PREFIX: &str = "TIDEGATE__";
const FILE_SUFFIX: &str = "__FILE";

/// Tables of which there may be any number, in files only.
pub(super) const LISTS: [&str; 2] = ["policy", "composite"];

/// Where a configuration is read from, the weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The main file; beside it, `conf.d/*.toml` is read in the order of the names.
    pub file: Option<PathBuf>,
    /// The environment; only names that begin with `TIDEGATE__` count.
    pub environment: Vec<(String, String)>,
    /// What the command line says.
    pub overrides: Vec<Override>,
}

/// One setting on the command line.
#[derive(Clone, Debug)]
pub struct Override {
    /// The setting's key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The flag as it was written, for errors.
    pub flag: String,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// All that was written, by full key, and what was wrong with it so far.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) by_key: BTreeMap<String, Entry>,
    pub(super) policies: Vec<PolicyEntries>,
    pub(super) composites: Vec<CompositeEntries>,
    pub(super) problems: Vec<Problem>,
}

impl Entries {
    /// Reads all sources.
    pub(super) fn gather(sources: &Sources) -> Self {
        let mut entries = Self::default();
        for (key, value) in BASE {
            entries.insert(key, Raw::Word(value.to_owned()), Origin::Default);
        }
        if let Some(main) = &sources.file {
            for path in files(main, &mut entries.problems) {
                entries.read_file(&path);
            }
        }
        for (name, value) in &sources.environment {
            entries.read_variable(name, value);
        }
        for given in &sources.overrides {
            let origin = Origin::Flag(given.flag.clone());
            entries.insert(&given.key, Raw::Word(given.value.clone()), origin);
        }
        entries
    }

    fn insert(&mut self, key: &str, raw: Raw, origin: Origin) {
        if let Some(entry) = self.entry(key, raw, origin) {
            self.by_key.insert(key.to_owned(), entry);
        }
    }

    /// A value with its references replaced; `None` after noting a problem.
    pub(super) fn entry(&mut self, key: &str, raw: Raw, origin: Origin) -> Option<Entry> {
        match substitute::apply(raw) {
            Ok(raw) => Some(Entry { raw, origin }),
            Err(error) => {
                let problem = Problem::value(key, &origin, error.to_string());
                self.problems.push(problem);
                None
            }
        }
    }

    fn read_file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.read_text(Source { path: name, text }),
            Err(error) => {
                let message = format!("cannot read {name}: {error}");
                self.problems
                    .push(Problem::value("", &Origin::Default, message));
            }
        }
    }

    /// Takes over a file's text.
    pub(super) fn read_text(&mut self, source: Source) {
        let source = Arc::new(source);
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let origin = Origin::File {
                source: Arc::clone(&source),
                key: span.clone(),
                value: span,
            };
            let message = format!("not TOML: {}", error.message().replace('\n', ", "));
            self.problems.push(Problem::value("", &origin, message));
        }
        self.read_table(&source, "", table.get_ref());
    }

    fn read_table(&mut self, source: &Arc<Source>, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            let origin = Origin::File {
                source: Arc::clone(source),
                key: name.span(),
                value: value.span(),
            };
            let value = value.get_ref();
            if let Some(inner) = value.as_table().filter(|_| check::is_table(&key)) {
                self.read_table(source, &key, inner);
            } else if let Some(items) = value.as_array().filter(|_| key == "listener") {
                self.read_listeners(source, &origin, items);
            } else if let Some(items) = value.as_array().filter(|_| LISTS.contains(&key.as_str())) {
                self.read_list(source, &origin, &key, items);
            } else {
                self.insert(&key, raw(value), origin);
            }
        }
    }

    /// A list of tables, which are added to those of other files.
    fn read_list(
        &mut self,
        source: &Arc<Source>,
        origin: &Origin,
        key: &str,
        items: &[Spanned<DeValue<'_>>],
    ) {
        for item in items {
            let Some(table) = item.get_ref().as_table() else {
                self.problems.push(not_a_list(key, origin));
                continue;
            };
            let here = Origin::File {
                source: Arc::clone(source),
                key: item.span(),
                value: item.span(),
            };
            if key == "policy" {
                let policy = PolicyEntries::gather(self, source, here, table);
                self.policies.push(policy);
            } else {
                let composite = CompositeEntries::gather(self, source, here, table);
                self.composites.push(composite);
            }
        }
    }

    fn read_listeners(
        &mut self,
        source: &Arc<Source>,
        origin: &Origin,
        items: &[Spanned<DeValue<'_>>],
    ) {
        let mut seen = Vec::new();
        for item in items {
            let here = Origin::File {
                source: Arc::clone(source),
                key: item.span(),
                value: item.span(),
            };
            let Some(table) = item.get_ref().as_table() else {
                let message = "`listener` is a list of tables: write [[listener]]".to_owned();
                self.problems
                    .push(Problem::value("listener", origin, message));
                continue;
            };
            let Some(name) = table.get("name").and_then(|name| name.get_ref().as_str()) else {
                let problem = Problem::key("listener", &here, "a listener needs a name".to_owned());
                self.problems
                    .push(problem.with_help("add name = \"...\" below [[listener]]"));
                continue;
            };
            if seen.contains(&name) {
                let message = format!("this file has two listeners named \"{name}\"");
                self.problems.push(Problem::key("listener", &here, message));
            }
            seen.push(name);
            let mut rest = table.clone();
            rest.remove("name");
            let path = format!("listener.{name}");
            self.by_key
                .entry(format!("{path}.enabled"))
                .or_insert_with(|| Entry {
                    raw: Raw::Word("true".to_owned()),
                    origin: Origin::Default,
                });
            self.read_table(source, &path, &rest);
        }
    }

    fn read_variable(&mut self, name: &str, value: &str) {
        let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            return;
        };
        let origin = Origin::Environment(name.to_owned());
        let (path, from_file) = match path.strip_suffix(FILE_SUFFIX) {
            Some(path) => (path, true),
            None => (path, false),
        };
        let key = path.to_ascii_lowercase().replace("__", ".");
        if !from_file {
            self.insert(&key, Raw::Word(value.to_owned()), origin);
            return;
        }
        match substitute::file(value) {
            Ok(text) => {
                self.by_key.insert(
                    key,
                    Entry {
                        raw: Raw::Word(text),
                        origin,
                    },
                );
            }
            Err(error) => {
                self.problems
                    .push(Problem::value(&key, &origin, error.to_string()));
            }
        }
    }

    /// The listeners' names.
    pub(super) fn listeners(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .by_key
            .keys()
            .filter_map(|key| key.strip_prefix("listener.")?.split_once('.'))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.dedup();
        names
    }
}

/// What is said where one table, or something else, stands for a list of tables.
pub(super) fn not_a_list(key: &str, origin: &Origin) -> Problem {
    let message = format!("`{key}` is a list of tables: write [[{key}]]");
    Problem::value(key, origin, message)
}

/// The main file, then those of `conf.d` beside it.
fn files(main: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let directory = main.parent().unwrap_or(Path::new("")).join("conf.d");
    match std::fs::read_dir(&directory) {
        Ok(listing) => files.extend(listing.filter_map(|entry| Some(entry.ok()?.path())).filter(
            |path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            },
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            let message = format!("cannot list {}: {error}", directory.display());
            problems.push(Problem::value("", &Origin::Default, message));
        }
    }
    files.sort();
    files.insert(0, main.to_owned());
    files
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

pub(super) fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Number(number.as_str().to_owned()),
        DeValue::Integer(_) => Raw::Other("number that is not decimal"),
        DeValue::Float(number) => Raw::Number(number.as_str().to_owned()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Datetime(_) => Raw::Other("date"),
        DeValue::Table(_) => Raw::Other("table"),
        DeValue::Array(items) => {
            let texts = items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned));
            texts
                .collect::<Option<_>>()
                .map_or(Raw::Other("array"), Raw::List)
        }
    }
}

/// Hands out typed values and collects what is wrong with them.
pub(super) struct Reader<'a> {
    entries: &'a BTreeMap<String, Entry>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(entries: &'a BTreeMap<String, Entry>) -> Self {
        Self {
            entries,
            problems: Vec::new(),
        }
    }

    /// The value of `pattern`, in which `*` stands for `name`; `None` after noting a problem.
    pub(super) fn read<K: Kind>(
        &mut self,
        pattern: &str,
        name: &str,
        kind: &K,
        default: &str,
    ) -> Option<K::Value> {
        let key = pattern.replace('*', name);
        let fallback = Entry {
            raw: Raw::Word(default.to_owned()),
            origin: Origin::Default,
        };
        let entry = self.entries.get(&key).unwrap_or(&fallback);
        self.typed(&key, entry, kind)
    }

    /// The value of a setting that a policy may have; `None` after noting a problem.
    #[allow(clippy::option_option, reason = "not set is one thing, wrong another")]
    pub(super) fn read_change<K: Kind>(&mut self, key: &str, kind: &K) -> Option<Option<K::Value>> {
        match self.entries.get(key) {
            None => Some(None),
            Some(entry) => self.typed(policy::short(key), entry, kind).map(Some),
        }
    }

    fn typed<K: Kind>(&mut self, key: &str, entry: &Entry, kind: &K) -> Option<K::Value> {
        let value = kind.read(&entry.raw);
        if value.is_none() {
            let expected = kind.expects();
            let missing = entry.raw == Raw::Word(String::new());
            let message = if missing && matches!(entry.origin, Origin::Default) {
                format!("`{key}` has to be set: {expected}")
            } else {
                format!("`{key}` takes {expected}; found {}", entry.raw.found())
            };
            self.problems
                .push(Problem::value(key, &entry.origin, message));
        }
        value
    }
}
