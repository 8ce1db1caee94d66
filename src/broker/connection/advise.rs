//! What is told of a connection to whoever subscribes to advisories.

use std::sync::Arc;

use super::Connection;
use crate::core::{DestinationName, Event, SubscribeOptions, SubscriptionId};

impl Connection {
    /// The client has logged in.
    pub(super) fn introduce(&mut self, client: Option<Arc<str>>) {
        self.introduced = true;
        self.client = client;
        self.tell_presence(true);
    }

    /// A subscription has begun.
    pub(super) fn began(
        &mut self,
        id: SubscriptionId,
        destination: &DestinationName,
        options: &SubscribeOptions,
    ) {
        self.subscribed.insert(id, destination.clone());
        let advisories = &self.shared.advisories;
        advisories.begin(destination);
        let event = Event::Consumer {
            destination,
            connection: self.id,
            subscription: id,
            options: Some(options),
        };
        advisories.note(&self.shared, &event);
    }

    /// A subscription has ended.
    pub(super) fn ended(&mut self, id: SubscriptionId) {
        if let Some(destination) = self.subscribed.remove(&id) {
            let event = Event::Consumer {
                destination: &destination,
                connection: self.id,
                subscription: id,
                options: None,
            };
            self.shared.advisories.note(&self.shared, &event);
            self.shared.advisories.end(&destination);
        }
    }

    /// It sends to a destination that it has not sent to before, or not for a while.
    pub(super) fn sends_to_another(&self, destination: &DestinationName) {
        let event = Event::Producer {
            destination,
            connection: self.id,
        };
        self.shared.advisories.note(&self.shared, &event);
    }

    /// It has gone, with its subscriptions.
    pub(super) fn gone(&mut self) {
        let mut ids: Vec<_> = self.subscribed.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.ended(id);
        }
        self.tell_presence(false);
    }

    fn tell_presence(&self, came: bool) {
        if self.introduced {
            let event = Event::Connection {
                connection: self.id,
                client: self.client.as_deref(),
                came,
            };
            self.shared.advisories.note(&self.shared, &event);
        }
    }
}
