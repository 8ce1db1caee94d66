//! The end of a queue, and its rest: what it takes for a queue to be nobody's, how it goes, and how an
//! operator holds its deliveries back for a while.

use super::super::effect::Effects;
use super::super::persist::Persist;
use super::super::time::Now;
use super::{Queue, Reserved, Slots, Turns, signed};

impl Queue {
    /// Whether somebody has something to do with it: a subscription, or a transaction under way. So many
    /// of its subscriptions are guests, which come back with it.
    pub fn is_in_use(&self, guests: usize) -> bool {
        self.subscriptions.len() > guests || self.unsettled > 0 || self.pending.has_reserved()
    }

    /// Whether nothing is lost if it goes: it is empty, and nobody has anything to do with it.
    pub fn is_idle(&self, guests: usize) -> bool {
        let fetching = self.aside.as_ref().is_some_and(|a| a.fetching.is_some());
        let busy = self.is_in_use(guests) || self.is_stopped() || self.paging || fetching;
        !busy && self.ready_count() == 0
    }

    /// Ends it, with all that waits in it. Subscriptions but guests must have ended before. The store hears of it
    /// at once, or with the last message that a transaction under way had a place for.
    pub fn end(&mut self, effects: &mut Effects) {
        let count = self.ready_count();
        effects.tally.deleted += count;
        effects.tally.ready_delta -= signed(count);
        let bytes = self.resident_bytes() + self.pending.late_bytes();
        effects.tally.memory_delta -= signed(bytes);
        if let Some(mut aside) = self.aside.take() {
            aside.clear();
            effects.tally.memory_delta += aside.overhead_delta();
        }
        self.delayed = None;
        self.pending.clear();
        self.paging = false;
        for (_, subscription) in self.subscriptions.iter_mut() {
            subscription.shares_credit();
        }
        self.subscriptions = Slots::default();
        self.ring = Turns::default();
        self.exclusive = None;
        self.picky = 0;
        self.forget(effects);
    }

    /// A message of a transaction was for a place in a queue that has ended meanwhile.
    pub fn drop_late(&mut self, reserved: Reserved, effects: &mut Effects) {
        self.abandon(reserved);
        effects.tally.deleted += 1;
        self.forget(effects);
    }

    /// Lets the store forget it, once no transaction has changes of it under way.
    fn forget(&mut self, effects: &mut Effects) {
        if self.defined && !self.pending.has_reserved() {
            self.defined = false;
            let destination = self.id;
            effects.persist.push(Persist::Undefine { destination });
        }
    }

    /// Whether nothing is given out for now, to nobody.
    pub(super) fn is_stopped(&self) -> bool {
        self.held || self.purging > 0
    }

    /// Whether its deliveries are held back.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Gives out nothing more until [`Self::let_go`]. What is in flight can be settled.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Goes on after [`Self::hold`].
    pub fn let_go(&mut self, now: Now, effects: &mut Effects) {
        self.held = false;
        self.go_on(now, effects);
    }

    pub(super) fn go_on(&mut self, now: Now, effects: &mut Effects) {
        self.all_rejoin();
        self.dispatch(now, effects);
        self.check_invariants();
    }
}
