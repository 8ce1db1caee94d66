//! Patterns of destination names, as `ActiveMQ` has them: `.` separates levels, `*` stands for exactly
//! one level, and `>` as the last level for all further ones, none included. So `a.>` matches `a`,
//! `a.b` and `a.b.c`, and `>` alone matches everything. A star within a level (`fo*`) and a `>` that
//! is not the last level are parts of the name.

mod trie;

use std::cmp::Ordering;
use std::fmt;
use std::iter;
use std::sync::Arc;

pub use trie::PatternTrie;

/// A pattern of names. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Arc<str>,
    wildcard: bool,
}

/// What a pattern says of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level<'a> {
    Literal(&'a str),
    /// `*`
    One,
    /// `>`, always the last.
    Rest,
}

impl Level<'_> {
    /// How much a level says; 1 is what the end of a pattern says, which is more than `>` does.
    fn rank(self) -> u8 {
        match self {
            Self::Rest => 0,
            Self::One => 2,
            Self::Literal(_) => 3,
        }
    }
}

const END_RANK: u8 = 1;

impl Pattern {
    /// The pattern of this text. Any text is one; without a wildcard it matches itself only.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            wildcard: levels(text).any(|level| !matches!(level, Level::Literal(_))),
        }
    }

    /// Whether it can match a name other than its own text.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name is one of those it stands for. Takes time in proportion to the shorter of both,
    /// and allocates nothing.
    pub fn matches(&self, name: &str) -> bool {
        if self.wildcard {
            self.compare(name, |_| ())
        } else {
            *self.text == *name
        }
    }

    /// What each wildcard stands for in a name, from left to right; nothing when the name does not
    /// match. A `>` stands for all further levels with the dots between them, and for the empty text
    /// when there are none.
    pub fn captured<'n>(&self, name: &'n str) -> Vec<&'n str> {
        let mut found = Vec::new();
        if !self.compare(name, |part| found.push(part)) {
            found.clear();
        }
        found
    }

    /// Orders from general to specific: level by level from the left, a name is more than `*`, which
    /// is more than `>`. Where one pattern ends, more levels are more, except that `a` is more than
    /// `a.>`, which stands for it and others. Equal does not mean the same: `a.*` and `b.*` are equal.
    pub fn cmp_specificity(&self, other: &Self) -> Ordering {
        let mut others = other.levels();
        let rank = |level: Option<Level<'_>>| level.map_or(END_RANK, Level::rank);
        for own in self.levels() {
            let theirs = others.next();
            let order = own.rank().cmp(&rank(theirs));
            if order.is_ne() || theirs.is_none() {
                return order;
            }
        }
        END_RANK.cmp(&rank(others.next()))
    }

    fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        levels(&self.text)
    }

    /// Compares level by level and tells what each wildcard stands for, up to the first difference.
    fn compare<'n>(&self, name: &'n str, mut stands_for: impl FnMut(&'n str)) -> bool {
        let mut rest = Some(name);
        for wanted in self.levels() {
            if wanted == Level::Rest {
                stands_for(rest.unwrap_or_default());
                return true;
            }
            let Some((level, further)) = rest.map(split_level) else {
                return false;
            };
            match wanted {
                Level::Literal(text) if text != level => return false,
                Level::Literal(_) => {}
                Level::One | Level::Rest => stands_for(level),
            }
            rest = further;
        }
        rest.is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn levels(text: &str) -> impl Iterator<Item = Level<'_>> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let (level, further) = split_level(rest?);
        rest = further;
        Some(match level {
            "*" => Level::One,
            ">" if further.is_none() => Level::Rest,
            _ => Level::Literal(level),
        })
    })
}

/// The first level of a name, and what comes behind its dot. Levels may be empty.
fn split_level(name: &str) -> (&str, Option<&str>) {
    match name.split_once('.') {
        Some((level, further)) => (level, Some(further)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests;
