//! `tidegate send`: messages go out, and the command ends well only if all were accepted.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::Client;
use super::error::{CliError, Exit};
use super::template::Template;
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
    /// The body; `-` reads it from the standard input.
    #[arg(allow_hyphen_values = true)]
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
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// A body that differs from message to message: in it, {{n}} is the message's number, {{time}} the
    /// time in milliseconds since 1970, {{uuid}} a random UUID.
    #[arg(long, conflicts_with_all = ["body", "file"])]
    template: Option<String>,
    /// Read the body from a file.
    #[arg(long, conflicts_with = "body")]
    file: Option<PathBuf>,
    /// Send messages that survive a restart of the broker; so it is unless the next is given.
    #[arg(long, overrides_with = "non_persistent")]
    persistent: bool,
    /// Send messages that a restart of the broker may lose.
    #[arg(long, overrides_with = "persistent")]
    non_persistent: bool,
    /// How long the message is of use, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    ttl: Option<f64>,
    /// 0 to 9; what is higher comes first.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// Send in transactions of so many messages.
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    tx: Option<u64>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// A number above zero.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("write a number above 0".to_owned()),
    }
}

/// What the messages hold.
enum Body {
    Same(Vec<u8>),
    Filled(Template),
}

impl Body {
    fn of(&self, number: u64) -> Cow<'_, [u8]> {
        match self {
            Self::Same(bytes) => Cow::Borrowed(bytes),
            Self::Filled(template) => Cow::Owned(template.fill(number, wall_millis()).into_bytes()),
        }
    }
}

/// Sends.
pub(super) fn run(arguments: &SendArguments) -> Result<Exit, CliError> {
    let body = body(arguments)?;
    let head = head(arguments, &body)?;
    let mut client = Client::connect(&arguments.url)?;
    let started = now();
    let progress = progress(arguments.count);
    let mut waiting = VecDeque::new();
    for number in 1..=arguments.count {
        pace(arguments.rate, number, started);
        let mut frame = head.clone().with_body(&body.of(number));
        if let Some(ttl) = arguments.ttl {
            let expires = wall_millis().saturating_add(to_millis(ttl));
            frame = frame.with("expires", &expires.to_string());
        }
        match arguments.tx {
            Some(size) => {
                if (number - 1) % size == 0 {
                    client.send(&OwnedFrame::new(Verb::Begin).with("transaction", "tx"))?;
                }
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
    client.disconnect();
    progress.finish_and_clear();
    report(arguments, started.elapsed())?;
    Ok(Exit::Ok)
}

fn report(arguments: &SendArguments, took: Duration) -> Result<(), CliError> {
    let (count, destination) = (arguments.count, &arguments.destination);
    let seconds = took.as_secs_f64().max(1e-9);
    let text = if arguments.json {
        serde_json::json!({ "sent": count, "destination": destination, "seconds": seconds })
            .to_string()
    } else if count == 1 {
        format!("sent to {destination}")
    } else {
        let rate = count as f64 / seconds;
        format!("sent {count} messages to {destination}, {rate:.0} in a second")
    };
    say(&text)
}

/// Headers that follow from how a message is sent, and where else to say so.
const TAKEN: [(&str, &str); 4] = [
    ("destination", "it is the first argument"),
    ("receipt", "each message has one"),
    ("transaction", "use --tx"),
    ("content-length", "it follows from the body"),
];

fn head(arguments: &SendArguments, body: &Body) -> Result<OwnedFrame, CliError> {
    let mut frame = OwnedFrame::new(Verb::Send).with("destination", &arguments.destination);
    if let Some(priority) = arguments.priority {
        frame = frame.with("priority", &priority.to_string());
    }
    for header in &arguments.headers {
        let (name, value) = match header.split_once(':') {
            Some((name, value)) if !name.is_empty() => (name, value),
            _ => {
                let what = format!("'{header}' is no header: write -H NAME:VALUE");
                return Err(CliError::Usage(what));
            }
        };
        if let Some((_, instead)) = TAKEN.iter().find(|(taken, _)| *taken == name) {
            let what = format!("the header '{name}' cannot be given with -H: {instead}");
            return Err(CliError::Usage(what));
        }
        frame = frame.with(name, value);
    }
    // The first of several headers of a name holds: what comes now is what the user has not said.
    let text = match body {
        Body::Same(bytes) => std::str::from_utf8(bytes).is_ok(),
        Body::Filled(_) => true,
    };
    if text {
        // ActiveMQ takes a body with a length for bytes unless it is told otherwise.
        frame = frame.with("amq-msg-type", "text");
    }
    let persistent = if arguments.non_persistent {
        "false"
    } else {
        "true"
    };
    Ok(frame.with("persistent", persistent))
}

fn body(arguments: &SendArguments) -> Result<Body, CliError> {
    let local = |action: &str| {
        let action = action.to_owned();
        move |source| CliError::Local { action, source }
    };
    if let Some(template) = &arguments.template {
        return Template::parse(template).map(Body::Filled);
    }
    let bytes = match (&arguments.file, arguments.body.as_deref()) {
        (Some(file), _) => {
            std::fs::read(file).map_err(local(&format!("cannot read {}", file.display())))?
        }
        (None, Some("-")) => {
            let mut body = Vec::new();
            std::io::stdin()
                .read_to_end(&mut body)
                .map_err(local("cannot read the standard input"))?;
            body
        }
        (None, body) => body.unwrap_or_default().as_bytes().to_vec(),
    };
    Ok(Body::Same(bytes))
}

/// Waits until it is this message's turn.
fn pace(rate: Option<f64>, number: u64, started: Instant) {
    if let Some(rate) = rate {
        let due = Duration::try_from_secs_f64((number - 1) as f64 / rate).unwrap_or(Duration::MAX);
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
