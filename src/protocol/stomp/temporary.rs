//! Temporary destinations as a peer calls them: names of its own, which mean something else on every
//! connection. Others see the real names, under another prefix.
//!
//! A peer that is to be replied to at a temporary destination which it does not receive from is
//! subscribed to it by the session, as with RabbitMQ. Its own subscription takes over if it comes later.

use rustc_hash::FxHashMap;

use super::destination::{self, Purpose as For};
use super::receipts::Purpose;
use super::refusal::Refused;
use super::session::{Peer, own_name};
use super::subscription::{Outstanding, Subscription};
use crate::core::{
    AckMode, ConnectionId, DeliveryTag, DestinationName, Encoded, Form, Kind, Request,
    SubscribeOptions,
};
use crate::protocol::Code;
use crate::protocol::report::{add, kind_index, mode_index};

/// Others see the real name behind these.
pub(super) const REMOTE_QUEUE: &str = "/remote-temp-queue/";
pub(super) const REMOTE_TOPIC: &str = "/remote-temp-topic/";

/// The temporary destinations of a connection.
#[derive(Debug)]
pub(super) struct Temporaries {
    owner: ConnectionId,
    most: usize,
    /// What the peer calls them, by their numbers less one, and how often it receives from each.
    known: Vec<(Kind, Box<str>, usize)>,
    numbers: FxHashMap<(Kind, Box<str>), u64>,
}

impl Temporaries {
    pub(super) fn new(owner: ConnectionId, most: usize) -> Self {
        Self {
            owner,
            most,
            known: Vec::new(),
            numbers: FxHashMap::default(),
        }
    }

    /// The real name of what the peer calls so, which is new if need be.
    pub(super) fn named(&mut self, kind: Kind, alias: &str) -> Result<DestinationName, Refused> {
        let key = (kind, alias.into());
        if let Some(number) = self.numbers.get(&key) {
            return Ok(DestinationName::own_temporary(kind, self.owner, *number));
        }
        if self.known.len() >= self.most {
            let most = self.most;
            let message =
                format!("The connection has {most} temporary destinations, as many as it may");
            let key = "limits.max_temporary_per_connection";
            let refused = Refused::new(Code::LimitReached, message);
            return Err(refused.at_limit(key, None, most as u64));
        }
        self.known.push((kind, alias.into(), 0));
        let number = self.known.len() as u64;
        self.numbers.insert(key, number);
        Ok(DestinationName::own_temporary(kind, self.owner, number))
    }

    /// What the peer itself calls a destination, if that is one of its own.
    pub(super) fn alias(&self, name: &DestinationName) -> Option<String> {
        let (kind, alias, _) = self.known.get(self.place(name)?)?;
        Some(format!("/temp-{}/{alias}", kind.word()))
    }

    fn place(&self, name: &DestinationName) -> Option<usize> {
        if self.known.is_empty() {
            return None;
        }
        let (owner, number) = name.owner()?;
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        (owner == self.owner).then_some(place)
    }

    /// The peer begins to receive from a destination, or ends.
    pub(super) fn note(&mut self, destination: &DestinationName, begins: bool) {
        if self.known.is_empty() {
            return;
        }
        let parts = destination.parts();
        let parts = parts.as_deref();
        for name in parts.unwrap_or(std::slice::from_ref(destination)) {
            let place = self.place(name);
            if let Some((.., receivers)) = place.and_then(|place| self.known.get_mut(place)) {
                *receivers = if begins {
                    *receivers + 1
                } else {
                    receivers.saturating_sub(1)
                };
            }
        }
    }

    /// Whether the peer receives from one of its own, or it is not its own at all.
    fn is_received(&self, name: &DestinationName) -> bool {
        let known = self.place(name).and_then(|place| self.known.get(place));
        known.is_none_or(|(.., receivers)| *receivers > 0)
    }

    /// The temporary destination of the peer itself that a message is to be replied to at.
    pub(super) fn reply_to(&self, encoded: &Encoded) -> Option<DestinationName> {
        // Real names have a colon in them.
        if self.known.is_empty() || encoded.form == Form::StompPlain {
            return None;
        }
        let value = encoded.property(b"reply-to")?;
        let value = std::str::from_utf8(&value).ok()?;
        let name = |prefix, kind| {
            let name = value.strip_prefix(prefix)?;
            DestinationName::temporary(kind, name).ok()
        };
        let name = name(REMOTE_QUEUE, Kind::Queue).or_else(|| name(REMOTE_TOPIC, Kind::Topic))?;
        self.place(&name).map(|_| name)
    }
}

impl Peer {
    /// The temporary destination that a peer wants to be replied to at.
    pub(super) fn reply_destination(&mut self, text: &[u8]) -> Result<DestinationName, Refused> {
        let found = destination::parse(text, For::Send, &mut self.temporaries);
        let name = found.ok().filter(|name| !name.is_composite());
        let expected = "a temporary destination such as /temp-queue/NAME";
        let name = name.ok_or_else(|| Refused::invalid("reply-to", text, expected))?;
        if !self.temporaries.is_received(&name) {
            self.subscribe_by_itself(&name)?;
        }
        Ok(name)
    }

    /// Subscribes a peer to a temporary destination of its own. The subscription is called like that.
    fn subscribe_by_itself(&mut self, name: &DestinationName) -> Result<(), Refused> {
        let called = self.temporaries.alias(name).unwrap_or_default();
        let called = own_name("reply-to", called.as_bytes())?;
        if self.subscriptions.named(&called).is_some() {
            return Ok(());
        }
        self.may_subscribe()?;
        let mode = AckMode::Auto;
        let subscription = Subscription {
            prefix: self.message_prefix(Some(&called), mode),
            name: Some(called),
            destination: name.clone(),
            mode,
            durable: None,
            browses: false,
            by_itself: true,
            outstanding: Outstanding::default(),
            written: DeliveryTag(0),
        };
        let id = self.subscriptions.insert(subscription);
        self.temporaries.note(name, true);
        let (kind, mode_place) = (kind_index(name.kind()), mode_index(mode));
        add(&mut self.report.subscriptions, kind, mode_place, 1);
        let token = Some(self.receipts.add(None, Purpose::Subscribe(id)));
        self.deferred.push(Request::Subscribe {
            subscription: id,
            destination: name.clone(),
            options: SubscribeOptions::new(None, mode),
            token,
        });
        Ok(())
    }

    /// Ends what the session has subscribed a peer to by itself, since it does so now.
    pub(super) fn take_over(&mut self, name: &DestinationName, requests: &mut Vec<Request>) {
        let parts = name.parts();
        let parts = parts.as_deref().unwrap_or(std::slice::from_ref(name));
        let named = |known: &Subscription| known.by_itself && parts.contains(&known.destination);
        let all = self.subscriptions.iter();
        let by_itself: Vec<_> = all
            .filter(|(_, known)| named(known))
            .map(|(id, _)| id)
            .collect();
        for id in by_itself {
            self.settle_on_their_way(id, requests);
            self.forget_subscription(id);
            requests.push(Request::Unsubscribe {
                subscription: id,
                token: None,
            });
        }
    }
}
