//! Backup and restore: a copy of the live database is whole, and putting it back never replays.

use std::path::Path;

use crate::support::app::{Client, TestApp};
use crate::support::db::TestDb;
use docknap::app::backup::{self, upload};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::engine::{self, Durability, FileLock};
use docknap::db::{Db, settings};
use jiff::Timestamp;
use sqlx::SqlitePool;

fn clock() -> Clock {
    Clock::frozen("2027-03-01T12:00:00Z".parse::<Timestamp>().expect("an instant"))
}

fn config(home: &Path) -> Config {
    Config { data_dir: home.to_owned(), ..Config::default() }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Opens the database of `home`, with one setting in it.
async fn database(home: &Path, value: &str) -> Db {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Full).await.expect("SQLite opens");
    let mut tx = db.begin().await.expect("a transaction");
    settings::put(&mut tx, "sample", value, clock().now()).await.expect("it is stored");
    tx.commit().await.expect("it is committed");
    db
}

async fn stored(home: &Path) -> Option<String> {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Full).await.expect("SQLite opens");
    let value = settings::get(&db, "sample").await.expect("it can be read");
    db.close().await;
    value
}

fn names(home: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(home)
        .expect("it is a directory")
        .map(|entry| entry.expect("it has entries").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_copy_of_the_live_database_holds_what_is_still_in_its_log() {
    let (home, kept) = (home(), home());
    let db = database(home.path(), "first").await;
    let target = kept.path().join("nap.db");
    backup::copy(&config(home.path()), &clock(), &target).await.expect("a copy is made");
    assert_eq!(names(kept.path()), ["nap.db"], "nothing else is left behind");
    std::fs::rename(&target, kept.path().join("docknap.db")).expect("it can be renamed");
    assert_eq!(stored(kept.path()).await.as_deref(), Some("first"));
    db.close().await;
}

#[tokio::test]
async fn the_settings_page_knows_how_old_the_last_backup_is() {
    let home = home();
    let database = TestDb::sqlite().await;
    let directory = database.directory().expect("a file").to_owned();
    let test = TestApp::on(database, |config| config.data_dir = directory).await;
    let mut ada = test.admin().await;
    let security = async |client: &mut Client| client.get("/settings").await.text("#security");
    assert!(security(&mut ada).await.contains("No backup was made yet"));
    let copied = backup::copy(&test.app.config, &test.clock, &home.path().join("copy")).await;
    copied.expect("a copy is made while it serves");
    assert!(
        security(&mut ada).await.contains("There is a backup It was made just now"),
        "{}",
        security(&mut ada).await
    );
    test.clock.advance(std::time::Duration::from_hours(8 * 24 + 1));
    let old = security(&mut test.admin().await).await;
    assert!(old.contains("The last backup is old It was made 8 days ago"), "{old}");
}

#[tokio::test]
async fn a_failed_copy_leaves_the_older_one_alone() {
    let (home, kept) = (home(), home());
    let target = kept.path().join("nap.db");
    std::fs::write(&target, "older").expect("it can be written");
    backup::copy(&config(home.path()), &clock(), &target).await.expect_err("there is no database to copy");
    assert_eq!(std::fs::read_to_string(&target).expect("it is there"), "older");
    let db = database(home.path(), "x").await;
    let itself = home.path().join("docknap.db");
    let error = backup::copy(&config(home.path()), &clock(), &itself).await.expect_err("a copy onto itself");
    assert!(error.to_string().contains("is the database itself"), "{error}");
    db.close().await;
}

#[tokio::test]
async fn a_restore_brings_the_copy_back_and_keeps_the_older_database() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    database(home.path(), "old").await.close().await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    database(home.path(), "new").await.close().await;
    // Left by a crash: a log that is not the copy's must not be played into it.
    std::fs::write(home.path().join("docknap.db-wal"), "stale").expect("it can be written");
    std::fs::write(home.path().join("docknap.db-shm"), "stale").expect("it can be written");
    backup::restore(&config(home.path()), &clock(), &copy).await.expect("it is restored");
    assert_eq!(
        names(home.path()),
        [
            "docknap.db",
            "docknap.db.before-restore",
            "docknap.db.before-restore-shm",
            "docknap.db.before-restore-wal",
        ]
    );
    assert_eq!(stored(home.path()).await.as_deref(), Some("old"));
}

/// Starts on the database of `home` as far as the restore of an accepted file.
async fn start(home: &Path) -> bool {
    let lock = FileLock::take(&home.join("docknap.db")).expect("it can be made").expect("it is free");
    let restored = upload::restore_accepted(&config(home), &clock(), &lock).await;
    restored.expect("a database is in its place")
}

#[tokio::test]
async fn a_restore_that_is_cut_off_goes_on_at_the_next_start() {
    for (moved, opened) in [(false, false), (true, false), (true, true)] {
        let (home, kept) = (home(), home());
        let file = home.path().join("docknap.db");
        let copy = kept.path().join("nap.db");
        database(home.path(), "old").await.close().await;
        backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
        database(home.path(), "new").await.close().await;
        let (db, staged) = engine::backup::stage(&copy, &file).await.expect("it is staged");
        db.close().await;
        engine::backup::promise(&staged, &file).expect("it waits");
        let before = home.path().join("docknap.db.before-restore");
        if moved {
            std::fs::rename(&file, &before).expect("it can be renamed");
            std::fs::write(home.path().join("docknap.db-shm"), "not moved yet").expect("written");
        }
        if opened {
            // By a command, before the next start.
            database(home.path(), "empty").await.close().await;
        }
        // The file from which the replacement was made.
        std::fs::copy(&copy, home.path().join("docknap.db.next-restore")).expect("it is copied");

        assert!(start(home.path()).await, "moved: {moved}, opened: {opened}");
        let shm = home.path().join("docknap.db.before-restore-shm");
        assert_eq!(shm.exists(), moved && !opened, "what belongs to the older one goes with it");
        let _ = std::fs::remove_file(shm);
        assert_eq!(names(home.path()), ["docknap.db", "docknap.db.before-restore"], "moved: {moved}");
        assert!(!start(home.path()).await, "it is over, moved: {moved}");
        assert_eq!(stored(home.path()).await.as_deref(), Some("old"), "moved: {moved}");
        std::fs::rename(&before, &file).expect("it can be renamed");
        assert_eq!(stored(home.path()).await.as_deref(), Some("new"), "moved: {moved}");
    }
}

#[tokio::test]
async fn a_restore_without_a_database_leaves_the_kept_one() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    database(home.path(), "old").await.close().await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    let before = home.path().join("docknap.db.before-restore");
    std::fs::rename(home.path().join("docknap.db"), &before).expect("it can be renamed");
    backup::restore(&config(home.path()), &clock(), &copy).await.expect("it is restored");
    assert_eq!(names(home.path()), ["docknap.db", "docknap.db.before-restore"]);
}

