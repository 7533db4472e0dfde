//! The first steps of a new admin (ui 4.2, steps 3 and 4): the check of the Docker connection, and the first nap. Both
//! pages can be opened again at any time.

use axum::response::Redirect;

use crate::web::auth::Admin;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};

mod docker;
mod nap;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/welcome", Access::ADMIN, begin)
        .get("/welcome/docker", Access::ADMIN, docker::show)
        .get("/welcome/nap", Access::OPERATOR, nap::show)
        .post("/welcome/nap", Access::OPERATOR, nap::save)
}

async fn begin(page: Page<Admin>) -> Redirect {
    Redirect::to(&page.web.link("/welcome/docker"))
}
