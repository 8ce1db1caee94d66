//! The codes of all errors that peers are told. They are stable: users write rules for them, metrics
//! count by them, `docs/errors.md` explains each under its own heading.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $hint:literal;)+) => {
        /// What a peer did wrong, or what kept the broker from doing what it asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// As it is written in errors, metrics and documents.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What the peer's owner can do about it.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)+ }
            }

            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

codes! {
    /// The command of a frame is unknown.
    UnknownCommand = "unknown-command",
        "Check that the client speaks STOMP and that an earlier frame ended with its NUL.";
    /// Bytes that cannot be a frame.
    MalformedFrame = "malformed-frame",
        "Each header line is name:value; an empty line ends the headers.";
    /// A length that is no length, or not that of the body.
    InvalidContentLength = "invalid-content-length",
        "content-length counts the bytes of the body, without the NUL behind it.";
    /// A part of a frame beyond its limit.
    FrameTooLarge = "frame-too-large",
        "Send less, or raise the limit that is named.";
    /// Something else came before the login.
    NotConnected = "not-connected",
        "The first frame is CONNECT or STOMP.";
    /// A second login.
    AlreadyConnected = "already-connected",
        "Log in once for each connection.";
    /// A frame that only a server sends.
    UnexpectedFrame = "unexpected-frame",
        "A client does not send frames that a server answers with.";
    /// No version in common.
    VersionMismatch = "version-mismatch",
        "Offer one of the versions that are listed in accept-version.";
    /// The header that asks for heart-beats is no pair of numbers.
    InvalidHeartBeat = "invalid-heart-beat",
        "heart-beat is two numbers of milliseconds: what the client sends, what it wants.";
    /// This listener insists on heart-beats.
    HeartBeatRequired = "heart-beat-required",
        "Offer heart-beats, or switch heart_beat.require off for this listener.";
    /// The peer was silent for too long.
    HeartBeatTimeout = "heart-beat-timeout",
        "Send at least a line feed in each agreed interval, or agree to longer ones.";
    /// The peer did not log in.
    LoginTimeout = "login-timeout",
        "Send CONNECT right after the connection is made, or raise limits.login_timeout.";
    /// A header that the frame cannot do without.
    MissingHeader = "missing-header",
        "Add the header that is named.";
    /// A header whose value cannot be used.
    InvalidHeader = "invalid-header",
        "Correct the header that is named.";
    /// A name that no destination can have.
    InvalidDestination = "invalid-destination",
        "Destinations are /queue/NAME or /topic/NAME; a bare NAME is a queue.";
    /// A destination that is not there, and that use does not make.
    UnknownDestination = "unknown-destination",
        "A temporary destination ends with its connection; others may have to be declared first.";
    /// A temporary destination of another connection.
    ForeignTemporary = "foreign-temporary",
        "Receive from temporary destinations on the connection that made them.";
    /// A selector that cannot be read.
    InvalidSelector = "invalid-selector",
        "A selector is a condition on headers, such as colour = 'blue' AND weight > 2500.";
    /// Something that brokers like this can do, and this one cannot yet.
    NotSupported = "not-supported",
        "Leave the header or destination out that is named.";
    /// A subscription of that id is there already.
    SubscriptionExists = "subscription-exists",
        "Use another id, or send UNSUBSCRIBE first.";
    /// Somebody receives from the durable subscription.
    SubscriptionInUse = "subscription-in-use",
        "A durable subscription has one consumer at a time: end the other one first.";
    /// No subscription of that id or destination.
    UnknownSubscription = "unknown-subscription",
        "Name a subscription that this connection has made and not ended.";
    /// No such delivery waits for its acknowledgement.
    UnknownAck = "unknown-ack",
        "Acknowledge each delivery once, on the connection and subscription that it came by.";
    /// A transaction of that name is open already.
    TransactionExists = "transaction-exists",
        "Use another name, or end the transaction first.";
    /// No transaction of that name is open.
    UnknownTransaction = "unknown-transaction",
        "Send BEGIN first; a transaction ends by COMMIT, ABORT, an error in it, or its time-out.";
    /// More of something than one peer, or all together, may have.
    LimitReached = "limit-reached",
        "Give some back, or raise the limit that is named.";
    /// No room for a message, for longer than a sender is made to wait.
    Full = "full",
        "Consume what waits, or raise the limit that is named.";
    /// The store has failed.
    StoreFailed = "store-failed",
        "What had no receipt may be lost. See the broker's log; it has to be started again.";
    /// The broker stops.
    Shutdown = "shutdown",
        "Connect again in a moment, or to another broker.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_under_its_own_heading() {
        let page = include_str!("../../docs/errors.md");
        let headings: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(headings, codes);
    }
}
