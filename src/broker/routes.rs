//! Where messages would go, by the rules alone: what a running broker has makes no difference.

use super::routing::Routing;
use crate::core::{DestinationName, Kind};

/// One place where a message would arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination, or the pattern of those that there may be.
    pub to: String,
    /// The destination, unless it is a pattern.
    pub destination: Option<DestinationName>,
    /// What sends it there.
    pub reason: Reason,
    /// What has to match, all of it.
    pub selectors: Vec<String>,
    /// Only if no selector of the composite destination matches.
    pub unless_matched: bool,
}

/// Why a message goes somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was sent there.
    Named,
    /// It is part of the list that it was sent to.
    Part,
    /// A configured composite destination forwards there.
    Composite(DestinationName),
    /// It mirrors the queue.
    Mirror(DestinationName),
    /// It is a queue of the virtual topic.
    VirtualTopic(DestinationName),
}

impl Routing {
    /// Where a message to a destination would go, in the order in which it does.
    pub fn explain(&self, name: &DestinationName) -> Vec<Route> {
        let parts = name.parts();
        let direct = if parts.is_some() {
            Reason::Part
        } else {
            Reason::Named
        };
        let mut routes = Vec::new();
        for part in parts.as_deref().unwrap_or(std::slice::from_ref(name)) {
            for way in self.composites.ways(part) {
                let reason = way.from.map_or_else(|| direct.clone(), Reason::Composite);
                let mut add = |to: String, destination, reason| {
                    routes.push(Route {
                        to,
                        destination,
                        reason,
                        selectors: way.selectors.clone(),
                        unless_matched: way.unless_matched,
                    });
                };
                let mirror = self.mirror_of(&way.to);
                let mirror = mirror.map(|topic| (topic, Reason::Mirror(way.to.clone())));
                for (to, reason) in mirror.into_iter().chain([(way.to.clone(), reason)]) {
                    if let Some(rules) = self
                        .virtual_topics
                        .as_ref()
                        .filter(|_| self.is_virtual(&to))
                    {
                        let queues = format!("{}://{}", Kind::Queue.word(), rules.queues_of(&to));
                        add(queues, None, Reason::VirtualTopic(to.clone()));
                    }
                    add(to.to_string(), Some(to), reason);
                }
            }
        }
        routes
    }
}
