//! Durable subscriptions of topics: what is sent while nobody reads them waits, in a queue that no name
//! of a client reaches. The name of that queue is the definition of the subscription, so that whoever
//! knows the queue, the store above all, knows the subscription.

use std::fmt;
use std::sync::Arc;

use super::destination::{DestinationName, Kind};
use super::error::NameError;
use super::message::{DeliveryState, Message};
use super::pattern::Pattern;
use super::property::Described;
use super::selector::Selector;

/// Stands between the parts of a definition. No name holds it.
const BETWEEN: char = '\u{1f}';

/// Who subscribes, and what that client calls the subscription: no two have the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DurableName {
    /// The `client-id`.
    pub client: Arc<str>,
    /// The name of the subscription.
    pub name: Arc<str>,
}

impl fmt::Debug for DurableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.client, self.name)
    }
}

/// A durable subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct DurableSubscription {
    /// Whose it is.
    pub name: DurableName,
    /// The topic, or a pattern of topics.
    pub topic: Pattern,
    /// Whether what the subscribed connection itself sends is left out.
    pub no_local: bool,
    /// Only messages that it matches are wanted.
    pub selector: Option<Selector>,
}

impl DurableSubscription {
    /// The queue in which its messages wait.
    ///
    /// # Errors
    /// When a part of it is too long, or holds a control character.
    pub fn queue(&self) -> Result<DestinationName, NameError> {
        let DurableName { client, name } = &self.name;
        let topic = self.topic.as_str();
        for part in [&**client, &**name, topic] {
            if part.chars().any(char::is_control) {
                return Err(NameError::ControlCharacter);
            }
        }
        let selector = self.selector.as_ref().map(ToString::to_string);
        let parts = [
            &**client,
            &**name,
            topic,
            if self.no_local { "no-local" } else { "" },
            selector.as_deref().unwrap_or_default(),
        ];
        DestinationName::durable(&parts.join(&BETWEEN.to_string()))
    }

    /// The subscription whose messages wait in a queue.
    pub fn of(queue: &DestinationName) -> Option<Self> {
        let text = queue.definition()?;
        let mut parts = text.splitn(5, BETWEEN);
        let mut next = || parts.next();
        let (client, name, topic) = (next()?, next()?, next()?);
        let (no_local, selector) = (next()?, next()?);
        Some(Self {
            name: DurableName {
                client: client.into(),
                name: name.into(),
            },
            topic: Pattern::new(topic),
            no_local: !no_local.is_empty(),
            selector: (!selector.is_empty())
                .then(|| Selector::parse(selector).ok())
                .flatten(),
        })
    }

    /// Whether it wants a message.
    pub fn wants(&self, message: &Message) -> bool {
        let state = DeliveryState::default();
        self.selector
            .as_ref()
            .is_none_or(|selector| selector.matches(&Described { message, state }))
    }
}

impl DestinationName {
    /// The topic whose messages wait in this queue, if it is that of a durable subscription; else the
    /// destination itself.
    #[must_use]
    pub fn origin(&self) -> Self {
        let Some(text) = self.definition() else {
            return self.clone();
        };
        let topic = text.split(BETWEEN).nth(2).unwrap_or_default();
        // It was a name when the subscription was made.
        Self::new(Kind::Topic, topic).unwrap_or_else(|_| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(selector: &str) -> DurableSubscription {
        DurableSubscription {
            name: DurableName {
                client: "c:1".into(),
                name: "n,2".into(),
            },
            topic: Pattern::new("a.>"),
            no_local: selector.is_empty(),
            selector: Selector::parse(selector).ok(),
        }
    }

    #[test]
    fn a_queue_says_whose_it_is() {
        for selector in ["", "a IN ('x', 'y,z')"] {
            let subscription = subscription(selector);
            let queue = subscription.queue().unwrap();
            assert_eq!(DurableSubscription::of(&queue), Some(subscription));
            assert_eq!(queue.origin(), DestinationName::topic("a.>").unwrap());
            assert!(!queue.is_composite() && queue.is_durable() && !queue.is_temporary());
            assert_eq!(queue.to_string(), "subscription://c:1/n,2");
        }
    }

    #[test]
    fn plain_queues_are_none() {
        let plain = DestinationName::queue("a").unwrap();
        assert_eq!(DurableSubscription::of(&plain), None);
        assert_eq!(plain.origin(), plain);
    }

    #[test]
    fn parts_that_could_not_be_told_apart_are_refused() {
        let mut odd = subscription("");
        odd.name.client = "a\u{1f}b".into();
        assert_eq!(odd.queue(), Err(NameError::ControlCharacter));
    }
}
