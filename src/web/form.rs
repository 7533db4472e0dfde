//! Forms: what was typed is kept as it was typed, whatever is wrong with it.
//!
//! A handler takes [`Typed`], hands texts to a service, and on `Error::Invalid` answers 422 with the same form, filled
//! from [`Refill`]. A password never comes back.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::app::FieldError;

/// The fields of a form in their order, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Typed(Vec<(String, String)>);

impl Typed {
    /// Reads `application/x-www-form-urlencoded`; bytes that are no UTF-8 become the replacement character.
    pub fn parse(body: &[u8]) -> Self {
        Self(serde_urlencoded::from_bytes(body).unwrap_or_default())
    }

    /// Fields made by hand: values of a thing that is edited, defaults of a new one.
    pub fn of<N: Into<String>, V: Into<String>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The first value of a field; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The first value of a field that is there and is more than spaces.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.trim().is_empty())
    }

    /// Lets a field hold one value, whatever it held.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(field, _)| field != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Whether a field is there: a ticked box.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// A password, which does not print.
    pub fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.get(name))
    }

    /// Every field with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same without what nobody may keep: passwords, tokens, and what was typed to prove who one is.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        let secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            name == "current"
                || ["password", "token", "secret", "code"].iter().any(|word| name.contains(word))
        };
        self.0.retain(|(name, _)| !secret(name));
        self
    }
}

impl<S: Send + Sync> FromRequest<S> for Typed {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_owned());
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        match kind {
            Some(kind) if kind.starts_with(b"application/x-www-form-urlencoded") => {}
            // A form without fields: htmx and `fetch` may send no type with an empty body.
            None if bytes.is_empty() => {}
            _ => return Err(Problem::media_type("application/x-www-form-urlencoded").into_response()),
        }
        Ok(Self::parse(&bytes))
    }
}

/// A form as a template fills it: values and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Refill {
    /// The values.
    pub typed: Typed,
    pub errors: Vec<FieldError>,
}

impl Refill {
    /// A form nothing is wrong with yet.
    pub fn fresh(typed: Typed) -> Self {
        Self { typed, errors: Vec::new() }
    }

    /// A form that comes back; passwords do not.
    pub fn wrong(typed: Typed, errors: Vec<FieldError>) -> Self {
        Self { typed: typed.without_secrets(), errors }
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> &str {
        self.typed.get(name)
    }

    /// What is wrong with a field.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == name).map(|error| &*error.message)
    }

    /// The status the form is sent with: 200, or 422 where something is wrong.
    pub fn status(&self) -> StatusCode {
        if self.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_stays_as_it_was_typed() {
        let typed = Typed::parse(b"name=a+%3Cb%3E&day=Mon&day=Tue&empty=&spaces=++");
        assert_eq!(typed.get("name"), "a <b>");
        assert_eq!(typed.all("day").collect::<Vec<_>>(), ["Mon", "Tue"]);
        assert!(typed.has("empty") && !typed.has("missing"));
        assert_eq!((typed.filled("empty"), typed.filled("spaces"), typed.get("missing")), (None, None, ""));
        assert!(!Typed::parse(b"%ff=%fe").is_empty());
    }

    #[test]
    fn secrets_do_not_come_back() {
        let typed = Typed::parse(b"name=anna&password=x&new_password=y&current=z&token=t&setup-token=u");
        let refill = Refill::wrong(typed, vec![FieldError::new("name", "taken")]);
        assert_eq!(refill.typed.iter().collect::<Vec<_>>(), [("name", "anna")]);
        assert_eq!((refill.error("name"), refill.error("password")), (Some("taken"), None));
        assert_eq!(refill.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
}
