//! Many threads at once: destinations come to life, and go, while a wildcard subscription reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{Builder, JoinHandle, Thread, current, park};
use std::time::Duration;

use super::super::{Broker, BrokerConfig, BrokerLimits, Connection, Life, Routing, StoreConfig};
use super::*;
use crate::core::{
    AckMode, BodyKind, Completion, ConnectionId, DestinationPolicy, Encoded, Form, Message,
    MessageId, Outcome, Priority, Request, Tags, Timestamp, Token,
};
use crate::store::Durability;

const SENDERS: u64 = 3;
const EACH: u64 = 600;
const PREFETCH: u32 = 5;

fn config() -> BrokerConfig {
    BrokerConfig {
        store: StoreConfig::Memory,
        durability: Durability::Sync,
        policy: DestinationPolicy::default(),
        policies: Vec::new(),
        routing: Routing::default(),
        life: Life {
            collect_after: Some(Duration::ZERO),
            forget_durable_after: None,
            ..Life::default()
        },
        limits: BrokerLimits::default(),
        memory_limit_bytes: 1 << 30,
        advisories: true,
        duplicates: crate::core::DuplicateWindow::default(),
        memory_slow_at: 0.8,
    }
}

fn message(connection: ConnectionId, number: u64) -> Message {
    Message {
        id: MessageId { connection, number },
        timestamp: Timestamp(0),
        expiration: None,
        priority: Priority::DEFAULT,
        persistent: false,
        body_kind: BodyKind::Bytes,
        grouped: false,
        identified: false,
        encoded: Encoded {
            form: Form::StompPlain,
            bytes: bytes::Bytes::from_static(b"\nx\0"),
            body_start: 1,
            body_length: 1,
        },
        sent_to: None,
        job: None,
        provenance: None,
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn ask(connection: &mut Connection, broker: &Broker, request: Request) -> Vec<Completion> {
    let mut completions = Vec::new();
    connection.submit(broker.clock().now(), &mut vec![request], &mut completions);
    completions
}

/// Sends to destinations most of which are not there.
fn send_all(broker: &Broker, kind: Kind, sender: u64) {
    let mut connection = broker.connect();
    for number in 0..EACH {
        let name = format!("t.{}.{sender}", number / 3 % 5);
        let request = Request::Send {
            destination: DestinationName::new(kind, &name).unwrap(),
            message: Arc::new(message(connection.id(), number)),
            transaction: None,
            token: None,
        };
        assert_eq!(ask(&mut connection, broker, request), []);
        let mut parked = Vec::new();
        while connection.is_parked() {
            connection.collect(broker.clock().now(), &mut parked);
        }
    }
    connection.disconnect(broker.clock().now(), |_| None);
}

/// Receives everything, a few at a time.
fn receive_all(broker: &Broker, kind: Kind, ready: impl FnOnce()) {
    let mut connection = broker.connect();
    let subscription = SubscriptionId(1);
    let request = Request::Subscribe {
        subscription,
        destination: DestinationName::new(kind, "t.>").unwrap(),
        options: SubscribeOptions::new(PREFETCH, AckMode::Client),
        token: Some(Token(1)),
    };
    assert_eq!(ask(&mut connection, broker, request).len(), 1);
    ready();
    let waker = Waker::from(Arc::new(Unpark(current())));
    let (mut received, mut bytes) = (0, 0);
    while received < SENDERS * EACH {
        let now = broker.clock().now();
        let mail = connection.collect(now, &mut Vec::new());
        let all: Vec<_> = mail.deliveries.drain(..).collect();
        assert!(all.len() <= PREFETCH as usize, "{} at once", all.len());
        let Some(last) = all.last() else {
            if connection.outbox().sleep(&waker) {
                park();
            }
            continue;
        };
        for delivery in &all {
            received += 1;
            assert_eq!(delivery.tag, DeliveryTag(received), "one order");
            assert!(delivery.concrete.is_some());
            bytes += delivery.message.footprint();
        }
        connection.encoded(now, std::mem::take(&mut bytes));
        let settle = Request::Settle {
            subscription,
            tags: Tags::Through(last.tag),
            outcome: Outcome::Accept,
            transaction: None,
            token: None,
        };
        assert_eq!(ask(&mut connection, broker, settle), []);
    }
    connection.disconnect(broker.clock().now(), |_| None);
}

fn start(task: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().spawn(task).unwrap()
}

#[test]
fn many_threads_make_destinations_and_a_wildcard_misses_nothing_and_holds_no_more_than_it_may() {
    for kind in [Kind::Queue, Kind::Topic] {
        let broker = Arc::new(Broker::open(&config()).unwrap());
        let receiving = Arc::clone(&broker);
        let main = current();
        let (said, hears) = std::sync::mpsc::channel();
        let receiver = start(move || {
            receive_all(&receiving, kind, || said.send(()).unwrap());
            main.unpark();
        });
        hears.recv().unwrap();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let broker = Arc::clone(&broker);
                start(move || send_all(&broker, kind, sender))
            })
            .collect();
        let over = Arc::new(AtomicBool::new(false));
        let collector = {
            let (broker, over) = (Arc::clone(&broker), Arc::clone(&over));
            start(move || {
                while !over.load(Ordering::SeqCst) {
                    broker.collect();
                }
            })
        };
        for thread in senders.into_iter().chain([receiver]) {
            thread.join().unwrap();
        }
        over.store(true, Ordering::SeqCst);
        collector.join().unwrap();
        while broker.collect_at().is_some() {
            broker.collect();
        }
        let totals = broker.totals();
        let destinations = totals.queues.destinations + totals.topics.destinations;
        assert_eq!(destinations, 0, "a wildcard keeps nothing alive");
        broker.shutdown().unwrap();
    }
}
