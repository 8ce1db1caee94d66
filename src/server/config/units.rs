//! How durations, sizes and shares are written: "30s", "64MiB", "60%".

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A part of something whose size is known only on the machine: memory, a disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// Hundredths of the whole, above 0 and at most 100.
    Percent(f64),
    /// A fixed number of bytes.
    Bytes(u64),
}

impl Share {
    /// What the share comes to, in bytes, when the whole has `total` bytes.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => {
                // Hundredths of a percent as integers: exact, and no float is turned into bytes.
                let steps = format!("{:.0}", percent * 100.0)
                    .parse::<u128>()
                    .unwrap_or(0);
                u64::try_from(u128::from(total) * steps / 10_000).unwrap_or(total)
            }
        }
    }
}

/// Reads "1h30m", "250ms". `None` for anything else, a bare number and overflow included.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    let mut unit_before = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = leading_number(rest)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(end);
        let scale = DURATIONS.iter().find(|(name, _)| *name == unit)?.1;
        if scale >= unit_before {
            return None;
        }
        unit_before = scale;
        milliseconds = milliseconds.checked_add(number.checked_mul(scale)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(milliseconds))
}

/// Reads "64MiB", "10 GB", "512" (bytes). `None` for anything else and for overflow.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, tail) = leading_number(text)?;
    let unit = tail.trim_start();
    if unit.is_empty() {
        return tail.is_empty().then_some(number);
    }
    let scale = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
        .1;
    number.checked_mul(scale)
}

/// Reads "60%", "0.5%" or a size.
pub(super) fn share(text: &str) -> Option<Share> {
    let Some(number) = text.strip_suffix('%') else {
        return size(text).map(Share::Bytes);
    };
    let percent: f64 = number.trim_end().parse().ok()?;
    (percent > 0.0 && percent <= 100.0).then_some(Share::Percent(percent))
}

/// Reads `10_000` as TOML does: underscores only between digits.
pub(super) fn integer(text: &str) -> Option<u64> {
    let (number, tail) = leading_number(text)?;
    tail.is_empty().then_some(number)
}

/// Writes a duration as [`duration`] reads it.
pub(super) fn duration_text(value: Duration) -> String {
    let milliseconds = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    largest(milliseconds, &DURATIONS).unwrap_or_else(|| "0s".to_owned())
}

/// Writes a size as [`size`] reads it.
pub(crate) fn size_text(bytes: u64) -> String {
    let binary = SIZES
        .iter()
        .filter(|(unit, _)| unit.ends_with("iB") || *unit == "B");
    let binary: Vec<(&str, u64)> = binary.copied().collect();
    largest(bytes, &binary).unwrap_or_else(|| "0B".to_owned())
}

fn largest(value: u64, units: &[(&str, u64)]) -> Option<String> {
    let (unit, scale) = units
        .iter()
        .find(|(_, scale)| value >= *scale && value.is_multiple_of(*scale))?;
    Some(format!("{}{unit}", value / scale))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, tail) = text.split_at(end);
    let misplaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if misplaced {
        return None;
    }
    Some((digits.replace('_', "").parse().ok()?, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for wrong in [
            "", "30", "s", "-1s", "1.5s", "5 s", "1m1h", "1s1s", "1w", "_1s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong:?}");
        }
        assert_eq!(duration("99999999999999999999d"), None);
        assert_eq!(duration("18446744073709551615d"), None);
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("64 MiB"), Some(64 << 20));
        assert_eq!(size("10GB"), Some(10_000_000_000));
        assert_eq!(size("1_024"), Some(1024));
        for wrong in ["", "MiB", "64M", "-1", "1.5GiB", "64 ", "1__0B"] {
            assert_eq!(size(wrong), None, "{wrong:?}");
        }
        assert_eq!(size("18446744073709551615TiB"), None);
    }

    #[test]
    fn shares_are_percentages_or_bytes() {
        assert_eq!(share("60%"), Some(Share::Percent(60.0)));
        assert_eq!(share("2GiB"), Some(Share::Bytes(2 << 30)));
        for wrong in ["0%", "101%", "%", "-5%", "NaN%", "sixty%"] {
            assert_eq!(share(wrong), None, "{wrong:?}");
        }
        assert_eq!(Share::Percent(60.0).of(1000), 600);
        assert_eq!(Share::Percent(0.5).of(1000), 5);
        assert_eq!(Share::Percent(100.0).of(u64::MAX), u64::MAX);
        assert_eq!(Share::Bytes(7).of(1), 7);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for milliseconds in [0, 1, 250, 1_000, 90_000, 3_600_000, 86_400_000, 86_400_001] {
            let value = Duration::from_millis(milliseconds);
            assert_eq!(duration(&duration_text(value)), Some(value));
        }
        for bytes in [0, 1, 1_000, 1_024, 65_536, 1 << 30, (1 << 30) + 1] {
            assert_eq!(size(&size_text(bytes)), Some(bytes));
        }
    }
}
