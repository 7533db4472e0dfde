//! What was done, read back from storage, on both engines.

use docknap::app::history::RunFilter;
use docknap::db::figures::{self, Paced};
use docknap::db::history::{self, RunSelection, Tally};
use docknap::db::runs::{self, InTheWay};
use docknap::db::{Db, audit, idempotency};
use docknap::domain::action::Action;
use docknap::domain::audit::{AuditDetail, AuditRow, Change};
use docknap::domain::group::Area;
use docknap::domain::guard::{Guard, Then};
use docknap::domain::ids::{AuditId, HostId, RunId, ScheduleId};
use docknap::domain::run::{ActorRef, Run, RunState, Trigger};
use docknap::domain::target::Target;
use docknap::sim::World;
use jiff::{Timestamp, ToSpan};

use crate::on_both_engines;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::rows::{
    at, member, monday, run, schedule, step, store_runs, store_schedules, store_user,
};

on_both_engines!(
    what_stands_in_the_way_of_each_of_many_runs_is_found,
    runs_are_listed_newest_first_by_cursor_and_filter,
    the_newest_run_of_each_schedule_is_found,
    the_last_run_that_changed_each_target_is_found,
    runs_of_a_day_are_counted,
    runs_are_found_by_what_they_did_who_asked_and_when,
    outcomes_are_counted_day_by_day,
    durations_are_those_of_the_last_runs_that_did_it_all,
    audit_rows_are_found_by_who_what_where_and_when,
    a_page_costs_the_same_in_a_long_list,
    audit_rows_are_listed_and_pruned,
    an_idempotency_key_is_taken_once,
);

fn ids(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(|run| run.id.as_str()).collect()
}

async fn what_stands_in_the_way_of_each_of_many_runs_is_found(test: TestDb) {
    let guard = Guard {
        min_uptime_minutes: Some(10),
        busy_cpu_percent: None,
        busy_wait_minutes: None,
        then: Then::Go,
    };
    let (media, other) = (run("x").target, Target::stack(HostId::local(), "other"));
    // Whatever two runs may differ in that counts.
    let mut all = Vec::new();
    for target in [&media, &other] {
        for (action, state) in [
            (Action::Stop, RunState::Succeeded),
            (Action::Stop, RunState::Pending),
            (Action::Start, RunState::Executing),
        ] {
            for (restore, retry_of) in [(true, None), (false, Some("r0")), (true, Some("r0")), (false, None)]
            {
                for guard in [Some(&guard), None] {
                    all.push(Run {
                        target: target.clone(),
                        action,
                        state,
                        restore,
                        retry_of: retry_of.map(RunId::from),
                        guard: guard.cloned(),
                        ..run(&format!("r{:02}", all.len()))
                    });
                }
            }
        }
    }
    store_schedules(&test.db, &[schedule("s1")]).await;
    let fired = Run { schedule_id: Some("s1".into()), fire_at: Some(monday()), ..run("fired") };
    store_runs(&test.db, &[(fired.clone(), Vec::new())]).await;
    let again = Run { id: "again".into(), ..fired };
    let asked: Vec<&Run> = all.iter().chain([&again]).collect();
    let mut tx = test.db.begin().await.expect("begins");
    let nothing = runs::in_the_way(&mut tx, &asked[..48]).await.expect("answers");
    assert!(nothing.iter().all(|one| *one == InTheWay::default()), "{nothing:?}");
    let refused = runs::insert_all(&mut tx, &asked, 0).await.expect("stores");
    assert_eq!(refused, [again.id.clone()].into(), "its schedule has one for that instant");
    let found = runs::in_the_way(&mut tx, &asked).await.expect("answers");
    let (mut twins, open) = (0, |one: &&Run| !one.state.is_terminal());
    for (one, found) in asked.iter().zip(&found) {
        // Asked one by one, and of those at hand, it is the same.
        let twin = runs::open_twin(&mut tx, one).await.expect("answers");
        let like = all.iter().filter(open).find(|twin| twin.does_all_of(one));
        assert_eq!(found.twin, twin.map(|twin| twin.id), "{one:?}");
        assert_eq!(found.twin.as_ref(), like.map(|twin| &twin.id), "{one:?}");
        assert_eq!(found.is_taken, one.id == again.id);
        twins += usize::from(found.twin.is_some());
    }
    assert!(twins > 10, "{twins}");
    assert!(runs::in_the_way(&mut tx, &[]).await.expect("answers").is_empty());
}

