//! `kill -9` under load, again and again on the same data: nothing that had a receipt is lost, nothing
//! that was acknowledged with a receipt comes back, and the order of each producer is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tidegate::internal::codec::stomp::{OwnedFrame, Verb};

use crate::support::process::{Plain, Process, ack, persistent, subscribe};
use crate::support::random::{Random, seeds};

const QUEUES: [&str; 3] = ["/queue/orders", "/queue/bills", "/queue/letters"];

/// The write-ahead ring is another one after each kill: what it held has to be read before.
const RINGS: [&str; 4] = [
    "store.ring=64MiB",
    "store.ring=1MiB",
    "store.ring=64KiB",
    "store.ring=0",
];

/// What clients know for certain.
#[derive(Default)]
struct Ledger {
    /// By queue and producer: the numbers of messages that had a receipt.
    sent: BTreeMap<(usize, u64), BTreeSet<u64>>,
    /// The numbers of messages whose acknowledgement had a receipt.
    settled: BTreeSet<(usize, u64, u64)>,
    /// Acknowledged, but the receipt did not come: either may be true.
    unsure: BTreeSet<(usize, u64, u64)>,
}

/// What went wrong, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    lost: u64,
    reordered: u64,
    resurrected: u64,
}

/// `producer number`.
fn parse(body: &[u8]) -> (u64, u64) {
    let text = std::str::from_utf8(body).unwrap();
    let (producer, number) = text.split_once(' ').unwrap();
    (
        producer.parse().unwrap(),
        number.trim_end().parse().unwrap(),
    )
}

/// Sends until the broker is gone, in bursts with a receipt for each, now and then in a transaction.
fn producer(address: std::net::SocketAddr, id: u64, ledger: Arc<Mutex<Ledger>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut random = Random(id);
        let mut client = Plain::connect(address);
        for number in 0.. {
            let queue = usize::try_from(random.below(3)).unwrap();
            let body = format!(
                "{id} {number}{}",
                " ".repeat(usize::try_from(random.below(3000)).unwrap())
            );
            let frame = persistent(QUEUES[queue], &body);
            let done = if random.below(6) == 0 {
                transact(&mut client, frame)
            } else {
                client.try_send(&frame.with("receipt", "r")).is_ok() && receipt(&mut client)
            };
            if !done {
                return;
            }
            ledger
                .lock()
                .unwrap()
                .sent
                .entry((queue, id))
                .or_default()
                .insert(number);
        }
    })
}

fn transact(client: &mut Plain, frame: OwnedFrame) -> bool {
    let named = |verb| OwnedFrame::new(verb).with("transaction", "t");
    client.try_send(&named(Verb::Begin)).is_ok()
        && client.try_send(&frame.with("transaction", "t")).is_ok()
        && client
            .try_send(&named(Verb::Commit).with("receipt", "r"))
            .is_ok()
        && receipt(client)
}

fn receipt(client: &mut Plain) -> bool {
    matches!(client.try_receive(), Ok(Some(frame)) if frame.verb == Verb::Receipt)
}

/// Consumes and acknowledges some, until the broker is gone.
fn consumer(
    address: std::net::SocketAddr,
    queue: usize,
    seed: u64,
    ledger: Arc<Mutex<Ledger>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut random = Random(seed);
        let mut client = Plain::connect(address);
        if client.try_send(&subscribe("1", QUEUES[queue])).is_err() {
            return;
        }
        // Receipts need not come in the order of their requests: what was never stored has its own
        // sooner.
        let mut waiting = BTreeMap::new();
        while let Ok(Some(frame)) = client.try_receive() {
            match frame.verb {
                Verb::Message if random.below(10) == 0 => {}
                Verb::Message => {
                    let (producer, number) = parse(&frame.body);
                    let place = (queue, producer, number);
                    ledger.lock().unwrap().unsure.insert(place);
                    let receipt = format!("{producer} {number}");
                    let settled = ack(&frame).with("receipt", &receipt);
                    waiting.insert(receipt, place);
                    if client.try_send(&settled).is_err() {
                        return;
                    }
                }
                Verb::Receipt => {
                    let place = waiting.remove(frame.get("receipt-id").unwrap()).unwrap();
                    let mut ledger = ledger.lock().unwrap();
                    ledger.unsure.remove(&place);
                    ledger.settled.insert(place);
                }
                _ => panic!("{frame:?}"),
            }
        }
    })
}

/// Takes everything out and compares it with the ledger.
fn judge(broker: &Process, ledger: &Ledger) -> Verdict {
    let mut verdict = Verdict::default();
    for (queue, name) in QUEUES.iter().enumerate() {
        let mut client = Plain::connect(broker.stomp);
        client.send(&subscribe("1", name));
        // Behind everything else.
        client.send(&persistent(name, "0 0"));
        let mut seen: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        loop {
            let message = client.receive();
            client.send(&ack(&message));
            match parse(&message.body) {
                (0, 0) => break,
                (producer, number) => seen.entry(producer).or_default().push(number),
            }
        }
        client.request(OwnedFrame::new(Verb::Disconnect));
        for (producer, numbers) in &seen {
            verdict.reordered +=
                numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count() as u64;
            let back = numbers
                .iter()
                .filter(|n| ledger.settled.contains(&(queue, *producer, **n)));
            verdict.resurrected += back.count() as u64;
        }
        for ((_, producer), numbers) in ledger.sent.iter().filter(|((q, _), _)| *q == queue) {
            let here: BTreeSet<u64> = seen.get(producer).into_iter().flatten().copied().collect();
            let lost = numbers.iter().filter(|number| {
                let place = (queue, *producer, **number);
                let gone = ledger.settled.contains(&place) || ledger.unsure.contains(&place);
                !here.contains(number) && !gone
            });
            verdict.lost += lost.count() as u64;
        }
    }
    verdict
}

#[test]
fn kill_under_load_loses_nothing_and_brings_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut producers = 0;
    let seeds = seeds(50);
    for seed in &seeds {
        let mut random = Random(*seed);
        let ring = RINGS[usize::try_from(random.below(4)).unwrap()];
        let broker = Process::start(&["--data", data, "--set", ring]);
        let mut clients = Vec::new();
        for _ in 0..4 {
            producers += 1;
            clients.push(producer(broker.stomp, producers, Arc::clone(&ledger)));
        }
        // Consumers that keep up, or some, or none.
        for queue in 0..usize::try_from(random.below(4)).unwrap() {
            clients.push(consumer(
                broker.stomp,
                queue,
                random.next(),
                Arc::clone(&ledger),
            ));
        }
        // The kill comes after so many more receipts, whatever the machine's speed.
        let enough = received(&ledger) + 200 + usize::try_from(random.below(1500)).unwrap();
        let over = AtomicBool::new(false);
        while !over.load(Ordering::Relaxed) {
            std::thread::yield_now();
            over.store(received(&ledger) >= enough, Ordering::Relaxed);
        }
        broker.kill();
        for client in clients {
            client.join().unwrap();
        }
    }
    let broker = Process::start(&["--data", data]);
    let ledger = ledger.lock().unwrap();
    assert_eq!(
        judge(&broker, &ledger),
        Verdict::default(),
        "after {} kills",
        seeds.len()
    );
    assert!(broker.stop().success());
    assert!(ledger.sent.values().map(BTreeSet::len).sum::<usize>() > 3000);
}

fn received(ledger: &Mutex<Ledger>) -> usize {
    ledger
        .lock()
        .unwrap()
        .sent
        .values()
        .map(BTreeSet::len)
        .sum()
}
