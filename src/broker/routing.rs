//! Where a message goes beside the destination that it was sent to: to the queues of a virtual topic,
//! to the topic that mirrors a queue, to every part of a composite destination.

use std::sync::Arc;

use super::cell::{Cell, Destination};
use super::shared::Shared;
use super::transaction::Sending;
use crate::core::{
    Composites, ConnectionId, DestinationName, Kind, Message, Refusal, VirtualTopics,
};

/// The rules of a broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Virtual topics, if there are to be any.
    pub virtual_topics: Option<VirtualTopics>,
    /// Whether a queue of a virtual topic gets only what one of its consumers wants.
    pub selector_aware: bool,
    /// Mirrors of queues, if there are to be any.
    pub mirrored_queues: Option<MirroredQueues>,
    /// Destinations that stand for others.
    pub composites: Composites,
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
        if !name.is_plain() {
            return false;
        }
        let others = match name.kind() {
            Kind::Topic => self.is_virtual(name),
            Kind::Queue => self.0.mirrored_queues.is_some(),
        };
        others || self.0.composites.get(name).is_some() || name.is_scheduler_management()
    }

    /// The virtual topic that a queue belongs to.
    pub(super) fn topic_of(&self, queue: &DestinationName) -> Option<DestinationName> {
        let rules = self.0.virtual_topics.as_ref()?;
        rules.topic_of(queue).filter(|_| queue.is_plain())
    }

    fn is_virtual(&self, name: &DestinationName) -> bool {
        self.0.is_virtual(name)
    }
}

impl Routing {
    pub(super) fn is_virtual(&self, name: &DestinationName) -> bool {
        let rules = self.virtual_topics.as_ref();
        name.is_plain() && rules.is_some_and(|rules| rules.covers(name))
    }

    /// The topic that mirrors a queue. A name that would be too long has none.
    pub(super) fn mirror_of(&self, queue: &DestinationName) -> Option<DestinationName> {
        let is_plain = queue.kind() == Kind::Queue && queue.is_plain();
        let MirroredQueues { prefix, postfix } =
            self.mirrored_queues.as_ref().filter(|_| is_plain)?;
        DestinationName::topic(&format!("{prefix}{}{postfix}", queue.name())).ok()
    }
}

/// All destinations that a message goes to which is sent to these, each once: mirrors before their
/// queues. What a composite destination stands for counts as if it had been named; other copies are not
/// routed again.
pub(super) fn targets(
    shared: &Shared,
    by: ConnectionId,
    names: &[DestinationName],
    message: &Message,
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
    let routing = &registry.rules().0;
    let all = names
        .iter()
        .flat_map(|name| routing.composites.expand(name, message));
    for (name, named) in all {
        let mirror = routing.mirror_of(&name);
        for (topic, named) in mirror
            .iter()
            .map(|mirror| (mirror, false))
            .chain([(&name, named)])
        {
            if routing.is_virtual(topic) {
                for queue in registry.consumers_of(topic) {
                    if !routing.selector_aware || may_want(&queue, message) {
                        add(queue, false);
                    }
                }
            }
            registry
                .durables()
                .wanting(topic, message, |queue| add(Arc::clone(queue), named));
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

fn may_want(queue: &Cell, message: &Message) -> bool {
    queue.look(|destination| match destination {
        Destination::Queue(queue) => queue.may_want(message),
        Destination::Topic(_) => true,
    })
}

/// Where a message goes that is sent to a destination, each with the message as it is to arrive there: a
/// copy says what it was sent to.
pub(super) fn sendings(
    shared: &Shared,
    by: ConnectionId,
    destination: &DestinationName,
    message: &Arc<Message>,
) -> Result<Vec<Sending>, Refusal> {
    let parts = destination.parts();
    let names = parts
        .as_deref()
        .unwrap_or(std::slice::from_ref(destination));
    let found = targets(shared, by, names, message)?;
    let mut copy = None;
    let each = found.into_iter().map(|(cell, named)| {
        if named && parts.is_none() {
            return (cell, Arc::clone(message));
        }
        let copy = copy.get_or_insert_with(|| {
            Arc::new(Message {
                sent_to: Some(Box::new(destination.clone())),
                ..message.as_ref().clone()
            })
        });
        (cell, Arc::clone(copy))
    });
    Ok(each.collect())
}
