//! `tidegate send`: messages go out, and the command ends well only if all were accepted.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::Client;
use super::error::{CliError, Exit};
use super::url::Url;
use super::{DEFAULT_URL, say};
use crate::codec::stomp::{OwnedFrame, Verb};

/// How many messages may wait for their receipts.
const WINDOW: usize = 100;

/// Fewer messages than this need no progress bar.
const LONG_WORK: u64 = 1000;

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArguments {
    /// Where to: /queue/NAME or /topic/NAME.
    destination: String,
    /// The body; `-` reads it from the standard input. In it, {{n}} is the message's number and
    /// {{time}} the time in milliseconds.
    body: Option<String>,
    /// The broker.
    #[arg(long, default_value = DEFAULT_URL)]
    url: Url,
    /// A header, as name:value; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// How many messages.
    #[arg(long, short = 'n', default_value_t = 1)]
    count: u64,
    /// At most so many messages in a second.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Read the body from a file.
    #[arg(long, conflicts_with = "body")]
    file: Option<PathBuf>,
    /// Send messages that a restart of the broker may lose.
    #[arg(long)]
    non_persistent: bool,
    /// How long the message is of use, in seconds.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<f64>,
    /// 0 to 9.
    #[arg(long)]
    priority: Option<u8>,
    /// Send in transactions of so many messages.
    #[arg(long, value_name = "MESSAGES")]
    tx: Option<u64>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Sends.
pub(super) fn run(arguments: &SendArguments) -> Result<Exit, CliError> {
    let body = body(arguments)?;
    let head = head(arguments)?;
    let mut client = Client::connect(&arguments.url)?;
    let started = now();
    let progress = progress(arguments.count);
    let mut waiting = VecDeque::new();
    for number in 1..=arguments.count {
        pace(arguments.rate, number, started);
        let open = arguments.tx.filter(|size| *size > 0);
        if open.is_some_and(|size| (number - 1) % size == 0) {
            client.send(&OwnedFrame::new(Verb::Begin).with("transaction", "tx"))?;
        }
        let mut frame = head.clone().with_body(&fill(&body, number));
        if let Some(ttl) = arguments.ttl {
            let expires = wall_millis().saturating_add(to_millis(ttl));
            frame = frame.with("expires", &expires.to_string());
        }
        match open {
            Some(size) => {
                client.send(&frame.with("transaction", "tx"))?;
                if number % size == 0 || number == arguments.count {
                    let commit = OwnedFrame::new(Verb::Commit).with("transaction", "tx");
                    waiting.push_back(client.send_with_receipt(commit)?);
                }
            }
            None => waiting.push_back(client.send_with_receipt(frame)?),
        }
        if waiting.len() >= WINDOW
            && let Some(id) = waiting.pop_front()
        {
            client.await_receipt(id)?;
        }
        progress.inc(1);
    }
    for id in waiting {
        client.await_receipt(id)?;
    }
    client.disconnect()?;
    progress.finish_and_clear();
    report(arguments, started.elapsed());
    Ok(Exit::Ok)
}

fn report(arguments: &SendArguments, took: Duration) {
    let (count, destination) = (arguments.count, &arguments.destination);
    if arguments.json {
        let seconds = took.as_secs_f64();
        say(
            &serde_json::json!({ "sent": count, "destination": destination, "seconds": seconds })
                .to_string(),
        );
    } else if count == 1 {
        say(&format!("sent to {destination}"));
    } else {
        let rate = count as f64 / took.as_secs_f64().max(1e-9);
        say(&format!(
            "sent {count} messages to {destination}, {rate:.0} in a second"
        ));
    }
}

fn head(arguments: &SendArguments) -> Result<OwnedFrame, CliError> {
    let mut frame = OwnedFrame::new(Verb::Send).with("destination", &arguments.destination);
    if !arguments.non_persistent {
        frame = frame.with("persistent", "true");
    }
    if let Some(priority) = arguments.priority {
        frame = frame.with("priority", &priority.to_string());
    }
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            CliError::Usage(format!("'{header}' is no header: write -H NAME:VALUE"))
        })?;
        frame = frame.with(name, value);
    }
    // Text, as ActiveMQ's clients take it, whatever the length.
    Ok(frame.with("amq-msg-type", "text"))
}

fn body(arguments: &SendArguments) -> Result<Vec<u8>, CliError> {
    let local = |action: &str| {
        let action = action.to_owned();
        move |source| CliError::Local { action, source }
    };
    match (&arguments.file, arguments.body.as_deref()) {
        (Some(file), _) => {
            std::fs::read(file).map_err(local(&format!("cannot read {}", file.display())))
        }
        (None, Some("-")) => {
            let mut body = Vec::new();
            std::io::stdin()
                .read_to_end(&mut body)
                .map_err(local("cannot read the standard input"))?;
            Ok(body)
        }
        (None, body) => Ok(body.unwrap_or_default().as_bytes().to_vec()),
    }
}

/// Fills a template's places in.
fn fill(body: &[u8], number: u64) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(body) else {
        return body.to_vec();
    };
    if !text.contains("{{") {
        return body.to_vec();
    }
    text.replace("{{n}}", &number.to_string())
        .replace("{{time}}", &wall_millis().to_string())
        .into_bytes()
}

/// Waits until it is this message's turn.
fn pace(rate: Option<f64>, number: u64, started: Instant) {
    if let Some(rate) = rate.filter(|rate| *rate > 0.0) {
        let due = Duration::from_secs_f64((number - 1) as f64 / rate);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
    }
}

/// A bar for long work, if somebody looks.
pub(super) fn progress(count: u64) -> ProgressBar {
    if count < LONG_WORK {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    long_progress(count)
}

/// A bar for work that is long however few its parts are, if somebody looks.
pub(super) fn long_progress(count: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {eta} left  {msg}");
    ProgressBar::new(count).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "the command line reads the clock"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the command line reads the clock"
)]
fn wall_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is turned into the nearest number of milliseconds there is"
)]
fn to_millis(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0) as u64
}
