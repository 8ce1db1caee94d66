//! What comes of an operation on the queue, carried out and compared with the model.

use std::sync::Arc;

use tidegate::internal::core::{
    Delivery, PageReader, Persist, Priority, StoredMessage, StoredPage, SubscriptionKey, Tally,
};

use super::{Check, Consumer, Known};

impl Check {
    /// Does what the queue wants done, until it wants nothing more.
    pub(super) fn settle_effects(&mut self) {
        loop {
            let mut given: Vec<(SubscriptionKey, Vec<_>)> = Vec::new();
            self.effects
                .drain_deliveries(|key, list| given.push((key, std::mem::take(list))));
            let mut chosen = Vec::new();
            for (key, list) in given {
                for delivery in list {
                    chosen.push((self.delivered(key, &delivery), delivery.message));
                }
            }
            // One list for each consumer: who was first is not to be seen.
            for (consumer, message) in chosen {
                self.check_choice(consumer, &message);
            }
            for change in self.effects.persist.drain(..) {
                match change {
                    Persist::Put {
                        at, message, state, ..
                    } => {
                        assert!(self.stored.insert(at.position, (message, state)).is_none());
                    }
                    Persist::Remove { at } => {
                        assert!(self.stored.remove(&at.position).is_some(), "removed twice");
                    }
                    Persist::Returned { at, state } => {
                        self.stored.get_mut(&at.position).expect("it is stored").1 = state;
                    }
                    Persist::Define { .. } | Persist::Undefine { .. } | Persist::Horizon { .. } => {
                    }
                }
            }
            for forward in std::mem::take(&mut self.effects.forwards) {
                assert!(
                    self.dead.contains(&forward.message.id.number),
                    "a dead letter that lives"
                );
                assert!(forward.message.provenance.is_some());
                for change in forward.with {
                    let Persist::Remove { at } = change else {
                        panic!("{change:?} with a dead letter");
                    };
                    assert!(self.stored.remove(&at.position).is_some());
                }
            }
            self.effects.tally = Tally::default();
            if let Some(position) = self.effects.awaits_horizon.take() {
                self.queue
                    .horizon_durable(self.now, position, &mut self.effects);
                continue;
            }
            let Some(request) = self.effects.pages.pop() else {
                break;
            };
            let mut page = StoredPage {
                resume_at: request.from,
                exhausted: true,
                ..StoredPage::default()
            };
            let mut bytes = 0;
            for (position, (message, state)) in self.stored.range(request.from..) {
                if request
                    .priority
                    .is_some_and(|priority| priority != message.priority)
                {
                    continue;
                }
                if bytes >= request.bytes {
                    page.exhausted = false;
                    break;
                }
                bytes += message.footprint() as u64;
                page.resume_at = position.next();
                let (position, message, state) = (*position, Arc::clone(message), *state);
                page.messages.push(StoredMessage {
                    position,
                    message,
                    state,
                });
            }
            if request.reader == PageReader::Aside {
                self.queue.page_in_aside(self.now, page, &mut self.effects);
                continue;
            }
            let priority = request.priority.unwrap_or(Priority::DEFAULT);
            self.queue
                .page_in(self.now, priority, page, &mut self.effects);
        }
    }

    /// Notes a delivery. Returns to whom it was made.
    fn delivered(&mut self, key: SubscriptionKey, delivery: &Delivery) -> usize {
        let (number, tag) = (delivery.message.id.number, delivery.tag.0);
        let consumer = self
            .consumers
            .iter()
            .rposition(|consumer| consumer.key == key && !consumer.ended);
        let consumer = consumer.expect("a delivery to nobody");
        let last = self.last_tag.insert(consumer, tag).unwrap_or_default();
        assert!(tag > last, "tags grow");
        let expired = |known: &Known, now: u64| known.expires.is_some_and(|at| at <= now);
        let now = self.now.wall.0;
        let known = *self
            .messages
            .get(&number)
            .expect("a message that is gone is delivered");
        assert!(known.held.is_none(), "{number} is delivered twice");
        assert!(!expired(&known, now), "an expired message is delivered");
        self.messages.get_mut(&number).unwrap().held = Some((consumer, tag));
        let counted = self.open(consumer).len();
        let Consumer {
            prefetch, aborted, ..
        } = self.consumers[consumer];
        assert!(
            aborted || counted <= prefetch as usize,
            "prefetch {prefetch}, held {counted}"
        );
        consumer
    }

    pub(super) fn compare(&self) {
        let now = self.now.wall.0;
        // The queue notices what has expired when it comes to it.
        let waiting = self.messages.values().filter(|known| known.held.is_none());
        let (all, fresh) = waiting.fold((0, 0), |(all, fresh), known| {
            let expired = known.expires.is_some_and(|at| at <= now);
            (all + 1, fresh + u64::from(!expired))
        });
        let ready = self.queue.ready_count();
        assert!(
            (fresh..=all).contains(&ready),
            "{ready} wait, expected {fresh} to {all}"
        );
        let held = self
            .messages
            .values()
            .filter(|known| known.held.is_some())
            .count() as u64;
        assert_eq!(self.queue.unsettled_count(), held);
    }
}
