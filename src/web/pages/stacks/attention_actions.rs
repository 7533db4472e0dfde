//! The buttons of the "Needs attention" list: hide a line for a while, show it again, or act on its cause.

use axum::extract::Path;
use axum::response::Response;

use super::attention::AttentionInput;
use super::dashboard;
use crate::app::{Result, attention, overrides, schedules, targets};
use crate::domain::group::Area;
use crate::domain::target::TargetType::{self, Container, Stack};
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::pages::actions::Whence;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/needs/{id}/hide", Access::VIEWER, hide)
        .post("/needs/{id}/show", Access::VIEWER, show)
        .post("/stacks/{key}/nap-again", Access::OPERATOR, |page, key| nap_again(page, Stack, key))
        .post("/containers/{key}/nap-again", Access::OPERATOR, |page, key| nap_again(page, Container, key))
        .post("/needs/hosts", Access::OPERATOR, hosts)
        .post("/needs/owners", Access::OPERATOR, owners)
        .post("/needs/storage", Access::OPERATOR, storage)
}

/// Hides a line from the user who sent the request. A line that no longer exists, or whose cause has changed, is left
/// as it is, and the response shows the present list.
async fn hide(page: Page, Path(id): Path<String>) -> Result<Response> {
    let needs = AttentionInput::load(&page, &Area::default()).await?.needs(&page.shell);
    let message = match needs.iter().find(|need| !need.id.is_empty() && need.id == id) {
        Some(need) => {
            let until = attention::hide(&page.app, &page.actor, &need.id).await?;
            let until = page.shell.now.when(until).short;
            Flash::new("good", format!("Hidden until {until}: {}.", need.title))
                .with_undo(format!("/needs/{id}/show"))
        }
        None => Flash::new("info", "This line has changed or gone: here is the list as it is now."),
    };
    answer(&page, message, dashboard::find(Typed::default())).await
}

async fn show(page: Page, Path(id): Path<String>) -> Result<Response> {
    attention::show(&page.app, &page.actor, &id).await?;
    let find = dashboard::find(Typed::of([("hidden", "show")]));
    answer(&page, Flash::new("good", "Shown again."), find).await
}

/// The present list for htmx, or a redirect to the dashboard for a browser, each with a message.
async fn answer(page: &Page, message: Flash, find: ListQuery) -> Result<Response> {
    if page.htmx.partial {
        dashboard::now(page, find, message).await
    } else {
        Ok(page.redirect_with("/", message).await)
    }
}

async fn hosts(page: Page<Operator>, typed: Typed) -> Result<Response> {
    attention::try_hosts(&page.app, &page.actor)?;
    let back = Whence::sent(&typed).or("/");
    Ok(page.redirect_with(&back, Flash::new("info", "Connecting to Docker.")).await)
}

async fn owners(page: Page<Operator>) -> Result<Response> {
    let taken = schedules::adopt(&page.app, &page.actor).await?;
    let message = format!("{} taken over.", view::count(taken, "schedule"));
    Ok(page.redirect_with("/", Flash::new("good", message)).await)
}

async fn storage(page: Page<Operator>) -> Result<Response> {
    let message = if attention::try_storage(&page.app, &page.actor).await? {
        Flash::new("good", "The database stores again.")
    } else {
        Flash::new("bad", "The database still cannot store anything.")
    };
    Ok(page.redirect_with("/", message).await)
}

/// Puts a target to sleep again that was found running in its sleep window.
async fn nap_again(page: Page<Operator>, kind: TargetType, Path(key): Path<String>) -> Result<Response> {
    let target = targets::find(&page.app, kind, &key)?;
    overrides::nap_again(&page.app, &page.actor, &target).await?;
    Ok(page.redirect_with("/", Flash::new("good", "It goes back to sleep by its schedule.")).await)
}
