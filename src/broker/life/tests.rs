//! Many threads at once: destinations are removed as soon as they are idle, or with their owner, while
//! others send to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::super::{Broker, BrokerConfig, Connection, Life};
use crate::core::{
    AckMode, BodyKind, Completion, Composition, DestinationName, Kind, Message, MessageId, Outcome,
    Priority, Refusal, Request, SubscribeOptions, SubscriptionId, Tags, Timestamp, Token,
    TransactionId,
};

const SENDERS: u64 = 2;
const EACH: u64 = 1_500;
const NAMES: u64 = 3;

fn broker() -> Arc<Broker> {
    let config = BrokerConfig {
        life: Life {
            collect_after: Some(Duration::ZERO),
            forget_durable_after: None,
            ..Life::default()
        },
        ..BrokerConfig::in_memory()
    };
    Arc::new(Broker::open(&config).unwrap())
}

fn message(connection: &Connection, to: &DestinationName, number: u64) -> Arc<Message> {
    let composed = Composition {
        id: MessageId {
            connection: connection.id(),
            number,
        },
        destination: to,
        timestamp: Timestamp(0),
        expiration: None,
        priority: Priority::DEFAULT,
        persistent: number.is_multiple_of(2),
        body_kind: BodyKind::Bytes,
        properties: &[],
        body: b"x",
    };
    Arc::new(composed.message())
}

/// Asks, and waits until what was asked is carried out.
fn ask(
    broker: &Broker,
    connection: &mut Connection,
    mut requests: Vec<Request>,
) -> Vec<Completion> {
    let mut completions = Vec::new();
    connection.submit(broker.clock().now(), &mut requests, &mut completions);
    while connection.is_parked() || connection.is_committing() {
        connection.collect(broker.clock().now(), &mut completions);
    }
    completions
}

fn send(connection: &Connection, to: DestinationName, number: u64) -> Request {
    Request::Send {
        message: message(connection, &to, number),
        destination: to,
        transaction: None,
        token: Some(Token(number)),
    }
}

fn start<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(task).unwrap()
}

fn queue(number: u64) -> DestinationName {
    DestinationName::queue(&format!("q{}", number % NAMES)).unwrap()
}

/// Sends to all queues in turn, every fourth time in a transaction.
fn send_all(broker: &Broker) {
    let mut connection = broker.connect();
    for number in 0..EACH {
        let mut requests = vec![send(&connection, queue(number), number)];
        if number.is_multiple_of(4) {
            let (transaction, token) = (TransactionId(1), None);
            if let Some(Request::Send { transaction, .. }) = requests.first_mut() {
                *transaction = Some(TransactionId(1));
            }
            requests.insert(0, Request::Begin { transaction, token });
            requests.push(Request::Commit { transaction, token });
        }
        for completion in ask(broker, &mut connection, requests) {
            assert!(completion.result.is_ok(), "{completion:?}");
        }
    }
    connection.disconnect(broker.clock().now(), |_| None);
}

/// Subscribes to all queues in turn, takes what is there, and ends the subscription again.
/// Returns how many messages that were, once all queues are empty and nothing more is sent.
fn receive_all(broker: &Broker, sending: &AtomicU64) -> u64 {
    let mut connection = broker.connect();
    let (mut received, mut empty) = (0, 0);
    for round in 0.. {
        let sent = sending.load(Ordering::SeqCst) == 0;
        if sent && empty > 2 * NAMES {
            break;
        }
        let subscription = SubscriptionId(1);
        let options = SubscribeOptions::new(100, AckMode::Client);
        let subscribe = Request::Subscribe {
            subscription,
            destination: queue(round),
            options,
            token: Some(Token(1)),
        };
        assert!(
            ask(broker, &mut connection, vec![subscribe])[0]
                .result
                .is_ok()
        );
        let now = broker.clock().now();
        let all: Vec<_> = {
            let mail = connection.collect(now, &mut Vec::new());
            mail.deliveries.drain(..).collect()
        };
        let bytes = all
            .iter()
            .map(|delivery| delivery.message.footprint())
            .sum();
        connection.encoded(now, bytes);
        let mut end = Vec::new();
        if let Some(last) = all.last() {
            end.push(Request::Settle {
                subscription,
                tags: Tags::Through(last.tag),
                outcome: Outcome::Accept,
                transaction: None,
                token: None,
            });
        }
        received += all.len() as u64;
        empty = if sent && all.is_empty() { empty + 1 } else { 0 };
        end.push(Request::Unsubscribe {
            subscription,
            token: None,
        });
        assert_eq!(ask(broker, &mut connection, end), []);
        // What came after the last look went back.
        let mail = connection.collect(now, &mut Vec::new());
        let late: usize = mail
            .deliveries
            .drain(..)
            .map(|d| d.message.footprint())
            .sum();
        connection.encoded(now, late);
    }
    connection.disconnect(broker.clock().now(), |_| None);
    received
}

