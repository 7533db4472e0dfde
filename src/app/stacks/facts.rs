//! What the database says about all targets.

use std::collections::HashMap;
use std::sync::Arc;

use super::{NextAction, inventories, next_action};
use crate::app::almanac::Almanac;
use crate::app::zone::NamedZone;
use crate::app::{App, Result, rules};
use crate::db::history::LastTouch;
use crate::db::{self, Db};
use crate::domain::desired::Rules;
use crate::domain::ids::HostId;
use crate::domain::nap::Naps;
use crate::domain::target::Target;

/// What the database says about all targets.
#[derive(Debug)]
pub struct Facts {
    /// The zone of sentences.
    pub zone: NamedZone,
    /// Windows and overrides.
    pub rules: Arc<Rules>,
    /// What naps.
    pub(super) naps: HashMap<HostId, Naps>,
    /// The last run that changed each target.
    pub(super) touches: HashMap<Target, Arc<LastTouch>>,
    /// What schedules other than windows do next.
    pub(super) coming: HashMap<Target, Arc<NextAction>>,
}

impl Facts {
    /// The facts as they are now.
    pub(in crate::app) async fn get(app: &App) -> Result<Arc<Self>> {
        app.facts.get(app, async || Self::read(app).await).await
    }

    /// Windows and overrides alone, as `almanac` reads times: the kept ones, where there is a reason to keep some.
    pub(in crate::app) async fn rules(app: &App, almanac: &Almanac) -> Result<Arc<Rules>> {
        Ok(match app.db {
            Db::Sqlite { .. } => Arc::clone(&Self::get(app).await?.rules),
            Db::Pg(_) => Arc::new(rules::load_by(app, almanac).await?),
        })
    }

    async fn read(app: &App) -> Result<Self> {
        let mut naps = HashMap::new();
        for host in inventories(app).into_iter().map(|inventory| inventory.host) {
            naps.insert(host.clone(), db::naps::of_host(&app.db, &host).await?);
        }
        let touches = db::history::last_touches(&app.db).await?;
        let almanac = Almanac::load(app).await?;
        let mut coming = HashMap::new();
        // What a window does next is told by what is wanted.
        let due = db::schedules::coming_per_target(&app.db).await?;
        for schedule in due.into_iter().filter(|schedule| !schedule.is_window()) {
            if let Some(next) = next_action(&schedule, &almanac) {
                coming.entry(schedule.spec.target).or_insert_with(|| Arc::new(next));
            }
        }
        Ok(Self {
            rules: Arc::new(rules::load_by(app, &almanac).await?),
            zone: almanac.zone,
            naps,
            touches: touches.into_iter().map(|touch| (touch.target.clone(), Arc::new(touch))).collect(),
            coming,
        })
    }
}
