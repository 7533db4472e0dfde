//! How drafts are read: what a form sends as text, a program sends as what it is.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

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
