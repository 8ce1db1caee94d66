//! Messages that are delivered later: once, again and again, by the calendar.

use std::time::Duration;

use tidegate::internal::broker::Clock;
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{Now, Tick, Timestamp};
use tidegate::internal::store::{MemoryStore, RedbOptions, RedbStore, Store};

use crate::say::{
    assert_alive, bodies, frame, granted, message, refused, send, subscribe, transaction, waiting,
};
use crate::support::world::{EPOCH, Id, World, config};

const Q: &str = "/queue/later";

fn consumer(world: &mut World, destination: &str) -> Id {
    let client = world.connect(Version::V1_2);
    world.send(client, &subscribe(destination, "1"));
    client
}

fn sender(world: &mut World) -> Id {
    world.connect(Version::V1_2)
}

fn text(body: &str) -> OwnedFrame {
    send(Q)
        .with("persistent", "true")
        .with_body(body.as_bytes())
}

fn wait(world: &mut World, millis: u64) {
    world.advance(Duration::from_millis(millis));
}

#[test]
fn test_send_message_with_delay() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    let later = text("x").with("AMQ_SCHEDULED_DELAY", "2000");
    assert_eq!(granted(&mut world, client, later), []);
    assert_eq!(world.broker.totals().scheduled, 1);
    wait(&mut world, 1_999);
    assert_eq!(world.drain(client), []);
    wait(&mut world, 1);
    let due = message(&mut world, client);
    assert_eq!(due.body, b"x");
    assert_eq!(due.get("destination"), Some(Q));
    assert_eq!(due.get("AMQ_SCHEDULED_DELAY"), None);
    assert!(due.get("scheduledJobId").is_some());
    assert_eq!(world.broker.totals().scheduled, 0);
    wait(&mut world, 10_000);
    assert_eq!(world.drain(client), []);
}

#[test]
fn every_spelling_of_a_delay_is_understood() {
    let at = (EPOCH.0 + 500).to_string();
    for (name, value) in [
        ("AMQ_SCHEDULED_DELAY", "500"),
        ("x-delay", "500"),
        ("x-opt-delivery-delay", "500"),
        ("AMQ_SCHEDULED_TIME", &*at),
        ("_AMQ_SCHED_DELIVERY", &*at),
        ("x-opt-delivery-time", &*at),
    ] {
        let mut world = World::new();
        let client = consumer(&mut world, Q);
        granted(&mut world, client, text("x").with(name, value));
        wait(&mut world, 499);
        assert_eq!(world.drain(client), [], "{name}");
        wait(&mut world, 1);
        let due = message(&mut world, client);
        assert_eq!(due.get(name), None, "{name}");
    }
}

#[test]
fn a_message_that_is_repeated_n_times_comes_n_and_one_times() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    let series = text("x")
        .with("AMQ_SCHEDULED_DELAY", "1000")
        .with("AMQ_SCHEDULED_PERIOD", "500")
        .with("AMQ_SCHEDULED_REPEAT", "2");
    granted(&mut world, client, series);
    let mut ids = std::collections::BTreeSet::new();
    let mut jobs = std::collections::BTreeSet::new();
    for millis in [1000, 500, 500] {
        wait(&mut world, millis - 1);
        assert_eq!(world.drain(client), []);
        wait(&mut world, 1);
        let due = message(&mut world, client);
        ids.insert(due.get("message-id").unwrap().to_owned());
        jobs.insert(due.get("scheduledJobId").unwrap().to_owned());
    }
    assert_eq!((ids.len(), jobs.len()), (3, 1));
    wait(&mut world, 5_000);
    assert_eq!(world.drain(client), []);
    assert_eq!(world.broker.totals().scheduled, 0);
}

#[test]
fn a_period_alone_is_a_delay() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    granted(
        &mut world,
        client,
        text("x").with("AMQ_SCHEDULED_PERIOD", "300"),
    );
    wait(&mut world, 299);
    assert_eq!(world.drain(client), []);
    wait(&mut world, 1);
    assert_eq!(bodies(&mut world, client), ["x"]);
    wait(&mut world, 5_000);
    assert_eq!(world.drain(client), []);
}

