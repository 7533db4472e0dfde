//! The record of who did what. Rows are written in the transaction of the change they tell of, and only ever added.

use super::paging::{Page, Paged};
use super::{Actor, App, Result};
use crate::db::{self, Tx};
use crate::domain::audit::{AuditDetail, AuditRow};
use crate::domain::permission::Permission;

/// What an audit row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// `schedule`, `stack`, `container`, `run`, `user`, `session`, `settings`.
    pub kind: &'a str,
    /// Its id, where it has one.
    pub id: Option<&'a str>,
    /// Its name at the time.
    pub name: &'a str,
}

/// Adds a row to `tx`. `event` is `noun.verb`; `outcome` is `ok`, `refused`, `failed`, or a run's terminal state.
///
/// # Errors
/// Where the row cannot be stored: the change it tells of must then not be committed either.
pub async fn record(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    object: Object<'_>,
    outcome: &str,
    detail: AuditDetail,
) -> Result<()> {
    let now = app.clock.now();
    let row = AuditRow {
        id: app.ids.next(now),
        at: now,
        actor: actor.reference.clone(),
        ip: actor.ip.map(|ip| ip.to_string()),
        event: event.to_owned(),
        object_type: object.kind.to_owned(),
        object_id: object.id.map(str::to_owned),
        object_name: object.name.to_owned(),
        outcome: outcome.to_owned(),
        detail,
    };
    Ok(db::audit::insert(tx, &row).await?)
}

/// Which rows are wanted; everything `None` = all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Rows about this kind of thing.
    pub object_type: Option<String>,
    /// Rows about this one thing.
    pub object_id: Option<String>,
    /// Rows of this event, such as `schedule.create`.
    pub event: Option<String>,
}

/// The newest rows first: all of them for admins, for others their own (rulings 21).
///
/// # Errors
/// Where the database cannot be read.
pub async fn list(app: &App, actor: &Actor, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditRow>> {
    actor.require(Permission::View)?;
    let only = if actor.role.allows(Permission::Administer) {
        None
    } else {
        // An actor without an account has no rows of its own; an id nobody has finds none.
        Some(actor.reference.id.as_deref().unwrap_or_default())
    };
    Ok(page.cut(find(app, only, filter, page).await?, |row| row.id.0.clone()))
}

/// The newest rows of what the caller did, whatever their role.
///
/// # Errors
/// Where the database cannot be read.
pub async fn of_actor(app: &App, actor: &Actor, page: &Page) -> Result<Vec<AuditRow>> {
    let only = Some(actor.reference.id.as_deref().unwrap_or_default());
    Ok(page.cut(find(app, only, &AuditFilter::default(), page).await?, |row| row.id.0.clone()).items)
}

async fn find(app: &App, actor: Option<&str>, filter: &AuditFilter, page: &Page) -> Result<Vec<AuditRow>> {
    let wanted = db::audit::Wanted {
        actor_id: actor,
        object_type: filter.object_type.as_deref(),
        object_id: filter.object_id.as_deref(),
        event: filter.event.as_deref(),
        before: page.cursor.as_deref(),
        limit: page.fetch(),
    };
    Ok(db::audit::list(&app.db, &wanted).await?)
}
