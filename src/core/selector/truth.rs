//! Logic with three values.

/// True, false, or `None`: unknown.
pub(super) type Truth = Option<bool>;

/// Unknown stays unknown.
pub(super) fn not(truth: Truth) -> Truth {
    truth.map(|known| !known)
}

/// False if one is false, else unknown if one is unknown. Looks no further than the first false.
pub(super) fn all(truths: impl IntoIterator<Item = Truth>) -> Truth {
    let mut result = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return truth,
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

/// True if one is true, else unknown if one is unknown. Looks no further than the first true.
pub(super) fn any(truths: impl IntoIterator<Item = Truth>) -> Truth {
    let mut result = Some(false);
    for truth in truths {
        match truth {
            Some(true) => return truth,
            None => result = None,
            Some(false) => {}
        }
    }
    result
}
