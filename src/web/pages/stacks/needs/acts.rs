//! What is done to a line of "Needs attention" where it stands: hidden for a while, shown again, mended.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use crate::app::{Result, needs, overrides, schedules, targets};
use crate::domain::target::TargetType;
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::htmx::Htmx;
use crate::web::pages::{self, stacks::dashboard};
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view;

pub(in crate::web::pages::stacks) fn routes() -> Routes {
    Routes::new()
        .post("/needs/{id}/hide", Access::VIEWER, hide)
        .post("/needs/{id}/show", Access::VIEWER, show)
        .post("/stacks/{key}/nap-again", Access::OPERATOR, nap_stack)
        .post("/containers/{key}/nap-again", Access::OPERATOR, nap_container)
        .post("/needs/hosts", Access::OPERATOR, hosts)
        .post("/needs/owners", Access::OPERATOR, owners)
        .post("/needs/storage", Access::OPERATOR, storage)
}

/// Hides a line from who asks. One that is not there any more, or that something new happened to since, is left as it is:
/// the list that comes back shows how it is now.
async fn hide(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
) -> Result<Response> {
    let there = dashboard::needs_now(&web, &caller.actor, &shell).await?.into_iter();
    let told = match there.into_iter().find(|need| !need.id.is_empty() && need.id == id) {
        Some(need) => {
            let until = needs::hide(&web.app, &caller.actor, &need.id).await?;
            let until = pages::now(&web, &shell).when(until).short;
            Flash::new("good", format!("Hidden until {until}: {}.", need.title))
                .with_undo(format!("/needs/{id}/show"))
        }
        None => Flash::new("info", "This line has changed or gone: here is the list as it is now."),
    };
    answer(&web, &caller, &htmx, &notes, shell, (told, "")).await
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
) -> Result<Response> {
    needs::show(&web.app, &caller.actor, &id).await?;
    answer(&web, &caller, &htmx, &notes, shell, (Flash::new("good", "Shown again."), "show")).await
}

/// The list as it is now for htmx, the first page for a browser; with a message, and with what is hidden or not.
async fn answer(
    web: &Web,
    caller: &Caller<Viewer>,
    htmx: &Htmx,
    notes: &Notes,
    shell: Shell,
    (told, hidden): (Flash, &str),
) -> Result<Response> {
    if htmx.partial {
        let find = dashboard::Find { hidden: hidden.to_owned(), ..dashboard::Find::default() };
        let page = dashboard::page(web, &caller.actor, shell, find).await?;
        return Ok(told.beside(&page.shell, &page.as_now())?.into_response());
    }
    notes.leave(told).await;
    Ok(pages::go(web, htmx, "/"))
}

async fn hosts(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
) -> Result<Response> {
    needs::try_hosts(&web.app, &caller.actor)?;
    notes.leave(Flash::new("info", "Connecting to Docker.")).await;
    Ok(pages::go(&web, &htmx, "/"))
}

async fn owners(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
) -> Result<Response> {
    let taken = schedules::adopt(&web.app, &caller.actor).await?;
    notes.leave(Flash::new("good", format!("{} taken over.", view::count(taken, "schedule")))).await;
    Ok(pages::go(&web, &htmx, "/"))
}

async fn storage(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
) -> Result<Response> {
    let told = if needs::try_storage(&web.app, &caller.actor).await? {
        Flash::new("good", "The database stores again.")
    } else {
        Flash::new("bad", "The database still cannot store anything.")
    };
    notes.leave(told).await;
    Ok(pages::go(&web, &htmx, "/"))
}

async fn nap_stack(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(key): Path<String>,
    notes: Notes,
) -> Result<Response> {
    nap_again(&web, &caller, &htmx, (TargetType::Stack, &key), &notes).await
}

async fn nap_container(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(key): Path<String>,
    notes: Notes,
) -> Result<Response> {
    nap_again(&web, &caller, &htmx, (TargetType::Container, &key), &notes).await
}

/// Puts back to sleep what was found running in its sleep.
async fn nap_again(
    web: &Web,
    caller: &Caller<Operator>,
    htmx: &Htmx,
    (kind, key): (TargetType, &str),
    notes: &Notes,
) -> Result<Response> {
    let target = targets::find(&web.app, kind, key)?;
    overrides::nap_again(&web.app, &caller.actor, &target).await?;
    notes.leave(Flash::new("good", "It goes back to sleep by its schedule.")).await;
    Ok(pages::go(web, htmx, "/"))
}
