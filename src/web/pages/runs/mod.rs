//! The pages of runs: the list, the page of one run, and the form actions that cancel or retry a run.

use axum::extract::Path;
use axum::response::Response;

use super::actions::{Question, to_run};
use crate::app::{Result, execute, history};
use crate::domain::ids::RunId;
use crate::domain::run::Step;
use crate::web::auth::Operator;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view::{self, Link};

mod files;
mod list;
mod picture;
mod show;
pub mod words;

pub use list::BatchText;

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

async fn cancel(page: Page<Operator>, Path(id): Path<String>) -> Result<Response> {
    let id = RunId(id);
    execute::cancel(&page.app, &page.actor, &id).await?;
    let message = "It is called off; a step that was sent to Docker already is finished first.";
    Ok(page.redirect_with(&format!("/runs/{id}"), Flash::new("info", message)).await)
}

async fn retry(page: Page<Operator>, Path(id): Path<String>) -> Result<Response> {
    let submitted = execute::retry(&page.app, &page.actor, &RunId(id)).await?;
    Ok(to_run(&page, &submitted).await)
}

async fn ask_retry(page: Page<Operator>, Path(id): Path<String>) -> Result<Response> {
    let detail = history::get(&page.app, &page.actor, &RunId(id)).await?;
    let bad = detail.steps.iter().filter(|step| Step::is_bad(step));
    let names: Vec<String> = bad.map(|step| view::shown_name(&step.container)).collect();
    let again =
        if names.is_empty() { String::new() } else { format!("It is tried again: {}. ", names.join(", ")) };
    let path = format!("/runs/{}", detail.run.id);
    let question = Question {
        title: format!(
            "Retry what failed in “{}”?",
            page.shell.placed(&words::title(&detail.run), &detail.run.target.host)
        ),
        label: "Retry what failed".to_owned(),
        icon: "rotate-cw",
        action: format!("{path}/retry"),
        back: Link::new(path, "Back to the run"),
        text: format!("{again}What is as it should be is left alone."),
        ..Question::default()
    };
    question.ask(&page)
}
