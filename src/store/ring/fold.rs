//! The folder: owns the file behind the ring, and moves to it what the ring has gathered.
//!
//! There are at most two windows: one that grows, and one that is being folded. Senders wait only when
//! the ring is full.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::super::redb::RedbStore;
use super::super::{Batch, CommitObserver, Reader, Store, StoreError, StoreSize};
use super::device::RingDevice;
use super::scan::RingMark;
use super::window::Window;
use crate::core::Tick;

/// What has not grown for this long is folded, so that a quiet broker holds nothing twice.
const QUIET: Duration = Duration::from_secs(1);

/// When the disk is full, folding is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// The ring's part that is folded from: of this many.
const FOLD_AT: u64 = 4;

/// A record of more than this part of the ring does not go there.
const RECORD_MAX: u64 = 4;

/// The file, and what it does not know yet.
#[derive(Debug)]
pub(super) struct Folder {
    redb: Mutex<RedbStore>,
    reader: Arc<dyn Reader>,
    state: Mutex<State>,
    /// There is something to fold.
    news: Condvar,
    /// Something has been folded.
    folded: Condvar,
    capacity: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) active: Window,
    pub(super) folding: Option<Arc<Window>>,
    /// What the ring is folded up to when that is done.
    folding_to: RingMark,
    /// Counts the folds that are done.
    pub(super) folds: u64,
    /// Where the next record goes.
    head: RingMark,
    /// Everything before is folded.
    tail: RingMark,
    size: StoreSize,
    observer: Option<Arc<dyn CommitObserver>>,
    /// Whether a thread folds.
    threaded: bool,
    /// Somebody waits for a fold.
    wanted: bool,
    stopping: bool,
    failed: Option<String>,
}

impl State {
    fn used(&self) -> u64 {
        self.head.position - self.tail.position
    }

    fn is_folded(&self) -> bool {
        self.active.is_empty() && self.folding.is_none() && self.used() == 0
    }

    fn bytes(&self) -> u64 {
        let folding = self.folding.as_ref().map_or(0, |window| window.bytes());
        (self.active.bytes() + folding) as u64
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(cause) => Err(StoreError::Failed(cause.clone())),
            None => Ok(()),
        }
    }
}

impl Folder {
    pub(super) fn new(redb: RedbStore, mark: RingMark, capacity: u64) -> Self {
        let reader = redb.reader();
        let size = StoreSize {
            ring: Some((0, capacity)),
            ..redb.size()
        };
        Self {
            redb: Mutex::new(redb),
            reader,
            state: Mutex::new(State {
                active: Window::default(),
                folding: None,
                folding_to: mark,
                folds: 0,
                head: mark,
                tail: mark,
                size,
                observer: None,
                threaded: false,
                wanted: false,
                stopping: false,
                failed: None,
            }),
            news: Condvar::new(),
            folded: Condvar::new(),
            capacity,
        }
    }

