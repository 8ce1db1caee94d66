//! Where the ring lies: a file, or something that stands for one in a test.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::record::BLOCK;

/// The file within the data directory.
const FILE: &str = "ring";

/// Zeros are written so many at a time.
const ZEROS: usize = 1 << 20;

/// How often a flush is tried to find out how long it takes.
const TRIES: usize = 5;

/// What the ring is written to: whole blocks at multiples of their size.
pub trait RingDevice: Send + Sync + Debug {
    /// Its length in bytes; 0 if it was never made.
    ///
    /// # Errors
    /// When the system does not tell.
    fn len(&self) -> io::Result<u64>;

    /// Whether it was never made.
    ///
    /// # Errors
    /// When the system does not tell.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads as many bytes as there is place for.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes.
    ///
    /// # Errors
    /// When that fails; what is there then is not known.
    fn write(&self, offset: u64, blocks: &[u8]) -> io::Result<()>;

    /// Makes everything written durable.
    ///
    /// # Errors
    /// When that cannot be promised.
    fn flush(&self) -> io::Result<()>;

    /// Becomes so many zeros. Its length is durable on return.
    ///
    /// # Errors
    /// When there is no room, or the system refuses.
    fn clear(&self, length: u64) -> io::Result<()>;

    /// Sees to it that the zeros have their places on the disk: a block that has one is flushed without
    /// a change of the file system's own records. Takes its time, and others may write meanwhile.
    ///
    /// # Errors
    /// When the system refuses.
    fn settle(&self) -> io::Result<()>;
}

/// A ring in a file.
#[derive(Debug)]
pub(super) struct RingFile {
    directory: PathBuf,
    file: File,
    /// A second handle for what does not lie well in memory: zeros, and reads.
    plain: File,
    /// Each write is flushed as it is made.
    synced: bool,
}

impl RingFile {
    /// Where the ring of a data directory is.
    pub(super) fn path(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Opens the file, which is made empty if it is not there. With `synced`, each write is to be
    /// flushed at once: then writes go past the page cache where the file system allows it, which
    /// takes less time than writing and flushing.
    pub(super) fn open(directory: &Path, synced: bool) -> io::Result<Self> {
        let path = Self::path(directory);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let plain = options.open(&path)?;
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
        let direct = match options.custom_flags(flags).open(&path) {
            _ if !synced => None,
            Ok(file) => Some(file),
            // The file system knows no direct writes.
            Err(error) if error.kind() == ErrorKind::InvalidInput => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            directory: directory.to_owned(),
            synced: direct.is_some(),
            file: direct.map_or_else(|| plain.try_clone(), Ok)?,
            plain,
        })
    }

    /// Deletes the file.
    pub(super) fn delete(directory: &Path) -> io::Result<()> {
        match std::fs::remove_file(Self::path(directory)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl RingDevice for RingFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.plain.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        self.file.write_all_at(blocks, offset)
    }

    fn flush(&self) -> io::Result<()> {
        if self.synced {
            return Ok(());
        }
        self.file.sync_data()
    }

    fn clear(&self, length: u64) -> io::Result<()> {
        self.plain.set_len(0)?;
        self.plain.set_len(length)?;
        self.plain.sync_all()?;
        File::open(&self.directory)?.sync_all()?;
        let zeros = vec![0; ZEROS];
        let mut at = 0;
        while at < length {
            let count = usize::try_from(length - at).unwrap_or(ZEROS).min(ZEROS);
            self.plain
                .write_all_at(zeros.get(..count).unwrap_or_default(), at)?;
            at += count as u64;
        }
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        self.plain.sync_data()
    }
}

/// The median time that it takes to make one block durable in a directory, tried on a file that is
/// deleted afterwards.
///
/// # Errors
/// When the file cannot be made or written.
#[allow(
    clippy::disallowed_methods,
    reason = "the disk's own time is measured here"
)]
pub fn measure_flush(directory: &Path) -> io::Result<Duration> {
    let path = directory.join("flush-probe");
    let measured = (|| {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        file.write_all_at(&[0; BLOCK], 0)?;
        file.sync_all()?;
        let mut times = [Duration::MAX; TRIES];
        for time in &mut times {
            let started = Instant::now();
            file.write_all_at(&[1; BLOCK], 0)?;
            file.sync_data()?;
            *time = started.elapsed();
        }
        times.sort_unstable();
        Ok(times.get(TRIES / 2).copied().unwrap_or_default())
    })();
    let deleted = std::fs::remove_file(&path);
    measured.and_then(|time| deleted.map(|()| time))
}
