//! What is wrong with a configuration, and where it was written.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// A configuration file's name and text, kept so that errors can quote it.
#[derive(Debug)]
pub(super) struct Source {
    /// The file's path as it was given.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Nobody wrote it.
    Default,
    /// A file.
    File {
        /// Which.
        source: Arc<Source>,
        /// The bytes of the key.
        key: Range<usize>,
        /// The bytes of the value.
        value: Range<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag(String),
}

/// A place in a file, counted from 1 as editors do.
struct Place<'a> {
    line: usize,
    column: usize,
    text: &'a str,
    carets: usize,
}

impl Source {
    fn place(&self, span: &Range<usize>) -> Place<'_> {
        let start = floor_boundary(&self.text, span.start);
        let end = floor_boundary(&self.text, span.end).max(start);
        let (before, rest) = self.text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_length = rest.find('\n').unwrap_or(rest.len());
        let indent = before.get(line_start..).unwrap_or("");
        let line = self.text.get(line_start..start + line_length).unwrap_or("");
        let within = rest.get(..(end - start).min(line_length)).unwrap_or("");
        Place {
            line: before.matches('\n').count() + 1,
            column: indent.chars().count() + 1,
            text: line.trim_end_matches('\r'),
            carets: within.chars().count().max(1),
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl Origin {
    /// The place in one word or two, for a comment beside the value.
    pub(super) fn short(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File { source, key, .. } => {
                format!("{}:{}", source.path, source.place(key).line)
            }
            Self::Environment(name) => format!("${name}"),
            Self::Flag(flag) => flag.clone(),
        }
    }
}

impl Origin {
    /// The place to the column, as editors take it.
    pub(super) fn exact(&self) -> String {
        match self {
            Self::File { source, key, .. } => {
                let place = source.place(key);
                format!("{}:{}:{}", source.path, place.line, place.column)
            }
            Self::Default | Self::Environment(_) | Self::Flag(_) => self.short(),
        }
    }
}

/// Which part of `key = value` is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The key that it is about; empty if the text could not be read at all.
    pub(super) key: String,
    /// One sentence.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
    /// Where it was written.
    pub(super) origin: Origin,
    /// What to point at.
    pub(super) part: Part,
}

impl Problem {
    pub(super) fn value(key: &str, origin: &Origin, message: String) -> Self {
        let (key, origin) = (key.to_owned(), origin.clone());
        Self {
            key,
            message,
            help: None,
            origin,
            part: Part::Value,
        }
    }

    pub(super) fn key(key: &str, origin: &Origin, message: String) -> Self {
        Self {
            part: Part::Key,
            ..Self::value(key, origin, message)
        }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    fn place(&self) -> Option<(&Source, Place<'_>)> {
        let Origin::File { source, key, value } = &self.origin else {
            return None;
        };
        let span = if self.part == Part::Key { key } else { value };
        Some((source, source.place(span)))
    }

    fn render(&self, out: &mut String) {
        let _ = writeln!(out, "error: {}", self.message);
        if let Some((source, place)) = self.place() {
            let line = place.line.to_string();
            let margin = " ".repeat(line.len());
            let carets = "^".repeat(place.carets);
            let indent: String = place
                .text
                .chars()
                .take(place.column - 1)
                .map(blank)
                .collect();
            let _ = writeln!(out, "{margin}--> {}:{line}:{}", source.path, place.column);
            let _ = writeln!(out, "{margin} |");
            let _ = writeln!(out, "{line} | {}", place.text);
            let _ = writeln!(out, "{margin} | {indent}{carets}");
        } else if !matches!(self.origin, Origin::Default) {
            let _ = writeln!(out, " --> {}", self.origin.short());
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  help: {help}");
        }
    }

    fn json(&self) -> serde_json::Value {
        let place = self.place();
        serde_json::json!({
            "key": self.key,
            "message": self.message,
            "help": self.help,
            "origin": self.origin.short(),
            "file": place.as_ref().map(|(source, _)| source.path.as_str()),
            "line": place.as_ref().map(|(_, place)| place.line),
            "column": place.as_ref().map(|(_, place)| place.column),
        })
    }
}

fn blank(character: char) -> char {
    if character == '\t' { '\t' } else { ' ' }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// The problems as JSON: `{"ok": false, "problems": [...]}`.
    pub fn json(&self) -> serde_json::Value {
        let problems: Vec<_> = self.0.iter().map(Problem::json).collect();
        serde_json::json!({ "ok": false, "problems": problems })
    }
}

impl std::error::Error for Problems {}

impl std::fmt::Display for Problems {
    /// Each problem with the line it is in and a caret below it, then their number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        for problem in &self.0 {
            problem.render(&mut out);
            out.push('\n');
        }
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{out}{count} error{plural} in the configuration")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> Problem {
        let source = Arc::new(Source {
            path: "t.toml".to_owned(),
            text: text.to_owned(),
        });
        let origin = Origin::File {
            source,
            key: 0..0,
            value: span,
        };
        Problem::value("a.b", &origin, "wrong".to_owned()).with_help("right")
    }

    #[test]
    fn the_caret_stands_below_the_value() {
        let text = "[a]\n\tb = \"x\"\nc = 1\n";
        let shown = Problems(vec![at(text, 9..12)]).to_string();
        let expected = "error: wrong\n --> t.toml:2:6\n  |\n2 | \tb = \"x\"\n  | \t    ^^^\n  \
                        help: right\n\n1 error in the configuration";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_span_outside_the_text_or_a_character_is_shown_somewhere() {
        let text = "\u{e4}\u{e4}";
        for span in [1..1, 3..99, 99..100, 4..4] {
            let shown = Problems(vec![at(text, span)]).to_string();
            assert!(shown.contains("t.toml:1:"), "{shown}");
        }
        assert!(
            Problems(vec![at("", 0..0)])
                .to_string()
                .contains("t.toml:1:1")
        );
    }

    #[test]
    fn json_names_file_line_and_column() {
        let json = Problems(vec![at("x\ny = 2", 6..7)]).json();
        assert_eq!(json["problems"][0]["line"], 2);
        assert_eq!(json["problems"][0]["column"], 5);
        assert_eq!(json["problems"][0]["key"], "a.b");
        assert_eq!(json["ok"], false);
    }
}
