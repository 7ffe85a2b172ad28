//! Named points at which a test can end the process, as a crash would: nothing is flushed, nothing is tidied up. They are
//! compiled in only with the feature `faults`.

/// Ends the process here when `TRUEUP_CRASH` names this point, as `name:hit`, at that hit of it.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::fault::reach($name);
    };
}

/// How much a batch collects before it is written: less where a test says so, so that few rows make many batches.
#[must_use]
pub fn batch_bytes() -> usize {
    #[cfg(feature = "faults")]
    {
        static BYTES: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
        let said = || std::env::var("TRUEUP_BATCH_BYTES").ok()?.parse().ok();
        if let Some(bytes) = BYTES.get_or_init(said) {
            return *bytes;
        }
    }
    crate::limits::BATCH_BYTES
}

/// A point was reached.
#[cfg(feature = "faults")]
pub fn reach(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static HITS: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let said = std::env::var("TRUEUP_CRASH").ok()?;
        let (name, hit) = said.rsplit_once(':')?;
        Some((name.to_owned(), hit.parse().ok()?))
    });
    if let Some((point, hit)) = wanted
        && point == name
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *hit
    {
        std::process::abort();
    }
}
