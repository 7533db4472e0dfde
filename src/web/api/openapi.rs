//! The description of the API, made from the handlers and the types they answer with.

use axum::Json;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::{
    actions, audit, auth, calendars, containers, locks, me, order, overrides, plan, report, runs, schedules,
    simulate, stacks, summary,
};
use crate::app::FieldError;
use crate::app::paging::Paged;
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/openapi.json", Access::Anyone, get)
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub struct Items<T> {
    items: Vec<T>,
    /// Asks for the next page; `null` on the last.
    next_cursor: Option<String>,
}

impl<T> From<Paged<T>> for Items<T> {
    fn from(page: Paged<T>) -> Self {
        Self { items: page.items, next_cursor: page.next_cursor }
    }
}

/// What is wrong (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `web::error` writes")]
pub struct Problem {
    title: String,
    detail: String,
    status: u16,
    /// Stable word for programs.
    code: String,
    /// Field by field.
    errors: Option<Vec<FieldError>>,
}

/// Everything about the API in one document.
#[derive(OpenApi)]
#[openapi(
    info(title = "DockNap", description = "Puts Docker stacks to sleep and wakes them again. Clients accept new fields and values: the API only adds."),
    paths(
        get,
        auth::login, auth::logout, me::show,
        stacks::list, stacks::get, stacks::act,
        containers::list, containers::get, containers::act,
        locks::list, locks::lock_stack, locks::unlock_stack, locks::lock_container, locks::unlock_container,
        order::list, order::add, order::remove,
        overrides::list, overrides::create, overrides::get, overrides::end,
        actions::post, plan::post, simulate::get,
        schedules::list, schedules::create, schedules::preview, schedules::get, schedules::put, schedules::delete,
        schedules::enable, schedules::disable, schedules::skip, schedules::unskip, schedules::run,
        calendars::list, calendars::create, calendars::get, calendars::put, calendars::delete,
        runs::list, runs::get, runs::cancel, runs::retry,
        audit::list, summary::get, report::get,
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Description;

/// The one way to log in.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build(),
        );
        openapi.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// The document.
pub fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "description", responses((status = 200)), security(()))]
pub(super) async fn get() -> impl IntoResponse {
    Json(description())
}
