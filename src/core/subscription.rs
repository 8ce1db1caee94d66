//! A consumer's standing request, as a queue or topic keeps it: how much it may still be given, and
//! what it was given and has not settled.

use super::effect::SubscriptionKey;
use super::id::{DeliveryTag, SubscriptionId};
use super::inflight::Inflight;
use super::message::{DeliveryState, Message};
use super::property::Described;
use super::queue::{Browser, Cursors};
use super::request::SubscribeOptions;

/// One subscription.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: any of them may hold"
)]
pub(super) struct Subscription {
    /// What its session calls it.
    pub(super) id: SubscriptionId,
    pub(super) options: SubscribeOptions,
    /// How many deliveries may be unsettled at once.
    prefetch: u32,
    pub(super) inflight: Inflight,
    /// Where nothing can come back, deliveries are only counted: the last one that is settled.
    counted_through: Option<DeliveryTag>,
    /// The last tag that was given out.
    last_tag: DeliveryTag,
    /// How many credits of a shared window it has taken.
    booked: u64,
    /// Its connection takes nothing more for now: too many bytes wait for the socket.
    pub(super) paused: bool,
    /// It is in its queue's ring of subscriptions that can be given something.
    pub(super) in_ring: bool,
    /// Its number among all that its queue ever had.
    pub(super) arrived: u64,
    /// It is in its queue's list of those that may find something among what was set aside.
    pub(super) hungry: bool,
    /// What it should be given next is being read from disk; nothing may overtake that.
    pub(super) awaits_disk: bool,
    /// How far it has looked through what nobody wanted, if it does not want everything.
    pub(super) cursors: Option<Box<Cursors>>,
    /// What it has to be shown, if it only looks.
    pub(super) browser: Option<Box<Browser>>,
    /// It has ended; only deliveries that a transaction holds keep it.
    pub(super) ended: bool,
}

impl Subscription {
    /// A subscription that holds as many deliveries as it asks for, or else `prefetch`.
    pub(super) fn new(id: SubscriptionId, options: SubscribeOptions, prefetch: u32) -> Self {
        let share = options.share.as_ref();
        let last_tag = share.map_or(DeliveryTag(0), |share| share.before_first());
        Self {
            id,
            prefetch: options.prefetch.unwrap_or(prefetch),
            options,
            inflight: Inflight::default(),
            counted_through: None,
            last_tag,
            booked: 0,
            paused: false,
            in_ring: false,
            arrived: 0,
            hungry: false,
            awaits_disk: false,
            cursors: None,
            browser: None,
            ended: false,
        }
    }

    /// One whose deliveries never come back, so that none of them needs to be kept.
    pub(super) fn counting(id: SubscriptionId, options: SubscribeOptions, prefetch: u32) -> Self {
        let new = Self::new(id, options, prefetch);
        Self {
            counted_through: Some(new.last_tag),
            ..new
        }
    }

    /// Whether it can be given a message.
    pub(super) fn has_credit(&self) -> bool {
        let has_room = || match &self.options.share {
            None => self.used() < u64::from(self.prefetch),
            Some(share) => share.has_room(),
        };
        let fits = self.inflight.bytes() < self.options.window_bytes;
        fits && !self.paused && !self.ended && !self.awaits_disk && has_room()
    }

    /// Makes sure of the credit for the next delivery. Only where it is shared may somebody else have
    /// taken the last one since [`Self::has_credit`].
    pub(super) fn book(&mut self) -> bool {
        let taken = self.options.share.as_ref().is_none_or(|share| share.book());
        self.booked += u64::from(taken);
        taken
    }

    /// Whether it has to be resumed after deliveries were settled: where credit is shared, others may
    /// have waited longer for it. Gives back what it does not use any more.
    pub(super) fn shares_credit(&mut self) -> bool {
        let used = self.used();
        let Some(share) = &self.options.share else {
            return false;
        };
        share.rebook(self.booked, used);
        self.booked = used;
        let contended = share.is_contended();
        if contended {
            share.starve();
        }
        contended
    }

    /// How many deliveries count against its credit.
    fn used(&self) -> u64 {
        match self.counted_through {
            Some(settled) => self.last_tag.0 - settled.0,
            None => self.inflight.counted() as u64,
        }
    }

    /// Whether it wants only some of the messages.
    pub(super) fn is_picky(&self) -> bool {
        let choosy = self.options.no_local.is_some() || self.options.selector.is_some();
        choosy && !self.options.browse
    }

    /// Whether it wants a message to which this has happened.
    pub(super) fn wants(&self, message: &Message, state: DeliveryState) -> bool {
        let SubscribeOptions {
            selector, no_local, ..
        } = &self.options;
        *no_local != Some(message.id.connection)
            && selector
                .as_ref()
                .is_none_or(|selector| selector.matches(&Described { message, state }))
    }

    /// Whether deliveries are only counted.
    pub(super) fn counts_only(&self) -> bool {
        self.counted_through.is_some()
    }

    /// Settles counted deliveries. Returns how many that were.
    pub(super) fn count_through(&mut self, tag: DeliveryTag) -> u64 {
        let Some(settled) = &mut self.counted_through else {
            return 0;
        };
        let through = tag.min(self.last_tag).max(*settled);
        let count = through.0 - settled.0;
        *settled = through;
        count
    }

    pub(super) fn next_tag(&mut self) -> DeliveryTag {
        self.last_tag = self.last_tag.next();
        self.last_tag
    }
}

/// The subscriptions of one destination, by key. Keys of ended ones are used again.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Option<Box<T>>>,
    count: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            count: 0,
        }
    }
}

impl<T> Slots<T> {
    pub(super) fn insert(&mut self, value: T) -> SubscriptionKey {
        self.count += 1;
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Box::new(value));
        }
        SubscriptionKey(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(super) fn remove(&mut self, key: SubscriptionKey) -> Option<Box<T>> {
        let removed = self.slots.get_mut(key.0 as usize)?.take();
        self.count -= usize::from(removed.is_some());
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        removed
    }

    pub(super) fn get(&self, key: SubscriptionKey) -> Option<&T> {
        self.slots.get(key.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, key: SubscriptionKey) -> Option<&mut T> {
        self.slots.get_mut(key.0 as usize)?.as_deref_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SubscriptionKey, &mut T)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(index, slot)| {
                Some((
                    SubscriptionKey(u32::try_from(index).ok()?),
                    slot.as_deref_mut()?,
                ))
            })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriptionKey, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            Some((
                SubscriptionKey(u32::try_from(index).ok()?),
                slot.as_deref()?,
            ))
        })
    }
}
