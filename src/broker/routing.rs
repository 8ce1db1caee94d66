//! Where a message goes beside the destination that it was sent to: to the queues of a virtual topic,
//! to the topic that mirrors a queue, to every part of a composite destination.

use std::sync::Arc;

use super::cell::Cell;
use super::shared::Shared;
use crate::core::{ConnectionId, DestinationName, Kind, Refusal, VirtualTopics};

/// The rules of a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Virtual topics, if there are to be any.
    pub virtual_topics: Option<VirtualTopics>,
    /// Mirrors of queues, if there are to be any.
    pub mirrored_queues: Option<MirroredQueues>,
}

/// Every queue has a topic on which monitors see what is sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredQueues {
    /// What stands before the queue's name in that of the topic.
    pub prefix: String,
    /// What stands behind it.
    pub postfix: String,
}

/// The rules as the registry holds them.
#[derive(Debug)]
pub(super) struct Rules(Routing);

/// A destination that a message goes to, and whether it was sent there by name.
type Target = (Arc<Cell>, bool);

impl Rules {
    pub(super) fn new(routing: &Routing) -> Self {
        Self(routing.clone())
    }

    /// Whether what is sent to a destination may have to go elsewhere as well.
    pub(super) fn concern(&self, name: &DestinationName) -> bool {
        if name.is_temporary() {
            return false;
        }
        match name.kind() {
            Kind::Topic => self.is_virtual(name),
            Kind::Queue => self.0.mirrored_queues.is_some(),
        }
    }

    /// The virtual topic that a queue belongs to.
    pub(super) fn topic_of(&self, queue: &DestinationName) -> Option<DestinationName> {
        let rules = self.0.virtual_topics.as_ref()?;
        rules.topic_of(queue).filter(|_| !queue.is_temporary())
    }

    fn is_virtual(&self, name: &DestinationName) -> bool {
        let rules = self.0.virtual_topics.as_ref();
        !name.is_temporary() && rules.is_some_and(|rules| rules.covers(name))
    }

    /// The topic that mirrors a queue. A name that would be too long has none.
    fn mirror_of(&self, queue: &DestinationName) -> Option<DestinationName> {
        let rules = self.0.mirrored_queues.as_ref();
        let MirroredQueues { prefix, postfix } = rules.filter(|_| !queue.is_temporary())?;
        DestinationName::topic(&format!("{prefix}{}{postfix}", queue.name())).ok()
    }
}

/// All destinations that what is sent to these goes to, each once: mirrors before their queues. Copies
/// are not routed again.
pub(super) fn targets(
    shared: &Shared,
    by: ConnectionId,
    names: &[DestinationName],
) -> Result<Vec<Target>, Refusal> {
    let registry = &shared.registry;
    let mut targets: Vec<Target> = Vec::new();
    let mut add = |cell: Arc<Cell>, named: bool| match targets
        .iter_mut()
        .find(|(other, _)| Arc::ptr_eq(other, &cell))
    {
        Some((_, known)) => *known |= named,
        None => targets.push((cell, named)),
    };
    for name in names {
        let mirror = match name.kind() {
            Kind::Queue => registry.rules().mirror_of(name),
            Kind::Topic => None,
        };
        for (topic, named) in mirror
            .iter()
            .map(|mirror| (mirror, false))
            .chain([(name, true)])
        {
            if registry.rules().is_virtual(topic) {
                for queue in registry.consumers_of(topic) {
                    add(queue, false);
                }
            }
            let target = if named {
                registry.get(topic, by, shared)?
            } else {
                registry.force(topic, shared)
            };
            add(target, named);
        }
    }
    Ok(targets)
}
