//! What lets somebody in ends when it has to: one list of tables, held against the schema, against every event that
//! ends them, and against a restore.

use std::path::Path;

use docknap::app::users::{self, Edit};
use docknap::app::{Actor, backup};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::credentials::{self, Event};
use docknap::db::engine::Durability;
use docknap::db::{Db, Tx};
use docknap::domain::permission::Role;
use jiff::Timestamp;
use secrecy::SecretString;
use sqlx::AssertSqlSafe;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::db::TestDb;

on_both_engines!(every_table_says_whether_it_holds_a_credential, each_event_ends_what_it_has_to);

/// The tables of which no row lets anybody in. Whoever adds a table decides, here or in `db::credentials`.
const HOLD_NONE: [&str; 25] = [
    // The password itself: a restore brings back the one of the copy, and says so.
    "users",
    // Answers to requests, by a key that opens nothing without a token.
    "idempotency",
    "_sqlx_migrations",
    "applied",
    "audit",
    "calendars",
    "groups",
    "group_members",
    "hidden_needs",
    // Private keys of clients are sealed; they open Engines, and nothing of DockNap.
    "hosts",
    "host_outages",
    "leases",
    "locks",
    "login_failures",
    "naps",
    "order_edges",
    "overrides",
    "rulebook",
    "runs",
    "schedules",
    "settings",
    "sleeps",
    "steps",
    "targets",
    "traces",
];

async fn rows<T>(db: &Db, sql: &str) -> Vec<T>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>
        + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>
        + Send
        + Unpin,
{
    let sql = AssertSqlSafe(sql.to_owned());
    match db {
        Db::Sqlite { readers, .. } => sqlx::query_as(sql).fetch_all(readers).await.expect("rows"),
        Db::Pg(pool) => sqlx::query_as(sql).fetch_all(pool).await.expect("rows"),
    }
}

async fn execute(db: &Db, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    let mut tx = db.begin().await.expect("begins");
    match &mut tx {
        Tx::Sqlite(tx) => drop(sqlx::query(sql).execute(&mut **tx).await.expect("executes")),
        Tx::Pg(tx) => drop(sqlx::query(sql).execute(&mut **tx).await.expect("executes")),
    }
    tx.commit().await.expect("commits");
}

async fn count(db: &Db, table: &str) -> i64 {
    rows::<(i64,)>(db, &format!("SELECT COUNT(*) FROM {table}")).await[0].0
}

async fn every_table_says_whether_it_holds_a_credential(test: TestDb) {
    let tables: Vec<(String, String)> = match &test.db {
        Db::Sqlite { .. } => {
            rows(
                &test.db,
                "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
            )
            .await
        }
        Db::Pg(_) => {
            rows(
                &test.db,
                "SELECT table_name::text, column_name::text FROM information_schema.columns \
                 WHERE table_schema = current_schema()",
            )
            .await
        }
    };
    assert!(tables.iter().any(|(table, _)| table == "devices"), "{tables:?}");
    let listed = |table: &str| credentials::ALL.iter().any(|one| one.table == table);
    for (table, column) in &tables {
        assert!(
            listed(table) != HOLD_NONE.contains(&&**table),
            "is {table} a table of credentials? db::credentials or this test has to say so"
        );
        let secret =
            ["hash", "token", "digest", "secret", "jti", "cookie"].iter().any(|word| column.contains(word));
        assert!(
            !secret || listed(table) || matches!(&**table, "users" | "_sqlx_migrations"),
            "{table}.{column} sounds like a credential"
        );
    }
    for one in credentials::ALL {
        let owned = tables.iter().any(|(table, column)| table == one.table && column == "user_id");
        assert!(owned, "{} has an owner", one.table);
    }
}

/// A row of each table of credentials.
async fn store_one_of_each(db: &Db, user: &str) {
    for table in credentials::ALL.map(|one| one.table) {
        let sql = match table {
            "sessions" => {
                "(id_hash, user_id, data, created_ms, last_seen_ms, expires_ms) VALUES ('s', 'USER', '{}', 0, 0, 9)"
            }
            "tokens" => "(jti, user_id, created_ms, expires_ms) VALUES ('t', 'USER', 0, 9)",
            "user_links" => {
                "(token_hash, user_id, kind, created_ms, expires_ms) VALUES ('l', 'USER', 'reset', 0, 9)"
            }
            "feeds" => "(id, user_id, digest, created_ms) VALUES ('f', 'USER', 'd', 0)",
            "devices" => {
                "(id_hash, user_id, created_ms, last_used_ms, expires_ms) VALUES ('b', 'USER', 0, 0, 9)"
            }
            other => panic!("a sample of {other} is missing"),
        };
        execute(db, &format!("INSERT INTO {table} {}", sql.replace("USER", user))).await;
    }
}

