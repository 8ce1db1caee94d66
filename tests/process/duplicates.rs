//! Duplicate detection of the real binary, over kills.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, persistent};

const Q: &str = "/queue/orders";

#[test]
fn after_a_kill_what_is_sent_again_is_not_taken_again() {
    for ring in ["0", "1MiB"] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().to_str().unwrap();
        let start = || Process::start(&["--data", data, "--set", &format!("store.ring={ring}")]);
        let send = |broker: &Process, ids: std::ops::Range<u32>| {
            let mut sender = Plain::connect(broker.stomp);
            for id in ids {
                let identity = format!("{ring}-{id}");
                let frame = persistent(Q, &identity).with("_AMQ_DUPL_ID", &identity);
                sender.request(frame);
            }
        };
        let broker = start();
        send(&broker, 0..20);
        broker.kill();
        let broker = start();
        send(&broker, 10..30);
        let mut reader = Plain::connect(broker.stomp);
        let subscribe = OwnedFrame::new(Verb::Subscribe)
            .with("id", "1")
            .with("destination", Q);
        reader.request(subscribe);
        for id in 0..30 {
            let message = reader.receive();
            assert_eq!(
                String::from_utf8(message.body).unwrap(),
                format!("{ring}-{id}")
            );
        }
        drop(reader);
        broker.kill();
    }
}
