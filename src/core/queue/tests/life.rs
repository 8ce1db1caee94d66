//! The end of a queue, its rest, and how it is emptied.

use super::*;

/// What has happened to the accounts, which must be as if nothing had ever been there.
fn accounts(effects: &mut Effects) -> (i64, i64, i64) {
    let tally = std::mem::take(&mut effects.tally);
    (tally.ready_delta, tally.unsettled_delta, tally.memory_delta)
}

fn small() -> Queue {
    queue_with(DestinationPolicy {
        memory_window_bytes: 1_000,
        ..policy()
    })
}

#[test]
fn what_ends_leaves_nothing_behind() {
    let (mut queue, mut effects) = (small(), Effects::default());
    for number in 1..=40 {
        let mut message = persistent(number);
        message.persistent = number % 2 == 0;
        message.priority = Priority::clamped(i64::try_from(number % 3).unwrap());
        send(&mut queue, message, &mut effects);
    }
    assert!(queue.has_on_disk() && !queue.is_idle(0) && !queue.is_in_use(0));
    changes(&mut effects);
    queue.end(&mut effects);
    assert_eq!(changes(&mut effects), ["undefine"]);
    assert_eq!(effects.tally.deleted, 40);
    assert_eq!(accounts(&mut effects), (0, 0, 0));
    assert!(queue.is_idle(0));
    queue.end(&mut effects);
    assert_eq!(changes(&mut effects), [""; 0], "once");
}

#[test]
fn the_store_is_told_of_no_end_that_it_has_never_heard_of() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    send(&mut queue, message(1), &mut effects);
    queue.end(&mut effects);
    assert_eq!(changes(&mut effects), [""; 0]);
    assert_eq!(accounts(&mut effects), (0, 0, 0));
}

#[test]
fn the_last_change_of_a_transaction_comes_before_the_end() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let first = queue.reserve(&Arc::new(persistent(1)), false, false, &mut effects);
    let second = queue.reserve(&Arc::new(persistent(2)), false, false, &mut effects);
    assert!(queue.is_in_use(0));
    changes(&mut effects);
    queue.end(&mut effects);
    queue.drop_late(first, &mut effects);
    assert_eq!(changes(&mut effects), [""; 0], "one is under way");
    queue.drop_late(second, &mut effects);
    assert_eq!(changes(&mut effects), ["undefine"]);
    assert_eq!(effects.tally.deleted, 2);
}

#[test]
fn guests_keep_nothing_alive_and_what_they_hold_does() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    let guest = subscribe(&mut queue, 1, 1, &mut effects);
    assert!(queue.is_in_use(0) && !queue.is_in_use(1) && queue.is_idle(1));
    send(&mut queue, message(1), &mut effects);
    assert!(queue.is_in_use(1), "a delivery is unsettled");
    let tag = deliveries(&mut effects)[0].tag;
    let settled = queue.settle(NOW, guest, Tags::One(tag), Outcome::Accept, &mut effects);
    assert_eq!(settled, Ok(None));
    queue.end(&mut effects);
    assert_eq!(queue.subscription_count(), 0);
    assert_eq!(accounts(&mut effects), (0, 0, 0));
}

#[test]
fn a_queue_at_rest_gives_nothing_out() {
    let (mut queue, mut effects) = (queue(), Effects::default());
    subscribe(&mut queue, 1, 1, &mut effects);
    queue.hold();
    assert!(queue.is_held() && !queue.is_idle(1));
    for number in 1..=3 {
        send(&mut queue, message(number), &mut effects);
    }
    subscribe(&mut queue, 2, 1, &mut effects);
    assert_eq!(delivered(&mut effects), []);
    queue.let_go(NOW, &mut effects);
    assert_eq!(delivered(&mut effects), [(1, 1), (2, 2)]);
}

/// A page that was asked for before must not bring back what was dropped meanwhile: the store may not
/// have heard of that yet.
#[test]
fn what_was_emptied_does_not_come_back_with_a_page() {
    let (mut queue, mut effects) = (small(), Effects::default());
    for number in 1..=40 {
        send(&mut queue, persistent(number), &mut effects);
    }
    subscribe(&mut queue, 1, 100, &mut effects);
    let horizon = effects.awaits_horizon.take().unwrap();
    queue.horizon_durable(NOW, horizon, &mut effects);
    let given = delivered(&mut effects).len() as u64;
    let request = effects.pages.pop().unwrap();
    let page = StoredPage {
        messages: (request.from.0..=40)
            .map(|number| StoredMessage {
                position: Position(number),
                message: Arc::new(persistent(number)),
                state: DeliveryState::default(),
            })
            .collect(),
        resume_at: Position(41),
        exhausted: false,
    };
    let (until, count) = queue.begin_purge(NOW, false, &mut effects);
    assert_eq!((until, count), (Position(40), 40 - given));
    queue.purge_page(until, &page, &mut effects);
    assert!(!queue.purge(NOW, until, 100, &mut effects));
    assert_eq!((queue.ready_count(), effects.tally.purged), (0, 40 - given));
    queue.page_in(NOW, Priority::DEFAULT, page, &mut effects);
    queue.end_purge(NOW, &mut effects);
    assert_eq!(delivered(&mut effects), []);
    assert_eq!(queue.ready_count(), 0);
}
