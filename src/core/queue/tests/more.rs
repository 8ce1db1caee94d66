//! What comes back, what waits on disk, and what transactions hold.

use super::*;

#[test]
fn a_message_that_may_be_delivered_at_once_is_stored_behind_the_horizon() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    subscribe(&mut queue, 1, 5000, &mut effects);
    let awaited = send(&mut queue, persistent(1), &mut effects);
    assert_eq!(changes(&mut effects), ["define", "horizon 1000", "put 1"]);
    assert_eq!(awaited, Some(2));
    for number in 2..=1000 {
        send(&mut queue, persistent(number), &mut effects);
    }
    assert!(
        !changes(&mut effects)
            .iter()
            .any(|change| change.starts_with("horizon"))
    );
    send(&mut queue, persistent(1001), &mut effects);
    assert_eq!(changes(&mut effects), ["horizon 2000", "put 1001"]);
    assert_eq!(deliveries(&mut effects).len(), 1001);
    assert_eq!(effects.awaits_horizon, None);
}

#[test]
fn a_backlog_waits_until_the_horizon_over_it_is_durable() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    for number in 1..=1500 {
        send(&mut queue, persistent(number), &mut effects);
    }
    assert!(
        !changes(&mut effects)
            .iter()
            .any(|change| change.starts_with("horizon"))
    );
    subscribe(&mut queue, 1, 5000, &mut effects);
    assert_eq!(changes(&mut effects), ["horizon 1000"]);
    assert_eq!(effects.awaits_horizon.take(), Some(Position(1000)));
    assert_eq!(deliveries(&mut effects).len(), 0);
    queue.horizon_durable(NOW, Position(1000), &mut effects);
    assert_eq!(deliveries(&mut effects).len(), 1000);
    let next = effects.awaits_horizon.take().unwrap();
    assert!(next > Position(1000), "raised before it is needed");
    queue.horizon_durable(NOW, next, &mut effects);
    assert_eq!(deliveries(&mut effects).len(), 500);
}

#[test]
fn after_a_crash_messages_up_to_the_horizon_are_flagged_and_others_are_not() {
    let size = persistent(1).footprint() as u64;
    let mut found = RecoveredQueue {
        last_position: Position(3),
        horizon: Position(2),
        ..RecoveredQueue::default()
    };
    found.waiting[4] = (3, 3 * size);
    let mut effects = Effects::default();
    let name = DestinationName::queue("q").unwrap();
    let policy = Arc::new(policy());
    let mut queue = Queue::recovered(DestinationId(1), name, policy, &found, &mut effects);
    assert_eq!(queue.ready_count(), 3);
    subscribe(&mut queue, 1, 9, &mut effects);
    let request = effects.pages.pop().unwrap();
    assert_eq!(request.from, Position(1));
    let messages = (1..=3)
        .map(|number| StoredMessage {
            position: Position(number),
            message: Arc::new(persistent(number)),
            state: DeliveryState::default(),
        })
        .collect();
    let page = StoredPage {
        messages,
        resume_at: Position(4),
        exhausted: true,
    };
    queue.page_in(NOW, Priority::DEFAULT, page, &mut effects);
    let position = effects.awaits_horizon.take().unwrap();
    queue.horizon_durable(NOW, position, &mut effects);
    let flags: Vec<_> = deliveries(&mut effects)
        .iter()
        .map(|d| (d.message.id.number, d.redelivered))
        .collect();
    assert_eq!(flags, [(1, true), (2, true), (3, false)]);
}

/// A store for one queue's tail: what was put and not removed, by position.
pub(super) fn pages(
    store: &std::collections::BTreeMap<u64, Arc<Message>>,
    request: PageRequest,
) -> StoredPage {
    let mut page = StoredPage {
        resume_at: request.from,
        exhausted: true,
        ..Default::default()
    };
    let mut bytes = 0;
    for (position, message) in store.range(request.from.0..) {
        if Some(message.priority) != request.priority {
            continue;
        }
        if bytes >= request.bytes {
            page.exhausted = false;
            break;
        }
        bytes += message.footprint() as u64;
        page.resume_at = Position(position + 1);
        page.messages.push(StoredMessage {
            position: Position(*position),
            message: Arc::clone(message),
            state: DeliveryState::default(),
        });
    }
    page
}

