//! The `runs` table: new runs, and every change of their state.
//!
//! A terminal state never changes: each update names the states that it starts from, and returns whether it matched.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::columns::Json;
use super::query::sql;
use super::read::{ReadRow, Row};
use super::rows::{self, missing, row, values};
use super::{Db, Result, Tx};
use crate::domain::guard::Deferral;
use crate::domain::ids::RunId;
use crate::domain::run::{MissedSpan, Run, RunState, Trigger};
use crate::domain::target::ContainerIdentity;

impl ReadRow for Run {
    const TABLE: &'static str = "runs";

    fn read(row: &Row<'_>) -> Result<Self> {
        let missed = (row.get("missed_first_ms")?, row.get("missed_last_ms")?, row.get("missed_count")?);
        let missed = match missed {
            (Some(first), Some(last), Some(count)) => Some(MissedSpan { first, last, count }),
            _ => None,
        };
        let also = parse_also(row.get("also")?).ok_or_else(|| row.damage("what is to be started too"))?;
        Ok(Self {
            also,
            target: row.target()?,
            action: row.get("action")?,
            trigger: row.get("trigger_kind")?,
            state: row.get("state")?,
            id: row.get("id")?,
            schedule_id: row.get("schedule_id")?,
            schedule_name: row.get("schedule_name")?,
            target_name: row.get("target_name")?,
            actor: row.actor()?,
            fire_at: row.get("due_ms")?,
            created_at: row.get("created_ms")?,
            started_at: row.get("started_ms")?,
            finished_at: row.get("finished_ms")?,
            reason: row.get("reason")?,
            why: row.get("why")?,
            deadline_at: row.get("deadline_ms")?,
            attempt: row.get("attempt")?,
            stop_timeout_seconds: row.get("stop_timeout_s")?,
            retry_of: row.get("retry_of")?,
            missed,
            restore: row.get("restore")?,
            puts_back: row.get("puts_back")?,
            guard: row.get::<Option<Json<_>>>("guard")?.map(|guard| guard.0),
            look_at: row.get("look_at_ms")?,
            busy_until: row.get("busy_until_ms")?,
            batch: row.get("batch_id")?,
            leaves: parse_leaves(row.get("leaves")?).ok_or_else(|| row.damage("what it leaves"))?,
        })
    }
}

/// The containers that a run starts although nobody saw them end, as JSON; `None` if there are none.
fn also_text(run: &Run) -> Option<String> {
    let texts: Vec<String> = run.also.iter().map(ContainerIdentity::to_text).collect();
    if texts.is_empty() { None } else { serde_json::to_string(&texts).ok() }
}

/// The reverse of [`also_text`]; `None` if the text is malformed.
fn parse_also(text: Option<String>) -> Option<Vec<ContainerIdentity>> {
    let Some(text) = text else { return Some(Vec::new()) };
    let texts: Vec<String> = serde_json::from_str(&text).ok()?;
    texts.iter().map(|text| ContainerIdentity::parse(text)).collect()
}

/// The containers that a run leaves to another schedule with the reasons, as JSON; `None` if there are none.
fn leaves_text(run: &Run) -> Option<String> {
    let texts: BTreeMap<String, &str> =
        run.leaves.iter().map(|(identity, reason)| (identity.to_text(), reason.as_str())).collect();
    if texts.is_empty() { None } else { serde_json::to_string(&texts).ok() }
}

/// The reverse of [`leaves_text`]; `None` if the text is malformed.
fn parse_leaves(text: Option<String>) -> Option<BTreeMap<ContainerIdentity, String>> {
    let Some(text) = text else { return Some(BTreeMap::new()) };
    let texts: BTreeMap<String, String> = serde_json::from_str(&text).ok()?;
    texts.into_iter().map(|(identity, reason)| Some((ContainerIdentity::parse(&identity)?, reason))).collect()
}

/// Stores a new run; `false`, with nothing stored, if its schedule already has a run for that instant.
pub async fn insert(tx: &mut Tx, run: &Run, owner_epoch: i64) -> Result<bool> {
    Ok(insert_all(tx, &[run], owner_epoch).await?.is_empty())
}

