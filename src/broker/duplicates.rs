//! Which messages have been there before, for all connections.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::shared::Shared;
use crate::core::{DestinationName, Duplicates, Message, Now, Persist, StoredMessage, Timestamp};
use crate::store::{PageLimit, Reader, StoreError};

/// What is remembered of before the start is read so many bytes at a time.
const PAGE: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: 1 << 20,
};

/// The identities of messages that their senders gave them. Whoever sends such a message holds the lock
/// until the message is where it goes, so that of two that are sent at once one is the second.
#[derive(Debug)]
pub(super) struct Identities(Mutex<Duplicates>);

impl Identities {
    /// Reads what the store remembers. Returns what it need not remember any more, too.
    pub(super) fn read(
        mut known: Duplicates,
        reader: &dyn Reader,
        now: Timestamp,
    ) -> Result<(Self, Vec<Persist>), StoreError> {
        let mut changes = Vec::new();
        let mut from = (!known.is_new()).then(Default::default);
        while let Some(start) = from {
            let page = reader.read(known.id(), start, None, PAGE)?;
            let stored = page.messages.into_iter();
            let stored: Vec<_> = stored
                .map(|(position, message, state)| StoredMessage {
                    position,
                    message: Arc::new(message),
                    state,
                })
                .collect();
            known.read(&stored, now, &mut changes);
            from = (!page.exhausted).then_some(page.resume_at);
        }
        Ok((Self(Mutex::new(known)), changes))
    }

    /// Begins to send a message, if its sender gave it an identity.
    pub(super) fn begin<'a>(
        &'a self,
        shared: &'a Shared,
        now: Now,
        message: &Message,
    ) -> Option<Identified<'a>> {
        let id = message.identity()?;
        Some(Identified {
            id: id.into_owned(),
            persistent: message.persistent,
            known: self.0.lock(),
            shared,
            now,
        })
    }

    /// All of them, to look at those of several messages.
    pub(super) fn lock(&self) -> MutexGuard<'_, Duplicates> {
        self.0.lock()
    }
}

/// A message with an identity on its way.
pub(super) struct Identified<'a> {
    id: Vec<u8>,
    persistent: bool,
    known: MutexGuard<'a, Duplicates>,
    shared: &'a Shared,
    now: Now,
}

impl Identified<'_> {
    /// Whether it has been there before.
    pub(super) fn is_known(&mut self, destination: &DestinationName) -> bool {
        let mut changes = Vec::new();
        let known = self
            .known
            .knows(destination, &self.id, self.now.wall, &mut changes);
        if !changes.is_empty() {
            self.shared.writer.append(&mut changes, &[], None);
        }
        known
    }

    /// Remembers it. Returns what is to become durable with it.
    pub(super) fn remember(&mut self, destination: &DestinationName) -> Vec<Persist> {
        let mut changes = Vec::new();
        let now = self.now.wall;
        self.known
            .remember(destination, &self.id, now, self.persistent, &mut changes);
        changes
    }
}
