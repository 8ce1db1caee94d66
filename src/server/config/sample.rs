//! The sample file: every setting with its help and its default, commented out.

use std::fmt::Write as _;

use super::declared::{BASE, SECTIONS};
use super::setting::{Section, Setting};

const INTRODUCTION: &str = "\
# The configuration of Tidegate. Everything has a default; an empty file is valid.
# A line that begins with `#` and a key shows the default: take the `#` off to change it.
#
# Later sources win: this file, then conf.d/*.toml beside it in the order of the names, then
# environment variables (TIDEGATE__LIMITS__MAX_CONNECTIONS=5000, or ...__FILE=/path to read the
# value from a file), then flags (--set limits.max_connections=5000).
# Inside strings, ${env:NAME} and ${file:/path} are replaced.
# `tidegate check-config FILE` finds mistakes, `tidegate --print-config` shows what holds.
";

const LISTS: &str = "
# Settings for some destinations only: those of [destination] by themselves, those of [dead_letter]
# and [groups] with the name of their table. `match` is queue://NAME, topic://NAME, or NAME for both;
# `*` in it is any one level of the name, `>` at its end any further ones. All policies that match
# count, each setting by itself, the more specific pattern before the more general one.
# `tidegate config explain queue://orders.eu` says what holds, and which line says so.
# [[policy]]
#   match = \"queue://orders.>\"
#   max_bytes = \"1GiB\"
#   dead_letter.queue = \"DLQ.{name}\"
#
# Destinations that stand for others; with a selector for what it matches only. `forward_only = false`
# keeps a copy, `send_when_not_matched = true` keeps what nobody else wants.
# `tidegate routes explain queue://orders` says where a message would go.
# [[composite]]
#   name = \"queue://orders\"
#   forward_to = [\"queue://archive\", { to = \"topic://large\", selector = \"amount > 1000\" }]
";

/// The text of the sample file.
pub fn sample() -> String {
    let mut out = INTRODUCTION.to_owned();
    for section in &SECTIONS {
        write_section(&mut out, section);
    }
    out.push_str(LISTS);
    out
}

fn write_section(out: &mut String, section: &Section) {
    out.push('\n');
    for line in section.about {
        let _ = writeln!(out, "#{line}");
    }
    // A table below a listener is one of its keys; the listener itself is an entry of a list.
    match section.path.strip_prefix("listener.*") {
        None => {
            let _ = writeln!(out, "[{}]", section.path);
        }
        Some("") => out.push_str("[[listener]]\nname = \"stomp\"\n"),
        Some(_) => {}
    }
    for setting in section.settings {
        for line in setting.help {
            let _ = writeln!(out, "#{line}");
        }
        let _ = writeln!(out, "#   Takes {}.", setting.kind.expects());
        let _ = writeln!(
            out,
            "#{} = {}",
            key_below(section, setting),
            default_of(setting)
        );
    }
}

fn key_below(section: &Section, setting: &Setting) -> &'static str {
    let table = if section.path.starts_with("listener.") {
        "listener.*"
    } else {
        section.path
    };
    setting
        .key
        .strip_prefix(table)
        .and_then(|key| key.strip_prefix('.'))
        .unwrap_or(setting.key)
}

fn default_of(setting: &Setting) -> String {
    let key = setting.key.replace('*', "stomp");
    let base = BASE
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, value)| *value);
    setting.kind.toml(base.unwrap_or(setting.default))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::tests::from_text;

    /// The sample with every setting's comment sign taken off.
    fn switched_on(sample: &str) -> String {
        let on = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
            _ => line.to_owned(),
        };
        sample.lines().map(on).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sample_file_is_what_the_declarations_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/tidegate.toml");
        if std::env::var_os("TIDEGATE_WRITE_SAMPLE").is_some() {
            std::fs::write(path, sample()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        let hint = "run the test with TIDEGATE_WRITE_SAMPLE=1 to write deploy/tidegate.toml anew";
        assert!(kept == sample(), "{hint}");
    }

    #[test]
    fn the_sample_says_the_defaults() {
        let defaults = from_text("").unwrap();
        assert_eq!(from_text(&sample()).unwrap(), defaults);
        let text = switched_on(&sample());
        assert!(text.lines().filter(|line| line.contains(" = ")).count() > 50);
        assert_eq!(from_text(&text).unwrap(), defaults);
    }
}
