//! The writer: gathers the changes of all destinations and commits whatever has gathered as one.
//!
//! While one batch is being committed the next one gathers itself, so nobody waits for company. The
//! durable sequence is one number that grows. Changes that nobody waits for wake nobody: they ride
//! with the next batch, or go after a short while.
//!
//! A value first: `step` commits what is there. In production a thread calls it.

mod flushing;
mod leading;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustc_hash::FxHashSet;

use super::batch::{Batch, Cancelled, Ties};
use super::{Durability, Store, StoreError, StoreSize};
use crate::core::{Persist, Sequence, Tick};
use flushing::Flushing;
use leading::Pace;

/// Changes that nobody waits for are committed after this at the latest, in case nothing else comes.
const LAZY_DELAY: Duration = Duration::from_millis(10);

/// Why nothing is taken after the end.
const CLOSED: &str = "it is closed";

/// A batch of this many bytes does not wait for company that it could do without.
const BATCH_BYTES: usize = 4 << 20;

/// Somebody who waits for changes to become durable. Calls come from the writer's thread, or from a
/// thread that appends; they must be short and must not call the writer.
pub trait Durable: Send + Sync + Debug {
    /// All at or below this sequence is durable.
    fn durable(&self, up_to: Sequence);
    /// The change of this very sequence need not become durable any more.
    fn cancelled(&self, sequence: Sequence);
    /// Nothing will become durable any more.
    fn failed(&self, cause: &str);
    /// The writer may have room again.
    fn room(&self);
    /// Asks whether it will call [`Writer::lead`] or [`Writer::hand_over`] as soon as it is done with
    /// what it does, so that nobody has to be woken.
    fn lead(&self) -> bool {
        false
    }
}

/// Hears of each commit, to count it.
pub trait CommitObserver: Send + Sync + Debug {
    /// A batch of so many changes has been committed, after others had been cancelled.
    fn committed(&self, changes: usize, cancelled: usize, took: Duration, size: StoreSize);
    /// What the ring gathered has been taken over by the store: so many messages, after others had
    /// been cancelled.
    fn folded(&self, messages: usize, cancelled: usize, took: Duration);
    /// A write has been made durable.
    fn flushed(&self, took: Duration);
    /// A commit has failed.
    fn failed(&self, error: &StoreError);
}

/// Where changes are appended. Shared by all.
#[derive(Debug)]
pub struct Writer {
    gather: Mutex<Gather>,
    work: Condvar,
    /// Held from the beginning of a batch until everybody has been told of it.
    turn: Mutex<()>,
    store: Mutex<Option<Box<dyn Store>>>,
    pace: Pace,
    flushing: Flushing,
    committed: AtomicU64,
    durable: AtomicU64,
    pending_bytes: AtomicUsize,
    observer: Arc<dyn CommitObserver>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Gather {
    open: Batch,
    /// Those who wait for the open batch, each once.
    waiters: Waiters,
    /// Those who wait for the batch that is being committed.
    committing: Waiters,
    room: Waiters,
    /// Somebody waits for the open batch.
    urgent: bool,
    parked: Parked,
    stopping: bool,
    failed: Option<Arc<str>>,
}

/// Whether the thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parked {
    /// It is at work, or about to look for some.
    No,
    /// It looks again soon by itself.
    Briefly,
    /// It sleeps until it is woken.
    Idle,
}

/// A list without doubles.
#[derive(Debug, Default)]
struct Waiters {
    list: Vec<Arc<dyn Durable>>,
    known: FxHashSet<usize>,
}

impl Waiters {
    fn add(&mut self, waiter: &Arc<dyn Durable>) {
        if self.known.insert(Arc::as_ptr(waiter).cast::<()>() as usize) {
            self.list.push(Arc::clone(waiter));
        }
    }

    fn take(&mut self) -> Vec<Arc<dyn Durable>> {
        self.known.clear();
        std::mem::take(&mut self.list)
    }
}

impl Writer {
    /// A writer without a thread: `step` commits.
    pub fn new(
        mut store: Box<dyn Store>,
        durability: Durability,
        observer: Arc<dyn CommitObserver>,
    ) -> Self {
        store.observe(Arc::clone(&observer));
        let flushing = Flushing::new(durability, store.as_ref());
        Self {
            gather: Mutex::new(Gather {
                open: Batch::new(Sequence(1)),
                waiters: Waiters::default(),
                committing: Waiters::default(),
                room: Waiters::default(),
                urgent: false,
                parked: Parked::No,
                stopping: false,
                failed: None,
            }),
            work: Condvar::new(),
            turn: Mutex::new(()),
            store: Mutex::new(Some(store)),
            pace: Pace::default(),
            flushing,
            committed: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            pending_bytes: AtomicUsize::new(0),
            observer,
            thread: Mutex::new(None),
        }
    }

