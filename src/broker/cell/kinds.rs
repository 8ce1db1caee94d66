//! What queues and topics are both asked.

use super::{Destination, State};
use crate::core::{Effects, Message, Refusal, SubscriptionKey};

impl State {
    /// Whether somebody has something to do with the destination.
    pub(in crate::broker) fn is_in_use(&self) -> bool {
        match &self.destination {
            Destination::Queue(queue) => queue.is_in_use(self.guests.len()),
            Destination::Topic(topic) => topic.is_in_use(self.guests.len()),
        }
    }

    /// Whether nothing is lost if the destination goes.
    pub(in crate::broker) fn is_idle(&self) -> bool {
        match &self.destination {
            Destination::Queue(queue) => queue.is_idle(self.guests.len()),
            Destination::Topic(_) => !self.is_in_use(),
        }
    }
}

impl Destination {
    /// Lets the store know it although it holds nothing.
    pub(in crate::broker) fn declare(&mut self, effects: &mut Effects) -> bool {
        match self {
            Self::Queue(queue) => queue.declare(effects),
            Self::Topic(topic) => topic.declare(effects),
        }
    }

    pub(in crate::broker) fn rejects(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.rejects(),
            Self::Topic(_) => false,
        }
    }

    /// Refuses a message that there is no room for and whose sender is not to wait.
    pub(in crate::broker) fn refuses(&self, message: &Message) -> Result<(), Refusal> {
        match self {
            Self::Queue(queue) if queue.rejects() => queue.refuses(message).map_or(Ok(()), Err),
            Self::Queue(_) | Self::Topic(_) => Ok(()),
        }
    }

    pub(in crate::broker) fn has_caught_up(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.has_caught_up(),
            Self::Topic(_) => true,
        }
    }

    pub(in crate::broker) fn pause(&mut self, key: SubscriptionKey) {
        match self {
            Self::Queue(queue) => queue.pause(key),
            Self::Topic(topic) => topic.pause(key),
        }
    }
}
