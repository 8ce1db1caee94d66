//! The end of a topic.

use super::super::effect::Effects;
use super::super::persist::Persist;
use super::super::subscription::{Slots, Subscription};
use super::{Log, Reader, Topic, signed};

impl Topic {
    /// Whether somebody has something to do with it. So many of its subscriptions are guests, which
    /// come back with it.
    pub fn is_in_use(&self, guests: usize) -> bool {
        let behind = |reader: &Reader| reader.cursor <= self.last_position || !reader.has_nothing();
        self.readers.len() > guests
            || self.unsettled > 0
            || self.readers.iter().any(|(_, reader)| behind(reader))
    }

    /// Ends it, and its guests' part of it. Nothing is kept for anybody by then.
    pub fn end(&mut self, effects: &mut Effects) {
        effects.tally.memory_delta -= signed(self.log.bytes());
        self.log = Log::default();
        for (_, reader) in self.readers.iter_mut() {
            Subscription::shares_credit(&mut reader.subscription);
        }
        self.readers = Slots::default();
        if std::mem::take(&mut self.defined) {
            let destination = self.id;
            effects.persist.push(Persist::Undefine { destination });
        }
    }
}

impl Reader {
    /// Whether it keeps nothing for itself.
    fn has_nothing(&self) -> bool {
        self.returned.is_empty() && self.page.is_empty() && self.paging.is_none()
    }
}
