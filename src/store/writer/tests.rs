//! The writer, its thread and those who wait.

use std::sync::atomic::AtomicBool;
use std::thread::ThreadId;

use super::super::contract::{HERE, THERE, put, remove};
use super::super::{MemoryStore, Reader, Recovered};
use super::*;
use crate::core::{DestinationId, DestinationName};

/// A store in memory that knows which threads commit.
#[derive(Debug, Default)]
struct Watched {
    store: MemoryStore,
    by: Arc<Mutex<Vec<ThreadId>>>,
    prompt: Arc<AtomicBool>,
}

impl Store for Watched {
    fn commit(&mut self, batch: &Batch, flush: bool) -> Result<(), StoreError> {
        self.by.lock().push(std::thread::current().id());
        self.store.commit(batch, flush)
    }
    fn sync(&mut self) -> Result<(), StoreError> {
        self.store.sync()
    }
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.store.recover()
    }
    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }
    fn tidy(&mut self, now: Tick) -> Result<Option<Tick>, StoreError> {
        self.store.tidy(now)
    }
    fn close(&mut self) -> Result<(), StoreError> {
        self.store.close()
    }
    fn size(&self) -> StoreSize {
        self.store.size()
    }
    fn engine(&self) -> &'static str {
        self.store.engine()
    }
    fn is_prompt(&self, _bytes: usize) -> bool {
        self.prompt.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Nobody;

impl CommitObserver for Nobody {
    fn committed(&self, _: usize, _: usize, _: Duration, _: StoreSize) {}
    fn folded(&self, _: usize, _: usize, _: Duration) {}
    fn flushed(&self, _: Duration) {}
    fn failed(&self, _: &StoreError) {}
}

/// Waits on its thread; leads if it is to.
#[derive(Debug, Default)]
struct Waiter {
    reached: Mutex<Sequence>,
    news: Condvar,
    leads: AtomicBool,
    asked: AtomicBool,
}

impl Waiter {
    fn wait_for(&self, sequence: Sequence) {
        let mut reached = self.reached.lock();
        while *reached < sequence {
            let lost = self.news.wait_for(&mut reached, Duration::from_mins(1));
            assert!(!lost.timed_out(), "nobody commits {sequence:?}");
        }
    }
}

impl Durable for Waiter {
    fn durable(&self, up_to: Sequence) {
        *self.reached.lock() = up_to;
        self.news.notify_all();
    }
    fn cancelled(&self, _: Sequence) {}
    fn failed(&self, cause: &str) {
        panic!("{cause}");
    }
    fn room(&self) {}
    fn lead(&self) -> bool {
        let leads = self.leads.load(Ordering::Relaxed);
        self.asked.fetch_or(leads, Ordering::Relaxed);
        leads
    }
}

struct Scene {
    writer: Arc<Writer>,
    by: Arc<Mutex<Vec<ThreadId>>>,
    prompt: Arc<AtomicBool>,
}

impl Scene {
    fn start() -> Self {
        let store = Watched::default();
        let (by, prompt) = (Arc::clone(&store.by), Arc::clone(&store.prompt));
        let writer = Writer::new(Box::new(store), Durability::Sync, Arc::new(Nobody));
        let writer = Arc::new(writer);
        writer.start(|| Tick(0)).unwrap();
        prompt.store(true, Ordering::Relaxed);
        Self { writer, by, prompt }
    }

    fn append(&self, number: u64, waiter: &Arc<Waiter>) -> Sequence {
        let name = DestinationName::queue(&format!("queue{number}")).unwrap();
        let destination = DestinationId(number);
        let mut changes = vec![Persist::Define { destination, name }];
        let waiter = Arc::clone(waiter) as Arc<dyn Durable>;
        self.writer.append(&mut changes, &[0], Some(&waiter))
    }

    /// Commits something, so that commits are known to be quick, and waits until the thread sleeps.
    fn settle(&self, waiter: &Arc<Waiter>) {
        for number in 1.. {
            waiter.wait_for(self.append(number, waiter));
            if self.writer.pace.is_quick() {
                break;
            }
        }
        self.wait_for_sleep();
    }

    /// Waits until the thread sleeps for good: until somebody wakes it.
    fn wait_for_sleep(&self) {
        while self.writer.gather.lock().parked != Parked::Idle {
            std::thread::yield_now();
        }
    }
}

#[test]
fn who_waits_alone_commits_by_itself() {
    let scene = Scene::start();
    let waiter = Arc::new(Waiter::default());
    scene.settle(&waiter);
    waiter.leads.store(true, Ordering::Relaxed);
    let before = scene.by.lock().len();
    let sequence = scene.append(1000, &waiter);
    assert!(waiter.asked.load(Ordering::Relaxed));
    scene.writer.lead(Tick(0));
    // The thread may have looked by itself meanwhile.
    waiter.wait_for(sequence);
    assert_eq!(scene.by.lock().len(), before + 1);
    let mut led = 0;
    for number in 1001..1100 {
        let sequence = scene.append(number, &waiter);
        scene.writer.lead(Tick(0));
        waiter.wait_for(sequence);
        led += usize::from(scene.by.lock().last() == Some(&std::thread::current().id()));
    }
    assert!(led > 0, "always the thread");
    scene.writer.shutdown().unwrap();
}

#[test]
fn the_thread_commits_what_may_take_long() {
    let scene = Scene::start();
    let waiter = Arc::new(Waiter::default());
    scene.settle(&waiter);
    waiter.leads.store(true, Ordering::Relaxed);
    scene.prompt.store(false, Ordering::Relaxed);
    for number in 1000..1010 {
        scene.wait_for_sleep();
        let sequence = scene.append(number, &waiter);
        scene.writer.lead(Tick(0));
        waiter.wait_for(sequence);
        assert_ne!(
            scene.by.lock().last(),
            Some(&std::thread::current().id()),
            "led although the store would not be prompt"
        );
    }
    scene.writer.shutdown().unwrap();
}

#[test]
fn nothing_is_forgotten_between_those_who_lead_and_the_thread() {
    let scene = Scene::start();
    let threads = 4;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let scene = &scene;
            scope.spawn(move || {
                let waiter = Arc::new(Waiter::default());
                for round in 0..2000_u64 {
                    let leads = (round + thread) % 3 != 0;
                    waiter.leads.store(leads, Ordering::Relaxed);
                    let sequence = scene.append(1 + round * threads + thread, &waiter);
                    if waiter.asked.swap(false, Ordering::Relaxed) {
                        if round % 5 == 0 {
                            scene.writer.hand_over();
                        } else {
                            scene.writer.lead(Tick(0));
                        }
                    }
                    waiter.wait_for(sequence);
                }
            });
        }
    });
    assert_eq!(scene.writer.durable(), scene.writer.last_sequence());
    scene.writer.shutdown().unwrap();
}

