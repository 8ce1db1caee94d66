//! The store alone: how fast batches become durable, beside the ceiling of this disk.
//!
//! `cargo bench --bench store [-- DIRECTORY]`. Prints medians and ratios of one run; only ratios say
//! something about another machine. Two of them are gates: chunked redb reaches at least 35 % of the
//! ceiling with 1000 messages in a batch and 20 % with one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tidegate::internal::core::{
    BodyKind, ConnectionId, DeliveryState, DestinationId, DestinationName, Encoded, Form, Message,
    MessageId, Persist, Position, Priority, Sequence, StoredAt, Tick, Timestamp,
};
use tidegate::internal::store::{
    Batch, CommitObserver, Durability, Durable, PageLimit, RedbOptions, RedbStore, RingOptions,
    Store, StoreError, StoreSize, Writer, open_embedded,
};

const BODY: usize = 1024;
const ROUNDS: usize = 5;

fn message(number: u64) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId {
            connection: ConnectionId(1),
            number,
        },
        timestamp: Timestamp(number),
        expiration: None,
        priority: Priority::DEFAULT,
        persistent: true,
        body_kind: BodyKind::Bytes,
        grouped: false,
        identified: false,
        encoded: Encoded {
            form: Form::StompPlain,
            bytes: vec![7; BODY].into(),
            body_start: 0,
            body_length: u32::try_from(BODY).unwrap(),
        },
        sent_to: None,
        job: None,
        provenance: None,
    })
}

fn at(destination: u64, position: u64) -> StoredAt {
    StoredAt {
        destination: DestinationId(destination),
        position: Position(position),
    }
}

fn put(at: StoredAt) -> Persist {
    let message = message(at.position.0);
    Persist::Put {
        at,
        message,
        state: DeliveryState::default(),
        transient: false,
    }
}

fn batch(changes: impl IntoIterator<Item = Persist>) -> Batch {
    let mut batch = Batch::new(Sequence(1));
    for change in changes {
        batch.add(change);
    }
    batch
}

fn open(directory: &Path) -> RedbStore {
    let mut store = RedbStore::open(directory, &RedbOptions::default()).unwrap();
    store.recover().unwrap();
    store
}

fn define(store: &mut RedbStore, queues: u64) {
    let name = |n| DestinationName::queue(&format!("queue{n}")).unwrap();
    let defined = (1..=queues).map(|n| Persist::Define {
        destination: DestinationId(n),
        name: name(n),
    });
    store.commit(&batch(defined), true).unwrap();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What this disk can do: one write and one flush for each batch, into a file made before.
fn ring(directory: &Path, count: usize) -> f64 {
    let size = 64 << 20;
    let path = directory.join("ring");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .unwrap();
    file.write_all(&vec![0; size]).unwrap();
    file.sync_all().unwrap();
    let bytes = vec![1; (count * BODY).next_multiple_of(4096)];
    let mut offset = 0;
    let measured = rate(count, || {
        if offset + bytes.len() > size {
            offset = 0;
        }
        file.seek(SeekFrom::Start(offset as u64)).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        offset += bytes.len();
    });
    std::fs::remove_file(path).unwrap();
    measured
}

/// Messages in a second, when each call of `work` does so many.
fn rate(count: usize, mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < Duration::from_millis(700) {
        work();
        done += count;
    }
    done as f64 / started.elapsed().as_secs_f64()
}

/// So many messages put and as many of the oldest removed in each commit, over so many queues.
fn steady(directory: &Path, count: usize, queues: u64) -> f64 {
    let directory = tempfile::tempdir_in(directory).unwrap();
    let mut store = open(directory.path());
    define(&mut store, queues);
    let place = |n: u64| at(1 + n % queues, 1 + n / queues);
    let backlog = 4 * count as u64;
    store
        .commit(&batch((0..backlog).map(|n| put(place(n)))), true)
        .unwrap();
    let mut next = backlog;
    let mut tick = 0;
    rate(count, || {
        let end = next + count as u64;
        let puts = (next..end).map(|n| put(place(n)));
        let removes = (next - backlog..end - backlog).map(|n| Persist::Remove { at: place(n) });
        store.commit(&batch(puts.chain(removes)), true).unwrap();
        tick += 1;
        store.tidy(Tick(tick)).unwrap();
        next = end;
    })
}

/// Acknowledgements in random order out of 10,000: how many times the live bytes the file takes.
fn random_acks(directory: &Path) -> (f64, f64) {
    let directory = tempfile::tempdir_in(directory).unwrap();
    let mut store = open(directory.path());
    define(&mut store, 1);
    let mut live: Vec<u64> = (1..=10_000).collect();
    for chunk in live.chunks(1000) {
        store
            .commit(&batch(chunk.iter().map(|n| put(at(1, *n)))), true)
            .unwrap();
    }
    let (mut next, mut random, mut tick) = (10_001, 1_u64, 0);
    let speed = rate(1000, || {
        let mut changes = Vec::new();
        for _ in 0..1000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let index = usize::try_from(random >> 33).unwrap() % live.len();
            changes.push(Persist::Remove {
                at: at(1, live[index]),
            });
            live[index] = next;
            changes.push(put(at(1, next)));
            next += 1;
        }
        store.commit(&batch(changes), true).unwrap();
        tick += 20;
        store.tidy(Tick(tick)).unwrap();
    });
    let size = store.size();
    (speed, size.file as f64 / size.live as f64)
}

