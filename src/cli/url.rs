//! Where a broker is: `stomp://[USER[:PASSWORD]@]HOST[:PORT][/VHOST]`.

use std::fmt;
use std::str::FromStr;

/// The port of STOMP.
const PORT: u16 = 61613;

/// A broker's address and how to log in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The virtual host, which is the host's name unless something else is asked for. `RabbitMQ` wants
    /// `/`: two slashes at the end.
    pub virtual_host: Box<str>,
}

/// A text that is no URL of a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no broker's URL: {what}; write stomp://[USER[:PASSWORD]@]HOST[:PORT][/VHOST]")]
pub struct UrlError {
    text: String,
    what: &'static str,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let wrong = |what| UrlError {
            text: text.to_owned(),
            what,
        };
        let rest = match text.split_once("://") {
            Some(("stomp" | "tcp", rest)) => rest,
            Some(("stomp+tls" | "stomp+ssl" | "ssl", _)) => {
                return Err(wrong("TLS is not supported yet"));
            }
            Some(_) => return Err(wrong("the scheme is not stomp")),
            None => text,
        };
        let (rest, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let (host, port) = split_port(place).ok_or(wrong("the port is no number up to 65535"))?;
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        let (user, password) = match login.map(|login| login.split_once(':').ok_or(login)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user.to_owned()), Some(password.to_owned())),
            Some(Err(user)) => (Some(user.to_owned()), None),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            user,
            password,
            virtual_host: if path.is_empty() { host } else { path }.into(),
        })
    }
}

fn split_port(place: &str) -> Option<(&str, u16)> {
    if let Some(bracketed) = place.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None if rest.is_empty() => Some((host, PORT)),
            None => None,
        };
    }
    match place.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((place, PORT)),
    }
}

impl fmt::Display for Url {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "stomp://[{host}]:{port}")
        } else {
            write!(f, "stomp://{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let url: Url = "stomp://me:se:cret@example.org:1234".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port), ("example.org", 1234));
        assert_eq!(url.user.as_deref(), Some("me"));
        assert_eq!(url.password.as_deref(), Some("se:cret"));
        assert_eq!(url.to_string(), "stomp://example.org:1234");
        let url: Url = "stomp://[::1]/".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port), ("::1", PORT));
        assert_eq!(&*url.virtual_host, "::1");
        let named = [
            ("stomp://a//", "/"),
            ("stomp://a:1/orders", "orders"),
            ("a", "a"),
        ];
        for (text, expected) in named {
            assert_eq!(text.parse::<Url>().unwrap().virtual_host.as_ref(), expected);
        }
        assert_eq!("localhost:7".parse::<Url>().unwrap().port, 7);
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (text, reason) in [
            ("http://x", "scheme"),
            ("stomp+tls://x", "TLS"),
            ("stomp://x:y", "port"),
            ("stomp://:1", "host"),
            ("stomp://", "host"),
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
