//! The first steps of an admin who has just been made (ui 4.2, steps 3 and 4): does Docker answer, and the first nap.
//! Both can be opened at any time.

use axum::extract::State;
use axum::response::Redirect;

use crate::web::Web;
use crate::web::auth::{Admin, Caller};
use crate::web::routes::{Access, Routes};

pub mod docker;
pub mod nap;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/welcome", Access::ADMIN, begin)
        .get("/welcome/docker", Access::ADMIN, docker::show)
        .get("/welcome/nap", Access::OPERATOR, nap::show)
        .post("/welcome/nap", Access::OPERATOR, nap::save)
}

async fn begin(State(web): State<Web>, _: Caller<Admin>) -> Redirect {
    Redirect::to(&web.link("/welcome/docker"))
}
