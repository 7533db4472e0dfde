//! Points at which a test may end the real program as `kill -9` would: before and after each commit and each call that
//! changes a container.
//!
//! Compiled in by the feature `faults`, which release builds lack; then `DOCKNAP_FAULT_AT=N` ends the process at the
//! N-th point it passes.

/// Passes a point.
#[cfg(feature = "faults")]
pub fn point() {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static FATAL: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("DOCKNAP_FAULT_AT").ok().and_then(|text| text.parse().ok()));

    if FATAL.is_some_and(|fatal| PASSED.fetch_add(1, Ordering::SeqCst) + 1 == fatal) {
        // No destructor and no exit handler runs.
        std::process::abort();
    }
}

/// Passes a point: nothing, without the feature `faults`.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn point() {}
