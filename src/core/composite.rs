//! Destinations that stand for others by configuration: what is sent to one goes to those that it
//! names, all of it or what a selector matches.

use std::collections::BTreeMap;

use super::destination::DestinationName;
use super::message::{DeliveryState, Message};
use super::property::Described;
use super::selector::Selector;

/// A destination whose messages go to others.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeDestination {
    /// What messages are sent to.
    pub name: DestinationName,
    /// Where they go.
    pub forward_to: Vec<Branch>,
    /// Whether they do not go to the destination of that name itself.
    pub forward_only: bool,
    /// Whether they go there when nothing else wants them, and then only.
    pub send_when_not_matched: bool,
}

/// One of the destinations that a composite one stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The destination.
    pub to: DestinationName,
    /// Only messages that it matches go there.
    pub selector: Option<Selector>,
}

impl CompositeDestination {
    /// Whether its own destination gets a message, if some branch does, or none.
    fn keeps(&self, matched: bool) -> bool {
        if self.send_when_not_matched {
            !matched
        } else {
            !self.forward_only
        }
    }

    /// Whether its own destination can get anything.
    pub fn keeps_any(&self) -> bool {
        self.keeps(true) || self.keeps(false)
    }
}

/// Where messages may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The destination.
    pub to: DestinationName,
    /// The composite destination that names it, if one does.
    pub from: Option<DestinationName>,
    /// What has to match, all of it.
    pub selectors: Vec<String>,
    /// Only if nothing else is wanted.
    pub unless_matched: bool,
}

/// All of them, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Composites(BTreeMap<DestinationName, CompositeDestination>);

impl Composites {
    /// These; of two with the same name the later one.
    pub fn new(all: impl IntoIterator<Item = CompositeDestination>) -> Self {
        let named = all.into_iter().map(|one| (one.name.clone(), one));
        Self(named.collect())
    }

    /// The one of that name.
    pub fn get(&self, name: &DestinationName) -> Option<&CompositeDestination> {
        self.0.get(name)
    }

    /// Where a message goes that is sent to a destination, in order and each once; whether it is that
    /// very destination. Branches that are composite themselves are followed, each once, so that there
    /// is an end to it.
    pub fn expand(
        &self,
        name: &DestinationName,
        message: &Message,
    ) -> Vec<(DestinationName, bool)> {
        let mut found: Vec<(DestinationName, bool)> = Vec::new();
        let mut seen = Vec::new();
        let mut open = vec![name.clone()];
        while let Some(next) = open.pop() {
            match self.0.get(&next).filter(|_| !seen.contains(&next)) {
                // The last that is put there is the next to be taken.
                Some(composite) => {
                    let branches = composite.wanting(message);
                    seen.push(next.clone());
                    open.extend(composite.keeps(!branches.is_empty()).then_some(next));
                    open.extend(branches.into_iter().rev());
                }
                None if found.iter().any(|(other, _)| *other == next) => {}
                None => {
                    let own = next == *name;
                    found.push((next, own));
                }
            }
        }
        found
    }

    /// Where messages may go that are sent to a destination, and on which conditions.
    pub fn ways(&self, name: &DestinationName) -> Vec<Way> {
        let mut found = Vec::new();
        let mut seen = Vec::new();
        let mut open = vec![Way {
            to: name.clone(),
            from: None,
            selectors: Vec::new(),
            unless_matched: false,
        }];
        while let Some(way) = open.pop() {
            let composite = self.0.get(&way.to).filter(|_| !seen.contains(&way.to));
            let Some(composite) = composite else {
                found.push(way);
                continue;
            };
            seen.push(way.to.clone());
            open.extend(composite.keeps_any().then(|| Way {
                unless_matched: composite.send_when_not_matched,
                ..way.clone()
            }));
            open.extend(composite.forward_to.iter().rev().map(|branch| {
                let further = branch.selector.as_ref();
                let further = further.map(|selector| selector.text().to_owned());
                Way {
                    to: branch.to.clone(),
                    from: Some(way.to.clone()),
                    selectors: way.selectors.iter().cloned().chain(further).collect(),
                    unless_matched: way.unless_matched,
                }
            }));
        }
        found
    }

    /// Two composites that lead to each other, if there are any: messages would go round between them.
    /// One that names itself only keeps a copy.
    pub fn round(&self) -> Option<(&DestinationName, &DestinationName)> {
        self.0.keys().find_map(|start| {
            let mut seen = vec![start];
            let mut next = 0;
            while let Some(name) = seen.get(next).copied() {
                next += 1;
                for branch in self.0.get(name).iter().flat_map(|one| &one.forward_to) {
                    if branch.to == *start && name != start {
                        return Some((start, name));
                    }
                    if !seen.contains(&&branch.to) && self.0.contains_key(&branch.to) {
                        seen.push(&branch.to);
                    }
                }
            }
            None
        })
    }
}

