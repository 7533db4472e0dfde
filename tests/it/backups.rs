//! Backups of either database: from SQLite to PostgreSQL and back, the daily copies, and the page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docknap::app::backup::{self, copies};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::engine::backup as engine;
use docknap::db::engine::{Bid, Durability, Holder, MIGRATIONS};
use docknap::db::{Db, settings};
use docknap::domain::permission::Role;
use jiff::Timestamp;
use secrecy::SecretString;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use crate::backup::UNDER_WAY;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::db::TestDb;

/// More rows than one statement writes.
const ROWS: usize = 230;
/// The tables of which a copy differs: the lease belongs to the server, and the versions of the rule book grow.
const OWN: [&str; 2] = ["leases", "rulebook"];

fn clock() -> Clock {
    Clock::frozen("2027-03-01T12:00:00Z".parse::<Timestamp>().expect("an instant"))
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn on_file(home: &Path) -> Config {
    Config { data_dir: home.to_owned(), ..Config::default() }
}

fn on_server(home: &Path, server: &TestDb) -> Config {
    Config { database_url: Some(SecretString::from(url(server))), ..on_file(home) }
}

fn url(server: &TestDb) -> String {
    let Db::Pg(pool) = &server.db else { panic!("it is a server") };
    pool.connect_options().to_url_lossy().to_string()
}

async fn count(server: &TestDb, table: &str) -> i64 {
    let Db::Pg(pool) = &server.db else { panic!("it is a server") };
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(pool).await.expect("a row");
    count
}

async fn execute(db: &Db, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    match db {
        Db::Sqlite { writer, .. } => drop(sqlx::query(sql).execute(writer).await.expect("executes")),
        Db::Pg(pool) => drop(sqlx::query(sql).execute(pool).await.expect("executes")),
    }
}

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.expect("SQLite opens")
}

/// A column: table, name, type, whether it must have a value, and the table and column it refers to.
type Column = (String, String, String, bool, Option<String>, Option<String>);

async fn columns(file: &mut SqliteConnection) -> Vec<Column> {
    let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" <> 0 OR c.pk > 0, f.\"table\", f.\"to\" \
               FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
               LEFT JOIN pragma_foreign_key_list(t.name) f ON f.\"from\" = c.name \
               WHERE t.type = 'table' AND t.name <> '_sqlx_migrations' AND t.name NOT LIKE 'sqlite%' \
               ORDER BY t.name, c.cid";
    sqlx::query_as(sql).fetch_all(file).await.expect("a schema")
}

fn tables(columns: &[Column]) -> Vec<String> {
    let mut tables: Vec<String> = columns.iter().map(|column| column.0.clone()).collect();
    tables.dedup();
    tables
}

/// Fills every table with rows that differ in every column. Every third row has no value where none is needed.
async fn fill(file: &mut SqliteConnection) {
    let columns = columns(file).await;
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut *file).await.expect("it is off");
    for table in tables(&columns) {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *file).await.expect("empty");
        let own: Vec<&Column> = columns.iter().filter(|column| column.0 == table).collect();
        for row in 0..ROWS {
            let value = |(place, (table, name, kind, needed, of, to)): (usize, &&Column)| {
                if !needed && row % 3 == 0 {
                    return "NULL".to_owned();
                }
                match (kind.as_str(), of, to) {
                    (_, Some(of), Some(to)) => format!("'{of}.{to} {row}'"),
                    ("TEXT", ..) => format!("'{table}.{name} {row}'"),
                    ("BIGINT", ..) => (9_007_199_254_740_993 + row * 100 + place).to_string(),
                    ("BOOLEAN", ..) => (row % 2 == 0).to_string(),
                    (other, ..) => panic!("{table}.{name} has the type {other}, which no row has yet"),
                }
            };
            let values: Vec<String> = own.iter().enumerate().map(value).collect();
            let sql = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *file).await.expect("a row");
        }
    }
    let broken: Vec<(String,)> =
        sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check").fetch_all(file).await.expect("rows");
    assert!(broken.is_empty(), "{broken:?}");
}

