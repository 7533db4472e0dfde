//! Whether the database takes what is written: what went wrong last, and asking it again.
//!
//! Every answer of an engine passes the `From` of [`DbError`](super::DbError), so nobody can forget to tell. A fault
//! stands until a write of some size has been stored: one row may still fit where the next run does not.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::engine::fault::Fault;
use super::{Db, Result, exec_db};

/// Faults so far. A process opens one database.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The one that stands.
static STANDING: Mutex<Option<Fault>> = Mutex::new(None);

/// What is written to see whether there is room, in bytes: more than most transactions need.
const TRIAL: usize = 64 * 1024;
/// Where it is written.
const TRIAL_KEY: &str = "storage_trial";

/// How often the engine could not do its work so far. A connection older than the last time is not used again: what
/// it believes about its transaction may be wrong.
pub(super) fn faults() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Remembers a fault, and tells the log of the first one.
pub(super) fn failed(fault: Fault, error: &sqlx::Error) {
    COUNT.fetch_add(1, Ordering::SeqCst);
    let before = STANDING.lock().replace(fault);
    if before != Some(fault) {
        tracing::error!(error = %crate::domain::text::chain(error), "{}", fault.words());
    }
}

/// What stands in the way of storing anything, in words for a person.
pub fn fault() -> Option<&'static str> {
    STANDING.lock().map(Fault::words)
}

/// A write went through, and nothing failed since there were `faults`.
fn well(faults: u64) {
    let mut standing = STANDING.lock();
    if COUNT.load(Ordering::SeqCst) == faults && standing.take().is_some() {
        tracing::info!("the database stores again");
    }
}

impl Db {
    /// Asks whoever writes whether it can. Where nothing failed lately nothing is written, so that a disk may rest.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn takes_writes(&self) -> Result<()> {
        let faults = faults();
        if fault().is_none() {
            return self.begin().await?.roll_back().await;
        }
        exec_db!(
            self,
            "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, 0) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            TRIAL_KEY,
            "0".repeat(TRIAL)
        )?;
        exec_db!(self, "DELETE FROM settings WHERE key = $1", TRIAL_KEY)?;
        well(faults);
        Ok(())
    }
}