async fn runs_are_listed_newest_first_by_cursor_and_filter(test: TestDb) {
    let mut runs: Vec<Run> = ["a", "b", "c", "d"].into_iter().map(run).collect();
    runs[1].state = RunState::Failed;
    runs[2].state = RunState::Interrupted;
    runs[3].target = Target::container(HostId::local(), member("media", "web"));
    let mut rows: Vec<_> = runs.iter().map(|run| (run.clone(), vec![step(run, 0), step(run, 1)])).collect();
    for step in &mut rows[0].1 {
        step.identity = member("media", "db");
    }
    store_runs(&test.db, &rows).await;
    let db = &test.db;
    let none = RunSelection::default();
    assert_eq!(ids(&history::list(db, none, None, 10).await.expect("reads")), ["d", "c", "b", "a"]);
    assert_eq!(ids(&history::list(db, none, Some("c"), 1).await.expect("reads")), ["b"]);
    let attention = RunSelection { attention: true, ..none };
    assert_eq!(ids(&history::list(db, attention, None, 10).await.expect("reads")), ["c", "b"]);
    let failed = RunSelection { state: Some(RunState::Failed), ..none };
    assert_eq!(ids(&history::list(db, failed, None, 10).await.expect("reads")), ["b"]);
    let media = Target::stack(HostId::local(), "media");
    let of_media = RunSelection { target: Some(&media), ..none };
    assert_eq!(ids(&history::list(db, of_media, None, 10).await.expect("reads")), ["c", "b", "a"]);
    // A container's history holds what its stack was asked for, a stack's what its containers were.
    let web = [member("media", "web")];
    let alone = Target::container(HostId::local(), web[0].clone());
    let of_web = RunSelection { target: Some(&alone), ..none };
    assert_eq!(ids(&history::list(db, of_web, None, 10).await.expect("reads")), ["d"]);
    let of_web = RunSelection { touching: &web, ..of_web };
    assert_eq!(ids(&history::list(db, of_web, None, 10).await.expect("reads")), ["d", "c", "b"]);
    let of_media = RunSelection { touching: &web, ..of_media };
    assert_eq!(ids(&history::list(db, of_media, None, 10).await.expect("reads")), ["d", "c", "b", "a"]);
    let steps = history::steps(db, &[RunId::from("a"), RunId::from("c")]).await.expect("reads");
    let steps: Vec<_> = steps.iter().map(|step| (step.run_id.as_str(), step.ordinal)).collect();
    assert_eq!(steps, [("a", 0), ("a", 1), ("c", 0), ("c", 1)]);
    assert!(history::steps(db, &[]).await.expect("reads").is_empty());
}

async fn the_newest_run_of_each_schedule_is_found(test: TestDb) {
    store_schedules(&test.db, &[schedule("s1"), schedule("s2"), schedule("s3")]).await;
    let mut runs: Vec<Run> = ["a", "b", "c"].into_iter().map(run).collect();
    for (run, (schedule, fire)) in runs.iter_mut().zip([
        ("s1", "2026-11-22T23:00:00Z"),
        ("s1", "2026-11-23T23:00:00Z"),
        ("s2", "2026-11-23T23:00:00Z"),
    ]) {
        run.schedule_id = Some(ScheduleId::from(schedule));
        run.fire_at = Some(at(fire));
    }
    store_runs(&test.db, &runs.into_iter().map(|run| (run, Vec::new())).collect::<Vec<_>>()).await;
    let wanted = ["s1", "s3"].map(ScheduleId::from);
    let last = history::last_of_schedules(&test.db, &wanted).await.expect("reads");
    assert_eq!(ids(&last), ["b"]);
    assert!(history::last_of_schedules(&test.db, &[]).await.expect("reads").is_empty());
    let s1 = ScheduleId::from("s1");
    let of_s1 = RunSelection { schedule: Some(&s1), ..RunSelection::default() };
    assert_eq!(ids(&history::list(&test.db, of_s1, None, 10).await.expect("reads")), ["b", "a"]);
}

