//! The server around a broker: listeners, metrics and health over HTTP, an orderly end.
//!
//! Lives here: sockets, the driver of a connection, settings, signals' consequences. May import
//! everything below. Deliberately not here: what a frame means, what becomes of a message.

pub mod config;
mod connection;
mod count;
mod error;
mod http;
mod listener;
mod machine;
mod policies;
mod routes;
mod settings;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::{Broker, BrokerError, ListenerMetrics, NAMES, ProtocolMetrics, Shape, Totals};
use config::{Engine, Settings};
use listener::{Connections, Listener};
use settings::DiskState;

pub use crate::store::measure_flush;
pub use error::ServerError;
pub use routes::Routes;

/// How many connections the system keeps that have not been accepted.
const BACKLOG: u32 = 1024;

/// How often free space is looked at.
const DISK_INTERVAL: Duration = Duration::from_secs(5);

/// How often it is looked whether the store has failed.
const FAILURE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the recorder of metrics tidies up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A running server.
pub struct Server {
    broker: Arc<Broker>,
    connections: Arc<Connections>,
    /// The addresses that are listened on, by the listener's name.
    listening: Vec<(String, SocketAddr)>,
    http: Option<SocketAddr>,
    /// Turns true when nothing new is accepted any more.
    stop: watch::Sender<bool>,
    /// Turns true when HTTP ends, which it does last.
    stop_http: watch::Sender<bool>,
    accepting: JoinSet<()>,
    serving: JoinSet<()>,
    grace: Duration,
}

/// Makes the recorder of metrics of this process. Has to come before the server whose metrics it is
/// to show.
///
/// # Errors
/// When another recorder was made before.
pub fn install_recorder() -> Result<PrometheusHandle, ServerError> {
    let other = |error: String| ServerError::System {
        action: "cannot record metrics",
        source: std::io::Error::other(error),
    };
    let mut builder = PrometheusBuilder::new();
    for metric in &NAMES {
        if let Shape::Histogram(bounds) = metric.shape {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
                .map_err(|error| other(error.to_string()))?;
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| other(error.to_string()))?;
    crate::broker::describe();
    Ok(handle)
}

impl Server {
    /// Opens the store and every address. On return clients are served.
    ///
    /// # Errors
    /// When the store cannot be opened, or an address not be listened on.
    pub async fn start(
        settings: &Settings,
        recorder: Option<PrometheusHandle>,
    ) -> Result<Self, ServerError> {
        // Addresses first: a second broker on the same machine fails before it touches anything.
        let mut sockets = Sockets::bind(settings)?;
        // Whoever looks while the store is opened, which may take long after a crash, is answered.
        let front = Front::open(sockets.http.take(), settings, recorder)?;
        let broker = open(&settings::broker(settings)).await?;
        Self::around(broker, sockets, settings, front)
    }

    /// Serves a broker that is open already.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub fn serve(
        broker: Broker,
        settings: &Settings,
        recorder: Option<PrometheusHandle>,
    ) -> Result<Self, ServerError> {
        let mut sockets = Sockets::bind(settings)?;
        let front = Front::open(sockets.http.take(), settings, recorder)?;
        Self::around(broker, sockets, settings, front)
    }

    fn around(
        broker: Broker,
        sockets: Sockets<'_>,
        settings: &Settings,
        front: Front,
    ) -> Result<Self, ServerError> {
        let broker = Arc::new(broker);
        // Nobody else sets it.
        let _ = front.broker.set(Arc::clone(&broker));
        let stopping = front.stop.subscribe();
        let connections = Arc::new(Connections::new(settings::connections(&settings.limits)));
        let mut server = Self {
            broker: Arc::clone(&broker),
            connections,
            listening: Vec::new(),
            http: front.address,
            stop: front.stop,
            stop_http: front.stop_http,
            accepting: JoinSet::new(),
            serving: front.serving,
            grace: settings.broker.shutdown_grace,
        };
        server.watch_disk(settings);
        server.watch_store();
        let protocol_metrics = Arc::new(ProtocolMetrics::register("stomp"));
        for (name, listener, socket) in sockets.listeners {
            let address = local_address(&socket)?;
            server.listening.push((name.to_owned(), address));
            let listener = Listener {
                name: name.to_owned(),
                socket,
                broker: Arc::clone(&broker),
                connections: Arc::clone(&server.connections),
                session: settings::session(settings, listener),
                budget: settings::budget(&settings.server),
                metrics: ListenerMetrics::register("stomp", "tcp", name),
                protocol_metrics: Arc::clone(&protocol_metrics),
                warned: 0.into(),
            };
            server.accepting.spawn(listener.run(stopping.clone()));
        }
        Ok(server)
    }

    /// The addresses that are listened on, by the listener's name.
    pub fn listening(&self) -> &[(String, SocketAddr)] {
        &self.listening
    }

    /// Where metrics and health are served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Takes over what can change while the broker runs: how destinations behave.
    pub fn reload(&self, settings: &Settings) {
        let (base, rules) = (policies::base(settings), policies::rules(settings));
        self.broker.set_policies(base, rules);
    }

    /// The broker inside.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// What the broker holds at this moment.
    pub fn totals(&self) -> Totals {
        self.broker.totals()
    }

    /// Stops in order: nothing new is accepted, clients get the receipts that are due and are told,
    /// then the store is closed, and HTTP ends last. `hurry` cuts the wait for clients short.
    ///
    /// # Errors
    /// When the store fails meanwhile.
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) -> Result<(), ServerError> {
        self.stop.send_replace(true);
        while self.accepting.join_next().await.is_some() {}
        self.connections.stop_all();
        let mut count = self.connections.watch();
        let all_gone = async {
            // The sender lives as long as the connections do.
            let _ = count.wait_for(|count| *count == 0).await;
        };
        tokio::select! {
            () = all_gone => {}
            () = tokio::time::sleep(self.grace) => {
                tracing::warn!(target: "tidegate::server", "clients were still there after broker.shutdown_grace");
            }
            () = hurry => {
                tracing::warn!(target: "tidegate::server", "told to stop again: not waiting for clients");
            }
        }
        let broker = Arc::clone(&self.broker);
        let closed = tokio::task::spawn_blocking(move || broker.shutdown()).await;
        self.stop_http.send_replace(true);
        match closed {
            Ok(result) => result.map_err(ServerError::from),
            Err(error) => Err(ServerError::System {
                action: "closing the store",
                source: std::io::Error::other(error),
            }),
        }
    }

    /// Sees to it that all clients hear of a failed store: also those who wait for nothing, whose
    /// next message would be lost without a word.
    fn watch_store(&mut self) {
        let (broker, connections) = (Arc::clone(&self.broker), Arc::clone(&self.connections));
        self.serving.spawn(async move {
            let mut interval = tokio::time::interval(FAILURE_INTERVAL);
            loop {
                interval.tick().await;
                if let Some(cause) = broker.failure() {
                    connections.fail_all(&cause);
                    return;
                }
            }
        });
    }

    fn watch_disk(&mut self, settings: &Settings) {
        if settings.store.engine == Engine::Memory {
            return;
        }
        let (settings, broker) = (settings.clone(), Arc::clone(&self.broker));
        let mut low = false;
        report_disk(&broker, &settings, &mut low);
        self.serving.spawn(async move {
            let mut interval = tokio::time::interval(DISK_INTERVAL);
            loop {
                interval.tick().await;
                report_disk(&broker, &settings, &mut low);
            }
        });
    }
}

