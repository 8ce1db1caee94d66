//! What the broker has promised so far: a broker made of lists, which is told what clients ask and
//! hear, and sees each delivery as it is made.

use std::collections::BTreeMap;

use tidegate::internal::core::{AckMode, Kind};

/// A destination by its place in [`Model::places`].
pub type Place = usize;
pub type Number = usize;
pub type SubId = usize;
pub type UnitId = usize;

/// Whether a message is where it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Part of a transaction that is open.
    Staged(UnitId),
    /// Asked for; it may be there.
    Issued,
    /// It is there, or was.
    Sure,
    /// It must not be seen any more: refused, aborted, settled or lost as it may be.
    Gone,
}

/// How far an acknowledgement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    No,
    /// Asked for; it may have been carried out.
    Issued,
    /// Part of a transaction.
    Unit(UnitId),
    /// Carried out; a crash may undo it.
    Done,
    /// Carried out for good.
    Durable,
}

/// Whether the next delivery has to say that it is not the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub sub: SubId,
    /// The client has all bytes of it.
    pub read: bool,
    /// It has been refused, or its subscription has ended: it may be elsewhere by now.
    pub leaving: bool,
    /// A transaction refuses it.
    pub nacked_in: Option<UnitId>,
}

/// A message as one queue, or one subscription of a topic, has it.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    pub held: Option<Held>,
    pub acked: Acked,
    pub returns: u32,
    pub flag: Flag,
    /// Failed tries, at least and at most.
    pub attempts: (u32, u32),
    pub dispatched: bool,
    /// The event since which it is certain to wait.
    pub waiting: Option<u64>,
}

impl Copy {
    pub const NEW: Self = Self {
        held: None,
        acked: Acked::No,
        returns: 0,
        flag: Flag::No,
        attempts: (0, 0),
        dispatched: false,
        waiting: None,
    };

    /// It has come back.
    pub fn put_back(&mut self, waiting: Option<u64>) {
        self.held = None;
        self.acked = Acked::No;
        self.returns += 1;
        self.flag = Flag::Yes;
        self.waiting = waiting;
    }

    /// A failed try was counted, or perhaps.
    pub fn fail(&mut self, certain: bool) {
        self.attempts.0 += u32::from(certain);
        self.attempts.1 += 1;
    }

    /// Whether another one than this has it, for certain.
    pub fn is_elsewhere(&self, sub: SubId) -> bool {
        self.acked == Acked::No
            && self
                .held
                .is_some_and(|held| held.sub != sub && !held.leaving && held.nacked_in.is_none())
    }

    fn is_held_by(&self, sub: SubId) -> bool {
        self.held.is_some_and(|held| held.sub == sub)
    }

