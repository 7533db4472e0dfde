//! Buttons that do something, and the question with its plan that comes before.
//!
//! The question is a page of its own, so that it works without scripts; htmx asks for the same thing as a dialog.

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};

use super::deeds::Deed;
use super::ends::Ends;
use super::undo;
use crate::app::execute::Submitted;
use crate::app::{FieldError, Result};
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, Counts};
use crate::domain::plan::{Plan, PlannedStep};
use crate::domain::target::{Target, TargetType};
use crate::web::Web;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::session;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Link};

/// A button that leads to the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The action's word in the URL.
    pub action: &'static str,
    /// The word on the button.
    pub label: &'static str,
    pub icon: &'static str,
    /// The question, below the base path.
    pub href: String,
    /// What it is done to, for who hears the button without seeing its row.
    pub of: String,
}

impl Act {
    /// A button for `action` on the target of that kind and key.
    pub fn new(action: Action, kind: TargetType, key: &str, name: &str) -> Self {
        Self {
            action: action.as_str(),
            label: action.label(),
            icon: view::action_icon(action),
            href: format!("/{kind}s/{key}/{action}"),
            of: view::shown_name(name),
        }
    }

    /// The two buttons of a target that has sleep hours, or is kept from them for a while.
    pub fn naps(kind: TargetType, key: &str, name: &str, up: bool, down: bool) -> Vec<Self> {
        let act = |deed: Deed| Self {
            action: deed.word(),
            label: deed.label(),
            icon: deed.icon(),
            href: format!("/{kind}s/{key}/{}", deed.word()),
            of: view::shown_name(name),
        };
        let wake = down.then(|| act(Deed::Wake));
        let nap = up.then(|| act(Deed::Nap));
        wake.into_iter().chain(nap).collect()
    }

    /// The button that locks a target, or takes its lock away.
    pub fn lock(kind: TargetType, key: &str, name: &str, locked: bool) -> Self {
        let deed = if locked { Deed::Unlock } else { Deed::Lock };
        Self {
            action: deed.word(),
            label: deed.label(),
            icon: deed.icon(),
            href: format!("/{kind}s/{key}/{}", deed.word()),
            of: view::shown_name(name),
        }
    }

    /// The buttons that make sense for a stack with these counts, the likeliest first.
    pub fn of_stack(counts: Counts, key: &str, name: &str) -> Vec<Self> {
        let mut actions = Vec::new();
        if counts.stopped > 0 {
            actions.push(Action::Start);
        }
        if counts.paused > 0 {
            actions.push(Action::Unpause);
        }
        if counts.running > 0 {
            actions.extend([Action::Stop, Action::Restart, Action::Pause]);
        } else if counts.paused > 0 {
            actions.push(Action::Stop);
        }
        actions.into_iter().map(|action| Self::new(action, TargetType::Stack, key, name)).collect()
    }

    /// The buttons that make sense for a container.
    pub fn of_container(container: &Container) -> Vec<Self> {
        let actions: &[Action] = match container.state {
            _ if !container.is_ordinary() || container.protection.is_some() => &[],
            ContainerState::Running => &[Action::Stop, Action::Restart, Action::Pause],
            ContainerState::Restarting => &[Action::Stop],
            ContainerState::Paused => &[Action::Unpause, Action::Stop],
            ContainerState::Created | ContainerState::Exited => &[Action::Start],
            ContainerState::Removing | ContainerState::Dead => &[],
        };
        let key = container.key();
        actions
            .iter()
            .map(|action| Self::new(*action, TargetType::Container, &key, &container.name))
            .collect()
    }
}

/// Steps that go together.
#[derive(Clone, Debug)]
pub struct Wave {
    /// From 1.
    pub number: u32,
    /// What is done in it.
    pub steps: Vec<WaveStep>,
}

/// One container operation to come.
#[derive(Clone, Debug)]
pub struct WaveStep {
    pub container: String,
    pub action: &'static str,
    /// The action's symbol.
    pub icon: &'static str,
    /// What must be so before, and why it is there; empty where there is nothing to say.
    pub note: String,
}

impl From<PlannedStep> for WaveStep {
    fn from(step: PlannedStep) -> Self {
        let waits = view::waits(&step.wait_for);
        let mut notes = Vec::new();
        if !waits.is_empty() {
            notes.push(format!("waits for {waits}"));
        }
        notes.extend(step.because);
        Self {
            container: view::shown_name(&step.container),
            action: step.action.label(),
            icon: view::action_icon(step.action),
            note: notes.join("; "),
        }
    }
}

/// One container that is left alone.
#[derive(Clone, Debug)]
pub struct Skip {
    pub container: String,
    pub reason: String,
}

/// One container of which a person says whether it is started.
#[derive(Clone, Debug)]
pub struct Ask {
    pub container: String,
    /// What the box is sent with.
    pub value: String,
    /// The box is ticked.
    pub ticked: bool,
}

