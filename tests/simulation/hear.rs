//! What clients make of the frames that they read.

use tidegate::internal::codec::stomp::{OwnedFrame, Verb, Version};
use tidegate::internal::core::AckMode;

use super::clients::{Delivered, Op, shown};
use super::model::{Acked, Sent, Stage, SubId, UnitId, UnitStage};
use super::world::Sim;

impl Sim {
    /// A client takes in all that has arrived.
    pub fn hear(&mut self, client: usize) {
        for frame in std::mem::take(&mut self.clients[client].peer.frames) {
            self.trace(|| format!("client {client} hears {}", shown(&frame)));
            match frame.verb {
                Verb::Message => self.hear_message(client, &frame),
                Verb::Receipt => {
                    let id = frame.get("receipt-id").expect("a receipt has an id");
                    let op = self.clients[client].receipts.remove(id);
                    let op = op.unwrap_or_else(|| panic!("nobody waits for {frame:?}"));
                    self.granted(op);
                }
                Verb::Error => self.hear_error(client, &frame),
                Verb::Connected => {}
                _ => panic!("a client has been sent {frame:?}"),
            }
        }
    }

    fn hear_message(&mut self, client: usize, frame: &OwnedFrame) {
        let body = String::from_utf8_lossy(&frame.body).into_owned();
        let number = self.model.number_of(&body);
        let given = loop {
            let next = self.clients[client].expected.pop_front();
            let given = next.unwrap_or_else(|| panic!("nobody gave {}", shown(frame)));
            if given.number == number && self.is_named(client, given.sub, frame) {
                break given;
            }
            let stage = self.model.subs[given.sub].stage;
            let over = matches!(stage, Stage::Ending | Stage::Ended);
            assert!(
                over,
                "{given:?} was left out, instead came {}",
                shown(frame)
            );
        };
        let sub = given.sub;
        let message = self.model.messages[number].clone();
        let subscription = &self.model.subs[sub];
        assert!(
            !subscription.receipt_due,
            "a delivery came before the receipt of SUBSCRIBE"
        );
        assert_eq!(body, message.body);
        assert_eq!(frame.get("redelivered") == Some("true"), given.redelivered);
        let count = frame
            .get("JMSXDeliveryCount")
            .map_or(1, |count| count.parse().unwrap());
        assert_eq!(count, given.count, "{}", shown(frame));
        assert_eq!(
            frame.get("priority"),
            Some(message.priority.to_string().as_str())
        );
        let (_, name) = &self.model.places[subscription.place];
        assert!(
            frame
                .get("destination")
                .is_some_and(|text| text.ends_with(name))
        );
        if subscription.place == self.model.dead {
            self.check_provenance(frame, number);
        } else {
            let expires = message.sent_expires.unwrap_or(0).to_string();
            assert_eq!(frame.get("expires"), Some(expires.as_str()));
            assert_eq!(
                frame.get("persistent") == Some("true"),
                message.sent_persistent
            );
        }
        if self.clients[client].version > Version::V1_0 {
            assert_eq!(frame.get("note"), message.note.as_deref());
        }
        self.note_read(client, sub, number, frame);
    }

    fn check_provenance(&self, frame: &OwnedFrame, number: usize) {
        let home = &self.model.places[self.model.messages[number].place].1;
        let origin = frame
            .get("original-destination")
            .expect("a dead letter names its origin");
        assert!(origin.ends_with(home), "{}", shown(frame));
        assert_eq!(
            frame.get("dlqDeliveryFailureCause"),
            Some("redelivery limit reached")
        );
        assert!(frame.get("dlqDeliveryCount").is_some());
        assert_eq!(frame.get("persistent"), Some("true"));
        assert_eq!(frame.get("expires"), Some("0"));
    }

    fn is_named(&self, client: usize, sub: SubId, frame: &OwnedFrame) -> bool {
        let index = self.clients[client]
            .subs
            .iter()
            .position(|other| *other == sub);
        let name = index.map(|index| format!("s{index}"));
        frame.get("subscription") == name.as_deref()
    }

    fn note_read(&mut self, client: usize, sub: SubId, number: usize, frame: &OwnedFrame) {
        let (mode, stage) = (self.model.subs[sub].mode, self.model.subs[sub].stage);
        let live = matches!(stage, Stage::Asked | Stage::Ready(_));
        let Some(copy) = self.model.held(sub, number) else {
            return;
        };
        if let Some(held) = &mut copy.held {
            held.read = true;
        }
        if mode == AckMode::Auto {
            if copy.acked == Acked::No {
                copy.acked = if live { Acked::Done } else { Acked::Issued };
            }
            return;
        }
        let v12 = self.clients[client].version == Version::V1_2;
        let name = frame.get(if v12 { "ack" } else { "message-id" });
        let name = name.expect("a delivery has a name").to_owned();
        let deliveries = &mut self.clients[client].deliveries;
        deliveries.retain(|other| other.sub != sub || other.number != number);
        if live {
            deliveries.push(Delivered { sub, number, name });
        }
    }

