//! A container that is not there any more, as long as schedules are still for it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::app::paging::Page;
use crate::app::schedules::{self as service, ScheduleFilter};
use crate::app::{Actor, Result};
use crate::domain::target::TargetType;
use crate::web::Web;
use crate::web::pages;
use crate::web::pages::schedules::ScheduleLine;
use crate::web::shell::Shell;
use crate::web::view::{self, Sampled};

/// Schedules that are looked through.
const MOST: u32 = 200;

/// What is left of a container.
#[derive(Template, Clone, Debug)]
#[template(path = "containers/gone.html")]
pub struct GonePage {
    /// The surroundings.
    pub shell: Shell,
    /// What it was called.
    pub name: String,
    /// The schedules that are still for it.
    pub schedules: Vec<ScheduleLine>,
}

/// The page of a container that is gone; `None` where no schedule is for it.
pub(super) async fn page(web: &Web, actor: &Actor, shell: Shell, key: &str) -> Result<Option<Response>> {
    let all = Page { limit: MOST, cursor: None };
    let schedules = service::list(&web.app, actor, &ScheduleFilter::default(), &all).await?.items;
    let of_it = |view: &&service::ScheduleView| {
        let target = &view.schedule.spec.target;
        target.target_type() == TargetType::Container && view.target_key == key
    };
    let left: Vec<_> = schedules.iter().filter(of_it).collect();
    let Some(first) = left.first() else { return Ok(None) };
    let now = pages::now(web, &shell);
    let page = GonePage {
        name: view::shown_name(&first.target_name),
        schedules: left.iter().map(|view| ScheduleLine::new(view, &now)).collect(),
        shell,
    };
    Ok(Some((StatusCode::NOT_FOUND, pages::html(&page)?).into_response()))
}

impl Sampled for GonePage {
    fn samples() -> Vec<Self> {
        vec![Self {
            shell: Shell::sample(),
            name: "media-web-1".to_owned(),
            schedules: ScheduleLine::samples(),
        }]
    }
}
