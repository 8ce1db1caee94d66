//! A piece of a pattern between two `%`, anywhere in a text.

use memchr::memmem::Finder;

use super::{MAX_PATTERN, Sign};

/// Words of a set of places in a piece.
const WORDS: usize = MAX_PATTERN.div_ceil(64);

#[derive(Clone, Debug)]
pub(super) enum Search {
    /// Plain text.
    Text(Box<Finder<'static>>),
    /// Text with `_` in it.
    Places(Places),
}

/// A piece as sets of its places: bit `i` of a set is the place of its character `i`.
///
/// All beginnings of the piece that end at a character of the text are followed at once, as one set
/// (shift-and), so that the time is the same for every text.
#[derive(Clone, Debug)]
pub(super) struct Places {
    length: usize,
    /// Where each character of the piece may stand, sorted by character.
    known: Vec<(char, Vec<u64>)>,
    /// Where any other character may stand.
    other: Vec<u64>,
}

impl Search {
    pub(super) fn new(signs: &[Sign]) -> Self {
        let text: Option<String> = signs
            .iter()
            .map(|sign| match sign {
                Sign::Exactly(c) => Some(*c),
                Sign::Any | Sign::Run => None,
            })
            .collect();
        match text {
            Some(text) => Self::Text(Box::new(Finder::new(text.as_bytes()).into_owned())),
            None => Self::Places(Places::new(signs)),
        }
    }

    /// What follows the first place where the piece is found.
    pub(super) fn behind_first<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Text(finder) => {
                let start = finder.find(text.as_bytes())?;
                text.get(start + finder.needle().len()..)
            }
            Self::Places(places) => places.behind_first(text),
        }
    }
}

impl Places {
    fn new(signs: &[Sign]) -> Self {
        let set = |may: &dyn Fn(Sign) -> bool| {
            let mut words = vec![0_u64; signs.len().div_ceil(64)];
            for (word, places) in words.iter_mut().zip(signs.chunks(64)) {
                for (bit, sign) in places.iter().enumerate() {
                    *word |= u64::from(may(*sign)) << bit;
                }
            }
            words
        };
        let mut characters: Vec<char> = signs
            .iter()
            .filter_map(|sign| match sign {
                Sign::Exactly(c) => Some(*c),
                Sign::Any | Sign::Run => None,
            })
            .collect();
        characters.sort_unstable();
        characters.dedup();
        let known = characters
            .into_iter()
            .map(|c| {
                let may = |sign| sign == Sign::Exactly(c) || sign == Sign::Any;
                (c, set(&may))
            })
            .collect();
        Self {
            length: signs.len(),
            known,
            other: set(&|sign| sign == Sign::Any),
        }
    }

    fn behind_first<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut reached = [0_u64; WORDS];
        let mut rest = text.chars();
        let last = self.length.checked_sub(1)?;
        while let Some(c) = rest.next() {
            let allowed = match self.known.binary_search_by_key(&c, |(known, _)| *known) {
                Ok(index) => self.known.get(index).map(|(_, places)| places),
                Err(_) => Some(&self.other),
            };
            // Each beginning grows by this character, and a new one starts with it.
            let mut carry = 1;
            for (word, allowed) in reached.iter_mut().zip(allowed?) {
                let grown = (*word << 1) | carry;
                carry = *word >> 63;
                *word = grown & allowed;
            }
            if reached.get(last / 64)? >> (last % 64) & 1 == 1 {
                return Some(rest.as_str());
            }
        }
        None
    }
}
