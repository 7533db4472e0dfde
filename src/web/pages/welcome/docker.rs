//! Setup step 3: a check of each kind of Docker API call that DockNap makes, with a remedy for each failed one.

use askama::Template;
use axum::response::Response;

use crate::app::Result;
use crate::app::docker_check::{self, Checked, Outcome, Purpose};
use crate::web::auth::Admin;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::shell::Shell;
use crate::web::view::Badge;

#[derive(Template)]
#[template(path = "welcome/docker.html", blocks = ["checks"])]
struct WelcomeDocker<'a> {
    shell: &'a Shell,
    /// The number of the setup step, of four.
    step: usize,
    checked: Checked,
}

pub(super) async fn show(page: Page<Admin>) -> Result<Response> {
    let Some(checked) = Box::pin(docker_check::check(&page.app, &page.actor)).await? else {
        return Ok(page.redirect("/hosts"));
    };
    let welcome = WelcomeDocker { shell: &page.shell, step: 3, checked };
    page.render_live(&welcome, &welcome.as_checks())
}
