//! Counts of destinations that came to life and were removed. Both are rare: the counter is looked up.

use super::names;
use crate::core::Kind;

/// A destination came to life, for this reason.
pub(in crate::broker) fn created(kind: Kind, reason: &'static str) {
    let labels = [kind.word(), reason];
    names::DESTINATIONS_CREATED.counter(&labels).increment(1);
}

/// A destination was removed, for this reason.
pub(in crate::broker) fn removed(kind: Kind, reason: &'static str) {
    let labels = [kind.word(), reason];
    names::DESTINATIONS_REMOVED.counter(&labels).increment(1);
}
