//! One run: a broker, its clients, its disk and its clock, and a seed that decides who goes next.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tidegate::internal::broker::{Broker, Clock};
use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::{DestinationName, Kind, Now, Tick};
use tidegate::internal::protocol::stomp::Config;
use tidegate::internal::store::{Batch, StoreError};

use super::clients::Client;
use super::dispatch::Given;
use super::driver::{Budget, Ended, Peer};
use super::model::{Model, UnitStage};
use super::scenario::Scenario;
use super::store::{Disk, Failure};
use crate::support_world::EPOCH;

const WHOLE: Budget = Budget {
    read: usize::MAX,
    write: usize::MAX,
    ahead: usize::MAX,
};

/// A commit on its way.
pub struct Commit {
    batch: Batch,
    result: Option<Result<(), StoreError>>,
}

pub struct Sim {
    pub scenario: Scenario,
    pub rng: Rng,
    pub model: Model,
    pub clients: Vec<Client>,
    pub disk: Disk,
    pub clock: Clock,
    /// A send without a receipt was refused.
    pub refused_somewhere: bool,
    pub broker: Option<Broker>,
    pub commit: Option<Commit>,
    session: Arc<Config>,
    tracing: bool,
    /// How often the end may still be waited for.
    pub patience: u32,
}

impl Sim {
    pub fn new(scenario: Scenario, rng: Rng) -> Self {
        let clock = Clock::manual(Now {
            wall: EPOCH,
            tick: Tick(0),
        });
        let mut model = Model {
            now: EPOCH.0,
            receipts_are_durable: scenario.receipts_are_durable(),
            units_may_end_early: scenario.refuses_transactions(),
            flags_are_durable: scenario.flags_are_durable(),
            keeps: scenario.keeps(),
            tries: scenario.broker.policy.redelivery_max,
            ..Model::default()
        };
        let queues = (0..scenario.queues).map(|n| (Some(Kind::Queue), format!("q{n}")));
        let topics = (0..scenario.topics).map(|n| (Some(Kind::Topic), format!("t{n}")));
        model.places.extend(queues.chain(topics));
        model.dead = model.places.len();
        let dead = scenario.broker.policy.dead_letter.queue.as_str();
        model.places.push((Some(Kind::Queue), dead.to_owned()));
        model.subscribed = vec![false; model.places.len()];
        let disk = Disk::new(scenario.ring);
        let mut sim = Self {
            scenario,
            rng,
            model,
            clients: Vec::new(),
            disk,
            clock,
            refused_somewhere: false,
            broker: None,
            commit: None,
            session: Arc::default(),
            tracing: std::env::var_os("TIDEGATE_TRACE").is_some(),
            patience: 400,
        };
        sim.open();
        sim
    }

    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.tracing {
            println!("{:5} {}", self.model.event, line());
        }
    }

    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("the broker runs")
    }

    pub fn open(&mut self) {
        let disk = Box::new(self.disk.clone());
        let broker = Broker::assemble(&self.scenario.broker, disk, self.clock.clone());
        self.broker = Some(broker.expect("the store opens"));
    }

    /// A new client that logs in.
    pub fn connect(&mut self, version: Version) -> usize {
        let now = self.clock.now();
        let mut peer = Peer::new(self.broker(), &self.session, now, version);
        peer.say(&OwnedFrame::new(Verb::Connect).with("accept-version", version.text()));
        let slow = match self.rng.u8(..4) {
            0 => self.rng.usize(1..20),
            1 => self.rng.usize(20..400),
            _ => usize::MAX,
        };
        self.clients.push(Client::new(peer, version, slow));
        self.clients.len() - 1
    }

    fn connect_any(&mut self) {
        let version = match self.rng.u8(..4) {
            0 => Version::V1_0,
            1 => Version::V1_1,
            _ => Version::V1_2,
        };
        self.connect(version);
    }

    fn pick(&mut self, fits: impl Fn(&mut Client) -> bool) -> Option<usize> {
        let mut fitting = Vec::new();
        for (index, client) in self.clients.iter_mut().enumerate() {
            if client.peer.is_open() && fits(client) {
                fitting.push(index);
            }
        }
        (!fitting.is_empty()).then(|| fitting[self.rng.usize(..fitting.len())])
    }

    /// One step of the run.
    pub fn step(&mut self) {
        self.model.event += 1;
        match self.rng.u16(..1000) {
            0..350 => {
                if let Some(client) = self.pick(|client| client.is_free()) {
                    self.act(client);
                }
            }
            350..700 => {
                if let Some(client) = self.pick(|client| client.peer.can_turn()) {
                    let slow = self.clients[client].slow;
                    let budget = Budget {
                        read: self.rng.usize(1..4000).min(slow),
                        write: self.rng.usize(1..4000).min(slow),
                        ahead: self.rng.usize(1..4000),
                    };
                    self.turn(client, budget);
                }
            }
            700..850 => {
                self.write();
            }
            850..925 => {
                self.broker().step_pager();
            }
            925..940 if self.scenario.fleeting => self.collect(),
            940..960 => {
                let by = self.rng.u64(1..500);
                self.advance(by);
            }
            960..975 if self.scenario.shaky => {
                if let Some(client) = self.pick(|_| true) {
                    self.clients[client].peer.reading ^= true;
                }
            }
            975..980 => self.someone_leaves(),
            980..993 => {
                let open = self.clients.iter().filter(|c| c.peer.is_open()).count();
                if open < self.scenario.clients {
                    self.connect_any();
                }
            }
            993..996 if self.scenario.rough => self.stop_or_crash(),
            996 if self.scenario.rough => {
                let how = if self.rng.bool() {
                    Failure::Before
                } else {
                    Failure::After
                };
                self.disk.fail_next(how);
            }
            997.. if self.scenario.fleeting => self.pause_or_resume(),
            _ => {}
        }
        self.observe(None);
    }

    /// Destinations are removed that nobody has used for a while.
    fn collect(&mut self) {
        self.advance(10);
        let there = |sim: &Self| {
            let names = sim.model.places.iter().map(|(kind, name)| {
                let kind = kind.unwrap_or(Kind::Queue);
                DestinationName::new(kind, name).unwrap()
            });
            names.filter(|name| sim.broker().exists(name)).count()
        };
        let before = there(self);
        self.broker().collect();
        let gone = before - there(self);
        self.trace(|| format!("{gone} destinations are removed"));
        self.model.collected += gone;
    }

    /// An operator holds back what a queue gives out, or lets it go on.
    fn pause_or_resume(&mut self) {
        let place = self.rng.usize(..self.scenario.queues);
        let pause = self.rng.bool();
        self.trace(|| format!("pause q{place}: {pause}"));
        let name = DestinationName::queue(&self.model.places[place].1).unwrap();
        // It may not be there.
        let _ = if pause {
            self.broker().pause(&name)
        } else {
            self.broker().resume(&name)
        };
    }

    /// No queue is held back any more.
    pub fn resume_all(&mut self) {
        for place in 0..self.scenario.queues {
            let name = DestinationName::queue(&self.model.places[place].1).unwrap();
            let _ = self.broker().resume(&name);
        }
        self.model.event += 1;
        self.observe(None);
    }

    fn someone_leaves(&mut self) {
        let Some(client) = self.pick(|client| client.is_free()) else {
            return;
        };
        if self.scenario.shaky && self.rng.bool() {
            self.vanish(client);
        } else {
            let receipt = self.rng.bool();
            self.say_goodbye(client, receipt);
        }
    }

    fn stop_or_crash(&mut self) {
        if self.rng.bool() && self.broker().failure().is_none() {
            self.restart();
        } else {
            self.crash();
        }
        self.connect_any();
        self.connect_any();
    }

    pub fn turn(&mut self, client: usize, budget: Budget) {
        let now = self.clock.now();
        if self.clients[client].vanishing {
            self.vanish(client);
            return;
        }
        let exact = self.clients[client].peer.is_heard();
        let ended = self.clients[client].peer.turn(now, budget);
        self.after(client, ended, exact);
    }

    pub fn vanish(&mut self, client: usize) {
        let now = self.clock.now();
        self.trace(|| format!("client {client} vanishes"));
        let exact = self.clients[client].peer.is_heard();
        self.clients[client].vanishing = true;
        self.clients[client].peer.reading = false;
        let ended = self.clients[client].peer.vanish(now);
        self.after(client, ended, exact);
    }

    fn after(&mut self, client: usize, ended: Option<Ended>, exact: bool) {
        self.hear(client);
        let mut all = self.see(client);
        if let Some(ended) = ended {
            self.gone(client, ended.clean, exact);
        } else {
            self.promote(client);
        }
        self.observe_others(&mut all);
    }

    /// A client's connection is over, and the broker has taken back what it held.
    fn gone(&mut self, client: usize, clean: bool, exact: bool) {
        self.trace(|| format!("client {client} is gone, clean: {clean}, exact: {exact}"));
        for unit in self.clients[client].units.clone() {
            if self.model.units[unit].stage == UnitStage::Open {
                self.model.undone(unit);
            }
        }
        for sub in self.clients[client].subs.clone() {
            self.model.ended(sub, !clean, exact);
        }
    }

    /// Sees the deliveries that one client was given since it was last looked at.
    fn see(&mut self, client: usize) -> Vec<Given> {
        let mut all = Vec::new();
        for delivery in self.clients[client].peer.observe() {
            let sub = self.clients[client].subs[delivery.subscription.0 as usize];
            let body = String::from_utf8_lossy(delivery.message.encoded.body()).into_owned();
            let given = Given {
                sub,
                number: self.model.number_of(&body),
                count: delivery.count,
                redelivered: delivery.redelivered,
                first: false,
            };
            self.trace(|| format!("client {client} is given {given:?}"));
            let given = self.model.given(given);
            self.clients[client].expected.push_back(given);
            all.push(given);
        }
        all
    }

    fn observe(&mut self, first: Option<Vec<Given>>) {
        let mut all = first.unwrap_or_default();
        self.observe_others(&mut all);
    }

    fn observe_others(&mut self, all: &mut Vec<Given>) {
        for client in 0..self.clients.len() {
            let seen = self.see(client);
            all.extend(seen);
        }
        self.model.check_order(all);
    }

    /// One part of a commit. Returns whether there was anything to do.
    fn write(&mut self) -> bool {
        let now = self.clock.now().tick;
        match self.commit.take() {
            None => {
                let begun = self.broker().writer().begin();
                self.commit = begun.map(|batch| Commit {
                    batch,
                    result: None,
                });
                self.commit.is_some()
            }
            Some(Commit {
                batch,
                result: None,
            }) => {
                let result = Some(self.broker().writer().commit(&batch, now));
                self.commit = Some(Commit { batch, result });
                true
            }
            Some(Commit {
                batch,
                result: Some(result),
            }) => {
                self.broker().writer().finish(&batch, result);
                if self.disk.has_lied() {
                    // What clients are told from here on is not what the disk knows.
                    self.crash();
                }
                true
            }
        }
    }

    pub fn advance(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        let now = self.clock.now();
        self.model.now = now.wall.0;
        for client in 0..self.clients.len() {
            let ended = self.clients[client].peer.expire(now);
            self.after(client, ended, false);
        }
    }

    /// Lets everybody go on until nobody has anything to do.
    pub fn quiet(&mut self) {
        for _ in 0..100_000 {
            self.model.event += 1;
            let mut busy = false;
            for client in 0..self.clients.len() {
                if self.clients[client].peer.can_turn() {
                    busy = true;
                    self.turn(client, WHOLE);
                }
            }
            busy |= self.write();
            busy |= self.broker().step_pager();
            self.observe(None);
            if !busy {
                return;
            }
        }
        panic!("never quiet");
    }

    /// The whole run.
    pub fn run(&mut self) {
        for _ in 0..self.scenario.clients {
            self.connect_any();
        }
        for _ in 0..self.scenario.steps {
            self.step();
        }
        self.finish();
    }
}
