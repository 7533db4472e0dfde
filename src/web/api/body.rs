//! What programs send: JSON bodies and query strings, read field by field, so that an answer names every field that is
//! unknown or of the wrong type (rulings 18).

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::cursor;
use crate::app::paging::Page;
use crate::app::{App, Error, FieldError, Result};
use crate::domain::ids::HostId;
use crate::domain::sorted;
use crate::domain::text::shorten;
use crate::web::error::Problem;

/// The fields of a body or a query string, each taken once; what is left over is unknown.
#[derive(Debug, Default)]
pub struct Fields {
    fields: Map<String, Value>,
    faults: Vec<FieldError>,
}

impl Fields {
    /// Reads a JSON object; nothing at all is as good as an empty one.
    ///
    /// # Errors
    /// A [`Problem`]: 400 for what is no JSON, 422 for JSON of another shape.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, Box<Problem>> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields, faults: Vec::new() }),
            Ok(_) => Err(Box::new(Error::field("body", "send a JSON object").into())),
            Err(error) => Err(Box::new(Problem::new(
                StatusCode::BAD_REQUEST,
                "no_json",
                "This is no JSON",
                format!("The body is no JSON: {error}."),
            ))),
        }
    }

    /// The fields of one object inside a list, with errors that name `prefix` too.
    fn nested(value: Value) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self { fields, faults: Vec::new() }),
            _ => None,
        }
    }

    /// Something is wrong with a field.
    pub fn fault(&mut self, field: &str, message: impl Into<String>) {
        self.faults.push(FieldError::new(field, message));
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&mut self, field: &str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(field, "this must be a text");
                None
            }
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, field: &str) -> String {
        let missing = self.fields.get(field).is_none_or(Value::is_null);
        if missing {
            self.fault(field, "this is missing");
        }
        self.text(field).unwrap_or_default()
    }

    /// A whole number, as text: its bounds are the service's to check.
    pub fn integer(&mut self, field: &str) -> Option<String> {
        match self.take(field)? {
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => {
                self.fault(field, "this must be a whole number");
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(value) => Some(value),
            _ => {
                self.fault(field, "this must be true or false");
                None
            }
        }
    }

    /// An object, read by `read`; its errors name the place, such as `guard.then`.
    pub fn object<T>(&mut self, field: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let Some(mut inner) = Self::nested(self.take(field)?) else {
            self.fault(field, "this must be an object");
            return None;
        };
        let item = read(&mut inner);
        inner.unknown();
        for fault in inner.faults {
            self.fault(&format!("{field}.{}", fault.field), fault.message);
        }
        Some(item)
    }

    /// A list of objects, each read by `read`; its errors name the place, such as `targets[2].host`.
    pub fn objects<T>(&mut self, field: &str, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let Some(Value::Array(values)) = self.take(field) else {
            self.fault(field, "this must be a list of objects");
            return Vec::new();
        };
        let mut items = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            let Some(mut inner) = Self::nested(value) else {
                self.fault(&format!("{field}[{i}]"), "this must be an object");
                continue;
            };
            items.push(read(&mut inner));
            inner.unknown();
            for fault in inner.faults {
                self.fault(&format!("{field}[{i}].{}", fault.field), fault.message);
            }
        }
        items
    }

    /// A list of what `read` makes of each item; nothing at all is as good as an empty one.
    fn list<T>(
        &mut self,
        field: &str,
        wanted: &str,
        each: &str,
        read: impl Fn(Value) -> Option<T>,
    ) -> Vec<T> {
        let values = match self.take(field) {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
            Some(_) => {
                self.fault(field, format!("this must be a list of {wanted}"));
                return Vec::new();
            }
        };
        let mut items = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            match read(value) {
                Some(item) => items.push(item),
                None => self.fault(&format!("{field}[{i}]"), format!("this must be {each}")),
            }
        }
        items
    }

    /// A list of texts.
    pub fn texts(&mut self, field: &str) -> Vec<String> {
        self.list(field, "texts", "a text", |value| serde_json::from_value(value).ok())
    }

    /// A list of pairs of texts.
    pub fn pairs(&mut self, field: &str) -> Vec<(String, String)> {
        self.list(field, "pairs of texts", "a list of two texts", |value| serde_json::from_value(value).ok())
    }

    /// Fields that only we set: they may be sent and are not looked at.
    pub fn read_only(&mut self, fields: &[&str]) {
        for field in fields {
            self.fields.remove(*field);
        }
    }

    fn unknown(&mut self) {
        let mut names: Vec<String> =
            std::mem::take(&mut self.fields).into_iter().map(|(name, _)| name).collect();
        // Fields that were taken leave the others in no order of their own.
        sorted::ascending(&mut names);
        for name in names {
            self.fault(&shorten(&name), "there is no such field");
        }
    }

    /// Nothing was wrong, and nothing is left over.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming all that was.
    pub fn finish(mut self) -> Result<()> {
        self.unknown();
        if self.faults.is_empty() { Ok(()) } else { Err(Error::Invalid(self.faults)) }
    }

    /// The page of `list` that a query string asks for.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `limit` or `cursor`.
    pub fn page(&mut self, list: &str) -> Result<Page> {
        let (limit, cursor) = (self.text("limit"), self.text("cursor"));
        let cursor = match cursor.filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(cursor::read(list, &text).ok_or_else(|| {
                Error::field("cursor", "use the next_cursor of an earlier answer of this list")
            })?),
        };
        Page::parse(limit.as_deref(), cursor.as_deref())
    }

    /// The host that a query string names.
    pub fn host(&mut self, app: &App) -> Option<HostId> {
        let host = HostId(self.text("host")?);
        if app.hosts.get(&host).is_none() {
            self.fault("host", format!("there is no host `{}`", shorten(host.as_str())));
        }
        Some(host)
    }

    /// A word of a query string that means yes or no.
    pub fn flag(&mut self, field: &str) -> Option<bool> {
        match self.text(field)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.fault(field, "use true or false");
                None
            }
        }
    }
}

