//! The names of destinations as STOMP clients write them.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{peek, value};
use nom::sequence::terminated;
use nom::{IResult, Parser};

use super::refusal::{Refused, shown};
use super::temporary::{REMOTE_QUEUE, REMOTE_TOPIC, Temporaries};
use crate::codec::stomp::{Version, escape};
use crate::core::{DestinationName, Kind, NameError, Pattern};
use crate::protocol::Code;

/// What a prefix stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Known(Kind),
    /// A temporary destination, by what its owner calls it.
    Own(Kind),
    /// A temporary destination by its real name.
    Remote(Kind),
    /// A kind of destination that is not built yet.
    Later(&'static str),
}

/// What a destination is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Send,
    Subscribe,
}

/// Reads a destination. Temporary ones are called as their owner pleases.
pub(super) fn parse(
    text: &[u8],
    purpose: Purpose,
    own: &mut Temporaries,
) -> Result<DestinationName, Refused> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Refused::new(
            Code::InvalidDestination,
            format!("The destination '{}' is not UTF-8", shown(text)),
        ));
    };
    // As with `ActiveMQ`, options behind a question mark are accepted and of no effect.
    let bare = text.split_once('?').map_or(text, |(name, _)| name);
    if !bare.contains(',') {
        return parse_one(bare, text, purpose, own);
    }
    let mut parts = Vec::new();
    for part in bare.split(',') {
        let part = parse_one(part.trim(), text, purpose, own)?;
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    match parts.as_slice() {
        [one] => Ok(one.clone()),
        several => {
            DestinationName::composite(several).map_err(|error| unusable(text, &error.to_string()))
        }
    }
}

/// Reads one name of those in `text`.
fn parse_one(
    bare: &str,
    text: &str,
    purpose: Purpose,
    own: &mut Temporaries,
) -> Result<DestinationName, Refused> {
    let (name, prefix) = match prefix(bare) {
        Ok((name, prefix)) => (name, prefix),
        Err(_) => (bare, Prefix::Known(Kind::Queue)),
    };
    let unusable = |error: NameError| unusable(text, &error.to_string());
    match prefix {
        Prefix::Known(kind) => {
            reject_misplaced(kind, name, text, purpose)?;
            DestinationName::new(kind, name).map_err(unusable)
        }
        Prefix::Own(kind) => {
            DestinationName::new(kind, name).map_err(unusable)?;
            own.named(kind, name)
        }
        Prefix::Remote(kind) => DestinationName::temporary(kind, name).map_err(unusable),
        Prefix::Later(what) => Err(later(what, text)),
    }
}

fn unusable(text: &str, problem: &str) -> Refused {
    Refused::new(
        Code::InvalidDestination,
        format!(
            "The destination '{}' cannot be used: {problem}",
            shown(text.as_bytes())
        ),
    )
}

/// The prefixes of temporary destinations. As JMS spells them, real names begin with `ID:`.
fn temporary(text: &str) -> IResult<&str, Prefix> {
    let own = |text, kind| value(Prefix::Own(kind), tag(text));
    let remote = |text, kind| value(Prefix::Remote(kind), tag(text));
    let real = |text, kind| {
        value(
            Prefix::Remote(kind),
            terminated(tag(text), peek(tag("ID:"))),
        )
    };
    alt((
        own("/temp-queue/", Kind::Queue),
        own("/temp-topic/", Kind::Topic),
        remote(REMOTE_QUEUE, Kind::Queue),
        remote(REMOTE_TOPIC, Kind::Topic),
        real("temp-queue://", Kind::Queue),
        real("temp-topic://", Kind::Topic),
        own("temp-queue://", Kind::Queue),
        own("temp-topic://", Kind::Topic),
    ))
    .parse(text)
}

/// Splits a prefix off and leaves the name.
fn prefix(text: &str) -> IResult<&str, Prefix> {
    let queue = |text| value(Prefix::Known(Kind::Queue), tag(text));
    let topic = |text| value(Prefix::Known(Kind::Topic), tag(text));
    let later = |text, what| value(Prefix::Later(what), tag(text));
    alt((
        queue("/queue/"),
        topic("/topic/"),
        queue("queue://"),
        topic("topic://"),
        queue("jms.queue."),
        topic("jms.topic."),
        queue("queue/"),
        topic("topic/"),
        queue("/amq/queue/"),
        temporary,
        later("/reply-queue/", "A reply queue"),
    ))
    .parse(text)
}

