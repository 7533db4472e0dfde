//! The lease that decides which of several DockNap processes on one PostgreSQL server acts: a database row with an
//! expiry, which the holder renews.
//!
//! A lock of a database session would never end if its process is frozen or cut off. All instants are by the server's
//! clock. Each connection of a process that serves stores its holder in a session setting, and each transaction checks
//! that this holder still has the lease. The command line sets no holder, and may write at the same time.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::super::{DbError, Result};

/// The validity of the lease after each renewal.
pub const LEASE: Duration = Duration::from_secs(15);

/// The time after the last renewal for which the holder of the lease counts as running.
const SILENCE: Duration = Duration::from_secs(30);

/// The identity of one process: a unique id and the name of the machine, separated by a space.
#[derive(Clone, Debug)]
pub struct Holder(String);

impl Holder {
    /// A new identity for this process.
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

/// The machine name of a stored holder.
fn machine(holder: &str) -> &str {
    holder.split_once(' ').map_or(holder, |(_, machine)| machine)
}

/// The result of a bid for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bid {
    /// This process has the lease.
    Won,
    /// Another process has the lease; the value is the name of its machine.
    Held(String),
}

const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// Access to the lease for one process.
#[derive(Clone, Debug)]
pub struct Lease {
    pool: PgPool,
    holder: Holder,
}

impl Lease {
    pub(super) fn new(pool: PgPool, holder: Holder) -> Self {
        Self { pool, holder }
    }

    /// Takes the lease if it is free or has expired.
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

    /// The machine name of the current holder.
    pub async fn machine(&self) -> Result<String> {
        let sql = "SELECT holder FROM leases WHERE name = 'leader'";
        let held: Option<(String,)> = sqlx::query_as(sql).fetch_optional(&self.pool).await?;
        Ok(held
            .map_or_else(|| "a machine without a name".to_owned(), |(holder,)| machine(&holder).to_owned()))
    }

    /// Extends the lease; `false` if another process has it now. The update touches no key column, so it does not wait
    /// for the transactions that hold a key share lock on the row.
    pub async fn renew(&self) -> Result<bool> {
        let sql = format!("UPDATE leases SET until_ms = {NOW} + $2 WHERE name = 'leader' AND holder = $1");
        let done =
            sqlx::query(AssertSqlSafe(sql)).bind(&self.holder.0).bind(lease_ms()).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives the lease up, so that another process need not wait for its expiry.
    pub async fn release(&self) -> Result<()> {
        let sql = "UPDATE leases SET until_ms = 0 WHERE name = 'leader' AND holder = $1";
        sqlx::query(sql).bind(&self.holder.0).execute(&self.pool).await?;
        Ok(())
    }
}

fn lease_ms() -> i64 {
    ms(LEASE)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Refuses while a process has the lease, or renewed it less than [`SILENCE`] ago and has not given it up.
///
/// # Errors
/// [`DbError::Unusable`] with the machine of the process.
pub(super) async fn refuse_fresh(connection: &mut PgConnection) -> Result<()> {
    let sql = format!("SELECT holder FROM leases WHERE name = 'leader' AND until_ms > {NOW} - $1");
    let held: Option<(String,)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(ms(SILENCE.saturating_sub(LEASE)))
        .fetch_optional(connection)
        .await?;
    match held {
        Some((holder,)) => Err(DbError::Unusable(format!(
            "DockNap is running on this database, on {}; stop it first. After a crash, wait {} s",
            machine(&holder),
            SILENCE.as_secs()
        ))),
        None => Ok(()),
    }
}

/// Prepares a new connection of a process that serves. The holder is stored in a session setting. The timeouts make the
/// server end open transactions of a frozen or disconnected process, since those would keep another process from taking
/// over.
pub(super) async fn prepare_connection(connection: &mut PgConnection, holder: &Holder) -> sqlx::Result<()> {
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

/// The first statement of each transaction. The share lock makes a process that takes over wait for the end of this
/// transaction; a process that has lost the lease gets [`DbError::TakenOver`].
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
