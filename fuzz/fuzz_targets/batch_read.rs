//! Any bytes as a batch of the log: read or refused, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = tidegate::internal::store::read_batch(bytes) {
        assert!(batch.changes.len() <= bytes.len());
    }
});