#[test]
fn the_calendar_brings_a_message_again_and_again() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    granted(
        &mut world,
        client,
        text("tick").with("AMQ_SCHEDULED_CRON", "* * * * *"),
    );
    // To the next full minute.
    let first = 60_000 - EPOCH.0 % 60_000;
    wait(&mut world, first - 1);
    assert_eq!(world.drain(client), []);
    wait(&mut world, 1);
    assert_eq!(bodies(&mut world, client), ["tick"]);
    for _ in 0..3 {
        wait(&mut world, 59_999);
        assert_eq!(world.drain(client), []);
        wait(&mut world, 1);
        assert_eq!(bodies(&mut world, client), ["tick"]);
    }
}

#[test]
fn each_tick_of_the_calendar_may_begin_a_series() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    let series = text("tick")
        .with("AMQ_SCHEDULED_CRON", "* * * * *")
        .with("AMQ_SCHEDULED_DELAY", "1000")
        .with("AMQ_SCHEDULED_PERIOD", "2000")
        .with("AMQ_SCHEDULED_REPEAT", "1");
    granted(&mut world, client, series);
    wait(&mut world, 60_000 - EPOCH.0 % 60_000);
    for _ in 0..2 {
        assert_eq!(world.drain(client), []);
        wait(&mut world, 1_000);
        assert_eq!(bodies(&mut world, client), ["tick"]);
        wait(&mut world, 2_000);
        assert_eq!(bodies(&mut world, client), ["tick"]);
        wait(&mut world, 57_000);
    }
}

#[test]
fn what_is_scheduled_goes_where_it_would_have_gone_at_once() {
    for (sent_to, read_from) in [
        ("/topic/prices", "/topic/prices"),
        (
            "/topic/VirtualTopic.orders",
            "/queue/Consumer.a.VirtualTopic.orders",
        ),
        ("/queue/a,/queue/b", "/queue/b"),
        ("/queue/a,/topic/t", "/topic/t"),
    ] {
        let mut world = World::new();
        let client = consumer(&mut world, read_from);
        let later = send(sent_to).with("x-delay", "100").with_body(b"x");
        granted(&mut world, client, later);
        wait(&mut world, 99);
        assert_eq!(world.drain(client), [], "{sent_to}");
        wait(&mut world, 1);
        assert_eq!(bodies(&mut world, client), ["x"], "{sent_to}");
        wait(&mut world, 1_000);
        assert_eq!(world.drain(client), [], "{sent_to}");
    }
}

#[test]
fn what_is_scheduled_keeps_its_group_priority_and_properties() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    let later = text("x\\y")
        .with("x-delay", "100")
        .with("JMSXGroupID", "g")
        .with("priority", "7")
        .with("note", "a:b\\c\nd")
        .with("expires", &(EPOCH.0 + 1_000).to_string());
    granted(&mut world, client, later);
    wait(&mut world, 100);
    let due = message(&mut world, client);
    assert_eq!(due.get("JMSXGroupID"), Some("g"));
    assert_eq!(due.get("priority"), Some("7"));
    assert_eq!(due.get("note"), Some("a:b\\c\nd"));
    assert_eq!(due.body, b"x\\y");
    // The time to live begins when the message is sent on.
    let expires = (EPOCH.0 + 1_100).to_string();
    assert_eq!(due.get("expires"), Some(&*expires));
}

#[test]
fn a_transaction_schedules_when_it_is_committed() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    for (end, expected) in [(Verb::Abort, 0), (Verb::Commit, 1)] {
        world.send(client, &transaction(Verb::Begin, "t"));
        let later = text("x").with("x-delay", "100").with("transaction", "t");
        granted(&mut world, client, later);
        wait(&mut world, 50);
        assert_eq!(world.drain(client), []);
        assert_eq!(world.broker.totals().scheduled, 0);
        granted(&mut world, client, transaction(end, "t"));
        assert_eq!(world.broker.totals().scheduled, expected);
        wait(&mut world, 50);
        let came = bodies(&mut world, client).len();
        assert_eq!(came, usize::try_from(expected).unwrap());
    }
}

