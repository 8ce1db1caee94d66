//! From what the store remembers to destinations in memory.

use super::cell::{Cell, Destination};
use super::shared::Shared;
use crate::core::{DestinationName, Effects, Kind, Queue, RecoveredQueue, Topic};
use crate::store::RecoveredDestination;

/// Brings destinations back. Messages stay on disk until somebody wants them, so this takes time in
/// proportion to the destinations, not to the messages.
pub(super) fn restore(shared: &Shared, found: Vec<RecoveredDestination>) {
    let mut effects = Effects::default();
    for recovered in found {
        let destination = bring_back(shared, &recovered, &mut effects);
        shared.registry.restore(Cell::new(
            recovered.id,
            destination,
            shared.registry.rules(),
        ));
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
    let policy = shared.policies.of(&name);
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
