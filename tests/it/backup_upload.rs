//! A restore from the page: the upload, the comparison, and the next start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docknap::app::backup::upload::{self, Kind, LARGEST, Upload};
use docknap::app::{Error, backup};
use docknap::db::Db;
use docknap::db::engine::{Durability, FileLock};
use docknap::domain::permission::Role;
use serde_json::json;
use sqlx::SqlitePool;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::db::TestDb;

const UPLOAD: &str = "/settings/backup/upload";

/// A site on an SQLite file that it can copy.
async fn site() -> TestApp {
    let database = TestDb::sqlite().await;
    let directory = database.directory().expect("a file").to_owned();
    TestApp::on(database, |config| config.data_dir = directory).await
}

/// A backup of the site, as bytes.
async fn backup_of(test: &TestApp) -> Vec<u8> {
    let copy = test.app.config.data_dir.join("copy.db");
    backup::copy(&test.app.config, &test.clock, &copy).await.expect("a copy is made");
    let bytes = std::fs::read(&copy).expect("it is there");
    std::fs::remove_file(&copy).expect("it is there");
    bytes
}

fn beside(test: &TestApp, suffix: &str) -> PathBuf {
    test.app.config.data_dir.join(format!("docknap.db{suffix}"))
}

async fn add_group(test: &TestApp, name: &str) {
    let made = test.bearer(Role::Admin).await.post_json("/api/groups", &json!({"name": name})).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

async fn group_names(file: &Path) -> Vec<String> {
    let db = Db::open_sqlite(file, Durability::Off).await.expect("SQLite opens");
    let groups = docknap::db::contents::of_kind(&db, Kind::Group).await.expect("rows");
    db.close().await;
    groups.into_iter().map(|(.., name)| name).collect()
}

#[tokio::test]
async fn the_comparison_names_what_a_restore_changes() {
    let test = site().await;
    for name in ["Evening", "Kept"] {
        add_group(&test, name).await;
    }
    let bytes = backup_of(&test).await;
    assert_eq!(test.bearer(Role::Admin).await.delete("/api/groups/evening").await.status, 204);
    add_group(&test, "Later").await;

    let mut ada = test.admin().await;
    let sent = ada
        .post_parts(UPLOAD, &[("restore_password", PASSWORD.as_bytes()), ("file", bytes.as_slice())])
        .await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let told = ada.get("/settings/backup").await.text("#differences");
    assert!(told.contains("1 group added: Evening"), "{told}");
    assert!(told.contains("1 group removed: Later"), "{told}");
    assert!(!told.contains("Kept") && !told.contains("account"), "{told}");
    assert!(told.contains("The secret key here fits"), "{told}");

    let actor = test.actor(Role::Admin).await;
    let shown = upload::waiting(&test.app, &actor).expect("answers").preview.expect("it is uploaded").id;
    for (id, password) in [(shown.as_str(), "wrong"), ("an earlier one", PASSWORD), ("", PASSWORD)] {
        let refused =
            ada.post("/settings/backup/accept", &[("upload", id), ("accept_password", password)]).await;
        assert_eq!(refused.status, 422, "{id}");
        assert!(!beside(&test, ".next-restore").exists());
    }
    let fields = [("upload", shown.as_str()), ("accept_password", PASSWORD)];
    let accepted = ada.post("/settings/backup/accept", &fields).await;
    assert_eq!(accepted.status, 303, "{}", accepted.body);
    assert!(ada.get("/settings/backup").await.text("#restore").contains("waits for the next start"));
    let again = Upload::begin(&test.app, &actor, LARGEST).expect_err("one waits already");
    assert_eq!(again.code(), "restore_waits");

    test.app.db.close().await;
    let file = beside(&test, "");
    let lock = FileLock::take(&file).expect("it can be asked").expect("it is free");
    let restored = upload::restore_accepted(&test.app.config, &test.clock, &lock).await;
    assert!(restored.expect("there is a database"));
    drop(lock);
    let mut names = group_names(&file).await;
    names.sort();
    assert_eq!(names, ["Evening", "Kept"]);
    assert!(beside(&test, ".before-restore").exists());
    assert!(!beside(&test, ".next-restore").exists());
}

#[tokio::test]
async fn a_restore_that_fails_at_the_start_changes_nothing_and_is_told() {
    let test = site().await;
    add_group(&test, "Mine").await;
    let bytes = backup_of(&test).await;
    let half = bytes.get(..bytes.len() / 2).expect("it is longer");
    std::fs::write(beside(&test, ".next-restore"), half).expect("written");
    let file = beside(&test, "");
    let lock = FileLock::take(&file).expect("it can be asked").expect("it is free");
    for what in ["it is damaged", "it is not tried again"] {
        let restored = upload::restore_accepted(&test.app.config, &test.clock, &lock).await;
        assert!(!restored.expect("there is a database"), "{what}");
    }
    assert!(!beside(&test, ".before-restore").exists());
    let mut ada = test.admin().await;
    let told = ada.get("/settings/backup").await.text("#restore");
    assert!(told.contains("not restored at the last start") && told.contains("not a sound backup"), "{told}");
    assert_eq!(ada.post("/settings/backup/discard", &[]).await.status, 303);
    assert!(!ada.get("/settings/backup").await.text("#restore").contains("not restored"));
    assert_eq!(group_names(&file).await, ["Mine"]);
    drop(lock);
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_removed() {
    let test = site().await;
    let sound = backup_of(&test).await;
    let half = sound.get(..sound.len() / 2).expect("it is longer");
    let mut ada = test.admin().await;
    let password = ("restore_password", PASSWORD.as_bytes());
    for (file, words) in [
        (b"".as_slice(), "no SQLite file"),
        (b"something else, but long enough".as_slice(), "no SQLite file"),
        (half, "not a sound backup"),
    ] {
        let refused = ada.post_parts(UPLOAD, &[password, ("file", file)]).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(refused.text("#file-error").contains(words), "{}", refused.text("#errors"));
        assert!(!beside(&test, ".uploaded").exists());
    }
    let missing = ada.post_parts(UPLOAD, &[password]).await;
    assert!(missing.text("#file-error").contains("choose a file"), "{}", missing.body);
}

#[tokio::test]
async fn a_value_of_a_wrong_type_is_told() {
    let test = site().await;
    add_group(&test, "Mine").await;
    let foreign = test.app.config.data_dir.join("foreign.db");
    std::fs::write(&foreign, backup_of(&test).await).expect("written");
    let pool = SqlitePool::connect(&format!("sqlite:{}", foreign.display())).await.expect("SQLite opens");
    sqlx::query("UPDATE groups SET rev = 'many'").execute(&pool).await.expect("executes");
    pool.close().await;
    let bytes = std::fs::read(&foreign).expect("it is there");
    let mut ada = test.admin().await;
    let parts = [("restore_password", PASSWORD.as_bytes()), ("file", bytes.as_slice())];
    let refused = ada.post_parts(UPLOAD, &parts).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.text("#file-error").contains("what DockNap never writes"), "{}", refused.body);
    assert!(!beside(&test, ".uploaded").exists() && !beside(&test, ".uploaded.restore").exists());
}

#[tokio::test]
async fn an_upload_needs_the_password_before_the_file() {
    let test = site().await;
    let sound = backup_of(&test).await;
    let mut ada = test.admin().await;
    let cases: [&[(&str, &[u8])]; 3] = [
        &[("restore_password", b"wrong".as_slice()), ("file", sound.as_slice())],
        &[("restore_password", b"".as_slice()), ("file", sound.as_slice())],
        &[("file", sound.as_slice()), ("restore_password", PASSWORD.as_bytes())],
    ];
    for parts in cases {
        let refused = ada.post_parts(UPLOAD, parts).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(!refused.text("#restore_password-error").is_empty(), "{}", refused.body);
        assert!(!beside(&test, ".uploaded").exists());
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_and_removed() {
    let test = site().await;
    let actor = test.actor(Role::Admin).await;
    let mut received = Upload::begin(&test.app, &actor, 16).expect("it begins");
    let other = Upload::begin(&test.app, &actor, 16).expect_err("one at a time");
    assert_eq!(other.code(), "upload_goes_on");
    received.write(b"SQLite format 3\0").expect("it is just small enough");
    upload::waiting(&test.app, &actor).expect("answers");
    assert!(beside(&test, ".uploaded").exists(), "a page that is opened meanwhile leaves it alone");
    let error = received.write(b"x").expect_err("it is too large");
    assert!(matches!(&error, Error::Conflict { code: "too_large", .. }), "{error}");
    drop(received);
    assert!(!beside(&test, ".uploaded").exists());
    let discarded = upload::waiting(&test.app, &actor).expect("answers");
    assert!(discarded.preview.is_none() && !discarded.accepted);
}

#[tokio::test]
async fn a_start_removes_what_an_earlier_one_left() {
    let test = site().await;
    let download = test.app.config.data_dir.join("docknap-download.db");
    let left =
        [".uploaded", ".uploaded-wal", ".restore", ".restore-journal", ".restore.part", ".uploaded.restore"];
    let left: Vec<PathBuf> = left.into_iter().map(|suffix| beside(&test, suffix)).chain([download]).collect();
    for path in &left {
        std::fs::write(path, "x").expect("written");
    }
    std::fs::write(beside(&test, ".next-restore"), "x").expect("written");
    upload::tidy(&test.app.config);
    for path in &left {
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(beside(&test, ".next-restore").exists(), "it is accepted");
}

/// A form that is sent after its session has ended is read and kept for the next login. What is sent to the path of an
/// upload may be far larger than the memory.
#[tokio::test]
async fn an_upload_is_not_read_for_a_session_that_has_ended() {
    for (path, expected) in [("/settings/backup/hour", 1), (UPLOAD, 0)] {
        let test = site().await;
        let mut ada = test.admin().await;
        assert_eq!(ada.get("/settings/backup").await.status, 200);
        test.clock.advance(Duration::from_hours(24 * 60));
        assert_ne!(ada.post(path, &[("hour", "5")]).await.status, 200, "{path}");
        let Db::Sqlite { readers, .. } = &test.app.db else { panic!("it is SQLite") };
        let sql = "SELECT COUNT(*) FROM sessions WHERE kept_form IS NOT NULL";
        let (kept,): (i64,) = sqlx::query_as(sql).fetch_one(readers).await.expect("a row");
        assert_eq!(kept, expected, "{path}");
    }
}