/// Stores new runs and returns the ids of those that were not stored because their schedule already has a run for that
/// instant.
pub async fn insert_all(tx: &mut Tx, runs: &[&Run], owner_epoch: i64) -> Result<HashSet<RunId>> {
    let rows = runs.iter().map(|run| {
        let missed = run.missed.as_ref();
        row![
            "id" => run.id,
            "schedule_id" => run.schedule_id,
            "schedule_name" => run.schedule_name,
            "host_id" => run.target.host,
            "target_type" => run.target.target_type(),
            "target_name" => run.target_name,
            "target_identity" => run.target.identity_text(),
            "action" => run.action,
            "trigger_kind" => run.trigger,
            "actor_kind" => run.actor.kind,
            "actor_id" => run.actor.id,
            "actor_name" => run.actor.name,
            "due_ms" => run.fire_at,
            "created_ms" => run.created_at,
            "started_ms" => run.started_at,
            "finished_ms" => run.finished_at,
            "state" => run.state,
            "reason" => run.reason,
            "why" => run.why,
            "deadline_ms" => run.deadline_at,
            "attempt" => run.attempt,
            "stop_timeout_s" => run.stop_timeout_seconds,
            "retry_of" => run.retry_of,
            "missed_first_ms" => missed.map(|missed| missed.first),
            "missed_last_ms" => missed.map(|missed| missed.last),
            "missed_count" => missed.map(|missed| missed.count),
            "restore" => run.restore,
            "puts_back" => run.puts_back,
            "also" => also_text(run),
            "guard" => run.guard.as_ref().map(Json),
            "look_at_ms" => run.look_at,
            "busy_until_ms" => run.busy_until,
            "batch_id" => run.batch,
            "leaves" => leaves_text(run),
            "owner_epoch" => owner_epoch,
        ]
    });
    let on_conflict = " ON CONFLICT (schedule_id, due_ms, host_id) DO NOTHING";
    let inserted = rows::insert(tx, "runs", rows.collect(), on_conflict).await?;
    if usize::try_from(inserted).is_ok_and(|inserted| inserted == runs.len()) {
        return Ok(HashSet::new());
    }
    let ids = runs.iter().map(|run| values![run.id]).collect();
    let stored = rows::with_values(
        tx,
        "WITH asked (id) AS (",
        ids,
        ") SELECT runs.id FROM runs JOIN asked ON asked.id = runs.id",
    );
    Ok(missing(runs.iter().map(|run| &run.id), stored.await?))
}

pub async fn get(db: &Db, id: &RunId) -> Result<Option<Run>> {
    sql!("SELECT * FROM runs WHERE id = $1", id).first(db).await
}

/// The runs in a state, oldest first; for the states of runs that have not ended.
pub async fn in_state(db: &Db, state: RunState) -> Result<Vec<Run>> {
    sql!("SELECT * FROM runs WHERE state = $1 ORDER BY id", state).all(db).await
}

/// An open run that does everything that `run` would do: the same action on the same target. A run that only wakes
/// naps, only retries an earlier run, or only puts back some containers does not count, unless `run` is restricted in
/// the same way. A run that waits for its guard counts only if `run` has a guard too; otherwise `run` starts at once
/// and takes its place.
pub async fn open_twin(tx: &mut Tx, run: &Run) -> Result<Option<Run>> {
    let sql = "SELECT * FROM runs WHERE CASE WHEN state IN ('pending', 'executing') THEN 1 ELSE 0 END = 1 \
               AND host_id = $1 AND target_type = $2 AND target_identity = $3 AND action = $4 \
               AND (restore = FALSE OR restore = $5) AND (puts_back = FALSE OR puts_back = $8) \
               AND (retry_of IS NULL OR retry_of = $6) AND ($7 OR state <> 'pending' OR guard IS NULL) \
               AND ($9 IS NULL OR also = $9) AND (leaves IS NULL OR leaves = $10) ORDER BY id LIMIT 1";
    sql!(
        sql,
        run.target.host,
        run.target.target_type(),
        run.target.identity_text(),
        run.action,
        run.restore,
        run.retry_of,
        run.guard.is_some(),
        run.puts_back,
        also_text(run),
        leaves_text(run)
    )
    .first(tx)
    .await
}

/// The id of the run that undoes the run `undone`.
pub async fn undo_of(tx: &mut Tx, undone: &RunId) -> Result<Option<RunId>> {
    // Ids sort by time, and an undo run is created soon after the run that it undoes, or never.
    let sql = "SELECT id FROM runs WHERE id > $1 AND retry_of = $1 AND trigger_kind = $2 ORDER BY id \
               LIMIT 1";
    sql!(sql, undone, Trigger::Undo).first(tx).await
}

/// Clears the fire instant of a skipped run, so that the run `to` of the same schedule can be stored for that instant.
/// `false` if there is no skipped run.
pub async fn give_way(tx: &mut Tx, to: &Run) -> Result<bool> {
    let sql = "UPDATE runs SET due_ms = NULL WHERE schedule_id = $1 AND due_ms = $2 AND host_id = $3 \
               AND state = 'skipped'";
    sql!(sql, to.schedule_id, to.fire_at, to.target.host).hits(tx).await
}

