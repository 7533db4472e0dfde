//! The API for programs.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::error::Problem;
use super::routes::Routes;
use crate::app::FieldError;

mod act;
pub mod actions;
pub mod audit;
pub mod auth;
mod body;
pub mod calendars;
pub mod containers;
pub mod locks;
mod me;
pub mod openapi;
pub mod order;
mod overrides;
mod plan;
mod report;
pub mod runs;
pub mod schedules;
mod simulate;
pub mod stacks;
pub mod summary;

/// Every call with what it asks of its caller; paths are below `/api`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(auth::routes())
        .merge(me::routes())
        .merge(openapi::routes())
        .merge(locks::routes())
        .merge(order::routes())
        .merge(overrides::routes())
        .merge(stacks::routes())
        .merge(containers::routes())
        .merge(actions::routes())
        .merge(plan::routes())
        .merge(schedules::routes())
        .merge(simulate::routes())
        .merge(calendars::routes())
        .merge(runs::routes())
        .merge(audit::routes())
        .merge(summary::routes())
        .merge(report::routes())
}

/// A JSON body. Give its type `#[serde(deny_unknown_fields)]`: what is not known is refused, not ignored.
///
/// Text that is no JSON answers 400; JSON of another shape answers 422 and names the field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let json = request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.as_bytes();
            kind.starts_with(b"application/json") || kind.starts_with(b"application/merge-patch+json")
        });
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        if !json {
            return Err(Problem::media_type("application/json").into_response());
        }
        read(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

/// Reads a JSON text into `T`.
///
/// # Errors
/// A [`Problem`] with status 400 or 422.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() { wrong_shape(&path, &inner) } else { no_json(&inner) }
    })?;
    deserializer.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "no_json",
        "This is no JSON",
        format!("The body is no JSON: {error}."),
    )
}

fn wrong_shape(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // serde_json appends the place in the text; the field says it better.
    let message = text.rsplit_once(" at line ").map_or(&*text, |(message, _)| message).to_owned();
    let named = |after: &str| message.strip_prefix(after)?.split('`').next().map(str::to_owned);
    // An unknown or a missing field is not where the reader stands, but what the message names.
    let missing = named("missing field `").or_else(|| named("unknown field `"));
    let field = match (path, missing) {
        ("." | "", Some(name)) => name,
        (path, Some(name)) if !path.ends_with(&name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    let mut problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
        "Some fields need a correction",
        format!("Field `{field}`: {message}."),
    );
    problem.errors = vec![FieldError::new(field, message)];
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Shape {
        name: String,
        list: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        count: u8,
    }

    fn wrong(text: &str) -> (u16, String) {
        let problem = read::<Shape>(text.as_bytes()).expect_err(text);
        (problem.status.as_u16(), problem.errors.first().map(|error| error.field.clone()).unwrap_or_default())
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named_by_field() {
        assert_eq!(wrong(r#"{"name":1,"list":[]}"#), (422, "name".into()));
        assert_eq!(wrong(r#"{"name":"x"}"#), (422, "list".into()));
        assert_eq!(wrong(r#"{"name":"x","list":[],"nmae":"y"}"#), (422, "nmae".into()));
        assert_eq!(
            wrong(r#"{"name":"x","list":[{"count":1},{"count":300}]}"#),
            (422, "list[1].count".into())
        );
        assert_eq!(wrong(r#"{"name":"x","list":[{}]}"#), (422, "list[0].count".into()));
        assert_eq!(wrong("{"), (400, String::new()));
        assert_eq!(wrong(r#"{"name":"x","list":[]} x"#), (400, String::new()));
        assert_eq!(wrong(""), (400, String::new()));
    }
}
