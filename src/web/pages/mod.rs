//! Pages for people. Each file holds the view structs of its noun, what fills them from domain values, and the
//! handlers.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::routes::Routes;
use super::{Web, error};
use crate::app::history::{self, RunFilter};
use crate::app::paging::Page;
use crate::app::schedules::{self as service, ScheduleFilter};
use crate::app::{App, Error, Result, targets};
use crate::domain::run::Run;
use crate::domain::target::{Target, TargetType};

pub mod actions;
pub mod audit;
pub mod calendars;
mod choices;
pub mod containers;
pub mod feeds;
pub mod health;
pub mod invite;
pub mod login;
pub mod order;
pub mod overrides;
pub mod profile;
pub mod report;
pub mod runs;
pub mod schedules;
pub mod settings;
pub mod setup;
pub mod stacks;
pub mod timeline;
pub mod users;
pub mod welcome;

/// Every page with what it asks of its caller.
pub fn routes(web: &Web) -> Routes {
    Routes::new()
        .merge(login::routes(web))
        .merge(setup::routes())
        .merge(invite::routes())
        .merge(welcome::routes())
        .merge(users::routes())
        .merge(stacks::routes())
        .merge(actions::routes())
        .merge(containers::routes())
        .merge(schedules::routes())
        .merge(timeline::routes())
        .merge(calendars::routes())
        .merge(order::routes())
        .merge(overrides::routes())
        .merge(runs::routes())
        .merge(audit::routes())
        .merge(report::routes())
        .merge(settings::routes())
        .merge(health::routes())
        .merge(profile::routes())
        .merge(feeds::routes())
        .merge(super::live::routes())
}

/// A page or a part of one.
pub(super) fn html(page: &impl Template) -> Result<Html<String>> {
    Ok(Html(page.render().map_err(error::internal)?))
}

/// What a live region that asks for itself gets when what it shows is gone: it goes too.
pub(super) fn gone(error: Error) -> Result<Response> {
    match error {
        Error::NotFound { .. } => Ok([("hx-reswap", "delete")].into_response()),
        other => Err(other),
    }
}

/// Lines of the newest schedules on a target's page.
const ON_TARGET: u32 = 10;

/// The schedules and the newest runs of a target, at most so many.
async fn of_target(
    page: &super::page::Page,
    target: &Target,
    most: usize,
) -> Result<(Vec<schedules::ScheduleLine>, Vec<Run>)> {
    let (app, actor) = (&page.app, &page.actor);
    let newest = |limit| Page { limit, cursor: None };
    let wanted = ScheduleFilter { target: Some(target.clone()), ..ScheduleFilter::default() };
    let schedules = service::list(app, actor, &wanted, &newest(ON_TARGET)).await?.items;
    let wanted = RunFilter { target: Some(target.clone()), ..RunFilter::default() };
    let most = u32::try_from(most).unwrap_or(ON_TARGET);
    let runs = history::list(app, actor, &wanted, &newest(most)).await?.items;
    let line = |view| schedules::ScheduleLine::new(view, &page.shell.now);
    Ok((schedules.iter().map(line).collect(), runs))
}

/// The target a URL names as `stack/KEY` or `container/KEY`; `None` where it names none.
///
/// # Errors
/// [`Error::NotFound`] where it is not there.
fn target_of(app: &App, text: &str) -> Result<Option<Target>> {
    let Some((kind, key)) = text.split_once('/') else { return Ok(None) };
    let Some(kind) = TargetType::parse(kind) else { return Ok(None) };
    targets::find(app, kind, key).map(Some)
}
