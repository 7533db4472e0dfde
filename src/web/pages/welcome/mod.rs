//! The first steps of an admin who has just been made (ui 4.2, steps 3 and 4): does Docker answer, and the first nap.
//! Both can be opened at any time.

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