impl CompositeDestination {
    fn wanting(&self, message: &Message) -> Vec<DestinationName> {
        let described = Described {
            message,
            state: DeliveryState::default(),
        };
        let wants = |branch: &&Branch| {
            let selector = branch.selector.as_ref();
            selector.is_none_or(|selector| selector.matches(&described))
        };
        let wanting = self.forward_to.iter().filter(wants);
        wanting.map(|branch| branch.to.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{BodyKind, ConnectionId, Encoded, MessageId, Priority, Timestamp};

    fn name(text: &str) -> DestinationName {
        match text.strip_prefix("topic://") {
            Some(name) => DestinationName::topic(name).unwrap(),
            None => DestinationName::queue(text).unwrap(),
        }
    }

    fn composite(of: &str, branches: &[(&str, &str)]) -> CompositeDestination {
        let branch = |(to, selector): &(&str, &str)| Branch {
            to: name(to),
            selector: (!selector.is_empty()).then(|| Selector::parse(selector).unwrap()),
        };
        CompositeDestination {
            name: name(of),
            forward_to: branches.iter().map(branch).collect(),
            forward_only: true,
            send_when_not_matched: false,
        }
    }

    fn message(head: &str) -> Message {
        Message {
            id: MessageId {
                connection: ConnectionId(1),
                number: 1,
            },
            timestamp: Timestamp(0),
            expiration: None,
            priority: Priority::DEFAULT,
            persistent: false,
            body_kind: BodyKind::Text,
            grouped: false,
            identified: false,
            encoded: Encoded {
                bytes: format!("{head}\n\n\0").into_bytes().into(),
                body_start: u32::try_from(head.len() + 2).unwrap(),
                ..Encoded::default()
            },
            sent_to: None,
            job: None,
            provenance: None,
        }
    }

    #[track_caller]
    fn goes(all: Vec<CompositeDestination>, to: &str, head: &str) -> Vec<String> {
        let found = Composites::new(all).expand(&name(to), &message(head));
        let shown = |(to, own): (DestinationName, bool)| {
            let mark = if own { "!" } else { "" };
            format!("{}{mark}", to.name())
        };
        found.into_iter().map(shown).collect()
    }

    #[test]
    fn what_is_no_composite_goes_to_itself() {
        assert_eq!(goes(vec![], "a", ""), ["a!"]);
    }

    #[test]
    fn a_message_goes_to_the_branches_that_want_it_and_to_each_once() {
        let all = || {
            let branches = [("a", ""), ("topic://b", "x > 1"), ("c", "x = 1"), ("a", "")];
            vec![composite("in", &branches)]
        };
        assert_eq!(goes(all(), "in", "x:1"), ["a", "c"]);
        assert_eq!(goes(all(), "in", "x:2"), ["a", "b"]);
        let mut copies = all();
        copies[0].forward_only = false;
        assert_eq!(goes(copies, "in", "x:2"), ["a", "b", "in!"]);
    }

    #[test]
    fn what_nobody_wants_is_kept_if_that_is_wished() {
        let all = |keep: bool| {
            let mut one = composite("in", &[("a", "x = 1")]);
            one.send_when_not_matched = keep;
            one.forward_only = false;
            vec![one]
        };
        assert_eq!(goes(all(true), "in", "x:2"), ["in!"]);
        assert_eq!(goes(all(true), "in", "x:1"), ["a"]);
        assert_eq!(goes(all(false), "in", "x:1"), ["a", "in!"]);
        let mut only = all(false);
        only[0].forward_only = true;
        assert!(goes(only, "in", "x:2").is_empty());
    }

    #[test]
    fn branches_that_are_composite_are_followed_once() {
        let all = || {
            vec![
                composite("in", &[("mid", ""), ("z", "")]),
                composite("mid", &[("a", ""), ("in", ""), ("b", "")]),
            ]
        };
        assert_eq!(goes(all(), "in", ""), ["a", "in!", "b", "z"]);
        let all = Composites::new(all());
        assert_eq!(all.round(), Some((&name("in"), &name("mid"))));
    }

    #[test]
    fn only_a_round_of_several_is_one() {
        let all = Composites::new([
            composite("a", &[("b", ""), ("a", "")]),
            composite("b", &[("c", "")]),
            composite("d", &[("b", "")]),
        ]);
        assert_eq!(all.round(), None);
    }
}
