//! What reading a file would change, item by item, with everything checked: [`plan`] stores nothing, and
//! [`apply`](super::apply::apply) stores exactly that.

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::aim::Aim;
use super::document::{Document, Item, MAX_FAULTS, Section};
use super::keys::Keyed;
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Error, FieldError, Result};
use crate::domain::audit::Change;
use crate::domain::calendar::Calendar;
use crate::domain::dependency::AddedEdge;
use crate::domain::group::{Group, Member};
use crate::domain::host::HostRecord;
use crate::domain::lock::Lock;
use crate::domain::permission::Permission;
use crate::domain::schedule::Schedule;
use crate::domain::target::Target;
use crate::domain::text::hex;

mod rules;
mod schedules;

/// What happens to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PlanDeed)]
pub enum Deed {
    Create,
    Change,
    Delete,
}

impl Deed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
        }
    }
}

/// One item that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub section: Section,
    pub deed: Deed,
    /// The name for a person.
    pub name: String,
    /// The fields that change; empty for a new or deleted item.
    pub changes: Vec<Change>,
}

impl Step {
    /// The step in words: `change schedule Night: cron from 0 23 * * * to 0 22 * * *`.
    pub fn sentence(&self) -> String {
        let head = format!("{} {} {}", self.deed.as_str(), self.section.noun(), self.name);
        let value = |text: &Option<String>| text.as_deref().map_or_else(|| "nothing".to_owned(), one_line);
        let changes = self.changes.iter();
        let changes: Vec<String> = changes
            .map(|change| format!("{} from {} to {}", change.field, value(&change.old), value(&change.new)))
            .collect();
        if changes.is_empty() { head } else { format!("{head}: {}", changes.join(", ")) }
    }
}

/// A value in one line, cut where it is long.
fn one_line(text: &str) -> String {
    /// The most characters that are shown.
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Whose rules a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was handed over by a person or program, once.
    Import,
    /// It lies in the watched directory: its schedules are those of this origin.
    Folder,
}

/// One write. The deletions come last.
#[derive(Debug)]
pub(super) enum Op {
    Host(Box<(Option<HostRecord>, HostRecord)>),
    Group(Box<(Option<Group>, Group)>),
    Member(Box<(Group, Member)>),
    Calendar(Box<(Option<Calendar>, Calendar)>),
    Lock(Box<Lock>),
    Edge(Box<AddedEdge>),
    EdgeGone(Box<AddedEdge>),
    /// The old and the new schedule, and the key of the new one.
    Schedule(Box<(Option<Schedule>, Schedule, String)>),
    /// The rule of a watched directory is there again.
    ScheduleBack(Box<Schedule>),
    /// The rule left the watched directory.
    ScheduleGone(Box<Schedule>),
    ScheduleDelete(Box<Schedule>),
    MemberGone(Box<(Group, Target, String)>),
    Unlock(Box<Lock>),
    CalendarDelete(Box<Calendar>),
    GroupDelete(Box<Group>),
}

impl Op {
    /// The place in the order of writes: what others name comes first, and goes last.
    fn rank(&self) -> u8 {
        match self {
            Self::Host(_) => 0,
            Self::Group(_) => 1,
            Self::Member(_) => 2,
            Self::Calendar(_) => 3,
            Self::Lock(_) => 4,
            // An edge that changes is removed and added.
            Self::EdgeGone(_) => 5,
            Self::Edge(_) => 6,
            Self::Schedule(_) => 7,
            Self::ScheduleBack(_) | Self::ScheduleGone(_) | Self::ScheduleDelete(_) => 8,
            Self::MemberGone(_) => 9,
            Self::Unlock(_) => 10,
            Self::CalendarDelete(_) => 11,
            Self::GroupDelete(_) => 12,
        }
    }
}

/// What reading a file changes.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the sections.
    pub steps: Vec<Step>,
    /// The number of items that are as the file says already.
    pub same: usize,
    /// Whole sentences.
    pub warnings: Vec<String>,
    /// Differs between two plans that would do different things, or do them to other versions.
    pub hash: String,
    pub(super) ops: Vec<Op>,
    pub(super) keyed: Keyed,
    pub(super) book: Arc<RuleBook>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The number of items with this deed.
    pub fn count(&self, deed: Deed) -> usize {
        self.steps.iter().filter(|step| step.deed == deed).count()
    }

    /// The plan in one sentence.
    pub fn sentence(&self) -> String {
        if self.is_empty() {
            return "Nothing changes: everything in the file is there already.".to_owned();
        }
        let counts = [Deed::Create, Deed::Change, Deed::Delete].map(|deed| (self.count(deed), deed.as_str()));
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, word)| format!("{count} to {word}")).collect();
        format!("{}, {} the same.", counts.join(", "), self.same)
    }
}

