//! Copies the rows of all tables from a PostgreSQL server to an SQLite file and back.
//!
//! The tables, their columns and their order come from the migrations, so a new table needs nothing here. Rows are
//! streamed: only one batch of them is in memory.

use std::path::Path;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, ColumnIndex, Connection, Database, Decode, Encode, IntoArguments, PgConnection, Postgres,
    Row, Sqlite, Type,
};

use super::super::error::Fault;
use super::super::{DbError, Result};
use super::{MIGRATIONS, connect, lease};

/// The tables that are no part of a copy. The lease belongs to the server.
const NOT_COPIED: [&str; 1] = ["leases"];
/// The number of rows that one statement writes. The widest table has about 40 columns, and SQLite takes 32766
/// parameters.
const BATCH_ROWS: usize = 100;
/// The size at which a batch is written before it has all its rows.
const BATCH_BYTES: usize = 1 << 20;

/// The type of a column, the same on both engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Flag,
    Real,
    Bytes,
}

impl Kind {
    /// The kind of a type in a migration.
    fn of(declared: &str) -> Option<Self> {
        Some(match declared.to_ascii_uppercase().as_str() {
            "TEXT" => Self::Text,
            "BIGINT" | "INTEGER" => Self::Number,
            "BOOLEAN" => Self::Flag,
            "DOUBLE PRECISION" | "DOUBLE" | "REAL" => Self::Real,
            "BLOB" | "BYTEA" => Self::Bytes,
            _ => return None,
        })
    }
}

/// A value of a row. A NULL keeps its type, since PostgreSQL wants to know it.
enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(Option<bool>),
    Real(Option<f64>),
    Bytes(Option<Vec<u8>>),
}

impl Cell {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len(),
            Self::Bytes(Some(bytes)) => bytes.len(),
            _ => size_of::<i64>(),
        }
    }
}

/// A table of the migrations.
struct Table {
    name: String,
    columns: Vec<(String, Kind)>,
}

impl Table {
    fn quoted(&self) -> String {
        format!("\"{}\"", self.name)
    }

    /// The names of the columns, quoted and separated by commas.
    fn column_names(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        names.join(", ")
    }

    fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.column_names(), self.quoted())
    }

    /// The statement that inserts `rows` rows.
    fn insert(&self, rows: usize, placeholder: impl Fn(usize) -> String) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let places: Vec<String> = (1..=width).map(|column| placeholder(row * width + column)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!("INSERT INTO {} ({}) VALUES {}", self.quoted(), self.column_names(), rows.join(", "))
    }

    /// The values of a row of [`Self::select`].
    fn cells<'r, R>(&self, row: &'r R) -> Result<Vec<Cell>>
    where
        R: Row,
        usize: ColumnIndex<R>,
        Option<String>: Decode<'r, R::Database> + Type<R::Database>,
        Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
        Option<bool>: Decode<'r, R::Database> + Type<R::Database>,
        Option<f64>: Decode<'r, R::Database> + Type<R::Database>,
        Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
    {
        let cell = |(at, (name, kind)): (usize, &(String, Kind))| {
            let cell = match kind {
                Kind::Text => row.try_get(at).map(Cell::Text),
                Kind::Number => row.try_get(at).map(Cell::Number),
                Kind::Flag => row.try_get(at).map(Cell::Flag),
                Kind::Real => row.try_get(at).map(Cell::Real),
                Kind::Bytes => row.try_get(at).map(Cell::Bytes),
            };
            cell.map_err(|error| {
                DbError::Unusable(format!(
                    "the column {name} of the table {} holds what DockNap never writes: {error}",
                    self.name
                ))
            })
        };
        self.columns.iter().enumerate().map(cell).collect()
    }
}

