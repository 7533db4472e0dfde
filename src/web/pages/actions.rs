//! Start, stop, restart, pause, unpause: the question with its plan, and the answer.
//!
//! The question is a page of its own, so that it works without scripts; htmx asks for the same thing as a dialog.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, Response};

use crate::app::execute::{self, Request, Submitted};
use crate::app::{Actor, App, Error, Result, stacks};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, ContainerState, Counts};
use crate::domain::plan::{Plan, PlannedStep};
use crate::domain::run::Trigger;
use crate::domain::target::{Subject, Target, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Link, Sampled};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/stacks/{key}/{action}", Access::OPERATOR, ask_stack)
        .post("/stacks/{key}/{action}", Access::OPERATOR, act_stack)
        .get("/containers/{key}/{action}", Access::OPERATOR, ask_container)
        .post("/containers/{key}/{action}", Access::OPERATOR, act_container)
}

/// A button that leads to the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The action's word in the URL.
    pub action: &'static str,
    /// The word on the button.
    pub label: &'static str,
    /// Its symbol.
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
    /// The container.
    pub container: String,
    /// What is done to it.
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
    /// The container.
    pub container: String,
    /// Why.
    pub reason: String,
}

/// A plan as a person reads it.
#[derive(Clone, Debug, Default)]
pub struct PlanView {
    /// In the order they go.
    pub waves: Vec<Wave>,
    /// What is left alone.
    pub skipped: Vec<Skip>,
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
            warnings: plan.warnings,
            size,
        }
    }
}

/// What is asked before something is done.
#[derive(Clone, Debug)]
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
    /// A revision that must still be the stored one.
    pub rev: Option<i64>,
}

/// The question as a page.
#[derive(Template, Clone, Debug)]
#[template(path = "actions/confirm.html")]
pub struct ConfirmPage {
    /// The surroundings.
    pub shell: Shell,
    /// The question.
    pub q: Question,
}

/// The question as a dialog over the page it was asked from. A template of its own, since a block that the base does
/// not have renders empty.
#[derive(Template, Clone, Debug)]
#[template(path = "actions/dialog.html")]
pub struct ConfirmDialog {
    /// The surroundings.
    pub shell: Shell,
    /// The question.
    pub q: Question,
}

impl Question {
    /// The question before an action.
    pub fn action(action: Action, target: &Target, name: &str, plan: Plan) -> Self {
        let (kind, key, name) = (target.target_type(), target.key(), view::shown_name(name));
        Self {
            title: format!("{} {name}?", action.label()),
            label: format!("{} {name}", action.label()),
            icon: view::action_icon(action),
            harsh: action.reverses_order(),
            action: format!("/{kind}s/{key}/{action}"),
            back: Link::new(format!("/{kind}s/{key}"), format!("Back to {name}")),
            text: String::new(),
            plan: Some(plan.into()),
            rev: None,
        }
    }

    /// Nothing would be done: the button would be a lie.
    pub fn is_idle(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.waves.is_empty())
    }
}

/// The question as htmx or a browser asks for it.
///
/// # Errors
/// Where the template cannot be rendered.
pub(super) fn asked(shell: Shell, htmx: &Htmx, q: Question) -> Result<Html<String>> {
    if htmx.partial {
        super::html(&ConfirmDialog { shell, q })
    } else {
        super::html(&ConfirmPage { shell, q })
    }
}

/// To the run that was asked for; says so where it was under way already.
pub(super) async fn to_run(web: &Web, htmx: &Htmx, notes: &Notes, submitted: &Submitted) -> Response {
    if matches!(submitted, Submitted::Duplicate { .. }) {
        notes.leave(Flash::new("info", "This was under way already; here it is.")).await;
    }
    super::go(web, htmx, &format!("/runs/{}", submitted.run_id()))
}

