//! What is wrong beyond a single value: unknown keys, settings that are not built, settings that
//! contradict each other.

use std::net::SocketAddr;

use super::Settings;
use super::composite;
use super::declared::{Anonymous, SECTIONS};
use super::load::{Entries, Entry, LISTS, not_a_list};
use super::problem::{Origin, Problem};
use super::setting::Setting;
use super::units::Share;

/// Keys and tables that a reader of the documentation may expect, but that do nothing yet.
const NOT_SUPPORTED: [&str; 21] = [
    "auth.backends",
    "auth.cache",
    "auth.jwt",
    "auth.ldap",
    "bridge",
    "cluster",
    "http.console",
    "http.metrics_bind",
    "http.metrics_public",
    "listener.*.allowed_origins",
    "listener.*.idle_timeout",
    "listener.*.proxy_protocol",
    "listener.*.text_detection",
    "listener.*.tls",
    "log.audit",
    "metrics",
    "permission",
    "queue",
    "scheduler",
    "tls",
    "user",
];

/// Whether `key` is a table that settings are looked for in.
pub(super) fn is_table(key: &str) -> bool {
    settings().any(|setting| matches(setting.key, key).is_some_and(|rest| rest > 0))
}

/// Every setting.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    const { &SECTIONS }
        .iter()
        .flat_map(|section| section.settings)
}

/// How many segments of `pattern` are left after `key`, if `key` fits its beginning.
fn matches(pattern: &str, key: &str) -> Option<usize> {
    let mut rest = pattern.split('.');
    for segment in key.split('.') {
        let expected = rest.next()?;
        if expected != segment && expected != "*" {
            return None;
        }
    }
    Some(rest.count())
}

/// Finds keys that mean nothing and names that cannot be used.
pub(super) fn keys(entries: &Entries) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, entry) in &entries.by_key {
        if settings().any(|setting| matches(setting.key, key) == Some(0)) {
            continue;
        }
        problems.push(stranger(key, entry));
    }
    for policy in &entries.policies {
        problems.extend(policy.strangers());
    }
    for name in entries.listeners() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let origin = origin_of(entries, &format!("listener.{name}.bind"));
            let message = format!(
                "a listener's name has 1 to 64 letters, digits, `-` or `_`; found \"{name}\""
            );
            problems.push(Problem::key("listener", &origin, message));
        }
    }
    problems
}

fn stranger(key: &str, entry: &Entry) -> Problem {
    if let Some(list) = LISTS.iter().find(|list| covers(list, key)) {
        return not_a_list(list, &entry.origin)
            .with_help("it can be written in files only, not in variables or flags");
    }
    if is_table(key) {
        let message = format!("`{key}` is a table; found {}", entry.raw.found());
        return Problem::value(key, &entry.origin, message).with_help(format!(
            "set one of its settings, such as `{}`",
            first_in(key)
        ));
    }
    // A table that is not built is reported whole, one that is partly built by its setting.
    if NOT_SUPPORTED.iter().any(|known| covers(known, key)) {
        let message = format!("`{key}` is not supported yet");
        return Problem::key(key, &entry.origin, message)
            .with_help("take it out: the broker would not do what it says");
    }
    let problem = Problem::key(key, &entry.origin, format!("unknown setting `{key}`"));
    match nearest(key) {
        Some(known) => problem.with_help(format!("did you mean `{known}`?")),
        None => problem,
    }
}

fn covers(known: &str, key: &str) -> bool {
    let depth = known.split('.').count();
    let mut head = key.split('.').collect::<Vec<_>>();
    head.truncate(depth);
    matches(known, &head.join(".")) == Some(0)
}

fn first_in(table: &str) -> String {
    settings()
        .find(|setting| matches(setting.key, table).is_some())
        .map_or_else(String::new, |setting| named_like(setting.key, table))
}

/// The pattern with the listener's name that `key` has.
fn named_like(pattern: &str, key: &str) -> String {
    pattern.replace('*', key.split('.').nth(1).unwrap_or("stomp"))
}

