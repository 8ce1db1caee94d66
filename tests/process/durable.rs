//! Durable subscriptions of the real binary, over restarts and kills.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, ack, persistent};

const T: &str = "/topic/prices";

fn start(data: &str) -> Process {
    Process::start(&["--data", data, "--set", "store.ring=1MiB"])
}

fn client(broker: &Process) -> Plain {
    let login = OwnedFrame::new(Verb::Connect).with("client-id", "watcher");
    Plain::connect_with(broker.stomp, login)
}

fn durable() -> OwnedFrame {
    OwnedFrame::new(Verb::Subscribe)
        .with("id", "1")
        .with("destination", T)
        .with("activemq.subscriptionName", "watch")
        .with("ack", "client-individual")
}

/// Sends a persistent message and one that is not, and sees both stored or taken.
fn publish(broker: &Process, body: &str) {
    let mut sender = Plain::connect(broker.stomp);
    let fleeting = OwnedFrame::new(Verb::Send).with("destination", T);
    sender.request(fleeting.with_body(b"fleeting"));
    sender.request(persistent(T, body));
}

/// The next message, acknowledged.
fn take(client: &mut Plain) -> OwnedFrame {
    let message = client.receive();
    client.request(ack(&message));
    message
}

#[test]
fn after_a_restart_a_durable_subscription_has_what_is_persistent() {
    for kill in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().to_str().unwrap();
        let broker = start(data);
        // Its receipt says that it survives whatever comes next.
        client(&broker).request(durable());
        publish(&broker, "one");
        publish(&broker, "two");
        if kill {
            broker.kill();
        } else {
            assert!(broker.stop().success());
        }
        let broker = start(data);
        let mut watcher = client(&broker);
        watcher.send(&durable());
        let first = take(&mut watcher);
        assert_eq!(first.body, b"one", "what was not persistent is gone");
        assert_eq!(first.get("destination"), Some(T));
        drop(watcher);
        if kill {
            broker.kill();
        } else {
            assert!(broker.stop().success());
        }
        let broker = start(data);
        let mut watcher = client(&broker);
        watcher.send(&durable());
        assert_eq!(
            take(&mut watcher).body,
            b"two",
            "what was acknowledged is gone"
        );
        let end = OwnedFrame::new(Verb::Unsubscribe).with("activemq.subscriptionName", "watch");
        watcher.request(end);
        drop(watcher);
        publish(&broker, "to nobody");
        broker.kill();
        let broker = start(data);
        let mut watcher = client(&broker);
        watcher.request(durable());
        publish(&broker, "three");
        assert_eq!(watcher.receive().body, b"fleeting");
        assert_eq!(
            watcher.receive().body,
            b"three",
            "it was forgotten, also by the store"
        );
    }
}
