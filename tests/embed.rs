//! The broker inside another program, by the interface that such programs have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says by a panic what it found"
)]

use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use tidegate::{
    AckMode, Broker, BrokerConfig, Client, ClientError, Outcome, Outgoing, Received, Refusal,
    Selector, SubscribeOptions,
};

/// Long enough for any machine; nothing waits that long unless something is wrong.
const SOON: Duration = Duration::from_mins(1);

fn open() -> Broker {
    Broker::open(&BrokerConfig::in_memory()).unwrap()
}

fn one_by_one() -> SubscribeOptions {
    SubscribeOptions::new(10, AckMode::ClientIndividual)
}

#[track_caller]
fn next(client: &mut Client) -> Received {
    client.receive(SOON).expect("a message comes")
}

fn nothing_more(client: &mut Client) {
    assert!(client.receive(Duration::ZERO).is_none());
}

#[test]
fn what_one_client_sends_another_receives_and_settles() {
    let broker = open();
    let (mut sender, mut receiver) = (broker.client(), broker.client());
    receiver.subscribe("queue://q", one_by_one()).unwrap();
    let message = Outgoing::text("hello")
        .with("a", "b:c")
        .with("JMSType", "greeting");
    sender.send("q", &message).unwrap();
    let first = next(&mut receiver);
    assert_eq!(first.text(), "hello");
    assert_eq!(first.property("a").as_deref(), Some("b:c"));
    assert_eq!(first.destination.to_string(), "queue://q");
    assert_eq!((first.count, first.redelivered), (1, false));
    receiver.settle(&first, Outcome::Release).unwrap();
    let again = next(&mut receiver);
    receiver.accept(&again).unwrap();
    let twice = receiver.accept(&again);
    assert_eq!(twice, Err(ClientError::Refused(Refusal::NoDelivery)));
    nothing_more(&mut receiver);
    drop((sender, receiver));
    broker.shutdown().unwrap();
}

#[test]
fn what_a_client_does_not_settle_goes_back_when_it_is_dropped() {
    let broker = open();
    let mut client = broker.client();
    client
        .send("q", &Outgoing::bytes(*b"x").not_persistent())
        .unwrap();
    client.subscribe("q", one_by_one()).unwrap();
    next(&mut client);
    drop(client);
    let mut other = broker.client();
    other.subscribe("q", one_by_one()).unwrap();
    assert!(next(&mut other).redelivered);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let broker = open();
    let mut client = broker.client();
    client.send("in", &Outgoing::text("1")).unwrap();
    client.subscribe("in", one_by_one()).unwrap();
    client.subscribe("out,topic://out", one_by_one()).unwrap();
    let input = next(&mut client);
    for commit in [false, true] {
        client.begin().unwrap();
        assert!(matches!(client.begin(), Err(ClientError::Transaction(_))));
        client.accept(&input).unwrap();
        client
            .send("queue://out,topic://out", &Outgoing::text("2"))
            .unwrap();
        nothing_more(&mut client);
        if commit {
            client.commit().unwrap();
        } else {
            client.abort().unwrap();
        }
    }
    assert!(matches!(client.commit(), Err(ClientError::Transaction(_))));
    let names = [next(&mut client), next(&mut client)].map(|m| m.destination.to_string());
    assert_eq!(names, ["queue://out", "topic://out"]);
    nothing_more(&mut client);
    assert_eq!(broker.totals().queues.ready, 0);
}

#[test]
fn selectors_wildcards_and_cumulative_acknowledgements_work_as_for_other_clients() {
    let broker = open();
    let mut client = broker.client();
    let options = SubscribeOptions {
        selector: Some(Selector::parse("n > 1").unwrap()),
        ..SubscribeOptions::new(10, AckMode::Client)
    };
    let subscription = client.subscribe("a.>", options).unwrap();
    for (name, number) in [("a.b", "1"), ("a.c", "2"), ("a.d", "3")] {
        client
            .send(name, &Outgoing::text(number).with("n", number))
            .unwrap();
    }
    let [_, last] = [next(&mut client), next(&mut client)];
    assert_eq!(last.destination.name(), "a.d");
    client.accept(&last).unwrap();
    client.unsubscribe(subscription).unwrap();
    let ended = client.unsubscribe(subscription);
    assert_eq!(ended, Err(ClientError::Refused(Refusal::NoSubscription)));
    assert_eq!(broker.totals().queues.ready, 1);
}

