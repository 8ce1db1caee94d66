//! Running the broker, and checking what it would run with.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tidegate::server::config::{Engine, Loaded, LogFormat, Override, Problems, Settings, Sources};
use tidegate::server::{Server, ServerError, install_recorder, measure_flush};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::arguments::ServeArguments;
use super::banner::banner;
use super::reload::Running;

/// What was asked for cannot be understood: wrong arguments, wrong configuration.
const USAGE: u8 = 2;

/// How often a worker looks for news of the sockets, in polls: often enough that a request does not
/// wait behind saturating traffic, seldom enough not to cost throughput.
const EVENT_INTERVAL: u32 = 8;

/// Runs the broker until it is told to stop.
#[allow(
    clippy::disallowed_methods,
    reason = "the time to be ready is measured from the process's start"
)]
pub(crate) fn serve(arguments: &ServeArguments) -> ExitCode {
    let started = Instant::now();
    let loaded = match Loaded::read(&sources(arguments)) {
        Ok(loaded) => loaded,
        Err(problems) => return complain(&problems),
    };
    if arguments.print_config {
        return answer(&loaded.print());
    }
    if arguments.check {
        return answer("the configuration is valid\n");
    }
    let mut running = Running::new(sources(arguments), loaded);
    let settings = running.settings().clone();
    start_log(&settings);
    let workers = workers(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .event_interval(EVENT_INTERVAL)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the threads: {error}")),
    };
    let quiet = arguments.quiet || settings.log.format == LogFormat::Json;
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let server = Server::start(&settings, Some(install_recorder()?)).await?;
        if quiet {
            tracing::info!(target: "tidegate::server", listening = ?server.listening(), "ready");
        } else if let Err(error) = print(&banner(&settings, &server, workers, started.elapsed())) {
            // Clients are served, whether or not somebody reads the banner.
            tracing::warn!(target: "tidegate::server", %error, "the banner could not be printed");
        }
        while signals.next().await == Wish::Reload {
            running.reload(&server);
        }
        tracing::info!(target: "tidegate::server", "stopping");
        server.stop(signals.stop()).await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Checks a configuration and says what is wrong with it.
pub(crate) fn check(arguments: &ServeArguments, file: Option<PathBuf>, json: bool) -> ExitCode {
    let mut sources = sources(arguments);
    sources.file = file.or(sources.file);
    match (Loaded::read(&sources), json) {
        (Ok(_), true) => answer("{\"ok\":true,\"problems\":[]}\n"),
        (Ok(loaded), false) => answer(&format!(
            "the configuration is valid\n{}",
            disk(&loaded.settings)
        )),
        (Err(problems), true) => match print(&format!("{}\n", problems.json())) {
            Ok(()) => ExitCode::from(USAGE),
            Err(error) => fail(&format!("cannot write the result: {error}")),
        },
        (Err(problems), false) => complain(&problems),
    }
}

/// What the disk of the data directory can do, if it is there.
fn disk(settings: &Settings) -> String {
    let directory = &settings.broker.data;
    if settings.store.engine == Engine::Memory || !directory.is_dir() {
        return String::new();
    }
    let shown = directory.display();
    match measure_flush(directory) {
        Ok(took) => format!("a flush to {shown} takes {} µs\n", took.as_micros()),
        Err(error) => format!("{shown} cannot be written to: {error}\n"),
    }
}

/// Everything that the settings are read from.
pub(super) fn sources(arguments: &ServeArguments) -> Sources {
    let mut overrides = Vec::new();
    let mut add = |key: &str, value: &str, flag: String| {
        let (key, value) = (key.to_owned(), value.to_owned());
        overrides.push(Override { key, value, flag });
    };
    if let Some(data) = &arguments.data {
        add("broker.data", data, format!("--data {data}"));
    }
    if arguments.memory {
        add("store.engine", "memory", "--memory".to_owned());
    }
    for listen in &arguments.listen {
        let (name, address) = listen.split_once('=').unwrap_or(("stomp", listen));
        add(
            &format!("listener.{name}.bind"),
            address,
            format!("--listen {listen}"),
        );
    }
    if let Some(http) = &arguments.http {
        add("http.bind", http, format!("--http {http}"));
    }
    if let Some(level) = &arguments.log {
        add("log.level", level, format!("--log {level}"));
    }
    if let Some(format) = &arguments.log_format {
        add("log.format", format, format!("--log-format {format}"));
    }
    for set in &arguments.set {
        let (key, value) = set.split_once('=').unwrap_or((set, ""));
        add(key, value, format!("--set {set}"));
    }
    Sources {
        file: arguments.config.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        overrides,
    }
}

fn workers(settings: &Settings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let chosen = settings
        .server
        .workers
        .and_then(|workers| usize::try_from(workers).ok());
    // One processor is left to the store's writer: measured on two, that is faster than a worker on
    // each, with and without durability.
    chosen.unwrap_or(cores - 1).max(1)
}

fn start_log(settings: &Settings) {
    let filter = EnvFilter::new(&settings.log.level);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // The complaint about a line that cannot be written would go the same way, and panic there.
        .log_internal_errors(false);
    // Nobody has started another log in this process.
    let _ = match settings.log.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

/// The signals that stop the broker, and the one that does not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, ServerError> {
        let listen = |kind| {
            signal(kind).map_err(|source| ServerError::System {
                action: "cannot listen for signals",
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    /// Waits for one that stops.
    async fn stop(&mut self) {
        while self.next().await == Wish::Reload {}
    }
}

pub(super) fn complain(problems: &Problems) -> ExitCode {
    complain_text(&problems.to_string());
    ExitCode::from(USAGE)
}

/// Says what about the arguments cannot be understood.
pub(super) fn usage(message: &str) -> ExitCode {
    complain_text(&format!("tidegate: {message}"));
    ExitCode::from(USAGE)
}

fn fail(message: &str) -> ExitCode {
    complain_text(&format!("tidegate: {message}"));
    ExitCode::FAILURE
}

/// Prints the result of a command, which fails if nobody can read it.
pub(super) fn answer(text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot write the result: {error}")),
    }
}

/// Writes to the standard output. Unlike the macro, it does not panic when that is closed or full.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn complain_text(text: &str) {
    // When the standard error output is closed too, the exit code says it.
    let _ = writeln!(io::stderr(), "{text}");
}
