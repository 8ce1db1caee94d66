//! The process: arguments, runtime, signals, exit code.

mod process;

use std::process::ExitCode;

use clap::Parser;

use process::arguments::{Arguments, Command, ConfigCommand, RoutesCommand};
use process::{arguments, explain, serve};

/// The broker's threads free what others have allocated, all the time, which mimalloc does well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None | Some(Command::Serve) => serve::serve(&arguments.serve),
        Some(Command::Client(command)) => ExitCode::from(tidegate::cli::run(&command).code()),
        Some(Command::CheckConfig { file, json }) => serve::check(&arguments.serve, file, json),
        Some(Command::Config { command }) => match command {
            ConfigCommand::Explain { destination, json } => {
                explain::config(&arguments.serve, &destination, json)
            }
        },
        Some(Command::Routes { command }) => match command {
            RoutesCommand::Explain { destination, json } => {
                explain::routes(&arguments.serve, &destination, json)
            }
        },
        Some(Command::Completion { shell }) => arguments::print_completion(shell),
    }
}
