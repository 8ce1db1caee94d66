//! Reading the configuration again while the broker runs.

use tidegate::server::Server;
use tidegate::server::config::{Loaded, Settings, Sources};

/// The configuration that a broker runs with.
pub(super) struct Running {
    sources: Sources,
    /// As it was at the start: what cannot change is as it was then.
    started: Loaded,
    /// As it was read last, if that was later.
    reloaded: Option<Loaded>,
}

impl Running {
    pub(super) fn new(sources: Sources, started: Loaded) -> Self {
        Self {
            sources,
            started,
            reloaded: None,
        }
    }

    /// The settings that the broker was started with.
    pub(super) fn settings(&self) -> &Settings {
        &self.started.settings
    }

    /// Reads everything again. A configuration with mistakes changes nothing; they are logged, and so
    /// is what needs a restart.
    pub(super) fn reload(&mut self, server: &Server) {
        let next = match Loaded::read(&self.sources) {
            Ok(next) => next,
            Err(problems) => {
                tracing::error!(target: "tidegate::server",
                    "the configuration was not reloaded, the old one stays in force:\n{problems}");
                return;
            }
        };
        let fixed = self.started.changes(&next);
        let fixed: Vec<_> = fixed.iter().filter(|change| !change.live).collect();
        for change in &fixed {
            let key = &change.key;
            tracing::warn!(target: "tidegate::server", key, "{key} has changed, but needs a restart");
        }
        let changes = self
            .reloaded
            .as_ref()
            .unwrap_or(&self.started)
            .changes(&next);
        let live: Vec<_> = changes.iter().filter(|change| change.live).collect();
        for change in &live {
            let key = &change.key;
            tracing::info!(target: "tidegate::server", key, "{key} has changed");
        }
        if !live.is_empty() {
            server.reload(&next.settings);
        }
        let (taken_over, needs_restart) = (live.len(), fixed.len());
        tracing::info!(target: "tidegate::server", taken_over, needs_restart, "configuration reloaded");
        self.reloaded = Some(next);
    }
}
