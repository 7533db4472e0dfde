//! Undoes actions that a user started with a button. `POST /undo?run=…` names the runs; the button is part of the
//! message after the action.

use std::fmt::Write as _;

use axum::extract::RawQuery;
use axum::response::Response;

use super::{MOST, Whence};
use crate::app::execute::undo::{self, Undone};
use crate::app::{Error, Result};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view;

pub(super) fn routes() -> Routes {
    Routes::new().post("/undo", Access::OPERATOR, act)
}

async fn act(page: Page<Operator>, RawQuery(query): RawQuery, whence: Whence) -> Result<Response> {
    let typed = Typed::parse(query.unwrap_or_default().as_bytes());
    let mut ids: Vec<RunId> = Vec::new();
    for id in typed.all("run").take(MOST + 1).map(RunId::from) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() || ids.len() > MOST {
        return Err(Error::field("run", format!("name 1 to {MOST} runs")));
    }
    let (mut undone, mut refused) = (Vec::new(), Vec::new());
    for id in &ids {
        match undo::undo(&page.app, &page.actor, id).await {
            Ok(one) => undone.push(one),
            Err(error) => refused.push(error),
        }
    }
    if undone.is_empty()
        && let Some(first) = refused.pop()
    {
        // As a rule all runs have the same error.
        return Err(first);
    }
    let refused: Vec<String> = refused.iter().map(ToString::to_string).collect();
    page.stay(&whence.or("/"), message(&undone, &refused)).await
}

/// The message about the result.
fn message(undone: &[Undone], refused: &[String]) -> Flash {
    let mut text = match undone {
        [one] => message_of_one(one),
        several => match several.iter().filter(|one| one.acts > 0).count() {
            0 => "Undone: nothing had to change.".to_owned(),
            1 => "Undone: 1 goes back to what it was.".to_owned(),
            many => format!("Undone: {many} go back to what they were."),
        },
    };
    let left: Vec<String> = undone
        .iter()
        .flat_map(|one| &one.left)
        .map(|(name, why)| format!("{}: {why}", view::shown_name(name)))
        .collect();
    for (what, all) in [("Left as it is", &left[..]), ("Not undone", refused)] {
        if !all.is_empty() {
            let _ = write!(text, " {what}: {}.", view::first_few(all, "; ", "; and "));
        }
    }
    if undone.iter().any(|one| one.keeps_override) {
        text.push_str(" What lasts was changed since, and stays.");
    }
    let is_whole = left.is_empty() && refused.is_empty() && !undone.iter().any(|one| one.keeps_override);
    let toast = Flash::new(if is_whole { "good" } else { "warn" }, text);
    match undone {
        [one] => toast.with_link(format!("/runs/{}", one.run_id), "View run"),
        _ => toast.with_link("/runs?trigger=undo", "View runs"),
    }
}

fn message_of_one(one: &Undone) -> String {
    let name = view::shown_name(&one.name);
    match (one.acts, one.called_off, one.action) {
        (0, true, _) => format!("Undone: what had not begun on {name} is called off."),
        (0, false, _) => format!("Undone: nothing of {name} had to change."),
        (_, _, Action::Stop) => format!("Undone: {name} stops again."),
        (_, _, Action::Pause) => format!("Undone: {name} is paused again."),
        _ => format!("Undone: {name} starts again."),
    }
}
