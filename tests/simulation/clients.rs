//! What clients say, and what they make of what they hear.

use std::collections::{BTreeMap, VecDeque};

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{AckMode, Kind};

use super::dispatch::Given;
use super::driver::Peer;
use super::model::{
    Acked, Copy, Message, Number, Place, Sent, Stage, Sub, SubId, Unit, UnitId, UnitStage,
};
use super::world::Sim;

/// What a receipt is awaited for.
#[derive(Clone, Debug)]
pub enum Op {
    Send(Number),
    Subscribe(SubId),
    Unsubscribe(SubId),
    Accept(SubId, Vec<Number>),
    /// With how often it had returned before.
    Refuse(SubId, Number, u32),
    Begin,
    Stage(UnitId),
    Commit(UnitId),
    Abort(UnitId),
    Disconnect,
}

/// A delivery that a client has read and can settle.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub sub: SubId,
    pub number: Number,
    pub name: String,
}

/// One client, from its connection to its end.
pub struct Client {
    pub peer: Peer,
    pub version: Version,
    /// By the number that its session gives them.
    pub subs: Vec<SubId>,
    pub deliveries: Vec<Delivered>,
    pub units: Vec<UnitId>,
    pub receipts: BTreeMap<String, Op>,
    /// What the broker has given it and it has not read.
    pub expected: VecDeque<Given>,
    pub leaving: bool,
    pub vanishing: bool,
    pub slow: usize,
    said: u64,
}

impl Client {
    pub fn new(peer: Peer, version: Version, slow: usize) -> Self {
        Self {
            peer,
            version,
            subs: Vec::new(),
            deliveries: Vec::new(),
            units: Vec::new(),
            receipts: BTreeMap::new(),
            expected: VecDeque::new(),
            leaving: false,
            vanishing: false,
            slow,
            said: 0,
        }
    }

    /// Whether it may say something.
    pub fn is_free(&self) -> bool {
        self.peer.is_open() && !self.leaving && !self.vanishing
    }
}

impl Sim {
    /// Says a frame, with a receipt header if there is something to wait for.
    fn say(&mut self, client: usize, mut frame: OwnedFrame, op: Option<Op>) {
        let speaker = &mut self.clients[client];
        if let Some(op) = op {
            speaker.said += 1;
            let receipt = format!("r{}", speaker.said);
            frame = frame.with("receipt", &receipt);
            speaker.receipts.insert(receipt, op);
        }
        speaker.peer.say(&frame);
        self.trace(|| format!("client {client} says {}", shown(&frame)));
    }

    /// One thing that a client might do next.
    pub fn act(&mut self, client: usize) {
        let transactions = self.scenario.transactions;
        match self.rng.u8(..20) {
            0..8 => self.send(client),
            8..10 => self.subscribe_somewhere(client),
            10..16 => self.settle_something(client),
            16 if self.scenario.fleeting || self.rng.u8(..4) == 0 => self.unsubscribe(client),
            17 | 18 if transactions => self.transact(client),
            _ => {}
        }
    }

    fn pick_unit(&mut self, client: usize) -> Option<UnitId> {
        let units = &self.clients[client].units;
        if units.is_empty() || self.rng.u8(..3) == 0 {
            return None;
        }
        Some(units[self.rng.usize(..units.len())])
    }

    fn send(&mut self, client: usize) {
        let places = self.model.places.len() - 1;
        let place = self.rng.usize(..places);
        let unit = self.pick_unit(client);
        let number = self.model.messages.len();
        let padding = match self.rng.u8(..60) {
            0 => 20_000,
            1..10 => self.rng.usize(100..600),
            _ => self.rng.usize(..40),
        };
        let body = format!("{number:06}{}", ".".repeat(padding));
        let persistent = self.rng.u8(..3) > 0;
        let group = (self.scenario.groups && self.rng.bool()).then(|| self.rng.u8(..5));
        // Within a group the order of arrival wins over priority, in ways that a model cannot see.
        let priority = if self.scenario.priorities && group.is_none() {
            self.rng.u8(..10)
        } else {
            4
        };
        let expires = (self.scenario.expirations && self.rng.u8(..4) == 0)
            .then(|| self.model.now + self.rng.u64(..4000));
        let note = (self.rng.u8(..5) == 0).then(|| "a:b\\c\nd".to_owned());
        let note = note.filter(|_| self.clients[client].version > Version::V1_0);
        self.model.messages.push(Message {
            place,
            body: body.clone(),
            producer: client,
            order: 0,
            priority,
            group,
            persistent,
            expires,
            sent_expires: expires,
            sent_persistent: persistent,
            sent: Sent::Gone,
            durable: false,
            unit,
            dead: false,
            copy: Copy::NEW,
            issued: 0,
            note: note.clone(),
        });
        let mut frame = OwnedFrame::new(Verb::Send)
            .with("destination", &self.address(place))
            .with("priority", &priority.to_string())
            .with_body(body.as_bytes());
        if persistent {
            frame = frame.with("persistent", "true");
        }
        if let Some(expires) = expires {
            frame = frame.with("expires", &expires.to_string());
        }
        if let Some(group) = group {
            frame = frame.with("JMSXGroupID", &group.to_string());
        }
        if let Some(note) = note {
            frame = frame.with("note", &note);
        }
        let op = if let Some(unit) = unit {
            self.model.messages[number].sent = Sent::Staged(unit);
            self.model.units[unit].sends.push(number);
            frame = frame.with("transaction", &self.model.units[unit].name);
            Some(Op::Stage(unit))
        } else {
            self.model.issue(number);
            (self.rng.u8(..10) < 7).then_some(Op::Send(number))
        };
        self.say(client, frame, op);
    }

