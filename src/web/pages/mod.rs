//! The pages. Each file holds the view structs of its noun, what fills them from domain values, and the handlers.

use super::Web;
use super::routes::Routes;

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
