//! From what the store remembers to destinations in memory.

use super::cell::{Cell, Destination};
use super::config::BrokerConfig;
use super::shared::Shared;
use crate::core::{
    DestinationId, DestinationName, Duplicates, Effects, Jobs, Keep, Kind, Persist, Position,
    Queue, RecoveredQueue, Topic,
};
use crate::store::{Recovered, RecoveredDestination};

/// Brings destinations back. Messages stay on disk until somebody wants them, so this takes time in
/// proportion to the destinations, not to the messages.
pub(super) fn restore(shared: &Shared, found: Vec<RecoveredDestination>) {
    let mut effects = Effects::default();
    let mut over = Vec::new();
    for recovered in found {
        if recovered.name.is_temporary() {
            // Its owner has gone with the broker.
            let destination = recovered.id;
            over.push(Persist::Undefine { destination });
            continue;
        }
        let destination = bring_back(shared, &recovered, &mut effects);
        let cell = Cell::new(recovered.id, destination, shared.registry.rules());
        shared.registry.restore(shared, cell);
    }
    if !over.is_empty() {
        shared.writer.append(&mut over, &[], None);
    }
    effects.tally = crate::core::Tally::default();
    debug_assert!(effects.is_empty(), "recovery changes nothing");
}

fn bring_back(
    shared: &Shared,
    recovered: &RecoveredDestination,
    effects: &mut Effects,
) -> Destination {
    let name: DestinationName = recovered.name.clone();
    let policy = shared.policies.of(&name.origin());
    match name.kind() {
        Kind::Queue => {
            let found = RecoveredQueue {
                last_position: recovered.last_position,
                horizon: recovered.horizon,
                waiting: recovered.waiting,
            };
            Destination::Queue(Queue::recovered(
                recovered.id,
                name,
                policy,
                &found,
                effects,
            ))
        }
        Kind::Topic => Destination::Topic(Topic::recovered(
            recovered.id,
            name,
            policy,
            recovered.last_position,
        )),
    }
}

/// Takes the schedule out of what the store remembers, or makes one.
pub(super) fn jobs(config: &BrokerConfig, found: &mut Recovered) -> Jobs {
    let stored = config.policy.keep == Keep::All;
    match hidden(found, DestinationName::is_schedule) {
        (id, Some(last)) => Jobs::recovered(id, stored, last),
        (id, None) => Jobs::new(id, stored),
    }
}

/// Takes the identities of messages that have been there out of what the store remembers.
pub(super) fn duplicates(config: &BrokerConfig, found: &mut Recovered) -> Duplicates {
    let stored = config.policy.keep == Keep::All;
    let (id, last) = hidden(found, DestinationName::is_duplicates);
    Duplicates::new(config.duplicates, id, stored, last)
}

/// Takes a destination of the broker's own out of what the store remembers: its number, and the last
/// position in it if it is there.
fn hidden(
    found: &mut Recovered,
    is_it: impl Fn(&DestinationName) -> bool,
) -> (DestinationId, Option<Position>) {
    let all = &mut found.destinations;
    if let Some(place) = all.iter().position(|known| is_it(&known.name)) {
        let known = all.swap_remove(place);
        return (known.id, Some(known.last_position));
    }
    let id = found.next_destination_id;
    found.next_destination_id = id.next();
    (id, None)
}