    fn subscribe_somewhere(&mut self, client: usize) {
        let live = self.live_subs(client);
        if live.len() < 3 {
            let place = self.rng.usize(..self.model.places.len());
            let mode = match self.rng.u8(..4) {
                0 => AckMode::Auto,
                // Where transactions may be refused, nobody can say what a cumulative one covers.
                1 if !self.scenario.refuses_transactions() => AckMode::Client,
                _ => AckMode::ClientIndividual,
            };
            let prefetch = if self.rng.bool() {
                self.rng.usize(1..6)
            } else {
                100
            };
            self.subscribe(client, place, mode, prefetch);
        }
    }

    pub fn subscribe(&mut self, client: usize, place: Place, mode: AckMode, prefetch: usize) {
        let sub = self.model.subs.len();
        let name = format!("s{}", self.clients[client].subs.len());
        let receipt_due = self.rng.u8(..4) > 0;
        self.model.subs.push(Sub {
            place,
            prefetch,
            mode,
            stage: Stage::Asked,
            aborts: 0,
            abort_heard: None,
            over: false,
            receipt_due,
            asked: self.model.event,
            given: Vec::new(),
            last: BTreeMap::new(),
            copies: BTreeMap::new(),
        });
        self.model.subscribed[place] = true;
        self.clients[client].subs.push(sub);
        let word = match mode {
            AckMode::Auto => "auto",
            AckMode::Client => "client",
            AckMode::ClientIndividual => "client-individual",
        };
        let frame = OwnedFrame::new(Verb::Subscribe)
            .with("id", &name)
            .with("destination", &self.address(place))
            .with("ack", word)
            .with("activemq.prefetchSize", &prefetch.to_string());
        self.say(client, frame, receipt_due.then_some(Op::Subscribe(sub)));
    }

    pub fn live_subs(&self, client: usize) -> Vec<SubId> {
        let live =
            |sub: &&SubId| matches!(self.model.subs[**sub].stage, Stage::Asked | Stage::Ready(_));
        self.clients[client]
            .subs
            .iter()
            .filter(live)
            .copied()
            .collect()
    }

    fn unsubscribe(&mut self, client: usize) {
        let live = self.live_subs(client);
        if live.is_empty() {
            return;
        }
        let sub = live[self.rng.usize(..live.len())];
        self.model.end(sub);
        self.clients[client]
            .deliveries
            .retain(|delivered| delivered.sub != sub);
        let frame = OwnedFrame::new(Verb::Unsubscribe).with("id", &self.sub_name(client, sub));
        self.say(client, frame, Some(Op::Unsubscribe(sub)));
    }

    fn sub_name(&self, client: usize, sub: SubId) -> String {
        let index = self.clients[client]
            .subs
            .iter()
            .position(|other| *other == sub);
        format!("s{}", index.expect("its own subscription"))
    }

    /// Deliveries that a client can settle now.
    pub fn open_deliveries(&mut self, client: usize) -> Vec<Delivered> {
        let mut open = self.clients[client].deliveries.clone();
        open.retain(|delivered| {
            let subscription = &self.model.subs[delivered.sub];
            let live = matches!(subscription.stage, Stage::Asked | Stage::Ready(_));
            live && self
                .model
                .held(delivered.sub, delivered.number)
                .is_some_and(|copy| {
                    copy.acked == Acked::No
                        && copy.held.is_some_and(|held| {
                            held.read && !held.leaving && held.nacked_in.is_none()
                        })
                })
        });
        open
    }

