//! The `devices` table: browsers from which an account has logged in before. The table holds only the digest of the id
//! in the cookie.

use jiff::Timestamp;

use super::query::{On, sql};
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::ids::UserId;

/// A known browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// SHA-256 of the id in the cookie, in hex.
    pub id_hash: String,
    /// The account that logged in with the browser.
    pub user_id: UserId,
    /// First login.
    pub created: Timestamp,
    /// Latest login.
    pub last_used: Timestamp,
    /// Instant at which the browser is forgotten unless it is used before.
    pub expires: Timestamp,
    /// IP address of the latest login.
    pub address: Option<String>,
    /// The `User-Agent` header of the browser.
    pub user_agent: Option<String>,
}

impl ReadRow for Device {
    const TABLE: &'static str = "devices";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id_hash: row.get("id_hash")?,
            user_id: row.get("user_id")?,
            created: row.get("created_ms")?,
            last_used: row.get("last_used_ms")?,
            expires: row.get("expires_ms")?,
            address: row.get("address")?,
            user_agent: row.get("user_agent")?,
        })
    }
}

/// The account of a browser that is known at `now`.
pub async fn owner(on: impl Into<On<'_>>, id_hash: &str, now: Timestamp) -> Result<Option<UserId>> {
    sql!("SELECT user_id FROM devices WHERE id_hash = $1 AND expires_ms > $2", id_hash, now).first(on).await
}

/// The browsers of a user that are known at `now`, the last used first.
pub async fn of_user(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<Device>> {
    let sql =
        "SELECT * FROM devices WHERE user_id = $1 AND expires_ms > $2 ORDER BY last_used_ms DESC, id_hash";
    sql!(sql, user, now).all(db).await
}

/// Adds a browser, or updates use, expiry, address and user agent of a known one.
pub async fn put(tx: &mut Tx, device: &Device) -> Result<()> {
    let row = row![
        "id_hash" => device.id_hash,
        "user_id" => device.user_id,
        "created_ms" => device.created,
        "last_used_ms" => device.last_used,
        "expires_ms" => device.expires,
        "address" => device.address,
        "user_agent" => device.user_agent,
    ];
    let known = " ON CONFLICT (id_hash) DO UPDATE SET last_used_ms = excluded.last_used_ms, \
                 expires_ms = excluded.expires_ms, address = excluded.address, user_agent = excluded.user_agent";
    rows::insert(tx, "devices", vec![row], known).await?;
    Ok(())
}
