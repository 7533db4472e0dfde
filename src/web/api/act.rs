//! Shared parts of the calls that act: idempotency keys, revisions, and the response.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::app::execute::Submitted;
use crate::app::idempotency::{self, Answer};
use crate::app::{Error, Result};
use crate::domain::text::hex;
use crate::web::auth::{Caller, Needs};

/// The longest reason that is accepted, in characters.
pub const MAX_REASON: usize = 500;

/// The result of an action.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// The id of the run that executes the action.
    pub run_id: String,
    /// The state of the run.
    pub state: String,
    /// Whether an open run did the same already, so that no other was stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub duplicate: bool,
}

impl From<&Submitted> for Accepted {
    fn from(submitted: &Submitted) -> Self {
        let duplicate = matches!(submitted, Submitted::Duplicate { .. });
        let (Submitted::New { run_id, state, .. } | Submitted::Duplicate { run_id, state }) = submitted;
        Self { run_id: run_id.0.clone(), state: state.as_str().to_owned(), duplicate }
    }
}

/// 202 for a new run, 200 for one that was open already (rulings 11).
pub fn accepted(submitted: &Submitted) -> Result<Answer> {
    let body = Accepted::from(submitted);
    answer(if body.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED }, &body)
}

/// A response in a form that can be stored.
pub fn answer(status: StatusCode, body: &impl Serialize) -> Result<Answer> {
    let body = serde_json::to_string(body).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(Answer { status: status.as_u16(), body })
}

/// Identifies a request: a repetition with the same `Idempotency-Key` gets the stored response and does nothing.
#[derive(Debug)]
pub struct Once {
    key: Option<String>,
    /// The path below `/api`; a created object is found below it.
    path: String,
    /// A digest of path and body, to distinguish requests.
    digest: String,
}

impl Once {
    pub fn new(headers: &HeaderMap, path: &str, body: &[u8]) -> Self {
        // A key that is not a text is passed on as an empty one, which the service rejects.
        let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or_default().to_owned());
        let digest = Sha256::new().chain_update(path).chain_update([0]).chain_update(body);
        Self { key, path: path.to_owned(), digest: hex(&digest.finalize()) }
    }

    /// Executes `work`, or returns the stored response. Boxed: the future of an action is large, and most requests do
    /// not act.
    pub async fn answer<R: Needs>(
        &self,
        caller: &Caller<R>,
        work: impl Future<Output = Result<Answer>> + Send,
    ) -> Result<Response> {
        let (app, actor) = (&caller.app, &caller.actor);
        let once = idempotency::once(app, actor, self.key.as_deref(), &self.digest, work);
        let answer = Box::pin(once).await?;
        // A copy belongs to the list of its original.
        let original = self.path.strip_suffix("/copy").and_then(|path| path.rsplit_once('/'));
        let list = original.map_or(&*self.path, |(list, _)| list);
        Ok(respond(answer, &format!("{}/api{list}", app.config.base_path())))
    }
}

/// The fields of a response about a created object.
#[derive(Deserialize)]
struct Made {
    id: String,
    rev: Option<i64>,
}

/// A response with its headers. `Location` and `ETag` come from the body, so that a repeated response has the same
/// ones.
fn respond(answer: Answer, list: &str) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let made: Option<Made> =
        (status == StatusCode::CREATED).then(|| serde_json::from_str(&answer.body).ok()).flatten();
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response();
    if let Some(made) = made {
        if let Ok(location) = HeaderValue::from_str(&format!("{list}/{}", made.id)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        if let Some(rev) = made.rev {
            response.headers_mut().extend(etag(rev));
        }
    }
    response
}

/// The revision of `If-Match`: `None` without the header or with `*`. An invalid revision matches no stored one.
pub struct IfMatch(pub Option<i64>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        let text = parts.headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().trim());
        Ok(Self(text.filter(|text| *text != "*").map(|text| {
            let text = text.strip_prefix("W/").unwrap_or(text);
            let rev = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            rev.and_then(|rev| rev.parse().ok()).unwrap_or(-1)
        })))
    }
}

/// The `ETag` of a revision.
pub fn etag(rev: i64) -> HeaderMap {
    // A quoted number always is a valid header value.
    let value = HeaderValue::from_str(&format!("\"{rev}\"")).into_iter();
    value.map(|value| (header::ETAG, value)).collect()
}
