//! Whether the database takes what is written: what went wrong last, and asking it again.
//!
//! Every answer of an engine passes the `From` of [`DbError`](super::DbError), so nobody can forget to tell. A fault
//! stands until a write of some size has been stored: one row may still fit where the next run does not.

pub use super::error::standing as fault;
use super::error::{faults, well};
use super::query::sql;
use super::{Db, Result};

/// What is written to see whether there is room, in bytes: more than most transactions need.
const TRIAL: usize = 64 * 1024;
/// Where it is written.
const TRIAL_KEY: &str = "storage_trial";

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
        let sql = "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, 0) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        sql!(sql, TRIAL_KEY, "0".repeat(TRIAL)).run_alone(self).await?;
        sql!("DELETE FROM settings WHERE key = $1", TRIAL_KEY).run_alone(self).await?;
        well(faults);
        Ok(())
    }
}
