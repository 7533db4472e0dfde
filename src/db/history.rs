//! Queries about past runs: pages of runs with filters, their steps, and the last run that changed each target.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::columns::Bind;
use super::conditions::{Conditions, begins, uuid_floor};
use super::query::{Query, sql};
use super::read::{ReadRow, Row};
use super::{Db, Result};
use crate::domain::action::Action;
use crate::domain::group::{Area, InGroup};
use crate::domain::ids::{BatchId, HostId, RunId, ScheduleId};
use crate::domain::run::{ActorRef, Run, RunState, Step, Trigger};
use crate::domain::target::{ContainerIdentity, Subject, Target};

/// The filter of runs; `None` = any.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunSelection<'a> {
    /// Host of the run.
    pub host: Option<&'a HostId>,
    /// Group that the target is in now, or whose schedule made the run.
    pub group: Option<&'a InGroup>,
    /// Batch of the run.
    pub batch: Option<&'a BatchId>,
    /// Target of the run. With `touching`, a run matches by either of the two.
    pub target: Option<&'a Target>,
    /// Containers on the host of `target`: runs that have a step on one of them match too, whether the step was carried
    /// out or skipped.
    pub touching: &'a [ContainerIdentity],
    /// Schedule that created the run.
    pub schedule: Option<&'a ScheduleId>,
    pub state: Option<RunState>,
    /// Only runs that failed, wholly or in part, or were interrupted.
    pub attention: bool,
    pub action: Option<Action>,
    pub trigger: Option<Trigger>,
    /// Name of the person who requested the run.
    pub actor: Option<&'a str>,
    /// Created at or after this instant.
    pub from: Option<Timestamp>,
    /// Created before this instant.
    pub to: Option<Timestamp>,
    /// Id of the newest run; that run and older ones match.
    pub upto: Option<&'a str>,
}

/// The number of subqueries per statement; SQLite does not accept many more. A target with more containers gets one
/// subquery for all of them.
const MAX_SUBQUERIES: usize = 200;

/// The filter of runs as SQL conditions. Ids begin with the instant of creation, so a time range is a range of the
/// primary key.
#[derive(Clone, Debug)]
pub(super) struct RunConditions {
    /// Conditions on all runs, except target and id. The parameters of all parts are kept here.
    rest: Conditions,
    /// Condition on the run's target; empty = any target.
    own: String,
    /// Conditions on steps that make a run match too: one per container, or one for all.
    touching: Vec<String>,
    /// Limits of the id, such as `< $3`.
    bounds: Vec<String>,
}

impl RunConditions {
    /// The conditions of a filter.
    pub fn new(wanted: RunSelection<'_>) -> Self {
        let mut rest = Conditions::default();
        let (mut own, mut touching) = (String::new(), Vec::new());
        if let Some(target) = wanted.target {
            let kind = rest.bind(&target.target_type());
            let identity = rest.bind(&target.identity_text());
            own = format!(" AND target_type = {kind} AND target_identity = {identity}");
            // The runs of services are found by their steps, unless all containers of the stack are gone.
            if wanted.touching.is_empty() && matches!(target.subject, Subject::Stack(_)) {
                let parts = rest.bind(&format!("{}\n", target.identity_text()));
                let is_part = begins("target_identity", &parts);
                own = format!(" AND target_type = {kind} AND (target_identity = {identity} OR {is_part})");
            }
            // The runs of a group on all hosts.
            let on_host = match target.host.as_str() {
                "" => String::new(),
                _ => format!(" AND host_id = {}", rest.bind(&target.host)),
            };
            own.push_str(&on_host);
            let size = if wanted.touching.len() > MAX_SUBQUERIES { wanted.touching.len() } else { 1 };
            touching.extend(wanted.touching.chunks(size).map(|identities| {
                let identities = rest.bind_all(identities);
                format!("{on_host} AND identity IN ({identities})")
            }));
        }
        rest.is("host_id", wanted.host.filter(|_| wanted.target.is_none()));
        if let Some(group) = wanted.group {
            let holds = rest.group(group).holds_run();
            rest.and(&holds);
        }
        rest.is("batch_id", wanted.batch);
        rest.is("schedule_id", wanted.schedule);
        rest.is("state", wanted.state);
        if wanted.attention {
            // Written as in the index runs_attention.
            rest.and("CASE WHEN state IN ('failed', 'partial', 'interrupted') THEN 1 ELSE 0 END = 1");
        }
        rest.is("action", wanted.action);
        rest.is("trigger_kind", wanted.trigger);
        rest.is("actor_name", wanted.actor);
        let mut conditions = Self { rest, own, touching, bounds: Vec::new() };
        conditions.bound(">=", wanted.from.map(uuid_floor));
        conditions.bound("<", wanted.to.map(uuid_floor));
        conditions.bound("<=", wanted.upto);
        conditions
    }

