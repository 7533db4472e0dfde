//! Validates request input against the schemas published in `openapi.json`, so that one response names every field that
//! is unknown, missing or of the wrong type.

use std::cell::LazyCell;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::app::{Error, FieldError, Result};
use crate::domain::text::{chain, shorten};

/// The source of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Body,
    /// A query string: every value is a text.
    Query,
}

/// Reads fields as a `T`. Fields that only the response type `A` has are accepted and ignored.
pub fn read<T, A>(source: Source, mut fields: Map<String, Value>, faults: Vec<FieldError>) -> Result<T>
where
    T: DeserializeOwned + ToSchema,
    A: ToSchema,
{
    // A type that needs no field is a draft: its own validation has better messages for missing fields and invalid
    // words.
    let is_draft = serde_json::from_value::<T>(json!({})).is_ok();
    let mut check = Check { source, names_missing: !is_draft, answer: LazyCell::new(schema_of::<A>), faults };
    check.object(&schema_of::<T>(), "", &mut fields);
    if !check.faults.is_empty() {
        return Err(Error::Invalid(check.faults));
    }
    // Reached with an error only where serde reads the type differently from its schema.
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        tracing::error!(error = %chain(&error), "a body fits its schema and cannot be read");
        Error::field("body", "this is not what the description asks for")
    })
}

struct Check {
    source: Source,
    names_missing: bool,
    answer: LazyCell<Value>,
    faults: Vec<FieldError>,
}

impl Check {
    fn fault(&mut self, place: &str, message: impl Into<String>) {
        self.faults.push(FieldError::new(place, message));
    }

    fn object(&mut self, schema: &Value, place: &str, fields: &mut Map<String, Value>) {
        let within = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
        // `null` is equivalent to an omitted field.
        fields.retain(|_, value| !value.is_null());
        for (name, value) in fields.iter_mut() {
            match schema["properties"].get(name) {
                Some(schema) => self.value(schema, &within(name), value),
                None if place.is_empty() && self.answer["properties"].get(name).is_some() => {}
                None => self.fault(&within(&shorten(name)), "there is no such field"),
            }
        }
        if self.names_missing {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    self.fault(&within(name), "this is missing");
                }
            }
        }
    }

    fn value(&mut self, schema: &Value, place: &str, value: &mut Value) {
        let fits = match (kind(schema), &mut *value) {
            ("object", Value::Object(fields)) => return self.object(schema, place, fields),
            ("array", Value::Array(items)) if is_pair(schema) => {
                items.len() == 2 && items.iter().all(Value::is_string)
            }
            ("array", Value::Array(items)) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.value(&schema["items"], &format!("{place}[{i}]"), item);
                }
                return;
            }
            ("string", Value::String(text)) => return self.word(schema, place, text),
            ("boolean", Value::String(text)) if self.source == Source::Query => match text.as_str() {
                "true" | "1" => return *value = true.into(),
                "false" | "0" => return *value = false.into(),
                _ => return self.fault(place, "use true or false"),
            },
            ("boolean", Value::Bool(_)) => true,
            ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
            _ => false,
        };
        if !fits {
            self.fault(place, format!("this must be {}", type_name(schema)));
        }
    }

    /// Checks a text that must be an instant or one of a list of words.
    fn word(&mut self, schema: &Value, place: &str, text: &str) {
        if schema["format"] == "date-time" && text.parse::<Timestamp>().is_err() {
            self.fault(place, "use an instant such as 2026-11-25T23:00:00Z");
        }
        let words: Vec<&str> =
            schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let [others @ .., last] = words.as_slice()
            && (self.names_missing || self.source == Source::Query)
            && !words.contains(&text)
        {
            self.fault(place, format!("use {} or {last}", others.join(", ")));
        }
    }
}

/// A description of the expected type.
fn type_name(schema: &Value) -> String {
    match kind(schema) {
        "array" if is_pair(schema) => "a list of two texts".to_owned(),
        "array" => format!("a list of {}", plural_type_name(&schema["items"])),
        "object" => "an object".to_owned(),
        "integer" => "a whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        _ => "a text".to_owned(),
    }
}

fn plural_type_name(schema: &Value) -> &'static str {
    match kind(schema) {
        "array" => "pairs of texts",
        "object" => "objects",
        _ => "texts",
    }
}

fn is_pair(schema: &Value) -> bool {
    schema["minItems"] == 2 && schema["maxItems"] == 2
}

/// The type in a schema, ignoring `null`.
fn kind(schema: &Value) -> &str {
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    kinds.and_then(Value::as_str).unwrap_or_default()
}

/// The schema of a type as one value, with references replaced by their schemas. No input type refers to itself.
fn schema_of<T: ToSchema>() -> Value {
    let mut named = Vec::new();
    T::schemas(&mut named);
    inlined(
        value_of(T::schema()),
        &named.into_iter().map(|(name, schema)| (name, value_of(schema))).collect(),
    )
}

