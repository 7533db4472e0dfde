//! What holds for the database as a whole, on both engines.

use docknap::db::{self, settings};
use jiff::Timestamp;

use crate::on_both_engines;
use crate::support::db::TestDb;

on_both_engines!(
    a_setting_is_replaced,
    a_dropped_transaction_leaves_nothing,
    audit_rows_are_never_changed,
    a_damaged_row_is_named,
    a_database_of_a_newer_version_says_so,
    a_lease_that_was_stored_before_is_kept,
);

async fn a_setting_is_replaced(test: TestDb) {
    for value in ["UTC", "Europe/Berlin"] {
        let mut tx = test.db.begin().await.expect("begins");
        settings::put(&mut tx, "timezone", value, Timestamp::UNIX_EPOCH).await.expect("stores");
        tx.commit().await.expect("commits");
    }
    let stored = settings::get(&test.db, "timezone").await.expect("reads");
    assert_eq!(stored.as_deref(), Some("Europe/Berlin"));
}

async fn a_dropped_transaction_leaves_nothing(test: TestDb) {
    let mut tx = test.db.begin().await.expect("begins");
    settings::put(&mut tx, "timezone", "UTC", Timestamp::UNIX_EPOCH).await.expect("stores");
    drop(tx);
    assert_eq!(settings::get(&test.db, "timezone").await.expect("reads"), None);
}

/// As it does where the disk is full, and more.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_is_the_last_of_its_connection_alone() {
    let test = TestDb::sqlite().await;
    let db::Db::Sqlite { writer, .. } = &test.db else { panic!("it is SQLite") };
    let trigger = "CREATE TRIGGER ends BEFORE INSERT ON settings WHEN new.key = 'bad' \
                   BEGIN SELECT RAISE(ROLLBACK, 'ended'); END";
    sqlx::query(trigger).execute(writer).await.expect("it is made");
    for time in 0..20 {
        let mut tx = test.db.begin().await.unwrap_or_else(|error| panic!("time {time}: {error}"));
        settings::put(&mut tx, "before", "x", Timestamp::UNIX_EPOCH).await.expect("stores");
        settings::put(&mut tx, "bad", "x", Timestamp::UNIX_EPOCH).await.expect_err("it is ended");
        if time % 2 == 0 {
            tx.commit().await.expect_err("there is nothing to commit");
        } else {
            drop(tx);
        }
        assert_eq!(settings::get(&test.db, "before").await.expect("reads"), None);
        let mut tx = test.db.begin().await.unwrap_or_else(|error| panic!("time {time}: {error}"));
        settings::put(&mut tx, "good", &time.to_string(), Timestamp::UNIX_EPOCH).await.expect("stores");
        tx.commit().await.expect("commits");
        assert_eq!(settings::get(&test.db, "good").await.expect("reads"), Some(time.to_string()));
    }
}

async fn audit_rows_are_never_changed(test: TestDb) {
    let insert = "INSERT INTO audit (id, at_ms, actor_kind, actor_name, event, object_type, object_name, outcome, detail) \
                  VALUES ('a', 0, 'cli', 'command line', 'user.create', 'user', 'x', 'ok', '{}')";
    let update = "UPDATE audit SET outcome = 'failed'";
    let refused = match &test.db {
        docknap::db::Db::Sqlite { writer, .. } => {
            sqlx::query(insert).execute(writer).await.expect("adds");
            sqlx::query(update).execute(writer).await.err()
        }
        docknap::db::Db::Pg(pool) => {
            sqlx::query(insert).execute(pool).await.expect("adds");
            sqlx::query(update).execute(pool).await.err()
        }
    };
    assert!(refused.expect("the update is refused").to_string().contains("audit rows are never changed"));
}

async fn a_damaged_row_is_named(test: TestDb) {
    let insert = "INSERT INTO users (id, name, name_key, role, password_hash, disabled, password_set_ms, rev, \
                  created_ms, updated_ms) VALUES ('u1', 'ada', 'ada', 'king', '', FALSE, 0, 1, 0, 0)";
    run(&test.db, insert).await;
    let error = db::users::list(&test.db).await.expect_err("there is no such role");
    assert_eq!(error.to_string(), "the users row u1 is damaged: its role");
}

/// SQLite takes NULL for the id of a row: a file that somebody changed by hand may have one.
#[tokio::test]
async fn a_row_without_an_id_is_reported_like_any_other() {
    let test = TestDb::sqlite().await;
    let insert = "INSERT INTO users (id, name, name_key, role, password_hash, disabled, password_set_ms, rev, \
                  created_ms, updated_ms) VALUES (NULL, 'ada', 'ada', 'king', '', FALSE, 0, 1, 0, 0)";
    run(&test.db, insert).await;
    let error = db::users::list(&test.db).await.expect_err("it has no id");
    assert!(error.to_string().contains("is damaged: its "), "{error}");
}

/// Runs one statement on whichever engine it is.
async fn run(db: &db::Db, sql: &'static str) -> u64 {
    match db {
        db::Db::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.expect(sql).rows_affected(),
        db::Db::Pg(pool) => sqlx::query(sql).execute(pool).await.expect(sql).rows_affected(),
    }
}

async fn a_database_of_a_newer_version_says_so(test: TestDb) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 SELECT 9999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations \
                 WHERE version = 1";
    assert_eq!(run(&test.db, newer).await, 1);
    let opened = match &test.db {
        db::Db::Sqlite { .. } => {
            let path = test.directory().expect("a file").join("docknap.db");
            db::Db::open_sqlite(&path, db::engine::Durability::Off).await
        }
        db::Db::Pg(pool) => {
            let name = pool.connect_options().get_database().expect("it has a name").to_owned();
            let server = std::env::var("DOCKNAP_TEST_POSTGRES_URL").expect("it is set");
            let (base, _) = server.rsplit_once('/').expect("the URL ends with /DATABASE");
            db::Db::open(&format!("{base}/{name}")).await
        }
    };
    let said = opened.expect_err("it is refused").to_string();
    assert!(said.starts_with("the database was made by a newer DockNap"), "{said}");
    assert!(said.contains("9999"), "{said}");
}

/// Migration 16 adds an index, and changes nothing of what is there.
async fn a_lease_that_was_stored_before_is_kept(test: TestDb) {
    run(&test.db, "DROP INDEX leases_epoch").await;
    run(&test.db, "DELETE FROM _sqlx_migrations WHERE version = 16").await;
    run(&test.db, "INSERT INTO leases (name, epoch, holder, until_ms) VALUES ('leader', 7, 'x nas', 5)")
        .await;
    test.db.migrate().await.expect("it is brought up to date");
    let kept = "UPDATE leases SET until_ms = 6 WHERE name = 'leader' AND epoch = 7 AND holder = 'x nas'";
    assert_eq!(run(&test.db, kept).await, 1);
}