/// The body of a request, with what it takes to tell two requests apart.
#[derive(Debug)]
pub struct Body {
    /// Its fields.
    pub fields: Fields,
    /// Its bytes.
    pub bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let json = is_json(request.headers());
        // A body that is too large is answered by the rejection: 413.
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        // A call that needs no body may do without its type.
        if !json && !bytes.is_empty() {
            return Err(Problem::media_type("application/json").into_response());
        }
        let fields = Fields::parse(&bytes).map_err(|problem| problem.into_response())?;
        Ok(Self { fields, bytes })
    }
}

/// The media type is compared whole; its parameters say nothing about JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (kind, _) = kind.split_once(';').unwrap_or((kind, ""));
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The query string of a request. A route that does not take it has none: see [`refuse_query`].
#[derive(Debug)]
pub struct Asked(pub Fields);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::read(&parts.uri)
    }
}

impl Asked {
    fn read(uri: &Uri) -> Result<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(uri.query().unwrap_or_default())
            .map_err(|_| Error::field("query", "this is not a query string"))?;
        let mut fields = Fields::default();
        for (name, value) in pairs {
            if fields.fields.insert(name.clone(), Value::String(value)).is_some() {
                fields.fault(&shorten(&name), "this is there twice");
            }
        }
        Ok(Self(fields))
    }
}

/// Names every parameter of a query string that nobody takes.
///
/// # Errors
/// [`Error::Invalid`] where there is any.
pub fn refuse_query(uri: &Uri) -> Result<()> {
    Asked::read(uri)?.0.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(read: impl FnOnce(&mut Fields), body: &str) -> Vec<String> {
        let mut fields = Fields::parse(body.as_bytes()).expect("an object");
        read(&mut fields);
        match fields.finish() {
            Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn wrong_types_and_unknown_fields_are_all_named() {
        let read = |fields: &mut Fields| {
            fields.read_only(&["id"]);
            fields.text("name");
            fields.integer("count");
            fields.boolean("on");
            fields.required("host");
            fields.objects("targets", |inner| inner.required("host"));
            fields.texts("days");
            fields.pairs("ranges");
        };
        let body = r#"{"id":7,"name":1,"count":1.5,"on":"yes","x":0,"targets":[{"host":"a"},{"y":1},3],
            "days":["a",1],"ranges":[["a","b"],["a"],["a","b","c"],"ab",[1,2]]}"#;
        assert_eq!(
            faults(read, body),
            [
                "name",
                "count",
                "on",
                "host",
                "targets[1].host",
                "targets[1].y",
                "targets[2]",
                "days[1]",
                "ranges[1]",
                "ranges[2]",
                "ranges[3]",
                "ranges[4]",
                "x",
            ]
        );
        let body = r#"{"name":null,"count":3,"on":true,"host":"local","targets":[],"days":null}"#;
        assert!(faults(read, body).is_empty());
        let body = r#"{"host":"local","targets":[],"days":"a","ranges":{}}"#;
        assert_eq!(faults(read, body), ["days", "ranges"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (body, status) in
            [("[]", 422), ("3", 422), ("null", 422), ("\"x\"", 422), ("{", 400), ("{\"a\":1}x", 400)]
        {
            let refused = Fields::parse(body.as_bytes()).expect_err(body);
            assert_eq!(refused.status.as_u16(), status, "{body}");
        }
    }
}
