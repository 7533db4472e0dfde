//! Runs: what is stored when a request is accepted, and every change of its state.
//!
//! Terminal states never change: each update names the state it starts from, and answers whether it was so.

use std::collections::HashSet;

use jiff::Timestamp;

use super::bulk::{left_out, values_tx};
use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::guard::Deferral;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::run::{ActorRef, MissedSpan, Run, RunState, Trigger};
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::time::{from_ms, to_ms};

/// The columns of a run, in no particular order.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct RunRow {
    id: String,
    schedule_id: Option<String>,
    schedule_name: Option<String>,
    host_id: String,
    target_type: String,
    target_name: String,
    target_identity: String,
    action: String,
    trigger_kind: String,
    actor_kind: String,
    actor_id: Option<String>,
    actor_name: String,
    fire_at_ms: Option<i64>,
    created_ms: i64,
    started_ms: Option<i64>,
    finished_ms: Option<i64>,
    state: String,
    reason: String,
    why: String,
    deadline_ms: i64,
    attempt: i64,
    stop_timeout_s: Option<i64>,
    retry_of: Option<String>,
    missed_first_ms: Option<i64>,
    missed_last_ms: Option<i64>,
    missed_count: Option<i64>,
    restore: bool,
    puts_back: bool,
    also: Option<String>,
    guard: Option<String>,
    look_at_ms: Option<i64>,
    busy_until_ms: Option<i64>,
}

impl TryFrom<RunRow> for Run {
    type Error = DbError;

