//! Steps: committed to before the Docker call, their outcome after it.

use jiff::Timestamp;

use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::action::Action;
use crate::domain::ids::{HostId, RunId, StepId};
use crate::domain::run::{Step, StepState};
use crate::domain::target::ContainerIdentity;
use crate::domain::time::{from_ms, to_ms};

#[derive(Debug, sqlx::FromRow)]
pub(super) struct StepRow {
    id: String,
    run_id: String,
    ordinal: i64,
    wave: i64,
    host_id: String,
    container: String,
    identity: String,
    action: String,
    wait_for: String,
    state: String,
    reason: String,
    issued_ms: Option<i64>,
    finished_ms: Option<i64>,
    duration_ms: Option<i64>,
    exit_code: Option<i64>,
    error: Option<String>,
    output: Option<String>,
}

impl TryFrom<StepRow> for Step {
    type Error = DbError;

    fn try_from(row: StepRow) -> Result<Self> {
        let damaged =
            |what: &str| DbError::Damaged { table: "steps", id: row.id.clone(), what: what.to_owned() };
        Ok(Self {
            identity: ContainerIdentity::parse(&row.identity).ok_or_else(|| damaged("its container"))?,
            action: row.action.parse().map_err(|_| damaged("its action"))?,
            wait_for: serde_json::from_str(&row.wait_for).map_err(|_| damaged("what it waits for"))?,
            state: StepState::parse(&row.state).ok_or_else(|| damaged("its state"))?,
            id: StepId(row.id),
            run_id: RunId(row.run_id),
            ordinal: row.ordinal,
            wave: row.wave,
            host: HostId(row.host_id),
            container: row.container,
            reason: row.reason,
            issued_at: row.issued_ms.map(from_ms),
            finished_at: row.finished_ms.map(from_ms),
            duration_ms: row.duration_ms,
            exit_code: row.exit_code,
            error: row.error,
            output: row.output,
        })
    }
}

/// Stores new steps.
pub async fn insert<'a>(tx: &mut Tx, steps: impl IntoIterator<Item = &'a Step>) -> Result<()> {
    let rows = steps.into_iter().map(|step| {
        row![
            "id" => step.id.as_str(),
            "run_id" => step.run_id.as_str(),
            "ordinal" => step.ordinal,
            "wave" => step.wave,
            "host_id" => step.host.as_str(),
            "container" => &step.container,
            "identity" => step.identity.to_text(),
            "action" => step.action.as_str(),
            "wait_for" => serde_json::to_string(&step.wait_for).unwrap_or_else(|_| "[]".to_owned()),
            "state" => step.state.as_str(),
            "reason" => &step.reason,
            "finished_ms" => step.finished_at.map(to_ms),
        ]
    });
    rows::insert(tx, "steps", rows.collect(), "").await?;
    Ok(())
}

/// Takes back the steps of a run that has not begun, to make room for a newer plan.
pub async fn clear(tx: &mut Tx, run: &RunId) -> Result<()> {
    exec_tx!(tx, "DELETE FROM steps WHERE run_id = $1 AND issued_ms IS NULL", run.as_str())?;
    Ok(())
}

/// The steps of a run, in the order of its plan.
pub async fn of_run(db: &Db, run: &RunId) -> Result<Vec<Step>> {
    let rows: Vec<StepRow> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM steps WHERE run_id = $1 ORDER BY ordinal").bind(run.as_str()).fetch_all(pool))?;
    rows.into_iter().map(Step::try_from).collect()
}

/// Leaves the steps of a run that ends before it began, with the reason.
pub async fn leave(tx: &mut Tx, run: &RunId, reason: &str, now: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE steps SET state = 'skipped', reason = $2, finished_ms = $3 WHERE run_id = $1 AND state = 'pending'",
        run.as_str(),
        reason,
        to_ms(now),
    )?;
    Ok(())
}

/// Commits to a step, before its Docker call. `false` when it is no longer pending.
pub async fn issue(tx: &mut Tx, id: &StepId, now: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE steps SET state = 'issued', issued_ms = $2 WHERE id = $1 AND state = 'pending'",
        id.as_str(),
        to_ms(now),
    )?;
    Ok(rows == 1)
}

/// Stores the outcome that `step` holds. `false` when the step had ended before: outcomes never change.
pub async fn finish(tx: &mut Tx, step: &Step) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE steps SET state = $2, reason = $3, finished_ms = $4, duration_ms = $5, exit_code = $6, error = $7, \
         output = $8 WHERE id = $1 AND state IN ('pending', 'issued')",
        step.id.as_str(),
        step.state.as_str(),
        step.reason.as_str(),
        step.finished_at.map(to_ms),
        step.duration_ms,
        step.exit_code,
        step.error.as_deref(),
        step.output.as_deref(),
    )?;
    Ok(rows == 1)
}

