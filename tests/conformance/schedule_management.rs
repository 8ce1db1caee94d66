//! What clients ask of the scheduler itself.

use std::time::Duration;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};

use crate::say::{assert_alive, granted, refused, send, subscribe, transaction, waiting};
use crate::support::world::{EPOCH, Id, World};

const Q: &str = "/queue/later";
const MANAGEMENT: &str = "/topic/ActiveMQ.Scheduler.Management";

fn command(action: &str) -> OwnedFrame {
    send(MANAGEMENT).with("AMQ_SCHEDULER_ACTION", action)
}

/// Three messages for later, and the numbers of their jobs.
fn scheduled() -> (World, Id, Vec<String>) {
    let mut world = World::new();
    let client = world.connect(Version::V1_2);
    for delay in ["1000", "2000", "3000"] {
        let later = send(Q).with("AMQ_SCHEDULED_DELAY", delay);
        granted(
            &mut world,
            client,
            later.with("colour", "red").with_body(delay.as_bytes()),
        );
    }
    let jobs = world.broker.scheduled();
    let ids = jobs.iter().map(|job| job.id.0.to_string()).collect();
    (world, client, ids)
}

#[test]
fn what_is_scheduled_is_told_to_whom_a_message_says() {
    let (mut world, client, ids) = scheduled();
    for reply_to in ["/queue/me", "/temp-queue/me"] {
        world.send(client, &subscribe(reply_to, reply_to));
        let came = granted(
            &mut world,
            client,
            command("BROWSE").with("reply-to", reply_to),
        );
        assert_eq!(came.len(), 3);
        for ((id, delay), told) in ids.iter().zip(["1000", "2000", "3000"]).zip(came) {
            assert_eq!(told.get("destination"), Some(reply_to));
            assert_eq!(told.get("scheduledJobId"), Some(&**id));
            assert_eq!(told.get("AMQ_SCHEDULED_DELAY"), Some(delay));
            assert_eq!(told.get("colour"), Some("red"));
            assert_eq!(told.body, delay.as_bytes());
        }
    }
    // A range of times, by which the last of three is left out.
    let range = command("BROWSE")
        .with("reply-to", "/queue/me")
        .with("ACTION_START_TIME", &(EPOCH.0 + 2000).to_string())
        .with("ACTION_END_TIME", &(EPOCH.0 + 2999).to_string());
    let came = granted(&mut world, client, range);
    assert_eq!((came.len(), &*came[0].body), (1, &b"2000"[..]));
    assert_eq!(world.broker.totals().scheduled, 3, "nothing was disturbed");
}

#[test]
fn what_is_scheduled_can_be_removed_by_a_message() {
    let (mut world, client, ids) = scheduled();
    granted(
        &mut world,
        client,
        command("REMOVE").with("scheduledJobId", &ids[1]),
    );
    // It is gone: that is what was asked for.
    granted(
        &mut world,
        client,
        command("REMOVE").with("scheduledJobId", &ids[1]),
    );
    let until = (EPOCH.0 + 1000).to_string();
    granted(
        &mut world,
        client,
        command("REMOVEALL").with("ACTION_END_TIME", &until),
    );
    assert_eq!(world.broker.totals().scheduled, 1);
    world.advance(Duration::from_secs(10));
    let found = waiting(&mut world, Q);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].body, b"3000");
    assert_eq!(
        waiting(&mut world, "/queue/ActiveMQ.Scheduler.Management"),
        []
    );
}

#[test]
fn a_transaction_asks_the_scheduler_when_it_is_committed() {
    let (mut world, client, _) = scheduled();
    for (end, left) in [(Verb::Abort, 3), (Verb::Commit, 0)] {
        granted(&mut world, client, transaction(Verb::Begin, "t"));
        granted(
            &mut world,
            client,
            command("REMOVEALL").with("transaction", "t"),
        );
        assert_eq!(world.broker.totals().scheduled, 3);
        granted(&mut world, client, transaction(end, "t"));
        assert_eq!(world.broker.totals().scheduled, left);
    }
}

#[test]
fn what_the_scheduler_cannot_do_is_refused() {
    let (mut world, client, _) = scheduled();
    for (frame, named) in [
        (send(MANAGEMENT), "AMQ_SCHEDULER_ACTION"),
        (command("STOP"), "STOP"),
        (command("BROWSE"), "reply-to"),
        (command("REMOVE").with("scheduledJobId", "ID:x"), "ID:x"),
        (command("REMOVEALL").with("ACTION_START_TIME", "now"), "now"),
    ] {
        let error = refused(&mut world, client, frame);
        assert_eq!(error.get("code"), Some("invalid-header"), "{error:?}");
        assert!(error.get("message").unwrap().contains(named), "{error:?}");
    }
    assert_alive(&mut world, client);
    assert_eq!(world.broker.totals().scheduled, 3);
}