/// What is there before the broker is open, and after it is closed: metrics and health over HTTP.
struct Front {
    /// The broker, once it is open.
    broker: Arc<OnceLock<Arc<Broker>>>,
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    stop_http: watch::Sender<bool>,
    serving: JoinSet<()>,
}

impl Front {
    fn open(
        socket: Option<TcpListener>,
        settings: &Settings,
        recorder: Option<PrometheusHandle>,
    ) -> Result<Self, ServerError> {
        let (stop, stopping) = watch::channel(false);
        let (stop_http, stopping_http) = watch::channel(false);
        let mut front = Self {
            broker: Arc::default(),
            address: socket.as_ref().map(local_address).transpose()?,
            stop,
            stop_http,
            serving: JoinSet::new(),
        };
        if let Some(handle) = recorder.clone() {
            front.serving.spawn(keep_up(handle));
        }
        if let Some(socket) = socket {
            let pages = http::Pages {
                broker: Arc::clone(&front.broker),
                metrics: recorder.filter(|_| settings.http.metrics),
                stopping,
            };
            front.serving.spawn(async move {
                if let Err(error) = http::serve(socket, pages, stopping_http).await {
                    tracing::error!(target: "tidegate::http", %error, "HTTP has ended");
                }
            });
        }
        Ok(front)
    }
}

/// Tells the broker how much room there is, and the log when it becomes little.
fn report_disk(broker: &Broker, settings: &Settings, low: &mut bool) {
    let directory: &Path = &settings.broker.data;
    match settings::disk(settings, directory) {
        Ok(DiskState { free, min, warn }) => {
            broker.set_disk(free, min);
            let was_low = std::mem::replace(low, free < warn.max(min));
            if *low && !was_low {
                tracing::warn!(target: "tidegate::disk", free, min, warn,
                    "little room on the disk: below disk.free_min persistent messages are refused");
            }
        }
        Err(error) => {
            tracing::warn!(target: "tidegate::disk", %error, "free space is not known");
        }
    }
}

async fn keep_up(recorder: PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        interval.tick().await;
        recorder.run_upkeep();
    }
}

async fn open(config: &crate::broker::BrokerConfig) -> Result<Broker, ServerError> {
    let config = config.clone();
    match tokio::task::spawn_blocking(move || Broker::open(&config)).await {
        Ok(result) => result.map_err(ServerError::from),
        Err(error) => Err(BrokerError::Thread(std::io::Error::other(error)).into()),
    }
}

/// Every address of a server, listened on.
struct Sockets<'s> {
    listeners: Vec<(&'s str, &'s config::Listener, TcpListener)>,
    http: Option<TcpListener>,
}

impl<'s> Sockets<'s> {
    fn bind(settings: &'s Settings) -> Result<Self, ServerError> {
        let mut listeners = Vec::new();
        for (name, listener) in &settings.listeners {
            listeners.push((name.as_str(), listener, bind(name, listener.bind)?));
        }
        let http = settings.http.bind.map(|at| bind("http", at)).transpose()?;
        Ok(Self { listeners, http })
    }
}

fn bind(listener: &str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    let bound = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|source| ServerError::Bind {
        listener: listener.to_owned(),
        address,
        source,
    })
}

fn local_address(socket: &TcpListener) -> Result<SocketAddr, ServerError> {
    socket.local_addr().map_err(|source| ServerError::System {
        action: "reading the address of a listener",
        source,
    })
}
