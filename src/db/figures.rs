//! Statistics about runs: the number of runs per state and time range, and the durations of runs.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::conditions::uuid_floor;
use super::history::{RunConditions, RunSelection};
use super::{Db, Result};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::RunState;
use crate::domain::target::Target;

/// The number of runs per time range and state. `edges` are the limits of consecutive time ranges; each item has the
/// index of the range (from 0). States without runs are missing. A run belongs to the range in which it was created.
///
/// The cost depends only on the runs within the time ranges. Without a target, the index on state and id holds
/// everything that is needed; with a target, only the runs of the target are read.
pub async fn outcomes(
    db: &Db,
    wanted: RunSelection<'_>,
    edges: &[Timestamp],
) -> Result<Vec<(usize, RunState, i64)>> {
    if edges.len() < 2 {
        return Ok(Vec::new());
    }
    let mut conditions = RunConditions::new(wanted);
    let bounds: Vec<String> = edges.iter().map(|edge| conditions.bind(&uuid_floor(*edge))).collect();
    let stretches: Vec<String> =
        bounds.windows(2).enumerate().map(|(n, pair)| format!("({n}, {}, {})", pair[0], pair[1])).collect();
    let stretches = format!("stretches (n, lo, hi) AS (VALUES {})", stretches.join(", "));
    conditions.within("lo", "hi");
    let own = conditions.own();
    let sql = if conditions.has_target() {
        let mut found = format!("SELECT n, id, state AS word FROM stretches CROSS JOIN runs WHERE TRUE{own}");
        for touching in conditions.touching() {
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
    let rows = conditions.query(sql).all::<(i64, RunState, i64)>(db).await?;
    Ok(rows
        .into_iter()
        .map(|(n, state, count)| (usize::try_from(n).unwrap_or_default(), state, count))
        .collect())
}

/// A selection of runs for [`paces`].
#[derive(Clone, Copy, Debug)]
pub struct Paced<'a> {
    /// The target of the runs.
    pub target: &'a Target,
    /// The action of the runs.
    pub action: Action,
    /// The newest run that counts; later runs are ignored.
    pub until: &'a RunId,
}

/// The durations of the latest successful runs: at most `each` for each item of `of`, newest first. Each result has the
/// index in `of`, the id of the run, and the duration in milliseconds.
pub async fn paces(db: &Db, of: &[Paced<'_>], each: u32) -> Result<Vec<(usize, RunId, i64)>> {
    /// The number of subqueries per statement; SQLite does not accept many more.
    const MAX_TERMS: usize = 200;
    let mut found = Vec::new();
    for (chunk, of) in of.chunks(MAX_TERMS).enumerate() {
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
                     WHERE {PACE_CONDITION} AND host_id = {host} AND target_type = {kind} \
                     AND target_identity = {identity} AND action = {action} AND id <= {until} \
                     ORDER BY id DESC LIMIT {each}) AS t{n}"
                )
            })
            .collect();
        let sql = terms.join(" UNION ALL ");
        for (n, id, took) in values.built(sql).all::<(i64, RunId, i64)>(db).await? {
            found.push((chunk * MAX_TERMS + usize::try_from(n).unwrap_or_default(), id, took));
        }
    }
    Ok(found)
}

/// Written exactly as in the index `runs_pace`; otherwise the index is not used.
const PACE_CONDITION: &str = "CASE WHEN state = 'succeeded' AND started_ms IS NOT NULL AND finished_ms IS NOT NULL \
    AND retry_of IS NULL AND SUBSTR(reason, 1, 13) <> 'nothing to do' THEN 1 ELSE 0 END = 1";