/// The reasons not to store a new run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InTheWay {
    /// An open run that does everything that the new run would do, by the conditions of [`open_twin`]. The new run must
    /// neither put containers back nor start additional ones, since these two conditions are not compared here.
    pub twin: Option<RunId>,
    /// Whether the schedule already has a run for that instant.
    pub is_taken: bool,
}

/// The reasons not to store each of these runs, in the same order.
pub async fn in_the_way(tx: &mut Tx, runs: &[&Run]) -> Result<Vec<InTheWay>> {
    let candidates = (0_i64..).zip(runs).map(|(n, run)| {
        let Run { target, action, restore, retry_of, guard, schedule_id, fire_at, .. } = run;
        let (kind, identity) = (target.target_type(), target.identity_text());
        values![
            n,
            target.host,
            kind,
            identity,
            action,
            restore,
            retry_of,
            guard.is_some(),
            schedule_id,
            fire_at
        ]
    });
    let found = rows::with_values::<(i64, Option<RunId>, bool)>(
        tx,
        CONFLICTS_BEFORE,
        candidates.collect(),
        CONFLICTS_AFTER,
    )
    .await?;
    let mut answers = vec![InTheWay::default(); runs.len()];
    for (n, twin, is_taken) in found {
        if let Some(answer) = usize::try_from(n).ok().and_then(|n| answers.get_mut(n)) {
            *answer = InTheWay { twin, is_taken };
        }
    }
    Ok(answers)
}

/// The statement before the `VALUES` of the new runs.
const CONFLICTS_BEFORE: &str = "WITH asked (n, host_id, target_type, target_identity, action, restore, retry_of, \
    guarded, schedule_id, due_ms) AS (";
/// The statement after them; it returns only runs with a conflict. The condition on the state is that of the index
/// `runs_undone`, which holds only runs that have not ended, because a target may have any number of ended runs.
const CONFLICTS_AFTER: &str = ") SELECT n, twin, is_taken FROM (SELECT n, (SELECT r.id FROM runs r \
     WHERE CASE WHEN r.state IN ('pending', 'executing') THEN 1 ELSE 0 END = 1 AND r.host_id = asked.host_id \
       AND r.target_type = asked.target_type AND r.target_identity = asked.target_identity \
       AND r.action = asked.action AND (r.restore = FALSE OR r.restore = asked.restore) AND r.puts_back = FALSE \
       AND r.leaves IS NULL \
       AND (r.retry_of IS NULL OR r.retry_of = asked.retry_of) \
       AND (asked.guarded OR r.state <> 'pending' OR r.guard IS NULL) ORDER BY r.id LIMIT 1) AS twin, \
     EXISTS (SELECT 1 FROM runs r WHERE r.schedule_id = asked.schedule_id AND r.due_ms = asked.due_ms \
       AND r.host_id = asked.host_id) \
       AS is_taken FROM asked) AS found WHERE is_taken OR twin IS NOT NULL";

/// Starts a pending run, and stores its deadline and its explanation; `false` if the run is no longer pending.
pub async fn begin(tx: &mut Tx, run: &Run, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE runs SET state = 'executing', started_ms = $2, reason = '', why = $3, \
               deadline_ms = $4 WHERE id = $1 AND state = 'pending'";
    sql!(sql, run.id, now, run.why, run.deadline_at).hits(tx).await
}

/// Moves the deadline of a pending run, and resets its number of attempts.
pub async fn extend(db: &Db, id: &RunId, deadline: Timestamp) -> Result<()> {
    let sql = "UPDATE runs SET deadline_ms = $2, attempt = 0 WHERE id = $1 AND state = 'pending'";
    sql!(sql, id, deadline).run_alone(db).await
}

/// Stores that a guard defers a pending run: the reason, the instant of the next check, the end of the wait for a busy
/// target, and the new deadline. The number of attempts is reset.
pub async fn defer(db: &Db, id: &RunId, deferral: &Deferral, deadline: Timestamp) -> Result<()> {
    let sql = "UPDATE runs SET reason = $2, look_at_ms = $3, busy_until_ms = $4, deadline_ms = $5, \
               attempt = 0 WHERE id = $1 AND state = 'pending'";
    sql!(sql, id, deferral.reason, deferral.look_at, deferral.busy_until, deadline).run_alone(db).await
}

