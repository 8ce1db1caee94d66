//! What clients of other brokers write differently: names of destinations and a few headers. All of it
//! is put into the words of `ActiveMQ` before anything else looks at it.

use std::borrow::Cow;

use super::refusal::{Refused, shown};
use crate::codec::stomp::Version;
use crate::protocol::Code;

const EXCHANGE: &str = "/exchange/";

/// Whose clients a listener serves. What cannot collide is understood in every dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `ActiveMQ` Classic: `.`, `*` and `>` in names.
    #[default]
    ActiveMq,
    /// `ActiveMQ` Artemis: `#` in names for any further levels. An ERROR closes from STOMP 1.2 on.
    Artemis,
    /// `RabbitMQ`: `#` in names, `%2F` for characters, `expiration` in milliseconds from now on.
    RabbitMq,
}

impl Dialect {
    /// A destination in the words of `ActiveMQ`; with `multicast` a bare name is that of a topic.
    pub(super) fn destination(
        self,
        text: &[u8],
        multicast: bool,
    ) -> Result<Cow<'_, [u8]>, Refused> {
        let is_plain = memchr::memchr3(b'#', b'%', b'>', text).is_none();
        if !multicast && memchr::memmem::find(text, EXCHANGE.as_bytes()).is_none() && is_plain {
            return Ok(Cow::Borrowed(text));
        }
        let Ok(whole) = std::str::from_utf8(text) else {
            // The one who reads it says so.
            return Ok(Cow::Borrowed(text));
        };
        let mut name = exchanges(whole);
        if multicast && !has_prefix(&name) {
            name = Cow::Owned(format!("/topic/{name}"));
        }
        if self == Self::RabbitMq && name.contains('%') {
            name = Cow::Owned(percent_decoded(&name));
        }
        if self != Self::ActiveMq {
            name = Cow::Owned(hashes(&name, whole)?);
        }
        Ok(match name {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        })
    }

    /// The header that gives a message's time to live, in milliseconds, if there is one.
    pub(super) const fn time_to_live(self) -> Option<&'static str> {
        match self {
            Self::RabbitMq => Some("expiration"),
            Self::ActiveMq | Self::Artemis => None,
        }
    }

    /// Whether every ERROR closes the connection.
    pub(super) fn closes_on_error(self, version: Version) -> bool {
        match self {
            Self::Artemis => version == Version::V1_2,
            Self::ActiveMq | Self::RabbitMq => false,
        }
    }
}

/// Whether the value of this header says that a bare name is that of a topic, in the words of Artemis.
pub(super) fn is_multicast(name: &str, value: &[u8]) -> Result<bool, Refused> {
    match value.trim_ascii() {
        b"MULTICAST" => Ok(true),
        b"ANYCAST" | b"" => Ok(false),
        other => Err(Refused::invalid(name, other, "ANYCAST or MULTICAST")),
    }
}

