//! The pages of schedules: the list, the form, and the actions on one schedule or on several.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use self::elsewhere::Way;
use super::actions::{self, Act, Question, TargetAction, Whence};
use crate::app::schedules::{self as service, ScheduleView};
use crate::app::{Result, execute};
use crate::domain::action::Action;
use crate::domain::ids::ScheduleId;
use crate::domain::run::Trigger;
use crate::domain::schedule::Source;
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view::{self, Link, Now, When};

mod compare;
mod edit;
mod elsewhere;
mod fields;
mod form;
mod list;
mod meaning;
pub mod orphans;
mod settle;
mod views;
mod week;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/schedules", Access::VIEWER, list::index)
        .post("/schedules/bulk", Access::OPERATOR, compare::bulk)
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
        .get("/schedules/{id}/copy", Access::OPERATOR, |page, id| elsewhere::ask(page, id, Way::Copy))
        .post("/schedules/{id}/copy", Access::OPERATOR, |page, id, typed| {
            elsewhere::act(page, id, typed, Way::Copy)
        })
        .post("/schedules/{id}/editable", Access::OPERATOR, editable)
        .get("/schedules/{id}/move", Access::OPERATOR, |page, id| elsewhere::ask(page, id, Way::Move))
        .post("/schedules/{id}/move", Access::OPERATOR, |page, id, typed| {
            elsewhere::act(page, id, typed, Way::Move)
        })
        .get("/schedules/{id}/delete", Access::OPERATOR, ask_delete)
        .post("/schedules/{id}/delete", Access::OPERATOR, delete)
        .post("/schedules/{id}/restore", Access::OPERATOR, restore)
        .get("/schedules/{id}/conflict", Access::VIEWER, compare::conflict)
}

/// A schedule in one line, on the page of its target.
#[derive(Clone, Debug)]
pub struct ScheduleLine {
    pub id: String,
    /// The name of the schedule, or a title made from its rule.
    pub title: String,
    /// The icon of the action.
    pub icon: &'static str,
    /// The rule in words, as in `Stop at 23:00`.
    pub sentence: String,
    /// Whether the schedule is switched on.
    pub enabled: bool,
    /// The next instant at which the schedule acts.
    pub next: Option<When>,
}

impl ScheduleLine {
    /// The line of a schedule.
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

/// The action and the rule in words, as in `Stop at 23:00; may wait up to 30 min`. The words of a window already
/// contain the action.
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

/// The icon of the action. A window has the moon, whether it stops or pauses.
fn icon(view: &ScheduleView) -> &'static str {
    if view.schedule.is_window() { "moon" } else { view::action_icon(view.schedule.spec.action) }
}

/// The buttons that run the schedule now. A window has one for each edge.
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

/// The row for htmx, or a redirect to the list for a browser.
async fn switched(page: &Page<Operator>, view: &ScheduleView) -> Result<Response> {
    let message = Flash::new("good", format!("“{}” is switched off.", view::shown_name(&view.title)))
        .with_undo(format!("/schedules/{}/enable", view.schedule.id));
    let (is_off, shell) = (!view.schedule.spec.enabled, &page.shell);
    let row = list::SwitchedRow { shell, row: list::Row { shell, view, clash: None, heading: None } };
    match (page.htmx.partial, is_off) {
        (true, true) => Ok(message.beside(shell, &row)?.into_response()),
        (true, false) => page.render(&row),
        (false, true) => Ok(page.redirect_with("/schedules", message).await),
        (false, false) => Ok(page.redirect("/schedules")),
    }
}

async fn enable(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    let view = service::enable(&page.app, &page.actor, &id).await?;
    switched(&page, &view).await
}

async fn disable(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    let view = service::disable(&page.app, &page.actor, &id).await?;
    switched(&page, &view).await
}

/// Copies the schedule of a label, and leads to the copy.
async fn editable(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    let copy = service::copy_to_editable(&page.app, &page.actor, &id, Source::Ui).await?;
    let said = if copy.schedule.spec.enabled {
        "This copy acts now. The schedule of the label is off until the label changes; then both are on."
    } else {
        "This copy is off, as the schedule of the label was. Switch it on when it says what you want."
    };
    let message = Flash::new("good", said);
    Ok(page.redirect_with(&format!("/schedules/{}", copy.schedule.id), message).await)
}

