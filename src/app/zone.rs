//! The zone in which a schedule is read when it names none.

use super::rulebook::RuleBook;
use super::{App, Result};
pub use crate::db::settings::TIMEZONE as KEY;
pub use crate::domain::zone::NamedZone;

/// The zone used where a schedule names none: `TZ`, else the one chosen at setup, else UTC.
pub async fn default_zone(app: &App) -> Result<NamedZone> {
    Ok(RuleBook::load(app).await?.zone.clone())
}
