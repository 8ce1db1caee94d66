//! The works that brokers are measured by.

/// A work by name.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// How it goes.
    pub shape: Shape,
}

/// How a work goes.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Messages that nobody waits for, through so many queues with so many clients each.
    Stream {
        /// Queues.
        queues: usize,
        /// Producers of each.
        producers: usize,
        /// Consumers of each.
        consumers: usize,
        /// Message groups that the messages belong to, or 0 for none.
        groups: u64,
    },
    /// One producer, so many subscribers.
    Topic {
        /// Subscribers.
        subscribers: usize,
    },
    /// Persistent messages with a receipt each, acknowledged one by one.
    Persistent {
        /// Producers.
        producers: usize,
        /// Consumers.
        consumers: usize,
        /// Receipts that a producer waits for at most.
        window: usize,
    },
    /// Producers that wait for each receipt.
    Synchronous {
        /// Producers.
        producers: usize,
    },
    /// Persistent messages without a consumer, a receipt for every tenth.
    Fill {
        /// Messages.
        messages: u64,
    },
    /// The same, consumed afterwards; the consuming is measured.
    Drain {
        /// Messages.
        messages: u64,
    },
    /// A request and its reply through two queues.
    RequestReply {
        /// Whether others keep the broker busy meanwhile.
        beside: bool,
    },
}

/// The works of the comparison.
pub(super) fn standard(backlog: u64) -> Vec<Workload> {
    let mut all = passing();
    all.extend(durable(backlog));
    for (name, about, beside) in [
        ("request-reply", "round trip through two queues", false),
        (
            "busy-reply",
            "round trip beside saturating 4 producers and 4 consumers",
            true,
        ),
    ] {
        all.push(work(name, about, Shape::RequestReply { beside }));
    }
    all
}

/// Works of messages that nobody has to store.
fn passing() -> Vec<Workload> {
    let stream = |queues, clients| Shape::Stream {
        queues,
        producers: clients,
        consumers: clients,
        groups: 0,
    };
    let many = |groups| Shape::Stream {
        queues: 1,
        producers: 4,
        consumers: 50,
        groups,
    };
    let topic = |subscribers| Shape::Topic { subscribers };
    vec![
        work(
            "np-1x1",
            "non-persistent, 1 producer, 1 consumer",
            stream(1, 1),
        ),
        work(
            "np-4x4",
            "non-persistent, 4 producers, 4 consumers, 1 queue",
            stream(1, 4),
        ),
        work(
            "queues-100",
            "non-persistent, 100 queues with 1 producer and 1 consumer each",
            stream(100, 1),
        ),
        work(
            "np-4x50",
            "non-persistent, 4 producers, 50 consumers, 1 queue",
            many(0),
        ),
        work(
            "groups-4x50",
            "the same in 10,000 message groups",
            many(10_000),
        ),
        work("topic-1x10", "1 producer, 10 subscribers", topic(10)),
        work("topic-1x100", "1 producer, 100 subscribers", topic(100)),
    ]
}

/// Works of messages that have to survive.
fn durable(messages: u64) -> Vec<Workload> {
    let persistent = Shape::Persistent {
        producers: 4,
        consumers: 4,
        window: 100,
    };
    let synchronous = |producers| Shape::Synchronous { producers };
    vec![
        work(
            "persistent-4x4",
            "persistent, a receipt each, window 100, acknowledged one by one",
            persistent,
        ),
        work(
            "sync-1",
            "1 producer that waits for each receipt",
            synchronous(1),
        ),
        work(
            "sync-16",
            "16 producers that wait for each receipt",
            synchronous(16),
        ),
        work(
            "fill",
            "persistent backlog, a receipt for every tenth",
            Shape::Fill { messages },
        ),
        work(
            "drain",
            "the same, consumed afterwards",
            Shape::Drain { messages },
        ),
    ]
}

fn work(name: &str, about: &str, shape: Shape) -> Workload {
    Workload {
        name: name.to_owned(),
        about: about.to_owned(),
        shape,
    }
}

impl Workload {
    /// A work of the user's own.
    pub fn own(producers: usize, consumers: usize, window: Option<usize>) -> Self {
        let (kind, shape) = match window {
            Some(window) => (
                "persistent",
                Shape::Persistent {
                    producers,
                    consumers,
                    window,
                },
            ),
            None => (
                "np",
                Shape::Stream {
                    queues: 1,
                    producers,
                    consumers,
                    groups: 0,
                },
            ),
        };
        Self {
            name: format!("{kind}-{producers}x{consumers}"),
            about: "as asked".to_owned(),
            shape,
        }
    }
}
