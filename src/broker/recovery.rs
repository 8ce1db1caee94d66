//! From what the store remembers to destinations in memory.

use super::cell::{Cell, Destination};
use super::shared::Shared;
use crate::core::{DestinationName, Effects, Kind, Persist, Queue, RecoveredQueue, Topic};
use crate::store::RecoveredDestination;

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
