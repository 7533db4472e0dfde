//! The description of the API, made from the handlers and the types they answer with: by a test, which keeps
//! `openapi.json`. The code that makes it is larger than all pages together, and nothing of it is in the program.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::FieldError;
use crate::app::paging::Paged;
use crate::web::assets;
use crate::web::packed::{Packed, packed};
use crate::web::routes::{Access, Routes};

static DESCRIPTION: Packed = packed!("openapi.json");

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

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "description", responses((status = 200)), security(()))]
pub(super) async fn get(headers: HeaderMap) -> Response {
    let mut response = assets::answer(&DESCRIPTION, &headers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::Value;
    use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
    use utoipa::{Modify, OpenApi};

    use super::*;
    use crate::web::api::{
        actions, audit, auth, calendars, containers, locks, me, order, overrides, plan, report, runs,
        schedules, simulate, stacks, summary,
    };

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

    /// A line for each path and schema, so that a change is one of few lines.
    fn write_lines(text: &mut String, value: &Value, depth: usize) {
        let Some(entries) = value.as_object().filter(|_| depth > 0) else {
            let _ = write!(text, "{value}");
            return;
        };
        text.push('{');
        for (at, (key, value)) in entries.iter().enumerate() {
            let _ = write!(text, "{}\n{}:", if at > 0 { "," } else { "" }, Value::from(key.as_str()));
            write_lines(text, value, depth - 1);
        }
        text.push('}');
    }

    #[test]
    fn the_description_that_is_served_is_that_of_the_code() {
        let made = serde_json::to_value(Description::openapi()).expect("it is JSON");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/api/openapi.json");
            let mut text = String::new();
            write_lines(&mut text, &made, 3);
            std::fs::write(path, text + "\n").expect("it is written");
        }
        let served: Value = serde_json::from_slice(&DESCRIPTION.plain()).expect("it is JSON");
        let differs = |part: &str| made.pointer(part) != served.pointer(part);
        let parts = ["/info", "/paths", "/components/schemas"];
        let parts: Vec<_> = parts.into_iter().filter(|part| differs(part)).collect();
        assert!(
            made == served,
            "src/web/api/openapi.json is not what the code says ({parts:?}): run this test with UPDATE_DOCS=1"
        );
    }
}
