//! Guards in storage, on both engines.

use docknap::db::{self, Db};
use docknap::domain::guard::{Guard, Then};
use docknap::domain::run::{Run, RunState};

use crate::on_both_engines;
use crate::support::db::TestDb;
use crate::support::rows::{self, at};

on_both_engines!(a_guard_is_read_back_as_it_was_stored, what_was_stored_before_there_were_guards_has_none,);

async fn a_guard_is_read_back_as_it_was_stored(test: TestDb) {
    let guard = Guard {
        min_uptime_minutes: Some(10),
        busy_cpu_percent: Some(20),
        busy_wait_minutes: Some(12),
        then: Then::Skip,
    };
    let mut schedule = rows::schedule("a");
    schedule.spec.guard = Some(guard.clone());
    rows::store_schedules(&test.db, std::slice::from_ref(&schedule)).await;
    assert_eq!(db::schedules::get(&test.db, &schedule.id).await.expect("reads"), Some(schedule.clone()));
    let without = {
        let mut without = schedule.clone();
        without.spec.guard = None;
        without.rev = 2;
        without
    };
    let mut tx = test.db.begin().await.expect("begins");
    assert!(db::schedules::update(&mut tx, &without, 1).await.expect("answers"));
    tx.commit().await.expect("commits");
    assert_eq!(db::schedules::get(&test.db, &schedule.id).await.expect("reads"), Some(without));
    let run = Run {
        guard: Some(guard),
        look_at: Some(at("2026-11-23T23:05:00Z")),
        busy_until: Some(at("2026-11-23T23:12:00Z")),
        state: RunState::Pending,
        started_at: None,
        finished_at: None,
        ..rows::run("r")
    };
    rows::store_runs(&test.db, &[(run.clone(), Vec::new())]).await;
    assert_eq!(db::runs::get(&test.db, &run.id).await.expect("reads"), Some(run.clone()));
    let mut tx = test.db.begin().await.expect("begins");
    let twin = async |tx: &mut db::Tx, guarded: bool| {
        let like = Run { guard: run.guard.clone().filter(|_| guarded), ..run.clone() };
        let twin = db::runs::open_twin(tx, &like).await.expect("answers");
        twin.map(|twin| twin.id)
    };
    assert_eq!(twin(&mut tx, true).await.as_ref(), Some(&run.id));
    assert_eq!(twin(&mut tx, false).await, None, "what goes at once takes its place");
    assert!(db::runs::begin(&mut tx, &run, at("2026-11-23T23:05:00Z")).await.expect("answers"));
    assert_eq!(twin(&mut tx, false).await.as_ref(), Some(&run.id), "it waits no longer");
}

/// Leaves a database as a version before there were guards did.
const UNDO: [&str; 5] = [
    "ALTER TABLE schedules DROP COLUMN guard",
    "ALTER TABLE runs DROP COLUMN guard",
    "ALTER TABLE runs DROP COLUMN look_at_ms",
    "ALTER TABLE runs DROP COLUMN busy_until_ms",
    "DELETE FROM _sqlx_migrations WHERE version = 5",
];

async fn what_was_stored_before_there_were_guards_has_none(test: TestDb) {
    rows::store_schedules(&test.db, &[rows::schedule("a")]).await;
    rows::store_runs(&test.db, &[(rows::run("r"), Vec::new())]).await;
    for sql in UNDO {
        match &test.db {
            Db::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.map(drop),
            Db::Pg(pool) => sqlx::query(sql).execute(pool).await.map(drop),
        }
        .expect(sql);
    }
    test.db.migrate().await.expect("it is brought up to date");
    let schedule = db::schedules::get(&test.db, &"a".into()).await.expect("reads");
    assert_eq!(schedule, Some(rows::schedule("a")));
    assert_eq!(db::runs::get(&test.db, &"r".into()).await.expect("reads"), Some(rows::run("r")));
}
