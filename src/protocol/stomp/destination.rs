//! The names of destinations as STOMP clients write them.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::value;
use nom::{IResult, Parser};

use super::refusal::{Refused, shown};
use crate::codec::stomp::{Version, escape};
use crate::core::{DestinationName, Kind, Pattern};
use crate::protocol::Code;

/// What a prefix stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Known(Kind),
    /// A kind of destination that is not built yet.
    Later(&'static str),
}

/// What a destination is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Send,
    Subscribe,
}

/// Reads a destination.
pub(super) fn parse(text: &[u8], purpose: Purpose) -> Result<DestinationName, Refused> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Refused::new(
            Code::InvalidDestination,
            format!("The destination '{}' is not UTF-8", shown(text)),
        ));
    };
    // As with `ActiveMQ`, options behind a question mark are accepted and of no effect.
    let bare = text.split_once('?').map_or(text, |(name, _)| name);
    if !bare.contains(',') {
        return parse_one(bare, text, purpose);
    }
    let mut parts = Vec::new();
    for part in bare.split(',') {
        let part = parse_one(part.trim(), text, purpose)?;
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
fn parse_one(bare: &str, text: &str, purpose: Purpose) -> Result<DestinationName, Refused> {
    let (name, prefix) = match prefix(bare) {
        Ok((name, prefix)) => (name, prefix),
        Err(_) => (bare, Prefix::Known(Kind::Queue)),
    };
    let kind = match prefix {
        Prefix::Known(kind) => kind,
        Prefix::Later(what) => return Err(later(what, text)),
    };
    reject_misplaced(name, text, purpose)?;
    DestinationName::new(kind, name).map_err(|error| unusable(text, &error.to_string()))
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
        later("/temp-queue/", "A temporary queue"),
        later("/temp-topic/", "A temporary topic"),
        later("/remote-temp-queue/", "A temporary queue"),
        later("/remote-temp-topic/", "A temporary topic"),
        later("temp-queue://", "A temporary queue"),
        later("temp-topic://", "A temporary topic"),
        later("/reply-queue/", "A reply queue"),
    ))
    .parse(text)
}

/// Refuses names that mean more to clients of `ActiveMQ` than a plain queue or topic, and those that
/// mean it to clients of others.
fn reject_misplaced(name: &str, text: &str, purpose: Purpose) -> Result<(), Refused> {
    if purpose == Purpose::Send && Pattern::new(name).is_wildcard() {
        return Err(unusable(text, "a message cannot be sent to a wildcard"));
    }
    if purpose == Purpose::Subscribe && name.split('.').any(|level| matches!(level, "#" | "**")) {
        let hint = "the wildcards are '*' for one level and '>' for all further ones";
        return Err(unusable(text, hint));
    }
    let managed = [
        "ActiveMQ.Advisory.",
        "ActiveMQ.Statistics.",
        "ActiveMQ.Scheduler.",
    ];
    if managed.iter().any(|prefix| name.starts_with(prefix)) {
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

/// Appends a destination as clients of a version read it: `/queue/NAME` or `/topic/NAME`, with commas
/// between several.
pub(super) fn write(out: &mut Vec<u8>, name: &DestinationName, version: Version) {
    match name.parts() {
        None => write_one(out, name, version),
        Some(parts) => {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_one(out, part, version);
            }
        }
    }
}

fn write_one(out: &mut Vec<u8>, name: &DestinationName, version: Version) {
    out.extend_from_slice(match name.kind() {
        Kind::Queue => b"/queue/",
        Kind::Topic => b"/topic/",
    });
    escape(out, name.name().as_bytes(), version);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, Code> {
        parse(text.as_bytes(), Purpose::Subscribe)
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
        for text in [
            "/temp-queue/x",
            "/temp-topic/x",
            "/remote-temp-queue/ID:1",
            "/reply-queue/x",
            "/topic/ActiveMQ.Advisory.Connection",
        ] {
            assert_eq!(read(text), Err(Code::NotSupported), "{text}");
        }
        for text in ["/queue/a,/temp-queue/b", "/queue/a,/reply-queue/b"] {
            let sent = parse(text.as_bytes(), Purpose::Send).unwrap_err();
            assert_eq!(sent.code, Code::NotSupported, "{text}");
        }
        let sent = parse(b"/queue/a.>", Purpose::Send).unwrap_err();
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
        let sent = |text: &str| parse(text.as_bytes(), Purpose::Send).map_err(|r| r.code);
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
        write(&mut out, &sent("A,topic://B").unwrap(), Version::V1_2);
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
}
