//! The kinds of values that settings have.

mod destination;

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::setting::{Kind, Raw, Spelling};
use super::units::{self, Share};

pub(super) use destination::{CountOrUnlimited, QueueTemplate};

/// A choice between words that stand for the values of `Self`.
pub(super) trait Words: Sized + Copy + Sync + 'static {
    /// Each word with its value.
    const ALL: &'static [(&'static str, Self)];
}

/// Text of some length on one line.
pub(super) struct Line {
    /// The fewest characters.
    pub(super) min: usize,
    /// The most.
    pub(super) max: usize,
}

/// A path; empty is refused.
pub(super) struct FilePath;

/// A whole number within bounds.
pub(super) struct Count {
    pub(super) min: u32,
    pub(super) max: u32,
}

/// A whole number within bounds, or "auto".
pub(super) struct CountOrAuto {
    pub(super) max: u32,
}

/// A fraction within bounds.
pub(super) struct Ratio {
    pub(super) min: f64,
    pub(super) max: f64,
}

/// A size within bounds, in bytes.
pub(super) struct Size {
    pub(super) min: u64,
    pub(super) max: u64,
}

/// A size from `min` bytes, or "unlimited".
pub(super) struct SizeOrUnlimited {
    pub(super) min: u64,
}

/// A percentage of something, or a size.
pub(super) struct Portion {
    /// What a percentage is a part of.
    pub(super) of: &'static str,
}

/// A duration within bounds, in milliseconds.
pub(super) struct Time {
    pub(super) min: u64,
    pub(super) max: u64,
}

/// A duration, or "never".
pub(super) struct TimeOrNever {
    pub(super) min: u64,
    pub(super) max: u64,
}

/// `true` or `false`.
pub(super) struct Switch;

/// One word of a few.
pub(super) struct OneOf<T>(pub(super) PhantomData<T>);

/// One or more words of a few.
pub(super) struct SomeOf<T>(pub(super) PhantomData<T>);

/// An address to listen on.
pub(super) struct Address;

/// An address to listen on, or "off".
pub(super) struct AddressOrOff;

/// Levels of the log, per target if wished.
pub(super) struct LogFilter;

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Word(text) | Raw::Text(text) => Some(text),
        Raw::Number(_) | Raw::Bool(_) | Raw::List(_) | Raw::Other(_) => None,
    }
}

/// A number has its own spelling in a file; elsewhere everything is a word.
fn number(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Word(text) | Raw::Number(text) => Some(text),
        Raw::Text(_) | Raw::Bool(_) | Raw::List(_) | Raw::Other(_) => None,
    }
}

fn bytes(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Word(text) | Raw::Text(text) => units::size(text),
        Raw::Number(text) => units::integer(text),
        Raw::Bool(_) | Raw::List(_) | Raw::Other(_) => None,
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            port.parse().ok()?,
        ));
    }
    text.parse().ok()
}

impl Spelling for Line {
    fn expects(&self) -> String {
        format!(
            "text of {} to {} characters on one line",
            self.min, self.max
        )
    }
}

impl Kind for Line {
    type Value = String;

    fn read(&self, raw: &Raw) -> Option<String> {
        let text = text(raw)?;
        let length = text.chars().count();
        let fits = (self.min..=self.max).contains(&length) && !text.contains(char::is_control);
        fits.then(|| text.to_owned())
    }
}

impl Spelling for FilePath {
    fn expects(&self) -> String {
        "a path such as \"/var/lib/tidegate\"".to_owned()
    }
}

impl Kind for FilePath {
    type Value = PathBuf;

    fn read(&self, raw: &Raw) -> Option<PathBuf> {
        text(raw)
            .filter(|text| !text.is_empty() && !text.contains('\0'))
            .map(PathBuf::from)
    }
}

impl Spelling for Count {
    fn expects(&self) -> String {
        match self.max {
            u32::MAX => format!("a whole number from {}", self.min),
            max => format!("a whole number from {} to {max}", self.min),
        }
    }

    fn toml(&self, word: &str) -> String {
        word.to_owned()
    }
}

impl Kind for Count {
    type Value = u32;

    fn read(&self, raw: &Raw) -> Option<u32> {
        let value = u32::try_from(units::integer(number(raw)?)?).ok()?;
        (self.min..=self.max).contains(&value).then_some(value)
    }
}

impl Spelling for CountOrAuto {
    fn expects(&self) -> String {
        format!("\"auto\" or a whole number from 1 to {}", self.max)
    }

    fn toml(&self, word: &str) -> String {
        if word == "auto" {
            "\"auto\"".to_owned()
        } else {
            word.to_owned()
        }
    }
}

impl Kind for CountOrAuto {
    type Value = Option<u32>;

    fn read(&self, raw: &Raw) -> Option<Option<u32>> {
        if text(raw) == Some("auto") {
            return Some(None);
        }
        Count {
            min: 1,
            max: self.max,
        }
        .read(raw)
        .map(Some)
    }
}

impl Spelling for Ratio {
    fn expects(&self) -> String {
        format!("a ratio from {:?} to {:?}", self.min, self.max)
    }

    fn toml(&self, word: &str) -> String {
        word.to_owned()
    }
}

impl Kind for Ratio {
    type Value = f64;

    fn read(&self, raw: &Raw) -> Option<f64> {
        let value: f64 = number(raw)?.parse().ok()?;
        (self.min..=self.max).contains(&value).then_some(value)
    }
}

impl Spelling for Size {
    fn expects(&self) -> String {
        let (min, max) = (units::size_text(self.min), units::size_text(self.max));
        format!("a size such as \"64MiB\", from {min} to {max}")
    }
}

impl Kind for Size {
    type Value = u64;