/// Stores why a pending run waits, and its number of attempts; `false` if the run is no longer pending.
pub async fn wait(tx: &mut Tx, id: &RunId, reason: &str, attempt: i64) -> Result<bool> {
    let sql = "UPDATE runs SET reason = $2, attempt = $3 WHERE id = $1 AND state = 'pending'";
    sql!(sql, id, reason, attempt).hits(tx).await
}

/// Ends a run; `false` if it had already ended.
pub async fn finish(tx: &mut Tx, id: &RunId, state: RunState, reason: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE runs SET state = $2, reason = $3, finished_ms = $4 WHERE id = $1 \
               AND state IN ('pending', 'executing')";
    sql!(sql, id, state, reason, now).hits(tx).await
}

/// Stores the reason why an executing run waits; empty if it does not wait.
pub async fn note(db: &Db, id: &RunId, reason: &str) -> Result<()> {
    sql!("UPDATE runs SET reason = $2 WHERE id = $1 AND state = 'executing'", id, reason).run_alone(db).await
}

/// Stores the current name of the run's target.
pub async fn rename(tx: &mut Tx, id: &RunId, name: &str) -> Result<()> {
    sql!("UPDATE runs SET target_name = $2 WHERE id = $1", id, name).run(tx).await
}

/// Ends a pending run; `false` if it is no longer pending.
pub async fn end_pending(
    tx: &mut Tx,
    id: &RunId,
    state: RunState,
    reason: &str,
    now: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE runs SET state = $2, reason = $3, finished_ms = $4 WHERE id = $1 \
               AND state = 'pending'";
    sql!(sql, id, state, reason, now).hits(tx).await
}

/// The cron and one-off fires that overrides have suppressed since `since`, oldest first. Pending runs that an override
/// ended are included.
pub async fn suppressed_since(db: &Db, since: Timestamp) -> Result<Vec<Run>> {
    let sql = "SELECT * FROM runs WHERE state = 'skipped' AND reason LIKE 'override:%' \
               AND finished_ms >= $1 AND schedule_id IS NOT NULL AND trigger_kind <> 'window' ORDER BY id";
    sql!(sql, since).all(db).await
}

/// Whether a later run sets or has set the state of the same target, or of the whole stack of services.
pub async fn is_followed(db: &Db, run: &Run) -> Result<bool> {
    let own = run.target.identity_text();
    let whole = run.target.subject.stack().map_or_else(|| own.clone(), str::to_owned);
    let sql = "SELECT COUNT(*) FROM runs WHERE host_id = $1 AND target_type = $2 \
               AND target_identity IN ($3, $5) AND id > $4 AND action <> 'restart' \
               AND state IN ('pending', 'executing', 'succeeded', 'partial', 'failed')";
    let found = sql!(sql, run.target.host, run.target.target_type(), own, run.id, whole);
    Ok(found.one::<i64>(db).await? > 0)
}

/// Deletes the runs that ended before `before`, with their steps, and returns the number of runs. Ids sort by time, so
/// the scan ends at the first run that is not old enough, and costs nothing if no run is old.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM runs WHERE finished_ms < $1 AND state NOT IN ('pending', 'executing') \
               AND id < COALESCE((SELECT id FROM runs WHERE created_ms >= $1 ORDER BY id LIMIT 1), 'z')";
    sql!(sql, before).touched(tx).await
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::engine::Durability;
    use super::*;

    #[tokio::test]
    async fn conflicts_are_looked_up_only_among_runs_that_have_not_ended() {
        let home = tempfile::tempdir().expect("a directory");
        let db = Db::open_sqlite(&home.path().join("docknap.db"), Durability::Full).await.expect("it opens");
        let Db::Sqlite { readers: pool, .. } = &db else { panic!("it is SQLite") };
        let rows = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {CONFLICTS_BEFORE}{rows}{CONFLICTS_AFTER}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.expect("it plans");
        let subqueries: Vec<&str> =
            plan.iter().map(|row| row.3.as_str()).filter(|subquery| subquery.contains(" r ")).collect();
        // The subqueries appear in the condition, and again for the selected columns.
        let [taken, twin, rest @ ..] = &subqueries[..] else { panic!("{plan:?}") };
        assert!(rest.iter().all(|subquery| [taken, twin].contains(&subquery)), "{plan:?}");
        assert!(
            twin.ends_with("INDEX runs_undone (host_id=? AND target_type=? AND target_identity=?)"),
            "{twin}"
        );
        assert!(taken.ends_with("(schedule_id=? AND due_ms=? AND host_id=?)"), "{taken}");
        assert!(!plan.iter().any(|row| row.3.contains("ORDER BY")), "{plan:?}");
    }
}
