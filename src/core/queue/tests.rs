//! The rules of a queue, one by one.

use super::super::error::Refusal;
use super::super::persist::Persist;
use super::*;
use crate::core::{
    AckMode, Delivery, DeliveryTag, Encoded, MessageId, Outcome, Tags, Tick, Timestamp,
    TransactionId,
};

const NOW: Now = Now {
    wall: Timestamp(1_000),
    tick: Tick(0),
};

fn policy() -> DestinationPolicy {
    DestinationPolicy {
        memory_window_bytes: 1 << 20,
        redelivery: super::super::RedeliveryDelays::NONE,
        ..DestinationPolicy::default()
    }
}

fn queue_with(policy: DestinationPolicy) -> Queue {
    Queue::new(
        DestinationId(1),
        DestinationName::queue("q").unwrap(),
        Arc::new(policy),
    )
}

fn queue() -> Queue {
    queue_with(policy())
}

fn message(number: u64) -> Message {
    Message {
        id: MessageId {
            number,
            ..MessageId::default()
        },
        timestamp: NOW.wall,
        expiration: None,
        priority: Priority::DEFAULT,
        persistent: false,
        body_kind: crate::core::BodyKind::Text,
        grouped: false,
        identified: false,
        encoded: Encoded::default(),
        sent_to: None,
        job: None,
        provenance: None,
    }
}

fn persistent(number: u64) -> Message {
    Message {
        persistent: true,
        ..message(number)
    }
}

/// Sends and returns the place of the change to wait for.
fn send(queue: &mut Queue, message: Message, effects: &mut Effects) -> Option<usize> {
    queue
        .enqueue(NOW, Arc::new(message), false, effects)
        .unwrap()
}

fn subscribe(queue: &mut Queue, id: u32, prefetch: u32, effects: &mut Effects) -> SubscriptionKey {
    let options = SubscribeOptions::new(prefetch, AckMode::ClientIndividual);
    queue.subscribe(NOW, SubscriptionId(id), options, effects)
}

/// What was delivered: (subscription, message number), by subscription.
fn delivered(effects: &mut Effects) -> Vec<(u32, u64)> {
    let mut all = Vec::new();
    effects.drain_deliveries(|_, list| {
        all.extend(list.iter().map(|d| (d.subscription.0, d.message.id.number)));
    });
    all
}

fn deliveries(effects: &mut Effects) -> Vec<Delivery> {
    let mut all = Vec::new();
    effects.drain_deliveries(|_, list| all.append(list));
    all
}

fn changes(effects: &mut Effects) -> Vec<String> {
    let name = |change: Persist| match change {
        Persist::Define { .. } => "define".to_owned(),
        Persist::Undefine { .. } => "undefine".to_owned(),
        Persist::Put { at, transient, .. } if transient => format!("spill {}", at.position),
        Persist::Put { at, .. } => format!("put {}", at.position),
        Persist::Remove { at } => format!("remove {}", at.position),
        Persist::Returned { at, state } => {
            format!("returned {} x{}", at.position, state.deliveries)
        }
        Persist::Horizon { position, .. } => format!("horizon {position}"),
    };
    effects.persist.drain(..).map(name).collect()
}

mod ends;
mod life;
mod more;

#[test]
fn competing_consumers_take_turns_in_order() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    subscribe(&mut queue, 1, 10, &mut effects);
    subscribe(&mut queue, 2, 10, &mut effects);
    for number in 1..=4 {
        send(&mut queue, message(number), &mut effects);
    }
    assert_eq!(delivered(&mut effects), [(1, 1), (1, 3), (2, 2), (2, 4)]);
}