#[test]
fn bad_values_are_refused_and_name_what_is_wrong() {
    let mut world = World::new();
    let client = sender(&mut world);
    for (name, value) in [
        ("AMQ_SCHEDULED_DELAY", "soon"),
        ("AMQ_SCHEDULED_DELAY", "-1"),
        ("AMQ_SCHEDULED_DELAY", "99999999999999999"),
        ("x-delay", "1.5"),
        ("AMQ_SCHEDULED_PERIOD", "-2"),
        ("AMQ_SCHEDULED_REPEAT", "x"),
        ("AMQ_SCHEDULED_REPEAT", "1001"),
        ("AMQ_SCHEDULED_CRON", "* * *"),
        ("AMQ_SCHEDULED_CRON", "61 * * * *"),
        ("AMQ_SCHEDULED_CRON", "0 0 31 2 *"),
        ("AMQ_SCHEDULED_TIME", "tomorrow"),
        ("_AMQ_SCHED_DELIVERY", ""),
        ("x-opt-delivery-time", "1e9"),
    ] {
        let error = refused(&mut world, client, text("x").with(name, value));
        let code = error.get("code");
        assert_eq!(code, Some("invalid-header"), "{name}:{value} {error:?}");
        let told = error.get("message").unwrap();
        assert!(told.contains(name), "{name}:{value} {told}");
    }
    assert_alive(&mut world, client);
    assert_eq!(world.broker.totals().scheduled, 0);
    let repeats = text("x").with("AMQ_SCHEDULED_REPEAT", "1001");
    let error = refused(&mut world, client, repeats);
    let told = error.get("message").unwrap();
    assert!(told.starts_with("The scheduled repeat value is too large"));
}

#[test]
fn values_that_ask_for_nothing_delay_nothing() {
    let past = (EPOCH.0 - 1).to_string();
    for (name, value) in [
        ("AMQ_SCHEDULED_DELAY", "0"),
        ("x-delay", "0"),
        ("AMQ_SCHEDULED_CRON", ""),
        ("AMQ_SCHEDULED_TIME", &*past),
        // What the broker itself has sent on is not delayed once more.
        ("scheduledJobId", "1"),
    ] {
        let mut world = World::new();
        let client = consumer(&mut world, Q);
        let mut now = text("x").with(name, value);
        if name == "scheduledJobId" {
            now = now.with("AMQ_SCHEDULED_DELAY", "1000");
        }
        world.send(client, &now);
        assert_eq!(bodies(&mut world, client), ["x"], "{name}");
    }
}

#[test]
fn what_is_scheduled_can_be_listed_cancelled_and_sent_on_now() {
    let mut world = World::new();
    let client = consumer(&mut world, Q);
    for (body, delay) in [("b", "2000"), ("a", "1000"), ("c", "3000")] {
        granted(&mut world, client, text(body).with("x-delay", delay));
    }
    let jobs = world.broker.scheduled();
    let dues: Vec<_> = jobs.iter().map(|job| job.due.0 - EPOCH.0).collect();
    assert_eq!(dues, [1000, 2000, 3000]);
    assert!(world.broker.cancel_scheduled(jobs[0].id));
    assert!(!world.broker.cancel_scheduled(jobs[0].id));
    assert!(world.broker.run_scheduled(jobs[2].id));
    assert!(!world.broker.run_scheduled(jobs[0].id));
    world.run();
    assert_eq!(bodies(&mut world, client), ["c"]);
    wait(&mut world, 5_000);
    assert_eq!(bodies(&mut world, client), ["b"]);
}

