//! What the configuration means for one destination.

use std::process::ExitCode;

use tidegate::server::config::{self, Loaded};

use super::arguments::ServeArguments;
use super::serve::{answer, complain, sources, usage};

/// Prints each setting of a destination, and where it was written.
pub(crate) fn config(arguments: &ServeArguments, destination: &str, json: bool) -> ExitCode {
    let name = match config::destination(destination) {
        Ok(name) => name,
        Err(error) => return usage(&format!("\"{destination}\" is no destination: {error}")),
    };
    match Loaded::read(&sources(arguments)) {
        Ok(loaded) => {
            let explained = loaded.explain(&name);
            if json {
                answer(&format!("{}\n", explained.json()))
            } else {
                answer(&explained.to_string())
            }
        }
        Err(problems) => complain(&problems),
    }
}
