//! What is wanted of everything, and what naps, as one pass sees it: read once, then asked for each run.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::almanac::Almanac;
use super::{App, Result, rules};
use crate::db;
use crate::domain::desired::Rules;
use crate::domain::ids::HostId;
use crate::domain::nap::Naps;

/// Windows, overrides and naps of one moment.
#[derive(Debug)]
pub struct Outlook {
    /// Windows and overrides.
    pub rules: Rules,
    /// The zone of sentences.
    pub zone: TimeZone,
    naps: HashMap<HostId, Naps>,
}

impl Outlook {
    /// Reads everything.
    pub async fn load(app: &App) -> Result<Self> {
        let mut naps = HashMap::new();
        for host in app.hosts.all() {
            naps.insert(host.id().clone(), db::naps::of_host(&app.db, host.id()).await?);
        }
        let almanac = Almanac::load(app).await?;
        Ok(Self { rules: rules::load_by(app, &almanac).await?, zone: almanac.zone.zone, naps })
    }

    /// Reads anew what naps on a host.
    pub async fn read_naps(&mut self, app: &App, host: &HostId) -> Result<()> {
        self.naps.insert(host.clone(), db::naps::of_host(&app.db, host).await?);
        Ok(())
    }

    /// What naps on a host, where it is known.
    pub fn naps(&self, host: &HostId) -> Option<&Naps> {
        self.naps.get(host)
    }
}