    /// Whether it counts against the prefetch of its holder for certain.
    fn counts(&self) -> bool {
        self.acked == Acked::No
            && self
                .held
                .is_some_and(|held| !held.leaving && held.nacked_in.is_none())
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub place: Place,
    pub body: String,
    pub producer: usize,
    /// Its rank among all that was asked for.
    pub order: u64,
    pub priority: u8,
    pub group: Option<u8>,
    pub persistent: bool,
    pub expires: Option<u64>,
    pub sent: Sent,
    /// A crash must not take it.
    pub durable: bool,
    /// The transaction that it was part of.
    pub unit: Option<UnitId>,
    /// What its sender said, which dead letters do not keep.
    pub sent_expires: Option<u64>,
    pub sent_persistent: bool,
    /// It was seen on the dead-letter queue.
    pub dead: bool,
    pub copy: Copy,
    /// The event at which it was sent.
    pub issued: u64,
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Asked,
    /// Since this event its client knows that it is there.
    Ready(u64),
    /// Its end was asked for.
    Ending,
    Ended,
}

#[derive(Clone, Debug)]
pub struct Sub {
    pub place: Place,
    pub prefetch: usize,
    pub mode: AckMode,
    pub stage: Stage,
    /// ABORTs whose end is not known, and whether one of them left more than the prefetch.
    pub aborts: usize,
    pub over: bool,
    /// The event at which the end of an ABORT was heard: what is given in it may be older.
    pub abort_heard: Option<u64>,
    pub receipt_due: bool,
    /// The event at which it was asked for.
    pub asked: u64,
    /// What it was given, in order, each once.
    pub given: Vec<Number>,
    /// The rank of the last message that it was given for the first time, of each producer,
    /// priority and group.
    pub last: BTreeMap<(usize, u8, Option<u8>), u64>,
    pub copies: BTreeMap<Number, Copy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitStage {
    Open,
    /// COMMIT was asked for; whether it is done is not known.
    Committing,
    Committed,
    /// Aborted, or refused.
    Undone,
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Unit {
    pub name: String,
    pub stage: UnitStage,
    /// Something in it was refused.
    pub refused: bool,
    pub sends: Vec<Number>,
    pub accepts: Vec<(SubId, Number)>,
    pub refuses: Vec<(SubId, Number, u32)>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub places: Vec<(Option<Kind>, String)>,
    /// The place of the dead letters.
    pub dead: Place,
    pub messages: Vec<Message>,
    pub subs: Vec<Sub>,
    pub units: Vec<Unit>,
    pub event: u64,
    pub orders: u64,
    /// The wall clock in milliseconds.
    pub now: u64,
    /// Receipts outlive a crash.
    pub receipts_are_durable: bool,
    /// Transactions have limits that clients meet.
    pub units_may_end_early: bool,
    pub flags_are_durable: bool,
    /// Persistent messages outlive a clean stop.
    pub keeps: bool,
    /// Places that had a subscription since the last start.
    pub subscribed: Vec<bool>,
    /// The rank of the last message that was given out for the first time.
    pub first_given: BTreeMap<(Place, usize, u8, Option<u8>), u64>,
    pub dispatches: u64,
    /// How many destinations were removed because nobody used them.
    pub collected: usize,
    /// Failed tries that a message may have before the next one is its last.
    pub tries: u32,
}

impl Model {
    pub fn is_topic(&self, place: Place) -> bool {
        self.places[place].0 == Some(Kind::Topic)
    }

    pub fn number_of(&self, body: &str) -> Number {
        body.get(..6)
            .and_then(|text| text.parse().ok())
            .expect("a body that a client has sent")
    }

    pub fn copy(&mut self, sub: SubId, number: Number) -> &mut Copy {
        if self.is_topic(self.subs[sub].place) {
            self.subs[sub]
                .copies
                .get_mut(&number)
                .expect("it was given to the subscription")
        } else {
            &mut self.messages[number].copy
        }
    }

    /// The copy, if the subscription still holds it.
    pub fn held(&mut self, sub: SubId, number: Number) -> Option<&mut Copy> {
        let copy = self.copy(sub, number);
        copy.is_held_by(sub).then_some(copy)
    }

    /// A message was asked for outside of transactions, or its transaction is to be committed.
    pub fn issue(&mut self, number: Number) {
        self.orders += 1;
        let message = &mut self.messages[number];
        message.order = self.orders;
        message.issued = self.event;
        message.sent = Sent::Issued;
    }

    /// A message is where it was sent to.
    pub fn accepted(&mut self, number: Number) {
        let (event, durable) = (self.event, self.receipts_are_durable);
        let message = &mut self.messages[number];
        if message.sent == Sent::Issued {
            message.sent = Sent::Sure;
            if !message.copy.dispatched {
                message.copy.waiting = Some(event);
            }
        }
        // The receipt is about what was sent, not about the dead letter that it may be by now.
        message.durable |= durable && message.sent_persistent;
    }

    pub fn never(&mut self, number: Number) {
        let message = &mut self.messages[number];
        assert!(
            !message.copy.dispatched,
            "{} was refused, and given out",
            message.body
        );
        message.sent = Sent::Gone;
    }

    /// The unsettled deliveries of a subscription up to one of them, oldest first.
    pub fn through(&mut self, sub: SubId, number: Number) -> Vec<Number> {
        let given = self.subs[sub].given.clone();
        let last = given
            .iter()
            .rposition(|other| *other == number)
            .expect("it was given");
        let mut open = Vec::new();
        for number in &given[..=last] {
            if self.held(sub, *number).is_some_and(|copy| copy.counts()) {
                open.push(*number);
            }
        }
        open
    }

    pub fn ack(&mut self, sub: SubId, numbers: &[Number], unit: Option<UnitId>) {
        for number in numbers {
            let copy = self
                .held(sub, *number)
                .expect("only what is held is acknowledged");
            copy.acked = unit.map_or(Acked::Issued, Acked::Unit);
            if let Some(unit) = unit {
                self.units[unit].accepts.push((sub, *number));
            }
        }
    }

    pub fn nack(&mut self, sub: SubId, number: Number, unit: Option<UnitId>) {
        let copy = self
            .held(sub, number)
            .expect("only what is held is refused");
        let returns = copy.returns;
        let held = copy.held.as_mut().expect("it is held");
        if let Some(unit) = unit {
            held.nacked_in = Some(unit);
            self.units[unit].refuses.push((sub, number, returns));
        } else {
            held.leaving = true;
            copy.fail(true);
        }
    }

    /// Acknowledgements are carried out, for good if the receipt says so.
    pub fn settled(&mut self, sub: SubId, numbers: &[Number], receipt: bool) {
        let durable = receipt && self.receipts_are_durable;
        for number in numbers {
            let copy = self.copy(sub, *number);
            if copy.acked == Acked::Issued || copy.acked == Acked::Done {
                copy.acked = if durable { Acked::Durable } else { Acked::Done };
            }
        }
    }

    /// A refusal of a delivery that had returned so often before is carried out.
    pub fn refused(&mut self, sub: SubId, number: Number, returns: u32) {
        let (event, most) = (self.event, self.tries);
        let dead = !self.is_topic(self.subs[sub].place);
        if let Some(copy) = self.held(sub, number)
            && copy.held.is_some_and(|held| held.leaving)
            && copy.returns == returns
        {
            let certain = !dead || copy.attempts.1 <= most;
            copy.put_back(certain.then_some(event));
        }
    }

    /// The end of a subscription is asked for.
    pub fn end(&mut self, sub: SubId) {
        self.subs[sub].stage = Stage::Ending;
        for number in self.subs[sub].given.clone() {
            self.doubt(sub, number);
        }
    }

    /// A subscription that acknowledges by itself is to end: a delivery that is on its way to the
    /// client is settled, one that is not returns.
    pub fn doubt(&mut self, sub: SubId, number: Number) {
        if self.subs[sub].mode == AckMode::Auto
            && let Some(copy) = self.held(sub, number)
            && copy.acked == Acked::No
        {
            copy.acked = Acked::Issued;
        }
    }

    /// A subscription is over: what it holds for certain has returned. With `failed` its client has
    /// vanished; then the oldest counts as a failed try if its bytes were taken. `exact` says that
    /// nothing was under way.
    pub fn ended(&mut self, sub: SubId, failed: bool, exact: bool) {
        if self.subs[sub].stage == Stage::Ended {
            return;
        }
        // Its UNSUBSCRIBE may have been carried out: then nothing counts as a failed try.
        let exact = exact && (!failed || self.subs[sub].stage != Stage::Ending);
        self.subs[sub].stage = Stage::Ended;
        if self.is_topic(self.subs[sub].place) {
            return;
        }
        // What an ABORT gives back that is not through yet returns only then.
        let event = (self.subs[sub].aborts == 0).then_some(self.event);
        let most = self.tries;
        let mut oldest = true;
        let mut certain = exact;
        for number in self.subs[sub].given.clone() {
            let Some(copy) = self.held(sub, number) else {
                continue;
            };
            let read = copy.held.is_some_and(|held| held.read);
            if copy.counts() {
                if failed && oldest && read {
                    copy.fail(certain);
                }
                oldest = false;
                let may_die = copy.attempts.1 > most;
                copy.put_back(event.filter(|_| !may_die));
            } else if matches!(copy.acked, Acked::Done | Acked::Durable) {
                copy.held = None;
            } else {
                // It was settled, or it returns now.
                if failed && oldest && read {
                    copy.attempts.1 += 1;
                }
                certain = false;
                if let Some(held) = &mut copy.held {
                    if held.leaving && !exact {
                        // Its refusal may not have been carried out.
                        copy.attempts.0 = copy.attempts.0.saturating_sub(1);
                    }
                    held.leaving = true;
                }
            }
        }
    }

    /// How many deliveries a subscription holds at least.
    pub fn unsettled(&self, sub: SubId) -> usize {
        let subscription = &self.subs[sub];
        let copies = subscription.given.iter().filter_map(|number| {
            if self.is_topic(subscription.place) {
                subscription.copies.get(number)
            } else {
                Some(&self.messages[*number].copy)
            }
        });
        copies
            .filter(|copy| copy.is_held_by(sub) && copy.counts())
            .count()
    }
}
