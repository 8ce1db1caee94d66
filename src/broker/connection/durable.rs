//! A connection's durable subscriptions.

use std::sync::Arc;

use super::super::cell::Work;
use super::super::durable::Durable;
use super::super::registry::Death;
use super::{Connection, unsubscribe};
use crate::core::{
    DestinationName, Done, DurableName, DurableSubscription, Now, Pattern, Refusal,
    SubscribeOptions, SubscriptionId,
};

impl Connection {
    /// Makes sure that there is a durable subscription as it is asked for, and that the store knows it.
    /// One that was defined otherwise is made anew, without what waits for it. Returns whether it is
    /// news for the store.
    pub(super) fn define_durable(
        &mut self,
        work: &mut Work,
        now: Now,
        destination: &DestinationName,
        options: &SubscribeOptions,
        name: &DurableName,
    ) -> Result<bool, Refusal> {
        let shared = Arc::clone(&self.shared);
        let definition = DurableSubscription {
            name: name.clone(),
            topic: Pattern::new(destination.name()),
            no_local: options.no_local.is_some(),
            selector: options.selector.clone(),
        };
        let queue = definition.queue()?;
        if let Some(known) = shared.registry.durables().find(name) {
            if known.is_active() {
                return Err(Refusal::DurableInUse(name.clone()));
            }
            if known.cell.name != queue {
                self.end_durable(work, &known)?;
            }
        }
        let cell = shared.registry.get(&queue, self.id, &shared)?;
        shared.registry.route_to(&cell, now);
        let (news, _) = cell.with(&shared, work, None, |state, effects, _| {
            state.destination.declare(effects)
        });
        Ok(news)
    }

    /// Starts to receive from a durable subscription that is there.
    pub(super) fn subscribe_durable(
        &mut self,
        work: &mut Work,
        now: Now,
        id: SubscriptionId,
        options: SubscribeOptions,
        name: &DurableName,
    ) -> Result<(), Refusal> {
        let found = self.shared.registry.durables().find(name);
        let durable = found.ok_or_else(|| Refusal::NoDurable(name.clone()))?;
        if !durable.activate(self.id) {
            return Err(Refusal::DurableInUse(name.clone()));
        }
        // What it does not want was never sent to its queue.
        let options = SubscribeOptions {
            selector: None,
            no_local: None,
            durable: None,
            ..options
        };
        let cell = Arc::clone(&durable.cell);
        let (key, _) = cell.with(&self.shared, work, None, |state, effects, _| {
            (!state.gone).then(|| state.subscribe(now, id, options, &self.outbox, effects))
        });
        let Some(key) = key else {
            durable.deactivate(now);
            return Err(Refusal::NoDurable(name.clone()));
        };
        self.subscriptions.insert(id, (cell, key));
        Ok(())
    }

    /// Ends a durable subscription for good; also one that this connection itself receives from.
    pub(super) fn forget_durable(
        &mut self,
        work: &mut Work,
        now: Now,
        name: &DurableName,
    ) -> Result<Done, Refusal> {
        let found = self.shared.registry.durables().find(name);
        let durable = found.ok_or_else(|| Refusal::NoDurable(name.clone()))?;
        let own = self.subscriptions.iter();
        let own: Vec<_> = own
            .filter(|(_, (cell, _))| Arc::ptr_eq(cell, &durable.cell))
            .map(|(id, _)| *id)
            .collect();
        for id in own {
            if let Some((cell, key)) = self.subscriptions.remove(&id) {
                self.ended(id);
                unsubscribe(&self.shared, work, now, &cell, key, None);
            }
        }
        if durable.is_active() {
            return Err(Refusal::DurableInUse(name.clone()));
        }
        self.end_durable(work, &durable)?;
        let until = self.shared.writer.sync(&self.waiter());
        Ok(self.done(until))
    }

    fn end_durable(&self, work: &mut Work, durable: &Arc<Durable>) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let cell = &durable.cell;
        let ended = shared
            .registry
            .remove(cell, Death::Deleted, &shared, work, |state| {
                !state.is_in_use() && cell.has_settled()
            });
        if !ended && !cell.is_gone() {
            return Err(Refusal::DurableInUse(durable.definition.name.clone()));
        }
        Ok(())
    }
}
