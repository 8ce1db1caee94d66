//! A disk whose power fails: what was written and not flushed survives in pieces, or not at all.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;
use tidegate::internal::store::RingDevice;

use super::random::Random;

/// What survives a power failure in one piece.
const SECTOR: usize = 512;

/// A disk, shared by all its clones.
#[derive(Clone, Debug, Default)]
pub struct TornDisk {
    disk: Arc<Mutex<Disk>>,
    power: Arc<Mutex<Power>>,
}

/// What several disks hang on.
#[derive(Debug)]
struct Power {
    operations: u64,
    /// At this operation the power fails.
    fails_at: u64,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            operations: 0,
            fails_at: u64::MAX,
        }
    }
}

#[derive(Debug)]
struct Disk {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Since the last flush.
    pending: Vec<Operation>,
    /// Whether flushing does what it says.
    flushes: bool,
    /// Bytes beyond which there is no room.
    room: u64,
}

#[derive(Clone, Debug)]
enum Operation {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

/// What becomes of writes that were not flushed when the power failed.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// Some sectors of some of them, as this seed chooses.
    Some(u64),
    /// So many of them, the last one in part.
    First(u64),
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            durable: Vec::new(),
            current: Vec::new(),
            pending: Vec::new(),
            flushes: true,
            room: u64::MAX,
        }
    }
}

impl TornDisk {
    /// A disk that holds this.
    pub fn with(image: Vec<u8>) -> Self {
        let disk = Disk {
            durable: image.clone(),
            current: image,
            ..Disk::default()
        };
        Self {
            disk: Arc::new(Mutex::new(disk)),
            power: Arc::default(),
        }
    }

    /// The same disk on the power of another one.
    pub fn beside(self, other: &Self) -> Self {
        let power = Arc::clone(&other.power);
        Self { power, ..self }
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut power = self.power.lock().unwrap();
        if power.operations >= power.fails_at {
            return Err(io::Error::other("the power has failed"));
        }
        power.operations += 1;
        Ok(self.disk.lock().unwrap())
    }

    /// Lets the power fail after so many more operations.
    pub fn fail_after(&self, operations: u64) {
        let mut power = self.power.lock().unwrap();
        power.fails_at = power.operations + operations;
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.power.lock().unwrap().operations
    }

    /// From here on, flushing says that it did and does nothing.
    pub fn stop_flushing(&self) {
        self.disk.lock().unwrap().flushes = false;
    }

    /// The disk has no room beyond this many bytes.
    pub fn limit(&self, room: u64) {
        self.disk.lock().unwrap().room = room;
    }

    /// What is on the disk after the power failed.
    pub fn image(&self, survives: Survives) -> Vec<u8> {
        let disk = self.disk.lock().unwrap();
        let mut image = disk.durable.clone();
        let mut random = Random(match survives {
            Survives::Some(seed) => seed,
            Survives::Nothing | Survives::Everything | Survives::First(_) => 0,
        });
        for (index, operation) in (0..).zip(&disk.pending) {
            match (survives, operation) {
                (Survives::Nothing, _) => {}
                (Survives::First(count), _) if index > count => {}
                (Survives::First(count), Operation::Write(offset, data)) if index == count => {
                    overwrite(&mut image, *offset, &data[..data.len() / 2]);
                }
                (Survives::Some(_), Operation::SetLength(_)) if random.below(2) == 0 => {}
                (Survives::Some(_), Operation::Write(offset, data)) => {
                    tear(&mut image, *offset, data, &mut random);
                }
                (_, Operation::SetLength(length)) => resize(&mut image, *length),
                (_, Operation::Write(offset, data)) => overwrite(&mut image, *offset, data),
            }
        }
        image
    }
}

/// Writes some sectors of what was to be written.
fn tear(image: &mut Vec<u8>, offset: u64, data: &[u8], random: &mut Random) {
    let keep = random.below(4);
    let mut at = 0;
    while at < data.len() {
        let within = (usize::try_from(offset).unwrap() + at) % SECTOR;
        let end = data.len().min(at + SECTOR - within);
        let survives = match keep {
            0 => false,
            1 => true,
            _ => random.below(2) == 0,
        };
        if survives {
            overwrite(image, offset + at as u64, &data[at..end]);
        }
        at = end;
    }
}

fn overwrite(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).unwrap();
    if image.len() < start + data.len() {
        image.resize(start + data.len(), 0);
    }
    image[start..start + data.len()].copy_from_slice(data);
}

fn resize(image: &mut Vec<u8>, length: u64) {
    image.resize(usize::try_from(length).unwrap(), 0);
}

impl StorageBackend for TornDisk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.disk.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let disk = self.disk.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let found = disk.current.get(start..start + out.len());
        out.copy_from_slice(found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        let mut disk = self.operate()?;
        if length > disk.room {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        resize(&mut disk.current, length);
        disk.pending.push(Operation::SetLength(length));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut disk = self.operate()?;
        if disk.flushes {
            let pending = std::mem::take(&mut disk.pending);
            for operation in pending {
                match operation {
                    Operation::Write(offset, data) => overwrite(&mut disk.durable, offset, &data),
                    Operation::SetLength(length) => resize(&mut disk.durable, length),
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut disk = self.operate()?;
        overwrite(&mut disk.current, offset, data);
        disk.pending.push(Operation::Write(offset, data.to_vec()));
        Ok(())
    }
}

impl RingDevice for TornDisk {
    fn len(&self) -> io::Result<u64> {
        StorageBackend::len(self)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        StorageBackend::read(self, offset, out)
    }

    fn write(&self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        StorageBackend::write(self, offset, blocks)
    }

    fn flush(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn clear(&self, length: u64) -> io::Result<()> {
        self.set_len(0)?;
        self.set_len(length)?;
        self.sync_data()
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}
