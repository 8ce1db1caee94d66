//! Metrics and health over HTTP. Every connection has a bounded life and there are few at a time, so
//! that no client can hold memory here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;

use crate::broker::Broker;

/// How many connections are served at once; others wait.
const CONNECTIONS: usize = 64;

/// How long a connection may live.
const LIFE: Duration = Duration::from_secs(30);

/// What the pages show.
#[derive(Clone)]
pub(super) struct Pages {
    /// The broker, once it is open.
    pub(super) broker: Arc<OnceLock<Arc<Broker>>>,
    /// Renders the metrics; `None` where they are switched off or nobody records them.
    pub(super) metrics: Option<PrometheusHandle>,
    /// Turns true when the server begins to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

/// Serves until told to stop.
///
/// # Errors
/// When the system does.
pub(super) async fn serve(
    socket: TcpListener,
    pages: Pages,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(|| async {
            let known = "Not found. There are /metrics, /health/live and /health/ready.\n";
            (StatusCode::NOT_FOUND, known)
        })
        .with_state(pages);
    let listener = Bounded {
        socket,
        permits: Arc::new(Semaphore::new(CONNECTIONS)),
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            // A sender that is gone stops it too.
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let Some(handle) = &pages.metrics else {
        return (StatusCode::NOT_FOUND, "Metrics are off (http.metrics).\n").into_response();
    };
    if let Some(broker) = pages.broker.get() {
        broker.metrics().show(&broker.totals());
        let checks = &broker.metrics().ready;
        checks.live.set(1.0);
        let ready = pages.unready().is_none();
        checks.ready.set(if ready { 1.0 } else { 0.0 });
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, handle.render()).into_response()
}

async fn live() -> impl IntoResponse {
    answer(StatusCode::OK, "live", None)
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    match pages.unready() {
        None => answer(StatusCode::OK, "ready", None),
        Some(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, "not ready", Some(reason)),
    }
}

fn answer(code: StatusCode, status: &str, reason: Option<String>) -> impl IntoResponse {
    let mut body = serde_json::json!({ "status": status });
    if let (Some(object), Some(reason)) = (body.as_object_mut(), reason) {
        object.insert("reason".to_owned(), reason.into());
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (code, kind, format!("{body}\n"))
}

impl Pages {
    /// Why clients are not served, if they are not.
    fn unready(&self) -> Option<String> {
        if *self.stopping.borrow() {
            return Some("the broker is stopping".to_owned());
        }
        let Some(broker) = self.broker.get() else {
            return Some("the store is being opened".to_owned());
        };
        if let Some(cause) = broker.failure() {
            return Some(format!("the store has failed: {cause}"));
        }
        let unreadable = "the store cannot be read; see the log";
        broker.read_failed().then(|| unreadable.to_owned())
    }
}

/// A listener with few connections at a time.
struct Bounded {
    socket: TcpListener,
    permits: Arc<Semaphore>,
}

impl axum::serve::Listener for Bounded {
    type Io = Mortal;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Mortal, SocketAddr) {
        // The semaphore is never closed; without a permit the connection is merely not counted.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (socket, address) = axum::serve::Listener::accept(&mut self.socket).await;
        let connection = Mortal {
            socket,
            death: Box::pin(tokio::time::sleep(LIFE)),
            _permit: permit,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that breaks when its time is over.
struct Mortal {
    socket: TcpStream,
    death: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Mortal {
    fn poll_alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.death.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_alive(cx)?;
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_alive(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