    fn read(&self, raw: &Raw) -> Option<u64> {
        bytes(raw).filter(|bytes| (self.min..=self.max).contains(bytes))
    }
}

impl Spelling for SizeOrUnlimited {
    fn expects(&self) -> String {
        format!(
            "\"unlimited\" or a size such as \"10GiB\", from {}",
            units::size_text(self.min)
        )
    }
}

impl Kind for SizeOrUnlimited {
    type Value = Option<u64>;

    fn read(&self, raw: &Raw) -> Option<Option<u64>> {
        if text(raw) == Some("unlimited") {
            return Some(None);
        }
        bytes(raw).filter(|bytes| *bytes >= self.min).map(Some)
    }
}

impl Spelling for Portion {
    fn expects(&self) -> String {
        format!(
            "a percentage of {} such as \"60%\", or a size such as \"2GiB\"",
            self.of
        )
    }
}

impl Kind for Portion {
    type Value = Share;

    fn read(&self, raw: &Raw) -> Option<Share> {
        match text(raw) {
            Some(text) => units::share(text),
            None => bytes(raw).map(Share::Bytes),
        }
    }
}

impl Spelling for Time {
    fn expects(&self) -> String {
        let [min, max] = [self.min, self.max]
            .map(Duration::from_millis)
            .map(units::duration_text);
        format!("a duration such as \"30s\", from {min} to {max}")
    }
}

impl Kind for Time {
    type Value = Duration;

    fn read(&self, raw: &Raw) -> Option<Duration> {
        let [min, max] = [self.min, self.max].map(Duration::from_millis);
        units::duration(text(raw)?).filter(|value| (min..=max).contains(value))
    }
}

impl Spelling for TimeOrNever {
    fn expects(&self) -> String {
        let (min, max) = (self.min, self.max);
        format!("\"never\" or {}", Time { min, max }.expects())
    }
}

impl Kind for TimeOrNever {
    type Value = Option<Duration>;

    fn read(&self, raw: &Raw) -> Option<Option<Duration>> {
        if text(raw) == Some("never") {
            return Some(None);
        }
        let (min, max) = (self.min, self.max);
        Time { min, max }.read(raw).map(Some)
    }
}

impl Spelling for Switch {
    fn expects(&self) -> String {
        "true or false".to_owned()
    }

    fn toml(&self, word: &str) -> String {
        word.to_owned()
    }
}

impl Kind for Switch {
    type Value = bool;

    fn read(&self, raw: &Raw) -> Option<bool> {
        match raw {
            Raw::Bool(value) => Some(*value),
            Raw::Word(word) => word.parse().ok(),
            Raw::Text(_) | Raw::Number(_) | Raw::List(_) | Raw::Other(_) => None,
        }
    }
}

fn choice<T: Words>() -> String {
    T::ALL
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn chosen<T: Words>(word: &str) -> Option<T> {
    T::ALL
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, value)| *value)
}

impl<T: Words> Spelling for OneOf<T> {
    fn expects(&self) -> String {
        format!("one of {}", choice::<T>())
    }
}

impl<T: Words> Kind for OneOf<T> {
    type Value = T;

    fn read(&self, raw: &Raw) -> Option<T> {
        chosen(text(raw)?)
    }
}

impl<T: Words> Spelling for SomeOf<T> {
    fn expects(&self) -> String {
        format!(
            "a list such as [\"...\"] of one or more of {}",
            choice::<T>()
        )
    }

    fn toml(&self, word: &str) -> String {
        let items: Vec<String> = word.split(',').map(|item| format!("\"{item}\"")).collect();
        format!("[{}]", items.join(", "))
    }
}

impl<T: Words> Kind for SomeOf<T> {
    type Value = Vec<T>;

    fn read(&self, raw: &Raw) -> Option<Vec<T>> {
        let items: Vec<&str> = match raw {
            Raw::List(items) => items.iter().map(String::as_str).collect(),
            Raw::Word(words) => words.split(',').map(str::trim).collect(),
            Raw::Text(_) | Raw::Number(_) | Raw::Bool(_) | Raw::Other(_) => return None,
        };
        let values: Vec<T> = items.into_iter().map(chosen).collect::<Option<_>>()?;
        (!values.is_empty()).then_some(values)
    }
}

impl Spelling for Address {
    fn expects(&self) -> String {
        "an address and a port such as \"127.0.0.1:61613\" or \"[::1]:61613\"".to_owned()
    }
}

impl Kind for Address {
    type Value = SocketAddr;

    fn read(&self, raw: &Raw) -> Option<SocketAddr> {
        address(text(raw)?)
    }
}

impl Spelling for AddressOrOff {
    fn expects(&self) -> String {
        "an address and a port such as \"127.0.0.1:8161\", or \"off\"".to_owned()
    }
}

impl Kind for AddressOrOff {
    type Value = Option<SocketAddr>;

    fn read(&self, raw: &Raw) -> Option<Option<SocketAddr>> {
        match text(raw)? {
            "off" => Some(None),
            text => address(text).map(Some),
        }
    }
}

impl Spelling for LogFilter {
    fn expects(&self) -> String {
        "a level (error, warn, info, debug, trace, off), also per target: \
         \"info,tidegate::server=debug\""
            .to_owned()
    }
}

impl Kind for LogFilter {
    type Value = String;

    fn read(&self, raw: &Raw) -> Option<String> {
        let text = text(raw).filter(|text| !text.is_empty())?;
        // A filter of one unknown word would be taken for the name of a target.
        let known = text.split(',').any(|part| {
            let level = part.rsplit('=').next().unwrap_or(part).trim();
            ["error", "warn", "info", "debug", "trace", "off"].contains(&level)
        });
        (known && EnvFilter::try_new(text).is_ok()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests;