/// What the migrations make, a line for each column and index of a database. Only names, types and keys of columns are
/// compared: SQLite may write the text of a changed table in several ways.
const MADE: &str = "SELECT t.name || '.' || c.name || ' ' || UPPER(c.type) || ' ' || c.\"notnull\" || c.pk || c.hidden \
    FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c \
    WHERE t.type = 'table' AND SUBSTR(t.name, 1, 7) <> 'sqlite_' AND t.name <> '_sqlx_migrations' \
    UNION ALL SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";

/// Something that the migrations make and the migrated database `file` lacks.
pub(super) async fn missing(file: &mut SqliteConnection) -> Result<Option<String>> {
    let mut schema = migrated(SqliteConnectOptions::new().in_memory(true)).await?;
    let needed: Vec<(String,)> = sqlx::query_as(MADE).fetch_all(&mut schema).await?;
    schema.close().await?;
    let found: Vec<(String,)> = sqlx::query_as(MADE).fetch_all(file).await?;
    Ok(needed.into_iter().find(|line| !found.contains(line)).map(|(line,)| line))
}

/// An error about the file of a copy. Unlike an error of the database in use, it is not recorded as a fault.
pub(super) fn of_copy(path: &Path, error: sqlx::Error) -> DbError {
    match Fault::of(&error) {
        Some(Fault::Full) => unusable(path, "cannot be written: the disk is full; make room on it"),
        _ => unusable(path, &format!("cannot be written: {}", DbError::Sqlx(error).words())),
    }
}

/// An error about a file.
pub(super) fn unusable(path: &Path, what: &str) -> DbError {
    DbError::Unusable(format!("{} {what}", path.display()))
}

/// An empty SQLite database with all migrations. They run on a pool, since their future on a connection is not `Send`.
async fn migrated(options: SqliteConnectOptions) -> Result<SqliteConnection> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    MIGRATIONS.run(&pool).await?;
    Ok(pool.acquire().await?.detach())
}

/// All tables to copy, each after the tables that it refers to. They are read from an empty database with all
/// migrations, so no name comes from a file of somebody else.
async fn tables() -> Result<Vec<Table>> {
    let mut schema = migrated(SqliteConnectOptions::new().in_memory(true)).await?;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND SUBSTR(name, 1, 7) <> 'sqlite_' \
               AND name <> '_sqlx_migrations' ORDER BY name";
    let names: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut schema).await?;
    let mut waiting = Vec::new();
    for (name,) in names.into_iter().filter(|(name,)| !NOT_COPIED.contains(&name.as_str())) {
        let sql = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";
        let declared: Vec<(String, String)> =
            sqlx::query_as(sql).bind(name.as_str()).fetch_all(&mut schema).await?;
        let columns: Vec<(String, Kind)> = declared
            .into_iter()
            .map(|(column, declared)| match Kind::of(&declared) {
                Some(kind) => Ok((column, kind)),
                None => Err(DbError::Unusable(format!("the column {name}.{column} cannot be copied"))),
            })
            .collect::<Result<_>>()?;
        let sql = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)";
        let needs: Vec<(String,)> = sqlx::query_as(sql).bind(name.as_str()).fetch_all(&mut schema).await?;
        waiting.push((Table { name, columns }, needs));
    }
    schema.close().await?;
    let mut ordered: Vec<Table> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |(table, needs): &(Table, Vec<(String,)>)| {
            needs.iter().all(|(need,)| *need == table.name || ordered.iter().any(|done| done.name == *need))
        };
        // Tables that refer to each other have no order; the engine refuses their rows.
        let next = waiting.iter().position(is_ready).unwrap_or(0);
        let (table, _) = waiting.remove(next);
        ordered.push(table);
    }
    Ok(ordered)
}