#[test]
fn prefetch_bounds_what_is_unsettled() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 2, &mut effects);
    for number in 1..=5 {
        send(&mut queue, message(number), &mut effects);
    }
    assert_eq!(delivered(&mut effects), [(1, 1), (1, 2)]);
    assert_eq!((queue.ready_count(), queue.unsettled_count()), (3, 2));
    queue
        .settle(
            NOW,
            key,
            Tags::One(DeliveryTag(2)),
            Outcome::Accept,
            &mut effects,
        )
        .unwrap();
    assert_eq!(delivered(&mut effects), [(1, 3)]);
    queue
        .settle(
            NOW,
            key,
            Tags::Through(DeliveryTag(3)),
            Outcome::Accept,
            &mut effects,
        )
        .unwrap();
    assert_eq!(delivered(&mut effects), [(1, 4), (1, 5)]);
}

#[test]
fn a_settled_delivery_cannot_be_settled_again() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 2, &mut effects);
    send(&mut queue, message(1), &mut effects);
    let one = Tags::One(DeliveryTag(1));
    queue
        .settle(NOW, key, one, Outcome::Accept, &mut effects)
        .unwrap();
    let again = queue.settle(NOW, key, one, Outcome::Accept, &mut effects);
    assert_eq!(again, Err(Refusal::NoDelivery));
    let stranger = queue.settle(NOW, SubscriptionKey(9), one, Outcome::Accept, &mut effects);
    assert_eq!(stranger, Err(Refusal::NoSubscription));
}

#[test]
fn higher_priority_goes_first_and_equal_ones_keep_their_order() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    for (number, priority) in [(1, 4), (2, 9), (3, 0), (4, 9), (5, 4)] {
        let priority = Priority::clamped(priority);
        send(
            &mut queue,
            Message {
                priority,
                ..message(number)
            },
            &mut effects,
        );
    }
    subscribe(&mut queue, 1, 10, &mut effects);
    let order: Vec<u64> = delivered(&mut effects)
        .into_iter()
        .map(|(_, number)| number)
        .collect();
    assert_eq!(order, [2, 4, 1, 5, 3]);
}

#[test]
fn an_expired_message_is_dropped_on_arrival_and_at_dispatch() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let until = |end| Message {
        expiration: Some(Timestamp(end)),
        ..persistent(1)
    };
    send(&mut queue, until(1_000), &mut effects);
    assert_eq!(effects.tally.expired, 1);
    assert_eq!(changes(&mut effects), [""; 0]);
    send(&mut queue, until(1_001), &mut effects);
    let later = Now {
        wall: Timestamp(1_001),
        ..NOW
    };
    let options = SubscribeOptions::new(1, AckMode::Auto);
    queue.subscribe(later, SubscriptionId(1), options, &mut effects);
    assert_eq!(delivered(&mut effects), []);
    assert_eq!(changes(&mut effects), ["define", "put 1", "remove 1"]);
    assert_eq!(effects.tally.ready_delta, 0);
}

#[test]
fn what_a_subscription_leaves_returns_to_its_place_flagged() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 3, &mut effects);
    for number in 1..=4 {
        send(&mut queue, message(number), &mut effects);
    }
    deliveries(&mut effects);
    queue
        .settle(
            NOW,
            key,
            Tags::One(DeliveryTag(2)),
            Outcome::Accept,
            &mut effects,
        )
        .unwrap();
    deliveries(&mut effects);
    queue.unsubscribe(NOW, key, None, &mut effects);
    subscribe(&mut queue, 2, 9, &mut effects);
    let again: Vec<_> = deliveries(&mut effects)
        .iter()
        .map(|d| (d.message.id.number, d.redelivered, d.count))
        .collect();
    assert_eq!(again, [(1, true, 2), (3, true, 2), (4, true, 2)]);
}