/// A plan as a person reads it.
#[derive(Clone, Debug, Default)]
pub struct PlanView {
    /// In the order they go.
    pub waves: Vec<Wave>,
    /// What is left alone.
    pub skipped: Vec<Skip>,
    /// What nobody watched as it ended: started only where its box is ticked.
    pub asks: Vec<Ask>,
    /// What to know before saying yes.
    pub warnings: Vec<String>,
    /// How much it is, in words.
    pub size: String,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        let size = view::count(plan.steps.len(), "container");
        let mut waves: Vec<Wave> = Vec::new();
        for step in plan.steps {
            let number = step.wave;
            match waves.last_mut() {
                Some(wave) if wave.number == number => wave.steps.push(step.into()),
                _ => waves.push(Wave { number, steps: vec![step.into()] }),
            }
        }
        Self {
            waves,
            skipped: plan
                .skipped
                .into_iter()
                .map(|skip| Skip { container: view::shown_name(&skip.container), reason: skip.reason })
                .collect(),
            asks: Vec::new(),
            warnings: plan.warnings,
            size,
        }
    }
}

impl PlanView {
    /// The plan of a start, with a box for each container that nobody watched as it ended; ticked as it was
    /// in what was `typed`.
    pub fn of_start(mut plan: Plan, typed: &Typed) -> Self {
        let unwatched = plan.skipped.extract_if(.., |skip| skip.unwatched);
        let asks = unwatched.map(|skip| {
            let value = skip.identity.to_text();
            let ticked = typed.all("also_start").any(|other| other == value);
            Ask { container: view::shown_name(&skip.container), value, ticked }
        });
        let asks = asks.collect();
        Self { asks, ..plan.into() }
    }
}

/// One target of several, with its plan.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: String,
    /// What would happen to it.
    pub plan: PlanView,
    /// When it ends where no end is chosen; may be empty.
    pub ends: String,
}

/// What is asked before something is done.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// `Stop media?`
    pub title: String,
    /// What the button says.
    pub label: String,
    /// The button's symbol.
    pub icon: &'static str,
    /// Whether the button warns by its colour: something goes down.
    pub harsh: bool,
    /// Where the answer goes.
    pub action: String,
    /// Where "Cancel" goes.
    pub back: Link,
    /// A sentence under the title; may be empty.
    pub text: String,
    /// What would happen; `None` for a question that is not about containers.
    pub plan: Option<PlanView>,
    /// The same for each of several targets.
    pub parts: Vec<Part>,
    /// What is sent with the answer.
    pub hidden: Vec<(&'static str, String)>,
    /// The answer leads nowhere: whoever gave it stays where they are, and is told in the corner.
    pub stays: bool,
    /// A revision that must still be the stored one.
    pub rev: Option<i64>,
    /// How long it lasts; `None` where that is not asked.
    pub ends: Option<Ends>,
    /// Why, as typed; `None` where that is not asked.
    pub reason: Option<String>,
    /// What is wrong with what was typed.
    pub errors: Vec<FieldError>,
}

/// The question as a page.
#[derive(Template, Clone, Debug)]
#[template(path = "actions/confirm.html")]
pub struct ConfirmPage {
    pub shell: Shell,
    pub q: Question,
}

/// The question as a dialog over the page it was asked from. A template of its own, since a block that the base does
/// not have renders empty.
#[derive(Template, Clone, Debug)]
#[template(path = "actions/dialog.html")]
pub struct ConfirmDialog {
    pub shell: Shell,
    pub q: Question,
}

impl Question {
    /// The question before an action.
    pub fn action(action: Action, target: &Target, name: &str, plan: impl Into<PlanView>) -> Self {
        let (kind, key, name) = (target.target_type(), target.key(), view::shown_name(name));
        Self {
            title: format!("{} {name}?", action.label()),
            label: format!("{} {name}", action.label()),
            icon: view::action_icon(action),
            harsh: action.reverses_order(),
            action: format!("/{kind}s/{key}/{action}"),
            back: Link::new(format!("/{kind}s/{key}"), format!("Back to {name}")),
            plan: Some(plan.into()),
            ..Self::default()
        }
    }

    /// The same where the answer leads nowhere: without scripts back to the page it was asked from.
    #[must_use]
    pub(super) fn staying(mut self, whence: &Whence) -> Self {
        let back = whence.or(&self.back.href);
        if back != self.back.href {
            self.back = Link::new(back.clone(), "Back");
        }
        self.hidden.push(("back", back));
        Self { stays: true, ..self }
    }

