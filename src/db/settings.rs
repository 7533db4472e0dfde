//! The `settings` table: values about this installation, by key.

use jiff::Timestamp;

use super::query::sql;
use super::rows::{self, row};
use super::{Db, Result, Tx};

/// The key of the time zone that was chosen at setup.
pub const TIMEZONE: &str = "timezone";
/// The key of the instant of the last backup.
pub const LAST_BACKUP: &str = "last_backup";

/// The value stored under `key`.
pub async fn get(db: &Db, key: &str) -> Result<Option<String>> {
    sql!("SELECT value FROM settings WHERE key = $1", key).first(db).await
}

/// The instant of the last backup that DockNap made; `None` where it made none.
pub async fn last_backup(db: &Db) -> Result<Option<Timestamp>> {
    Ok(get(db, LAST_BACKUP).await?.and_then(|text| text.parse().ok()))
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
