//! The OpenAPI description of the API, and its page and error types. A test generates `openapi.json` from the handlers
//! and their types; the generating code is larger than all pages together, and is not part of the program.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor;
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
    /// The cursor of the next page; `null` on the last page.
    next_cursor: Option<String>,
}

impl<T> Items<T> {
    /// A page of `list`.
    pub fn new<U: Into<T>>(list: &str, page: Paged<U>) -> Self {
        Self {
            items: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor.map(|id| cursor::make(list, &id)),
        }
    }
}

/// An error (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `web::error` writes")]
pub struct Problem {
    title: String,
    detail: String,
    status: u16,
    /// A stable code for programs.
    code: String,
    /// The first 20 invalid fields; empty where the error is not about a field.
    errors: Vec<FieldError>,
    /// Names similar to the one that was not found.
    near: Option<Vec<String>>,
    /// The id of the request in the log.
    request_id: String,
}

/// Returns this description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "description", operation_id = "get_description", responses((status = 200, body = serde_json::Value)), security(()))]
pub async fn get() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::Value;
    use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
    use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
    use utoipa::openapi::{Content, Header, Object, PathItem, Ref, RefOr, Required, Response, Schema, Type};
    use utoipa::{Modify, OpenApi, PartialSchema};

    use super::*;
    use crate::web::api::{
        actions, audit, auth, backup, calendars, containers, groups, hosts, locks, order, overrides, report,
        rules, runs, schedules, simulate, stacks, summary,
    };

    /// The whole description in one document.
    #[derive(OpenApi)]
    #[openapi(
        info(title = "DockNap", description = "Puts Docker stacks to sleep and wakes them again. Clients accept new fields and values: the API only adds."),
        paths(
            get,
            auth::login, auth::logout, auth::show,
            stacks::list, stacks::get, stacks::act,
            containers::list, containers::get, containers::act,
            locks::list, locks::lock_stack, locks::unlock_stack, locks::lock_container, locks::unlock_container,
            order::list, order::add, order::get, order::remove,
            overrides::list, overrides::create, overrides::get, overrides::end,
            actions::post, actions::plan, simulate::get,
            schedules::list, schedules::create, schedules::preview, schedules::get, schedules::put, schedules::delete,
            schedules::enable, schedules::disable, schedules::skip, schedules::unskip, schedules::run,
            schedules::copy, schedules::copy_to_editable, schedules::move_to,
            calendars::list, calendars::create, calendars::get, calendars::put, calendars::delete,
            hosts::list, hosts::create, hosts::get, hosts::put, hosts::delete, hosts::test, hosts::enable,
            hosts::disable,
            groups::list, groups::create, groups::get, groups::put, groups::delete, groups::add_member,
            groups::remove_member,
            rules::export, rules::import,
            runs::list, runs::get, runs::cancel, runs::undo, runs::retry,
            backup::get, backup::create, backup::file,
            audit::list, summary::get, report::get,
        ),
        components(schemas(Problem)),
        modifiers(&Bearer, &Calls),
        security(("bearer" = []))
    )]
    struct Description;

    /// The security scheme of all calls.
    struct Bearer;

    impl Modify for Bearer {
        fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
            let scheme = SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build(),
            );
            openapi.components.get_or_insert_default().add_security_scheme("bearer", scheme);
        }
    }

    /// Adds the parts that all calls share: path parameters, headers, error responses.
    struct Calls;

    const PROBLEM: &str = "#/components/schemas/Problem";

    impl Modify for Calls {
        fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
            for (path, item) in &mut openapi.paths.paths {
                for operation in operations(item) {
                    if let Some(RefOr::T(body)) = &mut operation.request_body {
                        body.content.values_mut().for_each(without_null);
                    }
                    parameters(path, operation);
                    let answers = &mut operation.responses.responses;
                    for status in ["default", "401", "404", "422"] {
                        let may_be = match status {
                            "401" => operation.security.is_none(),
                            "404" => path.contains('{'),
                            _ => true,
                        };
                        if may_be {
                            answers.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::default()));
                        }
                    }
                    for (status, answer) in answers {
                        if let RefOr::T(answer) = answer {
                            described(status, answer);
                        }
                    }
                }
            }
        }
    }

    /// Adds the names in a path, and the header of repeatable calls: an idempotency key where something is created or
    /// begun, a revision where a stale one is rejected.
    fn parameters(path: &str, operation: &mut Operation) {
        let parameters = operation.parameters.get_or_insert_default();
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for (place, name) in named.enumerate() {
            if !parameters.iter().any(|known| matches!(known, RefOr::T(known) if known.name == name)) {
                let parameter = Parameter::builder().name(name).parameter_in(ParameterIn::Path);
                let parameter = parameter.required(Required::True).schema(Some(String::schema()));
                parameters.insert(place, parameter.build().into());
            }
        }
        let answers = |status: &str| operation.responses.responses.contains_key(status);
        for (header, is_read) in
            [("Idempotency-Key", answers("201") || answers("202")), ("If-Match", answers("412"))]
        {
            if is_read {
                let parameter = Parameter::builder().name(header).parameter_in(ParameterIn::Header);
                let parameter = parameter.required(Required::False).schema(Some(String::schema()));
                parameters.push(parameter.build().into());
            }
        }
        operation.parameters.take_if(|parameters| parameters.is_empty());
    }

    fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
        [&mut path.get, &mut path.post, &mut path.put, &mut path.delete].into_iter().flatten()
    }

    /// Removes `null` as a value: an optional body may be omitted, but must not be `null`.
    fn without_null(content: &mut RefOr<Content>) {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(one))) = &content.schema
        {
            content.schema = one.items.iter().find(|item| matches!(item, RefOr::Ref(_))).cloned();
        }
    }

    fn described(status: &str, answer: &mut Response) {
        let words = match status {
            "200" => "The requested object or list.",
            "201" => "Stored.",
            "202" => "Started; the run goes on.",
            "204" => "Done.",
            "401" => "The request has no valid login.",
            "403" => "The role does not allow this, or the target is protected.",
            "404" => "No such object.",
            "409" => "Not possible in the present state.",
            "412" => "The object has changed since it was read.",
            "413" => "The body is too large.",
            "422" => "Invalid input; `errors` lists the fields.",
            "429" => "Too many requests; see Retry-After.",
            "default" => "Any other error.",
            other => panic!("say what {other} means"),
        };
        words.clone_into(&mut answer.description);
        let is_refusal = matches!(status.as_bytes(), [b'4', ..] | b"default");
        if is_refusal && answer.content.is_empty() {
            let problem = Content::new(Some(Ref::new(PROBLEM)));
            answer.content.insert("application/problem+json".to_owned(), problem.into());
        }
        let header = match status {
            "201" => "Location",
            "429" => "Retry-After",
            _ => return,
        };
        answer.headers.insert(header.to_owned(), RefOr::T(Header::new(Object::with_type(Type::String))));
    }

    /// Writes one line for each path and schema, so that a change affects few lines.
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
        let served: Value = serde_json::from_str(include_str!("openapi.json")).expect("it is JSON");
        let differs = |part: &str| made.pointer(part) != served.pointer(part);
        let parts = ["/info", "/paths", "/components/schemas"];
        let parts: Vec<_> = parts.into_iter().filter(|part| differs(part)).collect();
        assert!(
            made == served,
            "src/web/api/openapi.json is not what the code says ({parts:?}): run this test with UPDATE_DOCS=1"
        );
    }
}