async fn the_last_run_that_changed_each_target_is_found(test: TestDb) {
    assert_eq!(history::last_touches(&test.db).await.expect("reads"), Vec::new());
    let mut runs: Vec<Run> = ["a", "b", "c", "d", "e"].into_iter().map(run).collect();
    runs[1].action = Action::Start;
    runs[2].state = RunState::Skipped;
    runs[3].target = Target::container(HostId::local(), member("media", "web"));
    runs[3].state = RunState::Partial;
    runs[4].target = Target::stack(HostId::local(), "never done");
    runs[4].state = RunState::Missed;
    store_runs(&test.db, &runs.into_iter().map(|run| (run, Vec::new())).collect::<Vec<_>>()).await;
    let touches = history::last_touches(&test.db).await.expect("reads");
    let mut found: Vec<_> = touches.iter().map(|touch| (touch.run_id.as_str(), touch.action)).collect();
    found.sort_unstable();
    assert_eq!(found, [("b", Action::Start), ("d", Action::Stop)]);
}

async fn runs_of_a_day_are_counted(test: TestDb) {
    let now = at("2026-11-24T12:00:00Z");
    let source = docknap::app::IdSource::seeded(1);
    let states = [
        ("2026-11-23T11:59:59Z", RunState::Failed),
        ("2026-11-23T12:00:00Z", RunState::Failed),
        ("2026-11-24T01:00:00Z", RunState::Succeeded),
        ("2026-11-24T11:00:00Z", RunState::Executing),
    ];
    let rows: Vec<_> = states
        .into_iter()
        .map(|(made, state)| {
            let mut run = run(&source.next::<String>(at(made)));
            run.created_at = at(made);
            run.state = state;
            (run, Vec::new())
        })
        .collect();
    store_runs(&test.db, &rows).await;
    let since = now.checked_sub(24.hours()).expect("a day before");
    let tally = history::tally(&test.db, &Area::default(), since).await.expect("counts");
    assert_eq!(tally, Tally { runs: 3, attention: 1, open: 1 });
    let none = history::tally(&test.db, &Area::default(), now).await.expect("counts");
    assert_eq!(none, Tally { runs: 0, attention: 0, open: 1 });
}

/// Runs made at these instants, with ids that say so.
fn made_at(instants: &[&str]) -> Vec<Run> {
    let source = docknap::app::IdSource::seeded(1);
    let made = |instant: &&str| {
        let at = at(instant);
        Run { created_at: at, ..run(&source.next::<String>(at)) }
    };
    instants.iter().map(made).collect()
}

async fn store(test: &TestDb, runs: &[Run]) {
    store_runs(&test.db, &runs.iter().map(|run| (run.clone(), Vec::new())).collect::<Vec<_>>()).await;
}

async fn runs_are_found_by_what_they_did_who_asked_and_when(test: TestDb) {
    let mut runs = made_at(&[
        "2026-11-20T10:00:00Z",
        "2026-11-21T10:00:00Z",
        "2026-11-22T00:00:00Z",
        "2026-11-22T10:00:00Z",
    ]);
    runs[0].action = Action::Start;
    runs[1].trigger = Trigger::Manual;
    "anna".clone_into(&mut runs[1].actor.name);
    runs[3].trigger = Trigger::CatchUp;
    store(&test, &runs).await;
    let none = RunSelection::default();
    let found = async |wanted: RunSelection<'_>| {
        let found = history::list(&test.db, wanted, None, 10).await.expect("reads");
        found
            .iter()
            .map(|one| runs.iter().position(|run| run.id == one.id).expect("ours"))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(RunSelection { action: Some(Action::Start), ..none }).await, [0]);
    assert_eq!(found(RunSelection { trigger: Some(Trigger::CatchUp), ..none }).await, [3]);
    assert_eq!(found(RunSelection { actor: Some("anna"), ..none }).await, [1]);
    assert_eq!(found(RunSelection { actor: Some("ann"), ..none }).await, [0; 0]);
    let day =
        RunSelection { from: Some(at("2026-11-21T00:00:00Z")), to: Some(at("2026-11-22T00:00:00Z")), ..none };
    assert_eq!(found(day).await, [1], "from the first instant on, up to the last but not with it");
    assert_eq!(found(RunSelection { from: day.to, ..none }).await, [3, 2]);
    let upto = RunSelection { upto: Some(runs[1].id.as_str()), ..none };
    assert_eq!(found(upto).await, [1, 0]);
    let hostile = "anna' OR '1'='1";
    assert_eq!(found(RunSelection { actor: Some(hostile), ..none }).await, [0; 0]);
    let newer =
        async |wanted, than: &str, most| history::newer(&test.db, wanted, than, most).await.expect("counts");
    assert_eq!(newer(none, runs[1].id.as_str(), 100).await, 2);
    assert_eq!(newer(none, runs[1].id.as_str(), 1).await, 1, "counted no further");
    assert_eq!(newer(RunSelection { actor: Some("anna"), ..none }, "", 100).await, 1);
}