fn nearest(key: &str) -> Option<String> {
    let tables = SECTIONS
        .iter()
        .map(|section| section.path.split('.').next().unwrap_or(""));
    let candidates = settings().map(|setting| named_like(setting.key, key));
    nearest_of(key, candidates.chain(tables.map(str::to_owned)))
}

/// That of some keys which somebody may have meant.
pub(super) fn nearest_of(key: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    candidates
        .map(|known| {
            // The right name in the wrong table is the next best thing to a slip of the finger.
            let misplaced = known.rsplit('.').next() == Some(last);
            let distance = strsim::damerau_levenshtein(&known, key);
            (if misplaced { distance.min(2) } else { distance }, known)
        })
        .min()
        .filter(|(distance, _)| *distance <= (key.len() / 4).clamp(1, 4))
        .map(|(_, known)| known)
}

fn origin_of(entries: &Entries, key: &str) -> Origin {
    entries
        .by_key
        .get(key)
        .map_or(Origin::Default, |entry| entry.origin.clone())
}

/// Finds settings that contradict each other.
pub(super) fn sense(settings: &Settings, entries: &Entries) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String, help: String| {
        let origin = origin_of(entries, key);
        problems.push(Problem::value(key, &origin, message).with_help(help));
    };
    addresses(settings, &mut wrong);
    for (name, listener) in &settings.listeners {
        let beat = &listener.heart_beat;
        if beat.min > beat.max {
            let key = format!("listener.{name}.heart_beat.min");
            let message = format!("`{key}` is longer than `listener.{name}.heart_beat.max`");
            wrong(&key, message, "lower one or raise the other".to_owned());
        }
    }
    let limits = &settings.limits;
    if let Share::Bytes(budget) = settings.memory.limit
        && limits.max_frame > budget
    {
        let message = "`limits.max_frame` is more than the whole `memory.limit`".to_owned();
        let help = "a message of that size could never be taken: lower one or raise the other";
        wrong("limits.max_frame", message, help.to_owned());
    }
    let warns_late = match (settings.disk.free_min, settings.disk.free_warn) {
        (Share::Bytes(min), Share::Bytes(warn)) => warn < min,
        (Share::Percent(min), Share::Percent(warn)) => warn < min,
        (Share::Bytes(_), Share::Percent(_)) | (Share::Percent(_), Share::Bytes(_)) => false,
    };
    if warns_late {
        let message = "`disk.free_warn` is less than `disk.free_min`".to_owned();
        let help = "the warning would come after the refusal: raise `disk.free_warn`";
        wrong("disk.free_warn", message, help.to_owned());
    }
    problems.extend(composite::sense(&settings.composites, entries));
    problems
}

fn addresses(settings: &Settings, wrong: &mut impl FnMut(&str, String, String)) {
    let mut bound: Vec<(String, SocketAddr)> = Vec::new();
    for (name, listener) in &settings.listeners {
        bound.push((format!("listener.{name}.bind"), listener.bind));
    }
    if let Some(bind) = settings.http.bind {
        bound.push(("http.bind".to_owned(), bind));
    }
    if bound.iter().all(|(key, _)| key == "http.bind") {
        let message = "no listener is enabled".to_owned();
        let help = "set `listener.stomp.enabled = true`".to_owned();
        wrong("listener.stomp.enabled", message, help);
    }
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    for (key, address) in &bound {
        if settings.auth.anonymous == Anonymous::Loopback && !address.ip().is_loopback() {
            let message = format!(
                "`{key}` would open {address} to the network, where anybody could connect \
                 without a password"
            );
            let help = format!(
                "bind it to 127.0.0.1:{}, or set `auth.anonymous = \"always\"` if the network \
                 is trusted",
                address.port()
            );
            wrong(key, message, help);
        }
        let twin = seen
            .iter()
            .find(|(_, other)| address.port() != 0 && other == address);
        if let Some((other, _)) = twin {
            let message = format!("`{key}` and `{other}` are both {address}");
            let help = "give one of them another port, or disable one listener".to_owned();
            wrong(key, message, help);
        }
        seen.push((key, *address));
    }
}
