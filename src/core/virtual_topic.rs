//! Virtual topics: what is sent to such a topic goes to every queue that belongs to it as well, so that
//! each group of consumers has its own queue of all messages. By default the topics are
//! `VirtualTopic.>`, and `Consumer.NAME.VirtualTopic.X` is a queue of `VirtualTopic.X`.

use super::destination::{DestinationName, Kind};
use super::pattern::Pattern;

/// Which topics are virtual, and what their queues are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualTopics {
    topics: Pattern,
    /// What stands before the topic's name in that of its queues.
    prefix: Pattern,
    levels: usize,
}

impl VirtualTopics {
    /// Virtual topics of a pattern, whose queues have the topic's name behind a prefix of whole levels
    /// such as `Consumer.*.`.
    pub fn new(topics: &str, prefix: &str) -> Self {
        let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
        Self {
            topics: Pattern::new(topics),
            prefix: Pattern::new(prefix),
            levels: prefix.split('.').count(),
        }
    }

    /// Whether this is a virtual topic.
    pub fn covers(&self, name: &DestinationName) -> bool {
        name.kind() == Kind::Topic && self.topics.matches(name.name())
    }

    /// The pattern of the names of the queues that belong to a topic.
    pub fn queues_of(&self, topic: &DestinationName) -> Pattern {
        Pattern::new(&format!("{}.{}", self.prefix, topic.name()))
    }

    /// The topic that a queue belongs to, if it belongs to one.
    pub fn topic_of(&self, name: &DestinationName) -> Option<DestinationName> {
        if name.kind() != Kind::Queue {
            return None;
        }
        let mut dots = name.name().match_indices('.').skip(self.levels - 1);
        let (dot, _) = dots.next()?;
        let (prefix, rest) = name.name().split_at_checked(dot)?;
        let topic = rest.get(1..)?;
        let belongs = self.prefix.matches(prefix) && self.topics.matches(topic);
        belongs
            .then(|| DestinationName::topic(topic).ok())
            .flatten()
    }
}

impl Default for VirtualTopics {
    fn default() -> Self {
        Self::new("VirtualTopic.>", "Consumer.*.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic_of(rules: &VirtualTopics, queue: &str) -> Option<String> {
        let queue = DestinationName::queue(queue).unwrap();
        rules.topic_of(&queue).map(|topic| topic.name().to_owned())
    }

    #[test]
    fn a_queue_belongs_to_the_topic_behind_its_prefix() {
        let rules = VirtualTopics::default();
        let topic = topic_of(&rules, "Consumer.A.VirtualTopic.Orders.Eu");
        assert_eq!(topic.as_deref(), Some("VirtualTopic.Orders.Eu"));
        for other in [
            "Consumer.A.Orders",
            "Consumer.VirtualTopic.Orders",
            "Producer.A.VirtualTopic.Orders",
            "VirtualTopic.Orders",
            "Consumer",
            "Consumer.A",
            "Consumer.A.",
        ] {
            assert_eq!(topic_of(&rules, other), None, "{other}");
        }
        assert!(rules.covers(&DestinationName::topic("VirtualTopic.Orders").unwrap()));
        assert!(!rules.covers(&DestinationName::queue("VirtualTopic.Orders").unwrap()));
        assert!(!rules.covers(&DestinationName::topic("Orders").unwrap()));
    }

    #[test]
    fn topics_and_prefix_can_be_others() {
        let rules = VirtualTopics::new(">", "VQ.*.*.");
        assert_eq!(topic_of(&rules, "VQ.a.b.c.d").as_deref(), Some("c.d"));
        assert_eq!(topic_of(&rules, "VQ.a.b"), None);
        assert!(rules.covers(&DestinationName::topic("anything").unwrap()));
    }
}