async fn outcomes_are_counted_day_by_day(test: TestDb) {
    let mut runs = made_at(&[
        "2026-11-20T23:59:59.999Z",
        "2026-11-21T00:00:00Z",
        "2026-11-21T12:00:00Z",
        "2026-11-22T00:00:00Z",
        "2026-11-23T00:00:00Z",
    ]);
    runs[2].state = RunState::Failed;
    runs[3].target = Target::stack(HostId::local(), "shop");
    store(&test, &runs).await;
    let edges = ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"].map(at);
    let counted = async |wanted| figures::outcomes(&test.db, wanted, &edges).await.expect("counts");
    let all = [(0, RunState::Failed, 1), (0, RunState::Succeeded, 1), (1, RunState::Succeeded, 1)];
    assert_eq!(counted(RunSelection::default()).await, all);
    let shop = Target::stack(HostId::local(), "shop");
    assert_eq!(counted(RunSelection { target: Some(&shop), ..RunSelection::default() }).await, all[2..]);
    assert!(
        figures::outcomes(&test.db, RunSelection::default(), &edges[..1]).await.expect("counts").is_empty()
    );
}

#[tokio::test]
async fn what_changes_of_past_days_is_counted_as_it_is_now() {
    let bench = Bench::new("2026-11-24T12:00:00Z", World::new()).await;
    let edges: Vec<Timestamp> =
        ["2025-11-20T00:00:00Z", "2025-11-21T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"]
            .into_iter()
            .chain(["2026-11-25T00:00:00Z"])
            .map(at)
            .collect();
    // Each by a source of its own: one never makes an id for a time before its last.
    let id = |made: Timestamp| {
        docknap::app::IdSource::seeded(made.as_millisecond().unsigned_abs()).next::<RunId>(made)
    };
    let store = async |made: &str, state: RunState| {
        let made = Run { id: id(at(made)), created_at: at(made), state, ..run("x") };
        let made = Run { finished_at: state.is_terminal().then_some(made.created_at), ..made };
        store_runs(&bench.app.db, &[(made.clone(), Vec::new())]).await;
        made
    };
    let counted = async || {
        let filter = RunFilter::default();
        let found = docknap::app::history::outcomes(&bench.app, &person(), &filter, &edges).await;
        found.expect("counts")
    };
    store("2025-11-20T12:00:00Z", RunState::Failed).await;
    let open = store("2026-11-23T12:00:00Z", RunState::Executing).await;
    let before = [(0, RunState::Failed, 1), (2, RunState::Executing, 1)];
    assert_eq!(counted().await, before);
    // The day is past, and its run goes on.
    let mut tx = bench.app.db.begin().await.expect("begins");
    assert!(runs::finish(&mut tx, &open.id, RunState::Succeeded, "", monday()).await.expect("ends"));
    tx.commit().await.expect("commits");
    store("2026-11-24T01:00:00Z", RunState::Missed).await;
    let after = [(0, RunState::Failed, 1), (2, RunState::Succeeded, 1), (3, RunState::Missed, 1)];
    assert_eq!(counted().await, after);
    // Runs are forgotten after 365 days.
    docknap::scheduler::housekeeping::sweep(&bench.app).await.expect("it sweeps");
    assert_eq!(counted().await, after[1..]);
}

