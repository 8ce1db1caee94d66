//! What each delivery must be, seen at the moment at which the broker makes it.

use super::model::{Acked, Copy, Flag, Held, Model, Number, Sent, Stage, SubId, UnitStage};

/// A delivery as it was made.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    pub sub: SubId,
    pub number: Number,
    pub count: u32,
    pub redelivered: bool,
    /// Nobody was given it before.
    pub first: bool,
}

impl Model {
    /// The broker has made a delivery. Returns it with what the model knows about it.
    pub fn given(&mut self, mut given: Given) -> Given {
        let Given { sub, number, .. } = given;
        let place = self.subs[sub].place;
        let message = &self.messages[number];
        given.first = !self.is_topic(place) && !message.copy.dispatched && place == message.place;
        self.dispatches += 1;
        self.is_there(number);
        if self.is_topic(self.subs[sub].place) {
            self.given_by_topic(given);
        } else {
            self.given_by_queue(given);
        }
        let list = &mut self.subs[sub].given;
        list.retain(|other| *other != number);
        list.push(number);
        let (held, most) = (self.unsettled(sub), self.subs[sub].prefetch);
        let event = self.event;
        let subscription = &mut self.subs[sub];
        let just_heard = subscription.abort_heard == Some(event);
        if subscription.aborts == 0 && held <= most && !just_heard {
            subscription.over = false;
        }
        assert!(
            subscription.aborts > 0 || subscription.over || just_heard || held <= most,
            "{held} deliveries are unsettled, the prefetch is {most}: {given:?}"
        );
        if subscription.stage == Stage::Ending {
            self.doubt(sub, number);
        } else if subscription.stage == Stage::Ended && !self.is_topic(self.subs[sub].place) {
            // It was made just before the end.
            let event = self.event;
            self.copy(sub, number).put_back(Some(event));
        }
        given
    }

    /// The message must be one that may be seen.
    fn is_there(&mut self, number: Number) {
        let message = &self.messages[number];
        match message.sent {
            Sent::Sure => {}
            Sent::Issued => {
                let unit = message.unit;
                self.messages[number].sent = Sent::Sure;
                if let Some(unit) = unit {
                    self.messages[number].durable |=
                        self.receipts_are_durable && self.messages[number].persistent;
                    self.committed(unit);
                }
            }
            Sent::Staged(_) => panic!("sent before its COMMIT: {message:?}"),
            Sent::Gone => panic!("given out, and should be gone: {message:?}"),
        }
    }

    fn given_by_queue(&mut self, given: Given) {
        let Given { sub, number, .. } = given;
        let place = self.subs[sub].place;
        self.come_back(number);
        let (now, most, is_dead) = (self.now, self.tries, place == self.dead);
        let message = &mut self.messages[number];
        if is_dead && !message.dead {
            let tried = message.copy.attempts.1 > most;
            assert!(
                tried || message.place != place,
                "dead before its time: {message:?}"
            );
            message.dead = true;
            message.persistent = true;
            message.expires = None;
            message.copy = Copy::NEW;
        } else if !is_dead {
            assert!(!message.dead, "alive again: {message:?}");
            assert!(
                message.copy.attempts.0 <= most,
                "should be dead: {message:?}"
            );
            assert_eq!(message.place, place, "elsewhere: {message:?}");
        }
        assert!(
            message.expires.is_none_or(|at| at > now),
            "expired: {message:?}"
        );
        Self::check_state(&message.copy, given, message);
        if given.first {
            let stream = (message.producer, message.priority, message.group);
            let last = self.subs[sub].last.insert(stream, message.order);
            assert!(last < Some(message.order), "out of order: {message:?}");
        }
        message.copy.give(sub);
        self.check_group(given);
    }

    /// All that is in flight of a group is with one consumer.
    fn check_group(&self, given: Given) {
        let Given { sub, number, .. } = given;
        let (place, group) = (self.subs[sub].place, self.messages[number].group);
        if group.is_none() || place != self.messages[number].place {
            return;
        }
        for other in &self.messages {
            let same = other.group == group && other.place == place && !other.dead;
            let elsewhere = same && other.copy.is_elsewhere(sub);
            let holder = other.copy.held.map(|held| self.subs[held.sub].stage);
            let open = holder.is_some_and(|stage| !matches!(stage, Stage::Ending | Stage::Ended));
            assert!(!(elsewhere && open), "{given:?} of the group of {other:?}");
        }
    }

