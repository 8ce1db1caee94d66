//! The command line as a client: `send`, `recv`, `bench`. They speak STOMP to any broker by URL.
//!
//! Lives here: what these commands do. May import: `codec`, values of `core`. Deliberately not here:
//! the broker; a peer is measured with the same tool as ourselves.

pub mod bench;
mod client;
mod error;
mod recv;
mod send;
mod template;
mod url;

use std::io::Write as _;
use std::time::Duration;

use clap::Subcommand;

pub use bench::BenchArguments;
pub use error::{CliError, Exit};
pub use recv::RecvArguments;
pub use send::SendArguments;
pub use url::{Url, UrlError};

/// The broker that commands speak to unless they are told another.
pub const DEFAULT_URL: &str = "stomp://127.0.0.1:61613";

/// How long a command waits for a connection, and for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the command line can do as a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send messages, and hear that they were accepted.
    Send(SendArguments),
    /// Receive messages.
    Recv(RecvArguments),
    /// Measure a broker, or compare several.
    Bench(BenchArguments),
}

/// Carries a command out and says how it ended. What went wrong is on the standard error output.
pub fn run(command: &Command) -> Exit {
    let result = match command {
        Command::Send(arguments) => send::run(arguments),
        Command::Recv(arguments) => recv::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    };
    match result {
        Ok(exit) => exit,
        Err(error) => {
            complain(&format!("tidegate: {error}"));
            error.exit()
        }
    }
}

#[allow(clippy::print_stderr, reason = "a command speaks to its user")]
fn complain(text: &str) {
    eprintln!("{text}");
}

/// Writes a line of a command's result. Whoever reads it may have gone.
fn say(text: &str) -> Result<(), CliError> {
    write_out(format!("{text}\n").as_bytes())
}

fn write_out(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|source| CliError::Local {
        action: "cannot write to the standard output".to_owned(),
        source,
    })
}