async fn skip(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    service::skip_next(&page.app, &page.actor, &id).await?;
    let message = Flash::new("good", "The next one is left out; the ones after it stay.");
    Ok(page.redirect_with(&format!("/schedules/{id}"), message).await)
}

async fn unskip(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    service::unskip_next(&page.app, &page.actor, &id).await?;
    Ok(page.redirect(&format!("/schedules/{id}")))
}

/// The query parameter that names an edge of a window.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Edge {
    /// `sleep` or `wake`. Empty for cron and one-off schedules.
    edge: String,
}

impl Edge {
    fn named(&self) -> Option<&str> {
        Some(&*self.edge).filter(|edge| !edge.is_empty())
    }
}

async fn ask_run(
    page: Page<Operator>,
    Path(id): Path<ScheduleId>,
    Query(edge): Query<Edge>,
    whence: Whence,
) -> Result<Response> {
    let view = service::get(&page.app, &page.actor, &id).await?;
    let spec = &view.schedule.spec;
    let wakes = edge.named() == Some("wake");
    let (action, text, query) = if !view.schedule.is_window() {
        (spec.action, "This is done now, once. The schedule goes on as before.", "")
    } else if wakes {
        (Action::Start, "It stays awake until the schedule’s next nap.", "?edge=wake")
    } else {
        (spec.action, "It sleeps until the schedule wakes it next.", "?edge=sleep")
    };
    let plan = execute::preview(&page.app, &page.actor, &spec.target, action, wakes).await?;
    let question = Question::action(action, &spec.target, &view.target_name, plan);
    let question = if view.schedule.is_window() {
        question.into_nap(wakes, &view.schedule.spec.target, &view.target_name)
    } else {
        question
    };
    let question = Question {
        action: format!("/schedules/{}/run{query}", view.schedule.id),
        back: page_of(&view),
        text: text.to_owned(),
        ..question
    };
    question.staying(&whence).ask(&page)
}

fn page_of(view: &ScheduleView) -> Link {
    Link::new(format!("/schedules/{}", view.schedule.id), view::shown_name(&view.title))
}

async fn run(
    page: Page<Operator>,
    Path(id): Path<ScheduleId>,
    Query(edge): Query<Edge>,
    typed: Typed,
) -> Result<Response> {
    let submitted = service::run_now(&page.app, &page.actor, &id, Trigger::Manual, edge.named()).await?;
    let view = service::get(&page.app, &page.actor, &id).await?;
    let action = match edge.named() {
        Some("wake") => TargetAction::Wake,
        Some(_) => TargetAction::Nap,
        None => TargetAction::Do(view.schedule.spec.action),
    };
    let back = Whence::sent(&typed).or(&format!("/schedules/{id}"));
    let toast = actions::result_message(action, &view.target_name, &submitted);
    page.stay(&back, toast).await
}

async fn ask_delete(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    let view = service::get(&page.app, &page.actor, &id).await?;
    let question = Question {
        title: format!("Delete “{}”?", view::shown_name(&view.title)),
        label: "Delete".to_owned(),
        icon: "trash-2",
        harsh: true,
        action: format!("/schedules/{}/delete", view.schedule.id),
        back: page_of(&view),
        text: "It will not fire any more. Its runs stay in the list, and the audit log keeps what it said."
            .to_owned(),
        rev: Some(view.schedule.rev),
        ..Question::default()
    };
    question.ask(&page)
}

async fn delete(page: Page<Operator>, Path(id): Path<ScheduleId>, typed: Typed) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    let title = service::get(&page.app, &page.actor, &id).await?.title;
    service::delete(&page.app, &page.actor, &id, rev).await?;
    let message = Flash::new("good", format!("“{}” is deleted.", view::shown_name(&title)))
        .with_undo(format!("/schedules/{id}/restore"));
    if page.htmx.partial {
        return Ok(message.alone(&page.shell)?.into_response());
    }
    Ok(page.redirect_with("/schedules", message).await)
}

async fn restore(page: Page<Operator>, Path(id): Path<ScheduleId>) -> Result<Response> {
    let view = service::restore(&page.app, &page.actor, &id).await?;
    if page.htmx.partial {
        // The list refreshes itself and shows the schedule again.
        return Ok(StatusCode::OK.into_response());
    }
    let message = Flash::new("good", format!("“{}” is back.", view::shown_name(&view.title)));
    Ok(page.redirect_with("/schedules", message).await)
}
