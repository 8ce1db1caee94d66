//! What transactions do in the model.

use super::model::{Acked, Model, Sent, UnitId, UnitStage};

impl Model {
    /// An ABORT has come to its end.
    pub fn abort_heard(&mut self, sub: super::model::SubId) {
        let event = self.event;
        let subscription = &mut self.subs[sub];
        subscription.aborts -= 1;
        subscription.abort_heard = Some(event);
    }

    /// COMMIT is asked for.
    pub fn commit(&mut self, unit: UnitId) {
        self.units[unit].stage = UnitStage::Committing;
        for number in self.units[unit].sends.clone() {
            self.issue(number);
        }
        // Something in it may have been refused, which its client has not heard.
        let certain = !self.units_may_end_early;
        for (sub, number, _) in self.units[unit].refuses.clone() {
            if let Some(copy) = self.held(sub, number) {
                copy.fail(certain);
                copy.held.as_mut().expect("it is held").leaving = true;
            }
        }
    }

    /// A transaction is known to be effective.
    pub fn committed(&mut self, unit: UnitId) {
        assert_ne!(
            self.units[unit].stage,
            UnitStage::Undone,
            "{:?}",
            self.units[unit]
        );
        if self.units[unit].stage == UnitStage::Committed {
            return;
        }
        self.units[unit].stage = UnitStage::Committed;
        let durable = self.receipts_are_durable;
        for number in self.units[unit].sends.clone() {
            if self.messages[number].sent == Sent::Issued {
                self.accepted(number);
            }
        }
        for (sub, number) in self.units[unit].accepts.clone() {
            let copy = self.copy(sub, number);
            if copy.acked == Acked::Unit(unit) {
                copy.acked = if durable { Acked::Durable } else { Acked::Done };
            }
        }
    }

    /// A transaction is known to be without effect.
    pub fn undone(&mut self, unit: UnitId) {
        assert_ne!(
            self.units[unit].stage,
            UnitStage::Committed,
            "{:?}",
            self.units[unit]
        );
        if self.units[unit].stage == UnitStage::Undone {
            return;
        }
        let was_committing = self.units[unit].stage == UnitStage::Committing;
        let may_end_early = self.units_may_end_early;
        self.units[unit].stage = UnitStage::Undone;
        for number in self.units[unit].sends.clone() {
            self.never(number);
        }
        for (sub, number) in self.units[unit].accepts.clone() {
            self.subs[sub].over = true;
            let copy = self.copy(sub, number);
            if copy.acked == Acked::Unit(unit) {
                copy.acked = Acked::No;
            }
        }
        for (sub, number, _) in self.units[unit].refuses.clone() {
            self.subs[sub].over = true;
            if let Some(copy) = self.held(sub, number)
                && let Some(held) = &mut copy.held
                && held.nacked_in == Some(unit)
            {
                held.nacked_in = None;
                if was_committing {
                    held.leaving = false;
                    // When the subscription ended, its doubt may have been taken into account.
                    let counted = u32::from(!may_end_early);
                    copy.attempts.0 = copy.attempts.0.saturating_sub(counted);
                    copy.attempts.1 -= 1;
                }
            }
        }
    }
}