#[derive(Debug)]
struct Quiet;

impl CommitObserver for Quiet {
    fn folded(&self, _: usize, _: usize, _: Duration) {}
    fn flushed(&self, _: Duration) {}
    fn committed(&self, _: usize, _: usize, _: Duration, _: StoreSize) {}
    fn failed(&self, error: &StoreError) {
        panic!("{error}");
    }
}

/// Waits for one change after the other.
#[derive(Debug, Default)]
struct Waiter {
    reached: Mutex<(Sequence, Vec<Sequence>)>,
    news: Condvar,
}

impl Durable for Waiter {
    fn durable(&self, up_to: Sequence) {
        self.reached.lock().unwrap().0 = up_to;
        self.news.notify_all();
    }
    fn cancelled(&self, sequence: Sequence) {
        self.reached.lock().unwrap().1.push(sequence);
        self.news.notify_all();
    }
    fn failed(&self, cause: &str) {
        panic!("{cause}");
    }
    fn room(&self) {}
}

/// Threads that each have some messages on their way and wait for them: group commit. With
/// `consumed`, a consumer has each of them, and acknowledges it at once, but not before the receipt is
/// there: what goes while it is still gathered costs neither path anything.
///
/// Returns messages in a second, the median wait in microseconds, and CPU time and bytes written to
/// the disk for each message.
fn in_flight(directory: &Path, total: usize, consumed: bool, ring: u64) -> [f64; 4] {
    let directory = tempfile::tempdir_in(directory).unwrap();
    let options = RingOptions {
        bytes: ring,
        ..RingOptions::default()
    };
    let mut store = open_embedded(directory.path(), &RedbOptions::default(), options).unwrap();
    store.recover().unwrap();
    let name = DestinationName::queue("queue1").unwrap();
    let destination = DestinationId(1);
    let defined = [Persist::Define { destination, name }];
    store.commit(&batch(defined), true).unwrap();
    let writer = Arc::new(Writer::new(store, Durability::Sync, Arc::new(Quiet)));
    let (cpu, written) = (cpu_micros(), disk_bytes());
    let opened = Instant::now();
    let clock = move || Tick(u64::try_from(opened.elapsed().as_millis()).unwrap());
    writer.start(clock).unwrap();
    let threads = total.min(8);
    let each = total / threads;
    let next = Arc::new(Mutex::new(1_u64));
    let ends = Instant::now() + Duration::from_millis(700);
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (writer, next) = (Arc::clone(&writer), Arc::clone(&next));
            std::thread::spawn(move || {
                let waiter = Arc::new(Waiter::default());
                let durable = Arc::clone(&waiter) as Arc<dyn Durable>;
                let (mut done, mut times) = (0, Vec::new());
                let mut received = Vec::new();
                while Instant::now() < ends {
                    let started = Instant::now();
                    let mut last = Sequence(0);
                    if !received.is_empty() {
                        writer.append(&mut received, &[], None);
                    }
                    for _ in 0..each {
                        let mut next = next.lock().unwrap();
                        let mut changes = vec![put(at(1, *next))];
                        last = writer.append(&mut changes, &[0], Some(&durable));
                        if consumed {
                            received.push(Persist::Remove { at: at(1, *next) });
                        }
                        *next += 1;
                    }
                    let mut reached = waiter.reached.lock().unwrap();
                    while reached.0 < last && !reached.1.contains(&last) {
                        reached = waiter.news.wait(reached).unwrap();
                    }
                    reached.1.clear();
                    done += each;
                    times.push(started.elapsed().as_secs_f64() * 1e6);
                }
                (done, times)
            })
        })
        .collect();
    let started = ends.checked_sub(Duration::from_millis(700)).unwrap();
    let results: Vec<_> = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    let done: usize = results.iter().map(|(done, _)| done).sum();
    let times: Vec<f64> = results.into_iter().flat_map(|(_, times)| times).collect();
    let speed = done as f64 / started.elapsed().as_secs_f64();
    let (cpu, written) = (cpu_micros() - cpu, disk_bytes() - written);
    writer.shutdown().unwrap();
    let done = done as f64;
    [speed, median(times), cpu / done, written / done]
}