/// The run of the newest step that was sent to Docker for a container.
pub async fn last_run(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<Option<RunId>> {
    let row: Option<(String,)> = on_tx!(tx, conn =>
        sqlx::query_as("SELECT run_id FROM steps WHERE host_id = $1 AND identity = $2 AND issued_ms IS NOT NULL \
             ORDER BY issued_ms DESC LIMIT 1")
        .bind(host.as_str())
        .bind(identity.to_text())
        .fetch_optional(conn))?;
    Ok(row.map(|(id,)| RunId(id)))
}

/// Whether a step of ours explains an event that Docker told of a container at an instant: from a second before it was
/// issued to five after its outcome (semantics §2).
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
        // What is frozen is thawed to be stopped, too.
        "unpause" => [Action::Unpause, Action::Start, Action::Stop, Action::Restart],
        _ => [Action::Stop, Action::Restart, Action::Restart, Action::Restart],
    };
    let (count,): (i64,) = on_db!(db, pool =>
        sqlx::query_as(
            "SELECT COUNT(*) FROM steps WHERE host_id = $1 AND identity = $2 AND issued_ms <= $3 \
             AND (finished_ms IS NULL OR finished_ms >= $4) AND action IN ($5, $6, $7, $8)")
        .bind(host.as_str())
        .bind(identity.to_text())
        .bind(to_ms(at) + 1_000)
        .bind(to_ms(at) - 5_000)
        .bind(a.as_str())
        .bind(b.as_str())
        .bind(c.as_str())
        .bind(d.as_str())
        .fetch_one(pool))?;
    Ok(count > 0)
}

/// Whether a step of ours did one of two things to a container from one instant to another.
pub async fn changed(
    tx: &mut Tx,
    host: &HostId,
    identity: &ContainerIdentity,
    [one, other]: [Action; 2],
    from: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let (count,): (i64,) = on_tx!(tx, conn =>
        sqlx::query_as(
            "SELECT COUNT(*) FROM steps WHERE host_id = $1 AND identity = $2 AND issued_ms >= $3 AND issued_ms < $4 \
             AND action IN ($5, $6) AND state = 'succeeded' AND reason NOT LIKE 'already%'")
        .bind(host.as_str())
        .bind(identity.to_text())
        .bind(to_ms(from))
        .bind(to_ms(until))
        .bind(one.as_str())
        .bind(other.as_str())
        .fetch_one(conn))?;
    Ok(count > 0)
}

/// Forgets the log lines of starts that failed before `before`. Only a run that did not go well has any, and those are
/// found by their state, without a look at all steps there are.
pub async fn forget_output(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    Ok(exec_tx!(
        tx,
        "UPDATE steps SET output = NULL WHERE output IS NOT NULL AND finished_ms < $1 AND run_id IN \
         (SELECT id FROM runs WHERE state IN ('failed', 'partial', 'interrupted', 'cancelled', 'superseded'))",
        to_ms(before)
    )?)
}

/// One thing that was done to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneStep {
    pub action: Action,
    /// When its outcome was known.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: Option<i64>,
}

/// Deeds that are read of one container at most.
const MOST_STEPS: i64 = 500;

/// What was done to a container since an instant, oldest first; of very many the newest.
pub async fn done_to(
    db: &Db,
    host: &HostId,
    identity: &ContainerIdentity,
    since: Timestamp,
) -> Result<Vec<DoneStep>> {
    let rows: Vec<(String, String, i64, Option<i64>)> = on_db!(db, pool =>
        sqlx::query_as(
            "SELECT id, action, finished_ms, duration_ms FROM steps WHERE host_id = $1 AND identity = $2 \
             AND issued_ms >= $3 AND state = 'succeeded' AND finished_ms IS NOT NULL ORDER BY issued_ms DESC LIMIT $4")
        .bind(host.as_str())
        .bind(identity.to_text())
        .bind(to_ms(since))
        .bind(MOST_STEPS)
        .fetch_all(pool))?;
    rows.into_iter()
        .rev()
        .map(|(id, action, finished, took_ms)| {
            let damaged =
                |_| DbError::Damaged { table: "steps", id: id.clone(), what: "its action".to_owned() };
            Ok(DoneStep { action: action.parse().map_err(damaged)?, at: from_ms(finished), took_ms })
        })
        .collect()
}