    fn try_from(row: RunRow) -> Result<Self> {
        let damaged =
            |what: &str| DbError::Damaged { table: "runs", id: row.id.clone(), what: what.to_owned() };
        let missed = match (row.missed_first_ms, row.missed_last_ms, row.missed_count) {
            (Some(first), Some(last), Some(count)) => {
                Some(MissedSpan { first: from_ms(first), last: from_ms(last), count })
            }
            _ => None,
        };
        let guard = row.guard.as_deref().map(serde_json::from_str).transpose();
        let guard = guard.map_err(|_| damaged("its guard"))?;
        let also = also_of(row.also.as_deref()).ok_or_else(|| damaged("what is to be started too"))?;
        Ok(Self {
            also,
            target: Target::from_columns(&row.host_id, &row.target_type, &row.target_identity)
                .ok_or_else(|| damaged("its target"))?,
            action: row.action.parse().map_err(|_| damaged("its action"))?,
            trigger: Trigger::parse(&row.trigger_kind).ok_or_else(|| damaged("its trigger"))?,
            state: RunState::parse(&row.state).ok_or_else(|| damaged("its state"))?,
            id: row.id.into(),
            schedule_id: row.schedule_id.map(ScheduleId),
            schedule_name: row.schedule_name,
            target_name: row.target_name,
            actor: ActorRef { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
            fire_at: row.fire_at_ms.map(from_ms),
            created_at: from_ms(row.created_ms),
            started_at: row.started_ms.map(from_ms),
            finished_at: row.finished_ms.map(from_ms),
            reason: row.reason,
            why: row.why,
            deadline_at: from_ms(row.deadline_ms),
            attempt: row.attempt,
            stop_timeout_seconds: row.stop_timeout_s,
            retry_of: row.retry_of.map(RunId),
            missed,
            restore: row.restore,
            puts_back: row.puts_back,
            guard,
            look_at: row.look_at_ms.map(from_ms),
            busy_until: row.busy_until_ms.map(from_ms),
        })
    }
}

/// What of a run is started although nobody watched it end; `None` where nothing is.
fn also_text(run: &Run) -> Option<String> {
    let texts: Vec<String> = run.also.iter().map(ContainerIdentity::to_text).collect();
    if texts.is_empty() { None } else { serde_json::to_string(&texts).ok() }
}

/// The reverse of [`also_text`]; `None` for a text it never writes.
fn also_of(text: Option<&str>) -> Option<Vec<ContainerIdentity>> {
    let Some(text) = text else { return Some(Vec::new()) };
    let texts: Vec<String> = serde_json::from_str(text).ok()?;
    texts.iter().map(|text| ContainerIdentity::parse(text)).collect()
}

/// Stores a new run. `false` when the schedule already has one for that instant: nothing is stored then.
pub async fn insert(tx: &mut Tx, run: &Run, owner_epoch: i64) -> Result<bool> {
    Ok(insert_all(tx, &[run], owner_epoch).await?.is_empty())
}

/// Stores runs whose ids are new, and answers the ids of those that were not stored: those whose schedule already has
/// one for that instant.
pub async fn insert_all(tx: &mut Tx, runs: &[&Run], owner_epoch: i64) -> Result<HashSet<RunId>> {
    let rows = runs.iter().map(|run| {
        let missed = run.missed.as_ref();
        row![
            "id" => run.id.as_str(),
            "schedule_id" => run.schedule_id.as_ref().map(ScheduleId::as_str),
            "schedule_name" => run.schedule_name.as_deref(),
            "host_id" => run.target.host.as_str(),
            "target_type" => run.target.target_type().as_str(),
            "target_name" => &run.target_name,
            "target_identity" => run.target.identity_text(),
            "action" => run.action.as_str(),
            "trigger_kind" => run.trigger.as_str(),
            "actor_kind" => &run.actor.kind,
            "actor_id" => run.actor.id.as_deref(),
            "actor_name" => &run.actor.name,
            "fire_at_ms" => run.fire_at.map(to_ms),
            "created_ms" => to_ms(run.created_at),
            "started_ms" => run.started_at.map(to_ms),
            "finished_ms" => run.finished_at.map(to_ms),
            "state" => run.state.as_str(),
            "reason" => &run.reason,
            "why" => &run.why,
            "deadline_ms" => to_ms(run.deadline_at),
            "attempt" => run.attempt,
            "stop_timeout_s" => run.stop_timeout_seconds,
            "retry_of" => run.retry_of.as_ref().map(RunId::as_str),
            "missed_first_ms" => missed.map(|missed| to_ms(missed.first)),
            "missed_last_ms" => missed.map(|missed| to_ms(missed.last)),
            "missed_count" => missed.map(|missed| missed.count),
            "restore" => run.restore,
            "puts_back" => run.puts_back,
            "also" => also_text(run),
            "guard" => run.guard.as_ref().and_then(|guard| serde_json::to_string(guard).ok()),
            "look_at_ms" => run.look_at.map(to_ms),
            "busy_until_ms" => run.busy_until.map(to_ms),
            "owner_epoch" => owner_epoch,
        ]
    });
    let twice = " ON CONFLICT (schedule_id, fire_at_ms) DO NOTHING";
    let inserted = rows::insert(tx, "runs", rows.collect(), twice).await?;
    if usize::try_from(inserted).is_ok_and(|inserted| inserted == runs.len()) {
        return Ok(HashSet::new());
    }
    let stored = values_tx!(
        tx,
        "WITH asked (id) AS (",
        runs,
        |run| (run.id.as_str()),
        ") SELECT runs.id FROM runs JOIN asked ON asked.id = runs.id" => (String,)
    );
    Ok(left_out(runs.iter().map(|run| &run.id), stored))
}

/// One run.
pub async fn get(db: &Db, id: &RunId) -> Result<Option<Run>> {
    let row: Option<RunRow> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM runs WHERE id = $1").bind(id.as_str()).fetch_optional(pool))?;
    row.map(Run::try_from).transpose()
}

/// The runs in a state that has not ended, oldest first.
pub async fn in_state(db: &Db, state: RunState) -> Result<Vec<Run>> {
    let rows: Vec<RunRow> = on_db!(db, pool =>
        sqlx::query_as("SELECT * FROM runs WHERE state = $1 ORDER BY id").bind(state.as_str()).fetch_all(pool))?;
    rows.into_iter().map(Run::try_from).collect()
}

/// A run that has not ended and does all that `run` is to do: the same thing to the same target, and neither only the
/// part of it that naps nor only what an earlier one left undone, unless `run` is no more than that. One that a guard
/// holds back counts only for another that is guarded: what goes at once takes its place.
pub async fn open_twin(tx: &mut Tx, run: &Run) -> Result<Option<Run>> {
    let row: Option<RunRow> = on_tx!(tx, conn =>
        sqlx::query_as(
            "SELECT * FROM runs WHERE CASE WHEN state IN ('pending', 'executing') THEN 1 ELSE 0 END = 1 \
             AND host_id = $1 AND target_type = $2 AND target_identity = $3 AND action = $4 AND (restore = FALSE OR restore = $5) \
             AND (puts_back = FALSE OR puts_back = $8) AND (retry_of IS NULL OR retry_of = $6) AND ($7 OR state <> 'pending' OR guard IS NULL) \
             AND ($9 IS NULL OR also = $9) ORDER BY id LIMIT 1")
        .bind(run.target.host.as_str())
        .bind(run.target.target_type().as_str())
        .bind(run.target.identity_text())
        .bind(run.action.as_str())
        .bind(run.restore)
        .bind(run.retry_of.as_ref().map(RunId::as_str))
        .bind(run.guard.is_some())
        .bind(run.puts_back)
        .bind(also_text(run))
        .fetch_optional(conn))?;
    row.map(Run::try_from).transpose()
}

/// The run that undoes another one.
pub async fn undo_of(tx: &mut Tx, undone: &RunId) -> Result<Option<RunId>> {
    // Ids sort by time: an undo comes soon after, or never.
    let row: Option<(String,)> = on_tx!(tx, conn =>
        sqlx::query_as("SELECT id FROM runs WHERE id > $1 AND retry_of = $1 AND trigger_kind = $2 ORDER BY id LIMIT 1")
        .bind(undone.as_str())
        .bind(Trigger::Undo.as_str())
        .fetch_optional(conn))?;
    Ok(row.map(|(id,)| RunId(id)))
}

/// A run that was skipped leaves its instant to one of the same schedule that acts for it after all. `false` where the
/// run there did act.
pub async fn give_way(tx: &mut Tx, to: &Run) -> Result<bool> {
    let given = exec_tx!(
        tx,
        "UPDATE runs SET fire_at_ms = NULL WHERE schedule_id = $1 AND fire_at_ms = $2 AND state = 'skipped'",
        to.schedule_id.as_ref().map(ScheduleId::as_str),
        to.fire_at.map(to_ms),
    )?;
    Ok(given > 0)
}

/// What stands in the way of a run that is to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InTheWay {
    /// A run that has not ended and does all that this one is to do, as [`open_twin`] finds it.
    pub twin: Option<RunId>,
    /// Its schedule has a run for that instant already.
    pub is_taken: bool,
}

