//! Facts about this installation, by key.

use jiff::Timestamp;

use super::{Db, Result, Tx, exec_tx, on_db};
use crate::domain::time::to_ms;

/// The value stored under `key`.
pub async fn get(db: &Db, key: &str) -> Result<Option<String>> {
    let row: Option<(String,)> = on_db!(db, pool =>
        sqlx::query_as("SELECT value FROM settings WHERE key = $1").bind(key).fetch_optional(pool))?;
    Ok(row.map(|(value,)| value))
}

/// Stores `value` under `key` where nothing is.
pub async fn put_new(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING",
        key,
        value,
        to_ms(now)
    )?;
    Ok(())
}

/// Stores `value` under `key`, whatever was there.
pub async fn put(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, $3) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms",
        key,
        value,
        to_ms(now)
    )?;
    Ok(())
}
