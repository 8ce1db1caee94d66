//! Keeps the house: who imports whom, how long files and functions are, words that do not belong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// What each floor may import from the others, its own name aside.
const FLOORS: [(&str, &[&str]); 8] = [
    ("core", &[]),
    ("codec", &[]),
    ("store", &["core"]),
    ("broker", &["core", "store"]),
    ("protocol", &["core", "codec"]),
    ("embed", &["core", "broker"]),
    ("cli", &["core", "codec"]),
    ("server", &["core", "codec", "store", "broker", "protocol"]),
];

/// Floors that know no clock, no socket, no thread, no lock and no randomness.
const PURE: [&str; 3] = ["core", "codec", "protocol"];

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory.
fn sources(directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let skipped = ["target", "node_modules", ".venv", "corpus"];
                if !skipped.iter().any(|name| path.ends_with(name)) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "nothing below {directory}");
    found
}

fn everything() -> Vec<Source> {
    ["src", "tests", "benches", "fuzz"]
        .iter()
        .flat_map(|directory| sources(directory))
        .collect()
}

/// The floor that a file of `src` belongs to.
fn floor(path: &str) -> Option<&str> {
    let rest = Path::new(path).strip_prefix("src").ok()?;
    rest.components().next()?.as_os_str().to_str()
}

/// Whether a file holds tests only.
fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.ends_with("contract.rs")
}

/// The part of a file that is not tests.
fn product(source: &Source) -> &str {
    if is_test(&source.path) {
        return "";
    }
    let tests = [
        "#[cfg(test)]\nmod tests {",
        "#[cfg(test)]\npub(super) mod tests {",
    ];
    let end = tests
        .iter()
        .filter_map(|start| source.text.find(start))
        .min();
    &source.text[..end.unwrap_or(source.text.len())]
}

/// The floors that a file names by `crate::`.
fn imports(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text
        .match_indices("crate::")
        .filter_map(|(index, word)| {
            let before = text[..index].chars().next_back();
            let qualified = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            let rest = &text[index + word.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            (!qualified).then_some(&rest[..end])
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn wrong_imports(source: &Source) -> Vec<String> {
    let Some((own, allowed)) =
        floor(&source.path).and_then(|own| FLOORS.iter().find(|(name, _)| *name == own))
    else {
        return Vec::new();
    };
    imports(&source.text)
        .into_iter()
        .filter(|name| name != own && FLOORS.iter().any(|(floor, _)| floor == name))
        .filter(|name| !allowed.contains(name))
        .map(|name| format!("{}: {own} must not import {name}", source.path))
        .collect()
}

/// Functions that are too long, by the lines from their first brace to the matching indentation.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let words = [
            "fn ",
            "pub fn ",
            "pub(super) fn ",
            "pub(crate) fn ",
            "async fn ",
            "pub async fn ",
            "pub(super) async fn ",
            "const fn ",
            "pub const fn ",
            "pub(super) const fn ",
        ];
        if !words.iter().any(|word| trimmed.starts_with(word)) {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let end = lines[start..].iter().position(|line| {
            let depth = line.len() - line.trim_start().len();
            depth == indent
                && (line.trim_start().starts_with('}') || line.trim_end().ends_with(';'))
                || line.len() == indent + 1 && line.ends_with('}')
        });
        let length = end.unwrap_or(0) + 1;
        if length > FUNCTION_LINES {
            found.push(format!(
                "{}:{}: a function of {length} lines",
                source.path,
                start + 1
            ));
        }
    }
    found
}

fn forbidden_words(path: &str, text: &str) -> Vec<String> {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let machine = [["/ro", "ot/"].concat(), ["/ho", "me/"].concat()];
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let bad = marks.iter().any(|mark| line.contains(mark.as_str()))
            || machine.iter().any(|place| line.contains(place.as_str()));
        if bad {
            found.push(format!("{path}:{}: {line}", number + 1));
        }
    }
    found
}

fn panics(source: &Source) -> Vec<String> {
    let words = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "todo!(",
        "unimplemented!(",
        "dbg!(",
    ];
    product(source)
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(number, line)| format!("{}:{}: {}", source.path, number + 1, line.trim()))
        .collect()
}

#[track_caller]
fn none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn floors_import_only_floors_below() {
    let found: Vec<_> = sources("src").iter().flat_map(wrong_imports).collect();
    none(&found, "imports upwards");
}

#[test]
fn pure_floors_know_no_outside_world() {
    let words = [
        "std::time::Instant",
        "SystemTime",
        "std::net",
        "std::thread",
        "tokio",
        "parking_lot",
        "std::fs",
        "tracing",
        "Mutex",
        "RwLock",
    ];
    let mut found = Vec::new();
    for source in sources("src") {
        if floor(&source.path).is_some_and(|floor| PURE.contains(&floor)) {
            let lines = product(&source)
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let bad = lines.filter(|line| words.iter().any(|word| line.contains(word)));
            found.extend(bad.map(|line| format!("{}: {line}", source.path)));
        }
    }
    none(&found, "a pure floor reaches outside");
}

#[test]
fn files_are_rooms() {
    let long: Vec<_> = everything()
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES)
        .map(|(source, lines)| format!("{}: {lines} lines", source.path))
        .collect();
    none(&long, "files that are too long");
}

#[test]
fn functions_fit_a_screen() {
    let found: Vec<_> = sources("src").iter().flat_map(long_functions).collect();
    none(&found, "functions that are too long");
}

#[test]
fn every_file_says_what_it_is_about() {
    let found: Vec<_> = sources("src")
        .into_iter()
        .filter(|source| source.path != "src/lib.rs" && !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    none(&found, "files without an introduction");
}

#[test]
fn nothing_panics_on_purpose() {
    let found: Vec<_> = sources("src").iter().flat_map(panics).collect();
    none(&found, "panics");
}

#[test]
fn words_that_do_not_belong() {
    let mut found: Vec<_> = everything()
        .iter()
        .filter(|source| source.path != "tests/tidy.rs")
        .flat_map(|source| forbidden_words(&source.path, &source.text))
        .collect();
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        found.extend(forbidden_words(
            page,
            &fs::read_to_string(root().join(page)).unwrap(),
        ));
    }
    none(&found, "words");
    let named = sources("src")
        .into_iter()
        .any(|source| source.path.contains("utils"));
    assert!(!named, "a module that is named for nothing");
}

#[test]
fn each_check_can_fail() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    assert_eq!(
        wrong_imports(&source("src/core/a.rs", "use crate::store::Batch;")).len(),
        1
    );
    assert_eq!(
        wrong_imports(&source("src/broker/a.rs", "use crate::protocol::Code;")).len(),
        1
    );
    assert!(wrong_imports(&source("src/store/a.rs", "use crate::core::Message;")).is_empty());
    let body = "    let x = 1;\n".repeat(FUNCTION_LINES);
    assert_eq!(
        long_functions(&source("a", &format!("fn long() {{\n{body}}}\n"))).len(),
        1
    );
    assert!(long_functions(&source("a", "fn short() {\n    1\n}\n")).is_empty());
    assert_eq!(
        panics(&source(
            "src/a.rs",
            "x.unwrap();\n#[cfg(test)]\nmod tests {\n y.unwrap();"
        ))
        .len(),
        1
    );
    assert_eq!(forbidden_words("a", &["TO", "DO later"].concat()).len(), 1);
}
