//! `tidegate bench`: the same work for one broker, or for several in turn.

mod client;
mod link;
mod load;
mod peer;
mod report;
mod work;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::DEFAULT_URL;
use super::error::{CliError, Exit};
use super::url::Url;

pub use report::{Measurement, Table};
pub use work::{Shape, Workload};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to do, by name; all of them if none is named. `list` shows them.
    workloads: Vec<String>,
    /// The broker.
    #[arg(long, default_value = DEFAULT_URL)]
    url: Url,
    /// Other brokers that do the same work in turn; may be given several times.
    #[arg(long, value_name = "[NAME=]URL")]
    against: Vec<Named>,
    /// The process of a broker, for its CPU time: tidegate=PID, or the name of another.
    #[arg(long, value_name = "NAME=PID")]
    pid: Vec<Pid>,
    /// How often each broker does each work.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each takes, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The size of a body, in bytes.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Messages of the backlog.
    #[arg(long, default_value_t = 100_000)]
    backlog: u64,
    /// Own work: producers x consumers on one queue, such as 2x8.
    #[arg(long, value_name = "PxC")]
    clients: Option<Clients>,
    /// Own work: persistent messages, each with a receipt.
    #[arg(long)]
    persistent: bool,
    /// Own work: how many receipts a producer waits for at most.
    #[arg(long, default_value_t = 100)]
    window: usize,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV.
    #[arg(long)]
    csv: bool,
    /// Compare with what an earlier run printed as JSON; fail if it was faster by a quarter.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// A broker by name.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    url: Url,
}

impl FromStr for Named {
    type Err = super::url::UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, url) = if let Some((name, url)) = text.split_once('=') {
            (name.to_owned(), url.parse()?)
        } else {
            let url: Url = text.parse()?;
            (url.to_string(), url)
        };
        Ok(Self { name, url })
    }
}

/// A process by the name of its broker.
#[derive(Clone, Debug)]
struct Pid {
    name: String,
    pid: u32,
}

impl FromStr for Pid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').ok_or("write NAME=PID")?;
        let pid = pid
            .parse()
            .map_err(|error| format!("'{pid}' is no process id: {error}"))?;
        let name = name.to_owned();
        Ok(Self { name, pid })
    }
}

/// Producers and consumers.
#[derive(Clone, Copy, Debug)]
struct Clients {
    producers: usize,
    consumers: usize,
}

impl FromStr for Clients {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('x')
            .and_then(|(p, c)| Some((p.parse().ok()?, c.parse().ok()?)));
        match parsed {
            Some((producers, consumers)) if producers > 0 && consumers > 0 => Ok(Self {
                producers,
                consumers,
            }),
            _ => Err("write two numbers above 0, such as 2x8".to_owned()),
        }
    }
}

/// A broker that is measured.
#[derive(Clone, Debug)]
pub struct Broker {
    /// What the table calls it.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Its process, if its CPU time is wanted.
    pub pid: Option<u32>,
}

/// How much of each work is done.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// How often.
    pub rounds: u32,
    /// How long, for work that has no end of its own.
    pub time: Duration,
    /// Bytes of a body.
    pub size: usize,
}

/// Measures.
pub(super) fn run(arguments: &BenchArguments) -> Result<Exit, CliError> {
    if arguments.workloads.iter().any(|name| name == "list") {
        for workload in work::standard(arguments.backlog) {
            super::say(&format!("{:<16} {}", workload.name, workload.about))?;
        }
        return Ok(Exit::Ok);
    }
    let workloads = chosen(arguments)?;
    let amount = Amount {
        rounds: arguments.rounds.max(1),
        time: Duration::from_secs_f64(arguments.seconds.max(0.1)),
        size: arguments.size,
    };
    let table = compare(&brokers(arguments), &workloads, amount)?;
    let text = if arguments.json {
        table.json().to_string()
    } else if arguments.csv {
        table.csv()
    } else {
        table.to_string()
    };
    super::say(&text)?;
    match &arguments.check {
        Some(file) => table.check(file).map(|()| Exit::Ok),
        None => Ok(Exit::Ok),
    }
}

/// Lets each broker do each work, one after the other within a round, so that all meet the same
/// moods of the machine.
///
/// # Errors
/// When a broker cannot be reached or refuses.
pub fn compare(
    brokers: &[Broker],
    workloads: &[Workload],
    amount: Amount,
) -> Result<Table, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Local {
            action: "cannot start the bench".to_owned(),
            source,
        })?;
    let total = workloads.len() as u64 * u64::from(amount.rounds) * brokers.len() as u64;
    let progress = super::send::long_progress(total);
    let mut table = Table::new(brokers.iter().map(|broker| broker.name.clone()).collect());
    for workload in workloads {
        for round in 0..amount.rounds {
            for broker in brokers {
                progress.set_message(format!("{} {}", workload.name, broker.name));
                let measured = runtime.block_on(load::measure(broker, workload, amount, round))?;
                table.add(workload, &broker.name, measured);
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    let local = tokio::task::LocalSet::new();
    table.loopback = runtime
        .block_on(local.run_until(link::loopback_round_trip()))
        .ok();
    Ok(table)
}

fn brokers(arguments: &BenchArguments) -> Vec<Broker> {
    let pid = |name: &str| {
        let found = arguments.pid.iter().find(|known| known.name == name);
        found.map(|known| known.pid)
    };
    let own = Broker {
        name: "tidegate".to_owned(),
        url: arguments.url.clone(),
        pid: pid("tidegate"),
    };
    let others = arguments.against.iter().map(|other| Broker {
        name: other.name.clone(),
        url: other.url.clone(),
        pid: pid(&other.name),
    });
    std::iter::once(own).chain(others).collect()
}

fn chosen(arguments: &BenchArguments) -> Result<Vec<Workload>, CliError> {
    if let Some(clients) = arguments.clients {
        return Ok(vec![Workload::own(
            clients.producers,
            clients.consumers,
            arguments.persistent.then_some(arguments.window),
        )]);
    }
    let all = work::standard(arguments.backlog);
    if arguments.workloads.is_empty() {
        return Ok(all);
    }
    let mut found = Vec::new();
    for name in &arguments.workloads {
        let workload = all.iter().find(|workload| workload.name == *name);
        found.push(workload.cloned().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|workload| workload.name.as_str()).collect();
            CliError::Usage(format!(
                "there is no work '{name}'; there are {}",
                names.join(", ")
            ))
        })?);
    }
    Ok(found)
}
