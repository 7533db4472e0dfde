//! Figures over runs: how many ended how on which day, and how long they took.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::conditions::uuid_floor;
use super::history::{RunSelection, Sought};
use super::{Db, Result};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::RunState;
use crate::domain::target::Target;

/// How many of the runs made in each stretch of time are in which state: the stretches lie between the instants of
/// `edges`, counted from 0. A state without runs is not among them.
///
/// The cost goes by the runs of that time alone: of any target the index on state and id has all that is asked for, of
/// one it is the target's own runs.
pub async fn outcomes(
    db: &Db,
    wanted: RunSelection<'_>,
    edges: &[Timestamp],
) -> Result<Vec<(usize, RunState, i64)>> {
    if edges.len() < 2 {
        return Ok(Vec::new());
    }
    let mut sought = Sought::new(wanted);
    let bounds: Vec<String> = edges.iter().map(|edge| sought.bind(&uuid_floor(*edge))).collect();
    let stretches: Vec<String> =
        bounds.windows(2).enumerate().map(|(n, pair)| format!("({n}, {}, {})", pair[0], pair[1])).collect();
    let stretches = format!("stretches (n, lo, hi) AS (VALUES {})", stretches.join(", "));
    sought.within("lo", "hi");
    let own = sought.own();
    let sql = if sought.is_of_a_target() {
        let mut found = format!("SELECT n, id, state AS word FROM stretches CROSS JOIN runs WHERE TRUE{own}");
        for touching in sought.touching() {
            let _ = write!(
                found,
                " UNION SELECT n, run_id, (SELECT r.state FROM runs r WHERE r.id = run_id) \
                 FROM stretches CROSS JOIN steps WHERE TRUE{touching}"
            );
        }
        format!(
            "WITH {stretches} SELECT CAST(n AS BIGINT), word, COUNT(*) FROM ({found}) AS found \
             GROUP BY n, word ORDER BY n, word"
        )
    } else {
        let states: Vec<String> =
            RunState::ALL.iter().map(|state| format!("('{}')", state.as_str())).collect();
        format!(
            "WITH {stretches}, states (word) AS (VALUES {}) SELECT CAST(n AS BIGINT), word, COUNT(*) \
             FROM stretches CROSS JOIN states CROSS JOIN runs WHERE state = word{own} GROUP BY n, word \
             ORDER BY n, word",
            states.join(", ")
        )
    };
    let rows = sought.query(sql).all::<(i64, RunState, i64)>(db).await?;
    Ok(rows
        .into_iter()
        .map(|(n, state, count)| (usize::try_from(n).unwrap_or_default(), state, count))
        .collect())
}

/// Whose durations [`paces`] answers.
#[derive(Clone, Copy, Debug)]
pub struct Paced<'a> {
    /// Of this target.
    pub target: &'a Target,
    /// When this was done to it.
    pub action: Action,
    /// Not later than this run.
    pub until: &'a RunId,
}

/// How long the last runs took that did all they set out to do, `each` at most for each of `of`, the newest first:
/// which of `of`, the run's id, and milliseconds.
pub async fn paces(db: &Db, of: &[Paced<'_>], each: u32) -> Result<Vec<(usize, RunId, i64)>> {
    /// More terms than this SQLite does not put together.
    const MOST: usize = 200;
    let mut found = Vec::new();
    for (chunk, of) in of.chunks(MOST).enumerate() {
        let mut values = super::conditions::Conditions::default();
        let terms: Vec<String> = of
            .iter()
            .enumerate()
            .map(|(n, one)| {
                let host = values.bind(&one.target.host);
                let kind = values.bind(&one.target.target_type());
                let identity = values.bind(&one.target.identity_text());
                let action = values.bind(&one.action);
                let until = values.bind(one.until);
                format!(
                    "SELECT * FROM (SELECT CAST({n} AS BIGINT) AS n, id, finished_ms - started_ms AS took FROM runs \
                     WHERE {PACED} AND host_id = {host} AND target_type = {kind} AND target_identity = {identity} \
                     AND action = {action} AND id <= {until} ORDER BY id DESC LIMIT {each}) AS t{n}"
                )
            })
            .collect();
        let sql = terms.join(" UNION ALL ");
        for (n, id, took) in values.built(sql).all::<(i64, RunId, i64)>(db).await? {
            found.push((chunk * MOST + usize::try_from(n).unwrap_or_default(), id, took));
        }
    }
    Ok(found)
}

/// Written as in the index `runs_pace`, so that it is taken.
const PACED: &str = "CASE WHEN state = 'succeeded' AND started_ms IS NOT NULL AND finished_ms IS NOT NULL AND \
    retry_of IS NULL AND SUBSTR(reason, 1, 13) <> 'nothing to do' THEN 1 ELSE 0 END = 1";