#[test]
fn queues_that_come_and_go_lose_nothing() {
    let broker = broker();
    let sending = Arc::new(AtomicU64::new(SENDERS));
    let over = Arc::new(AtomicBool::new(false));
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        let (broker, sending) = (Arc::clone(&broker), Arc::clone(&sending));
        senders.push(start(move || {
            send_all(&broker);
            sending.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    let receiver = {
        let (broker, sending) = (Arc::clone(&broker), Arc::clone(&sending));
        start(move || receive_all(&broker, &sending))
    };
    let collector = {
        let (broker, over) = (Arc::clone(&broker), Arc::clone(&over));
        start(move || {
            while !over.load(Ordering::SeqCst) {
                broker.collect();
            }
        })
    };
    for thread in senders {
        thread.join().unwrap();
    }
    assert_eq!(receiver.join().unwrap(), SENDERS * EACH, "nothing is lost");
    over.store(true, Ordering::SeqCst);
    collector.join().unwrap();
    while broker.collect_at().is_some() {
        broker.collect();
    }
    let totals = broker.totals();
    assert_eq!((totals.queues.destinations, totals.memory_messages), (0, 0));
    broker.shutdown().unwrap();
}

/// A requester asks, and goes at once; replies are taken or refused, and nothing is left.
#[test]
fn temporary_destinations_end_while_others_send_to_them() {
    let broker = broker();
    let asked = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let requester = {
        let (broker, asked, over) = (Arc::clone(&broker), Arc::clone(&asked), Arc::clone(&over));
        start(move || {
            for number in 0..500 {
                let mut connection = broker.connect();
                let kind = if number % 2 == 0 {
                    Kind::Queue
                } else {
                    Kind::Topic
                };
                let own = DestinationName::own_temporary(kind, connection.id(), 1);
                let subscribe = Request::Subscribe {
                    subscription: SubscriptionId(1),
                    destination: own,
                    options: SubscribeOptions::new(1, AckMode::Client),
                    token: Some(Token(1)),
                };
                assert!(
                    ask(&broker, &mut connection, vec![subscribe])[0]
                        .result
                        .is_ok()
                );
                asked.store(connection.id().0 * 2 + number % 2, Ordering::SeqCst);
                connection.disconnect(broker.clock().now(), |_| None);
            }
            over.store(true, Ordering::SeqCst);
        })
    };
    let mut connection = broker.connect();
    let mut number = 0;
    while !over.load(Ordering::SeqCst) {
        number += 1;
        let id = asked.load(Ordering::SeqCst);
        let kind = if id.is_multiple_of(2) {
            Kind::Queue
        } else {
            Kind::Topic
        };
        let to = DestinationName::own_temporary(kind, crate::core::ConnectionId(id / 2), 1);
        let request = send(&connection, to, number);
        for completion in ask(&broker, &mut connection, vec![request]) {
            let refused = matches!(completion.result, Err(Refusal::NoDestination { .. }));
            assert!(completion.result.is_ok() || refused, "{completion:?}");
        }
    }
    requester.join().unwrap();
    connection.disconnect(broker.clock().now(), |_| None);
    let totals = broker.totals();
    let destinations = totals.queues.destinations + totals.topics.destinations;
    assert_eq!((destinations, totals.memory_messages), (0, 0));
    broker.shutdown().unwrap();
}
