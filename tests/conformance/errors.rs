//! Every code of `docs/errors.md`: what provokes it, what the peer is told, whether the connection
//! stays, and that nobody else notices.

use tidegate::internal::codec::stomp::Verb;
use tidegate::internal::protocol::Code;

use crate::provoke::*;
use crate::say::assert_alive;

/// What a code looks like from outside.
struct Row {
    code: Code,
    provoke: fn() -> Provoked,
    /// A part of the message that names the cause.
    names: &'static str,
    closed: bool,
    receipt: bool,
    /// The setting that it names, and whether the actual value is told.
    limit: Option<(&'static str, bool)>,
}

const fn row(code: Code, provoke: fn() -> Provoked, names: &'static str) -> Row {
    Row {
        code,
        provoke,
        names,
        closed: false,
        receipt: true,
        limit: None,
    }
}

impl Row {
    const fn closes(mut self) -> Self {
        self.closed = true;
        self
    }

    /// What could not be read as a frame has no receipt that could be named.
    const fn without_receipt(mut self) -> Self {
        self.receipt = false;
        self
    }

    const fn at(mut self, key: &'static str, actual: bool) -> Self {
        self.limit = Some((key, actual));
        self
    }
}

const TABLE: &[Row] = &[
    row(
        Code::UnknownCommand,
        unknown_command,
        "Unknown STOMP action: SED",
    )
    .closes()
    .without_receipt(),
    row(
        Code::MalformedFrame,
        malformed_frame,
        "line 2 of the frame has no colon: no colon",
    )
    .closes()
    .without_receipt(),
    row(
        Code::InvalidContentLength,
        content_length,
        "may not be negative: -1",
    )
    .closes()
    .without_receipt(),
    row(
        Code::FrameTooLarge,
        too_large,
        "maximum data length was exceeded: 2000, the limit is 1000",
    )
    .closes()
    .without_receipt()
    .at("limits.max_frame", true),
    row(
        Code::NotConnected,
        not_connected,
        "before CONNECT or STOMP frame: SEND",
    )
    .closes(),
    row(
        Code::AlreadyConnected,
        already_connected,
        "duplicate CONNECT or STOMP frame",
    )
    .closes(),
    row(
        Code::UnexpectedFrame,
        unexpected_frame,
        "RECEIPT is only expected from a server",
    )
    .closes(),
    row(
        Code::VersionMismatch,
        version_mismatch,
        "Invalid Protocol version[2.0]",
    )
    .closes(),
    row(
        Code::InvalidHeartBeat,
        invalid_heart_beat,
        "Invalid heart-beat header:T,0",
    )
    .closes(),
    row(
        Code::HeartBeatRequired,
        heart_beat_required,
        "wants heart-beats",
    )
    .closes(),
    row(
        Code::HeartBeatTimeout,
        heart_beat_timeout,
        "No data came for 4s, agreed was a heart-beat every 1s",
    )
    .closes()
    .without_receipt(),
    row(
        Code::LoginTimeout,
        login_timeout,
        "No CONNECT came within 10s (limits.login_timeout)",
    )
    .closes()
    .without_receipt(),
    row(Code::MissingHeader, missing_header, "(header: destination)"),
    row(
        Code::InvalidHeader,
        invalid_header,
        "The header priority is 'high'",
    ),
    row(
        Code::InvalidDestination,
        invalid_destination,
        "The destination '/queue/' cannot be used",
    ),
    row(
        Code::UnknownDestination,
        unknown_destination,
        "The destination temp-queue://ID:99:1 does not exist.",
    ),
    row(
        Code::ForeignTemporary,
        foreign_temporary,
        "Subscribing to a temporary topic created by another connection is not permitted",
    ),
    row(
        Code::InvalidSelector,
        invalid_selector,
        "The selector 'a = ' cannot be read",
    ),
    row(
        Code::NotSupported,
        not_supported,
        "The header transformation asks for a transformation",
    ),
    row(
        Code::SubscriptionExists,
        subscription_exists,
        "A subscription with the id 'one' exists",
    ),
    row(
        Code::SubscriptionInUse,
        subscription_in_use,
        "Durable consumer is in use for client: ",
    ),
    row(
        Code::UnknownSubscription,
        unknown_subscription,
        "No subscription matched: 'none'",
    ),
    row(
        Code::UnknownAck,
        unknown_ack,
        "[none]: it is no id that this broker gave",
    ),
    row(
        Code::TransactionExists,
        transaction_exists,
        "The transaction was already started: tx",
    ),
    row(
        Code::UnknownTransaction,
        unknown_transaction,
        "Invalid transaction id: none",
    ),
    row(
        Code::LimitReached,
        limit_reached,
        "has 1 subscriptions, as many as it may",
    )
    .at("limits.max_subscriptions_per_connection", false),
    row(Code::Full, full, "No room: the queue holds").at("destination.max_bytes", true),
    row(
        Code::StoreFailed,
        store_failed,
        "cannot store messages any more",
    )
    .closes(),
    row(Code::Shutdown, shutdown, "The broker is stopping")
        .closes()
        .without_receipt(),
];

#[test]
fn every_code_is_told_as_documented() {
    let codes: Vec<_> = TABLE.iter().map(|row| row.code).collect();
    assert_eq!(codes, Code::ALL, "each code has its row");
    for row in TABLE {
        let Provoked {
            mut world,
            client,
            error,
            bystander,
        } = (row.provoke)();
        let code = row.code.text();
        let told = |name| error.get(name);
        assert_eq!(error.verb, Verb::Error, "{code}: {error:?}");
        assert_eq!(told("code"), Some(code), "{error:?}");
        assert_eq!(told("content-type"), Some("text/plain"), "{code}");
        let message = told("message").unwrap();
        assert!(message.contains(row.names), "{code}: {message}");
        let body = String::from_utf8(error.body.clone()).unwrap();
        let expected = format!(
            "{message}\n{}\nSee docs/errors.md#{code}\n",
            row.code.hint()
        );
        assert_eq!(body, expected, "{code}");
        assert_eq!(told("receipt-id").is_some(), row.receipt, "{code}");
        assert_eq!(told("key"), row.limit.map(|(key, _)| key), "{code}");
        assert_eq!(told("limit").is_some(), row.limit.is_some(), "{code}");
        let actual = row.limit.is_some_and(|(_, actual)| actual);
        assert_eq!(told("actual").is_some(), actual, "{code}");
        assert_eq!(world.drain(client), [], "{code}: one ERROR for one mistake");
        assert_eq!(world.is_closed(client), row.closed, "{code}");
        if matches!(row.code, Code::StoreFailed | Code::Shutdown) {
            continue;
        }
        if !row.closed && row.code != Code::Full {
            assert_alive(&mut world, client);
        }
        if row.code != Code::HeartBeatTimeout {
            assert_alive(&mut world, bystander);
        }
    }
}

/// As the standard wants it, where the listener says so.
#[test]
fn every_error_closes_in_strict_mode() {
    for row in TABLE {
        let Provoked {
            world,
            client,
            error,
            ..
        } = in_strict_mode(row.provoke);
        assert_eq!(error.get("code"), Some(row.code.text()));
        assert!(world.is_closed(client), "{}", row.code.text());
    }
}
