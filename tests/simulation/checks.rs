//! What must be true after a start, when nothing is under way, and at the end.

use std::collections::BTreeMap;

use super::model::{Acked, Copy, Flag, Message, Model, Number, Sent, Stage, UnitStage};
use super::store::Survivor;

/// How the broker was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Clean,
    Crash,
}

type Found = BTreeMap<(String, String), Survivor>;

impl Model {
    /// The broker has started again and has found these messages: nothing is missing that must be
    /// there, nothing is there that must be gone, each with its count and flag. From here on the
    /// model knows what there is.
    pub fn restarted(&mut self, stop: Stop, found: &Found) {
        let clean = stop == Stop::Clean;
        let mut survivors: BTreeMap<Number, (bool, Survivor)> = BTreeMap::new();
        for ((queue, body), survivor) in found {
            let number = self.number_of(body);
            let dead = *queue == self.places[self.dead].1;
            let home = &self.places[self.messages[number].place].1;
            assert!(dead || queue == home, "{body} is on {queue}");
            let twice = survivors.insert(number, (dead, *survivor)).is_some();
            assert!(!twice, "{body} survived twice");
        }
        self.resolve_units(&survivors);
        for number in 0..self.messages.len() {
            match survivors.get(&number) {
                Some((dead, survivor)) => self.survived(stop, number, *dead, survivor),
                None => {
                    let lost = self.must_survive(clean, number);
                    assert!(
                        !lost,
                        "lost by a {stop:?} stop: {:?}",
                        self.messages[number]
                    );
                    self.messages[number].sent = Sent::Gone;
                }
            }
        }
        for sub in &mut self.subs {
            sub.stage = Stage::Ended;
        }
        self.subscribed.fill(false);
    }

    fn must_survive(&self, clean: bool, number: Number) -> bool {
        let message = &self.messages[number];
        let promised = match message.sent {
            Sent::Sure => message.durable || (clean && self.keeps),
            Sent::Issued | Sent::Staged(_) | Sent::Gone => false,
        };
        let settled = match message.copy.acked {
            Acked::No => false,
            Acked::Unit(unit) => self.units[unit].stage != UnitStage::Undone,
            Acked::Issued | Acked::Done | Acked::Durable => true,
        };
        promised
            && message.persistent
            && !self.is_topic(message.place)
            && !settled
            && message.expires.is_none_or(|at| at > self.now)
    }

    fn survived(&mut self, stop: Stop, number: Number, dead: bool, survivor: &Survivor) {
        let clean = stop == Stop::Clean;
        let (keeps, durable) = (self.keeps, self.receipts_are_durable);
        let exact = clean || self.flags_are_durable;
        let unseen = !self.subscribed[self.messages[number].place];
        let message = &mut self.messages[number];
        assert!(keeps, "stored by a broker that keeps nothing: {message:?}");
        let possible = matches!(message.sent, Sent::Issued | Sent::Sure);
        assert!(possible, "stored, and should be gone: {message:?}");
        assert!(
            message.persistent || dead,
            "survived without being persistent: {message:?}"
        );
        assert_eq!(message.priority, survivor.priority);
        let forever = message.copy.acked == Acked::Durable && (durable || clean);
        let settled = forever || (clean && message.copy.acked == Acked::Done);
        assert!(
            !settled,
            "settled, and back after a {stop:?} stop: {message:?}"
        );
        let (subs, most_tries) = (&self.subs, self.tries);
        let may_leave = message.copy.held.is_some_and(|held| {
            held.leaving || matches!(subs[held.sub].stage, Stage::Ending | Stage::Ended)
        });
        let newly_dead = dead && !message.dead;
        let flagged = survivor.state.redelivered || survivor.covered;
        if newly_dead {
            assert!(
                message.copy.attempts.1 > most_tries,
                "dead before its time: {message:?}"
            );
            message.dead = true;
            message.persistent = true;
            message.expires = None;
        } else if message.dead && !dead {
            // It was given out from the dead letters before its move was stored, which did not happen.
            assert!(!clean, "alive again: {message:?}");
            message.dead = false;
            message.expires = message.sent_expires;
        } else {
            message.check_state(clean, exact, may_leave, unseen, survivor);
        }
        message.sent = Sent::Sure;
        message.durable = durable;
        message.copy = Copy {
            returns: survivor.state.deliveries,
            flag: if flagged { Flag::Yes } else { Flag::No },
            attempts: (survivor.state.attempts, survivor.state.attempts),
            dispatched: message.copy.dispatched && !newly_dead,
            waiting: Some(self.event),
            ..Copy::NEW
        };
    }

