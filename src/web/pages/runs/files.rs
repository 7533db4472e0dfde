//! The list of runs as a CSV or JSON file, with the same filters as the page.

use axum::extract::Query;
use axum::response::Response;

use super::list::read;
use super::words;
use crate::app::Result;
use crate::app::history::{self, RunDetail};
use crate::web::api::runs::RunJson;
use crate::web::export::{File, Form, instant};
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::view;

/// The columns of the CSV file.
const COLUMNS: [&str; 16] = [
    "id",
    "target_type",
    "target",
    "action",
    "state",
    "trigger",
    "asked_by",
    "schedule",
    "due",
    "made",
    "began",
    "ended",
    "duration_ms",
    "reason",
    "why",
    "host",
];

fn cells(RunDetail { run, .. }: &RunDetail) -> Vec<String> {
    vec![
        run.id.to_string(),
        run.target.target_type().to_string(),
        view::shown_name(&run.target_name),
        run.action.to_string(),
        run.state.to_string(),
        run.trigger.to_string(),
        view::shown_name(&run.actor.name),
        run.schedule_name.as_deref().map(view::shown_name).unwrap_or_default(),
        instant(run.fire_at),
        instant(Some(run.created_at)),
        instant(run.started_at),
        instant(run.finished_at),
        run.duration_ms().map(|took| took.to_string()).unwrap_or_default(),
        words::spoken(&run.reason),
        run.why.clone(),
        run.target.host.to_string(),
    ]
}

/// A run as the API returns it, but without the log output of containers (rulings 21).
fn json(mut detail: RunDetail) -> serde_json::Value {
    for step in &mut detail.steps {
        step.output = None;
    }
    serde_json::to_value(RunJson::from(detail)).unwrap_or_default()
}

pub(super) async fn file(page: Page, form: Form, Query(typed): Query<Typed>) -> Result<Response> {
    let (list, filter) = read(&page.app, typed, &page.shell);
    list.checked()?;
    let file = File { form, name: "runs", columns: &COLUMNS, cells, json };
    let (app, actor) = (page.app, page.actor);
    file.answer(page.shell.now.at, move |part| {
        let (app, actor, filter) = (app.clone(), actor.clone(), filter.clone());
        async move {
            if form == Form::Json {
                return history::list_with_steps(&app, &actor, &filter, &part).await;
            }
            let runs = history::list(&app, &actor, &filter, &part).await?;
            Ok(runs.map(|run| RunDetail { run, steps: Vec::new() }))
        }
    })
    .await
}