/// Refuses names that mean more to clients of `ActiveMQ` than a plain queue or topic, and those that
/// mean it to clients of others.
fn reject_misplaced(kind: Kind, name: &str, text: &str, purpose: Purpose) -> Result<(), Refused> {
    if purpose == Purpose::Send && Pattern::new(name).is_wildcard() {
        return Err(unusable(text, "a message cannot be sent to a wildcard"));
    }
    if purpose == Purpose::Subscribe && name.split('.').any(|level| matches!(level, "#" | "**")) {
        let hint = "the wildcards are '*' for one level and '>' for all further ones";
        return Err(unusable(text, hint));
    }
    if purpose == Purpose::Send && kind == Kind::Topic && name.starts_with("ActiveMQ.Advisory.") {
        return Err(unusable(text, "only the broker itself sends advisories"));
    }
    if name.starts_with("ActiveMQ.Statistics.") {
        return Err(later("A management destination", text));
    }
    Ok(())
}

fn later(what: &str, text: &str) -> Refused {
    Refused::new(
        Code::NotSupported,
        format!("{what} is not supported yet: {}", shown(text.as_bytes())),
    )
}

/// Appends a destination as a client of a version reads it: `/queue/NAME` or `/topic/NAME`, with commas
/// between several. Temporary ones are called as their owner calls them, if that is who reads.
pub(super) fn write(
    out: &mut Vec<u8>,
    name: &DestinationName,
    version: Version,
    own: Option<&Temporaries>,
) {
    match name.parts() {
        None => write_one(out, name, version, own),
        Some(parts) => {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_one(out, part, version, own);
            }
        }
    }
}