async fn durations_are_those_of_the_last_runs_that_did_it_all(test: TestDb) {
    let mut runs: Vec<Run> = ["a", "b", "c", "d", "e", "f", "g"].into_iter().map(run).collect();
    let took = |run: &mut Run, seconds| {
        run.finished_at = run.started_at.map(|at| at + std::time::Duration::from_secs(seconds));
    };
    took(&mut runs[1], 5);
    runs[2].state = RunState::Failed;
    "nothing to do: it was so already".clone_into(&mut runs[3].reason);
    runs[4].retry_of = Some(RunId::from("c"));
    runs[5].action = Action::Start;
    took(&mut runs[6], 9);
    store(&test, &runs).await;
    let media = Target::stack(HostId::local(), "media");
    let (d, z) = (RunId::from("d"), RunId::from("z"));
    let of = |action, until| Paced { target: &media, action, until };
    let wanted = [of(Action::Stop, &z), of(Action::Start, &z), of(Action::Pause, &z), of(Action::Stop, &d)];
    let mut found = figures::paces(&test.db, &wanted, 2).await.expect("reads");
    found.sort();
    let told: Vec<_> = found.iter().map(|(n, id, took)| (*n, id.as_str(), *took)).collect();
    assert_eq!(told, [(0, "b", 5000), (0, "g", 9000), (1, "f", 2000), (3, "a", 2000), (3, "b", 5000)]);
    assert!(figures::paces(&test.db, &[], 30).await.expect("reads").is_empty());
    let many = vec![of(Action::Stop, &z); 450];
    let found = figures::paces(&test.db, &many, 1).await.expect("more than fits one query");
    assert_eq!((found.len(), found.iter().map(|(n, ..)| *n).max()), (450, Some(449)));
}

async fn audit_rows_are_found_by_who_what_where_and_when(test: TestDb) {
    let source = docknap::app::IdSource::seeded(1);
    let mut rows: Vec<AuditRow> = ["2026-11-20T10:00:00Z", "2026-11-20T10:59:00Z", "2026-11-20T12:00:00Z"]
        .into_iter()
        .map(|made| audit_row(&source.next::<String>(at(made)), Some("u1"), "schedule.create", at(made)))
        .collect();
    rows[0].actor.name = "ada".repeat(40_000);
    "refused".clone_into(&mut rows[1].outcome);
    rows[1].ip = Some("2001:db8::1".to_owned());
    "media_%".clone_into(&mut rows[2].object_name);
    rows[2].detail.run_id = Some("0199c1d2-0000-7000-8000-000000000000".to_owned());
    let mut tx = test.db.begin().await.expect("begins");
    for row in &rows {
        audit::insert(&mut tx, vec![row.clone()]).await.expect("stores, however long a name is");
    }
    tx.commit().await.expect("commits");
    let none = audit::AuditSelection { limit: 10, ..audit::AuditSelection::default() };
    let found = async |wanted: audit::AuditSelection<'_>| {
        let found = audit::list(&test.db, &wanted).await.expect("reads");
        found
            .iter()
            .map(|one| rows.iter().position(|row| row.id == one.id).expect("ours"))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(audit::AuditSelection { actor_name: Some("anna"), ..none }).await, [2, 1]);
    let long = "ada".repeat(40_000);
    assert_eq!(found(audit::AuditSelection { actor_name: Some(&long), ..none }).await, [0]);
    assert_eq!(found(audit::AuditSelection { actor_name: Some(&long[..64]), ..none }).await, [0; 0]);
    assert_eq!(found(audit::AuditSelection { object_name: Some("media_%"), ..none }).await, [2]);
    assert_eq!(found(audit::AuditSelection { object_name: Some("Night_"), ..none }).await, [0; 0]);
    assert_eq!(found(audit::AuditSelection { ip: Some("2001:db8::1"), ..none }).await, [1]);
    let run = "0199c1d2-0000-7000-8000-000000000000";
    assert_eq!(found(audit::AuditSelection { run: Some(run), ..none }).await, [2]);
    assert_eq!(found(audit::AuditSelection { run: Some("%"), ..none }).await, [0; 0]);
    let eleven = Some(at("2026-11-20T11:00:00Z"));
    assert_eq!(found(audit::AuditSelection { from: eleven, ..none }).await, [2]);
    assert_eq!(found(audit::AuditSelection { to: eleven, ..none }).await, [1, 0]);
    let hours = async |wanted| {
        audit::activity(&test.db, &wanted, at("2026-11-20T10:00:00Z"), 3_600_000).await.expect("counts")
    };
    assert_eq!(hours(none).await, [(0, 2, 1), (2, 1, 0)]);
    assert_eq!(hours(audit::AuditSelection { to: eleven, ..none }).await, [(0, 2, 1)]);
}

