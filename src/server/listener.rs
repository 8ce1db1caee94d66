//! Accepts connections at one address and gives each its task.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::{Budget, Driver, Ending};
use super::count::Tallies;
use crate::broker::{Broker, ListenerMetrics, Outbox, ProtocolMetrics};
use crate::core::ConnectionId;
use crate::protocol::{Code, Departure, Session as _, stomp};
use crate::store::Durable as _;

/// How long accepting pauses when the system has no descriptors left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A peer that has vanished without a word is noticed after about this.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;

/// The log hears of refused connections at most so often, in milliseconds.
const WARN_INTERVAL: u64 = 1000;

/// How many connections there may be, over all listeners.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) total: usize,
    pub(super) per_address: usize,
}

/// All open connections, so that they are bounded and can be told to end.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    /// Tells how many there are to whoever waits for the last one.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Open {
    outboxes: FxHashMap<ConnectionId, (IpAddr, Arc<Outbox>)>,
    by_address: FxHashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    /// Asks every connection to end.
    pub(super) fn stop_all(&self) {
        for outbox in self.outboxes() {
            outbox.stop();
        }
    }

    /// Tells every connection that nothing durable can be promised any more.
    pub(super) fn fail_all(&self, cause: &str) {
        for outbox in self.outboxes() {
            outbox.failed(cause);
        }
    }

    fn outboxes(&self) -> Vec<Arc<Outbox>> {
        let open = self.open.lock();
        let outboxes = open.outboxes.values();
        outboxes.map(|(_, outbox)| Arc::clone(outbox)).collect()
    }

    /// How many there are, to watch it fall.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Adds a connection, or says which limit it would exceed.
    fn add(
        &self,
        id: ConnectionId,
        address: IpAddr,
        outbox: &Arc<Outbox>,
    ) -> Result<(), stomp::Overload> {
        let mut open = self.open.lock();
        let (total, here) = (
            open.outboxes.len(),
            open.by_address.get(&address).copied().unwrap_or(0),
        );
        if total >= self.limits.total {
            let (key, limit) = ("limits.max_connections", self.limits.total);
            return Err(stomp::Overload {
                what: "the broker",
                key,
                limit,
            });
        }
        if here >= self.limits.per_address {
            let (key, limit) = ("limits.max_connections_per_ip", self.limits.per_address);
            return Err(stomp::Overload {
                what: "this address",
                key,
                limit,
            });
        }
        open.outboxes.insert(id, (address, Arc::clone(outbox)));
        *open.by_address.entry(address).or_default() += 1;
        self.count.send_replace(total + 1);
        Ok(())
    }

    fn remove(&self, id: ConnectionId) {
        let mut open = self.open.lock();
        let Some((address, _)) = open.outboxes.remove(&id) else {
            return;
        };
        if let Some(here) = open.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&address);
            }
        }
        self.count.send_replace(open.outboxes.len());
    }
}

/// One address that clients connect to.
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) socket: TcpListener,
    pub(super) broker: Arc<Broker>,
    pub(super) connections: Arc<Connections>,
    pub(super) session: Arc<stomp::Config>,
    pub(super) budget: Budget,
    pub(super) metrics: ListenerMetrics,
    pub(super) protocol_metrics: Arc<ProtocolMetrics>,
    /// When the log was told last that connections are refused, as a tick.
    pub(super) warned: AtomicU64,
}

impl Listener {
    /// Accepts until told to stop; then the address is free again.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let this = Arc::new(self);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                accepted = this.socket.accept() => match accepted {
                    Ok((socket, peer)) => this.welcome(socket, peer),
                    Err(error) => this.accept_failed(&error).await,
                },
            }
        }
    }

    async fn accept_failed(&self, error: &io::Error) {
        tracing::warn!(target: "tidegate::listener", listener = self.name, %error, "accept failed");
        // A connection that broke before it was accepted is nobody's fault; having no descriptors
        // left passes when others close.
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
    }

    fn welcome(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        prepare(&socket);
        let connection = self.broker.connect();
        let id = connection.id();
        let clock = self.broker.clock();
        let mut session = stomp::Session::new(Arc::clone(&self.session), id, clock.now());
        let admitted = self.connections.add(id, peer.ip(), connection.outbox());
        if let Err(overload) = &admitted {
            self.warn_of_overload(peer, overload);
            session.refuse(overload);
        } else if let Some(cause) = self.broker.failure() {
            session.store_failed(clock.now(), &cause);
        }
        self.metrics.opened.increment(1);
        self.metrics.connections.increment(1.0);
        let driver = Driver::new(
            socket,
            Box::new(session),
            connection,
            clock,
            self.budget,
            Tallies::new(Arc::clone(&self.protocol_metrics)),
        );
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let (ending, error) = driver.await;
            this.farewell(id, peer, ending, error, admitted.is_ok());
        });
    }

    /// At most once a second: whoever knocks must not fill the log.
    fn warn_of_overload(&self, peer: SocketAddr, overload: &stomp::Overload) {
        let now = self.broker.clock().now().tick.0.max(1);
        let last = self.warned.load(Ordering::Relaxed);
        if (last == 0 || now >= last + WARN_INTERVAL)
            && self
                .warned
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            tracing::warn!(target: "tidegate::listener", listener = self.name, %peer, %overload,
                "connections are refused");
        }
    }

    fn farewell(
        &self,
        id: ConnectionId,
        peer: SocketAddr,
        ending: Ending,
        error: Option<Code>,
        admitted: bool,
    ) {
        self.connections.remove(id);
        self.metrics.connections.decrement(1.0);
        let closed = &self.metrics.closed;
        let reason = match (ending, error) {
            _ if !admitted => &closed.limit,
            (Ending::Session(_), Some(Code::HeartBeatTimeout)) => &closed.heartbeat,
            (Ending::Session(_), Some(Code::LoginTimeout)) => &closed.auth,
            (Ending::Session(_), Some(Code::Shutdown)) => &closed.drain,
            (Ending::Gone | Ending::Session(Departure::Clean), _) => &closed.client,
            (Ending::Session(Departure::Abnormal), _) => &closed.error,
        };
        reason.increment(1);
        let error = error.map(Code::text);
        tracing::debug!(target: "tidegate::listener", listener = self.name, %peer, ?ending, error,
            "connection closed");
    }
}

/// Waits until told to stop, or until nobody is left who could tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Sets what every connection has: no delay for small writes, and probes that notice a peer which
/// vanished.
fn prepare(socket: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let reference = SockRef::from(socket);
    let set = socket
        .set_nodelay(true)
        .and_then(|()| reference.set_tcp_keepalive(&keepalive))
        .and_then(|()| {
            reference
                .set_tcp_user_timeout(Some(KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_PROBES))
        });
    if let Err(error) = set {
        // The connection works without.
        tracing::debug!(target: "tidegate::listener", %error, "socket options not set");
    }
}
