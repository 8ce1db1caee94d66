//! One work, done once: clients as tasks of one thread, so that they cost the broker little of the
//! machine.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::LocalSet;

use super::super::error::CliError;
use super::client::{consume, count, echo, produce, produce_windowed, request};
use super::link::{connect, now};
use super::peer::cpu_time;
use super::report::Measurement;
use super::work::{Shape, Workload};
use super::{Amount, Broker};

/// When nothing has arrived for so long after the producers have stopped, messages are missing.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the end of a work is looked for.
const GLANCE: Duration = Duration::from_millis(2);

/// What the clients of one work share.
pub(super) struct Shared {
    /// The broker.
    pub(super) broker: Broker,
    /// Producers are to stop.
    pub(super) stop: Cell<bool>,
    pub(super) size: usize,
    sent: Cell<u64>,
    received: Cell<u64>,
    /// When the last message arrived.
    last: Cell<Instant>,
    latency: RefCell<Histogram<u64>>,
    failed: RefCell<Option<CliError>>,
}

impl Shared {
    fn new(broker: &Broker, size: usize) -> Result<Rc<Self>, CliError> {
        let latency = Histogram::new(3).map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(Rc::new(Self {
            broker: broker.clone(),
            stop: Cell::new(false),
            size,
            sent: Cell::new(0),
            received: Cell::new(0),
            last: Cell::new(now()),
            latency: RefCell::new(latency),
            failed: RefCell::new(None),
        }))
    }

    pub(super) fn sent(&self, count: u64) {
        self.sent.set(self.sent.get() + count);
    }

    pub(super) fn received(&self, count: u64) {
        self.received.set(self.received.get() + count);
        self.last.set(now());
    }

    pub(super) fn took(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        // A histogram that grows takes any value.
        let _ = self.latency.borrow_mut().record(micros.max(1));
    }