/// Every row of a table as text, sorted.
async fn rows(file: &mut SqliteConnection, columns: &[Column], table: &str) -> Vec<String> {
    let own: Vec<String> = columns
        .iter()
        .filter(|column| column.0 == table)
        .map(|column| format!("quote(\"{}\")", column.1))
        .collect();
    let sql = AssertSqlSafe(format!("SELECT {} FROM {table} ORDER BY 1", own.join(" || '|' || ")));
    let found: Vec<(String,)> = sqlx::query_as(sql).fetch_all(file).await.expect("rows");
    found.into_iter().map(|(row,)| row).collect()
}

/// A whole SQLite file in which every table is filled.
async fn filled(home: &Path) -> PathBuf {
    let file = home.join("docknap.db");
    Db::open_sqlite(&file, Durability::Off).await.expect("SQLite opens").close().await;
    let mut connection = open(&file).await;
    fill(&mut connection).await;
    connection.close().await.expect("it closes");
    let copy = home.join("filled.db");
    engine::copy(&file, &copy).await.expect("a copy is made");
    copy
}

#[tokio::test]
async fn every_row_goes_to_a_server_and_comes_back() {
    let home = home();
    let there = filled(home.path()).await;
    let server = TestDb::postgres().await;
    engine::replace_server(&there, &url(&server)).await.expect("the server takes it");
    let back = home.path().join("back.db");
    engine::copy_server(&url(&server), &back).await.expect("the server gives it");

    let (mut there, mut back) = (open(&there).await, open(&back).await);
    let columns = columns(&mut there).await;
    assert!(tables(&columns).len() > 20);
    for table in tables(&columns) {
        let (sent, returned) =
            (rows(&mut there, &columns, &table).await, rows(&mut back, &columns, &table).await);
        if OWN.contains(&table.as_str()) {
            continue;
        }
        assert_eq!(sent.len(), ROWS, "{table}");
        assert!(sent == returned, "{table} differs: {:?} became {:?}", sent.first(), returned.first());
        assert_eq!(count(&server, &table).await, i64::try_from(ROWS).expect("a number"), "{table}");
    }
    assert_eq!(count(&server, "leases").await, 0, "the lease belongs to the server");
    assert_eq!(rows(&mut back, &columns, "leases").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_on_the_server_is_gone_after_a_restore() {
    let (home, server) = (home(), TestDb::postgres().await);
    let copy = sample(home.path(), "of the file").await;
    let mut tx = server.db.begin().await.expect("a transaction");
    settings::put(&mut tx, "only here", "x", clock().now()).await.expect("it is stored");
    tx.commit().await.expect("it is committed");
    let Db::Pg(pool) = &server.db else { panic!("it is a server") };
    let versions = "SELECT rules FROM rulebook";
    let (before,): (i64,) = sqlx::query_as(versions).fetch_one(pool).await.expect("a row");

    let config = on_server(home.path(), &server);
    backup::restore(&config, &clock(), &copy).await.expect("it is restored");
    assert_eq!(settings::get(&server.db, "only here").await.expect("answers"), None);
    assert_eq!(settings::get(&server.db, "sample").await.expect("answers").as_deref(), Some("of the file"));
    let (after,): (i64,) = sqlx::query_as(versions).fetch_one(pool).await.expect("a row");
    assert!(after > before, "who has read the rules before reads them again");
    assert!(!home.path().join("docknap-server.db.restore").exists(), "nothing is left behind");
}

/// A backup with one setting, made in `home`.
async fn sample(home: &Path, value: &str) -> PathBuf {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Off).await.expect("SQLite opens");
    let mut tx = db.begin().await.expect("a transaction");
    settings::put(&mut tx, "sample", value, clock().now()).await.expect("it is stored");
    tx.commit().await.expect("it is committed");
    db.close().await;
    let copy = home.join("sample.db");
    backup::copy(&on_file(home), &clock(), &copy).await.expect("a copy is made");
    copy
}

#[tokio::test]
async fn a_restore_on_a_server_never_replays() {
    let (home, server) = (home(), TestDb::postgres().await);
    for statement in UNDER_WAY {
        execute(&server.db, statement).await;
    }
    let config = on_server(home.path(), &server);
    let copy = home.path().join("copy.db");
    backup::copy(&config, &clock(), &copy).await.expect("a copy is made while it serves");
    backup::restore(&config, &clock(), &copy).await.expect("it is restored");
    let Db::Pg(pool) = &server.db else { panic!("it is a server") };
    let states: Vec<(String, String)> =
        sqlx::query_as("SELECT id, state FROM runs ORDER BY id").fetch_all(pool).await.expect("rows");
    let expected = [("r1", "cancelled"), ("r2", "interrupted"), ("r3", "succeeded"), ("r4", "skipped")];
    assert_eq!(states, expected.map(|(id, state)| (id.to_owned(), state.to_owned())));
    let (next,): (i64,) =
        sqlx::query_as("SELECT next_due_ms FROM schedules").fetch_one(pool).await.expect("a row");
    let tonight = "2027-03-01T23:00:00Z".parse::<Timestamp>().expect("an instant");
    assert_eq!(next, tonight.as_millisecond());
    assert_eq!(count(&server, "sessions").await + count(&server, "tokens").await, 0);
    assert_eq!(count(&server, "users").await, 1);
}

#[tokio::test]
async fn a_restore_is_refused_while_a_process_acts_on_the_server() {
    let (home, server) = (home(), TestDb::postgres().await);
    let copy = sample(home.path(), "new").await;
    let config = on_server(home.path(), &server);
    let lease = server.db.lease(&Holder::new()).expect("a server has one");
    assert_eq!(lease.bid().await.expect("answers"), Bid::Won);
    let refused = async || {
        let error = backup::restore(&config, &clock(), &copy).await.expect_err("it is refused").to_string();
        assert!(error.contains("DockNap is running on this database"), "{error}");
    };
    refused().await;
    let renewed_ago = async |seconds: i64| {
        let until = 15 - seconds;
        let now = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        let sql = format!("UPDATE leases SET until_ms = {now} + {until} * 1000");
        execute(&server.db, &sql).await;
    };
    renewed_ago(20).await;
    refused().await;
    assert_eq!(settings::get(&server.db, "sample").await.expect("answers"), None);
    renewed_ago(31).await;
    backup::restore(&config, &clock(), &copy).await.expect("a process that was killed is over after 30 s");
    assert_eq!(settings::get(&server.db, "sample").await.expect("answers").as_deref(), Some("new"));
    assert_eq!(count(&server, "leases").await, 1, "the lease stays");
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_migrated() {
    let home = home();
    let old = home.path().join("old.db");
    let options = SqliteConnectOptions::new().filename(&old).create_if_missing(true);
    let mut connection = options.connect().await.expect("SQLite opens");
    MIGRATIONS.run_to(13, &mut connection).await.expect("it is migrated");
    let stored = "INSERT INTO settings (key, value, updated_ms) VALUES ('sample', 'old', 0)";
    sqlx::query(stored).execute(&mut connection).await.expect("a row");
    connection.close().await.expect("it closes");

    let server = TestDb::postgres().await;
    backup::restore(&on_server(home.path(), &server), &clock(), &old).await.expect("it is restored");
    assert_eq!(settings::get(&server.db, "sample").await.expect("answers").as_deref(), Some("old"));
    backup::restore(&on_file(home.path()), &clock(), &old).await.expect("it is restored");
    let file = home.path().join("docknap.db");
    let db = Db::open_sqlite(&file, Durability::Off).await.expect("SQLite opens");
    assert_eq!(settings::get(&db, "sample").await.expect("answers").as_deref(), Some("old"));
    db.close().await;
}

#[tokio::test]
async fn what_is_no_sound_backup_changes_nothing_on_a_server() {
    let (home, server) = (home(), TestDb::postgres().await);
    let sound = std::fs::read(sample(home.path(), "x").await).expect("it is there");
    let config = on_server(home.path(), &server);
    let at = |name: &str, bytes: &[u8]| {
        let path = home.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let mut damaged = sound.clone();
    for byte in damaged.iter_mut().skip(8192).take(16384) {
        *byte = 0xff;
    }
    let half = sound.get(..sound.len() / 2).expect("it is longer");
    let foreign = home.path().join("foreign.db");
    let options = SqliteConnectOptions::new().filename(&foreign).create_if_missing(true);
    let mut connection = options.connect().await.expect("SQLite opens");
    sqlx::query("CREATE TABLE settings (key TEXT)").execute(&mut connection).await.expect("a table");
    connection.close().await.expect("it closes");
    let newer = at("newer", &sound);
    let mut connection = open(&newer).await;
    let sql = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
               SELECT 9999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations \
               WHERE version = 1";
    sqlx::query(sql).execute(&mut connection).await.expect("it is newer");
    connection.close().await.expect("it closes");
    for (file, words) in [
        (at("empty", b""), "holds no DockNap database"),
        (at("text", &b"no database ".repeat(1000)), "not a database"),
        (at("damaged", &damaged), "is not a sound backup"),
        (at("half", half), "is not a sound backup"),
        (foreign, "holds no DockNap database"),
        (newer, "made by a newer DockNap"),
        (home.path().join("missing"), "cannot be opened"),
    ] {
        let refused = backup::restore(&config, &clock(), &file).await;
        let error = refused.expect_err("it is refused").to_string();
        assert!(error.contains(words), "{}: {error}", file.display());
        assert_eq!(settings::get(&server.db, "sample").await.expect("answers"), None);
    }
}

#[tokio::test]
async fn a_backup_whose_keys_cannot_be_opened_changes_nothing_on_a_server() {
    let (home, server) = (home(), TestDb::postgres().await);
    sample(home.path(), "x").await;
    let file = home.path().join("docknap.db");
    let db = Db::open_sqlite(&file, Durability::Off).await.expect("SQLite opens");
    let host = "INSERT INTO hosts (id, name, endpoint, insecure, ca, cert, sealed_key, note, enabled, source, rev, \
                created_ms, updated_ms) VALUES ('nas', 'nas', 'tcp://nas:2376', FALSE, 'ca', 'cert', 'sealed', '', \
                TRUE, 'api', 1, 0, 0)";
    execute(&db, host).await;
    db.close().await;
    let copy = home.path().join("keys.db");
    backup::copy(&on_file(home.path()), &clock(), &copy).await.expect("a copy is made");
    let refused = backup::restore(&on_server(home.path(), &server), &clock(), &copy).await;
    let error = refused.expect_err("there is no key").to_string();
    assert!(error.contains("there is no secret key to open them"), "{error}");
    assert_eq!(settings::get(&server.db, "sample").await.expect("answers"), None);
    assert!(!home.path().join("docknap-server.db.restore").exists(), "nothing is left behind");
}

#[tokio::test]
async fn a_copy_that_finds_no_room_leaves_nothing() {
    let home = home();
    let script = "\"$0\" backup \"$1/first.db\" && mkdir \"$1/small\" && mount -t tmpfs -o size=64k tmpfs \"$1/small\" \
                  && ! \"$0\" backup \"$1/small/copy.db\" && ls -A \"$1/small\"";
    sample(home.path(), "x").await;
    let output = std::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_docknap")])
        .arg(home.path())
        .env("DOCKNAP_DATA_DIR", home.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the disk is full; make room on it"), "{said}");
    let left = String::from_utf8_lossy(&output.stdout);
    assert!(left.trim_end().ends_with("keep a copy of that too."), "nothing is listed: {left}");
}

/// A site on an SQLite file that it can copy.
async fn site(edit: impl FnOnce(&mut Config)) -> TestApp {
    let database = TestDb::sqlite().await;
    let directory = database.directory().expect("a file").to_owned();
    TestApp::on(database, |config| {
        config.data_dir = directory;
        edit(config);
    })
    .await
}

const HOUR: Duration = Duration::from_hours(1);

async fn names(test: &TestApp) -> Vec<String> {
    let state = copies::state(&test.app, &test.actor(Role::Admin).await).await.expect("answers");
    state.copies.into_iter().map(|copy| copy.name).collect()
}

#[tokio::test]
async fn one_copy_is_made_each_day_and_the_newest_are_kept() {
    let test = site(|config| config.backup_keep = 2).await;
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, Vec::<String>::new(), "the first one waits for its hour");
    test.clock.advance(HOUR * 7);
    for _ in 0..3 {
        copies::tick(&test.app).await.expect("it looks");
    }
    assert_eq!(names(&test).await, ["docknap-20261128-030000.db"], "one a day");
    for _ in 0..2 {
        test.clock.advance(HOUR * 24);
        copies::tick(&test.app).await.expect("it looks");
    }
    assert_eq!(names(&test).await, ["docknap-20261130-030000.db", "docknap-20261129-030000.db"]);
    // While it was off, several were missed: one is made.
    test.clock.advance(HOUR * 75);
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, ["docknap-20261203-060000.db", "docknap-20261130-030000.db"]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_stops_no_copies() {
    let test = site(|config| config.backup_keep = 2).await;
    let directory = copies::directory(&test.app.config);
    std::fs::create_dir(&directory).expect("it is made");
    for year in [2036, 2037] {
        std::fs::write(directory.join(format!("docknap-{year}0101-030000.db")), "x").expect("written");
    }
    test.clock.advance(HOUR * 7);
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, ["docknap-20370101-030000.db", "docknap-20261128-030000.db"]);
}

#[tokio::test]
async fn the_chosen_hour_is_that_of_the_default_zone() {
    let test = site(|config| config.timezone = Some("Asia/Tokyo".to_owned())).await;
    let mut ada = test.admin().await;
    let refused = ada.post("/settings/backup/hour", &[("hour", "24")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("#hour-error").contains("0 to 23"), "{}", refused.body);
    assert_eq!(ada.post("/settings/backup/hour", &[("hour", "6")]).await.status, 303);
    // It is 5:00 on the next day in Tokyo.
    test.clock.advance(Duration::from_secs(3599));
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, Vec::<String>::new());
    test.clock.advance(Duration::from_secs(1));
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, ["docknap-20261127-210000.db"]);
}

#[tokio::test]
async fn no_copy_is_made_where_none_is_kept() {
    let test = site(|config| config.backup_keep = 0).await;
    test.clock.advance(HOUR * 48);
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_copy_is_told_and_made_again() {
    let place = home();
    let directory = place.path().join("backups");
    std::fs::write(&directory, "in the way").expect("written");
    let given = directory.clone();
    let test = site(|config| config.backup_dir = Some(given)).await;
    test.clock.advance(HOUR * 7);
    copies::tick(&test.app).await.expect("it looks");
    let mut ada = test.admin().await;
    let page = ada.get("/settings/backup").await;
    assert!(page.text("main").contains("A file is where a directory is needed"), "{}", page.text("main"));
    assert!(ada.get("/").await.text("main").contains("The backup failed"));
    assert!(
        !test.viewer().await.get("/").await.text("main").contains("The backup failed"),
        "for admins only"
    );

    std::fs::remove_file(&directory).expect("it is there");
    copies::tick(&test.app).await.expect("it looks");
    assert!(!directory.exists(), "it waits an hour");
    test.clock.advance(HOUR);
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, ["docknap-20261128-040000.db"]);
    assert!(!ada.get("/").await.text("main").contains("The backup failed"));
    assert!(!ada.get("/settings/backup").await.text("main").contains("The backup failed"));
}

#[tokio::test]
async fn an_old_backup_needs_attention_while_daily_copies_are_on() {
    let test = site(|_| {}).await;
    let mut ada = test.admin().await;
    assert_eq!(ada.post("/settings/backup/create", &[]).await.status, 303);
    test.clock.advance(HOUR * 24 * 7);
    let mut ada = test.admin().await;
    assert!(!ada.get("/").await.text("main").contains("The last backup is old"));
    test.clock.advance(HOUR);
    assert!(test.admin().await.get("/").await.text("main").contains("The last backup is old"));
}

#[tokio::test]
async fn what_was_cut_off_is_removed_and_other_files_stay() {
    let test = site(|config| config.backup_keep = 1).await;
    let directory = copies::directory(&test.app.config);
    std::fs::create_dir(&directory).expect("it is made");
    for name in ["docknap-20260101-030000.db.part", "docknap-20260101-030000.db", "mine.db", "mine.db.part"] {
        std::fs::write(directory.join(name), "x").expect("written");
    }
    copies::create(&test.app, &test.actor(Role::Admin).await).await.expect("a copy is made");
    let mut left: Vec<String> = std::fs::read_dir(&directory)
        .expect("it is a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["docknap-20261127-200000.db", "mine.db", "mine.db.part"]);
}

#[tokio::test]
async fn a_download_needs_the_password_and_leaves_nothing() {
    let test = site(|_| {}).await;
    let mut ada = test.admin().await;
    ada.get("/settings/backup").await;
    for (password, words) in [("", "type your password"), ("wrong", "this is not your password")] {
        let refused = ada.post("/settings/backup/download", &[("which", "now"), ("current", password)]).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text("#current-error").contains(words), "{}", refused.body);
    }
    let sent = ada.post("/settings/backup/download", &[("which", "now"), ("current", PASSWORD)]).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert!(sent.body.starts_with("SQLite format 3\0"));
    assert_eq!(sent.header("content-disposition"), "attachment; filename=\"docknap-20261127-200000.db\"");
    assert!(!test.app.config.data_dir.join("docknap-download.db").exists());

    assert_eq!(ada.post("/settings/backup/create", &[]).await.status, 303);
    let name = names(&test).await.concat();
    let sent = ada.post("/settings/backup/download", &[("which", &name), ("current", PASSWORD)]).await;
    assert!(sent.status == 200 && sent.body.starts_with("SQLite format 3\0"));
    let asked = ada.get(&format!("/settings/backup/copies/{name}/delete")).await;
    assert!(asked.text("h1").contains(&name));
    assert_eq!(ada.post(&format!("/settings/backup/copies/{name}/delete"), &[]).await.status, 303);
    assert_eq!(names(&test).await, Vec::<String>::new());
    let events: Vec<String> = test.audit().await.into_iter().map(|row| row.0).collect();
    for event in ["backup.confirm", "backup.download", "backup.create", "backup.delete"] {
        assert!(events.iter().any(|one| one == event), "{event}: {events:?}");
    }
}

#[tokio::test]
async fn a_name_never_leads_out_of_the_directory() {
    let test = site(|_| {}).await;
    let mut ada = test.admin().await;
    let mut program = test.bearer(Role::Admin).await;
    for name in
        ["docknap.db", "..%2Fdocknap.db", "%2E%2E%2Fsecret.key", "docknap-20261127-200000.db%2F..%2Fx", "x"]
    {
        assert_eq!(program.get(&format!("/api/backup/{name}")).await.status, 404, "{name}");
        let path = format!("/settings/backup/copies/{name}/delete");
        assert_eq!(ada.post(&path, &[]).await.status, 404, "{name}");
    }
    let fields = [("which", "../docknap.db"), ("current", PASSWORD)];
    assert_eq!(ada.post("/settings/backup/download", &fields).await.status, 404);
    assert!(test.app.config.data_dir.join("docknap.db").exists());
}

#[tokio::test]
async fn a_server_is_copied_to_a_file_while_it_serves() {
    let server = TestDb::postgres().await;
    let address = SecretString::from(url(&server));
    let test = TestApp::on(server, |config| config.database_url = Some(address)).await;
    test.clock.advance(HOUR * 7);
    copies::tick(&test.app).await.expect("it looks");
    assert_eq!(names(&test).await, ["docknap-20261128-030000.db"]);
    let copy = copies::directory(&test.app.config).join("docknap-20261128-030000.db");
    let mut copy = open(&copy).await;
    let (users,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM users").fetch_one(&mut copy).await.expect("a row");
    assert_eq!(users, 3);
    let page = test.admin().await.get("/settings/backup").await;
    assert!(page.text("main").contains("The last backup was made"), "{}", page.text("main"));
}

#[tokio::test]
async fn a_program_lists_makes_and_fetches_copies() {
    let test = site(|_| {}).await;
    let mut program = test.bearer(Role::Admin).await;
    let made = program.post_json("/api/backup", &serde_json::json!({})).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let name = made.json()["name"].as_str().expect("a name").to_owned();
    let state = program.get("/api/backup").await.json();
    assert_eq!(state["copies"][0]["name"], name.as_str());
    assert_eq!(state["last_at"], "2026-11-27T20:00:00.000Z");
    assert_eq!(state["keep"], 7);
    assert!(program.get(&format!("/api/backup/{name}")).await.body.starts_with("SQLite format 3\0"));
    let metrics = docknap::app::metrics::text(&test.app).await.expect("it is read");
    assert!(metrics.contains("docknap_last_backup_timestamp_seconds 1795809600"), "{metrics}");
    for role in [Role::Viewer, Role::Operator] {
        assert_eq!(test.bearer(role).await.get("/api/backup").await.status, 403);
        assert_eq!(test.browser(role).await.get("/settings/backup").await.status, 403);
    }
}
