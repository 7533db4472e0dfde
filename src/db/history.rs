//! Runs and steps as they are read back: lists, one with its steps, the last that touched each target.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::runs::RunRow;
use super::steps::StepRow;
use super::{Db, DbError, Result, on_db};
use crate::domain::action::Action;
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::run::{ActorRef, Run, RunState, Step};
use crate::domain::schedule::Schedule;
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::time::{from_ms, to_ms};

/// Which runs [`list`] answers; `None` = any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Of this target …
    pub target: Option<&'a Target>,
    /// … or with a step on one of these containers of its host, done or left out.
    pub touching: &'a [ContainerIdentity],
    /// Made by this schedule.
    pub schedule: Option<&'a ScheduleId>,
    /// In this state.
    pub state: Option<RunState>,
    /// Failed, wholly or in part, or cut off.
    pub attention: bool,
}

/// The newest runs first, older than the run `before`, `limit` at most.
///
/// # Errors
/// What the engine answered; [`DbError::Damaged`] for a row this program never wrote.
pub async fn list(db: &Db, wanted: Wanted<'_>, before: Option<&str>, limit: i64) -> Result<Vec<Run>> {
    let touching = match wanted.touching.len() {
        0 => String::new(),
        // Only placeholders are put together here.
        count => format!(
            " OR id IN (SELECT run_id FROM steps WHERE host_id = $1 AND identity IN ({}))",
            placeholders(9..9 + count)
        ),
    };
    let sql = format!(
        "SELECT * FROM runs WHERE ($1 IS NULL OR host_id = $1) \
         AND ($2 IS NULL OR (target_type = $2 AND target_identity = $3){touching}) \
         AND ($4 IS NULL OR schedule_id = $4) AND ($5 IS NULL OR state = $5) \
         AND ($6 = FALSE OR state IN ('failed', 'partial', 'interrupted')) \
         AND ($7 IS NULL OR id < $7) ORDER BY id DESC LIMIT $8"
    );
    let identity = wanted.target.map(Target::identity_text);
    let rows: Vec<RunRow> = on_db!(db, pool => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql))
            .bind(wanted.target.map(|target| target.host.as_str()))
            .bind(wanted.target.map(|target| target.target_type().as_str()))
            .bind(identity.as_deref())
            .bind(wanted.schedule.map(ScheduleId::as_str))
            .bind(wanted.state.map(RunState::as_str))
            .bind(wanted.attention)
            .bind(before)
            .bind(limit);
        for identity in wanted.touching {
            query = query.bind(identity.to_text());
        }
        query.fetch_all(pool)
    })?;
    rows.into_iter().map(Run::try_from).collect()
}

/// The newest run of each schedule that has one, for the schedules named.
///
/// # Errors
/// As [`list`].
pub async fn last_of_schedules(db: &Db, schedules: &[ScheduleId]) -> Result<Vec<Run>> {
    if schedules.is_empty() {
        return Ok(Vec::new());
    }
    // Only placeholders are put together here.
    let sql = format!(
        "SELECT * FROM runs WHERE id IN (SELECT MAX(id) FROM runs WHERE schedule_id IN ({}) GROUP BY schedule_id)",
        placeholders(1..1 + schedules.len())
    );
    let rows: Vec<RunRow> = on_db!(db, pool => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for id in schedules {
            query = query.bind(id.as_str());
        }
        query.fetch_all(pool)
    })?;
    rows.into_iter().map(Run::try_from).collect()
}

/// The steps of these runs, in the order they were planned.
///
/// # Errors
/// What the engine answered; [`DbError::Damaged`] for a row this program never wrote.
pub async fn steps(db: &Db, runs: &[RunId]) -> Result<Vec<Step>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    // Only placeholders are put together here.
    let sql = format!(
        "SELECT * FROM steps WHERE run_id IN ({}) ORDER BY run_id, ordinal",
        placeholders(1..1 + runs.len())
    );
    let rows: Vec<StepRow> = on_db!(db, pool => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for id in runs {
            query = query.bind(id.as_str());
        }
        query.fetch_all(pool)
    })?;
    rows.into_iter().map(Step::try_from).collect()
}