    /// Adds a limit of the id, such as `<` and an id.
    pub fn bound(&mut self, sign: &str, id: Option<impl Bind>) {
        if let Some(id) = id {
            let id = self.bind(&id);
            self.bounds.push(format!("{sign} {id}"));
        }
    }

    /// Limits the id to the range between two columns: at least `from`, less than `before`.
    pub fn within(&mut self, from: &str, before: &str) {
        self.bounds.extend([format!(">= {from}"), format!("< {before}")]);
    }

    /// Adds a parameter and returns its placeholder.
    pub fn bind(&mut self, value: &(impl Bind + ?Sized)) -> String {
        self.rest.bind(value)
    }

    /// A statement with a text of its own and these parameters.
    pub fn query(self, sql: String) -> Query {
        self.rest.built(sql)
    }

    /// Whether the filter has a target.
    pub fn has_target(&self) -> bool {
        !self.own.is_empty()
    }

    fn between(&self, column: &str) -> String {
        let bounds = self.bounds.iter().map(|bound| format!(" AND {column} {bound}"));
        bounds.collect::<Vec<_>>().concat()
    }

    /// The conditions on a row of `runs`, each preceded by ` AND `. Runs that match only by their steps are not
    /// included.
    pub fn own(&self) -> String {
        format!("{}{}{}", self.own, self.rest.sql(), self.between("id"))
    }

    /// The conditions on a row of `steps` whose run matches by its steps. Each container needs a subquery of its own,
    /// which follows an index in the order of the list: no index serves two conditions joined with OR.
    pub fn touching(&self) -> impl Iterator<Item = String> {
        let rest = match self.rest.sql() {
            "" => String::new(),
            // A step has no column of its run except the id.
            rest => format!(" AND EXISTS (SELECT 1 FROM runs WHERE id = run_id{rest})"),
        };
        let between = self.between("run_id");
        self.touching.iter().map(move |touching| format!("{touching}{between}{rest}"))
    }

    /// The matching runs as a table `matching` of a statement, of which each batch has one line: its newest run there.
    /// `None` where runs match by their steps; they are on one host, where a batch has one run at most.
    fn lines(&self) -> Option<String> {
        self.touching.is_empty().then(|| {
            format!(
                "WITH matching AS NOT MATERIALIZED (SELECT * FROM runs WHERE TRUE{}), \
                 lines AS NOT MATERIALIZED (SELECT * FROM matching WHERE batch_id IS NULL OR NOT EXISTS \
                 (SELECT 1 FROM matching AS newer WHERE newer.batch_id = matching.batch_id \
                 AND newer.id > matching.id))",
                self.own()
            )
        })
    }

    /// The conditions on a row of `runs` for a query of the first `most` runs in the order `order` of their ids.
    fn first(&self, order: &str, most: i64) -> String {
        let own = self.own();
        if self.touching.is_empty() {
            return own;
        }
        let mut ids = format!(
            "SELECT * FROM (SELECT id FROM runs WHERE TRUE{own} ORDER BY id {order} LIMIT {most}) AS own"
        );
        for (n, touching) in self.touching().enumerate() {
            let _ = write!(
                ids,
                " UNION SELECT * FROM (SELECT DISTINCT run_id FROM steps WHERE TRUE{touching} \
                 ORDER BY run_id {order} LIMIT {most}) AS touching{n}"
            );
        }
        format!(" AND id IN ({ids})")
    }
}

