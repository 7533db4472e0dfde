//! Everything that differs between the two engines, SQLite and PostgreSQL: opening, pragmas, migrations, triggers, one
//! index, and the size of the database. Each difference has both variants side by side. The submodules hold the backup
//! of an SQLite file, the lease on a PostgreSQL server, and the lock on an SQLite file.

use std::fs::OpenOptions;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, SqlitePool};

use super::query::sql;
use super::{Db, DbError, Result, Tx, error};
use crate::clock::Clock;
use crate::domain::text::chain;
use crate::files;

pub mod backup;
pub(super) mod lease;
mod lock;
mod transfer;

pub use lease::{Bid, Holder, Lease};
pub use lock::FileLock;

/// The migrations, applied in order on both engines. A migration never changes once it is released.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The oldest supported SQLite. Older versions can corrupt a database when the WAL is reset during a read (semantics
/// §7).
pub const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How long a writer waits for a lock of another process on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of the first connection to a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a write that waits for the writer connection.
const WRITER_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of 4 KiB pages that a write transaction may keep in memory. Beyond that SQLite writes some pages before
/// the end of the transaction, and writes them again at the end. The memory above the cache size is freed with the
/// transaction.
const CACHE_SPILL_PAGES: &str = "1024";
/// The number of read connections of SQLite; each one costs memory.
const READERS: u32 = 4;
/// The number of connections to a PostgreSQL server.
const PG_CONNECTIONS: u32 = 8;

/// The statements after the migrations that are written differently for each engine. A trigger keeps audit rows from
/// being updated; only `db::audit::prune` deletes them. The additional index of PostgreSQL sorts identities by bytes,
/// which makes a search by prefix possible; SQLite sorts by bytes by default.
const SQLITE_OWN: &[&str] = &["CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit \
     BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END"];
const PG_OWN: &[&str] = &[
    "CREATE OR REPLACE FUNCTION audit_no_update() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE EXCEPTION 'audit rows are never changed'; END $$",
    "CREATE OR REPLACE TRIGGER audit_no_update BEFORE UPDATE ON audit \
     FOR EACH ROW EXECUTE FUNCTION audit_no_update()",
    "CREATE INDEX IF NOT EXISTS schedules_members \
     ON schedules (host_id, target_type, target_identity COLLATE \"C\", id)",
];

impl Db {
    /// The placeholder of the `n`-th parameter of a statement, counted from 1.
    pub(super) fn parameter(&self, n: usize) -> String {
        parameter(matches!(self, Self::Sqlite { .. }), n)
    }
}

impl Tx {
    /// As [`Db::parameter`].
    pub(super) fn parameter(&self, n: usize) -> String {
        parameter(matches!(self, Self::Sqlite(_)), n)
    }
}

/// SQLite gets `?` without a number, because it searches all parameters for each numbered one.
fn parameter(sqlite: bool, n: usize) -> String {
    if sqlite { "?".to_owned() } else { format!("${n}") }
}

/// The collation for a comparison of texts by bytes. SQLite needs none; on PostgreSQL the collation is that of the
/// index in [`PG_OWN`].
pub(super) fn byte_collation(db: &Db) -> &'static str {
    match db {
        Db::Sqlite { .. } => "",
        Db::Pg(_) => "COLLATE \"C\"",
    }
}

/// The rows of `table` that belong to each row of `of`, found along an index: its column `key` with their `columns`. On
/// PostgreSQL the planner would read the whole table and join by hash; `OFFSET 0` keeps it from that.
pub(super) fn for_each(
    db: &Db,
    (of, key): (&str, &str),
    (table, columns): (&str, &str),
    which: &str,
) -> String {
    match db {
        Db::Sqlite { .. } => {
            format!("SELECT {key}, {columns} FROM {of} CROSS JOIN {table} WHERE {which}")
        }
        Db::Pg(_) => format!(
            "SELECT {key}, found.* FROM {of} CROSS JOIN LATERAL \
             (SELECT {columns} FROM {table} WHERE {which} OFFSET 0) AS found"
        ),
    }
}

/// The tables that `app::rulebook` reads, each with the version column (`db::rulebook`) that counts the writes to the
/// table. The counting is done by triggers, so no write is missed. A table that `app::rulebook` reads must be listed
/// here.
const COUNTED: [(&str, &str); 11] = [
    ("schedules", "rules"),
    ("overrides", "rules"),
    ("calendars", "rules"),
    ("settings", "rules"),
    ("groups", "rules"),
    ("group_members", "rules"),
    ("targets", "rules"),
    // Not part of the rule book: the scheduler copies them to the hosts after a change by another process.
    ("locks", "rules"),
    ("order_edges", "rules"),
    ("hosts", "rules"),
    ("naps", "naps"),
];

