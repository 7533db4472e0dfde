//! The actions on a target that the web pages offer: their texts, their plans, and the call that submits them.

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

/// An action on a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetAction {
    /// One of Docker's five actions.
    Do(Action),
    /// Puts the target to sleep, for a while if an end is known.
    Nap,
    /// Wakes the target, for a while if an end is known.
    Wake,
    /// Protects the target from every action of DockNap.
    Lock,
    /// Takes the lock away.
    Unlock,
}

impl TargetAction {
    /// The inverse of [`TargetAction::word`].
    pub(super) fn parse(word: &str) -> Option<Self> {
        let others = [Self::Nap, Self::Wake, Self::Lock, Self::Unlock];
        word.parse().map(Self::Do).ok().or_else(|| others.into_iter().find(|one| one.word() == word))
    }

    /// The word in the URL, the text of the button, and the icon.
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

    /// The action with its object, as in `Nap media`.
    pub(super) fn label_of(self, name: &str) -> String {
        let verb = if self == Self::Nap { "Nap" } else { self.label() };
        format!("{verb} {name}")
    }

    /// The verb for one target or for several, as in `naps` and `nap`.
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

    /// Whether the action stops or pauses something.
    pub(super) fn is_harsh(self) -> bool {
        matches!(self, Self::Do(action) if action.reverses_order())
    }

    /// Whether the submitted action can be undone. A nap or a wake that changes no container still has an override,
    /// which can be undone.
    pub(super) fn can_be_undone(self, submitted: &Submitted) -> bool {
        match (self, submitted) {
            (Self::Lock | Self::Unlock, _) | (_, Submitted::Duplicate { .. }) => false,
            (Self::Nap | Self::Wake, _) => true,
            (Self::Do(action), Submitted::New { idle, .. }) => {
                idle.is_none() && undo::can_be_undone(Trigger::Manual, action)
            }
        }
    }

    /// The plan of the action for a target.
    pub(super) async fn plan(self, page: &Page<Operator>, target: &Target) -> Result<Plan> {
        let action = match self {
            Self::Do(action) => action,
            Self::Nap => nap::mode(&page.app, target).await?,
            Self::Wake | Self::Lock | Self::Unlock => Action::Start,
        };
        execute::preview(&page.app, &page.actor, target, action, self == Self::Wake).await
    }

    /// How long a nap or wake of the target can last. `None` for all other actions.
    pub(super) async fn course(self, app: &App, target: &Target) -> Result<Option<Course>> {
        let wanted = match self {
            Self::Nap => DesiredState::Asleep,
            Self::Wake => DesiredState::Awake,
            Self::Do(_) | Self::Lock | Self::Unlock => return Ok(None),
        };
        Course::load(app, target, wanted).await.map(Some)
    }

    /// Submits the action with the values of its form fields.
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
        let request = NapRequest { until: Some(until.to_owned()), reason, schedule: None };
        match self {
            Self::Nap => nap::nap(app, actor, target, &request, trigger).await,
            _ => nap::wake(app, actor, target, &request, trigger).await,
        }
    }
}
