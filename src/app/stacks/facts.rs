//! What the database says about all targets: read once, and kept as long as nothing is written.
//!
//! On SQLite this process is the only one that writes (a lock on the file sees to that), and every write counts once it
//! has happened, whoever still waits for it: what is kept can never be stale. A PostgreSQL database may have other
//! writers, so there it is read each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;

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
    pub(super) touches: HashMap<Target, LastTouch>,
    /// What schedules other than windows do next.
    pub(super) coming: HashMap<Target, NextAction>,
}

/// The facts that were read last.
#[derive(Debug, Default)]
pub struct Kept {
    facts: Mutex<Option<(Mark, Arc<Facts>)>>,
    /// Whoever reads them.
    reading: tokio::sync::Mutex<()>,
}

impl Kept {
    /// The facts that were read last, where nothing was written before that and after `mark`.
    fn since(&self, mark: &Mark) -> Option<Arc<Facts>> {
        let kept = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(read, _)| read.is_since(mark)).map(|(_, facts)| Arc::clone(facts))
    }
}

/// What must be the same for facts to be right still, or newer.
#[derive(Clone, Debug)]
struct Mark {
    /// Writes to the database so far.
    writes: u64,
    /// The dates of calendars are expanded by it.
    day: Date,
    /// The hosts whose naps are in it.
    hosts: usize,
}

impl Mark {
    fn now(app: &App) -> Self {
        let day = app.clock.now().to_zoned(TimeZone::UTC).date();
        Self { writes: db::writes(), day, hosts: app.hosts.all().len() }
    }

    /// Whether what was read at this mark is right for who asked at the other.
    fn is_since(&self, asked: &Self) -> bool {
        self.writes >= asked.writes && self.day == asked.day && self.hosts == asked.hosts
    }
}

impl Facts {
    /// The facts as they are now.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub(in crate::app) async fn get(app: &App) -> Result<Arc<Self>> {
        if matches!(app.db, Db::Pg(_)) {
            return Ok(Arc::new(Self::read(app).await?));
        }
        if let Some(kept) = Self::kept(app) {
            return Ok(kept);
        }
        // Something was written, and every page that is open asks: one reads for all of them. What was read since this
        // one asked is right for it, whatever was written meanwhile.
        let asked = Mark::now(app);
        let _turn = app.facts.reading.lock().await;
        if let Some(kept) = app.facts.since(&asked) {
            return Ok(kept);
        }
        // Before the reading: what is written meanwhile counts after it.
        let mark = Mark::now(app);
        let facts = Arc::new(Self::read(app).await?);
        *app.facts.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some((mark, Arc::clone(&facts)));
        Ok(facts)
    }

    /// The facts, where they are at hand and still right.
    pub(in crate::app) fn kept(app: &App) -> Option<Arc<Self>> {
        app.facts.since(&Mark::now(app))
    }

    /// Windows and overrides alone, as `almanac` reads times: the kept ones, where there is a reason to keep some.
    ///
    /// # Errors
    /// Where the database cannot be read.
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
                coming.entry(schedule.spec.target).or_insert(next);
            }
        }
        Ok(Self {
            rules: Arc::new(rules::load_by(app, &almanac).await?),
            zone: almanac.zone,
            naps,
            touches: touches.into_iter().map(|touch| (touch.target.clone(), touch)).collect(),
            coming,
        })
    }
}