/// The CPU time of this process so far, in microseconds.
fn cpu_micros() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2);
    ticks
        .filter_map(|text| text.parse::<f64>().ok())
        .sum::<f64>()
        * 10_000.0
}

/// The bytes that this process has caused to be written to disks so far.
fn disk_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// Both paths to the disk, side by side, with the ratios that the ring has to reach.
fn paths(directory: &Path, gates: &mut Vec<(String, bool)>) {
    println!(
        "{:<9} {:<9} {:>10} {:>8} {:>8} {:>8}   {:>10} {:>8} {:>8} {:>8} {:>6} {:>5}",
        "in flight",
        "",
        "ring/s",
        "p50 µs",
        "CPU µs",
        "bytes",
        "redb/s",
        "p50 µs",
        "CPU µs",
        "bytes",
        "ratio",
        "CPU"
    );
    for (consumed, targets) in [
        (
            false,
            [(1, 1.6), (8, 2.5), (16, 2.5), (64, 1.7), (512, 1.7)],
        ),
        (true, [(1, 1.2), (8, 1.5), (16, 1.5), (64, 1.5), (512, 1.5)]),
    ] {
        for (total, target) in targets {
            let mut measured = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for (list, ring) in measured.iter_mut().zip([64 << 20, 0]) {
                    list.push(in_flight(directory, total, consumed, ring));
                }
            }
            let [ring, redb] = measured.map(|list| {
                std::array::from_fn::<f64, 4, _>(|at| {
                    median(list.iter().map(|one| one[at]).collect())
                })
            });
            let (ratio, cpu) = (ring[0] / redb[0], ring[2] / redb[2]);
            let what = if consumed { "consumed" } else { "kept" };
            println!(
                "{total:<9} {what:<9} {:>10.0} {:>8.0} {:>8.1} {:>8.0}   {:>10.0} {:>8.0} {:>8.1} {:>8.0} {ratio:>6.2} {cpu:>5.2}",
                ring[0], ring[1], ring[2], ring[3], redb[0], redb[1], redb[2], redb[3]
            );
            let gate = format!("{total} in flight, {what}: {target} times redb alone");
            gates.push((gate, ratio >= target));
        }
    }
}