/// Stores runs and audit rows up to number `count`, a minute apart: one in fifty of another kind, one in a thousand
/// rare.
async fn fill(db: &Db, from: i64, count: i64) {
    let runs = format!(
        "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
         INSERT INTO runs (id, host_id, target_type, target_name, target_identity, action, trigger_kind, actor_kind, \
           actor_name, created_ms, started_ms, finished_ms, state, reason, deadline_ms, attempt, restore, owner_epoch, why) \
         SELECT SUBSTR(CAST(10000000 + i AS TEXT), 1, 8) || '-0000-7000-8000-000000000000', 'local', 'stack', \
           'media', 'media' || CAST(i % 40 AS TEXT), CASE WHEN i % 1000 = 7 THEN 'pause' ELSE 'stop' END, \
           CASE WHEN i % 1000 = 7 THEN 'catch_up' ELSE 'schedule' END, 'user', \
           CASE WHEN i % 1000 = 7 THEN 'rare' ELSE 'scheduler' END, i * 60000, i * 60000, i * 60000 + 2000, \
           CASE WHEN i % 50 = 3 THEN 'failed' ELSE 'succeeded' END, '', 0, 0, FALSE, 0, '' FROM n"
    );
    let audit = format!(
        "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
         INSERT INTO audit (id, at_ms, actor_kind, actor_name, event, object_type, object_name, outcome, detail) \
         SELECT SUBSTR(CAST(10000000 + i AS TEXT), 1, 8) || '-0000-7000-8000-000000000000', i * 60000, 'user', \
           CASE WHEN i % 1000 = 7 THEN 'rare' ELSE 'anna' END, CASE WHEN i % 1000 = 7 THEN 'user.delete' ELSE \
           'run.finish' END, CASE WHEN i % 1000 = 7 THEN 'user' ELSE 'run' END, \
           CASE WHEN i % 1000 = 7 THEN 'rare' ELSE 'media' END, 'ok', '{{}}' FROM n"
    );
    // A step of each on the service `web` of its stack.
    let steps = format!(
        "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
         INSERT INTO steps (id, run_id, ordinal, wave, host_id, container, identity, action, wait_for, state, reason) \
         SELECT 's' || CAST(i AS TEXT), SUBSTR(CAST(10000000 + i AS TEXT), 1, 8) || '-0000-7000-8000-000000000000', \
           0, 1, 'local', 'web', 'service:media' || CAST(i % 40 AS TEXT) || '/web/1', 'stop', '[]', 'succeeded', '' FROM n"
    );
    for sql in [runs, audit, steps] {
        match db {
            Db::Sqlite { writer, .. } => {
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(writer).await.map(drop)
            }
            Db::Pg(pool) => sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.map(drop),
        }
        .expect("it is filled");
    }
    if let Db::Pg(pool) = db {
        sqlx::query("ANALYZE").execute(pool).await.expect("it counts");
    }
}

/// The instant that an id of [`fill`] would have been made at: its eight digits are the higher 32 bits of 48.
fn id_ms(digits: i64) -> i64 {
    i64::from_str_radix(&digits.to_string(), 16).expect("digits") << 16
}

