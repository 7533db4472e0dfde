//! The audit log: a record of who did what. Rows are written in the same transaction as the change they describe, and
//! are never changed afterwards. Services build a row with [`Audit`]; pages and API read rows with [`list`],
//! [`of_actor`] and [`activity`].

use jiff::{SignedDuration, Timestamp};

use super::paging::{Page, Paged};
use super::{Actor, App, Result};
use crate::db::{self, Tx};
use crate::domain::audit::{AuditDetail, AuditRow, Change};
use crate::domain::group::InGroup;
use crate::domain::ids::{HostId, RunId};
use crate::domain::permission::{Permission, Role};
use crate::domain::run::Run;
use crate::domain::target::{Subject, Target};
use crate::domain::user::User;

/// An audit row under construction: the methods set its fields, and [`Audit::store`] adds the row to the transaction of
/// the change.
#[must_use]
pub struct Audit(AuditRow);

impl Audit {
    /// Starts a row. `event` has the form `noun.verb`. The outcome is `ok` until [`Audit::outcome`] sets another.
    pub fn new(app: &App, actor: &Actor, event: impl Into<String>) -> Self {
        let now = app.clock.now();
        Self(AuditRow {
            id: app.ids.next(now),
            at: now,
            actor: actor.reference.clone(),
            ip: actor.ip.map(|ip| ip.to_string()),
            event: event.into(),
            object_type: String::new(),
            object_id: None,
            object_name: String::new(),
            outcome: "ok".to_owned(),
            detail: AuditDetail::default(),
        })
    }

    /// The object of the event, by its name at the time. `kind` is `schedule`, `stack`, `container`, `run`, `user`,
    /// `settings` and so on.
    pub fn object(mut self, kind: &str, id: Option<&str>, name: &str) -> Self {
        kind.clone_into(&mut self.0.object_type);
        self.0.object_id = id.map(str::to_owned);
        name.clone_into(&mut self.0.object_name);
        self
    }

    /// Sets an account as the object.
    pub fn user(self, user: &User) -> Self {
        self.object("user", Some(user.id.as_str()), &user.name)
    }

    /// Sets a target as the object.
    pub fn target(self, target: &Target, name: &str) -> Self {
        let id = match &target.subject {
            Subject::Host => target.host.to_string(),
            // Rows about services are rows about their stack; the name says which services.
            Subject::Services { stack, .. } => stack.clone(),
            _ => target.identity_text(),
        };
        self.object(target.target_type().as_str(), Some(&id), name).on(target.on_host())
    }

    /// The host of the object.
    pub fn on<'a>(mut self, host: impl Into<Option<&'a HostId>>) -> Self {
        self.0.detail.host = host.into().cloned();
        self
    }

    /// The outcome: `refused`, `failed`, or the terminal state of a run.
    pub fn outcome(mut self, outcome: &str) -> Self {
        outcome.clone_into(&mut self.0.outcome);
        self
    }

    pub fn changes(mut self, changes: Vec<Change>) -> Self {
        self.0.detail.changes = changes;
        self
    }

    /// A free sentence; an empty text counts as none.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.detail.reason = Some(reason.into()).filter(|reason| !reason.is_empty());
        self
    }

    /// The run that the event belongs to, and its host.
    pub fn run(mut self, run: &Run) -> Self {
        self.0.detail.host = Some(run.target.host.clone());
        self.0.detail.run_id = Some(run.id.as_str().to_owned());
        self.0.detail.trigger = Some(run.trigger.as_str().to_owned());
        self
    }

    /// The row itself, for callers that add many rows at once.
    pub(super) fn row(self) -> AuditRow {
        self.0
    }

    /// Adds the row to `tx`.
    ///
    /// # Errors
    /// A database error where the row cannot be stored; the caller must then not commit the change either.
    pub async fn store(self, tx: &mut Tx) -> Result<()> {
        Ok(db::audit::insert(tx, vec![self.0]).await?)
    }
}