    /// Runs a client; the first one that fails ends the work.
    fn spawn(self: &Rc<Self>, client: impl Future<Output = Result<(), CliError>> + 'static) {
        let shared = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if let Err(error) = client.await {
                shared.failed.borrow_mut().get_or_insert(error);
            }
        });
    }

    /// Waits until something holds, or a client has failed.
    async fn until(&self, holds: impl Fn(&Self) -> bool) -> Result<(), CliError> {
        loop {
            if let Some(error) = self.failed.borrow_mut().take() {
                return Err(error);
            }
            if holds(self) {
                return Ok(());
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}

/// Does a work once and measures it.
pub(super) async fn measure(
    broker: &Broker,
    workload: &Workload,
    amount: Amount,
    round: u32,
) -> Result<Measurement, CliError> {
    let shared = Shared::new(broker, amount.size)?;
    // Names of this run alone: what an earlier one has left on a queue must not be counted.
    let queue = format!(
        "/queue/bench.{}.{}.{round}",
        std::process::id(),
        workload.name
    );
    let local = LocalSet::new();
    let result = local
        .run_until(do_work(&shared, workload.shape, &queue, amount))
        .await;
    shared.stop.set(true);
    result
}

async fn do_work(
    shared: &Rc<Shared>,
    shape: Shape,
    queue: &str,
    amount: Amount,
) -> Result<Measurement, CliError> {
    match shape {
        Shape::Stream {
            queues,
            producers,
            consumers,
            groups,
        } => {
            let names: Vec<_> = (0..queues)
                .map(|number| format!("{queue}.{number}"))
                .collect();
            listen(shared, &names, consumers).await?;
            let span = Span::begin(shared);
            for name in &names {
                for _ in 0..producers {
                    shared.spawn(produce(Rc::clone(shared), name.clone(), groups));
                }
            }
            stream(shared, span, amount.time, 1).await
        }
        Shape::Topic { subscribers } => {
            let topic = queue.replacen("/queue/", "/topic/", 1);
            listen(shared, std::slice::from_ref(&topic), subscribers).await?;
            let span = Span::begin(shared);
            shared.spawn(produce(Rc::clone(shared), topic, 0));
            stream(shared, span, amount.time, subscribers as u64).await
        }
        Shape::Persistent {
            producers,
            consumers,
            window,
        } => {
            for _ in 0..consumers {
                consume(shared, queue)
                    .await
                    .map(|client| shared.spawn(client))?;
            }
            let span = Span::begin(shared);
            for _ in 0..producers {
                send_persistent(shared, queue, window);
            }
            stream(shared, span, amount.time, 1).await
        }
        Shape::Synchronous { producers } => synchronous(shared, queue, producers, amount).await,
        Shape::Fill { messages } => {
            let measured = fill(shared, queue, messages).await?;
            empty(shared, queue).await?;
            Ok(measured)
        }
        Shape::Drain { messages } => {
            fill(shared, queue, messages).await?;
            empty(shared, queue).await
        }
        Shape::RequestReply { beside } => request_reply(shared, queue, amount, beside).await,
    }
}

/// Lets so many consumers listen at each of these destinations.
async fn listen(shared: &Rc<Shared>, names: &[String], consumers: usize) -> Result<(), CliError> {
    for name in names {
        for _ in 0..consumers {
            count(shared, name)
                .await
                .map(|client| shared.spawn(client))?;
        }
    }
    Ok(())
}

/// Lets a producer send with a receipt for each message.
fn send_persistent(shared: &Rc<Shared>, queue: &str, window: usize) {
    let queue = queue.to_owned();
    shared.spawn(produce_windowed(Rc::clone(shared), queue, window, 1, None));
}

/// Producers that wait for each receipt; what they sent is consumed when that is measured.
async fn synchronous(
    shared: &Rc<Shared>,
    queue: &str,
    producers: usize,
    amount: Amount,
) -> Result<Measurement, CliError> {
    let span = Span::begin(shared);
    for _ in 0..producers {
        send_persistent(shared, queue, 1);
    }
    let end = now() + amount.time;
    shared.until(|_| now() >= end).await?;
    let measured = span.end(shared, shared.sent.get(), now());
    shared.stop.set(true);
    empty(shared, queue).await?;
    Ok(measured)
}

/// Lets producers work for a time, then waits until all has arrived everywhere.
async fn stream(
    shared: &Rc<Shared>,
    span: Span,
    time: Duration,
    copies: u64,
) -> Result<Measurement, CliError> {
    let end = now() + time;
    shared.until(|_| now() >= end).await?;
    shared.stop.set(true);
    // What producers have in hand still goes out and is counted.
    tokio::time::sleep(GLANCE * 10).await;
    shared
        .until(|shared| {
            let complete = shared.received.get() >= shared.sent.get() * copies;
            complete || shared.last.get().elapsed() > PATIENCE
        })
        .await?;
    let (received, expected) = (shared.received.get(), shared.sent.get() * copies);
    let mut measured = span.end(shared, received, shared.last.get());
    measured.missing = expected.saturating_sub(received);
    Ok(measured)
}

/// Sends a backlog that nobody consumes.
async fn fill(shared: &Rc<Shared>, queue: &str, messages: u64) -> Result<Measurement, CliError> {
    let span = Span::begin(shared);
    let producer = produce_windowed(Rc::clone(shared), queue.to_owned(), 100, 10, Some(messages));
    shared.spawn(producer);
    shared.until(|shared| shared.sent.get() >= messages).await?;
    Ok(span.end(shared, messages, now()))
}

/// Consumes all that was sent.
async fn empty(shared: &Rc<Shared>, queue: &str) -> Result<Measurement, CliError> {
    let span = Span::begin(shared);
    consume(shared, queue)
        .await
        .map(|client| shared.spawn(client))?;
    shared
        .until(|shared| {
            let complete = shared.received.get() >= shared.sent.get();
            complete || shared.last.get().elapsed() > PATIENCE
        })
        .await?;
    Ok(span.end(shared, shared.received.get(), shared.last.get()))
}

async fn request_reply(
    shared: &Rc<Shared>,
    queue: &str,
    amount: Amount,
    beside: bool,
) -> Result<Measurement, CliError> {
    let noise = Shared::new(&shared.broker, amount.size)?;
    if beside {
        let name = format!("{queue}.noise");
        for _ in 0..4 {
            count(&noise, &name)
                .await
                .map(|client| noise.spawn(client))?;
        }
        for _ in 0..4 {
            noise.spawn(produce(Rc::clone(&noise), name.clone(), 0));
        }
    }
    let (to, from) = (format!("{queue}.request"), format!("{queue}.reply"));
    echo(shared, &to, &from)
        .await
        .map(|client| shared.spawn(client))?;
    let client = request(shared, &to, &from).await?;
    let span = Span::begin(shared);
    shared.spawn(client);
    let end = now() + amount.time;
    shared.until(|_| now() >= end).await?;
    let measured = span.end(shared, shared.received.get(), now());
    shared.stop.set(true);
    noise.stop.set(true);
    noise
        .until(|noise| {
            let complete = noise.received.get() >= noise.sent.get();
            complete || noise.last.get().elapsed() > PATIENCE
        })
        .await?;
    Ok(measured)
}

/// A stretch of time that is measured.
struct Span {
    started: Instant,
    cpu: Option<Duration>,
}

impl Span {
    fn begin(shared: &Shared) -> Self {
        shared.last.set(now());
        Self {
            started: now(),
            cpu: shared.broker.pid.and_then(cpu_time),
        }
    }

    fn end(self, shared: &Shared, messages: u64, at: Instant) -> Measurement {
        let seconds = at.duration_since(self.started).as_secs_f64().max(1e-6);
        let used = shared.broker.pid.and_then(cpu_time).zip(self.cpu);
        let cpu = used.map(|(now, before)| now.saturating_sub(before).as_secs_f64() * 1e6);
        let latency = shared.latency.borrow();
        let percentile = |percent: f64| {
            let value = latency.value_at_quantile(percent / 100.0);
            (!latency.is_empty()).then_some(value as f64)
        };
        Measurement {
            per_second: messages as f64 / seconds,
            cpu_micros: cpu.map(|cpu| cpu / messages.max(1) as f64),
            p50_micros: percentile(50.0),
            p99_micros: percentile(99.0),
            missing: 0,
        }
    }
}

/// Connects a client of this work.
pub(super) async fn join(
    shared: &Shared,
) -> Result<
    (
        super::link::Sender,
        super::link::Receiver,
        crate::codec::stomp::Version,
    ),
    CliError,
> {
    connect(&shared.broker.url).await
}
