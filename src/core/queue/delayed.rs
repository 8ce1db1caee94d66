//! Messages that a consumer refused wait a while before they are delivered again. They hold up nobody
//! but those of their group, and count as waiting all the while. A restart forgets the delay, not the
//! message.

use std::collections::BTreeMap;

use super::super::effect::Effects;
use super::super::id::Position;
use super::super::message_group::GroupKey;
use super::super::pending::Entry;
use super::super::time::{Now, Tick};
use super::Queue;

/// Messages whose time has not come.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    by_time: BTreeMap<(Tick, Position), Resting>,
    /// How many are kept here, and their bytes.
    alone: u64,
    bytes: u64,
}

#[derive(Debug)]
enum Resting {
    /// It is kept here.
    Alone(Entry),
    /// It is the first in the line of its group, which waits for it.
    InLine(GroupKey),
}

impl Delayed {
    /// How many messages are kept here.
    pub(super) fn len(&self) -> u64 {
        self.alone
    }

    /// Bytes of the messages that are kept here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The messages that are kept here.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_time.values().filter_map(|resting| match resting {
            Resting::Alone(entry) => Some(entry),
            Resting::InLine(_) => None,
        })
    }

    fn first(&self) -> Option<Tick> {
        let ((at, _), _) = self.by_time.first_key_value()?;
        Some(*at)
    }
}

impl Queue {
    /// Lets a message that came back wait until then.
    pub(super) fn delay(&mut self, now: Now, entry: Entry, until: Tick, effects: &mut Effects) {
        let position = entry.position;
        let resting = match entry.group {
            Some(group) => {
                self.rejoin_line(now, entry, true, effects);
                Resting::InLine(group)
            }
            None => Resting::Alone(entry),
        };
        let delayed = self.delayed.get_or_insert_default();
        if let Resting::Alone(entry) = &resting {
            delayed.alone += 1;
            delayed.bytes += entry.bytes();
        }
        if delayed.first().is_none_or(|first| until < first) {
            effects.call_at(until);
        }
        delayed.by_time.insert((until, position), resting);
    }

    /// Does what is due: what was delayed waits for a consumer again.
    pub fn on_time(&mut self, now: Now, effects: &mut Effects) {
        self.end_delays(now, Some(now.tick));
        if let Some(first) = self.delayed.as_ref().and_then(|delayed| delayed.first()) {
            effects.call_at(first);
        }
        self.dispatch(now, effects);
        self.check_invariants();
    }

    /// Ends the delays that are over at some time, or all of them.
    pub(super) fn end_delays(&mut self, now: Now, at: Option<Tick>) {
        while let Some(delayed) = &mut self.delayed {
            let over = |first: &Tick| at.is_none_or(|at| *first <= at);
            if !delayed.first().as_ref().is_some_and(over) {
                break;
            }
            let Some(((_, position), resting)) = delayed.by_time.pop_first() else {
                break;
            };
            match resting {
                Resting::Alone(entry) => {
                    delayed.alone -= 1;
                    delayed.bytes -= entry.bytes();
                    self.pending.push(entry);
                }
                Resting::InLine(group) => self.end_rest(now, group, position),
            }
        }
        if self
            .delayed
            .as_ref()
            .is_some_and(|delayed| delayed.by_time.is_empty())
        {
            self.delayed = None;
        }
    }
}
