//! What the broker says when it is ready: facts that its user acts on.

use std::fmt::Write as _;
use std::time::Duration;

use tidegate::server::config::{Anonymous, Durability, Engine, Settings};
use tidegate::server::{Server, measure_flush};

/// The banner.
pub(crate) fn banner(
    settings: &Settings,
    server: &Server,
    workers: usize,
    took: Duration,
) -> String {
    let mut out = String::new();
    let store = match settings.store.engine {
        Engine::Redb => "redb store",
        Engine::Memory => "memory store",
    };
    let plural = if workers == 1 { "" } else { "s" };
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let _ = writeln!(
        out,
        "tidegate {version}  ({store}, {workers} thread{plural})  pid {pid}"
    );
    for (name, address) in server.listening() {
        let _ = writeln!(out, "  {name:<7} {address}");
    }
    match server.http() {
        Some(address) => {
            let pages = if settings.http.metrics {
                "/metrics · /health/ready"
            } else {
                "/health/ready"
            };
            let _ = writeln!(out, "  http    http://{address}   {pages}");
        }
        None => {
            let _ = writeln!(out, "  http    off");
        }
    }
    let _ = writeln!(out, "  data    {}", data(settings, server));
    let _ = writeln!(out, "  access  {}", access(settings));
    let _ = writeln!(out, "ready in {} ms", took.as_millis());
    if let Some((_, address)) = server.listening().first() {
        let url = match address.port() {
            61613 => String::new(),
            _ => format!(" --url stomp://{address}"),
        };
        let _ = writeln!(out, "\ntry:  tidegate send{url} /queue/hello \"it works\"");
        let _ = writeln!(out, "      tidegate recv{url} /queue/hello");
    }
    out
}

fn data(settings: &Settings, server: &Server) -> String {
    if settings.store.engine == Engine::Memory {
        return "in memory only: nothing survives a restart".to_owned();
    }
    let totals = server.totals();
    let destinations = totals.queues.destinations + totals.topics.destinations;
    let messages = totals.queues.ready;
    let directory = settings.broker.data.display();
    let (s, t) = (plural(destinations), plural(messages));
    let mut line = format!("{directory}   {destinations} destination{s}, {messages} message{t}");
    if totals.disk_free < u64::MAX {
        let _ = write!(line, ", {} free", size(totals.disk_free));
    }
    if settings.store.durability != Durability::None
        && let Ok(took) = measure_flush(&settings.broker.data)
    {
        let _ = write!(line, ", a flush takes {} µs", took.as_micros());
    }
    match settings.store.durability {
        Durability::Sync => {}
        Durability::Relaxed => {
            let _ = write!(
                line,
                ", flushed every {:?}",
                settings.store.relaxed_interval
            );
        }
        Durability::None => line.push_str(", durability none: nothing survives a restart"),
    }
    line
}

fn access(settings: &Settings) -> &'static str {
    match settings.auth.anonymous {
        Anonymous::Loopback => "loopback only, no password",
        Anonymous::Always => "from anywhere, no password (auth.anonymous = \"always\")",
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn size(bytes: u64) -> String {
    let units = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
    ];
    let found = units.iter().find(|(_, unit)| bytes >= *unit);
    found.map_or(format!("{bytes} B"), |(name, unit)| {
        format!("{} {name}", bytes / unit)
    })
}
