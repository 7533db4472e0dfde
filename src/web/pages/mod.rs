//! Pages for people. Each file holds the view structs of its noun, what fills them from domain values, and the handlers.

use askama::Template;
use axum::response::Html;

use super::routes::Routes;
use super::shell::Shell;
use super::view::Now;
use super::{Web, error};
use crate::app::Result;

pub mod actions;
pub mod audit;
pub mod containers;
pub mod login;
pub mod profile;
pub mod runs;
pub mod schedules;
pub mod setup;
pub mod stacks;
pub mod users;

/// Every page with what it asks of its caller.
pub(super) fn routes(web: &Web) -> Routes {
    Routes::new().merge(login::routes(web)).merge(setup::routes(web)).merge(users::routes())
}

/// The instant and the reader's zone.
pub(super) fn now(web: &Web, shell: &Shell) -> Now {
    let zone = crate::domain::time::zone(&shell.zone).unwrap_or(jiff::tz::TimeZone::UTC);
    Now { at: web.app.clock.now(), zone }
}

/// A page or a part of one.
pub(super) fn html(page: &impl Template) -> Result<Html<String>> {
    Ok(Html(page.render().map_err(error::internal)?))
}
