//! Each kind of value, well and badly written.

use super::*;

fn word(text: &str) -> Raw {
    Raw::Word(text.to_owned())
}

fn quoted(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

fn digits(text: &str) -> Raw {
    Raw::Number(text.to_owned())
}

#[test]
fn bounds_are_inclusive() {
    let count = Count { min: 1, max: 10 };
    assert_eq!(count.read(&digits("1")), Some(1));
    assert_eq!(count.read(&digits("10")), Some(10));
    assert_eq!(count.read(&digits("0")), None);
    assert_eq!(count.read(&digits("11")), None);
    assert_eq!(count.read(&digits("-1")), None);
    let ratio = Ratio { min: 0.0, max: 1.0 };
    assert_eq!(ratio.read(&digits("1")), Some(1.0));
    assert_eq!(ratio.read(&digits("1.01")), None);
    assert_eq!(ratio.read(&digits("nan")), None);
}

#[test]
fn a_file_writes_types_and_the_environment_words() {
    let count = Count { min: 0, max: 10 };
    assert_eq!(count.read(&word("5")), Some(5));
    assert_eq!(count.read(&quoted("5")), None);
    assert_eq!(Switch.read(&word("true")), Some(true));
    assert_eq!(Switch.read(&quoted("true")), None);
    assert_eq!(
        Time {
            min: 0,
            max: 10_000
        }
        .read(&digits("5")),
        None
    );
    assert_eq!(
        Size {
            min: 0,
            max: 10_000
        }
        .read(&digits("5_000")),
        Some(5_000)
    );
}

#[test]
fn addresses_need_a_port() {
    assert_eq!(
        Address.read(&word("localhost:61613")),
        "127.0.0.1:61613".parse().ok()
    );
    assert!(Address.read(&word("[::1]:61613")).is_some());
    for wrong in [
        "127.0.0.1",
        "61613",
        ":61613",
        "example.org:61613",
        "127.0.0.1:70000",
    ] {
        assert_eq!(Address.read(&word(wrong)), None, "{wrong}");
    }
    assert_eq!(AddressOrOff.read(&word("off")), Some(None));
}

#[test]
fn a_log_filter_names_a_level() {
    assert!(
        LogFilter
            .read(&word("info,tidegate::server=debug"))
            .is_some()
    );
    assert!(LogFilter.read(&word("loud")).is_none());
    assert!(LogFilter.read(&word("")).is_none());
}
