//! How drafts are read: what a form sends as text, a program sends as what it is, and one answer names all that is
//! wrong.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::FieldError;

/// A whole number, as text: its bounds are the validator's to check.
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

/// What an answer tells and may be sent back: no matter where it is something else.
pub fn if_it_is<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}

/// A field of a draft.
pub trait Field {
    /// Its trimmed text; `None` where it is missing or blank.
    fn text(&self) -> Option<&str>;
}

impl Field for Option<String> {
    fn text(&self) -> Option<&str> {
        self.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Collects what is wrong.
#[derive(Default)]
pub struct Faults(pub Vec<FieldError>);

impl Faults {
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    /// What came of reading a field.
    pub fn take<T>(&mut self, field: &str, read: Result<T, impl Display>) -> Option<T> {
        read.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// One of several words, as `hint` says them; the usual one where none is named.
    pub fn word<T: FromStr + Default>(&mut self, field: &str, typed: &impl Field, hint: &str) -> T {
        let read = typed.text().map(|word| word.parse().map_err(|_| hint));
        read.and_then(|read| self.take(field, read)).unwrap_or_default()
    }

    /// A whole number.
    pub fn number(&mut self, field: &str, typed: &impl Field, range: RangeInclusive<i64>) -> Option<i64> {
        let number = typed.text()?.parse().ok().filter(|number| range.contains(number));
        let hint = || format!("use a whole number from {} to {}", range.start(), range.end());
        self.take(field, number.ok_or_else(hint))
    }

    /// A text of one line.
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

/// A message with the names that were perhaps meant.
pub fn did_you_mean(message: &str, near: &[String]) -> String {
    if near.is_empty() {
        return message.to_owned();
    }
    let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("{message}; did you mean {}?", names.join(" or "))
}