    /// Starts the thread that commits, and asks for the time.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(self: &Arc<Self>, now: impl Fn() -> Tick + Send + 'static) -> std::io::Result<()> {
        let writer = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                while writer.wait_for_work() {
                    writer.step(now());
                }
            })?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Appends changes, which become durable together, and empties the list. `awaited` lists, in
    /// ascending order, the places of those that the waiter waits for. Returns the sequence of the
    /// first change; each next one has the next sequence.
    pub fn append(
        &self,
        changes: &mut Vec<Persist>,
        awaited: &[usize],
        waiter: Option<&Arc<dyn Durable>>,
    ) -> Sequence {
        let mut told: Vec<Cancelled> = Vec::new();
        let mut failed = None;
        let mut gather = self.gather.lock();
        let first = gather.open.next();
        let mut awaited = awaited.iter().copied().peekable();
        // Whether a change behind the last awaited one is to be stored. Who settles several messages
        // waits for the last of them; that one may be cancelled, and the others must not be forgotten.
        let mut joint = false;
        // A move elsewhere is one thing: who takes the message there waits until it is gone here.
        let bound = waiter.is_none() && changes.len() > 1;
        let mut all_cancelled = true;
        for (index, change) in changes.drain(..).enumerate() {
            let awaits = waiter.filter(|_| awaited.next_if_eq(&index).is_some());
            let cancelled = gather.open.cancelled();
            let ties = Ties { joint, bound };
            if gather.open.push(change, awaits, ties, &mut told)
                && let Some(waiter) = awaits
            {
                gather.await_open(waiter);
                failed.clone_from(&gather.failed);
            }
            let kept = gather.open.cancelled() == cancelled;
            all_cancelled &= !kept;
            joint = awaits.is_none() && (joint || kept);
        }
        if waiter.is_none() && !all_cancelled {
            // A transaction, or a move to the dead letters: nobody is done with what it removes before
            // the rest of it is stored. Who waits for that hears of the batch.
            told.clear();
        }
        self.appended(&mut gather, waiter);
        drop(gather);
        for (waiter, sequence) in told {
            waiter.cancelled(sequence);
        }
        if let (Some(cause), Some(waiter)) = (failed, waiter) {
            waiter.failed(&cause);
        }
        first
    }

    /// Asks for everything appended so far to be made durable, and to hear of it. Returns the last
    /// sequence, which may be durable already.
    pub fn sync(&self, waiter: &Arc<dyn Durable>) -> Sequence {
        let mut gather = self.gather.lock();
        let last = gather.open.last();
        if !gather.open.is_empty() {
            gather.await_open(waiter);
            self.appended(&mut gather, Some(waiter));
        } else if last > self.committed() {
            gather.committing.add(waiter);
        }
        let failed = gather.failed.clone();
        drop(gather);
        if let Some(cause) = failed {
            waiter.failed(&cause);
        }
        last
    }

    /// Tells the waiter when a commit has made room.
    pub fn wait_for_room(&self, waiter: &Arc<dyn Durable>) {
        self.gather.lock().room.add(waiter);
    }

    /// Bytes of changes that are not committed.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// The last sequence that was given out.
    pub fn last_sequence(&self) -> Sequence {
        self.gather.lock().open.last()
    }

    /// All at or below this is committed, and can be read.
    pub fn committed(&self) -> Sequence {
        Sequence(self.committed.load(Ordering::Acquire))
    }

    /// All at or below this counts as durable under the durability level.
    pub fn durable(&self) -> Sequence {
        Sequence(self.durable.load(Ordering::Acquire))
    }

    /// Why nothing becomes durable any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.gather.lock().failed.as_deref().map(ToOwned::to_owned)
    }

    /// Commits what has gathered and does some housekeeping. Returns whether there was anything.
    pub fn step(&self, now: Tick) -> bool {
        self.step_in(now, &self.turn.lock())
    }

    fn step_in(&self, now: Tick, _turn: &MutexGuard<'_, ()>) -> bool {
        let Some(batch) = self.begin() else {
            return self.flush_overdue(now);
        };
        let result = self.commit(&batch, now);
        self.finish(&batch, result);
        true
    }

    /// Flushes what was committed a while ago, if nothing else comes. Returns whether there was any.
    fn flush_overdue(&self, now: Tick) -> bool {
        if !self.flushing.takes_overdue(now) {
            return false;
        }
        let result = match self.store.lock().as_mut() {
            Some(store) => store.sync(),
            None => Ok(()),
        };
        if let Err(error) = result {
            self.observer.failed(&error);
            self.fail(&error);
        }
        true
    }

    /// The first part of a step: takes the open batch and leaves an empty one. Simulations let others
    /// go on between the parts, as they do while a commit takes its time.
    #[doc(hidden)]
    pub fn begin(&self) -> Option<Batch> {
        let mut gather = self.gather.lock();
        if gather.open.is_empty() || gather.failed.is_some() {
            return None;
        }
        let next = Batch::new(gather.open.next());
        gather.urgent = false;
        gather.committing = std::mem::take(&mut gather.waiters);
        Some(std::mem::replace(&mut gather.open, next))
    }

    /// The second part: hands the batch to the store.
    ///
    /// # Errors
    /// What the store says; to be told to [`Writer::finish`].
    #[doc(hidden)]
    #[allow(
        clippy::disallowed_methods,
        reason = "a commit's duration is measured here"
    )]
    pub fn commit(&self, batch: &Batch, now: Tick) -> Result<(), StoreError> {
        let started = Instant::now();
        let mut store = self.store.lock();
        let Some(open) = store.as_mut() else {
            return Err(StoreError::Failed(CLOSED.to_owned()));
        };
        if batch.live() > 0 {
            open.commit(batch, self.flushing.of_commit(now))?;
        }
        let size = open.size();
        open.tidy(now)?;
        drop(store);
        let (live, cancelled) = (batch.live(), batch.cancelled());
        let took = started.elapsed();
        self.pace.took(took);
        self.observer.committed(live, cancelled, took, size);
        Ok(())
    }

    /// The last part: tells everybody who waits for the batch what has become of it.
    #[doc(hidden)]
    pub fn finish(&self, batch: &Batch, result: Result<(), StoreError>) {
        match result {
            Ok(()) => self.publish(batch),
            Err(error) => {
                self.observer.failed(&error);
                self.fail(&error);
            }
        }
    }

    /// Commits all that is left, closes the store and ends the thread.
    ///
    /// # Errors
    /// When the store fails meanwhile, or has failed before.
    pub fn shutdown(&self) -> Result<(), StoreError> {
        self.gather.lock().stopping = true;
        self.work.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the writer has been reported by its own thread.
            let _ = thread.join();
        }
        while !self.end()? {
            self.step(Tick(0));
        }
        let Some(mut store) = self.store.lock().take() else {
            return Ok(());
        };
        store.sync()?;
        store.close()
    }

    /// Takes nothing more, if all is committed. Returns whether it is.
    fn end(&self) -> Result<bool, StoreError> {
        let mut gather = self.gather.lock();
        if let Some(cause) = &gather.failed {
            return Err(StoreError::Failed(cause.as_ref().to_owned()));
        }
        let done = gather.open.is_empty();
        if done {
            gather.failed = Some(CLOSED.into());
        }
        Ok(done)
    }

    /// Books what was appended and wakes the thread if it has something to do.
    fn appended(&self, gather: &mut Gather, waiter: Option<&Arc<dyn Durable>>) {
        self.pending_bytes
            .store(gather.open.bytes(), Ordering::Relaxed);
        if !self.flushing.awaits_commit && gather.failed.is_none() {
            self.durable
                .fetch_max(gather.open.last().0, Ordering::AcqRel);
        }
        let wake = match gather.parked {
            Parked::No => false,
            Parked::Briefly => self.is_due(gather),
            Parked::Idle => true,
        };
        if wake && !gather.open.is_empty() && !self.is_led_by(gather, waiter) {
            gather.parked = Parked::No;
            self.work.notify_one();
        }
    }

    fn is_due(&self, gather: &Gather) -> bool {
        (gather.urgent && self.flushing.awaits_commit) || gather.open.bytes() >= BATCH_BYTES
    }

    /// Sleeps until a batch should be committed. Returns false when the writer stops.
    fn wait_for_work(&self) -> bool {
        let delay = self.flushing.patience(LAZY_DELAY);
        let mut gather = self.gather.lock();
        // Having just worked, it looks again by itself once, so that changes nobody waits for need
        // not wake it.
        let mut briefly = true;
        while !gather.stopping && !self.is_due(&gather) {
            if briefly || !gather.open.is_empty() {
                gather.parked = Parked::Briefly;
                if self.work.wait_for(&mut gather, delay).timed_out() {
                    if !gather.open.is_empty() {
                        break;
                    }
                    briefly = false;
                }
            } else if let Some(interval) = self.flushing.interval() {
                gather.parked = Parked::Idle;
                if self.work.wait_for(&mut gather, interval).timed_out() {
                    break;
                }
            } else {
                gather.parked = Parked::Idle;
                self.work.wait(&mut gather);
            }
        }
        gather.parked = Parked::No;
        !gather.stopping
    }

    /// Tells everybody who waits for this batch.
    fn publish(&self, batch: &Batch) {
        let last = batch.last();
        self.committed.store(last.0, Ordering::Release);
        self.durable.fetch_max(last.0, Ordering::AcqRel);
        let (waiters, room) = {
            let mut gather = self.gather.lock();
            // Before those who wait for room are told: they look at this, and without room they
            // append nothing that would correct it.
            self.pending_bytes
                .store(gather.open.bytes(), Ordering::Relaxed);
            (gather.committing.take(), gather.room.take())
        };
        for waiter in waiters {
            waiter.durable(last);
        }
        for waiter in room {
            waiter.room();
        }
    }

    /// Gives up for good: a flush that failed once may lie the next time.
    fn fail(&self, error: &StoreError) {
        let cause: Arc<str> = error.to_string().into();
        let waiters = {
            let mut gather = self.gather.lock();
            gather.failed = Some(Arc::clone(&cause));
            let mut all = gather.committing.take();
            all.append(&mut gather.waiters.take());
            all.append(&mut gather.room.take());
            all
        };
        for waiter in waiters {
            waiter.failed(&cause);
        }
    }
}

impl Gather {
    fn await_open(&mut self, waiter: &Arc<dyn Durable>) {
        self.waiters.add(waiter);
        self.urgent = true;
    }
}