#[tokio::test]
async fn an_older_database_that_cannot_be_kept_stays() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    database(home.path(), "old").await.close().await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    database(home.path(), "new").await.close().await;
    std::fs::create_dir(home.path().join("docknap.db.before-restore")).expect("it is made");
    std::fs::rename(&copy, home.path().join("docknap.db.next-restore")).expect("it can be renamed");
    assert!(!start(home.path()).await);
    assert_eq!(
        names(home.path()),
        ["docknap.db", "docknap.db.before-restore", "docknap.db.restore-failed"],
        "nothing else is left behind"
    );
    assert_eq!(stored(home.path()).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_restore_by_command_takes_the_place_of_one_that_waits() {
    let (home, kept) = (home(), home());
    let (first, second) = (kept.path().join("first.db"), kept.path().join("second.db"));
    for (value, copy) in [("first", &first), ("second", &second)] {
        database(home.path(), value).await.close().await;
        backup::copy(&config(home.path()), &clock(), copy).await.expect("a copy is made");
    }
    std::fs::rename(&first, home.path().join("docknap.db.next-restore")).expect("it can be renamed");
    backup::restore(&config(home.path()), &clock(), &second).await.expect("it is restored");
    assert!(!start(home.path()).await);
    assert_eq!(stored(home.path()).await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_restore_is_refused_while_a_process_serves_from_the_database() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    database(home.path(), "old").await.close().await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    let held = FileLock::take(&home.path().join("docknap.db")).expect("it can be made").expect("it is free");
    let error = backup::restore(&config(home.path()), &clock(), &copy).await.expect_err("it is refused");
    assert!(error.to_string().contains("stop it first"), "{error}");
    drop(held);
    backup::restore(&config(home.path()), &clock(), &copy).await.expect("it is restored");
}

#[tokio::test]
async fn a_restore_into_a_fresh_directory_makes_it() {
    let (old, kept, fresh) = (home(), home(), home());
    let copy = kept.path().join("nap.db");
    database(old.path(), "kept").await.close().await;
    backup::copy(&config(old.path()), &clock(), &copy).await.expect("a copy is made");
    let place = fresh.path().join("not/yet/there");
    let text = kept.path().join("text");
    std::fs::write(&text, "no database").expect("written");
    backup::restore(&config(&place), &clock(), &text).await.expect_err("it is no backup");
    assert_eq!(names(&place), Vec::<String>::new(), "a failed one leaves nothing");
    backup::restore(&config(&place), &clock(), &copy).await.expect("it is restored");
    assert_eq!(names(&place), ["docknap.db"], "there was nothing to keep");
    assert_eq!(stored(&place).await.as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_backup_of_a_newer_version_is_refused_and_changes_nothing() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    let db = database(home.path(), "mine").await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    db.close().await;
    let pool = SqlitePool::connect(&format!("sqlite:{}", copy.display())).await.expect("SQLite opens");
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 SELECT 9999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations \
                 WHERE version = 1";
    sqlx::query(newer).execute(&pool).await.expect("it is newer");
    pool.close().await;
    let error = backup::restore(&config(home.path()), &clock(), &copy).await.expect_err("it is refused");
    assert!(error.to_string().contains("made by a newer DockNap"), "{error}");
    assert_eq!(names(home.path()), ["docknap.db"]);
    assert_eq!(stored(home.path()).await.as_deref(), Some("mine"));
}

#[tokio::test]
async fn a_backup_that_lacks_an_index_is_refused_and_one_with_more_is_not() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    database(home.path(), "x").await.close().await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    let execute = async |sql: &'static str| {
        let pool = SqlitePool::connect(&format!("sqlite:{}", copy.display())).await.expect("SQLite opens");
        sqlx::query(sql).execute(&pool).await.expect("executes");
        pool.close().await;
    };
    execute("CREATE INDEX somebodys_own ON runs (why)").await;
    backup::restore(&config(home.path()), &clock(), &copy).await.expect("it is restored");
    execute("DROP INDEX overrides_active").await;
    let error = backup::restore(&config(home.path()), &clock(), &copy).await.expect_err("it is refused");
    assert!(error.to_string().contains("INDEX overrides_active"), "{error}");
    assert!(!home.path().join("docknap.db.restore").exists(), "nothing is left behind");
}

#[tokio::test]
async fn a_lock_is_the_files_own_by_whatever_name() {
    let (home, other) = (home(), home());
    let file = home.path().join("docknap.db");
    let held = FileLock::take(&file).expect("it can be made").expect("it is free");
    let (symbolic, hard) = (other.path().join("symbolic.db"), other.path().join("hard.db"));
    std::os::unix::fs::symlink(&file, &symbolic).expect("it is made");
    std::fs::hard_link(&file, &hard).expect("it is made");
    for name in [&file, &symbolic, &hard] {
        assert!(FileLock::take(name).expect("it can be asked").is_none(), "{}", name.display());
    }
    drop(held);
    let held = FileLock::take(&hard).expect("it can be asked").expect("it is free");
    assert!(FileLock::take(&symbolic).expect("it can be asked").is_none());
    drop(held);
}

#[tokio::test]
async fn a_restore_of_something_else_changes_nothing() {
    let (home, kept) = (home(), home());
    database(home.path(), "mine").await.close().await;
    let (text, empty) = (kept.path().join("text"), kept.path().join("empty"));
    std::fs::write(&text, "not a database, but long enough to be looked at as one".repeat(100))
        .expect("written");
    std::fs::write(&empty, "").expect("written");
    for file in [&text, &empty, &kept.path().join("missing")] {
        backup::restore(&config(home.path()), &clock(), file).await.expect_err("it is no backup");
        assert_eq!(stored(home.path()).await.as_deref(), Some("mine"));
    }
}

/// Rows as they stand in a copy made in the middle of a run.
pub const UNDER_WAY: &[&str] = &[
    "INSERT INTO users (id, name, name_key, role, password_hash, disabled, password_set_ms, rev, created_ms, updated_ms) \
     VALUES ('u', 'ada', 'ada', 'admin', 'x', FALSE, 0, 1, 0, 0)",
    "INSERT INTO sessions (id_hash, user_id, data, created_ms, last_seen_ms, expires_ms) VALUES ('s', 'u', '{}', 0, 0, 0)",
    "INSERT INTO tokens (jti, user_id, created_ms, expires_ms) VALUES ('t', 'u', 0, 0)",
    "INSERT INTO schedules (id, name, host_id, target_type, target_name, target_identity, kind, action, cron, enabled, \
     catch_up_s, policy, mode, wake, priority, note, source, effective_from_ms, next_due_ms, rev, created_ms, updated_ms) \
     VALUES ('c', 'n', 'local', 'stack', 'media', 'media', 'cron', 'stop', '0 23 * * *', TRUE, 3600, 'respect', 'stop', \
     'restore', 0, '', 'ui', 5, 6, 1, 0, 0)",
    "INSERT INTO runs (id, host_id, target_type, target_name, target_identity, action, trigger_kind, actor_kind, \
     actor_name, created_ms, state, reason, deadline_ms, attempt, restore, owner_epoch) VALUES \
     ('r1', 'local', 'stack', 'media', 'media', 'stop', 'manual', 'user', 'ada', 0, 'pending', '', 0, 0, FALSE, 0), \
     ('r2', 'local', 'stack', 'media', 'media', 'stop', 'manual', 'user', 'ada', 0, 'executing', '', 0, 0, FALSE, 0), \
     ('r3', 'local', 'stack', 'media', 'media', 'stop', 'manual', 'user', 'ada', 0, 'succeeded', 'x', 0, 0, FALSE, 0)",
    "INSERT INTO runs (id, schedule_id, host_id, target_type, target_name, target_identity, action, trigger_kind, \
     actor_kind, actor_name, created_ms, state, reason, deadline_ms, attempt, restore, owner_epoch) VALUES \
     ('r4', 'c', 'local', 'stack', 'media', 'media', 'stop', 'schedule', 'scheduler', 'scheduler', 7, 'skipped', \
     'override: awake until later', 0, 0, FALSE, 0)",
    "INSERT INTO overrides (id, host_id, target_type, target_name, target_identity, state, created_ms, until_ms, reason, \
     actor_kind, actor_name, by_hand, closed_reason) VALUES \
     ('o1', 'local', 'stack', 'media', 'media', 'awake', 0, 9, 'x', 'user', 'ada', FALSE, ''), \
     ('o2', 'local', 'stack', 'wiki', 'wiki', 'awake', 0, 4000000000000, 'x', 'user', 'ada', FALSE, '')",
    "INSERT INTO steps (id, run_id, ordinal, wave, host_id, container, identity, action, wait_for, state, reason) VALUES \
     ('a', 'r2', 0, 0, 'local', 'web', 'web', 'stop', '[]', 'issued', ''), \
     ('b', 'r2', 1, 1, 'local', 'db', 'db', 'stop', '[]', 'pending', ''), \
     ('c', 'r3', 0, 0, 'local', 'db', 'db', 'stop', '[]', 'succeeded', '')",
];

#[tokio::test]
async fn a_restore_never_replays() {
    let (home, kept) = (home(), home());
    let copy = kept.path().join("nap.db");
    let db = database(home.path(), "x").await;
    let Db::Sqlite { writer, .. } = &db else { panic!("it is SQLite") };
    for statement in UNDER_WAY {
        sqlx::query(*statement).execute(writer).await.expect("the row is valid");
    }
    db.close().await;
    backup::copy(&config(home.path()), &clock(), &copy).await.expect("a copy is made");
    backup::restore(&config(home.path()), &clock(), &copy).await.expect("it is restored");

    let url = format!("sqlite:{}", home.path().join("docknap.db").display());
    let pool = SqlitePool::connect(&url).await.expect("SQLite opens");
    let states: Vec<(String, String)> =
        sqlx::query_as("SELECT id, state FROM runs ORDER BY id").fetch_all(&pool).await.expect("rows");
    let expected = [("r1", "cancelled"), ("r2", "interrupted"), ("r3", "succeeded"), ("r4", "skipped")];
    let open: Vec<(String,)> = sqlx::query_as("SELECT id FROM overrides WHERE closed_ms IS NULL")
        .fetch_all(&pool)
        .await
        .expect("rows");
    assert_eq!(open, [("o2".to_owned(),)], "one whose end has passed is over");
    let (held_back,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM runs WHERE reason LIKE 'override:%'")
        .fetch_one(&pool)
        .await
        .expect("a row");
    assert_eq!(held_back, 0, "what an override held back then is not made up for at its end");
    assert_eq!(states, expected.map(|(id, state)| (id.to_owned(), state.to_owned())));
    let steps: Vec<(String, String)> =
        sqlx::query_as("SELECT id, state FROM steps ORDER BY id").fetch_all(&pool).await.expect("rows");
    let expected = [("a", "interrupted"), ("b", "skipped"), ("c", "succeeded")];
    assert_eq!(steps, expected.map(|(id, state)| (id.to_owned(), state.to_owned())));
    let (effective, next): (i64, i64) =
        sqlx::query_as("SELECT effective_from_ms, next_due_ms FROM schedules")
            .fetch_one(&pool)
            .await
            .expect("a row");
    assert_eq!(effective, clock().now().as_millisecond());
    let tonight = "2027-03-01T23:00:00Z".parse::<Timestamp>().expect("an instant");
    assert_eq!(next, tonight.as_millisecond(), "not an instant of long ago, which would be made up for");
    let (logins,): (i64,) =
        sqlx::query_as("SELECT (SELECT COUNT(*) FROM sessions) + (SELECT COUNT(*) FROM tokens)")
            .fetch_one(&pool)
            .await
            .expect("a row");
    assert_eq!(logins, 0, "a login that was ended since must not live again");
}
