//! A store in memory that can be crashed back to what it has flushed, and told to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate::internal::core::{DeliveryState, Kind, Persist, Position, StoredAt, Tick};
use tidegate::internal::store::{
    Batch, MemoryStore, PageLimit, Reader, Recovered, RedbOptions, RedbStore, RingOptions,
    RingStore, Store, StoreError, StoreSize,
};

use crate::torn::{Survives, TornDisk};

/// A message that a start has found in the store.
#[derive(Clone, Copy, Debug)]
pub struct Survivor {
    pub state: DeliveryState,
    /// Whether the dispatch horizon reaches it.
    pub covered: bool,
    pub priority: u8,
}

/// How a commit is to fail.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// The store has not taken the batch.
    Before,
    /// It has, and could not say so.
    After,
}

#[derive(Debug)]
struct Inner {
    /// All that was ever committed, oldest first.
    history: Vec<Batch>,
    /// How many of them were flushed.
    flushed: usize,
    starts: usize,
    /// What a file and a ring hold, if that is the store.
    bytes: Option<Bytes>,
    closed: bool,
    live: Box<dyn Store>,
    fail: Option<Failure>,
    failed: bool,
    lied: bool,
    found: BTreeMap<(String, String), Survivor>,
    doubles: Vec<String>,
    /// What is stored, by the first characters of its body.
    stored: BTreeMap<StoredAt, String>,
}

/// A file and a ring in memory.
#[derive(Clone, Debug, Default)]
struct Bytes {
    file: TornDisk,
    ring: TornDisk,
}

impl Bytes {
    /// Opens the store. The ring is so small that it is folded, and read through, all the time.
    fn open(&self) -> Box<dyn Store> {
        let file = RedbStore::open_backend(self.file.clone(), &RedbOptions::default()).unwrap();
        let options = RingOptions {
            bytes: 128 << 10,
            thread: false,
            ..RingOptions::default()
        };
        let ring = Arc::new(self.ring.clone());
        Box::new(RingStore::attach(file, ring, "ring".into(), options).unwrap())
    }

    /// As it is after an orderly stop.
    fn copy(&self) -> Self {
        let copy = |disk: &TornDisk| TornDisk::with(disk.image(Survives::Everything));
        Self {
            file: copy(&self.file),
            ring: copy(&self.ring),
        }
    }
}

impl Inner {
    fn note(&mut self, batch: &Batch) {
        for change in batch.changes() {
            match change {
                Persist::Put { at, message, .. } => {
                    let body = String::from_utf8_lossy(message.encoded.body());
                    self.stored.insert(*at, body.chars().take(6).collect());
                }
                Persist::Remove { at } => {
                    self.stored.remove(at);
                }
                Persist::Define { .. }
                | Persist::Undefine { .. }
                | Persist::Returned { .. }
                | Persist::Horizon { .. } => {}
            }
        }
    }
}

