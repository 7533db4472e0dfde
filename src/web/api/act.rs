//! What the calls that act have in common: keys that make them repeatable, and their answer.

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

/// The longest reason that can be given, in characters.
pub const MAX_REASON: usize = 500;

/// What became of an action.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// The run that does it.
    pub run_id: String,
    /// Where it stands.
    pub state: String,
    /// A run that does just this was open already; no other was made.
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

/// An answer that can be kept.
pub fn answer(status: StatusCode, body: &impl Serialize) -> Result<Answer> {
    let body = serde_json::to_string(body).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(Answer { status: status.as_u16(), body })
}

/// Which request this is: sent again under its `Idempotency-Key`, it is answered as before and does nothing.
#[derive(Debug)]
pub struct Once {
    key: Option<String>,
    /// The path below `/api`; what a call makes is found below it.
    path: String,
    /// Tells one request from another.
    digest: String,
}

impl Once {
    pub fn new(headers: &HeaderMap, path: &str, body: &[u8]) -> Self {
        // What is no text is no key either; the service says so.
        let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or_default().to_owned());
        let digest = Sha256::new().chain_update(path).chain_update([0]).chain_update(body);
        Self { key, path: path.to_owned(), digest: hex(&digest.finalize()) }
    }

    /// Does `work`, or gives the answer it had before. Boxed: what acts is large, and most requests are not of that
    /// kind.
    pub async fn answer<R: Needs>(
        &self,
        caller: &Caller<R>,
        work: impl Future<Output = Result<Answer>> + Send,
    ) -> Result<Response> {
        let (app, actor) = (&caller.app, &caller.actor);
        let once = idempotency::once(app, actor, self.key.as_deref(), &self.digest, work);
        let answer = Box::pin(once).await?;
        Ok(respond(answer, &format!("{}/api{}", app.config.base_path(), self.path)))
    }
}

/// What was made, as its answer tells.
#[derive(Deserialize)]
struct Made {
    id: String,
    rev: Option<i64>,
}

/// Read from the body, `Location` and `ETag` are the same however often the answer is given.
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

/// The revision that `If-Match` names: `None` where there is no such header or it is `*`. What is no revision of ours
/// matches none.
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
    // A number in quotes is a header's value.
    let value = HeaderValue::from_str(&format!("\"{rev}\"")).into_iter();
    value.map(|value| (header::ETAG, value)).collect()
}
