//! What windows and overrides last made of each container.

use jiff::Timestamp;

use super::rows::{self, row};
use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::applied::{Applied, AppliedStates};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;
use crate::domain::time::{from_ms, to_ms};
use crate::domain::window::Phase;

/// What was last applied on a host.
pub async fn of_host(db: &Db, host: &HostId) -> Result<AppliedStates> {
    read(on_db!(db, pool => sqlx::query_as(OF_HOST).bind(host.as_str()).fetch_all(pool))?)
}

/// As [`of_host`], inside a transaction that goes on to change it.
pub async fn of_host_in(tx: &mut Tx, host: &HostId) -> Result<AppliedStates> {
    read(on_tx!(tx, conn => sqlx::query_as(OF_HOST).bind(host.as_str()).fetch_all(conn))?)
}

const OF_HOST: &str = "SELECT identity, state, at_ms, settled, put_back_ms, put_backs, was, puts_back FROM applied WHERE host_id = $1";

type Row = (String, String, i64, bool, Option<i64>, i64, Option<String>, bool);

fn read(rows: Vec<Row>) -> Result<AppliedStates> {
    rows.into_iter()
        .map(|(identity, state, at, settled, put_back, put_backs, was, puts_back)| {
            let damaged = |what: &str| DbError::Damaged {
                table: "applied",
                id: identity.clone(),
                what: what.to_owned(),
            };
            let applied = Applied {
                state: Phase::parse(&state).ok_or_else(|| damaged("its state"))?,
                at: from_ms(at),
                settled,
                put_back_at: put_back.map(from_ms),
                put_backs,
                was: was.map(|was| Phase::parse(&was).ok_or_else(|| damaged("how it was"))).transpose()?,
                puts_back,
            };
            Ok((ContainerIdentity::parse(&identity).ok_or_else(|| damaged("its container"))?, applied))
        })
        .collect()
}

/// Stores what was applied to a container, in place of what was before.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, applied: &Applied) -> Result<()> {
    let row = row![
        "state" => applied.state.as_str(),
        "at_ms" => to_ms(applied.at),
        "settled" => applied.settled,
        "put_back_ms" => applied.put_back_at.map(to_ms),
        "put_backs" => applied.put_backs,
        "was" => applied.was.map(Phase::as_str),
        "puts_back" => applied.puts_back,
    ];
    rows::put(tx, "applied", rows::container(host, identity), row).await
}

/// The run that was to make it so failed for this container. Where something else was applied since, nothing changes.
pub async fn mark_unapplied(
    tx: &mut Tx,
    host: &HostId,
    identity: &ContainerIdentity,
    state: Phase,
) -> Result<()> {
    exec_tx!(
        tx,
        "UPDATE applied SET settled = FALSE WHERE host_id = $1 AND identity = $2 AND state = $3 AND settled = TRUE",
        host.as_str(),
        identity.to_text(),
        state.as_str()
    )?;
    Ok(())
}

/// Nothing says any more what the container should be.
pub async fn remove(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity) -> Result<()> {
    exec_tx!(
        tx,
        "DELETE FROM applied WHERE host_id = $1 AND identity = $2",
        host.as_str(),
        identity.to_text()
    )?;
    Ok(())
}

/// The next instant at which something is put back.
pub async fn next_put_back(db: &Db) -> Result<Option<Timestamp>> {
    let (ms,): (Option<i64>,) =
        on_db!(db, pool => sqlx::query_as("SELECT MIN(put_back_ms) FROM applied").fetch_one(pool))?;
    Ok(ms.map(from_ms))
}