/// The least of some tries of each page, in microseconds, with its name.
async fn costs(db: &Db, last: i64) -> Vec<(&'static str, u128)> {
    let clock = docknap::clock::Clock::system();
    let deep = format!("{}-0000-7000-8000-000000000000", 10_000_000 + last / 2);
    let target = Target::stack(HostId::local(), "media7");
    let web = [member("media7", "web")];
    let none = RunSelection::default();
    let touching = RunSelection { target: Some(&target), touching: &web, ..none };
    let pages: Vec<(&str, RunSelection<'_>, Option<&str>)> = vec![
        ("first", none, None),
        ("deep", none, Some(&deep)),
        ("target", RunSelection { target: Some(&target), ..none }, None),
        ("touching", touching, None),
        ("touching, deep", touching, Some(&deep)),
        ("touching, action", RunSelection { action: Some(Action::Stop), ..touching }, None),
        ("attention", RunSelection { attention: true, ..none }, None),
        ("attention, deep", RunSelection { attention: true, ..none }, Some(&deep)),
        ("state", RunSelection { state: Some(RunState::Missed), ..none }, None),
        ("action", RunSelection { action: Some(Action::Pause), ..none }, None),
        ("trigger", RunSelection { trigger: Some(Trigger::CatchUp), ..none }, None),
        ("actor", RunSelection { actor: Some("nobody"), ..none }, None),
    ];
    let mut costs = Vec::new();
    for (name, wanted, before) in pages {
        let mut least = u128::MAX;
        for _ in 0..7 {
            let begin = clock.monotonic();
            history::list(db, wanted, before, 51).await.expect("reads");
            least = least.min(clock.monotonic().saturating_sub(begin).as_micros());
        }
        costs.push((name, least));
        // The same as lines of the page.
        let mut least = u128::MAX;
        for _ in 0..7 {
            let begin = clock.monotonic();
            history::lines(db, wanted, before, 51).await.expect("reads");
            least = least.min(clock.monotonic().saturating_sub(begin).as_micros());
        }
        costs.push((name, least));
    }
    // As many runs of the target as are left, in both lengths of the list.
    let (than, edges) = (
        format!("{}-0000-7000-8000-000000000000", 10_000_000 + last - 400),
        [last - 400, last - 200, last]
            .map(|i| Timestamp::from_millisecond(id_ms(10_000_000 + i)).expect("in range")),
    );
    let mut least = [u128::MAX; 2];
    for _ in 0..7 {
        let begin = clock.monotonic();
        assert_eq!(history::newer(db, touching, &than, 100).await.expect("counts"), 10);
        let then = clock.monotonic();
        let counted = figures::outcomes(db, touching, &edges).await.expect("counts");
        assert_eq!(counted.iter().map(|(_, _, count)| count).sum::<i64>(), 10);
        let took = [then.saturating_sub(begin), clock.monotonic().saturating_sub(then)];
        least = [0, 1].map(|n| least[n].min(took[n].as_micros()));
    }
    costs.extend([("touching, newer", least[0]), ("touching, outcomes", least[1])]);
    let until = RunId(format!("{}-0000-7000-8000-000000000000", 10_000_000 + last));
    let targets: Vec<Target> = (0..40).map(|n| Target::stack(HostId::local(), format!("media{n}"))).collect();
    let paced: Vec<Paced<'_>> =
        targets.iter().map(|target| Paced { target, action: Action::Stop, until: &until }).collect();
    let none = audit::AuditSelection { limit: 51, ..audit::AuditSelection::default() };
    let audits = [
        ("log, first", none),
        ("log, deep", audit::AuditSelection { before: Some(&deep), ..none }),
        ("log, who", audit::AuditSelection { actor_name: Some("rare"), ..none }),
        ("log, what", audit::AuditSelection { object_name: Some("nothing"), ..none }),
        ("log, event", audit::AuditSelection { event: Some("user.delete"), ..none }),
        ("log, kind", audit::AuditSelection { object_type: Some("calendar"), ..none }),
        ("log, address", audit::AuditSelection { ip: Some("192.0.2.9"), ..none }),
    ];
    for (name, wanted) in audits {
        let mut least = u128::MAX;
        for _ in 0..7 {
            let begin = clock.monotonic();
            audit::list(db, &wanted).await.expect("reads");
            least = least.min(clock.monotonic().saturating_sub(begin).as_micros());
        }
        costs.push((name, least));
    }
    let mut least = u128::MAX;
    for _ in 0..7 {
        let begin = clock.monotonic();
        figures::paces(db, &paced, 30).await.expect("reads");
        least = least.min(clock.monotonic().saturating_sub(begin).as_micros());
    }
    costs.push(("paces", least));
    costs
}

async fn a_page_costs_the_same_in_a_long_list(test: TestDb) {
    // The short one has more than a page of everything that is found at all.
    let (short, long) = (3_000, 30_000);
    fill(&test.db, 0, short).await;
    let before = costs(&test.db, short).await;
    fill(&test.db, short, long).await;
    // A walk through all of it would cost a multiple of this; what a busy machine adds goes away with another try.
    let mut dear = Vec::new();
    for _ in 0..5 {
        let after = costs(&test.db, long).await;
        dear = before.iter().zip(after).filter(|(before, after)| after.1 >= before.1 * 6 + 6_000).collect();
        if dear.is_empty() {
            return;
        }
    }
    panic!("microseconds before, and at ten times the rows: {dear:?}");
}