    /// The same question in the words of naps.
    #[must_use]
    pub fn as_nap(self, wakes: bool, name: &str) -> Self {
        let deed = if wakes { Deed::Wake } else { Deed::Nap };
        let name = view::shown_name(name);
        let (title, label) = match deed {
            Deed::Wake => (format!("Wake {name}?"), format!("Wake {name}")),
            _ => (format!("Put {name} to sleep?"), format!("Nap {name} now")),
        };
        Self { title, label, icon: deed.icon(), harsh: false, ..self }
    }

    /// Nothing would be done: the button would be a lie.
    pub fn is_idle(&self) -> bool {
        let mut plans = self.plan.iter().chain(self.parts.iter().map(|part| &part.plan)).peekable();
        let idle = |plan: &PlanView| plan.waves.is_empty() && plan.asks.is_empty();
        self.ends.is_none() && plans.peek().is_some() && plans.all(idle)
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// The question as htmx or a browser asks for it.
pub(super) fn asked(shell: Shell, htmx: &Htmx, q: Question) -> Result<Html<String>> {
    if htmx.partial {
        super::html(&ConfirmDialog { shell, q })
    } else {
        super::html(&ConfirmPage { shell, q })
    }
}

/// The same question where what was sent with it cannot be taken.
pub(super) fn asked_again(shell: Shell, htmx: &Htmx, q: Question) -> Result<Response> {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, asked(shell, htmx, q)?).into_response())
}

/// To the run that was asked for; says so where it was under way already.
pub(super) async fn to_run(web: &Web, htmx: &Htmx, notes: &Notes, submitted: &Submitted) -> Response {
    if matches!(submitted, Submitted::Duplicate { .. }) {
        notes.leave(Flash::new("info", "This was under way already; here it is.")).await;
    }
    super::go(web, htmx, &format!("/runs/{}", submitted.run_id()))
}

/// The page that a question was asked from, as its reader's browser tells.
pub(super) struct Whence(Option<String>);

impl Whence {
    /// As it was sent with the answer.
    pub(super) fn sent(typed: &Typed) -> Self {
        Self(session::local(typed.get("back")))
    }

    /// The page, or `other` where none is told. A page of its own that a question is, and one for who is not logged in, are
    /// none to go back to.
    pub(super) fn or(&self, other: &str) -> String {
        let is_place = |path: &&String| {
            let path = path.split('?').next().unwrap_or_default();
            let last = path.rsplit('/').next().unwrap_or_default();
            !["login", "setup", "actions", "run", "undo"].contains(&last)
                && !path.starts_with("/invite/")
                && Deed::parse(last).is_none()
        };
        self.0.as_ref().filter(is_place).map_or_else(|| other.to_owned(), Clone::clone)
    }
}

impl FromRequestParts<Web> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> std::result::Result<Self, Infallible> {
        Ok(Self(session::page_of(&parts.headers, web.base())))
    }
}

/// What became of a question whose answer leads nowhere: in the corner for htmx, else on the page it was asked from.
pub(super) async fn stay(
    web: &Web,
    htmx: &Htmx,
    notes: &Notes,
    shell: &Shell,
    back: &str,
    toast: Flash,
) -> Result<Response> {
    if htmx.partial {
        return Ok(toast.alone(shell)?.into_response());
    }
    notes.leave(toast).await;
    Ok(super::go(web, htmx, back))
}

/// What became of one deed, with the way to its run and the way back.
pub(super) fn told(deed: Deed, name: &str, submitted: &Submitted) -> Flash {
    let name = view::shown_name(name);
    let toast = match submitted {
        Submitted::New { idle: None, .. } => Flash::new("good", format!("{name} {}.", deed.does(1))),
        Submitted::New { idle: Some(why), .. } => {
            Flash::new("info", format!("{name} stays as it is: {why}."))
        }
        Submitted::Duplicate { .. } => {
            Flash::new("info", format!("{}: this was under way already.", deed.label_of(&name)))
        }
    };
    let toast = toast.with_link(format!("/runs/{}", submitted.run_id()), "View run");
    if deed.can_be_undone(submitted) { toast.with_undo(undo::href([submitted.run_id()])) } else { toast }
}

impl Question {
    /// The question before a lock, or before one is taken away.
    pub(super) fn lock(target: &Target, name: &str, deed: Deed, typed: &Typed) -> Self {
        let (kind, key, name) = (target.target_type(), target.key(), view::shown_name(name));
        let locks = deed == Deed::Lock;
        Self {
            title: format!("{} {name}?", deed.label()),
            label: format!("{} {name}", deed.label()),
            icon: deed.icon(),
            harsh: false,
            action: format!("/{kind}s/{key}/{}", deed.word()),
            back: Link::new(format!("/{kind}s/{key}"), format!("Back to {name}")),
            text: if locks {
                "While it is locked DockNap never touches it: no schedule, no button, no API call does."
            } else {
                "Its schedules act on it again from now on."
            }
            .to_owned(),
            reason: locks.then(|| typed.get("reason").to_owned()),
            ..Self::default()
        }
    }
}