#[test]
fn what_cannot_be_sent_or_subscribed_to_is_said() {
    let mut client = open().client();
    let text = Outgoing::text("x");
    assert!(matches!(
        client.send("", &text),
        Err(ClientError::Destination { .. })
    ));
    assert!(matches!(
        client.send("a.>", &text),
        Err(ClientError::Wildcard(_))
    ));
    let odd = text.with("destination", "elsewhere");
    assert_eq!(
        client.send("q", &odd),
        Err(ClientError::Property("destination".to_owned()))
    );
    let bad = client.subscribe("topic://", one_by_one());
    assert!(matches!(bad, Err(ClientError::Destination { .. })));
}

#[test]
fn a_sender_to_a_full_queue_waits_for_room_and_is_refused_in_the_end() {
    let mut config = BrokerConfig::in_memory();
    config.policy.max_bytes = 1000;
    config.limits.full_timeout = Duration::from_millis(50);
    let broker = Arc::new(Broker::open(&config).unwrap());
    let mut client = broker.client();
    client.send("q", &Outgoing::bytes(vec![0; 900])).unwrap();
    let refused = client.send("q", &Outgoing::text("x"));
    assert!(matches!(
        refused,
        Err(ClientError::Refused(Refusal::Full { .. }))
    ));
    let other = Arc::clone(&broker);
    let consumer = Builder::new().spawn(move || {
        let mut consumer = other.client();
        consumer
            .subscribe("q", SubscribeOptions::new(1, AckMode::Auto))
            .unwrap();
        next(&mut consumer);
        next(&mut consumer);
    });
    // However late the other thread starts, one of these finds room.
    while client.send("q", &Outgoing::text("y")).is_err() {}
    consumer.unwrap().join().unwrap();
}

#[test]
fn many_threads_send_and_receive_at_once() {
    const EACH: usize = 200;
    let broker = Arc::new(open());
    let run = |task: fn(&Broker)| {
        let broker = Arc::clone(&broker);
        Builder::new().spawn(move || task(&broker)).unwrap()
    };
    let threads = [
        run(|broker| {
            let mut client = broker.client();
            for _ in 0..EACH {
                client.send("q", &Outgoing::text("x")).unwrap();
            }
        }),
        run(|broker| {
            let mut client = broker.client();
            client.subscribe("q", one_by_one()).unwrap();
            for _ in 0..EACH {
                let received = next(&mut client);
                client.accept(&received).unwrap();
            }
        }),
    ];
    for thread in threads {
        thread.join().unwrap();
    }
}

#[cfg(feature = "redb")]
#[test]
fn what_was_sent_is_there_when_the_broker_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = BrokerConfig::in_directory(directory.path());
    for (sent, found) in [("one", None), ("two", Some("one"))] {
        let broker = Broker::open(&config).unwrap();
        let mut client = broker.client();
        client.subscribe("q", one_by_one()).unwrap();
        let before = client.receive(Duration::from_millis(u64::from(found.is_some()) * 60_000));
        assert_eq!(
            before.as_ref().map(|m| m.text().into_owned()).as_deref(),
            found
        );
        if let Some(before) = before {
            client.accept(&before).unwrap();
        }
        client.send("q", &Outgoing::text(sent)).unwrap();
        client
            .send("q", &Outgoing::text("lost").not_persistent())
            .unwrap();
        drop(client);
        broker.shutdown().unwrap();
    }
}

#[cfg(feature = "server")]
#[tokio::test]
async fn an_asynchronous_client_does_the_same() {
    let broker = open();
    let (mut sender, mut receiver) = (broker.async_client(), broker.async_client());
    receiver.subscribe("q", one_by_one()).await.unwrap();
    let both = async {
        let first = receiver.receive().await;
        receiver.begin().await.unwrap();
        receiver.accept(&first).await.unwrap();
        receiver
            .send("answers", &Outgoing::text("done"))
            .await
            .unwrap();
        receiver.commit().await.unwrap();
    };
    let send = async {
        sender
            .subscribe("answers", SubscribeOptions::new(1, AckMode::Auto))
            .await
            .unwrap();
        sender.send("q", &Outgoing::text("do it")).await.unwrap();
        assert_eq!(sender.receive().await.text(), "done");
    };
    tokio::join!(both, send);
    let failed = receiver.send("a.>", &Outgoing::text("x")).await;
    assert!(matches!(failed, Err(ClientError::Wildcard(_))));
}

#[cfg(feature = "redb")]
#[test]
fn the_example_runs() {
    let directory = tempfile::tempdir().unwrap();
    let out = std::process::Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--example", "embedded"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(said.contains("packing order 1"), "{said}");
}
