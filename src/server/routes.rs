//! Where a message to a destination would go, as the configuration says.

use std::fmt;

use super::config::Settings;
use super::{policies, settings};
use crate::broker::{Reason, Route};
use crate::core::{DestinationName, Policies};

/// Where messages to one destination would go.
#[derive(Clone, Debug)]
pub struct Routes {
    destination: DestinationName,
    ways: Vec<Route>,
    /// The dead-letter queue of each destination that has one.
    dead_letters: Vec<(DestinationName, DestinationName)>,
}

impl Routes {
    /// Follows the rules of a configuration.
    pub fn of(settings: &Settings, destination: &DestinationName) -> Self {
        let routes = settings::routing(settings).explain(destination);
        let mut policies = Policies::new(policies::base(settings), policies::rules(settings));
        let ends = routes.iter().filter_map(|route| route.destination.as_ref());
        let dead_letters = ends.filter_map(|end| {
            let policy = policies.resolve(end);
            let queue = policy.dead_letter.queue.queue_of(end);
            (policy.dead_letter.enabled && queue != *end).then(|| (end.clone(), queue))
        });
        Self {
            destination: destination.clone(),
            dead_letters: dead_letters.collect(),
            ways: routes,
        }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        let routes = self.ways.iter().map(|route| {
            let (reason, of) = reason(&route.reason);
            serde_json::json!({
                "to": route.to,
                "is_pattern": route.destination.is_none(),
                "reason": reason,
                "of": of.map(ToString::to_string),
                "selectors": route.selectors,
                "unless_matched": route.unless_matched,
            })
        });
        let letters = self.dead_letters.iter().map(
            |(from, to)| serde_json::json!({ "from": from.to_string(), "to": to.to_string() }),
        );
        serde_json::json!({
            "destination": self.destination.to_string(),
            "routes": routes.collect::<Vec<_>>(),
            "dead_letters": letters.collect::<Vec<_>>(),
        })
    }
}

fn reason(reason: &Reason) -> (&'static str, Option<&DestinationName>) {
    match reason {
        Reason::Named => ("named", None),
        Reason::Part => ("part", None),
        Reason::Composite(of) => ("composite", Some(of)),
        Reason::Mirror(of) => ("mirror", Some(of)),
        Reason::VirtualTopic(of) => ("virtual-topic", Some(of)),
    }
}

impl fmt::Display for Routes {
    /// A line for each place, and for each dead-letter queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.destination)?;
        if self.ways.is_empty() {
            writeln!(f, "  nowhere")?;
        }
        for route in &self.ways {
            write!(f, "  {:<40} ", route.to)?;
            match &route.reason {
                Reason::Named => write!(f, "the destination itself")?,
                Reason::Part => write!(f, "a part of the list")?,
                Reason::Composite(of) => write!(f, "composite {of} forwards to it")?,
                Reason::Mirror(of) => write!(f, "the mirror of {of}")?,
                Reason::VirtualTopic(of) => {
                    write!(f, "every queue of the virtual topic {of} that there is")?;
                }
            }
            for selector in &route.selectors {
                write!(f, ", where {selector}")?;
            }
            if route.unless_matched {
                write!(f, ", if nothing else matches")?;
            }
            writeln!(f)?;
        }
        for (from, to) in &self.dead_letters {
            writeln!(f, "dead letters of {from} go to {to}")?;
        }
        Ok(())
    }
}