    /// Transactions are in the store as a whole or not at all.
    fn resolve_units(&mut self, survivors: &BTreeMap<Number, (bool, Survivor)>) {
        for unit in 0..self.units.len() {
            match self.units[unit].stage {
                UnitStage::Open => self.undone(unit),
                UnitStage::Committing => {
                    let (done, undone) = self.evidence(unit, survivors);
                    assert!(
                        done.is_empty() || undone.is_empty(),
                        "{:?}\ncarried out: {done:?}\nnot: {undone:?}",
                        self.units[unit]
                    );
                    if done.is_empty() {
                        self.undone(unit);
                        if undone.is_empty() {
                            self.leave_open(unit);
                        }
                    } else {
                        self.committed(unit);
                    }
                }
                UnitStage::Committed | UnitStage::Undone => {}
            }
        }
    }

    /// Nothing tells whether a transaction was carried out: what it has settled may be gone.
    fn leave_open(&mut self, unit: usize) {
        for (sub, number) in self.units[unit].accepts.clone() {
            let copy = self.copy(sub, number);
            if copy.acked == Acked::No {
                copy.acked = Acked::Issued;
            }
        }
    }

    fn evidence(
        &self,
        unit: usize,
        survivors: &BTreeMap<Number, (bool, Survivor)>,
    ) -> (Vec<Number>, Vec<Number>) {
        let (mut done, mut undone) = (Vec::new(), Vec::new());
        let unit_of = &self.units[unit];
        for number in &unit_of.sends {
            let message = &self.messages[*number];
            if self.is_topic(message.place) || !message.persistent || !self.keeps {
                continue;
            }
            if survivors.contains_key(number) {
                done.push(*number);
            } else if message.expires.is_none_or(|at| at > self.now) {
                undone.push(*number);
            }
        }
        for (sub, number) in &unit_of.accepts {
            let message = &self.messages[*number];
            if self.is_topic(self.subs[*sub].place) || !message.durable {
                continue;
            }
            if survivors.contains_key(number) {
                undone.push(*number);
            } else if message.expires.is_none_or(|at| at > self.now) {
                done.push(*number);
            }
        }
        (done, undone)
    }

    /// Nothing is under way: every topic subscription has been given all that it had to be.
    pub fn check_topics(&self) {
        for (id, sub) in self.subs.iter().enumerate() {
            let Stage::Ready(since) = sub.stage else {
                continue;
            };
            if !self.is_topic(sub.place) {
                continue;
            }
            for (number, message) in self.messages.iter().enumerate() {
                let due = message.place == sub.place
                    && message.sent == Sent::Sure
                    && message.issued > since
                    && message.expires.is_none();
                assert!(
                    !due || sub.copies.contains_key(&number),
                    "subscription {id} was never given {message:?}"
                );
            }
        }
    }

    /// Every queue has been emptied: all that had to be there was given out and settled.
    pub fn check_nothing_left(&self) {
        for message in &self.messages {
            if self.is_topic(message.place) || message.sent != Sent::Sure {
                continue;
            }
            let settled = message.copy.acked != Acked::No;
            let expired = message.expires.is_some_and(|at| at <= self.now);
            assert!(settled || expired, "lost: {message:?}");
        }
    }
}

impl Message {
    /// A message that stayed where it was has come back with its count and flag.
    #[allow(
        clippy::fn_params_excessive_bools,
        reason = "each is a fact of its own"
    )]
    fn check_state(
        &self,
        clean: bool,
        exact: bool,
        may_leave: bool,
        unseen: bool,
        survivor: &Survivor,
    ) {
        let (count, was) = (survivor.state.deliveries, self.copy.flag == Flag::Yes);
        let flagged = survivor.state.redelivered || survivor.covered;
        if clean && !may_leave {
            let before = (self.copy.returns, was);
            assert_eq!(
                (count, flagged),
                before,
                "came back with {survivor:?}: {self:?}"
            );
            return;
        }
        let most = self.copy.returns + u32::from(may_leave);
        assert!(count <= most, "came back with {survivor:?}: {self:?}");
        if self.copy.dispatched && (clean || !was) {
            assert!(
                flagged || !exact,
                "may have been seen, has no flag: {survivor:?} {self:?}"
            );
        } else if !was && !self.copy.dispatched && unseen && !self.dead {
            assert!(
                !flagged,
                "was never seen, has a flag: {survivor:?} {self:?}"
            );
        }
    }
}