    /// The file. Held while it folds.
    pub(super) fn redb(&self) -> MutexGuard<'_, RedbStore> {
        self.redb.lock()
    }

    /// What reads the file alone.
    pub(super) fn below(&self) -> &dyn Reader {
        self.reader.as_ref()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn next_number(&self) -> u64 {
        self.state.lock().head.number
    }

    pub(super) fn observe(&self, observer: Arc<dyn CommitObserver>) {
        self.state.lock().observer = Some(observer);
    }

    pub(super) fn size(&self) -> StoreSize {
        let state = self.state.lock();
        StoreSize {
            ring: Some((state.used(), self.capacity)),
            ..state.size
        }
    }

    /// Finds the place of the next record, whose size `write` tells once it knows the lap. Waits until
    /// there is room. `None` if the record would take too much of the ring.
    pub(super) fn reserve(
        &self,
        write: &mut dyn FnMut(u64) -> u64,
    ) -> Result<Option<u64>, StoreError> {
        let at = self.state.lock().head.position;
        let lap = at / self.capacity;
        let size = write(lap);
        if size > self.capacity / RECORD_MAX {
            return Ok(None);
        }
        let end = (lap + 1) * self.capacity;
        let place = if at + size <= end {
            at
        } else {
            write(lap + 1);
            end
        };
        let full = |state: &State| place + size - state.tail.position > self.capacity;
        self.wait_while(full)?;
        Ok(Some(place))
    }

    /// Whether a batch of so many bytes is far from having to wait for a fold.
    pub(super) fn has_ample_room(&self, bytes: u64) -> bool {
        let state = self.state.lock();
        let half = self.capacity / 2;
        bytes <= self.capacity / RECORD_MAX / 2 && state.used() <= half && state.bytes() <= half
    }

    /// Waits while there is something that a fold changes.
    fn wait_while(&self, blocked: impl Fn(&State) -> bool) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        while blocked(&state) {
            state.check()?;
            if state.threaded {
                state.wanted = true;
                self.news.notify_one();
                self.folded.wait(&mut state);
            } else {
                drop(state);
                self.fold()?;
                state = self.state.lock();
            }
        }
        state.check()
    }

    /// Takes a batch over that is in the ring up to a position, or need not be there.
    pub(super) fn take(&self, batch: &Batch, written: Option<u64>) -> Result<(), StoreError> {
        self.wait_while(|state| state.bytes() > self.capacity)?;
        let mut state = self.state.lock();
        for change in batch.changes() {
            state.active.take(change);
        }
        if let Some(position) = written {
            let number = state.head.number + 1;
            state.head = RingMark { position, number };
        }
        if self.is_due(&state) {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Takes a batch over that is not in the ring, and returns when the file has it.
    pub(super) fn take_through(&self, batch: &Batch) -> Result<(), StoreError> {
        self.take(batch, None)?;
        self.wait_while(|state| !(state.active.is_empty() && state.folding.is_none()))
    }

    fn is_due(&self, state: &State) -> bool {
        let part = self.capacity / FOLD_AT;
        state.wanted || state.used() >= part || state.active.bytes() as u64 >= part
    }

    pub(super) fn fold_if_due(&self) -> Result<(), StoreError> {
        let due = self.is_due(&self.state.lock());
        if due { self.fold() } else { Ok(()) }
    }

    /// Folds until nothing is left.
    pub(super) fn fold_all(&self) -> Result<(), StoreError> {
        while !self.state.lock().is_folded() {
            self.fold()?;
        }
        Ok(())
    }

    /// Moves the window to the file.
    #[allow(
        clippy::disallowed_methods,
        reason = "a fold's duration is measured here"
    )]
    fn fold(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let (window, mark) = {
            let mut state = self.state.lock();
            state.check()?;
            // One that could not be folded before comes first.
            let window = if let Some(window) = &state.folding {
                Arc::clone(window)
            } else {
                let window = Arc::new(std::mem::take(&mut state.active));
                state.folding = Some(Arc::clone(&window));
                state.folding_to = state.head;
                window
            };
            (window, state.folding_to)
        };
        let mut redb = self.redb.lock();
        let result = redb.fold(&window.changes(), &window.last_positions(), Some(mark));
        let size = redb.size();
        drop(redb);
        let mut state = self.state.lock();
        match result {
            Ok(()) => {
                state.folding = None;
                state.folds += 1;
                state.tail = mark;
                state.size = size;
                state.wanted = false;
                if let Some(observer) = &state.observer {
                    let (kept, cancelled) = window.counts();
                    observer.folded(kept, cancelled, started.elapsed());
                }
                self.folded.notify_all();
                Ok(())
            }
            Err(error) => {
                if !is_full(&error) {
                    state.failed = Some(error.to_string());
                    self.folded.notify_all();
                }
                Err(error)
            }
        }
    }

    /// Measures a write to the ring that is to be durable.
    #[allow(
        clippy::disallowed_methods,
        reason = "a flush's duration is measured here"
    )]
    pub(super) fn timed_flush(
        &self,
        flush: bool,
        task: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let started = Instant::now();
        task()?;
        if flush && let Some(observer) = &self.state.lock().observer {
            observer.flushed(started.elapsed());
        }
        Ok(())
    }

    /// Starts the thread that folds.
    pub(super) fn start(
        self: &Arc<Self>,
        device: Arc<dyn RingDevice>,
    ) -> io::Result<JoinHandle<()>> {
        self.state.lock().threaded = true;
        let folder = Arc::clone(self);
        std::thread::Builder::new()
            .name("folder".to_owned())
            .spawn(move || {
                if let Err(error) = device.settle() {
                    // Whatever is written is flushed all the same, or fails by itself.
                    tracing::warn!(target: "tidegate::store", %error, "the ring has no places on the disk yet");
                }
                drop(device);
                folder.run();
            })
    }

    /// Ends the thread; what is not folded stays in the ring.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        self.news.notify_one();
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the folder's thread measures its own time"
    )]
    fn run(&self) {
        let started = Instant::now();
        let mut full = false;
        while self.wait_for_work() {
            if let Err(error) = self.fold() {
                if !is_full(&error) {
                    break;
                }
                if !std::mem::replace(&mut full, true) {
                    tracing::error!(target: "tidegate::store", %error,
                        "the disk is full: the ring keeps what it holds until there is room");
                }
                if !self.wait_for_room() {
                    break;
                }
                continue;
            }
            if std::mem::take(&mut full) {
                tracing::info!(target: "tidegate::store", "the disk has room again");
            }
            let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            if let Err(error) = self.redb.lock().tidy(Tick(elapsed)) {
                self.state.lock().failed = Some(error.to_string());
                break;
            }
        }
        let mut state = self.state.lock();
        state.threaded = false;
        self.folded.notify_all();
    }

    /// Sleeps until something should be folded. Returns false when the thread is to end.
    fn wait_for_work(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.stopping || state.failed.is_some() {
                return false;
            }
            if self.is_due(&state) {
                return true;
            }
            let before = state.head;
            let quiet = self.news.wait_for(&mut state, QUIET).timed_out();
            if quiet && state.head == before && !state.is_folded() {
                return !state.stopping;
            }
        }
    }

    /// After the disk was full: waits a while and opens the file again, which the failure has closed.
    fn wait_for_room(&self) -> bool {
        let mut state = self.state.lock();
        while !state.stopping {
            self.news.wait_for(&mut state, RETRY);
            if state.stopping {
                break;
            }
            drop(state);
            let reopened = self.redb.lock().reopen();
            state = self.state.lock();
            match reopened {
                Ok(()) => return true,
                Err(error) if is_full(&error) => {}
                Err(error) => {
                    state.failed = Some(error.to_string());
                    return false;
                }
            }
        }
        false
    }
}

/// Whether an error says that the disk has no room, which may pass.
fn is_full(error: &StoreError) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
