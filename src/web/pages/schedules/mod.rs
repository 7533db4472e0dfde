//! The list of schedules, their form, and what can be done with one.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::actions::{self, Act, Question, Whence};
use super::deeds::Deed;
use super::{go, html, now};
use crate::app::schedules::{self as service, ScheduleView};
use crate::app::{Result, execute};
use crate::domain::action::Action;
use crate::domain::ids::ScheduleId;
use crate::domain::run::Trigger;
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Link, Now, When};

mod edit;
mod fields;
pub mod form;
mod list;
pub mod meaning;
pub mod orphans;
pub mod together;
pub mod views;
pub mod week;

pub use list::{LastRow, ScheduleRow, SchedulesPage};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/schedules", Access::VIEWER, list::index)
        .post("/schedules/bulk", Access::OPERATOR, together::bulk)
        .post("/schedules", Access::OPERATOR, edit::create)
        .get("/schedules/new", Access::OPERATOR, edit::new)
        .post("/schedules/preview", Access::OPERATOR, edit::preview)
        .post("/schedules/reattach", Access::OPERATOR, orphans::reattach)
        .get("/schedules.yaml", Access::VIEWER, list::file)
        .get("/schedules/zones", Access::VIEWER, edit::zones)
        .get("/schedules/{id}", Access::VIEWER, edit::show)
        .post("/schedules/{id}", Access::OPERATOR, edit::update)
        .post("/schedules/{id}/enable", Access::OPERATOR, enable)
        .post("/schedules/{id}/disable", Access::OPERATOR, disable)
        .post("/schedules/{id}/skip", Access::OPERATOR, skip)
        .post("/schedules/{id}/unskip", Access::OPERATOR, unskip)
        .get("/schedules/{id}/run", Access::OPERATOR, ask_run)
        .post("/schedules/{id}/run", Access::OPERATOR, run)
        .get("/schedules/{id}/delete", Access::OPERATOR, ask_delete)
        .post("/schedules/{id}/delete", Access::OPERATOR, delete)
        .post("/schedules/{id}/restore", Access::OPERATOR, restore)
        .get("/schedules/{id}/conflict", Access::VIEWER, together::conflict)
}

/// A schedule in one line, on the page of its target.
#[derive(Clone, Debug)]
pub struct ScheduleLine {
    pub id: String,
    /// What to call it.
    pub title: String,
    /// The action's symbol.
    pub icon: &'static str,
    /// `Stop at 23:00`.
    pub sentence: String,
    /// It is switched on.
    pub enabled: bool,
    /// When it acts next.
    pub next: Option<When>,
}

impl ScheduleLine {
    /// A schedule in one line.
    pub fn new(view: &ScheduleView, now: &Now) -> Self {
        Self {
            id: view.schedule.id.to_string(),
            title: view::shown_name(&view.title),
            icon: icon(view),
            sentence: sentence(view, now),
            enabled: view.schedule.spec.enabled,
            next: view.next_at.map(|at| now.when(at)),
        }
    }
}

/// What it does and when: `Stop: At 23:00; may wait up to 30 min`. A window says both.
fn sentence(view: &ScheduleView, now: &Now) -> String {
    let spec = &view.schedule.spec;
    let sentence = if view.schedule.is_window() {
        view.meaning.clone()
    } else {
        format!("{} {}", spec.action.label(), crate::domain::text::small(&view.meaning))
    };
    now.words(&match &spec.guard {
        Some(guard) => format!("{sentence}; {}", guard.in_short()),
        None => sentence,
    })
}

/// The symbol of what it does: of a window the moon, whether it stops or pauses.
fn icon(view: &ScheduleView) -> &'static str {
    if view.schedule.is_window() { "moon" } else { view::action_icon(view.schedule.spec.action) }
}

/// Buttons that do now what it does: of a window there are two edges.
fn runs_now(view: &ScheduleView) -> Vec<Act> {
    let act = |edge: &str, label, icon| Act {
        action: "run",
        label,
        icon,
        href: format!("/schedules/{}/run{edge}", view.schedule.id),
        of: String::new(),
    };
    if view.schedule.is_window() {
        vec![act("?edge=sleep", "Nap now", "moon"), act("?edge=wake", "Wake now", "sunrise")]
    } else {
        vec![act("", "Run now", "play")]
    }
}

/// One row of the list, after it was switched.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/_row.html")]
pub struct SwitchedRow {
    pub shell: Shell,
    pub row: ScheduleRow,
}

/// The zones there are, as the choices of a field.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/_zones.html")]
pub struct Zones {
    pub shell: Shell,
    /// IANA names.
    pub zones: Vec<String>,
}

/// The row again for htmx, the list for a browser.
async fn switched(
    web: &Web,
    htmx: &Htmx,
    notes: &Notes,
    shell: Shell,
    view: &ScheduleView,
) -> Result<Response> {
    let told = Flash::new("good", format!("“{}” is switched off.", view::shown_name(&view.title)))
        .with_undo(format!("/schedules/{}/enable", view.schedule.id));
    let is_off = !view.schedule.spec.enabled;
    if !htmx.partial {
        if is_off {
            notes.leave(told).await;
        }
        return Ok(go(web, htmx, "/schedules"));
    }
    let row = ScheduleRow::new(view, &shell.zone, &now(web, &shell));
    let row = SwitchedRow { shell: shell.clone(), row };
    Ok(if is_off { told.beside(&shell, &row)? } else { html(&row)? }.into_response())
}