/// The statements for SQLite alone: [`SQLITE_OWN`], and for each table of [`COUNTED`] one trigger per kind of write.
fn sqlite_own() -> impl Iterator<Item = String> {
    let on = |(table, version)| {
        ["INSERT", "UPDATE", "DELETE"].map(|write| {
            format!(
                "CREATE TRIGGER IF NOT EXISTS count_{table}_{write} AFTER {write} ON {table} \
                 BEGIN UPDATE rulebook SET {version} = {version} + 1; END"
            )
        })
    };
    SQLITE_OWN.iter().map(|text| (*text).to_owned()).chain(COUNTED.into_iter().flat_map(on))
}

/// The statements for PostgreSQL alone: [`PG_OWN`], and one trigger for each table of [`COUNTED`]. The triggers count
/// once per transaction, at its end. All writers update the same row; by then a transaction holds all its other locks,
/// so two transactions cannot wait for each other.
fn pg_own() -> impl Iterator<Item = String> {
    let count = "CREATE OR REPLACE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF COALESCE(current_setting('docknap.counted_' || TG_ARGV[0], true), '') <> txid_current()::text THEN \
        PERFORM set_config('docknap.counted_' || TG_ARGV[0], txid_current()::text, true); \
        IF TG_ARGV[0] = 'naps' THEN UPDATE rulebook SET naps = naps + 1; \
        ELSE UPDATE rulebook SET rules = rules + 1; END IF; END IF; RETURN NULL; END $$";
    let on = |(table, version)| {
        format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'count_{table}' \
             AND tgrelid = '{table}'::regclass) THEN CREATE CONSTRAINT TRIGGER count_{table} \
             AFTER INSERT OR UPDATE OR DELETE ON {table} DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW WHEN (COALESCE(current_setting('docknap.migrating', true), '') <> 'on') \
             EXECUTE FUNCTION count_change('{version}'); END IF; END $$"
        )
    };
    PG_OWN.iter().copied().chain([count]).map(str::to_owned).chain(COUNTED.into_iter().map(on))
}

/// The key of the advisory lock during these statements; an arbitrary number that nothing else in the database uses.
const PG_OWN_LOCK: i64 = 0x646f_636b_6e61_7000;

/// Whether SQLite protects commits against a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is synced to the disk. DockNap always runs with this value.
    Full,
    /// Nothing is synced. For simulations on a memory disk.
    Off,
}

