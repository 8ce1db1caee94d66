//! Groups without messages: they are remembered for a while, so that they keep their consumer.

use super::super::time::Tick;
use super::{GroupKey, Groups};

impl Groups {
    /// A group has messages again.
    pub(super) fn wake(&mut self, key: GroupKey) {
        let idle = self.get_mut(key).and_then(|group| group.idle.take());
        self.idle_count -= usize::from(idle.is_some());
    }

    /// Notes that a group has no messages, if so.
    pub(in crate::core) fn rest(&mut self, key: GroupKey, now: Tick) {
        self.last_idle += 1;
        let stamp = self.last_idle;
        let Some(group) = self.get_mut(key) else {
            return;
        };
        if group.in_flight > 0 || !group.line.is_empty() || group.idle.is_some() {
            return;
        }
        group.idle = Some((stamp, now));
        self.idle_count += 1;
        self.idle.push_back((stamp, key));
        if self.idle.len() > 2 * self.idle_count + 64 {
            let mut idle = std::mem::take(&mut self.idle);
            idle.retain(|(stamp, key)| self.is_idle_since(*key, *stamp));
            self.idle = idle;
        }
    }

    fn is_idle_since(&self, key: GroupKey, stamp: u64) -> bool {
        let idle = self.get(key).and_then(|group| group.idle);
        idle.is_some_and(|(since, _)| since == stamp)
    }

    /// Forgets the longest idle groups, beyond so many.
    pub(in crate::core) fn forget_idle(&mut self, remember: usize) {
        while self.idle_count > remember {
            let Some((stamp, key)) = self.idle.pop_front() else {
                return;
            };
            if !self.is_idle_since(key, stamp) {
                continue;
            }
            self.wake(key);
            self.set_owner(key, None);
            let place = self.slots.get_mut(key.0.get() as usize - 1);
            if let Some(group) = place.and_then(Option::take) {
                self.by_name.remove(&group.name);
                self.free.push(key);
            }
        }
        if self.by_name.is_empty() {
            *self = Self::default();
        }
    }
}