#[test]
fn a_deep_queue_keeps_its_tail_on_disk_and_gives_all_of_it_in_order() {
    let window = 10 * message(1).footprint() as u64;
    let mut queue = queue_with(DestinationPolicy {
        memory_window_bytes: window,
        ..policy()
    });
    let mut effects = Effects::default();
    let mut store = std::collections::BTreeMap::new();
    for number in 1..=200 {
        let priority = Priority::clamped(if number % 10 == 0 { 9 } else { 4 });
        send(
            &mut queue,
            Message {
                priority,
                ..message(number)
            },
            &mut effects,
        );
        for change in effects.persist.drain(..) {
            if let Persist::Put {
                at,
                message,
                transient,
                ..
            } = change
            {
                assert!(transient, "not persistent, only out of memory");
                store.insert(at.position.0, message);
            }
        }
    }
    assert_eq!(
        (queue.ready_count(), effects.tally.memory_delta),
        (200, signed(window))
    );
    assert_eq!(store.len(), 190);
    let key = subscribe(&mut queue, 1, 3, &mut effects);
    let mut order = Vec::new();
    for _ in 0..2000 {
        while let Some(request) = effects.pages.pop() {
            let page = pages(&store, request);
            queue.page_in(NOW, request.priority.unwrap(), page, &mut effects);
        }
        for delivery in deliveries(&mut effects) {
            order.push(delivery.message.id.number);
            let tags = Tags::One(delivery.tag);
            queue
                .settle(NOW, key, tags, Outcome::Accept, &mut effects)
                .unwrap();
        }
    }
    let high = (1..=200).filter(|number| number % 10 == 0);
    // The first deliveries were made before the page with the high priorities was there.
    let expected: Vec<u64> = high
        .chain((1..=200).filter(|number| number % 10 != 0))
        .collect();
    assert_eq!(order, expected);
    assert_eq!(effects.tally.memory_delta, 0);
    assert_eq!(effects.tally.ready_delta, 0);
}

#[test]
fn a_transaction_settles_all_or_nothing_and_an_abort_keeps_tags_valid() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 1, &mut effects);
    for number in 1..=3 {
        send(&mut queue, persistent(number), &mut effects);
    }
    let (tx, one) = (TransactionId(7), Tags::One(DeliveryTag(1)));
    queue
        .mark(NOW, key, one, tx, Outcome::Accept, &mut effects)
        .unwrap();
    assert_eq!(
        delivered(&mut effects),
        [(1, 1), (1, 2)],
        "the window is open again"
    );
    let twice = queue.settle(NOW, key, one, Outcome::Accept, &mut effects);
    assert_eq!(twice, Err(Refusal::NoDelivery));
    queue.unmark(NOW, key, tx, &mut effects);
    assert_eq!(delivered(&mut effects), [], "nothing is redelivered");
    queue
        .mark(NOW, key, one, tx, Outcome::Accept, &mut effects)
        .unwrap();
    changes(&mut effects);
    queue.prepare(key, tx, &mut effects);
    assert_eq!(changes(&mut effects), ["remove 1"]);
    queue.apply(NOW, key, tx, &mut effects);
    assert_eq!(changes(&mut effects), [""; 0], "it was durable before");
    assert_eq!((queue.unsettled_count(), queue.ready_count()), (1, 1));
}

#[test]
fn marked_deliveries_outlive_their_subscription_until_the_transaction_ends() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 5, &mut effects);
    for number in 1..=2 {
        send(&mut queue, persistent(number), &mut effects);
    }
    let tx = TransactionId(1);
    queue
        .mark(
            NOW,
            key,
            Tags::One(DeliveryTag(1)),
            tx,
            Outcome::Accept,
            &mut effects,
        )
        .unwrap();
    queue.unsubscribe(NOW, key, None, &mut effects);
    assert_eq!((queue.ready_count(), queue.unsettled_count()), (1, 1));
    queue.unmark(NOW, key, tx, &mut effects);
    assert_eq!((queue.ready_count(), queue.unsettled_count()), (2, 0));
    assert_eq!(queue.subscription_count(), 0);
}

#[test]
fn a_reserved_place_keeps_its_order() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let held = Arc::new(persistent(1));
    let reserved = queue.reserve(&held, false, false, &mut effects);
    send(&mut queue, persistent(2), &mut effects);
    queue.place(NOW, reserved, held, false, &mut effects);
    assert_eq!(changes(&mut effects), ["define", "put 1", "put 2"]);
    assert_eq!(queue.ready_count(), 2);
    subscribe(&mut queue, 1, 5, &mut effects);
    let position = effects.awaits_horizon.take().unwrap();
    queue.horizon_durable(NOW, position, &mut effects);
    assert_eq!(delivered(&mut effects), [(1, 1), (1, 2)]);
}

#[test]
fn a_paused_subscription_gets_nothing_until_it_resumes() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let key = subscribe(&mut queue, 1, 5, &mut effects);
    queue.pause(key);
    send(&mut queue, message(1), &mut effects);
    assert_eq!(delivered(&mut effects), []);
    queue.resume(NOW, key, &mut effects);
    assert_eq!(delivered(&mut effects), [(1, 1)]);
}