impl Db {
    /// Starts a transaction that may write.
    ///
    /// # Errors
    /// No connection is available, the write lock is not free within 5 s, or another process has taken over the
    /// database.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Pg(pool) => {
                let mut tx = pool.begin().await?;
                lease::check(&mut tx).await?;
                Tx::Pg(tx)
            }
        })
    }

    /// Opens a database by URL (`sqlite:PATH` or `postgres://…`) and runs the migrations.
    ///
    /// # Errors
    /// [`DbError::Unusable`] with advice if the URL is not supported or the engine is too old; the engine's own error
    /// otherwise.
    pub async fn open(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            Self::open_sqlite(Path::new(path.trim_start_matches("//")), Durability::Full).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_server(url, None).await
        } else {
            Err(DbError::Unusable("the database URL must begin with sqlite: or postgres://".to_owned()))
        }
    }

    /// Opens an SQLite file; a missing file is created.
    ///
    /// # Errors
    /// As [`Db::open`], with the name of the file.
    pub async fn open_sqlite(path: &Path, durability: Durability) -> Result<Self> {
        let opened = Self::try_open_sqlite(path, durability).await;
        opened.map_err(|error| match error {
            DbError::Unusable(_) => error,
            // SQLite only reports that the file cannot be opened; the operating system gives the reason.
            other => match OpenOptions::new().append(true).create(true).open(path) {
                Err(error) => DbError::Unusable(files::words(path, &error)),
                Ok(_) => DbError::Unusable(format!("{}: {}", path.display(), other.words())),
            },
        })
    }

    async fn try_open_sqlite(path: &Path, durability: Durability) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Off => SqliteSynchronous::Off,
            })
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            // The root file system of the image is read-only, so a sort must not use files in /tmp.
            .pragma("temp_store", "MEMORY")
            // 1 MiB per connection instead of 2.
            .pragma("cache_size", "-1024");
        // SQLite rolls back a transaction by itself, for example on a full disk. sqlx does not notice, and every
        // further transaction on the connection would fail. For this reason a connection that was opened before the
        // latest fault is closed and replaced.
        let faults_at_open = Arc::new(AtomicU64::new(0));
        let faults_known = Arc::clone(&faults_at_open);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(WRITER_TIMEOUT)
            .after_connect(move |_, _| {
                faults_at_open.store(error::fault_count(), Ordering::SeqCst);
                Box::pin(async { Ok(()) })
            })
            .before_acquire(move |connection, _| {
                let is_usable = !connection.is_in_transaction()
                    && faults_known.load(Ordering::SeqCst) == error::fault_count();
                Box::pin(async move { Ok(is_usable) })
            })
            .connect_with(options.clone().pragma("cache_spill", CACHE_SPILL_PAGES))
            .await?;
        let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&writer).await?;
        if !is_recent_sqlite(&version) {
            return Err(DbError::Unusable(format!("SQLite {version} is too old; 3.51.3 or newer is needed")));
        }
        // A new database is synced once, not after each migration. With a write-ahead log a power cut can then lose the
        // latest migrations, but causes no damage; the next start runs them again.
        if durability == Durability::Full {
            sqlx::query("PRAGMA synchronous = NORMAL").execute(&writer).await?;
        }
        migration_result(MIGRATIONS.run(&writer).await)?;
        drop_statistics(&writer).await?;
        for statement in sqlite_own() {
            sqlx::query(AssertSqlSafe(statement)).execute(&writer).await?;
        }
        if durability == Durability::Full {
            sqlx::query("PRAGMA synchronous = FULL").execute(&writer).await?;
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.read_only(true));
        Ok(Self::Sqlite { readers, writer })
    }

    /// Opens a database on a PostgreSQL server. A process that serves passes its identity as `holder`.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_server(url: &str, holder: Option<&Holder>) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?;
        connect(&options).await?.close().await?;
        let holder = holder.cloned();
        let pool = PgPoolOptions::new()
            .max_connections(PG_CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| {
                let holder = holder.clone();
                Box::pin(async move {
                    match &holder {
                        Some(holder) => lease::prepare_connection(connection, holder).await,
                        None => Ok(()),
                    }
                })
            })
            .connect_with(options)
            .await?;
        let db = Self::Pg(pool.clone());
        db.migrate().await?;
        // One process at a time: `IF NOT EXISTS` is not safe against processes that start at the same time.
        let mut own = pool.acquire().await?;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(PG_OWN_LOCK).execute(&mut *own).await?;
        for statement in pg_own() {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *own).await?;
        }
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(PG_OWN_LOCK).execute(&mut *own).await?;
        drop(own);
        Ok(db)
    }

    /// Runs the migrations. On PostgreSQL the counting triggers are switched off meanwhile, and the versions are
    /// incremented here afterwards: a table with a pending deferred trigger could not be altered in the same
    /// transaction.
    ///
    /// # Errors
    /// [`DbError::Unusable`] if a newer version made the database; the engine's own error otherwise.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Sqlite { writer, .. } => migration_result(MIGRATIONS.run(writer).await),
            Self::Pg(pool) => {
                let own = PgPoolOptions::new().max_connections(1).after_connect(|connection, _| {
                    let migrating = sqlx::query("SELECT set_config('docknap.migrating', 'on', false)");
                    Box::pin(async move { migrating.execute(connection).await.map(drop) })
                });
                let own = own.connect_lazy_with(pool.connect_options().as_ref().clone());
                let done = migration_result(MIGRATIONS.run(&own).await);
                own.close().await;
                done?;
                sqlx::query("UPDATE rulebook SET rules = rules + 1, naps = naps + 1").execute(pool).await?;
                Ok(())
            }
        }
    }

    /// The lease by which only one of several processes acts. `None` for SQLite, where a lock on the file does this.
    pub fn lease(&self, holder: &Holder) -> Option<Lease> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Pg(pool) => Some(Lease::new(pool.clone(), holder.clone())),
        }
    }

    /// The engine's version, the size of the database and the number of migrations.
    pub async fn facts(&self) -> Result<Facts> {
        const MIGRATED: &str = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success = TRUE";
        let migrations = sql!(MIGRATED).one(self).await?;
        Ok(match self {
            Self::Sqlite { readers, .. } => {
                let sql = "SELECT sqlite_version(), page_count * page_size FROM pragma_page_count, pragma_page_size";
                let (version, bytes): (String, i64) = sqlx::query_as(sql).fetch_one(readers).await?;
                Facts { kind: format!("SQLite {version}"), bytes, migrations }
            }
            Self::Pg(pool) => {
                let sql = "SELECT current_setting('server_version'), pg_database_size(current_database())";
                let (version, bytes): (String, i64) = sqlx::query_as(sql).fetch_one(pool).await?;
                Facts { kind: format!("PostgreSQL {version}"), bytes, migrations }
            }
        })
    }

    /// Closes all connections. On SQLite the write-ahead log is merged into the file first.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await {
                    tracing::warn!(error = %chain(&error), "the write-ahead log could not be folded in; the next start does it");
                }
                writer.close().await;
            }
            Self::Pg(pool) => pool.close().await,
        }
    }
}

