//! Which of several `DockNap`s on one PostgreSQL server is the one that acts: a row with an end, renewed by whoever has
//! it.
//!
//! A lock of a session would be kept for ever by a process that is frozen or cut off. Time is the server's. Each
//! connection of a process that serves says in a setting of its session who it is for, and each of its transactions
//! looks whether that one still has the lease; the command line says nothing, and may write beside it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::super::{DbError, Result};

/// How long a lease lasts from its renewal on.
pub const LEASE: Duration = Duration::from_secs(15);

/// One process: an id that no other has, and the machine's name.
#[derive(Clone, Debug)]
pub struct Holder(String);

impl Holder {
    /// This process.
    pub fn new() -> Self {
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let machine = machine.trim();
        let machine = if machine.is_empty() { "a machine without a name" } else { machine };
        Self(format!("{} {machine}", uuid::Uuid::now_v7()))
    }
}

impl Default for Holder {
    fn default() -> Self {
        Self::new()
    }
}

/// The machine of a holder.
fn machine(holder: &str) -> &str {
    holder.split_once(' ').map_or(holder, |(_, machine)| machine)
}

/// How a bid for the lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bid {
    /// It is ours.
    Won,
    /// Another process has it; the machine it runs on.
    Held(String),
}

const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// The lease of a process that serves.
#[derive(Clone, Debug)]
pub struct Lease {
    pool: PgPool,
    holder: Holder,
}

impl Lease {
    pub(super) fn new(pool: PgPool, holder: Holder) -> Self {
        Self { pool, holder }
    }

    /// Takes the lease where it is free or has run out.
    pub async fn bid(&self) -> Result<Bid> {
        let sql = format!(
            "INSERT INTO leases (name, epoch, holder, until_ms) VALUES ('leader', 1, $1, {NOW} + $2) \
             ON CONFLICT (name) DO UPDATE SET epoch = leases.epoch + 1, holder = $1, until_ms = {NOW} + $2 \
             WHERE leases.until_ms < {NOW} RETURNING epoch"
        );
        let won: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(&self.holder.0)
            .bind(lease_ms())
            .fetch_optional(&self.pool)
            .await?;
        if won.is_some() {
            return Ok(Bid::Won);
        }
        Ok(Bid::Held(self.machine().await?))
    }

    /// The machine of whoever has it.
    pub async fn machine(&self) -> Result<String> {
        let sql = "SELECT holder FROM leases WHERE name = 'leader'";
        let held: Option<(String,)> = sqlx::query_as(sql).fetch_optional(&self.pool).await?;
        Ok(held
            .map_or_else(|| "a machine without a name".to_owned(), |(holder,)| machine(&holder).to_owned()))
    }

    /// Has the lease last longer; `false` = it is another's now. The columns of its key are not touched, so that no
    /// transaction that looks at it is waited for.
    pub async fn renew(&self) -> Result<bool> {
        let sql = format!("UPDATE leases SET until_ms = {NOW} + $2 WHERE name = 'leader' AND holder = $1");
        let done =
            sqlx::query(AssertSqlSafe(sql)).bind(&self.holder.0).bind(lease_ms()).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Lets go of it, so that another need not wait.
    pub async fn release(&self) -> Result<()> {
        let sql = "UPDATE leases SET until_ms = 0 WHERE name = 'leader' AND holder = $1";
        sqlx::query(sql).bind(&self.holder.0).execute(&self.pool).await?;
        Ok(())
    }
}

fn lease_ms() -> i64 {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// Prepares a new connection of a process that serves: it says whose it is, and the server ends what it leaves open
/// when the process freezes or is cut off, since that would keep another from taking over.
pub(super) async fn introduce(connection: &mut PgConnection, holder: &Holder) -> sqlx::Result<()> {
    sqlx::query(
        "SELECT set_config('docknap.holder', $1, false), \
         set_config('idle_in_transaction_session_timeout', '10s', false), \
         set_config('tcp_user_timeout', '10s', false)",
    )
    .bind(&holder.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The first statement of each transaction: whoever takes over waits for its end, and whoever was taken over from
/// gets no further.
pub(in crate::db) async fn check(connection: &mut PgConnection) -> Result<()> {
    let sql = "SELECT holder, COALESCE(current_setting('docknap.holder', true), '') FROM leases \
               WHERE name = 'leader' FOR KEY SHARE";
    let stored: Option<(String, String)> = sqlx::query_as(sql).fetch_optional(connection).await?;
    match stored {
        Some((holder, mine)) if !mine.is_empty() && holder != mine => Err(DbError::TakenOver(format!(
            "another DockNap, on {}, has taken over this database",
            machine(&holder)
        ))),
        _ => Ok(()),
    }
}
