//! Which consumer a message may be given to, as the model sees it.

use std::sync::Arc;

use tidegate::internal::core::{Encoded, Message, Position, StoredMessage, StoredPage};

use super::{Check, Known};

/// A message of a group, or of none; some of a group ask for it to be given anew, or to be closed.
pub(super) fn encoded(group: Option<u8>, weight: u8, code: u8, body: usize) -> Encoded {
    let sequence = match code / 16 % 8 {
        0 => "JMSXGroupSeq:1\n",
        1 => "JMSXGroupSeq:-1\n",
        _ => "",
    };
    let head = group.map_or_else(String::new, |group| {
        format!("JMSXGroupID:g{group}\n{sequence}")
    });
    let head = format!("{head}weight:{weight}\n\n");
    let mut bytes = head.clone().into_bytes();
    bytes.resize(head.len() + body, 0);
    Encoded {
        bytes: bytes.into(),
        body_start: u32::try_from(head.len()).unwrap(),
        body_length: u32::try_from(body).unwrap(),
        ..Encoded::default()
    }
}

impl Check {
    fn wants(&self, consumer: usize, known: &Known) -> bool {
        let consumer = &self.consumers[consumer];
        consumer.no_local != Some(known.from)
            && consumer.above.is_none_or(|least| known.weight > least)
    }

    /// A message was given to a consumer: it is for that one, and nothing that should come first waits.
    pub(super) fn check_choice(&self, consumer: usize, message: &Message) {
        let number = message.id.number;
        let known = &self.messages[&number];
        assert!(self.wants(consumer, known), "{number} is not wanted");
        assert!(
            self.owner.is_none_or(|owner| owner == consumer),
            "{consumer} is given {number}, though another has the queue for itself"
        );
        let now = self.now.wall.0;
        // Behind others of its group it may have their priority.
        let ranks = message.priority.get() == known.priority;
        for (other, waiting) in self.messages.range(..number).filter(|_| ranks) {
            let fresh = waiting.expires.is_none_or(|at| at > now);
            let waits = waiting.held.is_none() && fresh && waiting.priority == known.priority;
            let same = waiting.group == known.group;
            let could = waiting.group.is_none() && self.wants(consumer, waiting);
            let overtaken = waits && (could || (same && known.group.is_some()));
            assert!(
                !overtaken,
                "{number} {known:?} overtakes {other} {waiting:?} at {consumer}"
            );
        }
        if known.group.is_some() {
            let elsewhere = self.messages.iter().find(|(_, other)| {
                let holder = other.held.map(|(holder, _)| holder);
                other.group == known.group && holder.is_some_and(|holder| holder != consumer)
            });
            assert!(
                elsewhere.is_none(),
                "{elsewhere:?} of the group is not with {consumer}, who is given {number}"
            );
        } else if self.roomy {
            self.check_priority(consumer, known);
        }
    }

    /// Nobody of a higher priority could have been given it.
    fn check_priority(&self, consumer: usize, known: &Known) {
        for (other, rival) in self.consumers.iter().enumerate() {
            let higher = rival.priority > self.consumers[consumer].priority;
            let admitted = self.owner.is_none_or(|owner| owner == other);
            let could = !rival.ended && admitted && self.wants(other, known);
            let room = self.open(other).len() < rival.prefetch as usize;
            assert!(
                !(higher && could && room),
                "{other} comes before {consumer}"
            );
        }
    }

    /// Lets a new consumer have the queue for itself, if it may.
    pub(super) fn takes_over(&mut self, new: usize) {
        let held = self.owner.map(|owner| self.consumers[owner].priority);
        let higher = held.is_none_or(|held| self.consumers[new].priority > held);
        if self.consumers[new].exclusive && higher {
            self.owner = Some(new);
        }
    }

    /// A consumer ends.
    pub(super) fn end(&mut self, consumer: usize) {
        self.consumers[consumer].ended = true;
        if self.owner == Some(consumer) {
            let open = self.consumers.iter().enumerate();
            let next = open
                .filter(|(_, other)| other.exclusive && !other.ended)
                .max_by_key(|(index, other)| (other.priority, std::cmp::Reverse(*index)));
            self.owner = next.map(|(index, _)| index);
        }
    }
}

impl Check {
    /// Empties the queue, a few messages in each step.
    pub(super) fn purge(&mut self, forced: bool) {
        let (until, count) = self.queue.begin_purge(self.now, forced, &mut self.effects);
        let before = self.messages.len();
        self.messages.retain(|_, known| match known.held {
            None => false,
            Some(_) => !forced || known.marked.is_some(),
        });
        let gone = (before - self.messages.len()) as u64;
        // What has expired may have gone before.
        assert!(count <= gone, "{count} of {gone} messages are emptied");
        let mut from = Position(0);
        while from <= until {
            while self.queue.purge(self.now, until, 3, &mut self.effects) {}
            self.settle_effects();
            let some = self.stored.range(from..).take(2);
            let messages: Vec<_> = some
                .map(|(position, (message, state))| StoredMessage {
                    position: *position,
                    message: Arc::clone(message),
                    state: *state,
                })
                .collect();
            let last = messages.last().map_or(until, |stored| stored.position);
            from = last.next();
            let page = StoredPage {
                messages,
                resume_at: from,
                exhausted: false,
            };
            self.queue.purge_page(until, &page, &mut self.effects);
        }
        assert_eq!(self.queue.ready_count(), 0, "it is empty");
        self.queue.end_purge(self.now, &mut self.effects);
    }
}
