//! A schedule copied or moved to another host, for the stack or container of the same name there or for another one.

use super::change::{self, Saved};
use super::draft::{Draft, joined};
use super::target::{self, Found};
use super::view::stored;
use crate::app::draft::{Faults, Field};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Error, Result};
use crate::domain::ids::ScheduleId;
use crate::domain::permission::Permission;
use crate::domain::schedule::{Schedule, ScheduleSpec, Source};
use crate::domain::target::{Subject, Target};

/// The place to which a schedule is copied or moved.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Id of the host.
    pub host: String,
    /// Name or key of the stack or container there; without it, the one that is called as the present one.
    pub target: Option<String>,
    /// Accepts a target that does not exist yet.
    pub allow_missing: bool,
}

/// Stores a copy of a schedule for a target on another host. It is on or off as the original, acts from its next change
/// on, and belongs to the caller; the original stays.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] where there is no such host or target, or the original is there already.
pub async fn copy(
    app: &App,
    actor: &Actor,
    id: &ScheduleId,
    to: &Elsewhere,
    source: Source,
) -> Result<Saved> {
    actor.require(Permission::Operate)?;
    let old = stored(app, id).await?;
    let book = RuleBook::load(app).await?;
    let (spec, warnings) = aim(app, &old, to, &book)?;
    change::insert(app, actor, spec, warnings, &Draft { from_next: true, ..Draft::default() }, source, &book)
        .await
}

/// Moves a schedule to a target on another host: it stays on or off and acts from its next change on. Its runs stay in
/// the list, and overrides stay with the old target.
///
/// # Errors
/// As [`copy`]; [`Error::Stale`] where `rev` is not the stored revision; [`Error::Conflict`] for a schedule that a
/// container label defines.
pub async fn move_to(
    app: &App,
    actor: &Actor,
    id: &ScheduleId,
    to: &Elsewhere,
    rev: Option<i64>,
) -> Result<Saved> {
    actor.require(Permission::Operate)?;
    let old = stored(app, id).await?;
    change::writable(&old)?;
    change::fresh(&old, rev)?;
    let book = RuleBook::load(app).await?;
    let (spec, warnings) = aim(app, &old, to, &book)?;
    let draft = Draft { from_next: true, ..Draft::default() };
    change::store_update(app, actor, &old, spec, warnings, &draft, &book).await
}

/// The schedule with its new target, and warnings.
fn aim(app: &App, old: &Schedule, to: &Elsewhere, book: &RuleBook) -> Result<(ScheduleSpec, Vec<String>)> {
    let spec = &old.spec;
    if let Subject::Group(_) = &spec.target.subject {
        return Err(Error::field("host", "a group reaches across hosts; change its members instead"));
    }
    let draft = Draft {
        host: Some(to.host.clone()),
        target_type: Some(spec.target.target_type().as_str().to_owned()),
        target_id: Some(match to.target.text() {
            Some(named) => named.to_owned(),
            None => same_name(app, old, &to.host),
        }),
        services: spec.target.subject.services().map(joined),
        allow_missing: to.allow_missing,
        ..Draft::default()
    };
    let mut faults = Faults::default();
    if to.host.trim().is_empty() {
        faults.add("host", "say which host");
    }
    let found = target::target(app, &draft, Some(spec.action), None, book, &mut faults);
    for fault in &mut faults.0 {
        if ["target_id", "services"].contains(&fault.field.as_str()) {
            "target".clone_into(&mut fault.field);
        }
    }
    match found {
        Some(Found { target, .. }) if target == spec.target => {
            Err(Error::field("host", "it is there already; choose another host or another target"))
        }
        Some(Found { target, name, warnings }) if faults.0.is_empty() => {
            Ok((ScheduleSpec { target, target_name: name, ..spec.clone() }, warnings))
        }
        _ => Err(Error::Invalid(faults.0)),
    }
}

/// The name that the target of a schedule has on another host.
pub fn same_name(app: &App, schedule: &Schedule, host: &str) -> String {
    let spec = &schedule.spec;
    let Some(inventory) = app.hosts.get(&host.into()).map(|host| host.inventory()) else {
        return spec.target.subject.stack().unwrap_or(&spec.target_name).to_owned();
    };
    // A container of compose is the same service there, whatever its name.
    match &spec.target.subject {
        Subject::Container(identity) => inventory.by_identity(identity).map(|one| one.name.clone()),
        Subject::Host => Some(host.to_owned()),
        Subject::Services { stack, .. } => Some(stack.clone()),
        Subject::Stack(_) | Subject::Group(_) => None,
    }
    .unwrap_or_else(|| spec.target_name.clone())
}

/// Whether a host has a target that is called as that of a schedule; its target there.
pub fn counterpart(app: &App, schedule: &Schedule, host: &str) -> Option<Target> {
    let (kind, name) = (schedule.target_type(), same_name(app, schedule, host));
    crate::app::targets::resolve(app, &host.into(), kind, &name).ok()
}
