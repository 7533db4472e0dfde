//! The zone in which a schedule is read when it names none.
//!
//! Configuration wins over what was chosen at setup, and both over UTC (rulings 25).

use jiff::tz::TimeZone;

use super::rulebook::RuleBook;
use super::{App, Result};
use crate::db;
use crate::domain::time::zone;

/// The settings key of the zone chosen at setup.
pub const KEY: &str = "timezone";

/// A zone that can be named.
#[derive(Clone, Debug)]
pub struct NamedZone {
    /// Its IANA name.
    pub name: String,
    /// What it computes.
    pub zone: TimeZone,
}

impl NamedZone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

/// The zone used where a schedule names none: `TZ`, else the one chosen at setup, else UTC.
pub async fn default_zone(app: &App) -> Result<NamedZone> {
    Ok(RuleBook::load(app).await?.zone.clone())
}

/// As [`default_zone`], from the database.
pub(super) async fn read(app: &App) -> Result<NamedZone> {
    let name = match &app.config.timezone {
        Some(name) => Some(name.clone()),
        None => db::settings::get(&app.db, KEY).await?,
    };
    let named = name.and_then(|name| Some(NamedZone { zone: zone(&name).ok()?, name }));
    Ok(named.unwrap_or_else(NamedZone::utc))
}

/// The zone a schedule is read in: its own, else `default`. A stored name that the zone database no longer knows
/// falls back to `default` too; saving would have refused it.
pub fn effective(own: Option<&str>, default: &NamedZone) -> NamedZone {
    own.and_then(|name| Some(NamedZone { name: name.to_owned(), zone: zone(name).ok()? }))
        .unwrap_or_else(|| default.clone())
}
