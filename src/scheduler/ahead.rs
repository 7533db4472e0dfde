//! What is due next, read and planned a moment before it is: at its instant only the claim is left.

use std::time::Duration;

use jiff::Timestamp;

use super::batch::Batch;
use crate::app::{App, Result};
use crate::db::{self, Db};
use crate::domain::ids::HostId;

/// How long before an instant its schedules are read, and how long after it what was read holds.
pub const EARLY: Duration = Duration::from_millis(200);

/// What will be due at an instant. On SQLite nobody else writes (see [`crate::app::Kept`]), so that it holds as long as
/// this process writes nothing; the plans, as long as no host changes either.
#[derive(Debug)]
pub struct Ahead {
    at: Timestamp,
    /// Writes to the database before it was read.
    writes: u64,
    /// What was there before it was planned: [`crate::docker::Hosts::generations`].
    hosts: Vec<(HostId, u64)>,
    batch: Batch,
}

impl Ahead {
    /// Reads and plans what will be due at `next`. `None` on PostgreSQL, where others may write.
    pub async fn read(app: &App, next: Timestamp) -> Result<Option<Self>> {
        if matches!(app.db, Db::Pg(_)) {
            return Ok(None);
        }
        let (writes, hosts) = (db::writes(), app.hosts.generations());
        Ok(Some(Self { at: next, writes, hosts, batch: Batch::read(app, next).await? }))
    }

    /// What is due at `now`: what was read where it still holds. What became due a little later than that is left for the
    /// next pass, as it would be had this one come in time.
    pub async fn batch(self, app: &App, now: Timestamp) -> Result<Batch> {
        let is_near = now >= self.at && now.duration_since(self.at) <= EARLY.try_into().unwrap_or_default();
        if !is_near || db::writes() != self.writes {
            return Batch::read(app, now).await;
        }
        if app.hosts.generations() != self.hosts {
            return self.batch.again(app, now).await;
        }
        let mut batch = self.batch;
        batch.renew_ids(app, now);
        Ok(batch)
    }
}
