//! SUBSCRIBE and UNSUBSCRIBE.

use std::sync::Arc;

use super::deliver::{settle_written, write_ack_prefix};
use super::destination::{self, Purpose as For};
use super::dialect::is_multicast;
use super::receipts::Purpose;
use super::refusal::{Refused, shown};
use super::session::{Peer, own_name, value};
use super::subscription::{Outstanding, Subscription};
use crate::codec::stomp::{Headers, Verb, Version, begin, header, number};
use crate::core::{
    AckMode, DeliveryTag, DestinationName, Kind, Pattern, Request, Selector, SubscribeOptions,
    SubscriptionId,
};
use crate::protocol::Code;
use crate::protocol::report::{add, kind_index, mode_index};

/// How many deliveries a subscription may hold that asks for no bound.
const UNBOUNDED: u32 = u32::MAX;

impl Peer {
    pub(super) fn subscribe(
        &mut self,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let text = headers.get(b"destination").unwrap_or_default();
        if text.is_empty() {
            return Err(Refused::missing(
                "Invalid empty or 'null' Destination header",
                "destination",
            ));
        }
        let destination = self.subscribed_to(&text, headers)?;
        reject_unbuilt(headers)?;
        let mode = ack_mode(headers);
        let mut options = self.options(mode, headers)?;
        if is_on(headers, b"browser") {
            self.may_browse(&destination)?;
            options.browse = true;
            options.exclusive = false;
        }
        options.durable = self.durable(headers, &destination)?;
        self.take_over(&destination, requests);
        let name = self.new_name(headers)?;
        options.name = Some(self.known_as(name.as_deref()));
        let kind = destination.kind();
        let subscription = Subscription {
            prefix: self.message_prefix(name.as_deref(), mode),
            name,
            destination: destination.clone(),
            mode,
            durable: options.durable.clone(),
            browses: options.browse,
            by_itself: false,
            outstanding: Outstanding::default(),
            written: DeliveryTag(0),
        };
        let id = self.subscriptions.insert(subscription);
        self.temporaries.note(&destination, true);
        add(
            &mut self.report.subscriptions,
            kind_index(kind),
            mode_index(mode),
            1,
        );
        let receipt = self.receipt(headers);
        // Also without a receipt the session has to hear whether there is a subscription now.
        let token = Some(self.receipts.add(receipt, Purpose::Subscribe(id)));
        requests.push(Request::Subscribe {
            subscription: id,
            destination,
            options,
            token,
        });
        Ok(())
    }

    /// Reads the destination of a subscription.
    pub(super) fn subscribed_to(
        &mut self,
        text: &[u8],
        headers: &Headers<'_>,
    ) -> Result<DestinationName, Refused> {
        let choice = "subscription-type";
        let multicast = match headers.get(choice.as_bytes()) {
            Some(value) => is_multicast(choice, &value)?,
            None => false,
        };
        let translated = self.config.dialect.destination(text, multicast)?;
        destination::parse(&translated, For::Subscribe, &mut self.temporaries)
    }

    /// Whether a destination can be browsed.
    fn may_browse(&self, destination: &DestinationName) -> Result<(), Refused> {
        if self.version == Version::V1_0 {
            return Err(Refused::new(
                Code::NotSupported,
                "Queue Browser feature only valid for Stomp v1.1+ clients!",
            ));
        }
        let one = !destination.is_composite() && !Pattern::new(destination.name()).is_wildcard();
        if one && destination.kind() == Kind::Queue {
            return Ok(());
        }
        Err(Refused::new(
            Code::InvalidDestination,
            format!("A browser looks at one queue, not at '{destination}'"),
        ))
    }

    /// The peer's name for one more subscription, if it may have one.
    fn new_name(&self, headers: &Headers<'_>) -> Result<Option<Box<[u8]>>, Refused> {
        let name = headers.get(b"id").filter(|id| !id.is_empty());
        if name.is_none() && self.config.strict_subscription_id && self.version > Version::V1_0 {
            return Err(Refused::missing(
                "SUBSCRIBE received without a subscription id!",
                "id",
            ));
        }
        let name = name.map(|name| own_name("id", &name)).transpose()?;
        if name
            .as_ref()
            .is_some_and(|name| self.subscriptions.named(name).is_some())
        {
            return Err(Refused::new(
                Code::SubscriptionExists,
                format!(
                    "A subscription with the id '{}' exists",
                    shown(name.as_deref().unwrap_or_default())
                ),
            ));
        }
        self.may_subscribe()?;
        Ok(name)
    }

