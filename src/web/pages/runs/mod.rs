//! What was done: the list of runs, and one run while it goes on and after.

use axum::extract::{Path, State};
use axum::response::{Html, Response};

use crate::app::{Result, execute, history};
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState, StepState};
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Badge, Link, Now, When};

use super::actions::{Question, asked};

mod files;
pub mod filter;
pub mod list;
pub mod picture;
pub mod show;
pub mod words;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/runs", Access::VIEWER, list::index)
        .get("/runs/newer", Access::VIEWER, list::newer)
        .get("/runs.csv", Access::VIEWER, files::file)
        .get("/runs.json", Access::VIEWER, files::file)
        .get("/runs/{id}", Access::VIEWER, show::show)
        .post("/runs/{id}/cancel", Access::OPERATOR, cancel)
        .get("/runs/{id}/retry", Access::OPERATOR, ask_retry)
        .post("/runs/{id}/retry", Access::OPERATOR, retry)
}

/// A run in one line.
#[derive(Clone, Debug)]
pub struct RunLine {
    pub id: String,
    /// `Stop media`.
    pub title: String,
    /// Where it stands.
    pub state: Badge,
    /// `by schedule Nights`, `by hand, anna`.
    pub cause: String,
    /// Why it stands there; may be empty.
    pub reason: String,
    /// When it ended, else began, else was asked for.
    pub when: When,
    /// How long it took; empty while it goes on and where nothing was done.
    pub duration: String,
}

impl RunLine {
    /// A run in one line.
    pub fn new(run: &Run, now: &Now) -> Self {
        Self {
            id: run.id.to_string(),
            title: title(run),
            state: run.state.into(),
            cause: cause(run),
            reason: words::reason(&run.reason, now),
            when: now.when(run.finished_at.or(run.started_at).or(run.fire_at).unwrap_or(run.created_at)),
            duration: run
                .duration_ms()
                .filter(|_| run.state != RunState::Skipped)
                .map(view::duration)
                .unwrap_or_default(),
        }
    }
}

fn title(run: &Run) -> String {
    format!("{} {}", run.action.label(), view::shown_name(&run.target_name))
}

fn cause(run: &Run) -> String {
    match &run.schedule_name {
        Some(name) if run.actor.kind == "scheduler" => format!("{} {name}", view::trigger(run.trigger)),
        Some(name) => format!("{}, {} (schedule {name})", view::trigger(run.trigger), run.actor.name),
        None => format!("{}, {}", view::trigger(run.trigger), run.actor.name),
    }
}

async fn cancel(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let id = RunId(id);
    execute::cancel(&web.app, &caller.actor, &id).await?;
    notes
        .leave(Flash::new(
            "info",
            "It is called off; a step that was sent to Docker already is finished first.",
        ))
        .await;
    Ok(super::go(&web, &htmx, &format!("/runs/{id}")))
}

async fn retry(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let submitted = execute::retry(&web.app, &caller.actor, &RunId(id)).await?;
    Ok(super::actions::to_run(&web, &htmx, &notes, &submitted).await)
}

async fn ask_retry(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let detail = history::get(&web.app, &caller.actor, &RunId(id)).await?;
    let failed = |state| matches!(state, StepState::Failed | StepState::Interrupted);
    let names: Vec<String> = detail
        .steps
        .iter()
        .filter(|step| failed(step.state))
        .map(|step| view::shown_name(&step.container))
        .collect();
    let id = &detail.run.id;
    let question = Question {
        title: format!("Retry what failed in “{}”?", title(&detail.run)),
        label: "Retry what failed".to_owned(),
        icon: "rotate-cw",
        action: format!("/runs/{id}/retry"),
        back: Link::new(format!("/runs/{id}"), "Back to the run"),
        text: match names.len() {
            0 => "What is as it should be is left alone.".to_owned(),
            _ => format!("It is tried again: {}. What is as it should be is left alone.", names.join(", ")),
        },
        ..Question::default()
    };
    asked(shell, &htmx, question)
}
