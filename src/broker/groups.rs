//! Message groups as whoever runs the broker sees them.

use std::sync::Arc;

use super::Broker;
use super::cell::{Destination, Work};
use crate::core::{ConnectionId, DestinationName, SubscriptionId};

/// A message group of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageGroup {
    /// The value of `JMSXGroupID`, with what is no UTF-8 replaced.
    pub name: String,
    /// The consumer that has it: its connection, and its subscription there.
    pub consumer: Option<(ConnectionId, SubscriptionId)>,
    /// Messages that wait in its line.
    pub waiting: usize,
    /// Messages that its consumer has not settled.
    pub in_flight: usize,
}

impl Broker {
    /// The message groups of a queue, by name: those with messages, and those that are remembered.
    /// `None` if there is no such queue.
    pub fn groups(&self, queue: &DestinationName) -> Option<Vec<MessageGroup>> {
        let cell = self.shared.registry.find(queue)?;
        let mut groups = cell.look_closely(|state| match &state.destination {
            Destination::Queue(queue) => {
                let group = |group: crate::core::GroupState| MessageGroup {
                    name: String::from_utf8_lossy(&group.name).into_owned(),
                    consumer: group
                        .owner
                        .and_then(|(key, id)| Some((state.connection_of(key)?, id))),
                    waiting: group.waiting,
                    in_flight: group.in_flight,
                };
                Some(queue.groups().into_iter().map(group).collect::<Vec<_>>())
            }
            Destination::Topic(_) => None,
        })?;
        groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Some(groups)
    }

    /// Takes a message group of a queue from its consumer, or all of them: the next message of each
    /// finds a new consumer, once what the old one holds of it is settled. Returns how many had one.
    pub fn reset_groups(&self, queue: &DestinationName, group: Option<&str>) -> usize {
        let Some(cell) = self.shared.registry.find(queue) else {
            return 0;
        };
        let now = self.shared.clock.now();
        let shared = Arc::clone(&self.shared);
        Work::run(&shared, now, |work| {
            let (count, _) = cell.with(&shared, work, None, |state, effects, _| {
                match &mut state.destination {
                    Destination::Queue(queue) => {
                        queue.reset_groups(now, group.map(str::as_bytes), effects)
                    }
                    Destination::Topic(_) => 0,
                }
            });
            count
        })
    }
}
