//! A write-ahead ring in front of the file: a batch is durable when it is in the ring, which takes one
//! write to a place that the disk already has, and the file takes it over in the background.
//!
//! The ring is written round and round. What is in it and not in the file is also in memory, merged
//! (`window`), to be read and to be folded: a fold makes one transaction of the file of it, which
//! also says up to where the ring is folded. After a crash what is behind that mark is read back.

mod device;
mod fold;
mod image;
mod reader;
mod record;
mod scan;
#[cfg(test)]
mod tests;
mod window;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::redb::RedbStore;
use super::{Batch, CommitObserver, Reader, Recovered, RedbOptions, Store, StoreError, StoreSize};
use crate::core::{Persist, Tick};
use device::RingFile;
use fold::Folder;
use record::{BLOCK, Buffer, Head, Title};
use scan::{Scan, ScanError};
use window::Window;

pub use device::{RingDevice, measure_flush};
pub use image::{RingImage, RingRead};
pub use scan::RingMark;

/// How the ring is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOptions {
    /// Bytes for records, rounded up to whole blocks. 0 for no ring.
    pub bytes: u64,
    /// Whether each batch is flushed as it is written, or later by [`Store::sync`].
    pub synced: bool,
    /// Whether to start although something that was acknowledged cannot be read any more.
    pub salvage: bool,
    /// Whether a thread folds. Without one, `tidy` does, and `commit` when the ring is full.
    pub thread: bool,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            synced: true,
            salvage: false,
            thread: true,
        }
    }
}

/// The file with the ring in front of it. See the contract of [`Store`].
#[derive(Debug)]
pub struct RingStore {
    device: Arc<dyn RingDevice>,
    path: PathBuf,
    title: Title,
    folder: Arc<Folder>,
    buffer: Buffer,
    /// The number of the last record that is known to be flushed.
    flushed: u64,
    thread: Option<JoinHandle<()>>,
    failed: Option<String>,
}

/// Opens the store of a directory as it is wanted: with a ring, or without one.
///
/// # Errors
/// When the file or the ring cannot be used, is in use, or is damaged.
pub fn open(
    directory: &Path,
    options: &RedbOptions,
    ring: RingOptions,
) -> Result<Box<dyn Store>, StoreError> {
    let redb = RedbStore::open(directory, options)?;
    let path = RingFile::path(directory);
    if ring.bytes == 0 && redb.mark().is_none() {
        return Ok(Box::new(redb));
    }
    let failed = |action| {
        let path = path.clone();
        move |source| StoreError::Io {
            action,
            path,
            source,
        }
    };
    let device = RingFile::open(directory, ring.synced).map_err(failed("cannot open the ring"))?;
    if ring.bytes > 0 {
        let store = RingStore::attach(redb, Arc::new(device), path, ring)?;
        return Ok(Box::new(store));
    }
    // What an earlier run has left in the ring is taken over before it is given up.
    let mut redb = redb;
    take_over(&mut redb, &device, &path, ring)?;
    redb.fold(&[], &[], None)?;
    RingFile::delete(directory).map_err(failed("cannot delete the ring"))?;
    Ok(Box::new(redb))
}