/// Plans what reading a file would change. With `prune`, what the sections of the file do not hold is deleted, except
/// hosts.
///
/// # Errors
/// [`Error::Invalid`] with every fault by line and path; [`Error::Forbidden`] where the caller may not change one of
/// the sections by hand.
pub async fn plan(app: &App, actor: &Actor, document: &Document, prune: bool) -> Result<Plan> {
    plan_from(app, actor, document, prune, Origin::Import).await
}

/// As [`plan`], for a file of this origin.
pub(super) async fn plan_from(
    app: &App,
    actor: &Actor,
    document: &Document,
    prune: bool,
    origin: Origin,
) -> Result<Plan> {
    actor.require(Permission::Operate)?;
    for section in document.names() {
        actor.require(match section {
            Section::Hosts | Section::Groups | Section::Calendars => Permission::Administer,
            Section::Locks | Section::Order | Section::Schedules => Permission::Operate,
        })?;
    }
    let mut planner = Planner {
        app,
        actor,
        origin,
        prune,
        aim: Aim::new(app),
        book: RuleBook::load(app).await?,
        steps: Vec::new(),
        ops: Vec::new(),
        same: 0,
        warnings: Vec::new(),
        faults: Vec::new(),
        versions: vec![digest(&document.sections)],
    };
    planner.groups_known().await?;
    if let Some(items) = document.section(Section::Hosts) {
        planner.hosts(items).await?;
    }
    if let Some(items) = document.section(Section::Groups) {
        planner.groups(items).await?;
    }
    if let Some(items) = document.section(Section::Calendars) {
        planner.calendars(items).await?;
    }
    if let Some(items) = document.section(Section::Locks) {
        planner.locks(items).await?;
    }
    if let Some(items) = document.section(Section::Order) {
        planner.order(items).await?;
    }
    let keyed = Keyed::read(app).await?;
    if let Some(items) = document.section(Section::Schedules) {
        planner.schedules(items, &keyed);
    }
    planner.finish(keyed)
}

/// A plan in the making.
struct Planner<'a> {
    app: &'a App,
    actor: &'a Actor,
    origin: Origin,
    prune: bool,
    aim: Aim<'a>,
    /// With the calendars of the file.
    book: Arc<RuleBook>,
    steps: Vec<Step>,
    ops: Vec<Op>,
    same: usize,
    warnings: Vec<String>,
    faults: Vec<FieldError>,
    /// The versions of what the plan changes.
    versions: Vec<String>,
}

impl Planner<'_> {
    fn step(&mut self, section: Section, deed: Deed, name: impl Into<String>, changes: Vec<Change>) {
        self.steps.push(Step { section, deed, name: name.into(), changes });
    }

    /// Notes the version of what the plan is about.
    fn version(&mut self, id: &str, rev: i64) {
        self.versions.push(format!("{id}@{rev}"));
    }

    fn fault(&mut self, item: &Item, field: &str, message: &str) {
        self.faults.push(item.fault(field, message));
    }

    /// The faults of a check; other errors end the plan.
    fn refuse(&mut self, item: &Item, error: Error) -> Result<()> {
        match error {
            Error::Invalid(found) => {
                self.faults.extend(item.faults(found));
                Ok(())
            }
            other => Err(other),
        }
    }

    /// The draft of an item.
    fn draft<T: DeserializeOwned>(&mut self, item: &Item) -> Option<T> {
        match serde_json::from_value(Value::Object(item.fields.clone())) {
            Ok(draft) => Some(draft),
            Err(error) => {
                self.fault(item, "", &error.to_string());
                None
            }
        }
    }

    fn finish(self, keyed: Keyed) -> Result<Plan> {
        let Self { mut faults, mut ops, steps, same, warnings, versions, book, prune, .. } = self;
        if !faults.is_empty() {
            faults.truncate(MAX_FAULTS);
            return Err(Error::Invalid(faults));
        }
        ops.sort_by_key(Op::rank);
        let hash = digest(&(&steps, &versions, prune));
        Ok(Plan { steps, same, warnings, hash, ops, keyed, book })
    }
}

fn digest(of: &impl Debug) -> String {
    let digest = Sha256::digest(format!("{of:?}"));
    hex(digest.get(..16).unwrap_or_default())
}