    fn granted(&mut self, op: Op) {
        match op {
            Op::Send(number) => {
                self.model.accepted(number);
                self.check_stored(number);
            }
            Op::Subscribe(sub) => {
                self.model.subs[sub].receipt_due = false;
                if self.model.subs[sub].stage == Stage::Asked {
                    self.model.subs[sub].stage = Stage::Ready(self.model.event);
                }
            }
            Op::Unsubscribe(sub) => {
                if self.model.subs[sub].mode != AckMode::Auto {
                    self.promote_sub(sub);
                }
                self.model.ended(sub, false, true);
            }
            Op::Accept(sub, numbers) => {
                self.model.settled(sub, &numbers, true);
                for number in numbers {
                    self.check_removed(sub, number);
                }
            }
            Op::Refuse(sub, number, returns) => self.model.refused(sub, number, returns),
            Op::Commit(unit) => {
                let whole = &self.model.units[unit];
                assert!(!whole.refused, "committed without a part of it: {whole:?}");
                self.model.committed(unit);
                for number in self.model.units[unit].sends.clone() {
                    self.check_stored(number);
                }
                for (sub, number) in self.model.units[unit].accepts.clone() {
                    self.check_removed(sub, number);
                }
                for (sub, number, returns) in self.model.units[unit].refuses.clone() {
                    self.model.refused(sub, number, returns);
                }
            }
            Op::Abort(unit) => {
                for sub in self.touched(unit) {
                    self.model.abort_heard(sub);
                }
            }
            Op::Begin | Op::Stage(_) | Op::Disconnect => {}
        }
    }

    /// The receipt of a message is a promise: it is in the store, or its consumer has settled it.
    fn check_stored(&self, number: usize) {
        let message = &self.model.messages[number];
        let promised = message.durable
            && !self.model.is_topic(message.place)
            && message.copy.acked == Acked::No
            && message.sent == Sent::Sure
            && message.expires.is_none();
        assert!(
            !promised || self.disk.holds(&message.body),
            "has a receipt and is not stored: {message:?}"
        );
    }

    /// The receipt of an acknowledgement is a promise, too.
    fn check_removed(&self, sub: SubId, number: usize) {
        let message = &self.model.messages[number];
        let promised = self.model.receipts_are_durable
            && message.persistent
            && !self.model.is_topic(self.model.subs[sub].place);
        assert!(
            !promised || !self.disk.holds(&message.body),
            "its acknowledgement has a receipt, and it is still stored: {message:?}"
        );
    }

    fn hear_error(&mut self, client: usize, frame: &OwnedFrame) {
        let code = frame.get("code").unwrap_or_default().to_owned();
        let op = frame.get("receipt-id").map(|id| {
            let op = self.clients[client].receipts.remove(id);
            op.unwrap_or_else(|| panic!("nobody waits for {frame:?}"))
        });
        match (code.as_str(), op) {
            ("store-failed" | "shutdown", _) => {}
            ("full", None) => self.refused_somewhere = true,
            ("full", Some(Op::Send(number))) => self.model.never(number),
            ("full" | "unknown-transaction", Some(Op::Stage(unit)))
                if self.model.units[unit].stage == UnitStage::Committing =>
            {
                // The answer to its COMMIT is on its way.
                self.model.units[unit].refused = true;
            }
            ("full" | "unknown-transaction", Some(Op::Stage(unit) | Op::Commit(unit))) => {
                self.roll_back(client, unit, &code);
            }
            ("unknown-transaction", Some(Op::Abort(unit))) => {
                for sub in self.touched(unit) {
                    self.model.abort_heard(sub);
                }
            }
            (_, op) => panic!("client {client} is refused {op:?}: {}", shown(frame)),
        }
    }

    fn roll_back(&mut self, client: usize, unit: UnitId, code: &str) {
        self.clients[client].units.retain(|other| *other != unit);
        let stage = self.model.units[unit].stage;
        let refused = self.model.units[unit].refused;
        let known = code == "full" || stage == UnitStage::Undone || refused;
        assert!(known, "{:?} is unknown", self.model.units[unit]);
        for sub in self.touched(unit) {
            // Nobody can say when the broker took its deliveries back.
            self.model.subs[sub].aborts += 1;
        }
        self.model.undone(unit);
    }

    /// Acknowledgements that were taken by the broker are carried out.
    pub fn promote(&mut self, client: usize) {
        if self.clients[client].peer.is_heard() {
            for sub in self.live_subs(client) {
                self.promote_sub(sub);
            }
        }
    }

    fn promote_sub(&mut self, sub: SubId) {
        for number in self.model.subs[sub].given.clone() {
            if let Some(copy) = self.model.held(sub, number)
                && copy.acked == Acked::Issued
            {
                copy.acked = Acked::Done;
            }
        }
    }
}