async fn enable(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let view = service::enable(&web.app, &caller.actor, &ScheduleId(id)).await?;
    switched(&web, &htmx, &notes, shell, &view).await
}

async fn disable(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let view = service::disable(&web.app, &caller.actor, &ScheduleId(id)).await?;
    switched(&web, &htmx, &notes, shell, &view).await
}

async fn skip(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let id = ScheduleId(id);
    service::skip_next(&web.app, &caller.actor, &id).await?;
    notes.leave(Flash::new("good", "The next one is left out; the ones after it stay.")).await;
    Ok(go(&web, &htmx, &format!("/schedules/{id}")))
}

async fn unskip(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = ScheduleId(id);
    service::unskip_next(&web.app, &caller.actor, &id).await?;
    Ok(go(&web, &htmx, &format!("/schedules/{id}")))
}

/// Which edge of a window is asked for, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Edge {
    /// `sleep` or `wake`; empty for the other kinds.
    edge: String,
}

impl Edge {
    fn named(&self) -> Option<&str> {
        Some(&*self.edge).filter(|edge| !edge.is_empty())
    }
}

async fn ask_run(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    Query(edge): Query<Edge>,
    whence: Whence,
    shell: Shell,
) -> Result<Html<String>> {
    let view = service::get(&web.app, &caller.actor, &ScheduleId(id)).await?;
    let spec = &view.schedule.spec;
    let back = Link::new(format!("/schedules/{}", view.schedule.id), view::shown_name(&view.title));
    let wakes = edge.named() == Some("wake");
    let (action, text, query) = if !view.schedule.is_window() {
        (spec.action, "This is done now, once. The schedule goes on as before.", "")
    } else if wakes {
        (Action::Start, "It stays awake until the schedule’s next nap.", "?edge=wake")
    } else {
        (spec.action, "It sleeps until the schedule wakes it next.", "?edge=sleep")
    };
    let plan = execute::preview(&web.app, &caller.actor, &spec.target, action, wakes).await?;
    let question = Question::action(action, &spec.target, &view.target_name, plan);
    let question = if view.schedule.is_window() {
        question.as_nap(wakes, &spec.target, &view.target_name)
    } else {
        question
    };
    let action = format!("/schedules/{}/run{query}", view.schedule.id);
    let question = Question { action, back, text: text.to_owned(), ..question };
    actions::asked(shell, &htmx, question.staying(&whence))
}

#[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
async fn run(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    Query(edge): Query<Edge>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let id = ScheduleId(id);
    let submitted = service::run_now(&web.app, &caller.actor, &id, Trigger::Manual, edge.named()).await?;
    let view = service::get(&web.app, &caller.actor, &id).await?;
    let deed = match edge.named() {
        Some("wake") => Deed::Wake,
        Some(_) => Deed::Nap,
        None => Deed::Do(view.schedule.spec.action),
    };
    let back = Whence::sent(&typed).or(&format!("/schedules/{id}"));
    let toast = actions::told(deed, &view.target_name, &submitted);
    actions::stay(&web, &htmx, &notes, &shell, &back, toast).await
}

async fn ask_delete(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let view = service::get(&web.app, &caller.actor, &ScheduleId(id)).await?;
    let title = view::shown_name(&view.title);
    let question = Question {
        title: format!("Delete “{title}”?"),
        label: "Delete".to_owned(),
        icon: "trash-2",
        harsh: true,
        action: format!("/schedules/{}/delete", view.schedule.id),
        back: Link::new(format!("/schedules/{}", view.schedule.id), title),
        text: "It will not fire any more. Its runs stay in the list, and the audit log keeps what it said."
            .to_owned(),
        rev: Some(view.schedule.rev),
        ..Question::default()
    };
    actions::asked(shell, &htmx, question)
}

async fn delete(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    let id = ScheduleId(id);
    let title = service::get(&web.app, &caller.actor, &id).await?.title;
    service::delete(&web.app, &caller.actor, &id, rev).await?;
    let told = Flash::new("good", format!("“{}” is deleted.", view::shown_name(&title)))
        .with_undo(format!("/schedules/{id}/restore"));
    if htmx.partial {
        return Ok(told.alone(&shell)?.into_response());
    }
    notes.leave(told).await;
    Ok(go(&web, &htmx, "/schedules"))
}

async fn restore(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let view = service::restore(&web.app, &caller.actor, &ScheduleId(id)).await?;
    if htmx.partial {
        // The list is live: it shows what is back by itself.
        return Ok(StatusCode::OK.into_response());
    }
    notes.leave(Flash::new("good", format!("“{}” is back.", view::shown_name(&view.title)))).await;
    Ok(go(&web, &htmx, "/schedules"))
}