/// Filter of a list of audit rows. Rows must match every field that is `Some`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Host of the object.
    pub host: Option<HostId>,
    /// Group that the object is in now.
    pub group: Option<InGroup>,
    /// Kind of the object.
    pub object_type: Option<String>,
    /// Id of the object.
    pub object_id: Option<String>,
    /// Exact name of the object.
    pub object_name: Option<String>,
    /// Event, such as `schedule.create`.
    pub event: Option<String>,
    /// Exact name of the actor.
    pub actor: Option<String>,
    /// IP address of the actor.
    pub ip: Option<String>,
    /// Run that the row belongs to.
    pub run: Option<RunId>,
    /// First instant of the time range, inclusive.
    pub from: Option<Timestamp>,
    /// End of the time range, exclusive.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    /// The database query of the filter. Callers who are not admins get their own rows only (rulings 21).
    fn selection<'a>(&'a self, actor: &'a Actor) -> db::audit::AuditSelection<'a> {
        let own = (!actor.role.allows(Permission::Administer))
            // An actor without an account has no rows of its own: the empty id matches none.
            .then(|| actor.reference.id.as_deref().unwrap_or_default());
        db::audit::AuditSelection {
            actor_id: own,
            host: self.host.as_ref(),
            group: self.group.as_ref(),
            actor_name: self.actor.as_deref(),
            object_type: self.object_type.as_deref(),
            object_id: self.object_id.as_deref(),
            object_name: self.object_name.as_deref(),
            event: self.event.as_deref(),
            ip: self.ip.as_deref(),
            run: self.run.as_ref().map(RunId::as_str),
            from: self.from,
            to: self.to,
            before: None,
            limit: 0,
        }
    }
}

/// Lists rows, newest first: admins see all rows, others their own (rulings 21).
pub async fn list(app: &App, actor: &Actor, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditRow>> {
    actor.require(Permission::View)?;
    let filter = limit_to_run(app, filter).await?;
    let wanted = db::audit::AuditSelection {
        before: page.cursor.as_deref(),
        limit: page.fetch(),
        ..filter.selection(actor)
    };
    let rows = db::audit::list(&app.db, &wanted).await?;
    Ok(page.cut(rows, |row| row.id.0.clone()))
}

/// Lists the caller's own rows, newest first, whatever the caller's role.
pub async fn of_actor(app: &App, actor: &Actor, page: &Page) -> Result<Vec<AuditRow>> {
    let own = Actor { role: Role::Viewer, ..actor.clone() };
    Ok(list(app, &own, &AuditFilter::default(), page).await?.items)
}

/// Counts the rows of a list per interval of length `step` from `start` on. Each entry is the index of the interval,
/// the number of rows, and the number of those with a bad outcome.
pub async fn activity(
    app: &App,
    actor: &Actor,
    filter: &AuditFilter,
    start: Timestamp,
    step: SignedDuration,
) -> Result<Vec<(usize, i64, i64)>> {
    actor.require(Permission::View)?;
    let filter = limit_to_run(app, filter).await?;
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    Ok(db::audit::activity(&app.db, &filter.selection(actor), start, step).await?)
}

/// Narrows the time range of a filter by run to the time between creation and end of that run, so that the query costs
/// the same in a log of any length.
async fn limit_to_run(app: &App, filter: &AuditFilter) -> Result<AuditFilter> {
    /// Room for the row of the run's end, which is written in the transaction that ends the run.
    const MARGIN: SignedDuration = SignedDuration::from_mins(1);
    let mut filter = filter.clone();
    if let Some(id) = &filter.run {
        let Some(run) = db::runs::get(&app.db, id).await? else {
            // An unknown run has no rows: no row is older than the epoch.
            filter.to = Some(Timestamp::UNIX_EPOCH);
            return Ok(filter);
        };
        let from = run.created_at.saturating_sub(MARGIN).unwrap_or(run.created_at);
        filter.from = Some(filter.from.map_or(from, |other| other.max(from)));
        if let Some(end) = run.finished_at {
            let to = end.saturating_add(MARGIN).unwrap_or(end);
            filter.to = Some(filter.to.map_or(to, |other| other.min(to)));
        }
    }
    Ok(filter)
}
