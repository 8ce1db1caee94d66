//! How brokers stop and start again, and how runs end.

use tidegate::internal::codec::stomp::Version;
use tidegate::internal::core::AckMode;

use super::checks::Stop;
use super::clients::Client;
use super::model::Acked;
use super::world::Sim;

impl Sim {
    /// The broker stops in order and starts again.
    pub fn restart(&mut self) {
        self.trace(|| "the broker stops".to_owned());
        for client in &self.clients {
            client.peer.stop();
        }
        self.quiet();
        if self.broker().failure().is_some() {
            return self.crash();
        }
        for (index, client) in self.clients.iter().enumerate() {
            assert!(!client.peer.is_open(), "client {index} was not told to go");
        }
        let broker = self.broker.take().expect("the broker runs");
        if broker.shutdown().is_err() {
            return self.start_again(Stop::Crash);
        }
        self.start_again(Stop::Clean);
    }

    /// The broker is killed and starts again.
    pub fn crash(&mut self) {
        if self.broker().failure().is_some() {
            // What a failed commit has left comes back behind what went on without it.
            self.model.first_given.clear();
        }
        self.broker = None;
        self.start_again(Stop::Crash);
    }

    fn start_again(&mut self, stop: Stop) {
        self.trace(|| format!("start after {stop:?}"));
        self.commit = None;
        for client in &mut self.clients {
            client.peer.cut();
        }
        let keep = self.rng.usize(..=self.disk.unflushed());
        match stop {
            Stop::Clean => self.disk.crash(usize::MAX / 2),
            Stop::Crash => self.disk.crash(keep),
        }
        self.open();
        let (found, doubles) = self.disk.found();
        assert!(doubles.is_empty(), "stored twice: {doubles:?}");
        self.model.restarted(stop, &found);
    }

    /// Lets all that is under way come to its end, and checks that it has.
    pub fn settle_all(&mut self) {
        for client in &mut self.clients {
            client.peer.reading = true;
        }
        self.resume_all();
        for _ in 0..1000 {
            self.quiet();
            if self.broker().failure().is_some() {
                self.crash();
            }
            let mut busy = false;
            for client in 0..self.clients.len() {
                if !self.clients[client].is_free() {
                    continue;
                }
                for unit in self.clients[client].units.clone() {
                    let commit = self.rng.bool();
                    self.end_unit(client, unit, commit);
                    busy = true;
                }
                for delivered in self.open_deliveries(client) {
                    let held = self.model.held(delivered.sub, delivered.number);
                    if held.is_some_and(|copy| copy.acked == Acked::No) {
                        self.settle(client, &delivered, true, None, true);
                        busy = true;
                    }
                }
            }
            let waits = |c: &Client| {
                c.peer.is_open() && (c.peer.unheard_bytes() > 0 || !c.receipts.is_empty())
            };
            if !busy && self.clients.iter().any(waits) {
                busy = self.patience > 0;
                self.patience = self.patience.saturating_sub(1);
                self.advance(2000);
            }
            if !busy {
                break;
            }
        }
        for (index, client) in self.clients.iter().enumerate() {
            if client.peer.is_open() {
                assert_eq!(
                    client.peer.unheard_bytes(),
                    0,
                    "client {index} is not heard"
                );
                assert!(
                    client.receipts.is_empty(),
                    "client {index}: {:?}",
                    client.receipts
                );
            }
        }
        self.model.check_topics();
    }

    /// Ends the run: everybody leaves, one last client empties all queues, and nothing is left.
    pub fn finish(&mut self) {
        self.disk.heal();
        self.settle_all();
        for client in 0..self.clients.len() {
            if self.clients[client].is_free() {
                self.say_goodbye(client, true);
            }
        }
        self.quiet();
        if self.broker().failure().is_some() {
            self.crash();
        }
        let last = self.connect(Version::V1_2);
        for place in 0..self.model.places.len() {
            if !self.model.is_topic(place) {
                let prefetch = self.rng.usize(1..50);
                self.subscribe(last, place, AckMode::ClientIndividual, prefetch);
            }
        }
        self.settle_all();
        self.model.check_nothing_left();
        self.say_goodbye(last, true);
        self.quiet();
        for (index, client) in self.clients.iter().enumerate() {
            assert!(!client.peer.is_open(), "client {index} has not left");
        }
        let totals = self.broker().totals();
        assert_eq!(
            (
                totals.queues.ready,
                totals.queues.ready_bytes,
                totals.queues.unacked
            ),
            (0, 0, 0),
            "what queues hold"
        );
        assert_eq!(totals.topics.unacked, 0, "what topics hold");
        assert_eq!(totals.memory_messages, 0, "memory that is booked");
        assert_eq!(self.disk.live_messages(), 0, "what the store holds");
    }
}
