//! `tidegate recv`: messages come in and go to the standard output, or to a program.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::client::{Client, refusal};
use super::error::{CliError, Exit};
use super::url::Url;
use super::{DEFAULT_URL, complain, say, write_out};
use crate::codec::stomp::{OwnedFrame, Verb, Version};

/// How many messages the broker sends ahead at most, unless something else is asked for.
const AHEAD: u32 = 100;

/// Arguments of `recv`.
#[derive(Debug, Args)]
pub struct RecvArguments {
    /// Where from: /queue/NAME or /topic/NAME.
    destination: String,
    /// The broker.
    #[arg(long, default_value = DEFAULT_URL)]
    url: Url,
    /// End after so many messages.
    #[arg(short = 'n', long, default_value_t = 1, conflicts_with = "follow")]
    count: u64,
    /// Go on until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// End when no message has come for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// How messages are acknowledged; `nack` refuses each.
    #[arg(long, value_enum, default_value_t = Ack::ClientIndividual)]
    ack: Ack,
    /// A selector.
    #[arg(long)]
    selector: Option<String>,
    /// How many messages the broker may send ahead.
    #[arg(long)]
    prefetch: Option<u32>,
    /// How messages are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Run this for each message, which gets the body on its standard input; a message is acknowledged
    /// only if that ends well.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
}

/// How messages are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ack {
    /// By the broker, when it has sent them.
    Auto,
    /// Each with all before it.
    Client,
    /// One by one.
    ClientIndividual,
    /// Refused one by one.
    Nack,
}

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The body and a line end.
    Text,
    /// One JSON object in each line, with headers and body.
    Json,
    /// The body alone.
    Raw,
}

/// Receives.
pub(super) fn run(arguments: &RecvArguments) -> Result<Exit, CliError> {
    let within = arguments
        .timeout
        .map(|seconds| Duration::from_secs_f64(seconds.max(0.001)));
    let mut client = Client::connect(&arguments.url)?;
    let id = client.send_with_receipt(subscription(arguments))?;
    client.await_receipt(id)?;
    let mut received = 0;
    // Settlements whose receipts have not come: no more than the broker has sent ahead.
    let mut settling = BTreeSet::new();
    while arguments.follow || received < arguments.count {
        let Some(frame) = client.try_receive(within)? else {
            if received > 0 && !arguments.follow {
                complain(&format!(
                    "tidegate: {received} of {} messages came",
                    arguments.count
                ));
            }
            return Err(CliError::Nothing(within.unwrap_or_default()));
        };
        if frame.verb == Verb::Error {
            return Err(refusal(&frame));
        }
        if frame.verb == Verb::Message {
            received += 1;
            let good = hand_over(arguments, &frame)?;
            settling.extend(settle(&mut client, arguments, &frame, good)?);
        }
        if frame.verb == Verb::Receipt {
            let id = frame.get("receipt-id").and_then(|id| id.parse().ok());
            settling.remove(&id.unwrap_or_default());
        }
    }
    for id in settling {
        client.await_receipt(id)?;
    }
    client.finish()?;
    Ok(Exit::Ok)
}

fn subscription(arguments: &RecvArguments) -> OwnedFrame {
    let ack = match arguments.ack {
        Ack::Auto => "auto",
        Ack::Client => "client",
        Ack::ClientIndividual | Ack::Nack => "client-individual",
    };
    let mut frame = OwnedFrame::new(Verb::Subscribe)
        .with("id", "0")
        .with("destination", &arguments.destination)
        .with("ack", ack);
    if let Some(selector) = &arguments.selector {
        frame = frame.with("selector", selector);
    }
    // What is not asked for stays for others.
    let wanted = match arguments.count {
        _ if arguments.follow => AHEAD,
        count => u32::try_from(count).unwrap_or(AHEAD).clamp(1, AHEAD),
    };
    let ahead = arguments.prefetch.unwrap_or(wanted);
    for name in ["activemq.prefetchSize", "prefetch-count"] {
        frame = frame.with(name, &ahead.to_string());
    }
    frame
}

/// Prints a message or gives it to the program. Returns whether it may be acknowledged.
fn hand_over(arguments: &RecvArguments, frame: &OwnedFrame) -> Result<bool, CliError> {
    if let Some(command) = &arguments.exec {
        return execute(command, &frame.body);
    }
    match arguments.format {
        Format::Text => say(&String::from_utf8_lossy(&frame.body))?,
        Format::Json => {
            let headers: serde_json::Map<_, _> = frame
                .headers
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect();
            let body = String::from_utf8_lossy(&frame.body);
            say(&serde_json::json!({ "headers": headers, "body": body }).to_string())?;
        }
        Format::Raw => {
            write_out(&frame.body)?;
        }
    }
    Ok(true)
}

fn execute(command: &str, body: &[u8]) -> Result<bool, CliError> {
    let local = |source| CliError::Local {
        action: format!("cannot run '{command}'"),
        source,
    };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(local)?;
    if let Some(mut input) = child.stdin.take() {
        // A program need not read all of it.
        let _ = input.write_all(body);
    }
    Ok(child.wait().map_err(local)?.success())
}

/// Acknowledges or refuses a message. Returns the receipt that is to come, if one is.
fn settle(
    client: &mut Client,
    arguments: &RecvArguments,
    frame: &OwnedFrame,
    good: bool,
) -> Result<Option<u64>, CliError> {
    let verb = match arguments.ack {
        Ack::Auto => return Ok(None),
        Ack::Client | Ack::ClientIndividual if good => Verb::Ack,
        Ack::Client | Ack::ClientIndividual | Ack::Nack => Verb::Nack,
    };
    let value = |name| frame.get(name).unwrap_or_default();
    let settlement = match client.version {
        Version::V1_2 => OwnedFrame::new(verb).with("id", value("ack")),
        Version::V1_0 | Version::V1_1 => OwnedFrame::new(verb)
            .with("message-id", value("message-id"))
            .with("subscription", "0"),
    };
    client.send_with_receipt(settlement).map(Some)
}
