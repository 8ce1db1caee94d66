//! A piece of a pattern without `%`, at the beginning or the end of a text.

use super::Sign;

#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    runs: Vec<Run>,
}

#[derive(Clone, Debug)]
enum Run {
    /// This text.
    Exactly(String),
    /// As many characters.
    Any(usize),
}

impl Piece {
    pub(super) fn new(signs: &[Sign]) -> Self {
        let mut runs = Vec::new();
        for sign in signs {
            match (runs.last_mut(), sign) {
                (Some(Run::Exactly(text)), Sign::Exactly(c)) => text.push(*c),
                (Some(Run::Any(count)), Sign::Any) => *count += 1,
                (_, Sign::Exactly(c)) => runs.push(Run::Exactly((*c).into())),
                (_, Sign::Any) => runs.push(Run::Any(1)),
                // The pattern was cut at these.
                (_, Sign::Run) => {}
            }
        }
        Self { runs }
    }

    /// The rest of a text that begins with it.
    pub(super) fn strip_from_start<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.runs.iter().try_fold(text, |rest, run| match run {
            Run::Exactly(text) => rest.strip_prefix(text.as_str()),
            Run::Any(count) => {
                let mut rest = rest.chars();
                rest.nth(count - 1).map(|_| rest.as_str())
            }
        })
    }

    /// The rest of a text that ends with it.
    pub(super) fn strip_from_end<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.runs
            .iter()
            .rev()
            .try_fold(text, |rest, run| match run {
                Run::Exactly(text) => rest.strip_suffix(text.as_str()),
                Run::Any(count) => {
                    let mut rest = rest.chars();
                    rest.nth_back(count - 1).map(|_| rest.as_str())
                }
            })
    }
}