fn value_of(schema: RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

fn inlined(schema: Value, named: &HashMap<String, Value>) -> Value {
    match schema {
        Value::Object(mut fields) => {
            let to = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            if let Some(schema) = to.and_then(|name| named.get(name)) {
                return inlined(schema.clone(), named);
            }
            // Of `null` and another type, the other type.
            if let Some(Value::Array(options)) = fields.remove("oneOf") {
                let option = options.into_iter().find(|option| option["type"] != "null");
                return inlined(option.unwrap_or_default(), named);
            }
            // Flattened fields are on one level with the others.
            if let Some(Value::Array(parts)) = fields.remove("allOf") {
                return merged(parts.into_iter().map(|part| inlined(part, named)));
            }
            fields.into_iter().map(|(name, schema)| (name, inlined(schema, named))).collect()
        }
        Value::Array(items) => items.into_iter().map(|schema| inlined(schema, named)).collect(),
        other => other,
    }
}

/// The schema of an object with the fields of all parts.
fn merged(parts: impl Iterator<Item = Value>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for mut part in parts {
        if let Value::Object(more) = part["properties"].take() {
            properties.extend(more);
        }
        if let Value::Array(more) = part["required"].take() {
            required.extend(more);
        }
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::calendar::CalendarDraft;

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only whether it is read counts")]
    struct Asked {
        name: Option<String>,
        count: Option<i64>,
        on: Option<bool>,
        host: String,
        targets: Vec<Target>,
        word: Option<Word>,
        #[serde(default)]
        days: Vec<String>,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only whether it is read counts")]
    struct Target {
        host: String,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Stop,
        Pause,
        Go,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its schema counts")]
    struct Answer {
        id: i64,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only whether it is read counts")]
    struct Query {
        word: Option<Word>,
        on: Option<bool>,
        #[schema(format = DateTime)]
        from: Option<String>,
    }

    fn faults<T: DeserializeOwned + ToSchema>(source: Source, fields: Value) -> Vec<(String, String)> {
        let Value::Object(fields) = fields else { panic!("an object") };
        match read::<T, Answer>(source, fields, Vec::new()) {
            Err(Error::Invalid(faults)) => faults.into_iter().map(|one| (one.field, one.message)).collect(),
            Err(other) => panic!("{other}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn wrong_types_unknown_and_missing_fields_are_all_named() {
        let body = json!({
            "id": "x", "name": 1, "count": 1.5, "on": "yes", "x": 0, "word": "fly",
            "targets": [{"host": "a"}, {"y": 1}, 3, {"id": 1, "host": "a"}],
            "days": ["a", 1, null],
        });
        let found = faults::<Asked>(Source::Body, body);
        let found: Vec<(&str, &str)> = found.iter().map(|(field, message)| (&**field, &**message)).collect();
        assert_eq!(
            found,
            [
                ("name", "this must be a text"),
                ("count", "this must be a whole number"),
                ("on", "this must be true or false"),
                ("x", "there is no such field"),
                ("word", "use stop, pause or go"),
                ("targets[1].y", "there is no such field"),
                ("targets[1].host", "this is missing"),
                ("targets[2]", "this must be an object"),
                ("targets[3].id", "there is no such field"),
                ("days[1]", "this must be a text"),
                ("days[2]", "this must be a text"),
                ("host", "this is missing"),
            ]
        );
        let body =
            json!({"name": null, "count": 3, "on": true, "host": "local", "targets": [], "days": null});
        assert_eq!(faults::<Asked>(Source::Body, body), []);
        let body = json!({"host": "local", "targets": 1, "days": "a"});
        let lists = ["objects", "texts"].map(|of| format!("this must be a list of {of}"));
        assert_eq!(
            faults::<Asked>(Source::Body, body).into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
            lists
        );
    }

    #[test]
    fn a_pair_is_two_texts() {
        let body = json!({"ranges": [["a", "b"], ["a"], ["a", "b", "c"], "ab", [1, 2]]});
        let found = faults::<CalendarDraft>(Source::Body, body);
        let pair = |place: usize| (format!("ranges[{place}]"), "this must be a list of two texts".to_owned());
        assert_eq!(found, [1, 2, 3, 4].map(pair));
        let found = faults::<CalendarDraft>(Source::Body, json!({"ranges": {}}));
        assert_eq!(found, [("ranges".to_owned(), "this must be a list of pairs of texts".to_owned())]);
    }

    #[test]
    fn texts_of_a_query_string_are_read_as_what_they_mean() {
        let right = json!({"word": "go", "on": "1", "from": "2026-11-25T23:00:00+01:00"});
        assert_eq!(faults::<Query>(Source::Query, right), []);
        let wrong =
            faults::<Query>(Source::Query, json!({"word": "fly", "on": "yes", "from": "now", "to": "x"}));
        let fields: Vec<&str> = wrong.iter().map(|(field, _)| &**field).collect();
        assert_eq!(fields, ["word", "on", "from", "to"]);
    }
}