/// Rows to be written by one statement.
#[derive(Default)]
struct Batch {
    cells: Vec<Cell>,
    rows: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, row: Vec<Cell>) {
        self.rows += 1;
        self.bytes += row.iter().map(Cell::bytes).sum::<usize>();
        self.cells.extend(row);
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

/// The statement with its parameters.
fn bound<E: Database>(sql: String, cells: Vec<Cell>) -> sqlx::query::Query<'static, E, E::Arguments>
where
    Option<String>: Encode<'static, E> + Type<E>,
    Option<i64>: Encode<'static, E> + Type<E>,
    Option<bool>: Encode<'static, E> + Type<E>,
    Option<f64>: Encode<'static, E> + Type<E>,
    Option<Vec<u8>>: Encode<'static, E> + Type<E>,
    E::Arguments: IntoArguments<E>,
{
    cells.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, cell| match cell {
        Cell::Text(text) => query.bind(text),
        Cell::Number(number) => query.bind(number),
        Cell::Flag(flag) => query.bind(flag),
        Cell::Real(number) => query.bind(number),
        Cell::Bytes(bytes) => query.bind(bytes),
    })
}

/// Makes the new SQLite file `file` from the database on the server, as of one instant.
///
/// # Errors
/// [`DbError::Unusable`] if the database is not of this version of DockNap, and the errors of both engines. Errors of
/// the file are not recorded as faults of the database.
pub(super) async fn to_file(server: &PgConnectOptions, file: &Path) -> Result<()> {
    let tables = tables().await?;
    let mut source = connect(server).await?;
    check_version(&mut source).await?;
    // The file is synced once, when it is complete, and removed after an error.
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off);
    let of_file = |error| of_copy(file, error);
    let mut target = migrated(options).await.map_err(|error| match error {
        DbError::Sqlx(error) => of_file(error),
        other => other,
    })?;
    let mut from = source.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // Before the first query, which fixes the instant: a restore that empties the tables meanwhile would leave none of
    // their rows for this transaction.
    let names: Vec<String> = tables.iter().map(Table::quoted).collect();
    let lock = AssertSqlSafe(format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", ")));
    sqlx::query(lock).execute(&mut *from).await?;
    let mut to = target.begin().await.map_err(of_file)?;
    for table in tables.iter().rev() {
        // Migrations store rows, too.
        let sql = AssertSqlSafe(format!("DELETE FROM {}", table.quoted()));
        sqlx::query(sql).execute(&mut *to).await.map_err(of_file)?;
    }
    for table in &tables {
        fill_file(table, &mut from, (&mut *to, file)).await?;
    }
    to.commit().await.map_err(of_file)?;
    from.rollback().await?;
    target.close().await.map_err(of_file)?;
    source.close().await?;
    Ok(())
}

