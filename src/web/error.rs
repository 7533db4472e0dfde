//! The error of a request, independent of the format of its response. [`super::error_response`] turns a [`Problem`]
//! into a page, a toast or problem+json.

use std::fmt::Write as _;

use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::app::{Error, FieldError};
use crate::domain::text::{capital, chain};

/// An error of a request, before it is rendered.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable code for programs.
    pub code: &'static str,
    /// The title, a few words.
    pub title: &'static str,
    /// The description, and what the user can do.
    pub detail: String,
    /// The errors of single fields.
    pub errors: Vec<FieldError>,
    /// Seconds until a retry makes sense.
    pub retry_after: Option<u64>,
    rest: Box<Rest>,
}

/// Parts that only few problems have; in a box, to keep [`Problem`] small.
#[derive(Clone, Debug, Default)]
struct Rest {
    /// Existing names similar to the one that was not found …
    near: Vec<String>,
    /// … and the kind of object they belong to.
    what: &'static str,
    /// The source of an internal error, for the log only.
    cause: Option<String>,
}

impl Problem {
    /// A problem without field errors.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            rest: Box::default(),
        }
    }

    /// The problem of a request that does not come from one of DockNap's own pages.
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "This did not come from DockNap's own page",
            "Nothing was changed. Open the page again and retry; a reverse proxy in between must pass the Host and Origin \
             headers on as they are.",
        )
    }

    /// Adds the errors of fields, limited in number and length, since both come from the input of a caller.
    fn list(&mut self, mut errors: Vec<FieldError>) {
        if errors.len() > MAX_ERRORS {
            let _ = write!(self.detail, " The first {MAX_ERRORS} are listed.");
            errors.truncate(MAX_ERRORS);
        }
        for error in &mut errors {
            shorten(&mut error.field);
            shorten(&mut error.message);
        }
        self.errors = errors;
    }

    /// The text for the log: the source of an internal error, else the description.
    pub(super) fn cause(&self) -> &str {
        self.rest.cause.as_deref().unwrap_or(&self.detail)
    }

    /// The kind of object that was not found, and existing names similar to the requested one.
    pub(super) fn near(&self) -> (&'static str, &[String]) {
        (self.rest.what, &self.rest.near)
    }

    /// The problem of a body that is larger than the limit.
    pub fn too_large() -> Self {
        Self::of_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The problem of a body whose content type the route does not accept; `wanted` is the accepted type.
    pub fn media_type(wanted: &str) -> Self {
        Self { detail: format!("Send {wanted}."), ..Self::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE) }
    }

    /// The problem for a status code that the framework has set.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, title, detail) = match status {
            StatusCode::BAD_REQUEST => {
                ("bad_request", "This request makes no sense", "Check its address and body.")
            }
            StatusCode::NOT_FOUND => ("not_found", "Not found", "There is nothing at this address."),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "Not possible here",
                "This address exists, but it does not take this method.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "Too large", "Send less at once."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("media_type", "Wrong kind of content", "Send the content type this address takes.")
            }
            StatusCode::UNPROCESSABLE_ENTITY => {
                ("invalid", "This cannot be read", "Check the types of what was sent.")
            }
            StatusCode::TOO_MANY_REQUESTS => ("too_many_tries", "Too many tries", "Wait a moment."),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("unavailable", "Not available right now", "Try again in a moment.")
            }
            status if status.is_server_error() => (
                "internal",
                "Something went wrong inside DockNap",
                "The log says what, under the request's id.",
            ),
            _ => ("refused", "Refused", "This request was refused."),
        };
        Self::new(status, code, title, detail)
    }
}

impl IntoResponse for Problem {
    /// The status, with the problem in the extensions; the outer layer renders it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// An internal error, for code that has no [`Error`] yet.
pub fn internal(fault: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal(Box::new(fault))
}

/// Logs the server error of a response whose client has disconnected. The outer layer, which logs such errors
/// otherwise, no longer runs for it.
pub(super) fn log_unsent(response: &Response) {
    if let Some(problem) = response.extensions().get::<Problem>()
        && problem.status.is_server_error()
    {
        tracing::error!(status = %problem.status, "a request whose caller hung up failed: {}", problem.cause());
    }
}

/// The handler of all paths without a route.
pub(super) async fn not_found(uri: Uri) -> Error {
    Error::not_found("page", uri.path().chars().take(200).collect::<String>())
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = match &error {
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found"),
            Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "Log in first"),
            Error::WrongCredentials => (StatusCode::UNAUTHORIZED, "Name or password is wrong"),
            Error::Forbidden { .. } => (StatusCode::FORBIDDEN, "Not allowed"),
            Error::Protected { .. } => (StatusCode::FORBIDDEN, "Protected"),
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Some fields need a correction"),
            Error::Stale { .. } => (StatusCode::PRECONDITION_FAILED, "Changed in the meantime"),
            Error::Conflict { .. } => (StatusCode::CONFLICT, "Not possible as things are"),
            Error::TooManyTries { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many tries"),
            Error::Docker { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Docker cannot be reached"),
            Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not available right now"),
            Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong inside DockNap"),
        };
        let detail = match &error {
            Error::Forbidden { needs } => {
                format!("This needs the role {needs}. Ask an admin of this DockNap for it.")
            }
            Error::Internal(_) => {
                "It is not your fault. The log says what it was, under the request's id below.".to_owned()
            }
            Error::WrongCredentials => "Check both and try again.".to_owned(),
            Error::Unauthenticated => "There is no login with this request, or it has ended.".to_owned(),
            Error::TooManyTries { retry_after } => format!("Wait {} s and try again.", retry_after.as_secs()),
            other => sentence(&other.to_string()),
        };
        let mut problem = Self::new(status, error.code(), title, detail);
        shorten(&mut problem.detail);
        match error {
            Error::NotFound { what, near, .. } => {
                problem.rest.near = near;
                problem.rest.what = what;
            }
            Error::Invalid(errors) => problem.list(errors),
            Error::TooManyTries { retry_after } => problem.retry_after = Some(retry_after.as_secs().max(1)),
            Error::Docker { .. } | Error::Unavailable { .. } => problem.retry_after = Some(5),
            Error::Internal(source) => problem.rest.cause = Some(chain(&*source)),
            _ => {}
        }
        problem
    }
}

/// The maximum number of field errors in a response.
const MAX_ERRORS: usize = 20;
/// The maximum length of one text about an error, in characters.
const MAX_TEXT: usize = 500;

/// Cuts a text to [`MAX_TEXT`] characters.
fn shorten(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(at);
        text.push('…');
    }
}

/// The text with a capital first letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut text = capital(text);
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts may contain the input of a caller.
    #[test]
    fn texts_about_an_error_are_cut_to_their_maximum_length() {
        let text = |length| "é".repeat(length);
        let cut = format!("{}…", text(500));
        for (length, expected) in [(500, text(500)), (501, cut.clone()), (100_000, cut.clone())] {
            let problem = Problem::from(Error::Invalid(vec![FieldError::new(text(length), text(length))]));
            assert_eq!((&problem.errors[0].field, &problem.errors[0].message), (&expected, &expected));
        }
        let conflict = Error::Conflict { code: "conflict", message: text(600) };
        assert_eq!(Problem::from(conflict).detail, format!("É{}", cut.strip_prefix('é').expect("letters")));
    }
}