impl RingStore {
    /// Puts a ring in front of a file. What the ring holds is folded first.
    ///
    /// # Errors
    /// When the ring belongs to another file, is missing or damaged, or cannot be made.
    pub fn attach(
        mut redb: RedbStore,
        device: Arc<dyn RingDevice>,
        path: PathBuf,
        options: RingOptions,
    ) -> Result<Self, StoreError> {
        let capacity = options.bytes.next_multiple_of(BLOCK as u64);
        let found = take_over(&mut redb, device.as_ref(), &path, options)?;
        let store = redb.store_id();
        let title = Title { store, capacity };
        let mark = match found {
            Some((old, mark)) if old == title => mark,
            _ => {
                // All that was in the old ring is folded: while the new one is made there is none.
                if found.is_some() {
                    redb.fold(&[], &[], None)?;
                }
                let made = device
                    .clear(BLOCK as u64 + capacity)
                    .and_then(|()| device.write(0, &aligned(&title.encode())))
                    .and_then(|()| device.flush());
                made.map_err(|source| StoreError::Io {
                    action: "cannot make the ring",
                    path: path.clone(),
                    source,
                })?;
                let number = found.map_or(1, |(_, mark)| mark.number);
                let position = 0;
                RingMark { position, number }
            }
        };
        redb.fold(&[], &[], Some(mark))?;
        let folder = Arc::new(Folder::new(redb, mark, capacity));
        let settled = Arc::clone(&device);
        let thread = options.thread.then(|| folder.start(settled)).transpose();
        let thread = thread.map_err(|source| StoreError::Io {
            action: "cannot start a thread for",
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            device,
            path,
            title,
            folder,
            buffer: Buffer::default(),
            flushed: mark.number - 1,
            thread,
            failed: None,
        })
    }

    /// Appends a record, once there is room, and makes it durable if that is asked for.
    fn append(&mut self, batch: &Batch, flush: bool) -> Result<(), StoreError> {
        // What is not to survive the next start goes to the file alone.
        let lasting = |change: &&Persist| {
            !matches!(
                change,
                Persist::Put {
                    transient: true,
                    ..
                }
            )
        };
        let mut written = None;
        if batch.changes().any(|change| lasting(&change)) {
            let head = Head {
                length: 0,
                store: self.title.store,
                lap: 0,
                number: self.folder.next_number(),
                flushed: self.flushed,
            };
            let size = self.folder.reserve(&mut |lap| {
                let sequences = (batch.first(), batch.last());
                let changes = batch.changes().filter(lasting);
                let head = Head { lap, ..head };
                self.buffer.write(&head, sequences, changes, batch.bytes());
                self.buffer.blocks().len() as u64
            })?;
            if let Some(at) = size {
                self.write(at, flush)?;
                written = Some(at + self.buffer.blocks().len() as u64);
                if flush {
                    self.flushed = head.number;
                }
            } else {
                // It would take too much of the ring: the file takes it, with all that is before it.
                return self.folder.take_through(batch);
            }
        }
        self.folder.take(batch, written)
    }

    fn write(&self, at: u64, flush: bool) -> Result<(), StoreError> {
        let offset = BLOCK as u64 + at % self.title.capacity;
        let written = self.folder.timed_flush(flush, || {
            self.device.write(offset, self.buffer.blocks())?;
            if flush { self.device.flush() } else { Ok(()) }
        });
        written.map_err(|source| self.io_error("cannot write to", source))
    }

    fn io_error(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }

    /// Does something unless the store has failed before; a failure is final.
    fn guarded(
        &mut self,
        task: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(cause) = &self.failed {
            return Err(StoreError::Failed(cause.clone()));
        }
        let result = task(self);
        if let Err(error) = &result {
            self.failed = Some(error.to_string());
        }
        result
    }

    fn stop_thread(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.folder.stop();
            // A panic of the thread has been reported by itself.
            let _ = thread.join();
        }
    }
}

impl Drop for RingStore {
    fn drop(&mut self) {
        self.stop_thread();
    }
}

