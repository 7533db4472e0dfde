//! The record of who did what. Rows are written in the transaction of the change they tell of, and only ever added.

use jiff::{SignedDuration, Timestamp};

use super::paging::{Page, Paged};
use super::{Actor, App, Result};
use crate::db::{self, Tx};
use crate::domain::audit::{AuditDetail, AuditRow, Change};
use crate::domain::ids::RunId;
use crate::domain::permission::{Permission, Role};
use crate::domain::run::Run;
use crate::domain::target::Target;
use crate::domain::user::User;

/// A row to be added: what it tells is said bit by bit, and stored in the transaction of the change.
#[must_use]
pub struct Audit(AuditRow);

impl Audit {
    /// `event` is `noun.verb`. It went `ok` where no other outcome is given.
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

    /// What it is about, by its name at the time: `schedule`, `stack`, `container`, `run`, `user`, `settings` and so
    /// on.
    pub fn object(mut self, kind: &str, id: Option<&str>, name: &str) -> Self {
        kind.clone_into(&mut self.0.object_type);
        self.0.object_id = id.map(str::to_owned);
        name.clone_into(&mut self.0.object_name);
        self
    }

    /// It is about an account.
    pub fn user(self, user: &User) -> Self {
        self.object("user", Some(user.id.as_str()), &user.name)
    }

    /// It is about a stack or container.
    pub fn target(self, target: &Target, name: &str) -> Self {
        self.object(target.target_type().as_str(), Some(&target.identity_text()), name)
    }

    /// `refused`, `failed`, or a run's terminal state.
    pub fn outcome(mut self, outcome: &str) -> Self {
        outcome.clone_into(&mut self.0.outcome);
        self
    }

    pub fn changes(mut self, changes: Vec<Change>) -> Self {
        self.0.detail.changes = changes;
        self
    }

    /// Anything worth a sentence; empty = none.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.detail.reason = Some(reason.into()).filter(|reason| !reason.is_empty());
        self
    }

    /// It belongs to a run.
    pub fn run(mut self, run: &Run) -> Self {
        self.0.detail.run_id = Some(run.id.as_str().to_owned());
        self.0.detail.trigger = Some(run.trigger.as_str().to_owned());
        self
    }

    /// The row, for those who add many at once.
    pub(super) fn row(self) -> AuditRow {
        self.0
    }

    /// Adds it to `tx`.
    ///
    /// # Errors
    /// Where the row cannot be stored: the change it tells of must then not be committed either.
    pub async fn store(self, tx: &mut Tx) -> Result<()> {
        Ok(db::audit::insert(tx, vec![self.0]).await?)
    }
}

/// Which rows are wanted; everything `None` = all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Rows about this kind of thing.
    pub object_type: Option<String>,
    /// Rows about this one thing.
    pub object_id: Option<String>,
    /// Rows about something of exactly this name.
    pub object_name: Option<String>,
    /// Rows of this event, such as `schedule.create`.
    pub event: Option<String>,
    /// Rows of somebody of exactly this name.
    pub actor: Option<String>,
    /// Rows from this address.
    pub ip: Option<String>,
    /// Rows that belong to this run.
    pub run: Option<RunId>,
    /// Written at this instant or later.
    pub from: Option<Timestamp>,
    /// Written before this instant.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    /// What is asked of storage: for whoever is no admin their own rows only (rulings 21).
    fn wanted<'a>(&'a self, actor: &'a Actor) -> db::audit::AuditSelection<'a> {
        let own = (!actor.role.allows(Permission::Administer))
            // An actor without an account has no rows of its own; an id nobody has finds none.
            .then(|| actor.reference.id.as_deref().unwrap_or_default());
        db::audit::AuditSelection {
            actor_id: own,
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

/// The newest rows first: all of them for admins, for others their own (rulings 21).
pub async fn list(app: &App, actor: &Actor, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditRow>> {
    actor.require(Permission::View)?;
    let filter = within(app, filter).await?;
    let wanted = db::audit::AuditSelection {
        before: page.cursor.as_deref(),
        limit: page.fetch(),
        ..filter.wanted(actor)
    };
    let rows = db::audit::list(&app.db, &wanted).await?;
    Ok(page.cut(rows, |row| row.id.0.clone()))
}

/// The newest rows of what the caller did, whatever their role.
pub async fn of_actor(app: &App, actor: &Actor, page: &Page) -> Result<Vec<AuditRow>> {
    let own = Actor { role: Role::Viewer, ..actor.clone() };
    Ok(list(app, &own, &AuditFilter::default(), page).await?.items)
}

/// How many rows of a list were written in each stretch of `step` from `start` on, and how many of them did not end
/// well.
pub async fn activity(
    app: &App,
    actor: &Actor,
    filter: &AuditFilter,
    start: Timestamp,
    step: SignedDuration,
) -> Result<Vec<(usize, i64, i64)>> {
    actor.require(Permission::View)?;
    let filter = within(app, filter).await?;
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    Ok(db::audit::activity(&app.db, &filter.wanted(actor), start, step).await?)
}

/// The rows of a run lie between its making and its end: looked for there, they cost the same in a log of any length.
async fn within(app: &App, filter: &AuditFilter) -> Result<AuditFilter> {
    /// The row of its end is written in the transaction that ends it.
    const MARGIN: SignedDuration = SignedDuration::from_mins(1);
    let mut filter = filter.clone();
    if let Some(id) = &filter.run {
        let Some(run) = db::runs::get(&app.db, id).await? else {
            // An id that no row can have been made with, so that nothing is found.
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
