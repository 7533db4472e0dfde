//! A user's own preferences for the pages, and their own rows of the audit log.

use super::paging::Page;
use super::{Actor, App, Error, FieldError, Result, audit};
use crate::db;
use crate::domain::audit::AuditRow;
use crate::domain::time;
use crate::domain::user::{ClockFace, Habits, WeekStart};

/// Preferences as typed.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// IANA name; empty = the default zone of the installation.
    pub timezone: String,
    /// Clock format, `24` or `12`.
    pub clock: String,
    /// First day of the week, `mon` or `sun`.
    pub week_start: String,
    /// Whether keyboard shortcuts are enabled.
    pub keys: bool,
}

/// Stores the preferences of the caller. They affect nobody else, so no audit row is written.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; [`Error::NotFound`] where the caller has no account.
pub async fn save(app: &App, actor: &Actor, draft: &Draft) -> Result<()> {
    let mut errors = Vec::new();
    let timezone = Some(draft.timezone.trim()).filter(|zone| !zone.is_empty());
    if let Some(Err(error)) = timezone.map(time::zone) {
        errors.push(FieldError::new("timezone", error.to_string()));
    }
    let clock = ClockFace::parse(&draft.clock);
    if clock.is_none() {
        errors.push(FieldError::new("clock", "use 24 or 12"));
    }
    let week_start = WeekStart::parse(&draft.week_start);
    if week_start.is_none() {
        errors.push(FieldError::new("week_start", "use mon or sun"));
    }
    let (Some(clock), Some(week_start), true) = (clock, week_start, errors.is_empty()) else {
        return Err(Error::Invalid(errors));
    };
    let habits = Habits { clock, week_start, keys: draft.keys };
    let id = actor.user_id();
    let mut tx = app.db.begin().await?;
    if !db::users::set_habits(&mut tx, &id, timezone, habits, app.clock.now()).await? {
        return Err(Error::not_found("user", id.as_str()));
    }
    Ok(tx.commit().await?)
}

/// The newest `limit` audit rows of the caller's own actions.
pub async fn own_rows(app: &App, actor: &Actor, limit: u32) -> Result<Vec<AuditRow>> {
    let page = Page { limit, cursor: None };
    audit::of_actor(app, actor, &page).await
}
