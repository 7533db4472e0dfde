//! Complete rows for storage tests; each test changes the fields that it is about.

use docknap::db::{self, Db};
use docknap::domain::action::Action;
use docknap::domain::ids::{HostId, RunId, ScheduleId, StepId};
use docknap::domain::run::{ActorRef, Run, RunState, Step, StepState, Trigger};
use docknap::domain::schedule::{Schedule, ScheduleSpec, Source, When};
use docknap::domain::target::{ContainerIdentity, Target};
use jiff::Timestamp;

/// Parses an instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// The instant, a Monday, at which schedule tests begin.
pub fn monday() -> Timestamp {
    at("2026-11-23T12:00:00Z")
}

/// A schedule that stops `media` every night at 23:00 UTC.
pub fn schedule(id: &str) -> Schedule {
    Schedule {
        id: ScheduleId::from(id),
        spec: ScheduleSpec {
            name: "Nights".to_owned(),
            ..ScheduleSpec::new(
                Target::stack(HostId::local(), "media"),
                "media",
                Action::Stop,
                When::Cron("0 23 * * *".to_owned()),
            )
        },
        source: Source::Api,
        label: None,
        owner: None,
        owner_name: None,
        effective_from: monday(),
        next_due: Some(at("2026-11-23T23:00:00Z")),
        skip_at: None,
        rev: 1,
        created_at: monday(),
        updated_at: monday(),
        deleted_at: None,
    }
}

/// Identity of a container of a Compose project.
pub fn member(project: &str, service: &str) -> ContainerIdentity {
    ContainerIdentity::Service { project: project.to_owned(), service: service.to_owned(), number: 1 }
}

/// A run that stopped `media` at 23:00 and took two seconds.
pub fn run(id: &str) -> Run {
    let fire = at("2026-11-23T23:00:00Z");
    let (target, name) = (Target::stack(HostId::local(), "media"), "media".to_owned());
    let by = ActorRef { kind: "scheduler".to_owned(), id: None, name: "scheduler".to_owned() };
    Run {
        started_at: Some(fire),
        finished_at: Some(fire + std::time::Duration::from_secs(2)),
        state: RunState::Succeeded,
        ..Run::new(RunId::from(id), target, name, Action::Stop, Trigger::Schedule, by, fire)
    }
}

/// The step of a run that stopped `media-web-1`.
pub fn step(run: &Run, ordinal: i64) -> Step {
    Step {
        id: StepId(format!("{}-{ordinal}", run.id)),
        run_id: run.id.clone(),
        ordinal,
        wave: 1,
        host: HostId::local(),
        container: "media-web-1".to_owned(),
        identity: member("media", "web"),
        action: run.action,
        wait_for: Vec::new(),
        state: StepState::Succeeded,
        reason: String::new(),
        issued_at: run.started_at,
        finished_at: run.finished_at,
        duration_ms: Some(2000),
        exit_code: Some(0),
        error: None,
        output: None,
    }
}

/// Stores schedules.
pub async fn store_schedules(db: &Db, schedules: &[Schedule]) {
    let mut tx = db.begin().await.expect("begins");
    for schedule in schedules {
        db::schedules::insert(&mut tx, schedule).await.expect("stores");
    }
    tx.commit().await.expect("commits");
}

/// Stores runs with their steps.
pub async fn store_runs(db: &Db, runs: &[(Run, Vec<Step>)]) {
    let mut tx = db.begin().await.expect("begins");
    for (run, steps) in runs {
        assert!(db::runs::insert(&mut tx, run, 0).await.expect("stores"), "the run is new");
        let pending = Step { state: StepState::Pending, ..step(run, 0) };
        let planned: Vec<Step> = steps
            .iter()
            .map(|step| Step {
                id: step.id.clone(),
                ordinal: step.ordinal,
                identity: step.identity.clone(),
                ..pending.clone()
            })
            .collect();
        db::steps::insert(&mut tx, &planned).await.expect("stores");
        for step in steps {
            assert!(db::steps::finish(&mut tx, step).await.expect("stores"), "the step was open");
        }
    }
    tx.commit().await.expect("commits");
}

/// Stores an account with this id and name that cannot log in.
pub async fn store_user(db: &Db, id: &str) {
    const SQL: &str = "INSERT INTO users (id, name, name_key, role, password_hash, disabled, password_set_ms, rev, \
                       created_ms, updated_ms) VALUES ($1, $1, $1, 'operator', '', FALSE, 0, 1, 0, 0)";
    match db {
        Db::Sqlite { writer, .. } => sqlx::query(SQL).bind(id).execute(writer).await.map(|_| ()),
        Db::Pg(pool) => sqlx::query(SQL).bind(id).execute(pool).await.map(|_| ()),
    }
    .expect("stores");
}
