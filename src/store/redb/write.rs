//! The tables that messages are in, while they are changed: a chunk goes in or out with all its rows.
//! Each table is opened when it is first needed, since that is a good part of what a small commit costs.

use ::redb::{Key, Table, TableDefinition, Value, WriteTransaction};

use super::super::StoreError;
use super::Shared;
use super::chunks::Chunk;
use super::pack::{CHUNK_MAX, Packed};
use super::tables::{ACKED, CHUNK, HEAD, RETURNED, SEGMENT, TRANSIENT};

/// The tables that changes of messages go to.
pub(super) struct Tables<'t> {
    transaction: &'t WriteTransaction,
    shared: &'t Shared,
    chunk: Option<Table<'t, u64, &'static [u8]>>,
    segment: Option<Table<'t, (u64, u32), &'static [u8]>>,
    head: Option<Table<'t, u64, &'static [u8]>>,
    acked: Option<Table<'t, u64, &'static [u8]>>,
    returned: Option<Table<'t, (u64, u32), &'static [u8]>>,
    transient: Option<Table<'t, u64, ()>>,
}

/// The table of a slot, opened if it is not.
fn table<'a, 't, K: Key + 'static, V: Value + 'static>(
    slot: &'a mut Option<Table<'t, K, V>>,
    definition: TableDefinition<'static, K, V>,
    transaction: &'t WriteTransaction,
    shared: &Shared,
) -> Result<&'a mut Table<'t, K, V>, StoreError> {
    if slot.is_none() {
        let opened = transaction.open_table(definition);
        *slot = Some(opened.map_err(shared.engine("cannot open a table of"))?);
    }
    slot.as_mut()
        .ok_or_else(|| StoreError::Failed("a table that was opened is not there".to_owned()))
}

macro_rules! tables {
    ($($name:ident: $key:ty => $value:ty = $definition:ident;)+) => {
        impl<'t> Tables<'t> {
            $(
                pub(super) fn $name(
                    &mut self,
                ) -> Result<&mut Table<'t, $key, $value>, StoreError> {
                    table(&mut self.$name, $definition, self.transaction, self.shared)
                }
            )+
        }
    };
}

tables! {
    chunk: u64 => &'static [u8] = CHUNK;
    segment: (u64, u32) => &'static [u8] = SEGMENT;
    head: u64 => &'static [u8] = HEAD;
    acked: u64 => &'static [u8] = ACKED;
    returned: (u64, u32) => &'static [u8] = RETURNED;
    transient: u64 => () = TRANSIENT;
}

impl<'t> Tables<'t> {
    pub(super) fn of(transaction: &'t WriteTransaction, shared: &'t Shared) -> Self {
        Self {
            transaction,
            shared,
            chunk: None,
            segment: None,
            head: None,
            acked: None,
            returned: None,
            transient: None,
        }
    }

    /// Writes a new chunk.
    pub(super) fn insert(&mut self, id: u64, packed: &Packed) -> Result<(), StoreError> {
        let shared = self.shared;
        let failed = || shared.engine("cannot write to");
        if packed.head.segmented {
            let segment = self.segment()?;
            for (number, piece) in (0..).zip(packed.bytes.chunks(CHUNK_MAX)) {
                segment.insert((id, number), piece).map_err(failed())?;
            }
        } else {
            let bytes = packed.bytes.as_slice();
            self.chunk()?.insert(id, bytes).map_err(failed())?;
        }
        let head = packed.head.encode();
        self.head()?.insert(id, head.as_slice()).map_err(failed())?;
        if packed.head.transient {
            self.transient()?.insert(id, ()).map_err(failed())?;
        }
        Ok(())
    }

    /// Deletes a chunk of which little is known.
    pub(super) fn forget(&mut self, id: u64, chunk: &Chunk) -> Result<(), StoreError> {
        let failed = self.shared.engine("cannot write to");
        self.acked()?.remove(id).map_err(failed)?;
        self.delete(id, chunk)
    }

    /// Deletes a chunk and all that is known of it.
    pub(super) fn delete(&mut self, id: u64, chunk: &Chunk) -> Result<(), StoreError> {
        let shared = self.shared;
        let failed = || shared.engine("cannot write to");
        let all = (id, 0)..=(id, u32::MAX);
        if chunk.segmented {
            let pieces = self.segment()?.retain_in(all.clone(), |_, _| false);
            pieces.map_err(failed())?;
        } else {
            self.chunk()?.remove(id).map_err(failed())?;
        }
        self.head()?.remove(id).map_err(failed())?;
        if !chunk.dead().is_empty() {
            self.acked()?.remove(id).map_err(failed())?;
        }
        if chunk.has_returned {
            let states = self.returned()?.retain_in(all, |_, _| false);
            states.map_err(failed())?;
        }
        if chunk.transient {
            self.transient()?.remove(id).map_err(failed())?;
        }
        Ok(())
    }
}
