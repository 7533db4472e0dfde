//! Runs and steps as they are read back: lists, one with its steps, the last that touched each target.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::columns::Bind;
use super::conditions::{Conditions, uuid_floor};
use super::query::{Query, sql};
use super::read::{ReadRow, Row};
use super::{Db, Result};
use crate::domain::action::Action;
use crate::domain::ids::{HostId, RunId, ScheduleId};
use crate::domain::run::{ActorRef, Run, RunState, Step, Trigger};
use crate::domain::target::{ContainerIdentity, Target};

/// Which runs [`list`] answers; `None` = any.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunSelection<'a> {
    /// On this host.
    pub host: Option<&'a HostId>,
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
    /// Doing this.
    pub action: Option<Action>,
    /// Made by this.
    pub trigger: Option<Trigger>,
    /// Asked for by somebody of this name.
    pub actor: Option<&'a str>,
    /// Made at this instant or later.
    pub from: Option<Timestamp>,
    /// Made before this instant.
    pub to: Option<Timestamp>,
    /// This run and older ones.
    pub upto: Option<&'a str>,
}

/// More looks than this SQLite does not put together: of a target with more containers they are one.
const MOST_LOOKS: usize = 200;

/// Which runs are wanted, as conditions. Ids begin with the instant they were made at, so that a span of time is one of
/// the primary key.
#[derive(Clone, Debug)]
pub(super) struct Sought {
    /// What holds for all of them, but for target and id; and the parameters of everything.
    rest: Conditions,
    /// Of this target; empty = of any.
    own: String,
    /// Of the steps of others that count too, for each container.
    touching: Vec<String>,
    /// Between which ids: `< $3`.
    bounds: Vec<String>,
}

impl Sought {
    /// What is wanted.
    pub fn new(wanted: RunSelection<'_>) -> Self {
        let mut rest = Conditions::default();
        let (mut own, mut touching) = (String::new(), Vec::new());
        if let Some(target) = wanted.target {
            let host = rest.bind(&target.host);
            let kind = rest.bind(&target.target_type());
            let identity = rest.bind(&target.identity_text());
            own = format!(" AND host_id = {host} AND target_type = {kind} AND target_identity = {identity}");
            let looks = if wanted.touching.len() > MOST_LOOKS { wanted.touching.len() } else { 1 };
            touching.extend(wanted.touching.chunks(looks).map(|identities| {
                let identities = rest.bind_all(identities);
                format!(" AND host_id = {host} AND identity IN ({identities})")
            }));
        }
        rest.is("host_id", wanted.host.filter(|_| wanted.target.is_none()));
        rest.is("schedule_id", wanted.schedule);
        rest.is("state", wanted.state);
        if wanted.attention {
            // Written as in the index runs_attention.
            rest.and("CASE WHEN state IN ('failed', 'partial', 'interrupted') THEN 1 ELSE 0 END = 1");
        }
        rest.is("action", wanted.action);
        rest.is("trigger_kind", wanted.trigger);
        rest.is("actor_name", wanted.actor);
        let mut sought = Self { rest, own, touching, bounds: Vec::new() };
        sought.bound(">=", wanted.from.map(uuid_floor));
        sought.bound("<", wanted.to.map(uuid_floor));
        sought.bound("<=", wanted.upto);
        sought
    }

    /// On one side of this id, too.
    pub fn bound(&mut self, sign: &str, id: Option<impl Bind>) {
        if let Some(id) = id {
            let id = self.bind(&id);
            self.bounds.push(format!("{sign} {id}"));
        }
    }

    /// From the id in one column on, and before the one in another.
    pub fn within(&mut self, from: &str, before: &str) {
        self.bounds.extend([format!(">= {from}"), format!("< {before}")]);
    }

    /// Takes a value in, and answers its placeholder.
    pub fn bind(&mut self, value: &(impl Bind + ?Sized)) -> String {
        self.rest.bind(value)
    }

