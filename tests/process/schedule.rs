//! Messages for later in the real binary, over kills and stops.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, ack, persistent};

const Q: &str = "/queue/later";

fn start(data: &str) -> Process {
    Process::start(&["--data", data, "--set", "store.ring=1MiB"])
}

fn consume(broker: &Process) -> Plain {
    let mut client = Plain::connect(broker.stomp);
    let subscribe = OwnedFrame::new(Verb::Subscribe)
        .with("id", "1")
        .with("destination", Q)
        .with("ack", "client-individual");
    client.request(subscribe);
    client
}

/// The next message, acknowledged.
fn take(client: &mut Plain) -> OwnedFrame {
    let message = client.receive();
    client.request(ack(&message));
    message
}

#[test]
fn what_is_scheduled_comes_once_whether_the_broker_is_stopped_or_killed() {
    for kill in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().to_str().unwrap();
        let end = |broker: Process| {
            if kill {
                broker.kill();
            } else {
                assert!(broker.stop().success());
            }
        };
        let broker = start(data);
        let mut sender = Plain::connect(broker.stomp);
        // Due while the broker is down, or a moment later; and not in this test.
        sender.request(persistent(Q, "soon").with("AMQ_SCHEDULED_DELAY", "1"));
        let twice = persistent(Q, "series").with("AMQ_SCHEDULED_PERIOD", "1");
        sender.request(twice.with("AMQ_SCHEDULED_REPEAT", "1"));
        sender.request(persistent(Q, "tomorrow").with("AMQ_SCHEDULED_DELAY", "86400000"));
        drop(sender);
        end(broker);
        let broker = start(data);
        let mut client = consume(&broker);
        let mut came: Vec<_> = (0..3)
            .map(|_| String::from_utf8(take(&mut client).body).unwrap())
            .collect();
        came.sort_unstable();
        assert_eq!(came, ["series", "series", "soon"]);
        drop(client);
        end(broker);
        // What came has left the schedule for good: the next message is one that is sent now.
        let broker = start(data);
        let mut client = consume(&broker);
        Plain::connect(broker.stomp).request(persistent(Q, "now"));
        assert_eq!(take(&mut client).body, b"now");
        assert!(broker.stop().success());
    }
}
