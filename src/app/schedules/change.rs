//! Every change of a schedule: checked, stored with its audit row in one transaction, and told to the scheduler.

use super::super::{Actor, App, Error, Result};
use super::{Draft, Saved, ScheduleView};
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::schedule::Source;

fn not_yet<T>(_: impl Sized) -> Result<T> {
    Err(Error::Unavailable { message: "not here yet".to_owned() })
}

/// Stores a new schedule.
///
/// # Errors
/// [`Error::Invalid`] naming every field that is wrong; nothing is stored then.
pub async fn create(app: &App, actor: &Actor, draft: &Draft, source: Source) -> Result<Saved> {
    not_yet((app, actor, draft, source))
}

/// Replaces what a schedule says.
///
/// # Errors
/// As [`create`]; [`Error::Stale`] where `rev` is not the stored one; [`Error::Conflict`] for a label's schedule.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &ScheduleId,
    draft: &Draft,
    rev: Option<i64>,
) -> Result<Saved> {
    not_yet((app, actor, id, draft, rev))
}

/// Deletes a schedule; its runs keep its name.
///
/// # Errors
/// As [`update`].
pub async fn delete(app: &App, actor: &Actor, id: &ScheduleId, rev: Option<i64>) -> Result<()> {
    not_yet((app, actor, id, rev))
}

/// Switches a schedule on, from now: time before never fires.
///
/// # Errors
/// As [`update`].
pub async fn enable(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    not_yet((app, actor, id))
}

/// Switches a schedule off.
///
/// # Errors
/// As [`update`].
pub async fn disable(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    not_yet((app, actor, id))
}

/// Drops exactly the next occurrence.
///
/// # Errors
/// As [`update`]; [`Error::Conflict`] where none is coming.
pub async fn skip_next(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    not_yet((app, actor, id))
}

/// Takes a skip back.
///
/// # Errors
/// As [`update`].
pub async fn unskip_next(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    not_yet((app, actor, id))
}

/// Does now what the schedule does.
///
/// # Errors
/// What the execution path refuses.
pub async fn run_now(app: &App, actor: &Actor, id: &ScheduleId) -> Result<RunId> {
    not_yet((app, actor, id))
}