/// `$1, $2, …`
fn placeholders(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// The last run that changed a target, as the "why" of a page needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTouch {
    /// Its id.
    pub run_id: RunId,
    /// What it acted on.
    pub target: Target,
    /// What it did.
    pub action: Action,
    /// The schedule that made it, by its name at the time.
    pub schedule_name: Option<String>,
    /// Who asked.
    pub actor: ActorRef,
    /// When it ended.
    pub finished_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct TouchRow {
    id: String,
    host_id: String,
    target_type: String,
    target_identity: String,
    action: String,
    schedule_name: Option<String>,
    actor_kind: String,
    actor_id: Option<String>,
    actor_name: String,
    finished_ms: Option<i64>,
    created_ms: i64,
}

/// The newest run of the last target, in an order, of those that a condition lets through.
macro_rules! touch {
    ($which:expr, $order:expr) => {
        concat!(
            "SELECT r.id FROM runs r \
             WHERE CASE WHEN r.state IN ('succeeded', 'partial') THEN 1 ELSE 0 END = 1 AND ",
            $which,
            " ORDER BY ",
            $order,
            ", r.id DESC LIMIT 1"
        )
    };
}

/// Steps from target to target on the index `runs_touch`, which holds such runs alone: the cost goes by the number of
/// targets, not of runs, nor of those that changed nothing. The condition is written as in that index, so that SQLite
/// does not take the index on `state` and sort all that succeeded. Of a comparison of rows of columns it would seek the
/// first column alone, and walk through every run of the host at each step: hence one look for the next name, one for
/// the next kind of target, one for the next host.
const LAST_TOUCHES: &str = concat!(
    "WITH RECURSIVE last (id) AS (SELECT (",
    touch!("TRUE", "r.host_id DESC, r.target_type DESC, r.target_identity DESC"),
    ") UNION ALL SELECT COALESCE((",
    touch!(
        "r.host_id = c.host_id AND r.target_type = c.target_type AND r.target_identity < c.target_identity",
        "r.target_identity DESC"
    ),
    "), (",
    touch!(
        "r.host_id = c.host_id AND r.target_type < c.target_type",
        "r.target_type DESC, r.target_identity DESC"
    ),
    "), (",
    touch!("r.host_id < c.host_id", "r.host_id DESC, r.target_type DESC, r.target_identity DESC"),
    ")) FROM last JOIN runs c ON c.id = last.id) \
     SELECT runs.id, host_id, target_type, target_identity, action, schedule_name, actor_kind, actor_id, actor_name, \
       finished_ms, created_ms \
     FROM last JOIN runs ON runs.id = last.id"
);

/// The last run that changed each target.
///
/// # Errors
/// As [`list`].
pub async fn last_touches(db: &Db) -> Result<Vec<LastTouch>> {
    let rows: Vec<TouchRow> = on_db!(db, pool => sqlx::query_as(LAST_TOUCHES).fetch_all(pool))?;
    rows.into_iter()
        .map(|row| {
            let damaged =
                |what: &str| DbError::Damaged { table: "runs", id: row.id.clone(), what: what.to_owned() };
            Ok(LastTouch {
                target: Schedule::target_from_columns(&row.host_id, &row.target_type, &row.target_identity)
                    .ok_or_else(|| damaged("target"))?,
                action: row.action.parse().map_err(|_| damaged("action"))?,
                run_id: RunId(row.id),
                schedule_name: row.schedule_name,
                actor: ActorRef { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
                finished_at: from_ms(row.finished_ms.unwrap_or(row.created_ms)),
            })
        })
        .collect()
}

/// How many runs began since an instant, and how many of them need attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs of any state.
    pub runs: i64,
    /// Failed, wholly or in part, or cut off.
    pub attention: i64,
    /// Not ended yet, however old.
    pub open: i64,
}

/// Counts the runs made since `since`, an id of which is `first_id` or later: ids sort by time, so the primary key
/// finds them.
///
/// # Errors
/// What the engine answered.
pub async fn tally(db: &Db, since: Timestamp) -> Result<Tally> {
    const SQL: &str = "SELECT COUNT(*), \
           COALESCE(CAST(SUM(CASE WHEN state IN ('failed', 'partial', 'interrupted') THEN 1 ELSE 0 END) AS BIGINT), 0), \
           (SELECT COUNT(*) FROM runs WHERE state IN ('pending', 'executing')) \
         FROM runs WHERE id >= $1 AND created_ms >= $2";
    let ms = to_ms(since);
    let first_id = uuid_floor(ms);
    let (runs, attention, open): (i64, i64, i64) =
        on_db!(db, pool => sqlx::query_as(SQL).bind(first_id).bind(ms).fetch_one(pool))?;
    Ok(Tally { runs, attention, open })
}

/// The smallest id that could have been made at `ms`: `UUIDv7` begins with 48 bits of milliseconds.
fn uuid_floor(ms: i64) -> String {
    let hex = format!("{:012x}", ms.max(0));
    format!("{}-{}-0000-0000-000000000000", &hex[..8], &hex[8..12])
}

#[cfg(test)]
mod tests {
    use super::super::engine::Durability;
    use super::*;

    #[tokio::test]
    async fn the_last_touches_are_found_without_the_runs_that_changed_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let db = Db::open_sqlite(&home.path().join("docknap.db"), Durability::Full).await.expect("it opens");
        let Db::Sqlite { readers: pool, .. } = &db else { panic!("it is SQLite") };
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {LAST_TOUCHES}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.expect("it plans");
        let looks: Vec<&str> = plan
            .iter()
            .map(|row| row.3.as_str())
            .filter(|look| look.contains(" r ") || look.ends_with(" r"))
            .collect();
        assert_eq!(looks.len(), 4, "{plan:?}");
        assert!(looks.iter().all(|look| look.contains("INDEX runs_touch")), "{looks:?}");
        // Each step begins where the last one ended, and names all columns it knows.
        for (look, seek) in looks[1..].iter().zip([
            "(host_id=? AND target_type=? AND target_identity<?)",
            "(host_id=? AND target_type<?)",
            "(host_id<?)",
        ]) {
            assert!(look.starts_with("SEARCH") && look.ends_with(seek), "{looks:?}");
        }
    }
}