#[test]
fn the_schedule_has_a_limit() {
    let mut settings = config();
    settings.limits.scheduled = 2;
    let store = Box::new(MemoryStore::default());
    let mut world = World::with(&settings, store);
    let client = sender(&mut world);
    for _ in 0..2 {
        granted(&mut world, client, text("x").with("x-delay", "100"));
    }
    let error = refused(&mut world, client, text("x").with("x-delay", "100"));
    assert_eq!(error.get("code"), Some("full"), "{error:?}");
    assert!(error.get("message").unwrap().contains("the schedule"));
    wait(&mut world, 100);
    granted(&mut world, client, text("x").with("x-delay", "100"));
}

/// A broker on a directory, at a time of the wall clock.
fn at(directory: &std::path::Path, millis: u64) -> World {
    let opened = RedbStore::open(directory, &RedbOptions::default());
    let store: Box<dyn Store> = Box::new(opened.unwrap());
    let clock = Clock::manual(Now {
        wall: Timestamp(EPOCH.0 + millis),
        tick: Tick(0),
    });
    let mut world = World::at(&config(), store, clock);
    world.run();
    world
}

/// A shop gives its customers a minute to pay.
#[test]
fn an_order_times_out_after_a_minute_whatever_the_broker_went_through() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = at(directory.path(), 0);
    let shop = sender(&mut world);
    for order in ["paid", "forgotten"] {
        let later = send("/queue/order.timeouts")
            .with("AMQ_SCHEDULED_DELAY", "60000")
            .with("order", order);
        granted(&mut world, shop, later);
    }
    let paid = world.broker.scheduled()[0].id;
    assert!(world.broker.cancel_scheduled(paid));
    world.run();
    world.broker.shutdown().unwrap();
    drop(world);
    let mut world = at(directory.path(), 20_000);
    let clerk = consumer(&mut world, "/queue/order.timeouts");
    wait(&mut world, 39_999);
    assert_eq!(world.drain(clerk), []);
    wait(&mut world, 1);
    assert_eq!(message(&mut world, clerk).get("order"), Some("forgotten"));
    wait(&mut world, 100_000);
    assert_eq!(world.drain(clerk), []);
}

#[test]
fn what_was_due_while_the_broker_was_down_comes_once_at_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = at(directory.path(), 0);
    let client = sender(&mut world);
    granted(&mut world, client, text("once").with("x-delay", "1000"));
    let series = text("series")
        .with("AMQ_SCHEDULED_PERIOD", "1000")
        .with("AMQ_SCHEDULED_REPEAT", "3");
    granted(&mut world, client, series);
    granted(
        &mut world,
        client,
        text("cron").with("AMQ_SCHEDULED_CRON", "0 * * * *"),
    );
    // One of four times of the series.
    wait(&mut world, 1_000);
    assert_eq!(waiting(&mut world, Q).len(), 2);
    world.broker.shutdown().unwrap();
    drop(world);
    let two_hours = 7_200_000;
    let mut world = at(directory.path(), two_hours);
    let client = consumer(&mut world, Q);
    let mut came = bodies(&mut world, client);
    came.sort_unstable();
    assert_eq!(came, ["cron", "once", "series", "series"]);
    for _ in 0..2 {
        wait(&mut world, 999);
        assert_eq!(world.drain(client), []);
        wait(&mut world, 1);
        assert_eq!(bodies(&mut world, client), ["series"]);
    }
    wait(&mut world, 600_000);
    assert_eq!(world.drain(client), []);
    let next_hour = 3_600_000 - (EPOCH.0 + two_hours + 602_000) % 3_600_000;
    wait(&mut world, next_hour);
    assert_eq!(bodies(&mut world, client), ["cron"]);
}

#[test]
fn what_is_not_persistent_waits_through_a_restart_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = at(directory.path(), 0);
    let client = sender(&mut world);
    let later = send(Q).with("x-delay", "1000").with_body(b"x");
    granted(&mut world, client, later);
    world.send(client, &frame(Verb::Disconnect));
    world.broker.shutdown().unwrap();
    drop(world);
    let mut world = at(directory.path(), 5_000);
    assert_eq!(waiting(&mut world, Q).len(), 1);
}