fn has_prefix(name: &str) -> bool {
    let prefixes = ["/", "queue:", "topic:", "jms.", "queue/", "topic/", "temp-"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// An exchange is a topic: that of the routing key for `amq.topic`, else that of the exchange, or of
/// exchange and key.
fn exchanges(text: &str) -> Cow<'_, str> {
    if !text.contains(EXCHANGE) {
        return Cow::Borrowed(text);
    }
    let part = |part: &str| match part.trim().strip_prefix(EXCHANGE) {
        None => part.to_owned(),
        Some(rest) => match rest.split_once('/') {
            Some(("amq.topic", key)) => format!("/topic/{key}"),
            Some((name, key)) => format!("/topic/{name}.{key}"),
            None => format!("/topic/{rest}"),
        },
    };
    Cow::Owned(text.split(',').map(part).collect::<Vec<_>>().join(","))
}

/// Takes `%2F` and the like for the characters that they stand for; what is no such thing stays.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *byte == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let decoded = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        rest = match decoded {
            Some(_) => behind.get(2..).unwrap_or_default(),
            None => behind,
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes `#` at the end of each part as `>`.
fn hashes(name: &str, text: &str) -> Result<String, Refused> {
    let refused = |problem: &str| {
        Refused::new(
            Code::InvalidDestination,
            format!(
                "The destination '{}' cannot be used: {problem}",
                shown(text.as_bytes())
            ),
        )
    };
    let part = |part: &str| {
        let (prefix, bare) = part.rsplit_once('/').map_or(("", part), |(prefix, bare)| {
            part.split_at_checked(prefix.len() + 1)
                .unwrap_or(("", bare))
        });
        if bare.split('.').any(|level| level == ">") {
            return Err(refused("the wildcard for all further levels is '#' here"));
        }
        let (front, last) = bare
            .rsplit_once('.')
            .map_or(("", bare), |(front, last)| (front, last));
        if front.split('.').any(|level| level == "#") {
            return Err(refused("'#' can only be the last level"));
        }
        if last != "#" {
            return Ok(part.to_owned());
        }
        let dot = if front.is_empty() { "" } else { "." };
        Ok(format!("{prefix}{front}{dot}>"))
    };
    let parts = name.split(',').map(part).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: Dialect, text: &str, multicast: bool) -> Result<String, Code> {
        let read = dialect.destination(text.as_bytes(), multicast);
        read.map(|name| String::from_utf8(name.into_owned()).unwrap())
            .map_err(|refused| refused.code)
    }

    fn as_rabbit(text: &str) -> Result<String, Code> {
        read(Dialect::RabbitMq, text, false)
    }

    #[test]
    fn plain_names_are_left_alone_in_every_dialect() {
        for dialect in [Dialect::ActiveMq, Dialect::Artemis, Dialect::RabbitMq] {
            for name in ["/queue/a", "a.b", "/topic/a.*", "/queue/a,/topic/b"] {
                assert_eq!(read(dialect, name, false).as_deref(), Ok(name));
            }
        }
        assert_eq!(
            read(Dialect::ActiveMq, "/queue/50%25.>", false).as_deref(),
            Ok("/queue/50%25.>")
        );
    }

    #[test]
    fn hashes_are_wildcards_where_they_are() {
        for (text, expected) in [
            ("/topic/a.#", "/topic/a.>"),
            ("/topic/#", "/topic/>"),
            ("#", ">"),
            ("/topic/*.b.#,/queue/c.#", "/topic/*.b.>,/queue/c.>"),
            ("/topic/a#", "/topic/a#"),
        ] {
            assert_eq!(as_rabbit(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(
                read(Dialect::Artemis, text, false).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        for text in ["/topic/a.#.b", "/topic/a.>"] {
            assert_eq!(as_rabbit(text), Err(Code::InvalidDestination), "{text}");
        }
        // Its own reader refuses it.
        assert_eq!(
            read(Dialect::ActiveMq, "/topic/a.#", false).as_deref(),
            Ok("/topic/a.#")
        );
    }

    #[test]
    fn exchanges_are_topics_and_headers_choose_for_bare_names() {
        for dialect in [Dialect::ActiveMq, Dialect::RabbitMq] {
            for (text, expected) in [
                ("/exchange/amq.topic/a.b", "/topic/a.b"),
                ("/exchange/news", "/topic/news"),
                ("/exchange/news/eu", "/topic/news.eu"),
                ("/queue/a,/exchange/news", "/queue/a,/topic/news"),
            ] {
                assert_eq!(read(dialect, text, false).as_deref(), Ok(expected));
            }
        }
        let multicast = |text| read(Dialect::ActiveMq, text, true);
        assert_eq!(multicast("news").as_deref(), Ok("/topic/news"));
        assert_eq!(multicast("/queue/news").as_deref(), Ok("/queue/news"));
        let name = "destination-type";
        assert_eq!(is_multicast(name, b"ANYCAST").ok(), Some(false));
        assert_eq!(is_multicast(name, b"MULTICAST").ok(), Some(true));
        assert!(is_multicast(name, b"ROUNDCAST").is_err());
    }

    #[test]
    fn characters_of_rabbitmq_are_what_they_stand_for() {
        assert_eq!(as_rabbit("/queue/a%2Fb%").as_deref(), Ok("/queue/a/b%"));
        assert_eq!(as_rabbit("/queue/%zz").as_deref(), Ok("/queue/%zz"));
    }
}
