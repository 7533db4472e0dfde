//! What holds for the database as a whole, on both engines.

use docknap::db::{self, settings};
use jiff::Timestamp;

use crate::on_both_engines;
use crate::support::db::TestDb;

on_both_engines!(a_setting_is_replaced, a_dropped_transaction_leaves_nothing, audit_rows_are_never_changed);

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

/// Only SQLite has a single writer, which the next one waits for.
#[tokio::test]
async fn a_commit_counts_once_it_has_happened_although_nobody_waits_for_it() {
    let test = TestDb::sqlite().await;
    let mut tx = test.db.begin().await.expect("begins");
    settings::put(&mut tx, "timezone", "UTC", Timestamp::UNIX_EPOCH).await.expect("stores");
    let before = db::writes();
    let mut commit = Box::pin(tx.commit());
    assert!(futures_util::poll!(commit.as_mut()).is_pending(), "it is sent");
    drop(commit);
    drop(test.db.begin().await.expect("begins"));
    assert_eq!(settings::get(&test.db, "timezone").await.expect("reads").as_deref(), Some("UTC"));
    assert!(db::writes() > before, "what was read before is known to be old");
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