/// A million messages: filled, opened after a crash and after a clean stop, drained.
fn backlog(directory: &Path) {
    const MESSAGES: u64 = 1_000_000;
    let directory = tempfile::tempdir_in(directory).unwrap();
    let mut store = open(directory.path());
    define(&mut store, 1);
    let started = Instant::now();
    for n in 0..MESSAGES / 1000 {
        let places = (n * 1000 + 1..=n * 1000 + 1000).map(|n| put(at(1, n)));
        store.commit(&batch(places), true).unwrap();
    }
    let fill = MESSAGES as f64 / started.elapsed().as_secs_f64();
    let size = store.size();
    // As after a crash: nothing is saved on the way out.
    drop(store);
    let started = Instant::now();
    let mut store = open(directory.path());
    let after_crash = started.elapsed();
    store.close().unwrap();
    drop(store);
    let started = Instant::now();
    let mut store = open(directory.path());
    let after_stop = started.elapsed();
    let reader = store.reader();
    let limit = PageLimit {
        messages: 1000,
        bytes: usize::MAX,
    };
    let started = Instant::now();
    let mut from = Position(1);
    for _ in 0..MESSAGES / 1000 {
        let page = reader.read(DestinationId(1), from, None, limit).unwrap();
        from = page.resume_at;
        let gone = page
            .messages
            .iter()
            .map(|(p, ..)| Persist::Remove { at: at(1, p.0) });
        store.commit(&batch(gone), true).unwrap();
    }
    let drain = MESSAGES as f64 / started.elapsed().as_secs_f64();
    println!(
        "backlog of 1 M      fill {fill:>9.0}/s  drain {drain:>9.0}/s  file {:.2} of live",
        size.file as f64 / size.live as f64
    );
    println!(
        "open                after a crash {after_crash:?}, after a clean stop {after_stop:?}"
    );
}

fn main() {
    let base = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let base = tempfile::tempdir_in(base.unwrap_or_else(|| ".".to_owned())).unwrap();
    let directory = base.path();
    println!(
        "{:<20} {:>12} {:>12} {:>8}",
        "messages per batch", "ring", "redb", "share"
    );
    let mut gates = Vec::new();
    for count in [1, 10, 100, 1000] {
        let (mut rings, mut stores) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            rings.push(ring(directory, count));
            stores.push(steady(directory, count, 1));
        }
        let (ring, redb) = (median(rings), median(stores));
        println!(
            "{count:<20} {ring:>12.0} {redb:>12.0} {:>7.0}%",
            redb / ring * 100.0
        );
        match count {
            1 => gates.push((
                "1 in a batch, at least 20 % of the ring".to_owned(),
                redb / ring >= 0.2,
            )),
            1000 => gates.push((
                "1000 in a batch, at least 35 % of the ring".to_owned(),
                redb / ring >= 0.35,
            )),
            _ => {}
        }
    }
    let pairs: Vec<_> = (0..ROUNDS)
        .map(|_| (steady(directory, 100, 1), steady(directory, 100, 100)))
        .collect();
    let one = median(pairs.iter().map(|pair| pair.0).collect());
    let many = median(pairs.iter().map(|pair| pair.1).collect());
    println!("100 queues, 100     {many:>12.0} against {one:.0} for one queue");
    gates.push((
        "100 queues, at least 80 % of one".to_owned(),
        many / one >= 0.8,
    ));
    let acks: Vec<_> = (0..3).map(|_| random_acks(directory)).collect();
    let speed = median(acks.iter().map(|ack| ack.0).collect());
    let disk = median(acks.iter().map(|ack| ack.1).collect());
    println!("random acks, 1000   {speed:>12.0}  file {disk:.2} of live");
    gates.push((
        "random acks, the file at most 3 times the live bytes".to_owned(),
        disk <= 3.0,
    ));
    paths(directory, &mut gates);
    backlog(directory);
    for (gate, reached) in gates {
        println!("{}  {gate}", if reached { "reached" } else { "MISSED " });
    }
}