    /// A statement with these parameters.
    pub fn query(self, sql: String) -> Query {
        self.rest.built(sql)
    }

    /// Of one target, or of any.
    pub fn is_of_a_target(&self) -> bool {
        !self.own.is_empty()
    }

    fn between(&self, column: &str) -> String {
        let bounds = self.bounds.iter().map(|bound| format!(" AND {column} {bound}"));
        bounds.collect::<Vec<_>>().concat()
    }

    /// The conditions on a row of `runs`, each after an ` AND `; but for those that only touch the target.
    pub fn own(&self) -> String {
        format!("{}{}{}", self.own, self.rest.sql(), self.between("id"))
    }

    /// The conditions on a row of `steps` of a run that touches the target. Each container is a look of its own along
    /// an index in the order of the list: no index has what one condition OR another holds of.
    pub fn touching(&self) -> impl Iterator<Item = String> {
        let rest = match self.rest.sql() {
            "" => String::new(),
            // A step has no more of its run than the id.
            rest => format!(" AND EXISTS (SELECT 1 FROM runs WHERE id = run_id{rest})"),
        };
        let between = self.between("run_id");
        self.touching.iter().map(move |touching| format!("{touching}{between}{rest}"))
    }

    /// The conditions on a row of `runs`, where the first `most` in an order by id are all that is wanted.
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

/// The newest runs first, older than the run `before`, `limit` at most.
pub async fn list(db: &Db, wanted: RunSelection<'_>, before: Option<&str>, limit: i64) -> Result<Vec<Run>> {
    let mut sought = Sought::new(wanted);
    sought.bound("<", before);
    let sql = format!(
        "SELECT * FROM runs WHERE TRUE{} ORDER BY id DESC LIMIT {limit}",
        sought.first("DESC", limit)
    );
    sought.query(sql).all(db).await
}

/// How many runs are newer than the run `than`, counted up to `most`.
pub async fn newer(db: &Db, wanted: RunSelection<'_>, than: &str, most: i64) -> Result<i64> {
    let mut sought = Sought::new(wanted);
    sought.bound(">", Some(than));
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT id FROM runs WHERE TRUE{} LIMIT {most}) AS newer",
        sought.first("ASC", most)
    );
    sought.query(sql).one(db).await
}

/// The newest run of each schedule that has one, for the schedules named.
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

/// The steps of these runs, in the order they were planned.
pub async fn steps(db: &Db, runs: &[RunId]) -> Result<Vec<Step>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut values = Conditions::default();
    let sql =
        format!("SELECT * FROM steps WHERE run_id IN ({}) ORDER BY run_id, ordinal", values.bind_all(runs));
    values.built(sql).all(db).await
}

/// The last run that changed a target, as the "why" of a page needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTouch {
    pub run_id: RunId,
    /// What it acted on.
    pub target: Target,
    /// What it did.
    pub action: Action,
    /// The schedule that made it, by its name at the time.
    pub schedule_name: Option<String>,
    /// Who asked.
    pub actor: ActorRef,
    pub finished_at: Timestamp,
    /// Something of it failed.
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
       COALESCE(finished_ms, created_ms) AS ended_ms, state = 'partial' AS partly \
     FROM last JOIN runs ON runs.id = last.id"
);

/// The last run that changed each target.
pub async fn last_touches(db: &Db) -> Result<Vec<LastTouch>> {
    sql!(LAST_TOUCHES).all(db).await
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
pub async fn tally(db: &Db, since: Timestamp) -> Result<Tally> {
    const SQL: &str = "SELECT COUNT(*), \
           COALESCE(CAST(SUM(CASE WHEN state IN ('failed', 'partial', 'interrupted') THEN 1 ELSE 0 END) AS BIGINT), \
             0), \
           (SELECT COUNT(*) FROM runs WHERE state IN ('pending', 'executing')) \
         FROM runs WHERE id >= $1 AND created_ms >= $2";
    let (runs, attention, open) = sql!(SQL, uuid_floor(since), since).one(db).await?;
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
