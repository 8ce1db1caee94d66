//! What the configuration means for one destination.

use std::fmt::Display;
use std::process::ExitCode;

use tidegate::DestinationName;
use tidegate::server::Routes;
use tidegate::server::config::{self, Loaded};

use super::arguments::ServeArguments;
use super::serve::{answer, complain, sources, usage};

/// Prints each setting of a destination, and where it was written.
pub(crate) fn config(arguments: &ServeArguments, destination: &str, json: bool) -> ExitCode {
    explain(arguments, destination, |loaded, name| {
        let explained = loaded.explain(name);
        text(&explained, json.then(|| explained.json()))
    })
}

/// Prints where a message to a destination would go.
pub(crate) fn routes(arguments: &ServeArguments, destination: &str, json: bool) -> ExitCode {
    explain(arguments, destination, |loaded, name| {
        let routes = Routes::of(&loaded.settings, name);
        text(&routes, json.then(|| routes.json()))
    })
}

fn explain(
    arguments: &ServeArguments,
    destination: &str,
    explain: impl FnOnce(&Loaded, &DestinationName) -> String,
) -> ExitCode {
    let name = match config::destination(destination) {
        Ok(name) => name,
        Err(error) => return usage(&format!("\"{destination}\" is no destination: {error}")),
    };
    match Loaded::read(&sources(arguments)) {
        Ok(loaded) => answer(&explain(&loaded, &name)),
        Err(problems) => complain(&problems),
    }
}

fn text(shown: &impl Display, json: Option<serde_json::Value>) -> String {
    json.map_or_else(|| shown.to_string(), |json| format!("{json}\n"))
}