/// What stands in the way of each of these runs, in their order.
pub async fn in_the_way(tx: &mut Tx, runs: &[&Run]) -> Result<Vec<InTheWay>> {
    let numbered: Vec<(i64, &Run)> = (0..).zip(runs.iter().copied()).collect();
    let found = values_tx!(
        tx,
        ASKED,
        &numbered,
        |numbered| (
            numbered.0,
            numbered.1.target.host.as_str(),
            numbered.1.target.target_type().as_str(),
            numbered.1.target.identity_text(),
            numbered.1.action.as_str(),
            numbered.1.restore,
            numbered.1.retry_of.as_ref().map(RunId::as_str),
            numbered.1.guard.is_some(),
            numbered.1.schedule_id.as_ref().map(ScheduleId::as_str),
            numbered.1.fire_at.map(to_ms),
        ),
        IN_THE_WAY => (i64, Option<String>, bool)
    );
    let mut answers = vec![InTheWay::default(); runs.len()];
    for (n, twin, is_taken) in found {
        if let Some(answer) = usize::try_from(n).ok().and_then(|n| answers.get_mut(n)) {
            *answer = InTheWay { twin: twin.map(RunId), is_taken };
        }
    }
    Ok(answers)
}

/// Before the `VALUES` of the runs asked about.
const ASKED: &str = "WITH asked (n, host_id, target_type, target_identity, action, restore, retry_of, guarded, \
    schedule_id, fire_at_ms) AS (";