/// At most `limit` matching runs, newest first, older than the run `before`.
pub async fn list(db: &Db, wanted: RunSelection<'_>, before: Option<&str>, limit: i64) -> Result<Vec<Run>> {
    let mut conditions = RunConditions::new(wanted);
    conditions.bound("<", before);
    let sql = format!(
        "SELECT * FROM runs WHERE TRUE{} ORDER BY id DESC LIMIT {limit}",
        conditions.first("DESC", limit)
    );
    conditions.query(sql).all(db).await
}

/// At most `limit` lines of the list of matching runs, newest first, older than the run `before`: a run, or the newest
/// matching run of a batch.
pub async fn lines(db: &Db, wanted: RunSelection<'_>, before: Option<&str>, limit: i64) -> Result<Vec<Run>> {
    let mut conditions = RunConditions::new(wanted);
    let Some(lines) = conditions.lines() else { return list(db, wanted, before, limit).await };
    let older = before.map(|id| format!("WHERE id < {}", conditions.bind(id))).unwrap_or_default();
    let sql = format!("{lines} SELECT * FROM lines {older} ORDER BY id DESC LIMIT {limit}");
    conditions.query(sql).all(db).await
}

/// The number of lines that are newer than the run `than`, counted up to `most`.
pub async fn newer(db: &Db, wanted: RunSelection<'_>, than: &str, most: i64) -> Result<i64> {
    let mut conditions = RunConditions::new(wanted);
    if let Some(lines) = conditions.lines() {
        let than = conditions.bind(than);
        let newer = format!("SELECT id FROM lines WHERE id > {than} LIMIT {most}");
        let sql = format!("{lines} SELECT COUNT(*) FROM ({newer}) AS newer");
        return conditions.query(sql).one(db).await;
    }
    conditions.bound(">", Some(than));
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT id FROM runs WHERE TRUE{} LIMIT {most}) AS newer",
        conditions.first("ASC", most)
    );
    conditions.query(sql).one(db).await
}

/// The number of matching runs of each of these batches, by state.
pub async fn states_of_batches(
    db: &Db,
    wanted: RunSelection<'_>,
    batches: &[BatchId],
) -> Result<Vec<(BatchId, RunState, i64)>> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = RunConditions::new(wanted);
    let batches = conditions.rest.bind_all(batches);
    let sql = format!(
        "SELECT batch_id, state, COUNT(*) FROM runs WHERE batch_id IN ({batches}){} GROUP BY batch_id, state",
        conditions.own()
    );
    conditions.query(sql).all(db).await
}

/// At most `each` matching runs of each of these batches, by [`RunState::rank`] and host.
pub async fn of_batches(
    db: &Db,
    wanted: RunSelection<'_>,
    batches: &[BatchId],
    each: u32,
) -> Result<Vec<Run>> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = RunConditions::new(wanted);
    let batches = conditions.rest.bind_all(batches);
    let ranks = RunState::ALL.iter().map(|state| format!("WHEN '{}' THEN {}", state.as_str(), state.rank()));
    let sql = format!(
        "SELECT * FROM (SELECT runs.*, ROW_NUMBER() OVER (PARTITION BY batch_id \
         ORDER BY CASE state {} END, host_id) AS place FROM runs WHERE batch_id IN ({batches}){}) AS placed \
         WHERE place <= {each} ORDER BY batch_id, place",
        ranks.collect::<Vec<_>>().join(" "),
        conditions.own()
    );
    conditions.query(sql).all(db).await
}

/// The newest run of each of these schedules; schedules without a run are missing.
pub async fn last_of_schedules(db: &Db, schedules: &[ScheduleId]) -> Result<Vec<Run>> {
    if schedules.is_empty() {
        return Ok(Vec::new());
    }
    let mut values = Conditions::default();
    let sql = format!(
        "SELECT * FROM runs WHERE id IN (SELECT (SELECT r.id FROM runs r WHERE r.schedule_id = s.id \
         ORDER BY r.id DESC LIMIT 1) FROM schedules s WHERE s.id IN ({}))",
        values.bind_all(schedules)
    );
    values.built(sql).all(db).await
}

/// The steps of these runs, sorted by run and by their order in the plan.
pub async fn steps(db: &Db, runs: &[RunId]) -> Result<Vec<Step>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut values = Conditions::default();
    let sql =
        format!("SELECT * FROM steps WHERE run_id IN ({}) ORDER BY run_id, ordinal", values.bind_all(runs));
    values.built(sql).all(db).await
}

