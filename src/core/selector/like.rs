//! LIKE: `%` stands for any run of characters, `_` for one.
//!
//! A pattern is cut at each `%`. Its first piece must begin the text, its last one end it, and those
//! between are found from left to right, each as early as it can be: no step is ever taken back.

mod piece;
mod search;

use piece::Piece;
use search::Search;

/// The longest pattern that is kept, in characters. It bounds what a search keeps.
pub(super) const MAX_PATTERN: usize = 512;

/// A pattern, ready to be matched.
#[derive(Clone, Debug)]
pub(super) struct Like {
    text: Box<str>,
    escape: Option<char>,
    first: Piece,
    /// What follows the first `%`, if there is one.
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    between: Vec<Search>,
    last: Piece,
}

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// This character.
    Exactly(char),
    /// `_`
    Any,
    /// `%`
    Run,
}

impl Like {
    /// Prepares a pattern. The escape makes `%`, `_` and itself plain characters; before any other
    /// character it is one itself.
    pub(super) fn new(text: &str, escape: Option<char>) -> Self {
        let signs = signs(text, escape);
        let mut pieces = signs.split(|sign| *sign == Sign::Run);
        let first = Piece::new(pieces.next().unwrap_or_default());
        let open = pieces.next_back().map(|last| Open {
            between: pieces
                .filter(|piece| !piece.is_empty())
                .map(Search::new)
                .collect(),
            last: Piece::new(last),
        });
        Self {
            text: text.into(),
            escape,
            first,
            open,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn escape(&self) -> Option<char> {
        self.escape
    }

    /// Whether the whole of a text is like the pattern.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(rest) = self.first.strip_from_start(text) else {
            return false;
        };
        let Some(open) = &self.open else {
            return rest.is_empty();
        };
        let Some(mut rest) = open.last.strip_from_end(rest) else {
            return false;
        };
        for search in &open.between {
            let Some(behind) = search.behind_first(rest) else {
                return false;
            };
            rest = behind;
        }
        true
    }
}

/// What is derived from pattern and escape is not compared.
impl PartialEq for Like {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.escape == other.escape
    }
}

fn signs(text: &str, escape: Option<char>) -> Vec<Sign> {
    let special = |c: char| matches!(c, '%' | '_') || Some(c) == escape;
    let mut signs = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if Some(c) == escape
            && let Some(escaped) = rest.next_if(|next| special(*next))
        {
            signs.push(Sign::Exactly(escaped));
            continue;
        }
        signs.push(match c {
            _ if Some(c) == escape => Sign::Exactly(c),
            '%' => Sign::Run,
            '_' => Sign::Any,
            _ => Sign::Exactly(c),
        });
    }
    signs
}
