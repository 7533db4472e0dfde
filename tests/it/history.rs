//! What was done, read back from storage, on both engines.

use docknap::db::history::{self, Tally, Wanted};
use docknap::db::{audit, idempotency};
use docknap::domain::action::Action;
use docknap::domain::audit::{AuditDetail, AuditRow, Change};
use docknap::domain::ids::{AuditId, HostId, RunId, ScheduleId};
use docknap::domain::run::{ActorRef, Run, RunState};
use docknap::domain::target::Target;
use jiff::{Timestamp, ToSpan};

use crate::on_both_engines;
use crate::support::db::TestDb;
use crate::support::rows::{
    at, member, monday, run, schedule, step, store_runs, store_schedules, store_user,
};

on_both_engines!(
    runs_are_listed_newest_first_by_cursor_and_filter,
    the_newest_run_of_each_schedule_is_found,
    the_last_run_that_changed_each_target_is_found,
    runs_of_a_day_are_counted,
    audit_rows_are_listed_and_pruned,
    an_idempotency_key_is_taken_once,
);

fn ids(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(|run| run.id.as_str()).collect()
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
    let none = Wanted::default();
    assert_eq!(ids(&history::list(db, none, None, 10).await.expect("reads")), ["d", "c", "b", "a"]);
    assert_eq!(ids(&history::list(db, none, Some("c"), 1).await.expect("reads")), ["b"]);
    let attention = Wanted { attention: true, ..none };
    assert_eq!(ids(&history::list(db, attention, None, 10).await.expect("reads")), ["c", "b"]);
    let failed = Wanted { state: Some(RunState::Failed), ..none };
    assert_eq!(ids(&history::list(db, failed, None, 10).await.expect("reads")), ["b"]);
    let media = Target::stack(HostId::local(), "media");
    let of_media = Wanted { target: Some(&media), ..none };
    assert_eq!(ids(&history::list(db, of_media, None, 10).await.expect("reads")), ["c", "b", "a"]);
    // A container's history holds what its stack was asked for, a stack's what its containers were.
    let web = [member("media", "web")];
    let alone = Target::container(HostId::local(), web[0].clone());
    let of_web = Wanted { target: Some(&alone), ..none };
    assert_eq!(ids(&history::list(db, of_web, None, 10).await.expect("reads")), ["d"]);
    let of_web = Wanted { touching: &web, ..of_web };
    assert_eq!(ids(&history::list(db, of_web, None, 10).await.expect("reads")), ["d", "c", "b"]);
    let of_media = Wanted { touching: &web, ..of_media };
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
    let of_s1 = Wanted { schedule: Some(&s1), ..Wanted::default() };
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
    let tally = history::tally(&test.db, since).await.expect("counts");
    assert_eq!(tally, Tally { runs: 3, attention: 1, open: 1 });
    let none = history::tally(&test.db, now).await.expect("counts");
    assert_eq!(none, Tally { runs: 0, attention: 0, open: 1 });
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
        audit::insert(&mut tx, row).await.expect("stores");
    }
    tx.commit().await.expect("commits");
    let all = audit::Wanted { limit: 10, ..audit::Wanted::default() };
    let [a, b, c] = rows;
    let read = async |wanted: audit::Wanted<'_>| audit::list(&test.db, &wanted).await.expect("reads");
    assert_eq!(read(all).await, [c.clone(), b.clone(), a.clone()]);
    assert_eq!(read(audit::Wanted { before: Some("c"), limit: 1, ..all }).await, std::slice::from_ref(&b));
    assert_eq!(read(audit::Wanted { actor_id: Some("u1"), ..all }).await, std::slice::from_ref(&a));
    assert_eq!(read(audit::Wanted { event: Some("schedule.update"), ..all }).await, std::slice::from_ref(&b));
    assert_eq!(read(audit::Wanted { object_id: Some("of-c"), ..all }).await, std::slice::from_ref(&c));
    assert!(read(audit::Wanted { object_type: Some("run"), ..all }).await.is_empty());
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