    /// Whether the peer may have one more subscription.
    pub(super) fn may_subscribe(&self) -> Result<(), Refused> {
        let most = self.config.max_subscriptions;
        if self.subscriptions.len() >= most {
            return Err(Refused::new(
                Code::LimitReached,
                format!("The connection has {most} subscriptions, as many as it may"),
            )
            .at_limit("limits.max_subscriptions_per_connection", None, most as u64));
        }
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let id = headers.get(b"id").filter(|id| !id.is_empty());
        let to = headers.get(b"destination").filter(|to| !to.is_empty());
        if let Some(durable) = self.durable_to_forget(headers)? {
            self.forget_durable(durable, headers, requests);
            return Ok(());
        }
        let found = match (&id, &to) {
            (Some(id), _) => self.subscription_called(id),
            (None, Some(to)) => {
                let destination = self.subscribed_to(to, headers)?;
                self.subscriptions.to(&destination)
            }
            (None, None) => {
                return Err(Refused::missing(
                    "UNSUBSCRIBE received without a subscription id!",
                    "id",
                ));
            }
        };
        let Some(found) = found else {
            let named = id.or(to).unwrap_or_default();
            return Err(Refused::new(
                Code::UnknownSubscription,
                format!("No subscription matched: '{}'", shown(&named)),
            ));
        };
        self.settle_on_their_way(found, requests);
        self.forget_subscription(found);
        let token = self
            .receipt(headers)
            .map(|receipt| self.receipts.add(Some(receipt), Purpose::Plain));
        requests.push(Request::Unsubscribe {
            subscription: found,
            token,
        });
        Ok(())
    }

    /// What a subscription that acknowledges by itself has been sent, though the socket has not taken
    /// it yet, still reaches the peer: it must not be given to another one.
    pub(super) fn settle_on_their_way(&mut self, id: SubscriptionId, requests: &mut Vec<Request>) {
        let mode = self.subscriptions.get(id).map(|known| known.mode);
        if mode == Some(AckMode::Auto)
            && let Some(last) = self.on_their_way.last_of(id)
        {
            settle_written(
                &mut self.subscriptions,
                &mut self.report,
                id,
                last,
                requests,
            );
        }
    }

    /// Forgets a subscription that has ended or was refused.
    pub(super) fn forget_subscription(&mut self, id: SubscriptionId) {
        if let Some(gone) = self.subscriptions.remove(id) {
            self.temporaries.note(&gone.destination, false);
            let (kind, mode) = (gone.destination.kind(), gone.mode);
            add(
                &mut self.report.subscriptions,
                kind_index(kind),
                mode_index(mode),
                -1,
            );
        }
    }

    /// What operators may call the next subscription: the session and the name of it there, of which
    /// the client may have chosen anything.
    fn known_as(&self, name: Option<&[u8]>) -> Arc<str> {
        let session = self.id.0;
        match name {
            Some(name) => format!("ID-{session}/{}", shown(name)).into(),
            None => format!("ID-{session}/auto-{}", self.subscriptions.next_id().0).into(),
        }
    }

    /// The first lines of each MESSAGE, up to the tag in its `ack` header if it has one. Since 1.1 a subscription always has an id; one is made up for
    /// a peer that gave none.
    pub(super) fn message_prefix(&self, name: Option<&[u8]>, mode: AckMode) -> Box<[u8]> {
        let mut prefix = Vec::new();
        begin(&mut prefix, Verb::Message);
        match name {
            Some(name) => header(&mut prefix, b"subscription", name, self.version),
            None if self.version > Version::V1_0 => {
                prefix.extend_from_slice(b"subscription:auto-");
                number(&mut prefix, u64::from(self.subscriptions.next_id().0));
                prefix.push(b'\n');
            }
            None => {}
        }
        if self.version == Version::V1_2 && mode != AckMode::Auto {
            prefix.extend_from_slice(b"ack:");
            write_ack_prefix(&mut prefix, self.id, self.subscriptions.next_id());
        }
        prefix.into()
    }

    /// On which terms the peer wants to receive.
    fn options(&self, mode: AckMode, headers: &Headers<'_>) -> Result<SubscribeOptions, Refused> {
        let any_of = |names: &[&[u8]]| names.iter().any(|name| is_on(headers, name));
        let no_local = any_of(&[b"activemq.noLocal", b"no-local"]);
        let window = window_bytes(headers)?;
        let mut prefetch = Self::prefetch(headers, window.is_some())?;
        if window == Some(0) {
            prefetch = Some(1);
        }
        Ok(SubscribeOptions {
            window_bytes: window.filter(|bytes| *bytes > 0).unwrap_or(u64::MAX),
            selector: selector(headers)?,
            no_local: no_local.then_some(self.id),
            priority: consumer_priority(headers)?,
            exclusive: any_of(&[b"activemq.exclusive"]),
            ..SubscribeOptions::new(prefetch, mode)
        })
    }

