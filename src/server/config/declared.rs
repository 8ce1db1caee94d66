//! Every setting there is: here those of the broker as a whole, in `destinations` those of what is in
//! it.

mod destinations;

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::{
    Address, AddressOrOff, Count, CountOrAuto, FilePath, Line, LogFilter, OneOf, Portion, Ratio,
    Size, SomeOf, Switch, Time, Words,
};
use super::load::Reader;
use super::setting::{Section, Setting, section, words};
use super::units::Share;
pub use destinations::{
    Advisories, DeadLetter, DeadLetterChange, Declare, Destination, DestinationChange, Duplicates,
    Expired, Gc, Groups, GroupsChange, MirroredQueues, Rebalance, Redelivery, RedeliveryChange,
    VirtualTopics, WhenFull,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// The settings that hold before anybody writes one, beside each setting's own default.
pub(super) const BASE: [(&str, &str); 1] = [("listener.stomp.bind", "127.0.0.1:61613")];

/// Every table, in the order of the sample file.
pub(super) const SECTIONS: [Section; 21] = [
    Broker::SECTION,
    Memory::SECTION,
    Disk::SECTION,
    Store::SECTION,
    Listener::SECTION,
    HeartBeat::SECTION,
    Http::SECTION,
    Limits::SECTION,
    Destination::SECTION,
    Declare::SECTION,
    Gc::SECTION,
    Advisories::SECTION,
    Duplicates::SECTION,
    DeadLetter::SECTION,
    Redelivery::SECTION,
    Groups::SECTION,
    VirtualTopics::SECTION,
    MirroredQueues::SECTION,
    Auth::SECTION,
    Server::SECTION,
    Log::SECTION,
];

/// Tables whose settings a policy may change.
pub(super) const PER_DESTINATION: [&str; 4] =
    ["destination", "dead_letter", "redelivery", "groups"];

section! {
    /// The broker itself.
    Broker at "broker" {
        /// How the broker calls itself in logs and to operators.
        name: String = Line { min: 1, max: 64 }, "tidegate";
        /// The directory that holds everything the broker keeps; made at the first start.
        data: PathBuf = FilePath, "./tidegate-data";
        /// How long a stop waits for clients to take what is under way before it closes them.
        shutdown_grace: Duration = Time { min: 0, max: HOUR }, "30s";
    }
}

section! {
    /// One budget for everything that is kept in memory.
    Memory at "memory" {
        /// The budget: of the machine's memory, or of the container's if that is smaller.
        limit: Share = Portion { of: "the memory" }, "60%";
        /// From this part of the budget on, receipts are held back so that senders slow down.
        slow_at: f64 = Ratio { min: 0.1, max: 1.0 }, "0.8";
    }
}

section! {
    /// The disk that holds the data directory.
    Disk at "disk" {
        /// With less free space than this, persistent messages are refused.
        free_min: Share = Portion { of: "the disk" }, "5%";
        /// With less free space than this, the log warns.
        free_warn: Share = Portion { of: "the disk" }, "10%";
    }
}

words! {
    /// Where persistent messages are kept.
    Engine {
        /// In a redb file under the data directory.
        Redb = "redb",
        /// In memory only: nothing survives a restart.
        Memory = "memory",
    }
}

words! {
    /// What a receipt promises.
    Durability {
        /// The message is on the disk and synced.
        Sync = "sync",
        /// The message is handed to the store; a power failure may take one interval, and without a
        /// ring a kill, too.
        Relaxed = "relaxed",
        /// The message was accepted; nothing survives.
        None = "none",
    }
}

words! {
    /// Something that the broker may decide itself.
    Automatic {
        /// The broker decides.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

section! {
    /// How persistent messages are kept.
    Store at "store" {
        /// Where messages are kept: in a file, or in memory until the broker stops.
        engine: Engine = OneOf::<Engine>(PhantomData), "redb";
        /// What a receipt promises: synced to disk, handed to the store, or nothing.
        durability: Durability = OneOf::<Durability>(PhantomData), "sync";
        /// How often "relaxed" syncs: the most that a power failure can take.
        relaxed_interval: Duration = Time { min: 1, max: 60 * SECOND }, "100ms";
        /// The write-ahead ring in front of the store's file, by which receipts are fast; 0 for none.
        ring: u64 = Size { min: 0, max: 16 * GIB }, "64MiB";
        /// Whether to start although something that was acknowledged can no longer be read.
        salvage: bool = Switch, "false";
        /// Memory for pages of the store's file, part of the memory budget.
        cache: u64 = Size { min: MIB, max: 1024 * GIB }, "64MiB";
        /// Whether each commit writes what makes the start after a kill short, at some cost.
        quick_repair: Automatic = OneOf::<Automatic>(PhantomData), "auto";
        /// From this part of unused space on, the file is made smaller when there is time.
        compact_when: f64 = Ratio { min: 0.1, max: 1.0 }, "0.5";
    }
}

words! {
    /// What a listener speaks.
    Protocol {
        /// STOMP 1.0, 1.1 and 1.2.
        Stomp = "stomp",
    }
}

words! {
    /// Whose clients a listener serves.
    Dialect {
        /// Those of ActiveMQ Classic.
        ActiveMq = "activemq",
        /// Those of ActiveMQ Artemis.
        Artemis = "artemis",
        /// Those of RabbitMQ.
        RabbitMq = "rabbitmq",
    }
}

words! {
    /// What becomes of a message that a client refuses with NACK.
    NackMode {
        /// As the dialect has it: again without end for "rabbitmq", else again, then dead.
        Dialect = "dialect",
        /// It is delivered again, then moves to the dead-letter queue.
        Redeliver = "redeliver",
        /// It moves to the dead-letter queue at once, as in ActiveMQ Classic.
        DeadLetter = "dead-letter",
        /// It takes its place in the queue again, without end, as in RabbitMQ.
        Requeue = "requeue",
    }
}

words! {
    /// What becomes of a connection whose request was refused.
    ErrorMode {
        /// It is closed after the ERROR, as the STOMP standard wants it.
        Close = "close",
        /// It stays open where the broker can go on.
        KeepOpen = "keep-open",
    }
}

section! {
    /// An address that clients connect to. The name is the reader's own; "stomp" is there from the
    /// start. Tables of the same name in several files are one listener.
    Listener at "listener.*" {
        /// Whether the listener is opened.
        enabled: bool = Switch, "true";
        /// Where to listen. Beyond this machine only with `auth.anonymous = "always"`.
        bind: SocketAddr = Address, "";
        /// What clients may speak here.
        protocols: Vec<Protocol> = SomeOf::<Protocol>(PhantomData), "stomp";
        /// Whose clients it serves: how they write wildcards and some headers. What cannot be confused
        /// is understood in every dialect.
        dialect: Dialect = OneOf::<Dialect>(PhantomData), "activemq";
        /// What becomes of a message that a client refuses with NACK.
        nack: NackMode = OneOf::<NackMode>(PhantomData), "dialect";
        /// The `server` header of CONNECTED; clients choose their dialect by it. Empty leaves it out.
        server_header: String = Line { min: 0, max: 200 },
            "Tidegate/{version} (ActiveMQ compatible)";
        /// Whether SUBSCRIBE without `id` is refused where the standard asks for one.
        strict_subscription_id: bool = Switch, "false";
        /// Whether a refused request closes the connection.
        error_mode: ErrorMode = OneOf::<ErrorMode>(PhantomData), "keep-open";
        with
        /// Signs of life between frames.
        heart_beat: HeartBeat;
    }
}

section! {
    /// Signs of life between frames, as the client's `heart-beat` header asks for them.
    HeartBeat at "listener.*.heart_beat" {
        /// The shortest interval that is agreed to.
        min: Duration = Time { min: 10, max: HOUR }, "1s";
        /// The longest interval after which a client is sent something.
        max: Duration = Time { min: 10, max: DAY }, "1h";
        /// A client is given up after this many intervals of silence.
        grace: f64 = Ratio { min: 1.0, max: 100.0 }, "2.0";
        /// This much is added to that.
        grace_extra: Duration = Time { min: 0, max: HOUR }, "2s";
        /// Whether a client that sends no heart-beats is refused.
        require: bool = Switch, "false";
    }
}

section! {
    /// Metrics and health over HTTP.
    Http at "http" {
        /// Where to listen.
        bind: Option<SocketAddr> = AddressOrOff, "127.0.0.1:8161";
        /// Whether `/metrics` is served.
        metrics: bool = Switch, "true";
    }
}

section! {
    /// What one client, or all together, may take. What goes beyond is refused and named.
    Limits at "limits" {
        /// Open connections.
        max_connections: u32 = Count { min: 1, max: 1_000_000 }, "10000";
        /// Open connections from one address.
        max_connections_per_ip: u32 = Count { min: 1, max: 1_000_000 }, "1000";
        /// Subscriptions of one connection.
        max_subscriptions_per_connection: u32 = Count { min: 1, max: 1_000_000 }, "1000";
        /// The body of one frame.
        max_frame: u64 = Size { min: KIB, max: 2 * GIB }, "100MiB";
        /// One header line.
        max_header_line: u64 = Size { min: 256, max: 16 * MIB }, "64KiB";
        /// Header lines of one frame.
        max_headers: u32 = Count { min: 16, max: 100_000 }, "1000";
        /// One frame, headers included, of a client that has not logged in.
        max_frame_before_login: u64 = Size { min: KIB, max: 16 * MIB }, "64KiB";
        /// A client that has not logged in by then is closed.
        login_timeout: Duration = Time { min: 100, max: HOUR }, "10s";
        /// Bytes on their way to one client that does not read them.
        outbound_buffer: u64 = Size { min: 64 * KIB, max: GIB }, "4MiB";
        /// Bytes of messages from one client that wait because their queue is full.
        inbound_parked: u64 = Size { min: 0, max: GIB }, "1MiB";
        /// Sends and acknowledgements in one transaction.
        tx_max_operations: u32 = Count { min: 1, max: 10_000_000 }, "100000";
        /// Bytes of the messages in one transaction.
        tx_max_bytes: u64 = Size { min: KIB, max: 64 * GIB }, "256MiB";
        /// A transaction without an end is aborted after this.
        tx_timeout: Duration = Time { min: SECOND, max: DAY }, "5m";
        /// Open transactions of one connection.
        max_transactions_per_connection: u32 = Count { min: 1, max: 100_000 }, "100";
        /// How long a sender that finds no room is made to wait before it is refused.
        full_timeout: Duration = Time { min: 0, max: HOUR }, "10s";
        /// Queues and topics.
        max_destinations: u32 = Count { min: 1, max: 100_000_000 }, "100000";
        /// Messages that wait to be delivered later.
        max_scheduled: u32 = Count { min: 1, max: 100_000_000 }, "2000000";
        /// Temporary queues and topics of one connection.
        max_temporary_per_connection: u32 = Count { min: 1, max: 1_000_000 }, "1000";
    }
}

words! {
    /// From where clients without a password are let in.
    Anonymous {
        /// From this machine only: listeners must be bound to loopback addresses.
        Loopback = "loopback",
        /// From anywhere.
        Always = "always",
    }
}

section! {
    /// Who may connect.
    Auth at "auth" {
        /// From where clients without a password are let in: this machine only, or anywhere.
        anonymous: Anonymous = OneOf::<Anonymous>(PhantomData), "loopback";
    }
}

section! {
    /// How sockets are served. The defaults are measured; change them only with a measurement.
    Server at "server" {
        /// Threads that serve connections; "auto" leaves one processor to the store.
        workers: Option<u32> = CountOrAuto { max: 1024 }, "auto";
        /// Bytes read from a connection before the next one has its turn.
        read_buffer: u64 = Size { min: 4 * KIB, max: MIB }, "64KiB";
        /// Bytes written to a connection before the next one has its turn.
        write_budget: u64 = Size { min: 4 * KIB, max: 16 * MIB }, "256KiB";
    }
}

words! {
    /// How lines of the log look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object in each line.
        Json = "json",
    }
}

section! {
    /// The log, written to the standard error output.
    Log at "log" {
        /// How much is logged: error, warn, info, debug or trace; per target if wished.
        level: String = LogFilter, "info";
        /// Lines for people, or JSON objects for machines.
        format: LogFormat = OneOf::<LogFormat>(PhantomData), "text";
    }
}