/// What a URL names: a target that is there, an action, and the target's name.
async fn named(
    app: &App,
    actor: &Actor,
    kind: TargetType,
    (key, action): &(String, String),
) -> Result<(Target, Action, String)> {
    let action: Action =
        action.parse().map_err(|_| Error::not_found("page", format!("{kind}s/{key}/{action}")))?;
    let host = HostId::local();
    let target = execute::resolve_target(app, &host, kind, key)?;
    let name = match &target.subject {
        Subject::Stack(name) => name.clone(),
        Subject::Container(_) => stacks::container(app, actor, &host, key).await?.container.name.clone(),
    };
    Ok((target, action, name))
}

async fn ask(
    web: &Web,
    caller: &Caller<Operator>,
    htmx: &Htmx,
    shell: Shell,
    kind: TargetType,
    path: &(String, String),
) -> Result<Html<String>> {
    let (target, action, name) = named(&web.app, &caller.actor, kind, path).await?;
    let plan = execute::preview(&web.app, &caller.actor, &target, action, false).await?;
    asked(shell, htmx, Question::action(action, &target, &name, plan))
}

async fn act(
    web: &Web,
    caller: &Caller<Operator>,
    htmx: &Htmx,
    notes: &Notes,
    kind: TargetType,
    path: &(String, String),
) -> Result<Response> {
    let (target, action, _) = named(&web.app, &caller.actor, kind, path).await?;
    let submitted =
        execute::submit(&web.app, &caller.actor, Request::now(action, target, Trigger::Manual)).await?;
    Ok(to_run(web, htmx, notes, &submitted).await)
}

async fn ask_stack(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    shell: Shell,
) -> Result<Html<String>> {
    ask(&web, &caller, &htmx, shell, TargetType::Stack, &path).await
}

async fn ask_container(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    shell: Shell,
) -> Result<Html<String>> {
    ask(&web, &caller, &htmx, shell, TargetType::Container, &path).await
}

async fn act_stack(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    notes: Notes,
) -> Result<Response> {
    act(&web, &caller, &htmx, &notes, TargetType::Stack, &path).await
}

async fn act_container(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    notes: Notes,
) -> Result<Response> {
    act(&web, &caller, &htmx, &notes, TargetType::Container, &path).await
}

impl PlanView {
    /// A plan to try templates with.
    pub fn sample() -> Self {
        let step = |container: &str, note: &str| WaveStep {
            container: container.to_owned(),
            action: "Stop",
            icon: "square",
            note: note.to_owned(),
        };
        Self {
            waves: vec![
                Wave { number: 1, steps: vec![step("media-web-1", ""), step("media-indexer-1", "")] },
                Wave { number: 2, steps: vec![step("media-db-1", "waits for media-web-1 to be down")] },
            ],
            skipped: vec![Skip {
                container: "media-migrate-1".to_owned(),
                reason: "a one-shot that has done its work".to_owned(),
            }],
            warnings: vec![
                "media-db-1 has the restart policy “always”: a restart of the Docker daemon wakes it."
                    .to_owned(),
            ],
            size: "3 containers".to_owned(),
        }
    }
}

impl Question {
    /// Questions to try templates with.
    pub fn samples() -> Vec<Self> {
        let stop = Self {
            title: "Stop media?".to_owned(),
            label: "Stop media".to_owned(),
            icon: "square",
            harsh: true,
            action: "/stacks/0123456789abcdef/stop".to_owned(),
            back: Link::new("/stacks/0123456789abcdef", "Back to media"),
            text: String::new(),
            plan: Some(PlanView::sample()),
            rev: None,
        };
        vec![
            Self {
                plan: Some(PlanView { waves: vec![], warnings: vec![], ..PlanView::sample() }),
                ..stop.clone()
            },
            Self {
                title: "Delete “Nights”?".to_owned(),
                label: "Delete".to_owned(),
                icon: "trash-2",
                text: "Its runs stay in the list.".to_owned(),
                plan: None,
                rev: Some(3),
                ..stop.clone()
            },
            stop,
        ]
    }
}

impl Sampled for ConfirmPage {
    fn samples() -> Vec<Self> {
        Question::samples().into_iter().map(|q| Self { shell: Shell::sample(), q }).collect()
    }
}

impl Sampled for ConfirmDialog {
    fn samples() -> Vec<Self> {
        Question::samples().into_iter().map(|q| Self { shell: Shell::sample(), q }).collect()
    }
}
