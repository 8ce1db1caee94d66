//! The credit of a subscription to several destinations: one window that its parts share, however
//! many there are.
//!
//! Each part lives under the lock of its own destination, and several of them may want the last credit
//! at once. So the count is the one thing on this floor that two destinations change together; it
//! decides nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::id::DeliveryTag;

/// How many deliveries all parts together may hold unsettled.
#[derive(Debug)]
pub struct Window {
    most: u64,
    used: AtomicU64,
    /// Whether a part may have gone without since somebody asked last.
    starved: AtomicBool,
}

/// One part's share in a window.
#[derive(Debug)]
pub struct Share {
    window: Arc<Window>,
    before_first: DeliveryTag,
    /// Whether this part went without, and goes on only when it is resumed.
    starved: AtomicBool,
}

impl Window {
    /// A window of so many deliveries.
    pub fn new(most: u32) -> Arc<Self> {
        Arc::new(Self {
            most: u64::from(most),
            used: AtomicU64::new(0),
            starved: AtomicBool::new(false),
        })
    }

    /// Whether another delivery may be made.
    pub fn has_room(&self) -> bool {
        self.used.load(Ordering::SeqCst) < self.most
    }

    /// Notes that parts go without.
    pub fn note_starved(&self) {
        self.starved.store(true, Ordering::SeqCst);
    }

    /// Whether parts may have gone without since this was asked last.
    pub fn take_starved(&self) -> bool {
        self.starved.swap(false, Ordering::SeqCst)
    }
}

impl Share {
    /// A share in a window. The tags of this part come behind `before_first`, so that no two parts
    /// give out the same one.
    pub fn new(window: &Arc<Window>, before_first: DeliveryTag) -> Arc<Self> {
        Arc::new(Self {
            window: Arc::clone(window),
            before_first,
            starved: AtomicBool::new(false),
        })
    }

    /// Whether this part has gone without since this was asked last.
    pub fn take_starved(&self) -> bool {
        self.starved.swap(false, Ordering::SeqCst)
    }

    pub(super) fn before_first(&self) -> DeliveryTag {
        self.before_first
    }

    /// Whether another delivery may be made. If not, the part is noted as one that goes without.
    pub(super) fn has_room(&self) -> bool {
        if self.window.has_room() {
            return true;
        }
        self.starve();
        // Room that came before the note was offered to nobody.
        self.window.has_room()
    }

    /// Notes that this part waits to be resumed.
    pub(super) fn starve(&self) {
        self.starved.store(true, Ordering::SeqCst);
        self.window.note_starved();
    }

    /// Whether others may go without, so that what this part gives back is theirs first.
    pub(super) fn is_contended(&self) -> bool {
        self.window.starved.load(Ordering::SeqCst)
    }

    /// Takes one credit, if there is one.
    pub(super) fn book(&self) -> bool {
        let most = self.window.most;
        let taken = self
            .window
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                (used < most).then_some(used + 1)
            })
            .is_ok();
        if !taken {
            self.starve();
        }
        taken
    }

    /// Corrects what this part has taken, from one number of credits to another.
    pub(super) fn rebook(&self, from: u64, to: u64) {
        if to < from {
            self.window.used.fetch_sub(from - to, Ordering::SeqCst);
        } else {
            self.window.used.fetch_add(to - from, Ordering::SeqCst);
        }
    }
}

/// A share is what it is, not what is in it.
impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_from_one_window_and_who_goes_without_is_known() {
        let window = Window::new(2);
        let [a, b] = [0, 1 << 40].map(|tag| Share::new(&window, DeliveryTag(tag)));
        assert!(a.book() && b.book() && !window.take_starved());
        assert!(!a.book() && !b.has_room());
        assert!(window.take_starved() && !window.take_starved());
        assert!(a.take_starved() && b.take_starved() && !a.take_starved());
        b.rebook(1, 0);
        assert!(window.has_room() && a.has_room() && !a.take_starved());
        // What an aborted transaction gives back may be more than fits.
        a.rebook(1, 3);
        assert!(!window.has_room());
    }
}
