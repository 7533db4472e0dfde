//! The `settings` table: values about this installation, by key.

use jiff::Timestamp;

use super::query::sql;
use super::rows::{self, row};
use super::{Db, Result, Tx};

/// The key of the time zone that was chosen at setup.
pub const TIMEZONE: &str = "timezone";

/// The value stored under `key`.
pub async fn get(db: &Db, key: &str) -> Result<Option<String>> {
    sql!("SELECT value FROM settings WHERE key = $1", key).first(db).await
}

/// Stores `value` under `key` unless the key has a value.
pub async fn put_new(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO settings (key, value, updated_ms) VALUES ($1, $2, $3) \
               ON CONFLICT (key) DO NOTHING";
    sql!(sql, key, value, now).run(tx).await
}

/// Stores `value` under `key`; an existing value is replaced.
pub async fn put(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<()> {
    rows::put(tx, "settings", row!["key" => key], row!["value" => value, "updated_ms" => now]).await
}
