//! Message groups: all messages of one `JMSXGroupID` go to one consumer, in their order, for as long
//! as it has the group. Each group has a line of its own, so that one whose consumer is busy holds up
//! no other.
//!
//! A group exists while messages of it wait or are in flight, and for a while after that, so that its
//! consumer keeps it; the longest idle ones are forgotten first. A consumer loses a group only when
//! nothing of it is in flight, unless rebalancing is `Immediate`.

mod idle;
mod line;
mod policy;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::effect::SubscriptionKey;
use super::id::Position;
use super::message::Priority;
use super::time::Tick;
use line::Line;

pub(super) use line::{Slot, Waiting};
pub use policy::{GroupPolicy, Rebalance};

/// Names a group within its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey(NonZeroU32);

/// Which of two waiting messages comes first: the one of the higher priority, then the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    below: u8,
    position: Position,
}

impl Rank {
    pub(super) fn new(priority: Priority, position: Position) -> Self {
        let below = u8::MAX - priority.get();
        Self { below, position }
    }
}

/// Whether a message that is the next of its group may go, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Others before it wait, or what is in flight has to be settled first.
    Blocked,
    /// Only to this one.
    Owned(SubscriptionKey),
    /// To anybody, who will have the group.
    Free,
}

#[derive(Debug)]
struct Group {
    key: GroupKey,
    name: Arc<[u8]>,
    owner: Option<SubscriptionKey>,
    line: Line,
    in_flight: u32,
    /// The last message that came behind others of the group and has not had its turn, and the priority
    /// that it has for that.
    behind: Option<(Position, Priority)>,
    /// The owner loses it once nothing is in flight.
    leaving: bool,
    /// The next message is the first that its owner is given.
    fresh: bool,
    /// Where it stands in the list of those without messages, and since when.
    idle: Option<(u64, Tick)>,
    /// Where its first message is listed: under whom, and how it ranks.
    listed: Option<(Option<SubscriptionKey>, Rank)>,
}

/// What one consumer has.
#[derive(Debug, Default)]
struct Owner {
    /// How many groups it has.
    groups: usize,
    /// Groups whose first message it may be given.
    heads: BTreeMap<Rank, GroupKey>,
}

/// The groups of one queue.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<[u8]>, GroupKey>,
    slots: Vec<Option<Group>>,
    free: Vec<GroupKey>,
    owners: BTreeMap<SubscriptionKey, Owner>,
    /// Groups without owner whose first message may go to anybody.
    orphans: BTreeMap<Rank, GroupKey>,
    /// Groups as they lost their last message, the longest idle one first. Those that have messages
    /// again are passed over: their number is not the one that they have now.
    idle: VecDeque<(u64, GroupKey)>,
    idle_count: usize,
    last_idle: u64,
    waiting: u64,
    /// How many groups have messages in line.
    lines: u64,
}

impl Groups {
    /// What a group costs beside its messages, for the accounts, in bytes.
    pub(super) const COST: u64 = 256;

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// How many of them have messages, waiting or in flight.
    pub(super) fn busy(&self) -> usize {
        self.by_name.len() - self.idle_count
    }

