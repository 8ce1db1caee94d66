//! From what the store remembers to destinations in memory.

use super::cell::{Cell, Destination};
use super::config::BrokerConfig;
use super::shared::Shared;
use crate::core::{
    DestinationName, Effects, Jobs, Keep, Kind, Persist, Queue, RecoveredQueue, Topic,
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
    let place = found
        .destinations
        .iter()
        .position(|known| known.name.is_schedule());
    if let Some(place) = place {
        let known = found.destinations.swap_remove(place);
        return Jobs::recovered(known.id, stored, known.last_position);
    }
    let id = found.next_destination_id;
    found.next_destination_id = id.next();
    Jobs::new(id, stored)
}