impl Store for RingStore {
    fn commit(&mut self, batch: &Batch, flush: bool) -> Result<(), StoreError> {
        self.guarded(|store| store.append(batch, flush))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| {
            let last = store.folder.next_number() - 1;
            if store.flushed < last {
                let flushed = store.folder.timed_flush(true, || store.device.flush());
                flushed.map_err(|source| store.io_error("cannot flush", source))?;
                store.flushed = last;
            }
            Ok(())
        })
    }

    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.folder.redb().recover()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(reader::RingReader::new(Arc::clone(&self.folder)))
    }

    fn tidy(&mut self, now: Tick) -> Result<Option<Tick>, StoreError> {
        if self.thread.is_some() {
            return Ok(None);
        }
        self.folder.fold_if_due()?;
        self.folder.redb().tidy(now)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.stop_thread();
        self.guarded(|store| {
            store.folder.fold_all()?;
            store.folder.redb().close()
        })
    }

    fn size(&self) -> StoreSize {
        self.folder.size()
    }

    fn engine(&self) -> &'static str {
        "redb"
    }

    fn survives_kill(&self) -> bool {
        true
    }

    fn is_prompt(&self, bytes: usize) -> bool {
        self.thread.is_some() && self.folder.has_ample_room(bytes as u64)
    }

    fn observe(&mut self, observer: Arc<dyn CommitObserver>) {
        self.folder.observe(observer);
    }
}

/// A copy at a place in memory that suits direct writes.
fn aligned(block: &[u8]) -> impl std::ops::Deref<Target = [u8]> {
    struct Aligned(Vec<u8>, usize);
    impl std::ops::Deref for Aligned {
        type Target = [u8];
        fn deref(&self) -> &[u8] {
            self.0.get(self.1..).unwrap_or_default()
        }
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(block.len() + BLOCK);
    let start = bytes.as_ptr().align_offset(BLOCK).min(BLOCK);
    bytes.resize(start, 0);
    bytes.extend_from_slice(block);
    Aligned(bytes, start)
}

/// Folds what a ring holds. Returns what the ring says of itself, and where it goes on; nothing if the
/// store has never had one.
fn take_over(
    redb: &mut RedbStore,
    device: &dyn RingDevice,
    path: &Path,
    options: RingOptions,
) -> Result<Option<(Title, RingMark)>, StoreError> {
    let failed = |source| StoreError::Io {
        action: "cannot read",
        path: path.to_owned(),
        source,
    };
    let title = title(device).map_err(failed)?;
    if let Some(title) = title
        && title.store != redb.store_id()
    {
        return Err(StoreError::RingForeign {
            ring: path.to_owned(),
            store: redb.path(),
        });
    }
    let Some(mark) = redb.mark() else {
        return Ok(None);
    };
    let Some(title) = title else {
        if redb.was_clean() || options.salvage {
            let title = Title {
                store: 0,
                capacity: 0,
            };
            return Ok(Some((title, mark)));
        }
        return Err(StoreError::RingMissing {
            ring: path.to_owned(),
            store: redb.path(),
        });
    };
    if redb.was_clean() {
        return Ok(Some((title, mark)));
    }
    let found = Scan::new(device, title).run(mark, options.salvage);
    let found = found.map_err(|error| match error {
        ScanError::Io(source) => failed(source),
        ScanError::Format(offset, source) => StoreError::Format {
            path: path.to_owned(),
            place: format!("the record at byte {offset}"),
            source,
        },
    })?;
    if let Some((offset, number)) = found.damage
        && !options.salvage
    {
        return Err(StoreError::RingDamaged {
            path: path.to_owned(),
            offset,
            number,
        });
    }
    let mut window = Window::default();
    for change in found.batches.iter().flatten() {
        window.take(change);
    }
    // What lies behind the end, torn or never flushed, must not be taken for what is written next:
    // it has the lap of the last record or the one behind it.
    let mark = RingMark {
        position: (found.lap + 2) * title.capacity,
        number: found.next,
    };
    redb.fold(&window.changes(), &window.last_positions(), Some(mark))?;
    Ok(Some((title, mark)))
}

fn title(device: &dyn RingDevice) -> io::Result<Option<Title>> {
    let length = device.len()?;
    if length < BLOCK as u64 {
        return Ok(None);
    }
    let mut block = vec![0; BLOCK];
    device.read(0, &mut block)?;
    let title = Title::decode(&block);
    Ok(title.filter(|title| length - BLOCK as u64 >= title.capacity))
}
