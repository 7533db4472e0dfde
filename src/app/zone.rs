//! The default time zone, in which schedules without a zone of their own are read.

use super::rulebook::RuleBook;
use super::{App, Result};
pub use crate::db::settings::TIMEZONE as KEY;
pub use crate::domain::zone::NamedZone;

/// The default zone: `TZ`, otherwise the zone chosen at setup, otherwise UTC.
pub async fn default_zone(app: &App) -> Result<NamedZone> {
    Ok(RuleBook::load(app).await?.zone.clone())
}
