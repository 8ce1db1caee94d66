//! Medians, ratios, and the forms that they are printed in.

use std::fmt::{self, Write as _};
use std::path::Path;

use super::super::error::CliError;
use super::work::{Shape, Workload};

/// A run is slower than an earlier one if it has less than this share of its speed.
const SLOWER: f64 = 0.75;

/// One work, done once by one broker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measurement {
    /// Messages, deliveries or round trips in a second.
    pub per_second: f64,
    /// CPU time of the broker for each, in microseconds.
    pub cpu_micros: Option<f64>,
    /// The median latency, in microseconds.
    pub p50_micros: Option<f64>,
    /// The latency that one in a hundred exceeds, in microseconds.
    pub p99_micros: Option<f64>,
    /// Messages that did not arrive.
    pub missing: u64,
}

/// What all brokers did.
#[derive(Debug)]
pub struct Table {
    brokers: Vec<String>,
    rows: Vec<Row>,
    /// A bare round trip over the loopback in this run, in microseconds.
    pub loopback: Option<f64>,
}

#[derive(Debug)]
struct Row {
    workload: Workload,
    /// By broker, all rounds.
    measured: Vec<Vec<Measurement>>,
}

impl Table {
    /// An empty table for these brokers; the first one is what others are compared with.
    pub fn new(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            rows: Vec::new(),
            loopback: None,
        }
    }

    /// Adds a measurement.
    pub fn add(&mut self, workload: &Workload, broker: &str, measured: Measurement) {
        let known = self
            .rows
            .iter()
            .position(|row| row.workload.name == workload.name);
        let index = known.unwrap_or_else(|| {
            self.rows.push(Row {
                workload: workload.clone(),
                measured: vec![Vec::new(); self.brokers.len()],
            });
            self.rows.len() - 1
        });
        let place = self.brokers.iter().position(|known| known == broker);
        if let Some(list) = place
            .zip(self.rows.get_mut(index))
            .and_then(|(place, row)| row.measured.get_mut(place))
        {
            list.push(measured);
        }
    }

    fn medians(&self) -> impl Iterator<Item = (&Row, Vec<Measurement>)> {
        self.rows.iter().map(|row| {
            let medians = row
                .measured
                .iter()
                .map(|rounds| median_of(rounds))
                .collect();
            (row, medians)
        })
    }

    /// The medians as JSON.
    pub fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .medians()
            .flat_map(|(row, medians)| {
                let name = row.workload.name.clone();
                self.brokers
                    .iter()
                    .zip(medians)
                    .map(move |(broker, median)| {
                        serde_json::json!({
                            "work": name,
                            "broker": broker,
                            "per_second": median.per_second,
                            "cpu_micros": median.cpu_micros,
                            "p50_micros": median.p50_micros,
                            "p99_micros": median.p99_micros,
                            "missing": median.missing,
                        })
                    })
            })
            .collect();
        serde_json::json!({ "loopback_micros": self.loopback, "medians": rows })
    }

    /// The medians as CSV.
    pub fn csv(&self) -> String {
        let mut out = "work,broker,per_second,cpu_micros,p50_micros,p99_micros,missing".to_owned();
        let shown =
            |value: Option<f64>| value.map(|value| format!("{value:.2}")).unwrap_or_default();
        for (row, medians) in self.medians() {
            for (broker, median) in self.brokers.iter().zip(medians) {
                let (cpu, p50, p99) = (
                    shown(median.cpu_micros),
                    shown(median.p50_micros),
                    shown(median.p99_micros),
                );
                let _ = write!(
                    out,
                    "\n{},{broker},{:.0},{cpu},{p50},{p99},{}",
                    row.workload.name, median.per_second, median.missing
                );
            }
        }
        out
    }

    /// Compares with the JSON of an earlier run.
    ///
    /// # Errors
    /// When the file cannot be read, or a work has become slower.
    pub fn check(&self, file: &Path) -> Result<(), CliError> {
        let local = |source| CliError::Local {
            action: format!("cannot read {}", file.display()),
            source,
        };
        let text = std::fs::read_to_string(file).map_err(local)?;
        let before: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| local(error.into()))?;
        let mut slower = Vec::new();
        for (row, medians) in self.medians() {
            for (broker, median) in self.brokers.iter().zip(medians) {
                let medians = before.get("medians").and_then(serde_json::Value::as_array);
                let earlier = medians.into_iter().flatten().find(|earlier| {
                    let is = |key, value: &str| {
                        earlier.get(key).and_then(serde_json::Value::as_str) == Some(value)
                    };
                    is("work", &row.workload.name) && is("broker", broker)
                });
                let earlier = earlier.and_then(|earlier| earlier.get("per_second")?.as_f64());
                if let Some(earlier) =
                    earlier.filter(|earlier| median.per_second < earlier * SLOWER)
                {
                    let name = &row.workload.name;
                    slower.push(format!(
                        "{name} by {broker}: {:.0} after {earlier:.0}",
                        median.per_second
                    ));
                }
            }
        }
        if slower.is_empty() {
            Ok(())
        } else {
            Err(CliError::Slower(slower.join("; ")))
        }
    }
}

