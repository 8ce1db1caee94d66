//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::serve::answer;

/// A message broker for the STOMP clients of ActiveMQ, Artemis and RabbitMQ.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

/// What to do; without one of these, the broker runs.
#[allow(clippy::large_enum_variant, reason = "there is one, and not for long")]
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker.
    Serve,
    #[command(flatten)]
    Client(tidegate::cli::Command),
    /// Find all mistakes in a configuration.
    CheckConfig {
        /// The file; without it, the one of --config.
        file: Option<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at the configuration without a broker.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at where messages go without a broker.
    Routes {
        #[command(subcommand)]
        command: RoutesCommand,
    },
    /// Print a completion script for a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What to look at in the rules for messages.
#[derive(Debug, Subcommand)]
pub(crate) enum RoutesCommand {
    /// Print where a message to a destination would go, and why.
    Explain {
        /// Which one, as clients spell it; a bare name is a queue, and commas make a list.
        destination: String,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What to look at in the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting of a destination, and where it was written.
    Explain {
        /// Which one, as clients spell it; a bare name is a queue.
        destination: String,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What the broker runs with.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The configuration file; beside it, conf.d/*.toml is read.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data: Option<String>,
    /// Keep everything in memory; nothing survives a restart.
    #[arg(long, conflicts_with = "data", global = true)]
    pub(crate) memory: bool,
    /// Where a listener listens; may be given several times.
    #[arg(long, value_name = "NAME=ADDRESS", global = true)]
    pub(crate) listen: Vec<String>,
    /// Where metrics and health are served.
    #[arg(long, value_name = "ADDRESS|off", global = true)]
    pub(crate) http: Option<String>,
    /// Any setting; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    pub(crate) set: Vec<String>,
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", global = true)]
    pub(crate) log: Option<String>,
    /// How lines of the log look: text or json.
    #[arg(long, value_name = "FORMAT", global = true)]
    pub(crate) log_format: Option<String>,
    /// Check the configuration and exit.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print the configuration that holds, with the origin of each value, and exit.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Print no banner.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Prints the completion script of a shell.
pub(crate) fn print_completion(shell: clap_complete::Shell) -> ExitCode {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "tidegate", &mut script);
    answer(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