/// A handle of the store; the broker is given another one.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    /// An empty store, with or without a ring.
    pub fn new(ring: bool) -> Self {
        let bytes = ring.then(Bytes::default);
        Self(Arc::new(Mutex::new(Inner {
            history: Vec::new(),
            flushed: 0,
            starts: 0,
            live: match &bytes {
                Some(bytes) => bytes.open(),
                None => Box::new(MemoryStore::default()),
            },
            bytes,
            closed: false,
            fail: None,
            failed: false,
            lied: false,
            found: BTreeMap::new(),
            doubles: Vec::new(),
            stored: BTreeMap::new(),
        })))
    }

    /// Forgets what was not flushed, except for the oldest of it as far as `keep` goes.
    pub fn crash(&self, keep: usize) {
        let mut inner = self.0.lock();
        let kept = (inner.flushed + keep).min(inner.history.len());
        inner.history.truncate(kept);
        inner.flushed = kept;
        inner.bytes = inner.bytes.is_some().then(Bytes::default);
        inner.closed = false;
        let mut live: Box<dyn Store> = match &inner.bytes {
            Some(bytes) => bytes.open(),
            None => Box::new(MemoryStore::default()),
        };
        for _ in 0..inner.starts {
            live.recover().unwrap();
        }
        for batch in &inner.history {
            live.commit(batch, true).unwrap();
        }
        // What is in the ring is read back, as after a kill.
        if let Some(bytes) = inner.bytes.as_ref().map(Bytes::copy) {
            live = bytes.open();
            inner.bytes = Some(bytes);
        }
        inner.live = live;
        inner.stored.clear();
        for batch in inner.history.clone() {
            inner.note(&batch);
        }
        inner.fail = None;
        inner.failed = false;
        inner.lied = false;
    }

    /// Lets the next commit fail.
    pub fn fail_next(&self, how: Failure) {
        self.0.lock().fail = Some(how);
    }

    /// Whether a message is committed, by its body.
    pub fn holds(&self, body: &str) -> bool {
        let start = body.get(..6).unwrap_or(body);
        self.0.lock().stored.values().any(|other| other == start)
    }

    /// Lets no commit fail any more.
    pub fn heal(&self) {
        self.0.lock().fail = None;
    }

    /// Whether a commit was taken that has failed.
    pub fn has_lied(&self) -> bool {
        self.0.lock().lied
    }

    /// How many commits were not flushed.
    pub fn unflushed(&self) -> usize {
        let inner = self.0.lock();
        inner.history.len() - inner.flushed
    }

    /// What the last start has found, by queue and body, and bodies that were there twice.
    pub fn found(&self) -> (BTreeMap<(String, String), Survivor>, Vec<String>) {
        let inner = self.0.lock();
        (inner.found.clone(), inner.doubles.clone())
    }

    /// How many messages it holds.
    pub fn live_messages(&self) -> usize {
        let inner = self.0.lock();
        let changes = inner.history.iter().flat_map(Batch::changes);
        let destinations: BTreeSet<_> = changes
            .filter_map(|change| match change {
                Persist::Define { destination, .. } => Some(*destination),
                _ => None,
            })
            .collect();
        let limit = PageLimit {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let reader = inner.live.reader();
        let pages = destinations
            .into_iter()
            .map(|destination| reader.read(destination, Position(0), None, limit).unwrap());
        pages.map(|page| page.messages.len()).sum()
    }
}

impl Store for Disk {
    fn commit(&mut self, batch: &Batch, flush: bool) -> Result<(), StoreError> {
        let mut inner = self.0.lock();
        assert!(!inner.failed, "a commit after one that has failed");
        let fail = inner.fail.take();
        inner.failed = fail.is_some();
        inner.lied = matches!(fail, Some(Failure::After));
        if !matches!(fail, Some(Failure::Before)) {
            inner.history.push(batch.clone());
            inner.note(batch);
            inner.live.commit(batch, flush)?;
            if flush {
                inner.flushed = inner.history.len();
            }
        }
        match fail {
            Some(_) => Err(StoreError::Failed("told to".to_owned())),
            None => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut inner = self.0.lock();
        inner.flushed = inner.history.len();
        Ok(())
    }

    fn recover(&mut self) -> Result<Recovered, StoreError> {
        let mut inner = self.0.lock();
        inner.starts += 1;
        if std::mem::take(&mut inner.closed)
            && let Some(bytes) = inner.bytes.as_ref().map(Bytes::copy)
        {
            inner.live = bytes.open();
            inner.bytes = Some(bytes);
        }
        let recovered = inner.live.recover()?;
        inner.found.clear();
        inner.doubles.clear();
        for destination in &recovered.destinations {
            let name = destination.name.name().to_owned();
            let limit = PageLimit {
                messages: usize::MAX,
                bytes: usize::MAX,
            };
            let reader = inner.live.reader();
            let page = reader.read(destination.id, Position(0), None, limit)?;
            for (position, message, state) in page.messages {
                assert_eq!(
                    destination.name.kind(),
                    Kind::Queue,
                    "a topic's message survived"
                );
                let body = String::from_utf8_lossy(message.encoded.body()).into_owned();
                let survivor = Survivor {
                    state,
                    covered: position <= destination.horizon,
                    priority: message.priority.get(),
                };
                if inner
                    .found
                    .insert((name.clone(), body.clone()), survivor)
                    .is_some()
                {
                    inner.doubles.push(body);
                }
            }
        }
        Ok(recovered)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.0.lock().live.reader()
    }

    fn tidy(&mut self, now: Tick) -> Result<Option<Tick>, StoreError> {
        self.0.lock().live.tidy(now)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let mut inner = self.0.lock();
        inner.closed = true;
        inner.live.close()
    }

    fn size(&self) -> StoreSize {
        self.0.lock().live.size()
    }

    fn engine(&self) -> &'static str {
        "simulated"
    }

    fn survives_kill(&self) -> bool {
        self.0.lock().bytes.is_some()
    }
}