fn write_one(
    out: &mut Vec<u8>,
    name: &DestinationName,
    version: Version,
    own: Option<&Temporaries>,
) {
    let prefix = match (name.kind(), name.is_temporary()) {
        (Kind::Queue, false) => "/queue/",
        (Kind::Topic, false) => "/topic/",
        (kind, true) => {
            if let Some(alias) = own.and_then(|own| own.alias(name)) {
                return escape(out, alias.as_bytes(), version);
            }
            match kind {
                Kind::Queue => REMOTE_QUEUE,
                Kind::Topic => REMOTE_TOPIC,
            }
        }
    };
    out.extend_from_slice(prefix.as_bytes());
    escape(out, name.name().as_bytes(), version);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ConnectionId;

    fn own() -> Temporaries {
        Temporaries::new(ConnectionId(5), 2)
    }

    fn read(text: &str) -> Result<String, Code> {
        parse(text.as_bytes(), Purpose::Subscribe, &mut own())
            .map(|name| name.to_string())
            .map_err(|refused| refused.code)
    }

    #[test]
    fn every_spelling_of_a_queue_or_topic_names_the_same_one() {
        for text in [
            "/queue/a.b",
            "queue://a.b",
            "jms.queue.a.b",
            "queue/a.b",
            "/amq/queue/a.b",
            "a.b",
            "/queue/a.b?consumer.prefetchSize=1",
        ] {
            assert_eq!(read(text).as_deref(), Ok("queue://a.b"), "{text}");
        }
        for text in ["/topic/a/b", "topic://a/b", "jms.topic.a/b", "topic/a/b"] {
            assert_eq!(read(text).as_deref(), Ok("topic://a/b"), "{text}");
        }
    }

    #[test]
    fn what_is_not_built_yet_is_refused_and_never_taken_for_a_plain_queue() {
        for text in ["/reply-queue/x", "/topic/ActiveMQ.Statistics.Broker"] {
            assert_eq!(read(text), Err(Code::NotSupported), "{text}");
        }
        let list = b"/queue/a,/reply-queue/b";
        let sent = parse(list, Purpose::Send, &mut own()).unwrap_err();
        assert_eq!(sent.code, Code::NotSupported);
        let sent = parse(b"/queue/a.>", Purpose::Send, &mut own()).unwrap_err();
        assert_eq!(sent.code, Code::InvalidDestination);
    }

    #[test]
    fn wildcards_and_lists_can_be_subscribed_to_but_not_those_of_other_brokers() {
        for (text, name) in [
            ("/queue/a.>", "queue://a.>"),
            ("/topic/*.a", "topic://*.a"),
            (">", "queue://>"),
            ("a,topic://b.*", "queue://queue://a,topic://b.*"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(name), "{text}");
        }
        for text in ["/topic/a.#", "/topic/#", "/queue/a.**"] {
            assert_eq!(read(text), Err(Code::InvalidDestination), "{text}");
        }
    }

    #[test]
    fn a_list_of_names_stands_for_all_of_them() {
        let sent =
            |text: &str| parse(text.as_bytes(), Purpose::Send, &mut own()).map_err(|r| r.code);
        let names = |text: &str| {
            let parts = sent(text).unwrap().parts().unwrap_or_default();
            let names: Vec<_> = parts.iter().map(ToString::to_string).collect();
            names.join(" ")
        };
        assert_eq!(names("a,b"), "queue://a queue://b");
        assert_eq!(names("/queue/A,B"), "queue://A queue://B");
        assert_eq!(
            names("/topic/A, /queue/B,C"),
            "topic://A queue://B queue://C"
        );
        assert_eq!(names("queue://x,topic://x"), "queue://x topic://x");
        assert_eq!(sent("a,a").unwrap().to_string(), "queue://a", "each once");
        for text in ["a,", ",a", "/queue/,b", "a,>"] {
            assert_eq!(sent(text), Err(Code::InvalidDestination), "{text}");
        }
        let mut out = Vec::new();
        write(&mut out, &sent("A,topic://B").unwrap(), Version::V1_2, None);
        assert_eq!(out, b"/queue/A,/topic/B");
    }

    #[test]
    fn a_star_within_a_level_is_part_of_the_name() {
        assert_eq!(read("/queue/fo*").as_deref(), Ok("queue://fo*"));
        assert_eq!(
            read("/queue/Consumer.A").as_deref(),
            Ok("queue://Consumer.A")
        );
    }

    #[test]
    fn names_that_nobody_could_send_back_are_refused() {
        for text in ["", "/queue/", "/topic/", "/queue/a\nb", "?a=b"] {
            assert_eq!(read(text), Err(Code::InvalidDestination), "{text:?}");
        }
    }

    #[test]
    fn a_temporary_destination_is_called_as_its_owner_pleases() {
        let mut own = own();
        let mut read = |text: &str| parse(text.as_bytes(), Purpose::Send, &mut own);
        let first = read("/temp-queue/x").unwrap();
        assert_eq!(first.to_string(), "temp-queue://ID:5:1");
        assert_eq!(read("temp-queue://x").unwrap(), first);
        assert_eq!(read("temp-queue://ID:5:1").unwrap(), first);
        assert_eq!(read("/remote-temp-queue/ID:5:1").unwrap(), first);
        let topic = read("/temp-topic/x").unwrap();
        assert_eq!(topic.to_string(), "temp-topic://ID:5:2");
        assert_ne!(read("/queue/ID:5:1").unwrap(), first);
        let full = read("/temp-queue/y").unwrap_err();
        assert_eq!(full.code, Code::LimitReached);
        for text in ["/temp-queue/", "/remote-temp-queue/"] {
            assert_eq!(
                read(text).unwrap_err().code,
                Code::InvalidDestination,
                "{text}"
            );
        }
        let both = read("/temp-topic/x,a,/remote-temp-queue/ID:6:1").unwrap();
        let mut out = Vec::new();
        write(&mut out, &both, Version::V1_0, Some(&own));
        assert_eq!(out, b"/temp-topic/x,/queue/a,/remote-temp-queue/ID:6:1");
        out.clear();
        write(&mut out, &first, Version::V1_2, None);
        assert_eq!(out, b"/remote-temp-queue/ID\\c5\\c1");
    }
}
