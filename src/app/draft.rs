//! Helpers that read drafts, the unchecked input of forms and API bodies. A form sends every value as text, an API
//! client sends JSON types; both end up in the same draft. All errors are collected and returned in one response.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::{Error, FieldError};

/// Deserializes a whole number or a text into text; the validator checks the range.
pub fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Typed {
        Number(Number),
        Text(String),
    }
    Ok(Option::deserialize(from)?.map(|typed| match typed {
        Typed::Number(number) => number.to_string(),
        Typed::Text(text) => text,
    }))
}

/// Deserializes a list of whole numbers or texts, or one text, into a text with commas; the validator checks the rest.
pub fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Typed {
        One(One),
        Many(Vec<One>),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum One {
        Number(Number),
        Text(String),
    }
    let text = |one| match one {
        One::Number(number) => number.to_string(),
        One::Text(text) => text,
    };
    Ok(Option::deserialize(from)?.map(|typed| match typed {
        Typed::One(one) => text(one),
        Typed::Many(many) => many.into_iter().map(text).collect::<Vec<_>>().join(","),
    }))
}

/// Deserializes a value that responses contain and clients may send back unchanged; a value of another type is ignored.
pub fn if_it_is<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}

/// A field of a draft.
pub trait Field {
    /// The trimmed text; `None` where the field is missing or blank.
    fn text(&self) -> Option<&str>;
}

impl Field for Option<String> {
    fn text(&self) -> Option<&str> {
        self.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Collects the errors of a draft.
#[derive(Default)]
pub struct Faults(pub Vec<FieldError>);

impl Faults {
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    /// The errors of fields that a service found; another error is added for `field`.
    pub fn add_all(&mut self, field: &str, error: Error) {
        match error {
            Error::Invalid(errors) => self.0.extend(errors),
            other => self.add(field, other.to_string()),
        }
    }

    /// The value of a parse result; an error is added for `field`.
    pub fn take<T>(&mut self, field: &str, read: Result<T, impl Display>) -> Option<T> {
        read.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// One of a set of words; the default where the field is empty. `hint` is the error message and lists the valid
    /// words.
    pub fn word<T: FromStr + Default>(&mut self, field: &str, typed: &impl Field, hint: &str) -> T {
        let read = typed.text().map(|word| word.parse().map_err(|_| hint));
        read.and_then(|read| self.take(field, read)).unwrap_or_default()
    }

    /// A whole number within `range`; `None` where the field is empty or wrong.
    pub fn number(&mut self, field: &str, typed: &impl Field, range: RangeInclusive<i64>) -> Option<i64> {
        let number = typed.text()?.parse().ok().filter(|number| range.contains(number));
        let hint = || format!("use a whole number from {} to {}", range.start(), range.end());
        self.take(field, number.ok_or_else(hint))
    }

    /// A text of one line with at most `most` characters.
    pub fn line(&mut self, field: &str, typed: &impl Field, most: usize) -> String {
        let text = typed.text().unwrap_or_default();
        if text.chars().count() > most {
            self.add(field, format!("use {most} characters at most"));
        } else if text.chars().any(char::is_control) {
            self.add(field, "use one line without control characters");
        }
        text.to_owned()
    }
}

/// Appends suggestions of similar names to a message.
pub fn did_you_mean(message: &str, near: &[String]) -> String {
    if near.is_empty() {
        return message.to_owned();
    }
    let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("{message}; did you mean {}?", names.join(" or "))
}
