//! The configuration: what was written in files, environment and flags, as typed settings.
//!
//! `declared` holds every setting once; `load` gathers what was written, `kind` reads single values,
//! `check` looks at the whole, `sample` and `print` write files. All mistakes are found in one go
//! and reported with their place. Deliberately not here: what the settings do.

mod changes;
mod check;
mod composite;
mod declared;
mod explain;
mod kind;
mod load;
mod names;
mod policy;
mod print;
mod problem;
mod sample;
mod setting;
mod substitute;
mod units;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use changes::Change;
pub use declared::{
    Advisories, Anonymous, Auth, Automatic, Broker, DeadLetter, DeadLetterChange, Declare,
    Destination, DestinationChange, Dialect, Disk, Duplicates, Durability, Engine, ErrorMode,
    Expired, Gc, Groups, GroupsChange, HeartBeat, Http, Limits, Listener, Log, LogFormat, Memory,
    MirroredQueues, NackMode, Protocol, Rebalance, Redelivery, RedeliveryChange, Server, Store,
    VirtualTopics, WhenFull,
};
pub use explain::{Explained, ExplainedSetting, destination};
pub use load::{Override, Sources};
pub use policy::Policy;
pub use problem::Problems;
pub use sample::sample;
pub use units::Share;

use crate::core::CompositeDestination;
use load::{Entries, Reader};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The broker itself.
    pub broker: Broker,
    /// The memory budget.
    pub memory: Memory,
    /// The disk that holds the data directory.
    pub disk: Disk,
    /// How persistent messages are kept.
    pub store: Store,
    /// The enabled listeners by name; never empty.
    pub listeners: BTreeMap<String, Listener>,
    /// Metrics and health over HTTP.
    pub http: Http,
    /// What one client, or all together, may take.
    pub limits: Limits,
    /// How queues and topics behave.
    pub destination: Destination,
    /// Destinations that are there from the start, and stay.
    pub declare: Declare,
    /// Destinations that nobody uses any more.
    pub gc: Gc,
    /// Telling what happens.
    pub advisories: Advisories,
    /// Messages that are sent twice.
    pub duplicates: Duplicates,
    /// Messages that could not be consumed.
    pub dead_letter: DeadLetter,
    /// How long refused messages wait.
    pub redelivery: Redelivery,
    /// Message groups.
    pub groups: Groups,
    /// What is otherwise for some destinations, in the order in which it was written.
    pub policies: Vec<Policy>,
    /// Destinations whose messages go to others.
    pub composites: Vec<CompositeDestination>,
    /// Virtual topics.
    pub virtual_topics: VirtualTopics,
    /// Mirrored queues.
    pub mirrored_queues: MirroredQueues,
    /// Who may connect.
    pub auth: Auth,
    /// How sockets are served.
    pub server: Server,
    /// The log.
    pub log: Log,
}

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// What holds.
    pub settings: Settings,
    entries: Entries,
}

impl Loaded {
    /// Reads all sources and checks them.
    ///
    /// # Errors
    /// All mistakes that were found, if there are any.
    pub fn read(sources: &Sources) -> Result<Self, Problems> {
        Self::judge(Entries::gather(sources))
    }

    /// The configuration that holds, as a TOML file with the origin of each value.
    pub fn print(&self) -> String {
        print::print(&self.entries)
    }

    fn judge(mut entries: Entries) -> Result<Self, Problems> {
        let mut problems = std::mem::take(&mut entries.problems);
        problems.extend(check::keys(&entries));
        let mut reader = Reader::new(&entries.by_key);
        let settings = Settings::read(&mut reader, &entries);
        problems.append(&mut reader.problems);
        if let Some(settings) = &settings {
            problems.extend(check::sense(settings, &entries));
        }
        match settings {
            Some(settings) if problems.is_empty() => Ok(Self { settings, entries }),
            _ => Err(Problems(problems)),
        }
    }
}

impl Settings {
    /// All settings; `None` if one is wrong, after all were looked at.
    fn read(reader: &mut Reader<'_>, entries: &Entries) -> Option<Self> {
        let broker = Broker::read(reader, "");
        let memory = Memory::read(reader, "");
        let disk = Disk::read(reader, "");
        let store = Store::read(reader, "");
        let listeners = read_listeners(reader, &entries.listeners());
        let http = Http::read(reader, "");
        let limits = Limits::read(reader, "");
        let destination = Destination::read(reader, "");
        let declare = Declare::read(reader, "");
        let gc = Gc::read(reader, "");
        let advisories = Advisories::read(reader, "");
        let duplicates = Duplicates::read(reader, "");
        let dead_letter = DeadLetter::read(reader, "");
        let redelivery = Redelivery::read(reader, "");
        let groups = Groups::read(reader, "");
        let composites = entries.composites.iter();
        let composites: Vec<_> = composites
            .map(|composite| composite.read(&mut reader.problems))
            .collect();
        let policies = entries.policies.iter();
        let policies: Vec<_> = policies
            .map(|policy| policy.read(&mut reader.problems))
            .collect();
        let virtual_topics = VirtualTopics::read(reader, "");
        let mirrored_queues = MirroredQueues::read(reader, "");
        let auth = Auth::read(reader, "");
        let server = Server::read(reader, "");
        let log = Log::read(reader, "");
        Some(Self {
            broker: broker?,
            memory: memory?,
            disk: disk?,
            store: store?,
            listeners: listeners?,
            http: http?,
            limits: limits?,
            destination: destination?,
            declare: declare?,
            gc: gc?,
            advisories: advisories?,
            duplicates: duplicates?,
            dead_letter: dead_letter?,
            redelivery: redelivery?,
            groups: groups?,
            policies: policies.into_iter().collect::<Option<_>>()?,
            composites: composites.into_iter().collect::<Option<_>>()?,
            virtual_topics: virtual_topics?,
            mirrored_queues: mirrored_queues?,
            auth: auth?,
            server: server?,
            log: log?,
        })
    }
}

/// The enabled listeners; `None` if one is wrong, after all were looked at.
fn read_listeners(reader: &mut Reader<'_>, names: &[String]) -> Option<BTreeMap<String, Listener>> {
    let read: Vec<_> = names
        .iter()
        .map(|name| (name, Listener::read(reader, name)))
        .collect();
    let mut enabled = BTreeMap::new();
    for (name, listener) in read {
        let mut listener = listener?;
        let version = env!("CARGO_PKG_VERSION");
        listener.server_header = listener.server_header.replace("{version}", version);
        if listener.enabled {
            enabled.insert(name.clone(), listener);
        }
    }
    Some(enabled)
}