    fn given_by_topic(&mut self, given: Given) {
        let Given { sub, number, .. } = given;
        let message = self.messages[number].clone();
        let subscription = &mut self.subs[sub];
        assert_eq!(message.place, subscription.place, "elsewhere: {message:?}");
        assert!(
            message.expires.is_none_or(|at| at > self.now),
            "expired: {message:?}"
        );
        let early = message
            .copy
            .waiting
            .is_some_and(|at| at < subscription.asked);
        assert!(!early, "older than the subscription: {message:?}");
        match subscription.copies.get_mut(&number) {
            None => {
                let last = subscription
                    .last
                    .insert((message.producer, 0, None), message.order);
                assert!(last < Some(message.order), "out of order: {message:?}");
                subscription.copies.insert(number, Copy::NEW);
            }
            Some(copy) => match copy.held {
                Some(held) if !held.leaving => panic!("given twice: {message:?}"),
                Some(_) => copy.put_back(None),
                None => {}
            },
        }
        let copy = subscription.copies.get_mut(&number).expect("it is there");
        Self::check_state(copy, given, &message);
        copy.give(sub);
    }

    /// If somebody held the message, it must have left there.
    fn come_back(&mut self, number: Number) {
        if let Acked::Unit(unit) = self.messages[number].copy.acked
            && self.units[unit].stage == UnitStage::Committing
        {
            // It is here, so its transaction was not carried out.
            self.undone(unit);
        }
        let copy = &self.messages[number].copy;
        let acked = copy.acked;
        assert!(
            !matches!(acked, Acked::Done | Acked::Durable),
            "settled, and given out again: {:?}",
            self.messages[number]
        );
        if let Some(held) = copy.held {
            let stage = self.subs[held.sub].stage;
            let left = held.leaving || matches!(stage, Stage::Ending | Stage::Ended);
            assert!(left, "two have it at once: {:?}", self.messages[number]);
            self.messages[number].copy.put_back(None);
        }
    }

    fn check_state(copy: &Copy, given: Given, message: &super::model::Message) {
        assert_eq!(
            given.count,
            copy.returns + 1,
            "the delivery count of {message:?} {copy:?}"
        );
        assert_eq!(
            given.redelivered,
            copy.flag == Flag::Yes,
            "the redelivered flag of {message:?} {copy:?}"
        );
    }

    /// After all deliveries of an event: nothing that has waited since before it ranks above what was
    /// given out instead.
    pub fn check_order(&mut self, all: &[Given]) {
        let before = self.first_given.clone();
        for given in all.iter().filter(|given| given.first) {
            let message = &self.messages[given.number];
            let stream = (
                message.place,
                message.producer,
                message.priority,
                message.group,
            );
            let last = before.get(&stream).copied();
            assert!(last < Some(message.order), "out of order: {message:?}");
            let newest = self.first_given.entry(stream).or_default();
            *newest = message.order.max(*newest);
        }
        for given in all {
            let place = self.subs[given.sub].place;
            if self.is_topic(place) {
                continue;
            }
            let chosen = &self.messages[given.number];
            for other in &self.messages {
                let here = other.dead == (place == self.dead)
                    && (other.dead || other.place == place)
                    && other.sent == Sent::Sure
                    && other.copy.held.is_none()
                    && other.copy.acked == Acked::No
                    && other.copy.waiting.is_some_and(|since| since < self.event)
                    && other.expires.is_none_or(|at| at > self.now);
                // One of a group may wait for the consumer of its group.
                if !here || (other.group.is_some() && other.group != chosen.group) {
                    continue;
                }
                let older = !other.dead
                    && other.priority == chosen.priority
                    && other.producer == chosen.producer
                    && other.order < chosen.order;
                assert!(
                    !older && other.priority <= chosen.priority,
                    "given out: {chosen:?}\nthough this one waited: {other:?}"
                );
            }
        }
    }
}

impl Copy {
    fn give(&mut self, sub: SubId) {
        self.held = Some(Held {
            sub,
            read: false,
            leaving: false,
            nacked_in: None,
        });
        self.acked = Acked::No;
        self.dispatched = true;
        self.waiting = None;
    }
}