fn audit_row(id: &str, actor: Option<&str>, event: &str, at: Timestamp) -> AuditRow {
    AuditRow {
        id: AuditId::from(id),
        at,
        actor: ActorRef { kind: "user".to_owned(), id: actor.map(str::to_owned), name: "anna".to_owned() },
        ip: Some("192.0.2.1".to_owned()),
        event: event.to_owned(),
        object_type: "schedule".to_owned(),
        object_id: Some(format!("of-{id}")),
        object_name: "Nights".to_owned(),
        outcome: "ok".to_owned(),
        detail: AuditDetail {
            changes: vec![Change { field: "cron".to_owned(), old: None, new: Some("0 23 * * *".to_owned()) }],
            ..AuditDetail::default()
        },
    }
}

async fn audit_rows_are_listed_and_pruned(test: TestDb) {
    let rows = [
        audit_row("a", Some("u1"), "schedule.create", at("2026-11-20T00:00:00Z")),
        audit_row("b", Some("u2"), "schedule.update", at("2026-11-21T00:00:00Z")),
        audit_row("c", None, "schedule.delete", at("2026-11-22T00:00:00Z")),
    ];
    let mut tx = test.db.begin().await.expect("begins");
    for row in &rows {
        audit::insert(&mut tx, vec![row.clone()]).await.expect("stores");
    }
    tx.commit().await.expect("commits");
    let all = audit::AuditSelection { limit: 10, ..audit::AuditSelection::default() };
    let [a, b, c] = rows;
    let read = async |wanted: audit::AuditSelection<'_>| audit::list(&test.db, &wanted).await.expect("reads");
    assert_eq!(read(all).await, [c.clone(), b.clone(), a.clone()]);
    assert_eq!(
        read(audit::AuditSelection { before: Some("c"), limit: 1, ..all }).await,
        std::slice::from_ref(&b)
    );
    assert_eq!(read(audit::AuditSelection { actor_id: Some("u1"), ..all }).await, std::slice::from_ref(&a));
    assert_eq!(
        read(audit::AuditSelection { event: Some("schedule.update"), ..all }).await,
        std::slice::from_ref(&b)
    );
    assert_eq!(
        read(audit::AuditSelection { object_id: Some("of-c"), ..all }).await,
        std::slice::from_ref(&c)
    );
    assert!(read(audit::AuditSelection { object_type: Some("run"), ..all }).await.is_empty());
    let mut tx = test.db.begin().await.expect("begins");
    assert_eq!(audit::prune(&mut tx, at("2026-11-21T00:00:00Z")).await.expect("prunes"), 1);
    tx.commit().await.expect("commits");
    assert_eq!(read(all).await, [c, b]);
}

async fn an_idempotency_key_is_taken_once(test: TestDb) {
    store_user(&test.db, "u1").await;
    let since = monday().checked_sub(24.hours()).expect("a day before");
    let mut tx = test.db.begin().await.expect("begins");
    for (taken, request) in [(true, "one"), (false, "two")] {
        let answer = idempotency::begin(&mut tx, "u1", "key", request, since, monday()).await;
        assert_eq!(answer.expect("answers"), taken);
    }
    tx.commit().await.expect("commits");
    let at_work = idempotency::get(&test.db, "u1", "key", since).await.expect("reads").expect("is there");
    assert_eq!((at_work.request.as_str(), at_work.status), ("one", idempotency::AT_WORK));
    idempotency::answer(&test.db, "u1", "key", 202, "{}").await.expect("stores");
    let answered = idempotency::get(&test.db, "u1", "key", since).await.expect("reads").expect("is there");
    assert_eq!((answered.status, answered.body.as_str()), (202, "{}"));
    let later = monday().checked_add(1.second()).expect("a second later");
    assert_eq!(idempotency::get(&test.db, "u1", "key", later).await.expect("reads"), None);
    idempotency::release(&test.db, "u1", "key").await.expect("lets go");
    assert_eq!(idempotency::get(&test.db, "u1", "key", since).await.expect("reads"), None);
}