/// After them: those that something stands in the way of. The condition on the state is that of the index
/// `runs_undone`, which holds what has not ended alone: a target may have any number of runs.
const IN_THE_WAY: &str = ") SELECT n, twin, is_taken FROM (SELECT n, (SELECT r.id FROM runs r \
     WHERE CASE WHEN r.state IN ('pending', 'executing') THEN 1 ELSE 0 END = 1 AND r.host_id = asked.host_id \
       AND r.target_type = asked.target_type AND r.target_identity = asked.target_identity \
       AND r.action = asked.action AND (r.restore = FALSE OR r.restore = asked.restore) AND r.puts_back = FALSE \
       AND (r.retry_of IS NULL OR r.retry_of = asked.retry_of) \
       AND (asked.guarded OR r.state <> 'pending' OR r.guard IS NULL) ORDER BY r.id LIMIT 1) AS twin, \
     EXISTS (SELECT 1 FROM runs r WHERE r.schedule_id = asked.schedule_id AND r.fire_at_ms = asked.fire_at_ms) \
       AS is_taken FROM asked) AS found WHERE is_taken OR twin IS NOT NULL";

/// A pending run begins, with its deadline and what there is to say about it by now. `false` when it is no longer
/// pending.
pub async fn begin(tx: &mut Tx, run: &Run, now: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE runs SET state = 'executing', started_ms = $2, reason = '', why = $3, deadline_ms = $4 \
         WHERE id = $1 AND state = 'pending'",
        run.id.as_str(),
        to_ms(now),
        run.why.as_str(),
        to_ms(run.deadline_at),
    )?;
    Ok(rows == 1)
}

/// Gives a pending run more time.
pub async fn extend(tx: &mut Tx, id: &RunId, deadline: Timestamp) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE runs SET deadline_ms = $2, attempt = 0 WHERE id = $1 AND state = 'pending'",
        id.as_str(),
        to_ms(deadline)
    )?;
    Ok(())
}

/// A guard holds a pending run back: until when, why, and how long it may go on after that. The tries of its host are
/// counted anew then. `false` when it is no longer pending.
pub async fn defer(tx: &mut Tx, id: &RunId, deferral: &Deferral, deadline: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE runs SET reason = $2, look_at_ms = $3, busy_until_ms = $4, deadline_ms = $5, attempt = 0 \
         WHERE id = $1 AND state = 'pending'",
        id.as_str(),
        deferral.reason.as_str(),
        to_ms(deferral.look_at),
        deferral.busy_until.map(to_ms),
        to_ms(deadline),
    )?;
    Ok(rows == 1)
}

/// Says why a pending run still waits, and counts the tries of its host.
pub async fn wait(tx: &mut Tx, id: &RunId, reason: &str, attempt: i64) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE runs SET reason = $2, attempt = $3 WHERE id = $1 AND state = 'pending'",
        id.as_str(),
        reason,
        attempt,
    )?;
    Ok(rows == 1)
}

/// A run ends. `false` when it had ended before: terminal states never change.
pub async fn finish(tx: &mut Tx, id: &RunId, state: RunState, reason: &str, now: Timestamp) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE runs SET state = $2, reason = $3, finished_ms = $4 \
         WHERE id = $1 AND state IN ('pending', 'executing')",
        id.as_str(),
        state.as_str(),
        reason,
        to_ms(now),
    )?;
    Ok(rows == 1)
}

