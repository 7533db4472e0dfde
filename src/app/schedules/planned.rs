//! Schedules of a rules file: checked first, stored later in one transaction with the other items of the file.

use super::change::{anew, changed, changes, deleted, insert_in, replace_in, stale, touch};
use super::check::check;
use super::draft::Draft;
use crate::app::audit::Audit;
use crate::app::draft::Field;
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Result};
use crate::db::{self, Tx};
use crate::domain::audit::Change;
use crate::domain::host::id_from;
use crate::domain::schedule::{Schedule, Source};

/// A schedule as it will be stored, with warnings for the user.
#[derive(Clone, Debug)]
pub(in crate::app) struct Planned {
    /// Equal to the old one where nothing changes.
    pub schedule: Schedule,
    pub warnings: Vec<String>,
}

/// The schedule of a draft, in the place of `old` where there is one. A new one has `source`.
///
/// # Errors
/// [`Error::Invalid`](crate::app::Error::Invalid) with every field that is wrong.
pub(in crate::app) fn planned(
    app: &App,
    actor: &Actor,
    draft: &Draft,
    old: Option<&Schedule>,
    source: Source,
    book: &RuleBook,
) -> Result<Planned> {
    let now = app.clock.now();
    let (spec, warnings) = check(app, draft, book, old, now)?;
    let schedule = match old {
        None => anew(app, actor, spec, source, book),
        Some(old) if old.spec == spec => old.clone(),
        Some(old) => {
            let mut new = Schedule { spec, ..old.clone() };
            touch(&mut new, book, now);
            new
        }
    };
    Ok(Planned { schedule, warnings })
}

/// Stores a new schedule, or the new settings of `old`.
pub(in crate::app) async fn put_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    old: Option<&Schedule>,
    new: &Schedule,
) -> Result<()> {
    match old {
        None => insert_in(tx, app, actor, new).await,
        Some(old) => replace_in(tx, app, actor, "schedule.update", old, new).await,
    }
}

/// Deletes a schedule; its runs keep its name.
pub(in crate::app) async fn delete_in(tx: &mut Tx, app: &App, actor: &Actor, old: &Schedule) -> Result<()> {
    replace_in(tx, app, actor, "schedule.delete", old, &deleted(old, app.clock.now())).await
}

/// Disables a schedule; the audit row says why.
pub(in crate::app) async fn switch_off_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    old: &Schedule,
    book: &RuleBook,
    reason: &str,
) -> Result<()> {
    let mut new = old.clone();
    new.spec.enabled = false;
    touch(&mut new, book, app.clock.now());
    if !db::schedules::update(tx, &new, old.rev).await? {
        return Err(stale(tx, &old.id).await?);
    }
    let row = Audit::new(app, actor, "schedule.disable");
    let row = row.object("schedule", Some(new.id.as_str()), &new.title()).on(&new.spec.target.host);
    row.changes(changed_fields(old, &new)).reason(reason).store(tx).await
}

/// The fields that differ between two versions of a schedule.
pub(in crate::app) fn changed_fields(old: &Schedule, new: &Schedule) -> Vec<Change> {
    changes(Some(old), Some(new))
}

/// The key of a schedule in a file before it is numbered: made from the name, or else from what it does.
pub(in crate::app) fn slug_base(name: &str, deed: &str) -> String {
    [id_from(name), id_from(deed)].into_iter().find(|id| !id.is_empty()).unwrap_or_else(|| "rule".to_owned())
}

impl Draft {
    /// As [`slug_base`], for a schedule that is not stored.
    pub(in crate::app) fn slug_base(&self) -> String {
        let deed = if super::timing::names_window(self) { Some("sleep") } else { self.action.text() };
        slug_base(self.name.text().unwrap_or_default(), deed.unwrap_or_default())
    }
}

/// Notifies the scheduler and the browsers that schedules have changed.
pub(in crate::app) fn tell(app: &App) {
    changed(app);
}
