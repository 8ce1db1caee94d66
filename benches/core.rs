//! The core alone: what one message costs on its way through a queue.
//!
//! `cargo bench --bench core`. A message is enqueued, given to a consumer and accepted, in runs as a
//! connection submits them. The gate is 0.6 µs for each.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

use std::sync::Arc;
use std::time::Instant;

use tidegate::internal::core::{
    AckMode, BodyKind, ConnectionId, DeliveryTag, DestinationId, DestinationName,
    DestinationPolicy, Effects, Encoded, Form, Keep, Message, MessageId, Now, Outcome, Priority,
    Queue, SubscribeOptions, SubscriptionId, Tags, Tick, Timestamp,
};

const GATE_MICROS: f64 = 0.6;
const RUN: usize = 50;
const RUNS: usize = 4_000;
const ROUNDS: usize = 9;

fn policy(keep: Keep) -> Arc<DestinationPolicy> {
    Arc::new(DestinationPolicy {
        keep,
        ..DestinationPolicy::default()
    })
}

fn message(number: u64, bytes: &bytes::Bytes) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId {
            connection: ConnectionId(1),
            number,
        },
        timestamp: Timestamp(1),
        expiration: None,
        priority: Priority::DEFAULT,
        persistent: true,
        body_kind: BodyKind::Text,
        grouped: false,
        identified: false,
        encoded: Encoded {
            form: Form::StompPlain,
            bytes: bytes.clone(),
            body_start: 0,
            body_length: 1024,
        },
        sent_to: None,
        job: None,
        provenance: None,
    })
}

/// Microseconds for each message.
fn measure(consumers: u32, keep: Keep) -> f64 {
    let name = DestinationName::queue("q").unwrap();
    let mut queue = Queue::new(DestinationId(1), name, policy(keep));
    let mut effects = Effects::default();
    let now = Now {
        wall: Timestamp(1),
        tick: Tick(1),
    };
    let options = SubscribeOptions::new(100, AckMode::ClientIndividual);
    let keys: Vec<_> = (0..consumers)
        .map(|id| queue.subscribe(now, SubscriptionId(id), options.clone(), &mut effects))
        .collect();
    let bytes = bytes::Bytes::from(vec![7; 1024]);
    let mut last = vec![DeliveryTag(0); keys.len()];
    let mut number = 0;
    let started = Instant::now();
    for _ in 0..RUNS {
        for _ in 0..RUN {
            number += 1;
            queue
                .enqueue(now, message(number, &bytes), false, &mut effects)
                .unwrap();
        }
        effects.drain_deliveries(|key, list| {
            let index = keys.iter().position(|known| *known == key).unwrap();
            last[index] = list.last().unwrap().tag;
        });
        for (key, last) in keys.iter().zip(&last) {
            queue
                .settle(
                    now,
                    *key,
                    Tags::Through(*last),
                    Outcome::Accept,
                    &mut effects,
                )
                .unwrap();
        }
        effects.persist.clear();
        effects.awaits_horizon = None;
        effects.tally = tidegate::internal::core::Tally::default();
    }
    started.elapsed().as_secs_f64() * 1e6 / (RUN * RUNS) as f64
}

fn main() {
    for (what, consumers, keep) in [
        ("1 consumer, persistent", 1, Keep::All),
        ("4 consumers, persistent", 4, Keep::All),
        ("1 consumer, not stored", 1, Keep::Nothing),
    ] {
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| measure(consumers, keep)).collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds[ROUNDS / 2];
        let verdict = if median <= GATE_MICROS {
            "reached"
        } else {
            "MISSED"
        };
        println!("{what:<26} {median:.3} µs for each message   gate {GATE_MICROS} {verdict}");
    }
}