/// Says what a run under way waits for; empty where it does not.
pub async fn note(tx: &mut Tx, id: &RunId, reason: &str) -> Result<()> {
    exec_tx!(tx, "UPDATE runs SET reason = $2 WHERE id = $1 AND state = 'executing'", id.as_str(), reason)?;
    Ok(())
}

/// What its target is called now.
pub async fn rename(tx: &mut Tx, id: &RunId, name: &str) -> Result<()> {
    exec_tx!(tx, "UPDATE runs SET target_name = $2 WHERE id = $1", id.as_str(), name)?;
    Ok(())
}

/// A run that waits ends without having begun. `false` when it waits no more.
pub async fn end_pending(
    tx: &mut Tx,
    id: &RunId,
    state: RunState,
    reason: &str,
    now: Timestamp,
) -> Result<bool> {
    let rows = exec_tx!(
        tx,
        "UPDATE runs SET state = $2, reason = $3, finished_ms = $4 WHERE id = $1 AND state = 'pending'",
        id.as_str(),
        state.as_str(),
        reason,
        to_ms(now),
    )?;
    Ok(rows == 1)
}

/// The cron fires that overrides have held back since `since`, oldest first; also those that an override ended in the
/// middle of their wait.
pub async fn suppressed_since(db: &Db, since: Timestamp) -> Result<Vec<Run>> {
    let rows: Vec<RunRow> = on_db!(db, pool =>
        sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'skipped' AND reason LIKE 'override:%' AND finished_ms >= $1 \
             AND schedule_id IS NOT NULL AND trigger_kind <> 'window' ORDER BY id")
        .bind(to_ms(since))
        .fetch_all(pool))?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Whether something that set the state of its target came after a run.
pub async fn is_followed(db: &Db, run: &Run) -> Result<bool> {
    let (count,): (i64,) = on_db!(db, pool =>
        sqlx::query_as(
            "SELECT COUNT(*) FROM runs WHERE host_id = $1 AND target_type = $2 AND target_identity = $3 AND id > $4 \
             AND action <> 'restart' AND state IN ('pending', 'executing', 'succeeded', 'partial', 'failed')")
        .bind(run.target.host.as_str())
        .bind(run.target.target_type().as_str())
        .bind(run.target.identity_text())
        .bind(run.id.as_str())
        .fetch_one(pool))?;
    Ok(count > 0)
}

/// Forgets the runs that ended before `before`, with their steps, and answers how many that were. Ids sort by time: no
/// run from the first later one on is looked at, so that a day on which nothing is old costs nothing.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    Ok(exec_tx!(
        tx,
        "DELETE FROM runs WHERE finished_ms < $1 AND state NOT IN ('pending', 'executing') \
         AND id < COALESCE((SELECT id FROM runs WHERE created_ms >= $1 ORDER BY id LIMIT 1), 'z')",
        to_ms(before)
    )?)
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::engine::Durability;
    use super::*;

    #[tokio::test]
    async fn what_stands_in_the_way_is_looked_for_among_what_has_not_ended_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let db = Db::open_sqlite(&home.path().join("docknap.db"), Durability::Full).await.expect("it opens");
        let Db::Sqlite { readers: pool, .. } = &db else { panic!("it is SQLite") };
        let rows = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {ASKED}{rows}{IN_THE_WAY}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.expect("it plans");
        let looks: Vec<&str> =
            plan.iter().map(|row| row.3.as_str()).filter(|look| look.contains(" r ")).collect();
        // In the condition, and for what is told of those that it lets through.
        let [taken, twin, told @ ..] = &looks[..] else { panic!("{plan:?}") };
        assert!(told.iter().all(|look| [taken, twin].contains(&look)), "{plan:?}");
        assert!(
            twin.ends_with("INDEX runs_undone (host_id=? AND target_type=? AND target_identity=?)"),
            "{twin}"
        );
        assert!(taken.ends_with("(schedule_id=? AND fire_at_ms=?)"), "{taken}");
        assert!(!plan.iter().any(|row| row.3.contains("ORDER BY")), "{plan:?}");
    }
}