async fn fill_file(
    table: &Table,
    from: &mut PgConnection,
    (to, file): (&mut SqliteConnection, &Path),
) -> Result<()> {
    let mut rows = sqlx::query(AssertSqlSafe(table.select())).fetch(from);
    let mut batch = Batch::default();
    loop {
        let row = rows.try_next().await?;
        let is_last = row.is_none();
        if let Some(row) = row {
            batch.add(table.cells(&row)?);
        }
        if batch.is_full() || (is_last && batch.rows > 0) {
            let Batch { cells, rows, .. } = std::mem::take(&mut batch);
            let insert = bound::<Sqlite>(table.insert(rows, |_| "?".to_owned()), cells);
            insert.execute(&mut *to).await.map_err(|error| of_copy(file, error))?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Replaces all rows on the server by those of `file`, a database with the same migrations, in one transaction.
///
/// # Errors
/// [`DbError::Unusable`] while a DockNap acts on the server; otherwise the errors of both engines.
pub(super) async fn to_server(file: &mut SqliteConnection, server: &PgConnectOptions) -> Result<()> {
    let tables = tables().await?;
    let mut target = connect(server).await?;
    check_version(&mut target).await?;
    let mut to = target.begin().await?;
    for prepare in [
        "SET LOCAL lock_timeout = '10s'",
        // The triggers need not count each row (`pg_own`).
        "SELECT set_config('docknap.migrating', 'on', true)",
        // A DockNap that starts now waits for the end of this transaction.
        "LOCK TABLE leases IN EXCLUSIVE MODE",
    ] {
        sqlx::query(prepare).execute(&mut *to).await?;
    }
    lease::refuse_fresh(&mut to).await?;
    let versions: Option<(i64, i64)> =
        sqlx::query_as("SELECT rules, naps FROM rulebook").fetch_optional(&mut *to).await?;
    let names: Vec<String> = tables.iter().map(Table::quoted).collect();
    let truncate = AssertSqlSafe(format!("TRUNCATE TABLE {}", names.join(", ")));
    sqlx::query(truncate).execute(&mut *to).await?;
    for table in &tables {
        fill_server(table, file, &mut to).await?;
    }
    // Newer than both: who has kept what the rule book said before reads it again.
    let (rules, naps) = versions.unwrap_or_default();
    sqlx::query("UPDATE rulebook SET rules = GREATEST(rules, $1) + 1, naps = GREATEST(naps, $2) + 1")
        .bind(rules)
        .bind(naps)
        .execute(&mut *to)
        .await?;
    to.commit().await?;
    target.close().await?;
    Ok(())
}

async fn fill_server(table: &Table, from: &mut SqliteConnection, to: &mut PgConnection) -> Result<()> {
    let mut rows = sqlx::query(AssertSqlSafe(table.select())).fetch(from);
    let mut batch = Batch::default();
    loop {
        let row = rows.try_next().await.map_err(DbError::Sqlx)?;
        let is_last = row.is_none();
        if let Some(row) = row {
            batch.add(table.cells(&row)?.into_iter().map(storable).collect());
        }
        if batch.is_full() || (is_last && batch.rows > 0) {
            let Batch { cells, rows, .. } = std::mem::take(&mut batch);
            let insert = bound::<Postgres>(table.insert(rows, |n| format!("${n}")), cells);
            insert.execute(&mut *to).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The value as PostgreSQL can store it: its texts have no zero byte, which SQLite allows.
fn storable(cell: Cell) -> Cell {
    match cell {
        Cell::Text(Some(text)) if text.contains('\0') => Cell::Text(Some(text.replace('\0', "\u{fffd}"))),
        other => other,
    }
}

/// Checks that the database on the server has exactly the migrations of this version.
async fn check_version(server: &mut PgConnection) -> Result<()> {
    let found = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    let (is_found,): (bool,) = sqlx::query_as(found).fetch_one(&mut *server).await?;
    if !is_found {
        return Err(DbError::Unusable("the server holds no database of DockNap yet".to_owned()));
    }
    let sql = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    let stored: Vec<(i64,)> = sqlx::query_as(sql).fetch_all(server).await?;
    if stored.into_iter().map(|(version,)| version).eq(MIGRATIONS.iter().map(|one| one.version)) {
        return Ok(());
    }
    Err(DbError::Unusable(
        "the database on the server belongs to another version of DockNap; use that version's `docknap`"
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_table_comes_after_those_it_refers_to() {
        let tables = tables().await.expect("the migrations are sound");
        let at = |name: &str| tables.iter().position(|table| table.name == name).expect("it is copied");
        assert!(at("users") < at("sessions") && at("users") < at("schedules"));
        assert!(at("schedules") < at("runs") && at("runs") < at("steps"));
        assert!(at("groups") < at("group_members"));
        assert!(!tables.iter().any(|table| NOT_COPIED.contains(&table.name.as_str())));
    }

    #[test]
    fn parameters_are_counted_through_all_rows() {
        let columns = ["a", "b"].map(|name| (name.to_owned(), Kind::Text)).to_vec();
        let table = Table { name: "t".to_owned(), columns };
        let sql = table.insert(2, |n| format!("${n}"));
        assert_eq!(sql, "INSERT INTO \"t\" (\"a\", \"b\") VALUES ($1, $2), ($3, $4)");
    }
}
