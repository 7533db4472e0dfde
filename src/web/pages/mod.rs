//! Pages for people.

use super::Web;
use super::routes::Routes;

pub mod login;
pub mod setup;
pub mod users;

/// Every page with what it asks of its caller.
pub(super) fn routes(web: &Web) -> Routes {
    Routes::new().merge(login::routes(web)).merge(setup::routes(web)).merge(users::routes())
}
