//! Whether the database accepts writes: the current fault, and a test write.
//!
//! All errors of the engines pass through the `From` of [`DbError`](super::DbError), which records the faults. A fault
//! stays until a large test write succeeds: on a nearly full disk one small row may still fit although the next run
//! does not.

pub use super::error::current as fault;
use super::error::{clear, fault_count};
use super::query::sql;
use super::{Db, Result};

/// Size of the test write in bytes; most transactions need less.
const TEST_SIZE: usize = 64 * 1024;
/// The settings key of the test write.
const TEST_KEY: &str = "storage_trial";

impl Db {
    /// Checks that the database can be written. Without a current fault nothing is written, so that a disk may spin
    /// down.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn takes_writes(&self) -> Result<()> {
        let faults = fault_count();
        if fault().is_none() {
            return self.begin().await?.roll_back().await;
        }
        let sql = "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, 0) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        sql!(sql, TEST_KEY, "0".repeat(TEST_SIZE)).run_alone(self).await?;
        sql!("DELETE FROM settings WHERE key = $1", TEST_KEY).run_alone(self).await?;
        clear(faults);
        Ok(())
    }
}
