//! The names of destinations.

use std::fmt;
use std::sync::Arc;

use super::error::NameError;
use super::id::ConnectionId;

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
/// Shown as `queue://NAME` or `topic://NAME`. Temporary destinations have names of their own, which are
/// shown as `temp-queue://NAME` or `temp-topic://NAME`: no plain name stands for one of them. Nor does
/// one for the queue of a durable subscription, shown as `subscription://CLIENT/NAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationName {
    kind: Kind,
    space: Space,
    name: Arc<str>,
}

/// Where a name is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Space {
    Plain,
    /// It lives as long as its owner is connected.
    Temporary,
    /// What waits for a durable subscription, which the name defines.
    Durable,
    /// What is to be sent on later.
    Schedule,
    /// Identities of messages that have been there.
    Duplicates,
}

impl DestinationName {
    /// The longest name that is kept, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// The longest definition of a durable subscription, its selector included, in bytes.
    pub const MAX_DEFINITION: usize = 32 * 1024;

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
            space: Space::Plain,
            name: name.into(),
        })
    }

    /// The temporary destination of that name.
    ///
    /// # Errors
    /// As with [`Self::new`].
    pub fn temporary(kind: Kind, name: &str) -> Result<Self, NameError> {
        Ok(Self {
            space: Space::Temporary,
            ..Self::new(kind, name)?
        })
    }

    /// The temporary destination that a connection gave this number.
    pub fn own_temporary(kind: Kind, owner: ConnectionId, number: u64) -> Self {
        Self {
            kind,
            space: Space::Temporary,
            name: format!("ID:{owner}:{number}").into(),
        }
    }

    /// Whether it is a temporary one, which lives as long as its owner is connected.
    pub fn is_temporary(&self) -> bool {
        self.space == Space::Temporary
    }

    /// Whether it is the queue of a durable subscription.
    pub fn is_durable(&self) -> bool {
        self.space == Space::Durable
    }

    /// Whether clients can name it wherever they are.
    pub fn is_plain(&self) -> bool {
        self.space == Space::Plain
    }

    /// The queue of the durable subscription that this text defines.
    ///
    /// # Errors
    /// When it is longer than can be kept.
    pub fn durable(definition: &str) -> Result<Self, NameError> {
        let (actual, limit) = (definition.len(), Self::MAX_DEFINITION);
        if actual > limit {
            return Err(NameError::TooLong { actual, limit });
        }
        Ok(Self {
            kind: Kind::Queue,
            space: Space::Durable,
            name: definition.into(),
        })
    }

    /// Where what is to be sent on later waits.
    pub fn schedule() -> Self {
        Self {
            kind: Kind::Queue,
            space: Space::Schedule,
            name: "jobs".into(),
        }
    }

    /// Whether it is where what is to be sent on later waits.
    pub fn is_schedule(&self) -> bool {
        self.space == Space::Schedule
    }

    /// Where identities of messages that have been there are kept.
    pub fn duplicates() -> Self {
        Self {
            kind: Kind::Queue,
            space: Space::Duplicates,
            name: "ids".into(),
        }
    }

    /// Whether it is where identities of messages that have been there are kept.
    pub fn is_duplicates(&self) -> bool {
        self.space == Space::Duplicates
    }

    /// What defines the durable subscription that the queue is for.
    pub(super) fn definition(&self) -> Option<&str> {
        self.is_durable().then_some(&*self.name)
    }

    /// The connection that a temporary destination belongs to, and the number that it has there.
    pub fn owner(&self) -> Option<(ConnectionId, u64)> {
        let numbers = self
            .name
            .strip_prefix("ID:")
            .filter(|_| self.is_temporary())?;
        let (owner, number) = numbers.split_once(':')?;
        let found = (ConnectionId(owner.parse().ok()?), number.parse().ok()?);
        // Numbers can be written in other ways, which are other names.
        let same = *self == Self::own_temporary(self.kind, found.0, found.1);
        same.then_some(found)
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
        self.is_plain() && memchr::memchr(b',', self.name.as_bytes()).is_some()
    }

    /// Those that it stands for, if it is a composite one.
    pub fn parts(&self) -> Option<Vec<Self>> {
        let part = |text: &str| match text.split_once("://") {
            Some(("topic", name)) => Self::topic(name).ok(),
            Some(("queue", name)) => Self::queue(name).ok(),
            Some(("temp-topic", name)) => Self::temporary(Kind::Topic, name).ok(),
            Some(("temp-queue", name)) => Self::temporary(Kind::Queue, name).ok(),
            _ => Self::queue(text).ok(),
        };
        self.is_composite()
            .then(|| self.name.split(',').filter_map(part).collect())
    }

    /// The queue for what nobody could work on, as `ActiveMQ` calls it.
    pub(super) fn dead_letters() -> Self {
        Self {
            kind: Kind::Queue,
            space: Space::Plain,
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
        let word = self.kind.word();
        match self.space {
            Space::Plain => write!(f, "{word}://{}", self.name),
            Space::Temporary => write!(f, "temp-{word}://{}", self.name),
            Space::Schedule => write!(f, "schedule://{}", self.name),
            Space::Duplicates => write!(f, "duplicates://{}", self.name),
            Space::Durable => {
                let mut parts = self.name.split('\u{1f}');
                let (client, name) = (parts.next(), parts.next());
                let (client, name) = (client.unwrap_or_default(), name.unwrap_or_default());
                write!(f, "subscription://{client}/{name}")
            }
        }
    }
}

impl fmt::Debug for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_destination_is_reached_by_no_plain_name() {
        let own = DestinationName::own_temporary(Kind::Queue, ConnectionId(7), 3);
        assert_eq!(own.to_string(), "temp-queue://ID:7:3");
        assert_eq!(own.owner(), Some((ConnectionId(7), 3)));
        assert_ne!(own, DestinationName::queue("ID:7:3").unwrap());
        assert_eq!(
            own,
            DestinationName::temporary(Kind::Queue, "ID:7:3").unwrap()
        );
        assert_eq!(DestinationName::queue("ID:7:3").unwrap().owner(), None);
        for other in ["ID:7:03", "ID:7", "7:3", "ID:7:x", "ID:+7:3"] {
            let name = DestinationName::temporary(Kind::Queue, other).unwrap();
            assert_eq!(name.owner(), None, "{other}");
        }
    }

    #[test]
    fn a_temporary_destination_can_be_part_of_a_composite_one() {
        let parts = [
            DestinationName::own_temporary(Kind::Topic, ConnectionId(7), 3),
            DestinationName::queue("a").unwrap(),
            DestinationName::own_temporary(Kind::Queue, ConnectionId(7), 4),
        ];
        let all = DestinationName::composite(&parts).unwrap();
        assert_eq!(all.parts().unwrap(), parts);
    }
}
