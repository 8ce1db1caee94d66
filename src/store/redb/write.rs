//! The tables that messages are in, while they are changed: a chunk goes in or out with all its rows.

use ::redb::{Table, WriteTransaction};

use super::super::StoreError;
use super::Shared;
use super::chunks::Chunk;
use super::pack::{CHUNK_MAX, Packed};
use super::tables::{ACKED, CHUNK, HEAD, RETURNED, SEGMENT, TRANSIENT};

/// The tables that changes of messages go to.
pub(super) struct Tables<'t> {
    pub(super) chunk: Table<'t, u64, &'static [u8]>,
    segment: Table<'t, (u64, u32), &'static [u8]>,
    pub(super) head: Table<'t, u64, &'static [u8]>,
    pub(super) acked: Table<'t, u64, &'static [u8]>,
    pub(super) returned: Table<'t, (u64, u32), &'static [u8]>,
    transient: Table<'t, u64, ()>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        shared: &Shared,
    ) -> Result<Self, StoreError> {
        let failed = || shared.engine("cannot open a table of");
        Ok(Self {
            chunk: transaction.open_table(CHUNK).map_err(failed())?,
            segment: transaction.open_table(SEGMENT).map_err(failed())?,
            head: transaction.open_table(HEAD).map_err(failed())?,
            acked: transaction.open_table(ACKED).map_err(failed())?,
            returned: transaction.open_table(RETURNED).map_err(failed())?,
            transient: transaction.open_table(TRANSIENT).map_err(failed())?,
        })
    }

    /// Writes a new chunk.
    pub(super) fn insert(
        &mut self,
        id: u64,
        packed: &Packed,
        shared: &Shared,
    ) -> Result<(), StoreError> {
        let failed = || shared.engine("cannot write to");
        if packed.head.segmented {
            for (number, piece) in (0..).zip(packed.bytes.chunks(CHUNK_MAX)) {
                self.segment.insert((id, number), piece).map_err(failed())?;
            }
        } else {
            self.chunk
                .insert(id, packed.bytes.as_slice())
                .map_err(failed())?;
        }
        self.head
            .insert(id, packed.head.encode().as_slice())
            .map_err(failed())?;
        if packed.head.transient {
            self.transient.insert(id, ()).map_err(failed())?;
        }
        Ok(())
    }

    pub(super) fn transient(&self) -> &Table<'t, u64, ()> {
        &self.transient
    }

    /// Deletes a chunk of which little is known.
    pub(super) fn forget(
        &mut self,
        id: u64,
        chunk: &Chunk,
        shared: &Shared,
    ) -> Result<(), StoreError> {
        self.acked
            .remove(id)
            .map_err(shared.engine("cannot write to"))?;
        self.delete(id, chunk, shared)
    }

    /// Deletes a chunk and all that is known of it.
    pub(super) fn delete(
        &mut self,
        id: u64,
        chunk: &Chunk,
        shared: &Shared,
    ) -> Result<(), StoreError> {
        let failed = || shared.engine("cannot write to");
        if chunk.segmented {
            self.segment
                .retain_in((id, 0)..=(id, u32::MAX), |_, _| false)
                .map_err(failed())?;
        } else {
            self.chunk.remove(id).map_err(failed())?;
        }
        self.head.remove(id).map_err(failed())?;
        if !chunk.dead().is_empty() {
            self.acked.remove(id).map_err(failed())?;
        }
        if chunk.has_returned {
            self.returned
                .retain_in((id, 0)..=(id, u32::MAX), |_, _| false)
                .map_err(failed())?;
        }
        if chunk.transient {
            self.transient.remove(id).map_err(failed())?;
        }
        Ok(())
    }
}