#[test]
fn what_is_committed_leaves_room_in_the_writer() {
    let store = Box::new(MemoryStore::default());
    let writer = Writer::new(store, Durability::Sync, Arc::new(Nobody));
    let mut changes = vec![put(HERE, 1, 10_000)];
    writer.append(&mut changes, &[], None);
    assert!(writer.pending_bytes() > 10_000);
    assert!(writer.step(Tick(0)));
    assert_eq!(writer.pending_bytes(), 0);
}

/// Notes what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<&'static str>>);

impl Durable for Told {
    fn durable(&self, _: Sequence) {
        self.0.lock().push("durable");
    }
    fn cancelled(&self, _: Sequence) {
        self.0.lock().push("cancelled");
    }
    fn failed(&self, _: &str) {
        self.0.lock().push("failed");
    }
    fn room(&self) {}
}

#[test]
fn who_takes_a_moved_message_waits_until_it_is_gone_where_it_was() {
    let store = Box::new(MemoryStore::default());
    let writer = Writer::new(store, Durability::Sync, Arc::new(Nobody));
    let told = Arc::new(Told::default());
    let waiter = Arc::clone(&told) as Arc<dyn Durable>;
    writer.append(&mut vec![put(HERE, 1, 10)], &[], None);
    assert!(writer.step(Tick(0)));
    // To the dead letters, where it is taken at once.
    writer.append(&mut vec![remove(HERE, 1), put(THERE, 1, 10)], &[], None);
    writer.append(&mut vec![remove(THERE, 1)], &[0], Some(&waiter));
    assert_eq!(*told.0.lock(), [""; 0], "it is still stored where it was");
    assert!(writer.step(Tick(0)));
    assert_eq!(*told.0.lock(), ["durable"]);
    // One that was sent and is taken is nowhere.
    writer.append(&mut vec![put(HERE, 2, 10)], &[0], Some(&waiter));
    writer.append(&mut vec![remove(HERE, 2)], &[], None);
    assert_eq!(*told.0.lock(), ["durable", "cancelled"]);
}