/// The median of each figure over all rounds.
fn median_of(rounds: &[Measurement]) -> Measurement {
    let of = |figure: &dyn Fn(&Measurement) -> Option<f64>| {
        let mut values: Vec<f64> = rounds.iter().filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Measurement {
        per_second: of(&|m| Some(m.per_second)).unwrap_or_default(),
        cpu_micros: of(&|m| m.cpu_micros),
        p50_micros: of(&|m| m.p50_micros),
        p99_micros: of(&|m| m.p99_micros),
        missing: rounds.iter().map(|m| m.missing).sum(),
    }
}

impl fmt::Display for Table {
    /// One line for each work and broker, with the ratio of the first broker to the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16} {:<16} {:>12} {:>8} {:>9} {:>9}  {:>6}",
            "work", "broker", "per second", "CPU µs", "p50 µs", "p99 µs", "ratio"
        )?;
        for (row, medians) in self.medians() {
            let own = medians.first().copied().unwrap_or_default();
            for (broker, median) in self.brokers.iter().zip(&medians) {
                let shown = |value: Option<f64>, digits: usize| {
                    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
                };
                let (ratio, note) = (ratio(row.workload.shape, &own, median), missing(median));
                writeln!(
                    f,
                    "{:<16} {broker:<16} {:>12.0} {:>8} {:>9} {:>9}  {ratio:>6}{note}",
                    row.workload.name,
                    median.per_second,
                    shown(median.cpu_micros, 2),
                    shown(median.p50_micros, 0),
                    shown(median.p99_micros, 0),
                )?;
            }
        }
        if let Some(loopback) = self.loopback {
            writeln!(
                f,
                "a bare round trip over the loopback takes {loopback:.0} µs"
            )?;
        }
        write!(
            f,
            "medians; ratio: how many times the first broker is as fast as this one"
        )
    }
}

fn ratio(shape: Shape, own: &Measurement, other: &Measurement) -> String {
    let by_latency = matches!(
        shape,
        Shape::RequestReply { .. } | Shape::Synchronous { .. }
    );
    let ratio = match (own.p50_micros, other.p50_micros) {
        (Some(own), Some(other)) if by_latency => other / own.max(1e-9),
        _ => own.per_second / other.per_second.max(1e-9),
    };
    format!("{ratio:.2}")
}

fn missing(median: &Measurement) -> String {
    match median.missing {
        0 => String::new(),
        missing => format!("  {missing} missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::work::standard;
    use super::*;

    #[test]
    fn medians_and_ratios_are_shown() {
        let mut table = Table::new(vec!["ours".to_owned(), "theirs".to_owned()]);
        let works = standard(1);
        for per_second in [10.0, 300.0, 200.0] {
            let ours = Measurement {
                per_second,
                ..Measurement::default()
            };
            table.add(&works[0], "ours", ours);
            table.add(
                &works[0],
                "theirs",
                Measurement {
                    per_second: per_second / 4.0,
                    ..ours
                },
            );
        }
        let shown = table.to_string();
        assert!(shown.contains("200") && shown.contains("4.00"), "{shown}");
        assert_eq!(table.csv().lines().count(), 3);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), table.json().to_string()).unwrap();
        table.check(file.path()).unwrap();
        let mut slower = Table::new(vec!["ours".to_owned()]);
        slower.add(
            &works[0],
            "ours",
            Measurement {
                per_second: 100.0,
                ..Measurement::default()
            },
        );
        assert!(slower.check(file.path()).is_err());
    }
}
