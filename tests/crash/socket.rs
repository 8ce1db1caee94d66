//! What a RECEIPT means, shown through the socket: the server on a disk that forgets whatever was not
//! flushed, looked at right after each RECEIPT.

use tidegate::internal::broker::{Broker, Clock};
use tidegate::internal::codec::stomp::{OwnedFrame, Verb};
use tidegate::internal::store::{RedbOptions, RedbStore};
use tidegate::server::Server;
use tidegate::server::config::{Loaded, Override, Sources};

use crate::support::process::{Plain, ack, persistent, subscribe};
use crate::support::torn::{Survives, TornDisk};
use crate::support::world;

/// A server on a disk, in a thread of its own.
struct Serving {
    address: std::net::SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Serving {
    fn start(disk: TornDisk) -> Self {
        let (address_out, address) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let store = RedbStore::open_backend(disk, &RedbOptions::default()).unwrap();
                let broker =
                    Broker::assemble(&world::config(), Box::new(store), Clock::start()).unwrap();
                broker.start().unwrap();
                let set = |key: &str, value: &str| Override {
                    key: key.to_owned(),
                    value: value.to_owned(),
                    flag: "a test".to_owned(),
                };
                let sources = Sources {
                    overrides: vec![
                        set("listener.stomp.bind", "127.0.0.1:0"),
                        set("http.bind", "off"),
                        set("store.engine", "memory"),
                    ],
                    ..Sources::default()
                };
                let settings = Loaded::read(&sources).unwrap().settings;
                let server = Server::serve(broker, &settings, None).unwrap();
                address_out.send(server.listening()[0].1).unwrap();
                let _ = stopped.await;
                // The disk may have failed by then.
                let _ = server.stop(std::future::ready(())).await;
            });
        });
        let address = address.recv().unwrap();
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The bodies that a broker on what is left of a disk has for a consumer.
fn left(disk: &TornDisk) -> Option<Vec<String>> {
    let image = TornDisk::with(disk.image(Survives::Nothing));
    let store = RedbStore::open_backend(image, &RedbOptions::default()).ok()?;
    let mut world = world::World::with(&world::config(), Box::new(store));
    let client = world.connect(tidegate::internal::codec::stomp::Version::V1_2);
    world.send(
        client,
        &subscribe("1", "/queue/a").with("activemq.prefetchSize", "1000"),
    );
    let frames = world.drain(client);
    Some(
        frames
            .into_iter()
            .map(|frame| String::from_utf8(frame.body).unwrap())
            .collect(),
    )
}

fn receipts_on(disk: &TornDisk) -> Result<(), String> {
    let serving = Serving::start(disk.clone());
    let mut producer = Plain::connect(serving.address);
    let mut expected = Vec::new();
    let check = |expected: &[String], what: &str| match left(disk) {
        Some(found) if found == expected => Ok(()),
        found => Err(format!("{what}: expected {expected:?}, found {found:?}")),
    };
    for number in 0..20 {
        let body = format!("message {number}");
        producer.request(persistent("/queue/a", &body));
        expected.push(body);
        check(&expected, "a receipt of SEND")?;
    }
    let mut consumer = Plain::connect(serving.address);
    consumer.request(subscribe("1", "/queue/a"));
    for _ in 0..5 {
        let message = consumer.receive();
        consumer.request(ack(&message));
        expected.remove(0);
        check(&expected, "a receipt of ACK")?;
    }
    let transaction = |verb| OwnedFrame::new(verb).with("transaction", "t");
    producer.send(&transaction(Verb::Begin));
    for number in 0..3 {
        let body = format!("transacted {number}");
        producer.send(&persistent("/queue/a", &body).with("transaction", "t"));
        expected.push(body);
    }
    producer.request(transaction(Verb::Commit));
    check(&expected, "a receipt of COMMIT")?;
    producer.send(&persistent("/queue/a", "without a receipt of its own"));
    expected.push("without a receipt of its own".to_owned());
    producer.request(OwnedFrame::new(Verb::Disconnect));
    check(&expected, "a receipt of DISCONNECT")
}

#[test]
fn what_has_a_receipt_is_on_the_disk() {
    let disk = TornDisk::default();
    receipts_on(&disk).unwrap();
}

/// Whether a broker on what is left of a disk has the queue of a virtual topic.
fn has_consumer_queue(disk: &TornDisk) -> bool {
    const QUEUE: &str = "/queue/Consumer.A.VirtualTopic.X";
    let image = TornDisk::with(disk.image(Survives::Nothing));
    let store = RedbStore::open_backend(image, &RedbOptions::default()).unwrap();
    let mut world = world::World::with(&world::config(), Box::new(store));
    let client = world.connect(tidegate::internal::codec::stomp::Version::V1_2);
    world.send(client, &persistent("/topic/VirtualTopic.X", "x"));
    world.send(client, &subscribe("1", QUEUE));
    let frames = world.drain(client);
    frames.iter().any(|frame| frame.verb == Verb::Message)
}

#[test]
fn the_queue_of_a_virtual_topic_is_on_the_disk_when_its_subscription_has_a_receipt() {
    let disk = TornDisk::default();
    let serving = Serving::start(disk.clone());
    let mut consumer = Plain::connect(serving.address);
    assert!(!has_consumer_queue(&disk));
    consumer.request(subscribe("1", "/queue/Consumer.A.VirtualTopic.X"));
    assert!(has_consumer_queue(&disk));
}

#[test]
fn without_flushing_that_would_be_noticed() {
    let disk = TornDisk::default();
    drop(RedbStore::open_backend(disk.clone(), &RedbOptions::default()).unwrap());
    disk.stop_flushing();
    assert!(receipts_on(&disk).is_err());
}