async fn each_event_ends_what_it_has_to(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let cli = Actor::cli();
    let secret = SecretString::from("another long sentence here");
    for event in Event::ALL {
        let id = test.add_user(&format!("{event:?}"), Role::Operator).await.id;
        store_one_of_each(&test.app.db, id.as_str()).await;
        let edit = |role: &str, disabled| Edit { role: role.to_owned(), disabled, rev: None };
        match event {
            Event::SignOut => drop(users::end_sessions(&test.app, &cli, &id, None).await.expect("ends")),
            Event::Role => {
                drop(users::update(&test.app, &cli, &id, &edit("viewer", false)).await.expect("changes"));
            }
            Event::Password => users::reset_password(&test.app, &cli, &id, &secret).await.expect("changes"),
            Event::Disable => {
                drop(users::update(&test.app, &cli, &id, &edit("operator", true)).await.expect("changes"));
            }
            Event::Delete => users::delete(&test.app, &cli, &id).await.expect("deletes"),
        }
        for one in credentials::ALL {
            let left = i64::from(one.outlives.contains(&event));
            assert_eq!(count(&test.app.db, one.table).await, left, "{} after {event:?}", one.table);
            execute(&test.app.db, &format!("DELETE FROM {}", one.table)).await;
        }
    }
    let outlived = |event| credentials::ALL.iter().filter(|one| one.outlives.contains(&event)).count();
    assert_eq!(
        [Event::Password, Event::Disable, Event::Delete].map(outlived),
        [0; 3],
        "nothing outlives these"
    );
}

fn clock() -> Clock {
    Clock::frozen("2027-03-01T12:00:00Z".parse::<Timestamp>().expect("an instant"))
}

fn config(home: &Path) -> Config {
    Config { data_dir: home.to_owned(), ..Config::default() }
}

/// A database with one account in `home`, and its copy beside it.
async fn copied(home: &Path, extra: &[&str]) -> std::path::PathBuf {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Full).await.expect("SQLite opens");
    crate::support::rows::store_user(&db, "u1").await;
    store_one_of_each(&db, "u1").await;
    for sql in extra {
        execute(&db, sql).await;
    }
    db.close().await;
    let copy = home.join("copy.db");
    backup::copy(&config(home), &clock(), &copy).await.expect("a copy is made");
    copy
}

#[tokio::test]
async fn a_restore_revives_nothing_that_lets_anybody_in() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let copy = copied(home.path(), &[]).await;
    backup::restore(&config(home.path()), &clock(), &copy).await.expect("it is restored");
    let file = home.path().join("docknap.db");
    let db = Db::open_sqlite(&file, Durability::Full).await.expect("SQLite opens");
    assert_eq!(count(&db, "users").await, 1);
    for one in credentials::ALL {
        assert_eq!(count(&db, one.table).await, 0, "{}", one.table);
    }
    db.close().await;
}

#[tokio::test]
async fn a_file_with_code_of_others_is_not_restored() {
    let trigger = "CREATE TRIGGER helper AFTER INSERT ON users BEGIN UPDATE users SET role = 'admin'; END";
    let cases: [(&[&str], &str); 4] = [
        (&[trigger], "the trigger helper"),
        (&["CREATE VIEW shown AS SELECT name FROM users"], "the view shown"),
        (
            &["ALTER TABLE host_outages RENAME TO kept", "CREATE VIEW host_outages AS SELECT * FROM kept"],
            "the view host_outages",
        ),
        (
            &[
                "DROP TRIGGER audit_no_update",
                "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT 1; END",
            ],
            "the trigger audit_no_update",
        ),
    ];
    for (extra, what) in cases {
        let home = tempfile::tempdir().expect("a temporary directory");
        let copy = copied(home.path(), extra).await;
        let error = backup::restore(&config(home.path()), &clock(), &copy).await.expect_err(what);
        assert!(error.to_string().contains(what), "{what}: {error}");
        let names = std::fs::read_dir(home.path()).expect("it is a directory");
        let kept =
            names.flatten().any(|entry| entry.file_name().to_string_lossy().contains("before-restore"));
        assert!(!kept, "{what}: nothing was changed");
    }
}
