//! Peers that took this port for another: they are told so in their own language.

/// What the first bytes of a connection look like if they are not STOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// An HTTP request.
    Http,
    /// A TLS handshake.
    Tls,
    /// The header of any version of AMQP.
    Amqp,
}

const METHODS: [&[u8]; 7] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
];

/// Looks at the first bytes that a peer ever sent.
pub(super) fn stranger(bytes: &[u8]) -> Option<Stranger> {
    if bytes.starts_with(&[0x16, 0x03]) {
        return Some(Stranger::Tls);
    }
    if bytes.starts_with(b"AMQP") {
        return Some(Stranger::Amqp);
    }
    METHODS
        .iter()
        .any(|method| bytes.starts_with(method))
        .then_some(Stranger::Http)
}

impl Stranger {
    /// What to answer.
    pub(super) const fn answer(self) -> &'static [u8] {
        match self {
            Self::Http => {
                b"HTTP/1.1 400 Bad Request\r\n\
                Content-Type: text/plain\r\nContent-Length: 87\r\nConnection: close\r\n\r\n\
                This port speaks STOMP. STOMP over WebSocket is not supported yet (not-supported).\r\n\r\n\n"
            }
            // A fatal alert: unexpected_message.
            Self::Tls => &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a],
            Self::Amqp => b"",
        }
    }

    /// What the log says.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "an HTTP client",
            Self::Tls => "a TLS client",
            Self::Amqp => "an AMQP client",
        }
    }
}
