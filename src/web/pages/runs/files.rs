//! The list of runs as a file.

use axum::extract::{Query, State};
use axum::response::Response;

use super::filter::filter;
use super::words;
use crate::app::history::{self, RunDetail};
use crate::app::{Error, Result};
use crate::web::Web;
use crate::web::api::runs::RunJson;
use crate::web::auth::{Caller, Viewer};
use crate::web::export::{File, Form, instant};
use crate::web::form::Typed;
use crate::web::pages;
use crate::web::shell::Shell;
use crate::web::view;

/// The columns of the list as CSV.
const COLUMNS: [&str; 15] = [
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
    ]
}

/// A run as the API answers it, but without what a container wrote into its log (rulings 21).
fn json(mut detail: RunDetail) -> serde_json::Value {
    for step in &mut detail.steps {
        step.output = None;
    }
    serde_json::to_value(RunJson::from(detail)).unwrap_or_default()
}

pub(super) async fn file(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    form: Form,
    Query(fields): Query<Vec<(String, String)>>,
    shell: Shell,
) -> Result<Response> {
    let now = pages::now(&web, &shell);
    let (wanted, errors) = filter(&web.app, &Typed::of(fields), &now);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let (app, actor) = (web.app.clone(), caller.actor.clone());
    let file = File { form, name: "runs", columns: &COLUMNS, cells, json };
    file.answer(now.at, move |page| {
        let (app, actor, wanted) = (app.clone(), actor.clone(), wanted.clone());
        async move {
            if form == Form::Json {
                return history::list_with_steps(&app, &actor, &wanted, &page).await;
            }
            let runs = history::list(&app, &actor, &wanted, &page).await?;
            Ok(runs.map(|run| RunDetail { run, steps: Vec::new() }))
        }
    })
    .await
}
