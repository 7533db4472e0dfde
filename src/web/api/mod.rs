//! The JSON API.

use super::Web;
use super::routes::Routes;

mod act;
pub mod actions;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod body;
pub mod calendars;
pub mod containers;
mod cursor;
pub mod groups;
pub mod hosts;
pub mod locks;
pub mod openapi;
pub mod order;
mod overrides;
mod report;
pub mod rules;
pub mod runs;
pub mod schedules;
mod schema;
mod simulate;
pub mod stacks;
mod submit;
pub mod summary;
mod target;

/// All calls of the API with the access they require; paths are below `/api`.
pub(super) fn routes(web: &Web) -> Routes {
    Routes::new()
        .merge(auth::routes(web))
        .merge(openapi::routes())
        .merge(locks::routes())
        .merge(order::routes())
        .merge(overrides::routes())
        .merge(stacks::routes())
        .merge(containers::routes())
        .merge(actions::routes())
        .merge(schedules::routes())
        .merge(simulate::routes())
        .merge(calendars::routes())
        .merge(groups::routes())
        .merge(hosts::routes())
        .merge(rules::routes())
        .merge(runs::routes())
        .merge(audit::routes())
        .merge(backup::routes())
        .merge(summary::routes())
        .merge(report::routes())
}
