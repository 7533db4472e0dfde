//! The pages of the web interface. Each file contains the handlers of one kind of object, the structs of its templates,
//! and the code that fills them from domain values.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::routes::Routes;
use super::{Web, error};
use crate::app::history::{self, RunFilter};
use crate::app::paging::Page;
use crate::app::rulebook::RuleBook;
use crate::app::schedules::{self as service, ScheduleFilter};
use crate::app::{App, Error, Result, targets};
use crate::domain::place::Place;
use crate::domain::run::Run;
use crate::domain::target::{Target, TargetType};

pub mod actions;
pub mod audit;
pub mod backup;
pub mod calendars;
mod choices;
pub mod containers;
pub mod feeds;
pub mod groups;
pub mod health;
pub mod hosts;
pub mod import;
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

/// The routes of all pages with the access they need.
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
        .merge(groups::routes())
        .merge(hosts::routes())
        .merge(order::routes())
        .merge(overrides::routes())
        .merge(runs::routes())
        .merge(audit::routes())
        .merge(report::routes())
        .merge(settings::routes())
        .merge(backup::routes())
        .merge(import::routes())
        .merge(health::routes())
        .merge(profile::routes())
        .merge(feeds::routes())
        .merge(super::live::routes())
}

/// A page or part of one as HTML.
pub(super) fn html(page: &impl Template) -> Result<Html<String>> {
    Ok(Html(page.render().map_err(error::internal)?))
}

/// The response to a live region whose object no longer exists: htmx removes the region from the page.
pub(super) fn gone(error: Error) -> Result<Response> {
    match error {
        Error::NotFound { .. } => Ok([("hx-reswap", "delete")].into_response()),
        other => Err(other),
    }
}

/// The maximum number of schedules on the page of a target.
const ON_TARGET: u32 = 10;

/// The newest schedules and runs of a target, with the schedules of its host and its groups, and of a container with
/// those of the services that it belongs to; `most` is the maximum number of runs.
async fn of_target(
    page: &super::page::Page,
    target: &Target,
    most: usize,
) -> Result<(Vec<schedules::ScheduleLine>, Vec<Run>)> {
    let (app, actor) = (&page.app, &page.actor);
    let newest = |limit| Page { limit, cursor: None };
    let wanted = ScheduleFilter { target: Some(target.clone()), ..ScheduleFilter::default() };
    let mut schedules = service::list(app, actor, &wanted, &newest(ON_TARGET)).await?.items;
    // Those of its services, its host and its groups decide about it too, where it has none of its own.
    let place = Place::of_target(target);
    if let (Some(stack), Some(_)) = (place.stack, place.container) {
        let stack = Some(Target::stack(target.host.clone(), stack));
        let wanted = ScheduleFilter { target: stack, ..ScheduleFilter::default() };
        let mut parts = service::list(app, actor, &wanted, &newest(ON_TARGET)).await?.items;
        parts.retain(|view| {
            let services = view.schedule.spec.target.subject.services();
            services.is_some_and(|services| place.lies_in_services(services))
        });
        schedules.append(&mut parts);
    }
    if !target.is_wide() {
        let groups = RuleBook::load(app).await?.rules.groups().groups_of(Place::of_target(target));
        let host = Target::host(target.host.clone());
        for wide in std::iter::once(host).chain(groups.into_iter().map(Target::group)) {
            let wanted = ScheduleFilter { target: Some(wide), ..ScheduleFilter::default() };
            schedules.extend(service::list(app, actor, &wanted, &newest(ON_TARGET)).await?.items);
        }
    }
    let wanted = RunFilter { target: Some(target.clone()), ..RunFilter::default() };
    let most = u32::try_from(most).unwrap_or(ON_TARGET);
    let runs = history::list(app, actor, &wanted, &newest(most)).await?.items;
    let line = |view| schedules::ScheduleLine::new(view, &page.shell.now);
    Ok((schedules.iter().map(line).collect(), runs))
}

/// The target that a URL names as `stack/KEY` or `container/KEY`; `None` if the text has another form.
///
/// # Errors
/// [`Error::NotFound`] if the target does not exist.
fn target_of(app: &App, text: &str) -> Result<Option<Target>> {
    let Some((kind, key)) = text.split_once('/') else { return Ok(None) };
    let Some(kind) = TargetType::parse(kind) else { return Ok(None) };
    targets::find(app, kind, key).map(Some)
}
