//! Browsers that somebody has logged in with before. The id in the cookie is never stored, only its digest.

use jiff::Timestamp;

use super::rows::{self, row};
use super::{Db, Result, Tx, on_db, on_tx};
use crate::domain::ids::UserId;
use crate::domain::time::{from_ms, to_ms};

/// A browser that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// SHA-256 of the id in its cookie, hex.
    pub id_hash: String,
    /// Who logged in with it.
    pub user_id: UserId,
    /// When first.
    pub created: Timestamp,
    /// When last.
    pub last_used: Timestamp,
    /// Until when it is known unless it is used.
    pub expires: Timestamp,
    /// Where it was last used from.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id_hash: String,
    user_id: String,
    created_ms: i64,
    last_used_ms: i64,
    expires_ms: i64,
    address: Option<String>,
    user_agent: Option<String>,
}

impl From<Row> for Device {
    fn from(row: Row) -> Self {
        Self {
            id_hash: row.id_hash,
            user_id: UserId(row.user_id),
            created: from_ms(row.created_ms),
            last_used: from_ms(row.last_used_ms),
            expires: from_ms(row.expires_ms),
            address: row.address,
            user_agent: row.user_agent,
        }
    }
}

/// Whose browser this is, where it is known at `now`.
pub async fn owner(db: &Db, id_hash: &str, now: Timestamp) -> Result<Option<UserId>> {
    let row: Option<(String,)> = on_db!(db, pool => sqlx::query_as(
        "SELECT user_id FROM devices WHERE id_hash = $1 AND expires_ms > $2")
        .bind(id_hash).bind(to_ms(now)).fetch_optional(pool))?;
    Ok(row.map(|(id,)| UserId(id)))
}

/// The same, inside a transaction.
pub async fn owner_in(tx: &mut Tx, id_hash: &str, now: Timestamp) -> Result<Option<UserId>> {
    let row: Option<(String,)> = on_tx!(tx, conn => sqlx::query_as(
        "SELECT user_id FROM devices WHERE id_hash = $1 AND expires_ms > $2")
        .bind(id_hash).bind(to_ms(now)).fetch_optional(conn))?;
    Ok(row.map(|(id,)| UserId(id)))
}

/// Someone's browsers that are known at `now`, the last used first.
pub async fn of_user(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Device>> {
    let rows: Vec<Row> = on_db!(db, pool => sqlx::query_as(
        "SELECT id_hash, user_id, created_ms, last_used_ms, expires_ms, address, user_agent FROM devices \
         WHERE user_id = $1 AND expires_ms > $2 ORDER BY last_used_ms DESC, id_hash")
        .bind(user.as_str()).bind(to_ms(now)).fetch_all(pool))?;
    Ok(rows.into_iter().map(Device::from).collect())
}

/// Adds a browser, or notes that a known one was used.
pub async fn put(tx: &mut Tx, device: &Device) -> Result<()> {
    let row = row![
        "id_hash" => &device.id_hash,
        "user_id" => device.user_id.as_str(),
        "created_ms" => to_ms(device.created),
        "last_used_ms" => to_ms(device.last_used),
        "expires_ms" => to_ms(device.expires),
        "address" => device.address.as_deref(),
        "user_agent" => device.user_agent.as_deref(),
    ];
    let known = " ON CONFLICT (id_hash) DO UPDATE SET last_used_ms = excluded.last_used_ms, \
                 expires_ms = excluded.expires_ms, address = excluded.address, user_agent = excluded.user_agent";
    rows::insert(tx, "devices", vec![row], known).await?;
    Ok(())
}
