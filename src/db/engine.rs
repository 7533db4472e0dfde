//! What one engine alone has: opening, pragmas, triggers, an index, backup. Both arms side by side.

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

pub use lease::{Bid, Holder, Lease};
pub use lock::FileLock;

/// Applied in order on both engines; a released file never changes.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The oldest SQLite that does not corrupt a database when its WAL is reset under a reader (semantics §7).
pub const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How long a writer waits for another process to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take for its first answer.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a write waits for those before it.
const WRITER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pages of 4 KiB that the writer may hold before it writes some in the midst of a transaction, to write them again at
/// its end. What is more than the cache's size goes with the transaction.
const SPILL: &str = "1024";
/// Pages read at once; each connection costs memory.
const READERS: u32 = 4;
/// Connections to a PostgreSQL server.
const PG_CONNECTIONS: u32 = 8;

/// The statements after the migrations, which each engine wants in words of its own. Audit rows are append-only;
/// `db::audit::prune` is the one way around that. And PostgreSQL finds identities that begin alike in an index by bytes
/// alone, which is how SQLite sorts by itself.
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
    /// The text of the `n`-th parameter of a statement, counted from 1.
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

/// SQLite's parameters have no numbers here: it looks each numbered one up among all others.
fn parameter(sqlite: bool, n: usize) -> String {
    if sqlite { "?".to_owned() } else { format!("${n}") }
}

/// Lets a text be compared by its bytes: how SQLite does it by itself, and the index of members in [`PG_OWN`].
pub(super) fn by_bytes(db: &Db) -> &'static str {
    match db {
        Db::Sqlite { .. } => "",
        Db::Pg(_) => "COLLATE \"C\"",
    }
}

/// What decides, and which of its two versions counts the writes to it (`db::rulebook`). A table that
/// `app::rulebook` reads stands here; then no write can be forgotten, whoever makes it, since triggers count.
const COUNTED: [(&str, &str); 5] = [
    ("schedules", "rules"),
    ("overrides", "rules"),
    ("calendars", "rules"),
    ("settings", "rules"),
    ("naps", "naps"),
];

/// All that SQLite alone is told: [`SQLITE_OWN`], and the triggers of [`COUNTED`], one for each kind of write.
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

/// All that PostgreSQL alone is told: [`PG_OWN`], and the triggers of [`COUNTED`]. They count at the end of the
/// transaction, once: who writes to the one row that all write to has all its other locks by then, and cannot be waited
/// for by who waits for it.
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

/// What is locked while they run; any number that nobody else of the database locks.
const PG_OWN_LOCK: i64 = 0x646f_636b_6e61_7000;

/// How hard SQLite works to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every commit reaches the disk: how DockNap runs.
    Full,
    /// For simulations on a memory disk.
    Off,
}

impl Db {
    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// When no connection is to be had, the write lock is not free within 5 s, or another process has taken over.
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

