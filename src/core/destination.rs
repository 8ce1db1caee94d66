//! The names of destinations.

use std::fmt;
use std::sync::Arc;

use super::error::NameError;

/// Whether each message goes to one consumer or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Each message is for one consumer.
    Queue,
    /// Each message is for every subscription there is when it arrives.
    Topic,
}

impl Kind {
    /// The word for it in names, labels and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
        }
    }
}

/// A queue or topic by name. Cheap to clone.
///
/// Shown as `queue://NAME` or `topic://NAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationName {
    kind: Kind,
    name: Arc<str>,
}

impl DestinationName {
    /// The longest name that is kept, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// What the queue for what nobody could work on is called, unless somebody wants another.
    pub(super) const DEAD_LETTERS: &str = "ActiveMQ.DLQ";

    /// The destination of that kind and name.
    ///
    /// # Errors
    /// When the name is empty, longer than [`Self::MAX_LENGTH`], or holds a control character.
    pub fn new(kind: Kind, name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong {
                actual: name.len(),
                limit: Self::MAX_LENGTH,
            });
        }
        if name.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        Ok(Self {
            kind,
            name: name.into(),
        })
    }

    /// The destination that stands for all of these at once.
    ///
    /// # Errors
    /// When their names together are too long, or there are none.
    pub fn composite(parts: &[Self]) -> Result<Self, NameError> {
        let names: Vec<_> = parts.iter().map(ToString::to_string).collect();
        Self::new(Kind::Queue, &names.join(","))
    }

    /// Whether it stands for several.
    pub fn is_composite(&self) -> bool {
        memchr::memchr(b',', self.name.as_bytes()).is_some()
    }

    /// Those that it stands for, if it is a composite one.
    pub fn parts(&self) -> Option<Vec<Self>> {
        let part = |text: &str| match text.split_once("://") {
            Some(("topic", name)) => Self::topic(name).ok(),
            Some(("queue", name)) => Self::queue(name).ok(),
            _ => Self::queue(text).ok(),
        };
        self.is_composite()
            .then(|| self.name.split(',').filter_map(part).collect())
    }

    /// The queue for what nobody could work on, as `ActiveMQ` calls it.
    pub(super) fn dead_letters() -> Self {
        Self {
            kind: Kind::Queue,
            name: Self::DEAD_LETTERS.into(),
        }
    }

    /// The queue of that name.
    pub fn queue(name: &str) -> Result<Self, NameError> {
        Self::new(Kind::Queue, name)
    }

    /// The topic of that name.
    pub fn topic(name: &str) -> Result<Self, NameError> {
        Self::new(Kind::Topic, name)
    }

    /// Queue or topic.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name without its kind.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.word(), self.name)
    }
}

impl fmt::Debug for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
