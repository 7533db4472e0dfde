//! What the calls that act have in common: keys that make them repeatable, and their answer.

use std::pin::Pin;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::body::Fields;
use crate::app::execute::Submitted;
use crate::app::idempotency::{self, Answer};
use crate::app::{Actor, App, Error, Result};
use crate::domain::schedule::MAX_STOP_TIMEOUT;
use crate::domain::text::hex;

/// The longest reason that can be given, in characters.
pub const MAX_REASON: usize = 500;

/// A stop grace in seconds, within its bounds.
pub fn stop_timeout(typed: Option<&str>, fields: &mut Fields) -> Option<i64> {
    let seconds = typed?.parse().ok().filter(|seconds| (0..=MAX_STOP_TIMEOUT).contains(seconds));
    if seconds.is_none() {
        fields.fault("stop_timeout_seconds", format!("use a whole number from 0 to {MAX_STOP_TIMEOUT}"));
    }
    seconds
}

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

/// Does `work`, or gives the answer it had before under the same `Idempotency-Key`. `call` and `body` tell one request
/// from another; what a call makes is found below it. Boxed: what acts is large, and most requests are not of that kind.
pub fn once<'a>(
    app: &'a App,
    actor: &'a Actor,
    headers: &HeaderMap,
    call: &str,
    body: &[u8],
    work: impl Future<Output = Result<Answer>> + Send + 'a,
) -> Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>> {
    // What is no text is no key either; the service says so.
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or_default().to_owned());
    let mut digest = Sha256::new();
    digest.update(call.as_bytes());
    digest.update([0]);
    digest.update(body);
    let request = hex(&digest.finalize());
    let list = format!("{}{call}", app.config.base_path());
    Box::pin(async move {
        let answer = idempotency::once(app, actor, key.as_deref(), &request, work).await?;
        Ok(respond(answer, &list))
    })
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
pub fn if_match(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::IF_MATCH)?.to_str().unwrap_or_default().trim();
    if text == "*" {
        return None;
    }
    let text = text.strip_prefix("W/").unwrap_or(text);
    Some(
        text.strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .and_then(|rev| rev.parse().ok())
            .unwrap_or(-1),
    )
}

/// The `ETag` of a revision.
pub fn etag(rev: i64) -> HeaderMap {
    // A number in quotes is a header's value.
    let value = HeaderValue::from_str(&format!("\"{rev}\"")).into_iter();
    value.map(|value| (header::ETAG, value)).collect()
}
