//! The `steps` table. A step is stored as issued before its Docker call, and its outcome afterwards.

use jiff::Timestamp;

use super::columns::Json;
use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, row};
use super::{Db, Result, Tx};
use crate::domain::action::Action;
use crate::domain::ids::{HostId, RunId, StepId};
use crate::domain::run::Step;
use crate::domain::target::ContainerIdentity;
use crate::domain::time::to_ms;

impl ReadRow for Step {
    const TABLE: &'static str = "steps";

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            identity: row.get("identity")?,
            action: row.get("action")?,
            wait_for: row.get::<Json<_>>("wait_for")?.0,
            state: row.get("state")?,
            id: row.get("id")?,
            run_id: row.get("run_id")?,
            ordinal: row.get("ordinal")?,
            wave: row.get("wave")?,
            host: row.get("host_id")?,
            container: row.get("container")?,
            reason: row.get("reason")?,
            issued_at: row.get("issued_ms")?,
            finished_at: row.get("finished_ms")?,
            duration_ms: row.get("duration_ms")?,
            exit_code: row.get("exit_code")?,
            error: row.get("error")?,
            output: row.get("output")?,
        })
    }
}

/// Stores new steps.
pub async fn insert<'a>(tx: &mut Tx, steps: impl IntoIterator<Item = &'a Step>) -> Result<()> {
    let rows = steps.into_iter().map(|step| {
        row![
            "id" => step.id,
            "run_id" => step.run_id,
            "ordinal" => step.ordinal,
            "wave" => step.wave,
            "host_id" => step.host,
            "container" => step.container,
            "identity" => step.identity,
            "action" => step.action,
            "wait_for" => Json(&step.wait_for),
            "state" => step.state,
            "reason" => step.reason,
            "finished_ms" => step.finished_at,
        ]
    });
    rows::insert(tx, "steps", rows.collect(), "").await?;
    Ok(())
}

/// Deletes the steps of a run that were not issued, before a new plan is stored.
pub async fn clear(tx: &mut Tx, run: &RunId) -> Result<()> {
    sql!("DELETE FROM steps WHERE run_id = $1 AND issued_ms IS NULL", run).run(tx).await
}

/// The steps of a run, in the order of its plan.
pub async fn of_run(db: &Db, run: &RunId) -> Result<Vec<Step>> {
    let sql = "SELECT * FROM steps WHERE run_id = $1 ORDER BY ordinal";
    sql!(sql, run).all(db).await
}

/// Marks the pending steps of a run as skipped, with the reason; for a run that ends before it starts.
pub async fn leave(tx: &mut Tx, run: &RunId, reason: &str, now: Timestamp) -> Result<()> {
    let sql = "UPDATE steps SET state = 'skipped', reason = $2, finished_ms = $3 WHERE run_id = $1 \
               AND state = 'pending'";
    sql!(sql, run, reason, now).run(tx).await
}

/// Marks a step as issued, before its Docker call; `false` if the step is no longer pending.
pub async fn issue(tx: &mut Tx, id: &StepId, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE steps SET state = 'issued', issued_ms = $2 WHERE id = $1 AND state = 'pending'";
    sql!(sql, id, now).hits(tx).await
}

/// Stores the outcome in `step`; `false` if the step had already ended.
pub async fn finish(tx: &mut Tx, step: &Step) -> Result<bool> {
    let outcome = row![
        "state" => step.state,
        "reason" => step.reason,
        "finished_ms" => step.finished_at,
        "duration_ms" => step.duration_ms,
        "exit_code" => step.exit_code,
        "error" => step.error,
        "output" => step.output,
    ];
    rows::update(tx, "steps", outcome, row!["id" => step.id], " AND state IN ('pending', 'issued')").await
}

/// The run of the latest issued step of a container.
pub async fn last_run(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<Option<RunId>> {
    let sql = "SELECT run_id FROM steps WHERE host_id = $1 AND identity = $2 \
               AND issued_ms IS NOT NULL ORDER BY issued_ms DESC LIMIT 1";
    sql!(sql, host, identity).first(tx).await
}

/// Whether a step of DockNap explains a Docker event of a container: the event lies between one second before the step
/// was issued and five seconds after its outcome (semantics §2).
pub async fn explain(
    db: &Db,
    host: &HostId,
    identity: &ContainerIdentity,
    event: &str,
    at: Timestamp,
) -> Result<bool> {
    let [a, b, c, d] = match event {
        "start" => [Action::Start, Action::Restart, Action::Unpause, Action::Unpause],
        "pause" => [Action::Pause; 4],
        // Stopping or restarting a paused container unpauses it first.
        "unpause" => [Action::Unpause, Action::Start, Action::Stop, Action::Restart],
        _ => [Action::Stop, Action::Restart, Action::Restart, Action::Restart],
    };
    let sql = "SELECT COUNT(*) FROM steps WHERE host_id = $1 AND identity = $2 AND issued_ms <= $3 \
               AND (finished_ms IS NULL OR finished_ms >= $4) AND action IN ($5, $6, $7, $8)";
    Ok(sql!(sql, host, identity, to_ms(at) + 1_000, to_ms(at) - 5_000, a, b, c, d).one::<i64>(db).await? > 0)
}

/// Whether a step of DockNap carried out one of two actions on a container within a time range.
pub async fn changed(
    tx: &mut Tx,
    host: &HostId,
    identity: &ContainerIdentity,
    [one, other]: [Action; 2],
    from: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM steps WHERE host_id = $1 AND identity = $2 AND issued_ms >= $3 \
               AND issued_ms < $4 AND action IN ($5, $6) AND state = 'succeeded' \
               AND reason NOT LIKE 'already%'";
    Ok(sql!(sql, host, identity, from, until, one, other).one::<i64>(tx).await? > 0)
}

/// Deletes the log output of starts that failed before `before` and returns the number of steps. Only runs that did not
/// succeed have output, and they are found by their state, without reading all steps.
pub async fn forget_output(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let sql = "UPDATE steps SET output = NULL WHERE output IS NOT NULL AND finished_ms < $1 \
               AND run_id IN (SELECT id FROM runs WHERE state IN ('failed', 'partial', 'interrupted', \
               'cancelled', 'superseded'))";
    sql!(sql, before).touched(tx).await
}

/// One completed action on a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneStep {
    pub action: Action,
    /// The instant at which the outcome was known.
    pub at: Timestamp,
    /// The duration in milliseconds.
    pub took_ms: Option<i64>,
}

/// Maximum number of steps that are read for one container.
const MAX_STEPS: i64 = 500;

/// The completed actions on a container since an instant, oldest first; limited to the newest `MAX_STEPS`.
pub async fn done_to(
    db: &Db,
    host: &HostId,
    identity: &ContainerIdentity,
    since: Timestamp,
) -> Result<Vec<DoneStep>> {
    let sql = "SELECT id, action, finished_ms, duration_ms FROM steps WHERE host_id = $1 \
               AND identity = $2 AND issued_ms >= $3 AND state = 'succeeded' \
               AND finished_ms IS NOT NULL ORDER BY issued_ms DESC LIMIT $4";
    let mut done: Vec<DoneStep> = sql!(sql, host, identity, since, MAX_STEPS).all(db).await?;
    done.reverse();
    Ok(done)
}

impl ReadRow for DoneStep {
    const TABLE: &'static str = Step::TABLE;

    fn read(row: &Row<'_>) -> Result<Self> {
        let (action, at) = (row.get("action")?, row.get("finished_ms")?);
        Ok(Self { action, at, took_ms: row.get("duration_ms")? })
    }
}
