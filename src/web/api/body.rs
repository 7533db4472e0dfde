//! Request input: JSON bodies and query strings, validated by the schemas of their types.

use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::act::Once;
use super::cursor;
use super::schema::{self, Source};
use crate::app::paging::Page;
use crate::app::{Error, FieldError, Result};
use crate::domain::text::shorten;
use crate::web::error::Problem;

/// A JSON body. `A` is the response type of the same object: its read-only fields are accepted and ignored.
#[derive(Debug)]
pub struct Body<T, A = ()> {
    pub value: T,
    pub once: Once,
    answer: PhantomData<fn() -> A>,
}

/// A body without fields.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Empty {}

impl<T, A, S> FromRequest<S> for Body<T, A>
where
    T: DeserializeOwned + ToSchema,
    A: ToSchema,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
        // The rejection responds with 413 to a body that is too large.
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        // A call without a body needs no content type.
        if !is_json(&headers) && !bytes.is_empty() {
            return Err(Problem::media_type("application/json").into_response());
        }
        let fields = object(&bytes).map_err(|problem| problem.into_response())?;
        let value = schema::read::<T, A>(Source::Body, fields, Vec::new());
        let value = value.map_err(IntoResponse::into_response)?;
        Ok(Self { value, once: Once::new(&headers, &path, &bytes), answer: PhantomData })
    }
}

/// Whether the media type is JSON, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (kind, _) = kind.split_once(';').unwrap_or((kind, ""));
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// A JSON object; an empty body is equivalent to an empty object.
fn object(bytes: &[u8]) -> std::result::Result<Map<String, Value>, Box<Problem>> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Box::new(Error::field("body", "send a JSON object").into())),
        Err(error) => Err(Box::new(Problem::new(
            StatusCode::BAD_REQUEST,
            "no_json",
            "This is no JSON",
            format!("The body is no JSON: {error}."),
        ))),
    }
}

/// The query string of a request. Routes that take none use [`refuse_query`].
#[derive(Debug)]
pub struct ApiQuery {
    fields: Map<String, Value>,
    faults: Vec<FieldError>,
}

/// The requested page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    cursor: Option<String>,
}

impl Paging {
    fn page_of(&self, list: &str) -> Result<Page> {
        let id = match self.cursor.as_deref().map(|cursor| cursor::read(list, cursor)) {
            Some(None) => {
                return Err(Error::field("cursor", "use the next_cursor of an earlier answer of this list"));
            }
            id => id.flatten(),
        };
        Page::parse(self.limit.as_deref(), id.as_deref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ApiQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::new(&parts.uri)
    }
}

impl ApiQuery {
    fn new(uri: &Uri) -> Result<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(uri.query().unwrap_or_default())
            .map_err(|_| Error::field("query", "this is not a query string"))?;
        let (mut fields, mut faults) = (Map::new(), Vec::new());
        for (name, value) in pairs {
            if fields.insert(name.clone(), Value::String(value)).is_some() {
                faults.push(FieldError::new(shorten(&name), "this is there twice"));
            }
        }
        Ok(Self { fields, faults })
    }

    /// The parameters as a `T`.
    pub fn read<T: DeserializeOwned + ToSchema>(self) -> Result<T> {
        schema::read::<T, ()>(Source::Query, self.fields, self.faults)
    }

    /// The parameters of `list` as a `T`, and the requested page.
    pub fn page<T: DeserializeOwned + ToSchema>(mut self, list: &str) -> Result<(T, Page)> {
        let mut text = |field| match self.fields.remove(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let page = Paging { limit: text("limit"), cursor: text("cursor") }.page_of(list);
        if let Err(Error::Invalid(faults)) = &page {
            self.faults.extend(faults.iter().cloned());
        }
        Ok((self.read()?, page?))
    }
}

/// Rejects a query string with any parameter, naming each.
pub fn refuse_query(uri: &Uri) -> Result<()> {
    ApiQuery::new(uri)?.read::<Empty>().map(|_| ())
}

/// An instant of a query string, whose format the schema has validated.
pub fn instant(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused() {
        for (body, status) in
            [("[]", 422), ("3", 422), ("null", 422), ("\"x\"", 422), ("{", 400), ("{\"a\":1}x", 400)]
        {
            let refused = object(body.as_bytes()).expect_err(body);
            assert_eq!(refused.status.as_u16(), status, "{body}");
        }
    }
}