    /// Opens a database by URL (`sqlite:PATH` or `postgres://…`) and brings its schema up to date.
    ///
    /// # Errors
    /// [`DbError::Unusable`] with what to do, where the URL is none of ours or the engine is too old; the engine's own
    /// words elsewhere.
    pub async fn open(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            Self::open_sqlite(Path::new(path.trim_start_matches("//")), Durability::Full).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_server(url, None).await
        } else {
            Err(DbError::Unusable("the database URL must begin with sqlite: or postgres://".to_owned()))
        }
    }

    /// Opens (and makes, where it is missing) an SQLite file.
    ///
    /// # Errors
    /// As [`Db::open`], naming the file.
    pub async fn open_sqlite(path: &Path, durability: Durability) -> Result<Self> {
        let opened = Self::try_open_sqlite(path, durability).await;
        opened.map_err(|error| match error {
            DbError::Unusable(_) => error,
            // The engine says no more than that it cannot be opened; the system says why.
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
            // The image's root is read-only, so a sort must not spill to /tmp.
            .pragma("temp_store", "MEMORY")
            // 1 MiB a connection instead of 2.
            .pragma("cache_size", "-1024");
        // SQLite ends a transaction by itself where the disk is full, and more; sqlx goes on believing in it, and would
        // refuse each further one. A connection that saw a fault is closed, and another opened in its place.
        let opened = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&opened);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(WRITER_TIMEOUT)
            .after_connect(move |_, _| {
                opened.store(error::faults(), Ordering::SeqCst);
                Box::pin(async { Ok(()) })
            })
            .before_acquire(move |connection, _| {
                let sound = !connection.is_in_transaction() && seen.load(Ordering::SeqCst) == error::faults();
                Box::pin(async move { Ok(sound) })
            })
            .connect_with(options.clone().pragma("cache_spill", SPILL))
            .await?;
        let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&writer).await?;
        if !is_recent_sqlite(&version) {
            return Err(DbError::Unusable(format!("SQLite {version} is too old; 3.51.3 or newer is needed")));
        }
        // A new database waits for the disk once, not at each migration: with a write-ahead log that loses what came
        // last in a power cut, and damages nothing; the next start does it again.
        if durability == Durability::Full {
            sqlx::query("PRAGMA synchronous = NORMAL").execute(&writer).await?;
        }
        migrated(MIGRATIONS.run(&writer).await)?;
        forget_counts(&writer).await?;
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

    /// Opens a database on a PostgreSQL server; for a process that serves, with what it is known by.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_server(url: &str, holder: Option<&Holder>) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?;
        let silent = |_| {
            let (host, port) = (options.get_host(), options.get_port());
            let seconds = SILENCE.as_secs();
            DbError::Unusable(format!(
                "the PostgreSQL server at {host}:{port} did not answer within {seconds} s; check that it runs and that \
                 nothing in between drops what is sent to it"
            ))
        };
        // A pool goes on trying and then says only that time ran out; one connection says why.
        let first = async { PgConnection::connect_with(&options).await?.close().await };
        Clock::system().timeout(SILENCE, first).await.map_err(silent)??;
        let holder = holder.cloned();
        let pool = PgPoolOptions::new()
            .max_connections(PG_CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| {
                let holder = holder.clone();
                Box::pin(async move {
                    match &holder {
                        Some(holder) => lease::introduce(connection, holder).await,
                        None => Ok(()),
                    }
                })
            })
            .connect_with(options)
            .await?;
        let db = Self::Pg(pool.clone());
        db.migrate().await?;
        // Of several that start together one at a time: `IF NOT EXISTS` holds for one alone.
        let mut own = pool.acquire().await?;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(PG_OWN_LOCK).execute(&mut *own).await?;
        for statement in pg_own() {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *own).await?;
        }
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(PG_OWN_LOCK).execute(&mut *own).await?;
        drop(own);
        Ok(db)
    }

    /// Brings the schema up to date. On a server what a migration writes is counted here, not by triggers: a table of
    /// which one waits for the end of the transaction could not be altered in it.
    ///
    /// # Errors
    /// [`DbError::Unusable`] where it was made by a newer version; the engine's own words elsewhere.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Sqlite { writer, .. } => migrated(MIGRATIONS.run(writer).await),
            Self::Pg(pool) => {
                let own = PgPoolOptions::new().max_connections(1).after_connect(|connection, _| {
                    let migrating = sqlx::query("SELECT set_config('docknap.migrating', 'on', false)");
                    Box::pin(async move { migrating.execute(connection).await.map(drop) })
                });
                let own = own.connect_lazy_with(pool.connect_options().as_ref().clone());
                let done = migrated(MIGRATIONS.run(&own).await);
                own.close().await;
                done?;
                sqlx::query("UPDATE rulebook SET rules = rules + 1, naps = naps + 1").execute(pool).await?;
                Ok(())
            }
        }
    }

    /// What lets one of several processes act; `None` where a lock on the file does.
    pub fn lease(&self, holder: &Holder) -> Option<Lease> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Pg(pool) => Some(Lease::new(pool.clone(), holder.clone())),
        }
    }

    /// Which engine it is, and how it stands.
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

    /// Closes every connection; on SQLite the write-ahead log is folded into the file first.
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

/// How the migrations went, in words for whoever runs DockNap.
fn migrated(done: std::result::Result<(), MigrateError>) -> Result<()> {
    match done {
        Err(MigrateError::VersionMissing(version)) => Err(DbError::Unusable(format!(
            "the database was made by a newer DockNap: this one does not know its migration {version}. Run that version \
             or a newer one, or restore a backup that is as old as this one"
        ))),
        done => Ok(done?),
    }
}

/// What is to be known of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `SQLite 3.51.3`
    pub kind: String,
    /// Its size, without what waits in a log.
    pub bytes: i64,
    /// Migrations applied.
    pub migrations: i64,
}

/// Forgets how many rows SQLite once counted in each table. What it counted when there were two schedules it goes by
/// until somebody counts again, and reads all of a hundred thousand; where nothing was counted it takes the index.
async fn forget_counts(writer: &SqlitePool) -> Result<()> {
    const COUNTED: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    let (counted,): (i64,) = sqlx::query_as(COUNTED).fetch_one(writer).await?;
    if counted > 0 {
        // The last one has this connection forget what it has read of them.
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
    async fn what_was_once_counted_decides_about_no_plan() {
        // Asked with its values, since SQLite plans anew by the limit that comes with it.
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
            // As versions before this one did, with a row or two.
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
