//! Forms: the fields as the user typed them, kept even if they are invalid.
//!
//! A handler takes [`Typed`] and passes the texts to a service. On `Error::Invalid` the handler responds with 422 and
//! the same form, filled from [`Refill`]. A password is never sent back.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::app::FieldError;

/// The fields of a form as typed, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Typed(Vec<(String, String)>);

impl Typed {
    /// Parses `application/x-www-form-urlencoded`; bytes that are not UTF-8 become the replacement character.
    pub fn parse(body: &[u8]) -> Self {
        Self(serde_urlencoded::from_bytes(body).unwrap_or_default())
    }

    /// A form with these fields: the stored values of an object that is edited, or the defaults of a new one.
    pub fn of<N: Into<String>, V: Into<String>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The first value of a field; empty if the field is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The first value of a field, if it contains more than white space. The value is not trimmed.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.trim().is_empty())
    }

    /// Replaces all values of a field with this one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(field, _)| field != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// All values of a field, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Whether a field exists, such as that of a ticked checkbox.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// The value of a field as a secret, which is never printed.
    pub fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.get(name))
    }

    /// Every field with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether the form has no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form without fields that must not be stored or sent back: passwords, private keys, tokens and codes.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        let secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            name == "current"
                || name == "key"
                || ["password", "token", "secret", "code"].iter().any(|word| name.contains(word))
        };
        // A private key may have been pasted into the field of a certificate.
        self.0.retain(|(name, value)| !secret(name) && !value.contains("PRIVATE KEY-----"));
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
            // A form without fields: htmx and `fetch` may omit the content type of an empty body.
            None if bytes.is_empty() => {}
            _ => return Err(Problem::media_type("application/x-www-form-urlencoded").into_response()),
        }
        Ok(Self::parse(&bytes))
    }
}

/// A form as a template shows it: values and errors.
#[derive(Clone, Debug, Default)]
pub struct Refill {
    pub typed: Typed,
    pub errors: Vec<FieldError>,
}

impl Refill {
    /// A form without errors.
    pub fn fresh(typed: Typed) -> Self {
        Self { typed, errors: Vec::new() }
    }

    /// A rejected form with its errors, without passwords.
    pub fn wrong(typed: Typed, errors: Vec<FieldError>) -> Self {
        Self { typed: typed.without_secrets(), errors }
    }

    /// The value of a field; empty if the field is missing.
    pub fn value(&self, name: &str) -> &str {
        self.typed.get(name)
    }

    /// The error message of a field.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == name).map(|error| &*error.message)
    }

    /// The status of the response: 200, or 422 if there are errors.
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
        let typed =
            Typed::parse(b"name=anna&password=x&new_password=y&current=z&token=t&setup-token=u&key=k");
        let refill = Refill::wrong(typed, vec![FieldError::new("name", "taken")]);
        assert_eq!(refill.typed.iter().collect::<Vec<_>>(), [("name", "anna")]);
        assert_eq!((refill.error("name"), refill.error("password")), (Some("taken"), None));
        assert_eq!(refill.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let pasted =
            Typed::of([("cert", "-----BEGIN PRIVATE KEY-----\nMC4C\n"), ("name", "NAS")]).without_secrets();
        assert_eq!((pasted.get("cert"), pasted.get("name")), ("", "NAS"));
    }
}