    fn settle_something(&mut self, client: usize) {
        let open = self.open_deliveries(client);
        if open.is_empty() {
            return;
        }
        let picky = self.scenario.picky;
        let refuse = self.rng.u8(..10) < if picky { 5 } else { 1 };
        let delivered = open[self.rng.usize(..open.len())].clone();
        let unit = self.pick_unit(client);
        let receipt = self.rng.bool();
        self.settle(client, &delivered, !refuse, unit, receipt);
    }

    /// Acknowledges or refuses one delivery.
    pub fn settle(
        &mut self,
        client: usize,
        delivered: &Delivered,
        accept: bool,
        unit: Option<UnitId>,
        receipt: bool,
    ) {
        let Delivered { sub, number, name } = delivered.clone();
        let version = self.clients[client].version;
        let topic = self.model.is_topic(self.model.subs[sub].place);
        // Several subscriptions would each send their own copy to the dead letters.
        let tired = topic && self.model.copy(sub, number).returns + 1 >= self.model.tries;
        let accept = accept || version == Version::V1_0 || tired;
        let verb = if accept { Verb::Ack } else { Verb::Nack };
        let mut frame = OwnedFrame::new(verb);
        if version == Version::V1_2 {
            frame = frame.with("id", &name);
        } else {
            frame = frame.with("message-id", &name);
            if version == Version::V1_1 || topic || self.rng.bool() {
                frame = frame.with("subscription", &self.sub_name(client, sub));
            }
        }
        let mut op = if accept {
            let numbers = match self.model.subs[sub].mode {
                AckMode::Client => self.model.through(sub, number),
                AckMode::Auto | AckMode::ClientIndividual => vec![number],
            };
            self.model.ack(sub, &numbers, unit);
            Op::Accept(sub, numbers)
        } else {
            self.model.nack(sub, number, unit);
            let returns = self.model.copy(sub, number).returns;
            Op::Refuse(sub, number, returns)
        };
        if let Some(unit) = unit {
            frame = frame.with("transaction", &self.model.units[unit].name);
            op = Op::Stage(unit);
        }
        self.say(client, frame, (receipt || unit.is_some()).then_some(op));
    }

    fn transact(&mut self, client: usize) {
        let units = self.clients[client].units.clone();
        if units.len() < 2 && self.rng.bool() {
            let unit = self.model.units.len();
            let name = format!("t{unit}");
            self.model.units.push(Unit {
                name: name.clone(),
                stage: UnitStage::Open,
                refused: false,
                sends: Vec::new(),
                accepts: Vec::new(),
                refuses: Vec::new(),
            });
            self.clients[client].units.push(unit);
            let frame = OwnedFrame::new(Verb::Begin).with("transaction", &name);
            self.say(client, frame, Some(Op::Begin));
        } else if !units.is_empty() {
            let unit = units[self.rng.usize(..units.len())];
            let commit = self.rng.u8(..3) > 0;
            self.end_unit(client, unit, commit);
        }
    }

    pub fn end_unit(&mut self, client: usize, unit: UnitId, commit: bool) {
        self.clients[client].units.retain(|other| *other != unit);
        let name = self.model.units[unit].name.clone();
        let (verb, op) = if commit {
            self.model.commit(unit);
            (Verb::Commit, Op::Commit(unit))
        } else {
            self.model.undone(unit);
            for sub in self.touched(unit) {
                self.model.subs[sub].aborts += 1;
            }
            (Verb::Abort, Op::Abort(unit))
        };
        self.say(
            client,
            OwnedFrame::new(verb).with("transaction", &name),
            Some(op),
        );
    }

    /// Subscriptions whose deliveries a transaction settles.
    pub fn touched(&self, unit: UnitId) -> Vec<SubId> {
        let unit = &self.model.units[unit];
        let accepts = unit.accepts.iter().map(|(sub, _)| *sub);
        let refuses = unit.refuses.iter().map(|(sub, ..)| *sub);
        let mut subs: Vec<_> = accepts.chain(refuses).collect();
        subs.sort_unstable();
        subs.dedup();
        subs
    }

    pub fn say_goodbye(&mut self, client: usize, receipt: bool) {
        self.clients[client].leaving = true;
        let frame = OwnedFrame::new(Verb::Disconnect);
        self.say(client, frame, receipt.then_some(Op::Disconnect));
    }

    fn address(&self, place: Place) -> String {
        let (kind, name) = &self.model.places[place];
        let kind = kind.unwrap_or(Kind::Queue);
        format!("/{}/{name}", kind.word())
    }
}

/// A frame in one line.
pub fn shown(frame: &OwnedFrame) -> String {
    let body = String::from_utf8_lossy(&frame.body[..frame.body.len().min(40)]);
    format!("{} {:?} {body:?}", frame.verb.text(), frame.headers)
}