    /// All groups: name, owner, messages in line and in flight.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (&Arc<[u8]>, Option<SubscriptionKey>, usize, usize)> {
        self.slots.iter().flatten().map(|group| {
            let in_flight = group.in_flight as usize;
            (&group.name, group.owner, group.line.len(), in_flight)
        })
    }

    /// How many groups have an owner, and how many have messages in line.
    pub(super) fn counts(&self) -> (u64, u64) {
        let owned: usize = self.owners.values().map(|owner| owner.groups).sum();
        (owned as u64, self.lines)
    }

    /// Takes a group, or all of them, from their owners as soon as nothing of them is in flight.
    /// Returns how many had one.
    pub(super) fn reset(&mut self, name: Option<&[u8]>) -> usize {
        let owned =
            |group: &&Group| group.owner.is_some() && name.is_none_or(|name| *group.name == *name);
        let groups = self.slots.iter().flatten().filter(owned);
        let groups: Vec<_> = groups.map(|group| group.key).collect();
        for key in &groups {
            self.give_up(*key, false);
        }
        groups.len()
    }

    /// Messages that wait in a group's line.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The group of that name, which is new if need be.
    pub(super) fn key_of(&mut self, name: &[u8], now: Tick, policy: &GroupPolicy) -> GroupKey {
        if let Some(key) = self.by_name.get(name).copied() {
            let expired = |(_, since): (u64, Tick)| {
                let limit = policy.idle_release;
                limit.is_some_and(|limit| now.0.saturating_sub(since.0) >= limit)
            };
            if self
                .get(key)
                .and_then(|group| group.idle)
                .is_some_and(expired)
            {
                self.set_owner(key, None);
            }
            return key;
        }
        let key = self.free.pop().or_else(|| {
            self.slots.push(None);
            let number = u32::try_from(self.slots.len()).ok()?;
            NonZeroU32::new(number).map(GroupKey)
        });
        // There are fewer groups than messages, and memory for fewer than u32::MAX of those.
        let key = key.unwrap_or(GroupKey(NonZeroU32::MAX));
        let name: Arc<[u8]> = name.into();
        if let Some(place) = self.slots.get_mut(key.0.get() as usize - 1) {
            *place = Some(Group {
                key,
                name: Arc::clone(&name),
                owner: None,
                line: Line::default(),
                in_flight: 0,
                behind: None,
                leaving: false,
                fresh: false,
                idle: None,
                listed: None,
            });
        }
        self.by_name.insert(name, key);
        key
    }

    /// The group of that name, if there is one.
    pub(super) fn find(&self, name: &[u8]) -> Option<GroupKey> {
        self.by_name.get(name).copied()
    }

    /// Whether a message that has just come and asks for this may be given now.
    pub(super) fn standing_of_new(&mut self, key: GroupKey, sequence: i32) -> Standing {
        match self.get(key) {
            Some(group) if group.line.is_empty() => self.standing(key, sequence == 1),
            _ => Standing::Blocked,
        }
    }

    /// Whether the next message may be given; `anew` if it asks for the group to be given anew.
    fn standing(&mut self, key: GroupKey, anew: bool) -> Standing {
        let Some(group) = self.get(key) else {
            return Standing::Free;
        };
        let released = group.leaving || (anew && group.owner.is_some());
        if released && group.in_flight > 0 {
            return Standing::Blocked;
        }
        if released {
            self.set_owner(key, None);
        }
        match self.get(key).and_then(|group| group.owner) {
            Some(owner) => Standing::Owned(owner),
            None => Standing::Free,
        }
    }

    /// Who has a group.
    pub(super) fn owner(&self, key: GroupKey) -> Option<SubscriptionKey> {
        self.get(key)?.owner
    }

    /// How many groups a consumer has.
    pub(super) fn owned_by(&self, subscription: SubscriptionKey) -> usize {
        self.owners.get(&subscription).map_or(0, |o| o.groups)
    }

    /// Notes that the next message of a group is given to its owner, who may be new. Returns whether it
    /// is the first that this owner is given.
    pub(super) fn gave(&mut self, key: GroupKey, to: SubscriptionKey, sequence: i32) -> bool {
        if self.get(key).is_some_and(|group| group.owner != Some(to)) {
            self.set_owner(key, Some(to));
        }
        self.wake(key);
        let Some(group) = self.get_mut(key) else {
            return false;
        };
        group.in_flight += 1;
        group.leaving |= sequence < 0;
        let first = std::mem::take(&mut group.fresh);
        self.relist(key);
        first
    }

    /// A message of the group is in flight no more. Says who may be given the next one, if that was
    /// not possible before.
    pub(super) fn settled(&mut self, key: GroupKey, now: Tick) -> Option<Standing> {
        if let Some(group) = self.get_mut(key) {
            group.in_flight = group.in_flight.saturating_sub(1);
        }
        let free = self.relist(key);
        self.rest(key, now);
        free
    }

    /// Adds a message to a group's line, in its place. Says who may be given it, if it is the next and
    /// that one was not.
    pub(super) fn push(&mut self, key: GroupKey, waiting: Waiting) -> Option<Standing> {
        self.wake(key);
        let line = &mut self.get_mut(key)?.line;
        line.push(waiting);
        let is_new = line.len() == 1;
        self.lines += u64::from(is_new);
        self.waiting += 1;
        self.relist(key)
    }

    /// A message in line is delayed no more. Says who may be given it.
    pub(super) fn end_rest(&mut self, key: GroupKey, position: Position) -> Option<Standing> {
        self.get_mut(key)?.line.end_rest(position);
        self.relist(key)
    }

    /// A message has come to the queue. If others of the group wait, it must have the priority of the
    /// last of them, so that it does not overtake them.
    pub(super) fn came(&mut self, key: GroupKey, position: Position) -> Option<Priority> {
        let group = self.get_mut(key)?;
        let behind = group.behind.map(|(_, priority)| priority);
        let priority = behind.or_else(|| group.line.last_priority())?;
        group.behind = Some((position, priority));
        Some(priority)
    }

    /// A message has its turn.
    pub(super) fn had_turn(&mut self, key: GroupKey, position: Position) {
        if let Some(group) = self.get_mut(key) {
            group.behind = group.behind.filter(|(last, _)| *last > position);
        }
    }

    /// The first message in line.
    pub(super) fn head(&self, key: GroupKey) -> Option<&Waiting> {
        self.get(key)?.line.front()
    }

    /// Takes the first message out of the line.
    pub(super) fn take_head(&mut self, key: GroupKey) -> Option<Waiting> {
        let line = &mut self.get_mut(key)?.line;
        let taken = line.pop()?;
        let is_over = line.is_empty();
        self.lines -= u64::from(is_over);
        self.waiting -= 1;
        self.relist(key);
        Some(taken)
    }

    /// Takes a message out of the line, wherever it stands there.
    pub(super) fn take_at(&mut self, key: GroupKey, position: Position) -> Option<Slot> {
        let taken = self.get_mut(key)?.line.take_at(position)?;
        self.waiting -= 1;
        self.relist(key);
        Some(taken.slot)
    }

    /// A place in line, to bring a message back from disk.
    pub(super) fn slot_mut(&mut self, key: GroupKey, position: Position) -> Option<&mut Slot> {
        self.get_mut(key)?.line.slot_mut(position)
    }

    /// The first message in each line.
    pub(super) fn heads(&self) -> impl Iterator<Item = (GroupKey, &Waiting)> {
        let groups = self.slots.iter().flatten();
        groups.filter_map(|group| Some((group.key, group.line.front()?)))
    }

    /// A consumer's groups, by their first messages.
    pub(super) fn heads_of(
        &self,
        subscription: SubscriptionKey,
    ) -> impl Iterator<Item = (Rank, GroupKey)> {
        let owner = self.owners.get(&subscription);
        let heads = owner.into_iter().flat_map(|owner| &owner.heads);
        heads.map(|(rank, key)| (*rank, *key))
    }

    /// Groups that nobody has, by their first messages.
    pub(super) fn orphans(&self) -> impl Iterator<Item = (Rank, GroupKey)> {
        self.orphans.iter().map(|(rank, key)| (*rank, *key))
    }

    /// A consumer has gone. Groups of which something is in flight, as part of a transaction, go to
    /// nobody else before that is settled.
    pub(super) fn leave(&mut self, subscription: SubscriptionKey, now: Tick) {
        let groups = self.groups_of(subscription);
        for key in groups {
            self.give_up(key, false);
            self.rest(key, now);
        }
    }

    /// Gives a consumer that joins its share, taken from those who have more than theirs.
    pub(super) fn share(&mut self, consumers: usize, policy: &GroupPolicy) {
        if policy.rebalance == Rebalance::Off || self.owners.is_empty() {
            return;
        }
        let all: usize = self.owners.values().map(|owner| owner.groups).sum();
        let share = all.div_ceil(consumers.max(1));
        let mut surplus = Vec::new();
        for (subscription, owner) in &self.owners {
            let count = owner.groups.saturating_sub(share);
            if count > 0 {
                // Those of which nothing is in flight first: nobody has to wait for them.
                let mut groups = self.groups_of(*subscription);
                groups.sort_by_key(|key| self.is_in_flight(*key));
                surplus.extend(groups.into_iter().take(count));
            }
        }
        for key in surplus {
            self.give_up(key, policy.rebalance == Rebalance::Immediate);
        }
    }

    fn give_up(&mut self, key: GroupKey, at_once: bool) {
        if self.is_in_flight(key) && !at_once {
            if let Some(group) = self.get_mut(key) {
                group.leaving = true;
            }
            self.relist(key);
        } else {
            self.set_owner(key, None);
            self.relist(key);
        }
    }

    /// All groups of a consumer. Looks at every group: consumers come and go seldom.
    fn groups_of(&self, subscription: SubscriptionKey) -> Vec<GroupKey> {
        let owned = |group: &&Group| group.owner == Some(subscription);
        let groups = self.slots.iter().flatten().filter(owned);
        groups.map(|group| group.key).collect()
    }

    fn is_in_flight(&self, key: GroupKey) -> bool {
        self.get(key).is_some_and(|group| group.in_flight > 0)
    }

    fn set_owner(&mut self, key: GroupKey, to: Option<SubscriptionKey>) {
        let Some(group) = self.get_mut(key) else {
            return;
        };
        let from = std::mem::replace(&mut group.owner, to);
        group.leaving = false;
        group.fresh = to.is_some();
        if let Some(from) = from
            && let Some(owner) = self.owners.get_mut(&from)
        {
            owner.groups -= 1;
            if owner.groups == 0 && owner.heads.is_empty() {
                self.owners.remove(&from);
            }
        }
        if let Some(to) = to {
            self.owners.entry(to).or_default().groups += 1;
        }
    }

    /// Lists the first message of a group where it will be looked for. Says where, if that is new.
    fn relist(&mut self, key: GroupKey) -> Option<Standing> {
        let group = self.get(key)?;
        let (listed, head) = (group.listed, group.line.front());
        let head = head.filter(|head| !head.delayed);
        let head = head.map(|head| (head.rank(), head.sequence == 1));
        let place = head.and_then(|(rank, anew)| match self.standing(key, anew) {
            Standing::Blocked => None,
            Standing::Owned(owner) => Some((Some(owner), rank)),
            Standing::Free => Some((None, rank)),
        });
        if listed == place {
            return None;
        }
        match listed {
            Some((Some(owner), rank)) => {
                if let Some(known) = self.owners.get_mut(&owner) {
                    known.heads.remove(&rank);
                    if known.groups == 0 && known.heads.is_empty() {
                        self.owners.remove(&owner);
                    }
                }
            }
            Some((None, rank)) => {
                self.orphans.remove(&rank);
            }
            None => {}
        }
        match place {
            Some((Some(owner), rank)) => {
                let heads = &mut self.owners.entry(owner).or_default().heads;
                heads.insert(rank, key);
            }
            Some((None, rank)) => {
                self.orphans.insert(rank, key);
            }
            None => {}
        }
        if let Some(group) = self.get_mut(key) {
            group.listed = place;
        }
        let (owner, _) = place?;
        Some(owner.map_or(Standing::Free, Standing::Owned))
    }

    /// A group whose first message in line is at a position up to this.
    pub(super) fn first(&self, until: Position) -> Option<(GroupKey, &Waiting)> {
        self.slots.iter().flatten().find_map(|group| {
            let head = group.line.front()?;
            (head.position <= until).then_some((group.key, head))
        })
    }

    /// All places in all lines.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let groups = self.slots.iter().flatten();
        groups.flat_map(|group| group.line.slots())
    }

    fn get(&self, key: GroupKey) -> Option<&Group> {
        self.slots.get(key.0.get() as usize - 1)?.as_ref()
    }

    fn get_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.slots.get_mut(key.0.get() as usize - 1)?.as_mut()
    }
}