/// A single connection to a server. A pool retries and finally reports only a timeout; a single connection reports the
/// reason.
async fn connect(server: &PgConnectOptions) -> Result<PgConnection> {
    match Clock::system().timeout(CONNECT_TIMEOUT, PgConnection::connect_with(server)).await {
        Ok(connected) => Ok(connected?),
        Err(_) => {
            let (host, port) = (server.get_host(), server.get_port());
            let seconds = CONNECT_TIMEOUT.as_secs();
            Err(DbError::Unusable(format!(
                "the PostgreSQL server at {host}:{port} did not answer within {seconds} s; check that it runs and that \
                 nothing in between drops what is sent to it"
            )))
        }
    }
}

/// The result of the migrations, with a clear message if a newer version made the database.
fn migration_result(done: std::result::Result<(), MigrateError>) -> Result<()> {
    match done {
        Err(MigrateError::VersionMissing(version)) => Err(DbError::Unusable(format!(
            "the database was made by a newer DockNap: this one does not know its migration {version}. Run that version \
             or a newer one, or restore a backup that is as old as this one"
        ))),
        done => Ok(done?),
    }
}

/// Facts about a database for status pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Name and version, such as `SQLite 3.51.3`.
    pub kind: String,
    /// The size of the database in bytes, without the write-ahead log.
    pub bytes: i64,
    /// The number of applied migrations.
    pub migrations: i64,
}

/// Deletes the table statistics of SQLite, which an earlier version collected. SQLite keeps using old statistics until
/// the next ANALYZE: statistics from a time with two schedules make a query read all of a hundred thousand rows.
/// Without statistics the planner uses the index.
async fn drop_statistics(writer: &SqlitePool) -> Result<()> {
    const TABLES: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    let (tables,): (i64,) = sqlx::query_as(TABLES).fetch_one(writer).await?;
    if tables > 0 {
        // The last statement makes this connection drop the statistics that it has loaded.
        for statement in [
            "DROP TABLE IF EXISTS sqlite_stat1",
            "DROP TABLE IF EXISTS sqlite_stat4",
            "ANALYZE sqlite_schema",
        ] {
            sqlx::query(statement).execute(writer).await?;
        }
    }
    Ok(())
}

fn is_recent_sqlite(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= OLDEST_SQLITE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_statistics_do_not_affect_query_plans() {
        // The plan needs bound values, because SQLite plans again for the value of the limit.
        let due = format!("EXPLAIN QUERY PLAN {}", crate::db::schedules::DUE);
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("docknap.db");
        for life in 0..3 {
            let db = Db::open_sqlite(&path, Durability::Off).await.expect("it opens");
            let Db::Sqlite { readers, writer } = &db else { panic!("it is SQLite") };
            for pool in [readers, writer] {
                let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(due.as_str()))
                    .bind(1)
                    .bind(500)
                    .fetch_all(pool)
                    .await
                    .expect("it plans");
                assert!(plan[0].3.contains("INDEX schedules_due"), "life {life}: {plan:?}");
            }
            // Earlier versions ran ANALYZE with a row or two.
            let row = "INSERT INTO schedules (id, name, host_id, target_type, target_name, target_identity, kind, enabled, \
                       catch_up_s, policy, mode, wake, priority, note, source, effective_from_ms, next_due_ms, rev, \
                       created_ms, updated_ms) VALUES ($1, '', 'local', 'stack', 'x', 'x', 'cron', TRUE, 0, '', '', '', 0, \
                       '', 'api', 0, 5, 1, 0, 0)";
            sqlx::query(row).bind(life.to_string()).execute(writer).await.expect("stores");
            sqlx::query("ANALYZE").execute(writer).await.expect("it counts");
            db.close().await;
        }
    }

    #[test]
    fn sqlite_versions_compare_by_number() {
        assert!(is_recent_sqlite("3.51.3"));
        assert!(is_recent_sqlite("3.100.0"));
        assert!(!is_recent_sqlite("3.51.2"));
        assert!(!is_recent_sqlite("3.9.0"));
    }
}
