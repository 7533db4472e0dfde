//! What windows and overrides last made of each container.

use jiff::Timestamp;

use super::{Db, DbError, Result, Tx, exec_tx, on_db, on_tx};
use crate::domain::applied::{Applied, AppliedStates};
use crate::domain::ids::HostId;
use crate::domain::target::ContainerIdentity;
use crate::domain::time::{from_ms, to_ms};
use crate::domain::window::Mood;

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
                state: Mood::parse(&state).ok_or_else(|| damaged("its state"))?,
                at: from_ms(at),
                settled,
                put_back_at: put_back.map(from_ms),
                put_backs,
                was: was.map(|was| Mood::parse(&was).ok_or_else(|| damaged("how it was"))).transpose()?,
                puts_back,
            };
            Ok((ContainerIdentity::parse(&identity).ok_or_else(|| damaged("its container"))?, applied))
        })
        .collect()
}

/// Stores what was applied to a container, in place of what was before.
pub async fn put(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, applied: &Applied) -> Result<()> {
    exec_tx!(
        tx,
        "INSERT INTO applied (host_id, identity, state, at_ms, settled, put_back_ms, put_backs, was, \
         puts_back) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (host_id, identity) DO UPDATE \
         SET state = excluded.state, at_ms = excluded.at_ms, settled = excluded.settled, \
         put_back_ms = excluded.put_back_ms, put_backs = excluded.put_backs, was = excluded.was, \
         puts_back = excluded.puts_back",
        host.as_str(),
        identity.to_text(),
        applied.state.as_str(),
        to_ms(applied.at),
        applied.settled,
        applied.put_back_at.map(to_ms),
        applied.put_backs,
        applied.was.map(Mood::as_str),
        applied.puts_back,
    )?;
    Ok(())
}

/// The run that was to make it so failed for this container. Where something else was applied since, nothing changes.
pub async fn unsettle(tx: &mut Tx, host: &HostId, identity: &ContainerIdentity, state: Mood) -> Result<()> {
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