/// The last run that changed a target; pages show it as the reason for the target's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTouch {
    pub run_id: RunId,
    pub target: Target,
    pub action: Action,
    /// Name of the schedule when it created the run.
    pub schedule_name: Option<String>,
    /// The actor who requested the run.
    pub actor: ActorRef,
    pub finished_at: Timestamp,
    /// Whether some part of the run failed.
    pub partly: bool,
}

impl ReadRow for LastTouch {
    const TABLE: &'static str = Run::TABLE;

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            run_id: row.get("id")?,
            target: row.target()?,
            action: row.get("action")?,
            schedule_name: row.get("schedule_name")?,
            actor: row.actor()?,
            finished_at: row.get("ended_ms")?,
            partly: row.get("partly")?,
        })
    }
}

/// A subquery for the first run in the order `$order` that changed its target and fulfils the condition `$which`.
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

/// Goes from target to target along the index `runs_touch`, which holds only the runs that changed their target. The
/// cost depends on the number of targets, not on the number of runs. The condition is written exactly as in that index;
/// otherwise SQLite uses the index on `state` and sorts all successful runs. Each step has three subqueries: for the
/// next name, the next target type, and the next host. A comparison of rows of columns would not do, because SQLite
/// uses only its first column for the index and would read every run of the host at each step.
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
       COALESCE(finished_ms, created_ms) AS ended_ms, state = 'partial' AS partly \
     FROM last JOIN runs ON runs.id = last.id"
);

/// The last run of each target that changed the target.
pub async fn last_touches(db: &Db) -> Result<Vec<LastTouch>> {
    sql!(LAST_TOUCHES).all(db).await
}

/// Counts of runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs created since an instant, in any state.
    pub runs: i64,
    /// Those of them that failed, wholly or in part, or were interrupted.
    pub attention: i64,
    /// Runs that have not ended, whenever they were created.
    pub open: i64,
}

/// Counts the runs that were created at or after `since`. Ids sort by time, so the primary key finds them.
pub async fn tally(db: &Db, area: &Area, since: Timestamp) -> Result<Tally> {
    let (host, group) = (area.host.as_ref(), area.group.as_ref());
    let mut conditions = RunConditions::new(RunSelection { host, group, ..RunSelection::default() });
    let own = conditions.own();
    let (floor, since) = (conditions.bind(&uuid_floor(since)), conditions.bind(&since));
    let sql = format!(
        "SELECT COUNT(*), \
           COALESCE(CAST(SUM(CASE WHEN state IN ('failed', 'partial', 'interrupted') THEN 1 ELSE 0 END) AS BIGINT), \
             0), \
           (SELECT COUNT(*) FROM runs WHERE state IN ('pending', 'executing'){own}) \
         FROM runs WHERE id >= {floor} AND created_ms >= {since}{own}"
    );
    let (runs, attention, open) = conditions.query(sql).one(db).await?;
    Ok(Tally { runs, attention, open })
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::engine::Durability;
    use super::*;

    #[tokio::test]
    async fn the_last_touches_are_found_without_the_runs_that_changed_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let db = Db::open_sqlite(&home.path().join("docknap.db"), Durability::Full).await.expect("it opens");
        let Db::Sqlite { readers: pool, .. } = &db else { panic!("it is SQLite") };
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {LAST_TOUCHES}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.expect("it plans");
        let subqueries: Vec<&str> = plan
            .iter()
            .map(|row| row.3.as_str())
            .filter(|subquery| subquery.contains(" r ") || subquery.ends_with(" r"))
            .collect();
        assert_eq!(subqueries.len(), 4, "{plan:?}");
        assert!(subqueries.iter().all(|subquery| subquery.contains("INDEX runs_touch")), "{subqueries:?}");
        // Each subquery continues from the previous target and uses all known columns for the search.
        for (subquery, seek) in subqueries[1..].iter().zip([
            "(host_id=? AND target_type=? AND target_identity<?)",
            "(host_id=? AND target_type<?)",
            "(host_id<?)",
        ]) {
            assert!(subquery.starts_with("SEARCH") && subquery.ends_with(seek), "{subqueries:?}");
        }
    }
}