#[test]
fn only_the_oldest_written_delivery_of_a_lost_client_counts_as_failed() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    for round in 0..7 {
        let key = subscribe(&mut queue, round, 3, &mut effects);
        if round == 0 {
            for number in 1..=3 {
                send(&mut queue, message(number), &mut effects);
            }
        }
        deliveries(&mut effects);
        assert!(effects.forwards.is_empty(), "given up in round {round}");
        queue.unsubscribe(NOW, key, Some(DeliveryTag(2)), &mut effects);
    }
    let forward = effects.forwards.pop().unwrap();
    assert_eq!((forward.message.id.number, effects.forwards.len()), (1, 0));
    let provenance = forward.message.provenance.as_ref().unwrap();
    assert_eq!(provenance.origin.to_string(), "queue://q");
    assert_eq!(
        (provenance.delivery_count, provenance.was_persistent),
        (7, false)
    );
    assert!(forward.message.persistent);
    assert_eq!(queue.ready_count(), 2);
}

#[test]
fn nothing_counts_as_failed_that_was_not_written() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    for round in 0..20 {
        let key = subscribe(&mut queue, round, 1, &mut effects);
        if round == 0 {
            send(&mut queue, message(1), &mut effects);
        }
        deliveries(&mut effects);
        queue.unsubscribe(NOW, key, Some(DeliveryTag(0)), &mut effects);
    }
    assert_eq!((queue.ready_count(), effects.forwards.len()), (1, 0));
}

#[test]
fn a_failed_message_is_delivered_again_at_once_and_dies_after_six_redeliveries() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 1, &mut effects);
    send(&mut queue, persistent(1), &mut effects);
    for tag in 1..=7 {
        let delivery = deliveries(&mut effects).pop().unwrap();
        assert_eq!((delivery.tag.0, u64::from(delivery.count)), (tag, tag));
        assert_eq!(delivery.redelivered, tag > 1);
        let failed = Outcome::Modify { failed: true };
        queue
            .settle(NOW, key, Tags::One(DeliveryTag(tag)), failed, &mut effects)
            .unwrap();
    }
    let forward = effects.forwards.pop().unwrap();
    assert_eq!(forward.target.name(), "ActiveMQ.DLQ");
    let at = StoredAt {
        destination: DestinationId(1),
        position: Position(1),
    };
    assert_eq!(forward.with, [Persist::Remove { at }]);
    assert!(
        !changes(&mut effects).contains(&"remove 1".to_owned()),
        "the forward removes it"
    );
    assert_eq!((queue.ready_count(), queue.unsettled_count()), (0, 0));
    assert_eq!(effects.tally.memory_delta, 0);
}

#[test]
fn a_message_on_the_dead_letter_queue_is_never_moved_to_it() {
    let name = DestinationName::queue("ActiveMQ.DLQ").unwrap();
    let mut queue = Queue::new(DestinationId(1), name, Arc::new(policy()));
    let mut effects = Effects::default();
    let key = subscribe(&mut queue, 1, 1, &mut effects);
    send(&mut queue, message(1), &mut effects);
    for tag in 1..=20 {
        let tags = Tags::One(DeliveryTag(tag));
        queue
            .settle(NOW, key, tags, Outcome::Reject, &mut effects)
            .unwrap();
    }
    assert_eq!((queue.unsettled_count(), effects.forwards.len()), (1, 0));
}

#[test]
fn a_full_queue_refuses_until_there_is_room() {
    let size = message(1).footprint() as u64;
    let mut queue = queue_with(DestinationPolicy {
        max_bytes: 2 * size,
        ..policy()
    });
    let mut effects = Effects::default();
    for number in 1..=2 {
        send(&mut queue, message(number), &mut effects);
    }
    let refused = queue.enqueue(NOW, Arc::new(message(3)), false, &mut effects);
    assert!(matches!(refused, Err(Refusal::Full { .. })), "{refused:?}");
    let key = subscribe(&mut queue, 1, 1, &mut effects);
    queue
        .settle(
            NOW,
            key,
            Tags::One(DeliveryTag(1)),
            Outcome::Accept,
            &mut effects,
        )
        .unwrap();
    send(&mut queue, message(3), &mut effects);
}
