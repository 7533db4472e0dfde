//! What can be done to a target, in words and in deed.

use crate::app::execute::{self, Request, Submitted, undo};
use crate::app::nap::{self, Course, NapRequest};
use crate::app::{App, Error, Result};
use crate::domain::action::Action;
use crate::domain::overrides::DesiredState;
use crate::domain::plan::Plan;
use crate::domain::run::Trigger;
use crate::domain::target::{ContainerIdentity, Target};
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::view;

/// What is to be done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetAction {
    /// One of the five actions.
    Do(Action),
    /// Put to sleep for a while.
    Nap,
    /// Wake for a while.
    Wake,
    /// Never touch it again.
    Lock,
    /// It may be touched again.
    Unlock,
}

impl TargetAction {
    /// The reverse of [`TargetAction::word`].
    pub(super) fn parse(word: &str) -> Option<Self> {
        let others = [Self::Nap, Self::Wake, Self::Lock, Self::Unlock];
        word.parse().map(Self::Do).ok().or_else(|| others.into_iter().find(|one| one.word() == word))
    }

    /// Its word in the URL, the word on its button, and its symbol.
    fn shown(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Do(action) => (action.as_str(), action.label(), view::action_icon(action)),
            Self::Nap => ("nap", "Nap now", "moon"),
            Self::Wake => ("wake", "Wake", "sunrise"),
            Self::Lock => ("lock", "Lock", "lock"),
            Self::Unlock => ("unlock", "Unlock", "lock"),
        }
    }

    pub fn word(self) -> &'static str {
        self.shown().0
    }

    pub fn label(self) -> &'static str {
        self.shown().1
    }

    pub(super) fn icon(self) -> &'static str {
        self.shown().2
    }

    /// It with its object: `Nap media`.
    pub(super) fn label_of(self, name: &str) -> String {
        let verb = if self == Self::Nap { "Nap" } else { self.label() };
        format!("{verb} {name}")
    }

    /// What one, or several, do then: `naps`, `nap`.
    pub(super) fn does(self, many: usize) -> &'static str {
        let (one, several) = match self {
            Self::Nap => ("naps", "nap"),
            Self::Wake => ("wakes", "wake"),
            Self::Do(Action::Start) => ("starts", "start"),
            Self::Do(Action::Stop) => ("stops", "stop"),
            Self::Do(Action::Restart) => ("restarts", "restart"),
            Self::Do(Action::Pause) => ("is paused", "are paused"),
            Self::Do(Action::Unpause) => ("goes on", "go on"),
            Self::Lock => ("is locked: DockNap leaves it alone", "are locked: DockNap leaves them alone"),
            Self::Unlock => ("is unlocked", "are unlocked"),
        };
        if many == 1 { one } else { several }
    }

    /// Whether something goes down by it.
    pub(super) fn is_harsh(self) -> bool {
        matches!(self, Self::Do(action) if action.reverses_order())
    }

    /// Whether what became of it can be undone. A nap or a wake lasts although it changes no container.
    pub(super) fn can_be_undone(self, submitted: &Submitted) -> bool {
        match (self, submitted) {
            (Self::Lock | Self::Unlock, _) | (_, Submitted::Duplicate { .. }) => false,
            (Self::Nap | Self::Wake, _) => true,
            (Self::Do(action), Submitted::New { idle, .. }) => {
                idle.is_none() && undo::can_be_undone(Trigger::Manual, action)
            }
        }
    }

    /// What it does to the containers of a target.
    pub(super) async fn plan(self, page: &Page<Operator>, target: &Target) -> Result<Plan> {
        let action = match self {
            Self::Do(action) => action,
            Self::Nap => nap::mode(&page.app, target).await?,
            Self::Wake | Self::Lock | Self::Unlock => Action::Start,
        };
        execute::preview(&page.app, &page.actor, target, action, self == Self::Wake).await
    }

    /// How long it may last; `None` where it lasts for no time of its own.
    pub(super) async fn course(self, app: &App, target: &Target) -> Result<Option<Course>> {
        let wanted = match self {
            Self::Nap => DesiredState::Asleep,
            Self::Wake => DesiredState::Awake,
            Self::Do(_) | Self::Lock | Self::Unlock => return Ok(None),
        };
        Course::load(app, target, wanted).await.map(Some)
    }

    /// Does it, as it was typed into its question.
    pub(super) async fn submit(
        self,
        page: &Page<Operator>,
        target: &Target,
        typed: &Typed,
        also: Vec<ContainerIdentity>,
        trigger: Trigger,
    ) -> Result<Submitted> {
        let (app, actor) = (&page.app, &page.actor);
        if let Self::Do(action) = self {
            let request = Request { also, ..Request::now(action, target.clone(), trigger) };
            return execute::submit(app, actor, request).await;
        }
        let is_timed = typed.get("until") == "at";
        let until = typed.get(if is_timed { "at" } else { "until" });
        if is_timed && until.is_empty() {
            return Err(Error::field("until", "say until when"));
        }
        let reason = typed.filled("reason").map(str::to_owned);
        let asked = NapRequest { until: Some(until.to_owned()), reason, schedule: None };
        match self {
            Self::Nap => nap::nap(app, actor, target, &asked, trigger).await,
            _ => nap::wake(app, actor, target, &asked, trigger).await,
        }
    }
}