    /// How many deliveries the subscription may hold, if it says so. `activemq.prefetchSize:0`, which with
    /// `ActiveMQ` never delivers anything, is taken for one at a time; `prefetch-count:0` is without
    /// bound, as with RabbitMQ.
    fn prefetch(headers: &Headers<'_>, has_window: bool) -> Result<Option<u32>, Refused> {
        let read = |name: &'static str| {
            headers.get(name.as_bytes()).map(|text| {
                value::<u32>(&text)
                    .ok_or_else(|| Refused::invalid(name, &text, "a number of messages, 0 or more"))
            })
        };
        if let Some(size) = read("activemq.prefetchSize") {
            return size.map(|size| Some(size.max(1)));
        }
        if let Some(count) = read("prefetch-count") {
            return count.map(|count| Some(if count == 0 { UNBOUNDED } else { count }));
        }
        Ok(has_window.then_some(UNBOUNDED))
    }
}

/// Whether a header says `true`.
pub(super) fn is_on(headers: &Headers<'_>, name: &[u8]) -> bool {
    let value = headers.get(name);
    value.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"true"))
}

/// The condition on messages, if there is one.
fn selector(headers: &Headers<'_>) -> Result<Option<Selector>, Refused> {
    let spellings = [b"selector".as_slice(), b"activemq.selector"];
    let mut given = spellings.iter().filter_map(|name| headers.get(name));
    let Some(text) = given.find(|text| !text.trim_ascii().is_empty()) else {
        return Ok(None);
    };
    let refused = |problem: String| {
        Refused::new(
            Code::InvalidSelector,
            format!("The selector '{}' cannot be read: {problem}", shown(&text)),
        )
    };
    let read = std::str::from_utf8(&text).map_err(|error| refused(error.to_string()))?;
    let selector = Selector::parse(read).map_err(|error| refused(error.to_string()))?;
    Ok(Some(selector))
}

/// The window in bytes, as Artemis counts it: -1 is without bound, 0 one message at a time.
fn window_bytes(headers: &Headers<'_>) -> Result<Option<u64>, Refused> {
    let name = "consumer-window-size";
    let Some(text) = headers.get(name.as_bytes()) else {
        return Ok(None);
    };
    let expected = "a number of bytes, or -1";
    let bytes: i64 = value(&text).ok_or_else(|| Refused::invalid(name, &text, expected))?;
    if bytes < -1 {
        return Err(Refused::invalid(name, &text, expected));
    }
    Ok(Some(u64::try_from(bytes).unwrap_or(u64::MAX)))
}

/// The consumer priority, in the spelling of `ActiveMQ` or of `RabbitMQ`.
fn consumer_priority(headers: &Headers<'_>) -> Result<i8, Refused> {
    let spellings = ["activemq.priority", "x-priority"];
    let given = spellings
        .iter()
        .find_map(|name| Some((*name, headers.get(name.as_bytes())?)));
    let Some((name, text)) = given else {
        return Ok(0);
    };
    value(&text).ok_or_else(|| Refused::invalid(name, &text, "a whole number from -128 to 127"))
}

/// As with `ActiveMQ`, what is none of the three words is `auto`.
fn ack_mode(headers: &Headers<'_>) -> AckMode {
    match headers.get(b"ack").as_deref() {
        Some(b"client") => AckMode::Client,
        Some(b"client-individual") => AckMode::ClientIndividual,
        _ => AckMode::Auto,
    }
}

/// Headers that change what a subscription receives, none of which may pass unnoticed.
fn reject_unbuilt(headers: &Headers<'_>) -> Result<(), Refused> {
    for header in headers.iter() {
        let value = header.value();
        let on = value.trim_ascii().eq_ignore_ascii_case(b"true");
        let what = match header.name {
            b"activemq.subscriptionName" | b"activemq.subcriptionName" => continue,
            b"activemq.retroactive" if on => "earlier messages of a topic",
            // Advisories are JSON already, whatever is asked for.
            b"transformation" if value.trim_ascii() == b"jms-advisory-json" => continue,
            b"transformation" if is_transformation(&value) => "a transformation",
            name if looks_durable(name) => {
                let expected = "no such header; durable subscriptions are named by \
                                activemq.subscriptionName";
                let name = shown(name);
                return Err(Refused::invalid(&name, &value, expected));
            }
            _ => continue,
        };
        return Err(Refused::unbuilt(header.name, what));
    }
    Ok(())
}

/// A mistyped name of a durable subscription must not quietly give one that is not.
fn looks_durable(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(b"activemq.") else {
        return false;
    };
    let lower = rest.to_ascii_lowercase();
    let holds = |part: &[u8]| lower.windows(part.len()).any(|window| window == part);
    holds(b"sub") || holds(b"durable")
}

/// The names of body translators that clients of `ActiveMQ` may ask for; others are of no effect.
pub(super) fn is_transformation(name: &[u8]) -> bool {
    matches!(
        name.trim_ascii(),
        b"jms-xml"
            | b"jms-json"
            | b"jms-object-xml"
            | b"jms-object-json"
            | b"jms-map-xml"
            | b"jms-map-json"
            | b"jms-advisory-xml"
            | b"jms-advisory-json"
    )
}
