//! A rules file as a tree in which each value knows its line: read from YAML or JSON within fixed limits, and written
//! as YAML.

use std::fmt::{self, Write as _};

use granit_parser::{Event, Parser, ScalarStyle};
use serde::de::{self, Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::app::FieldError;
use crate::domain::text::shorten;

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most fields of one mapping.
const MAX_FIELDS: usize = 100;
/// How deep lists and mappings may be nested.
const MAX_DEPTH: usize = 16;

/// A value and the place where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Counted from 1; 0 where it is not known, as in JSON.
    pub line: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// A number without quotes, as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads a file.
///
/// # Errors
/// The first place that cannot be read.
pub(super) fn read(text: &str) -> Result<Node, FieldError> {
    if text.len() > MAX_BYTES {
        return Err(fault(0, "a rules file holds at most 1 MiB; split it"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        let line = text.get(..at).map_or(0, |before| before.matches('\n').count() + 1);
        return Err(fault(line, "there is a control character; take it out"));
    }
    let node = if text.trim_start().starts_with('{') { read_json(text)? } else { read_yaml(text)? };
    if depth_exceeds(&node, MAX_DEPTH) { Err(too_deep(node.line)) } else { Ok(node) }
}

fn fault(line: usize, message: impl fmt::Display) -> FieldError {
    FieldError::new("file", at_line(line, message))
}

fn too_deep(line: usize) -> FieldError {
    fault(line, format!("lists and mappings are nested at most {MAX_DEPTH} deep"))
}

/// A message with its line, where that is known.
pub(super) fn at_line(line: usize, message: impl fmt::Display) -> String {
    if line == 0 { message.to_string() } else { format!("line {line}: {message}") }
}

fn depth_exceeds(node: &Node, depth: usize) -> bool {
    let Some(inner) = depth.checked_sub(1) else {
        return matches!(node.kind, Kind::List(_) | Kind::Map(_));
    };
    match &node.kind {
        Kind::List(items) => items.iter().any(|item| depth_exceeds(item, inner)),
        Kind::Map(fields) => fields.iter().any(|(_, value)| depth_exceeds(value, inner)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => false,
    }
}

/// A list or mapping that is not complete yet.
struct Open {
    line: usize,
    kind: Collection,
}

enum Collection {
    List(Vec<Node>),
    /// The fields so far, and the key whose value comes next.
    Map(Vec<(String, Node)>, Option<String>),
}

fn read_yaml(text: &str) -> Result<Node, FieldError> {
    let mut open: Vec<Open> = Vec::new();
    let mut whole: Option<Node> = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| fault(error.marker().line(), error.info()))?;
        let line = span.start.line();
        let done = match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(fault(line, "a rules file is one document; take the second `---` out"));
                }
                continue;
            }
            Event::Scalar(text, style, anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                if text.contains('\0') {
                    return Err(fault(line, NO_ZEROS));
                }
                Node { line, kind: scalar(text.into_owned(), style == ScalarStyle::Plain) }
            }
            Event::SequenceStart(_, anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                begin(&mut open, line, Collection::List(Vec::new()))?;
                continue;
            }
            Event::MappingStart(_, anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                begin(&mut open, line, Collection::Map(Vec::new(), None))?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open { line, kind: Collection::List(items) }) => Node { line, kind: Kind::List(items) },
                Some(Open { line, kind: Collection::Map(fields, _) }) => {
                    Node { line, kind: Kind::Map(fields) }
                }
                None => return Err(fault(line, "this is no YAML")),
            },
            _ => return Err(fault(line, NO_ALIASES)),
        };
        match open.last_mut().map(|open| &mut open.kind) {
            None => whole = Some(done),
            Some(Collection::List(items)) => items.push(done),
            Some(Collection::Map(fields, key)) => match key.take() {
                Some(name) => fields.push((name, done)),
                None => *key = Some(new_key(fields, done)?),
            },
        }
    }
    whole.ok_or_else(|| fault(0, "the file is empty; begin with `version: 1`"))
}

const NO_ALIASES: &str = "anchors (`&`), aliases (`*`) and tags (`!`) are not read; write the value out, in quotes \
                          where it begins with such a character";
/// PostgreSQL stores no such text.
const NO_ZEROS: &str = "there is a character with the number 0; take it out";
const TOO_MANY: &str = "a mapping holds at most 100 fields";

fn plain(line: usize, anchor: usize, is_tagged: bool) -> Result<(), FieldError> {
    if anchor == 0 && !is_tagged { Ok(()) } else { Err(fault(line, NO_ALIASES)) }
}

fn begin(open: &mut Vec<Open>, line: usize, kind: Collection) -> Result<(), FieldError> {
    if open.len() >= MAX_DEPTH {
        return Err(too_deep(line));
    }
    open.push(Open { line, kind });
    Ok(())
}

fn new_key(fields: &[(String, Node)], key: Node) -> Result<String, FieldError> {
    let name = match key.kind {
        Kind::Text(text) | Kind::Number(text) => text,
        Kind::Bool(flag) => flag.to_string(),
        Kind::Null | Kind::List(_) | Kind::Map(_) => {
            return Err(fault(key.line, "the name of a field is a word"));
        }
    };
    if fields.len() >= MAX_FIELDS {
        return Err(fault(key.line, TOO_MANY));
    }
    if fields.iter().any(|(known, _)| *known == name) {
        return Err(fault(key.line, format!("`{}` is there twice", shorten(&name))));
    }
    Ok(name)
}

/// A scalar of YAML 1.2: `no` and `22:30` are texts there.
fn scalar(text: String, is_plain: bool) -> Kind {
    if !is_plain {
        return Kind::Text(text);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        number if is_number(number) => Kind::Number(text),
        _ => Kind::Text(text),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.parse::<f64>().is_ok()
}

fn read_json(text: &str) -> Result<Node, FieldError> {
    serde_json::from_str::<Node>(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        fault(error.line(), format!("this is no JSON: {what}"))
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node { line: 0, kind: Kind::Null })
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node { line: 0, kind: Kind::Bool(flag) })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node { line: 0, kind: Kind::Number(number.to_string()) })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node { line: 0, kind: Kind::Number(number.to_string()) })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node { line: 0, kind: Kind::Number(number.to_string()) })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        if text.contains('\0') {
            return Err(E::custom(NO_ZEROS));
        }
        Ok(Node { line: 0, kind: Kind::Text(text.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node { line: 0, kind: Kind::List(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Node>()? {
            if fields.len() >= MAX_FIELDS {
                return Err(A::Error::custom(TOO_MANY));
            }
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("`{}` is there twice", shorten(&name))));
            }
            fields.push((name, value));
        }
        Ok(Node { line: 0, kind: Kind::Map(fields) })
    }
}

impl Node {
    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(text) => text
                .parse::<i64>()
                .map_or_else(|_| Value::String(text.clone()), |number| Number::from(number).into()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
            }
        }
    }
}

/// Writes sections as YAML. Every text is in double quotes, since readers of YAML 1.1 take `no` and `22:30` for
/// something else; lists and mappings inside an item are written as JSON, which is YAML.
pub(super) fn write(sections: &[(&'static str, Vec<Fields>)]) -> String {
    let mut text = "version: 1\n".to_owned();
    for (name, items) in sections {
        text.push_str(name);
        text.push_str(if items.is_empty() { ": []\n" } else { ":\n" });
        for item in items {
            for (number, (field, value)) in item.iter().enumerate() {
                text.push_str(if number == 0 { "  - " } else { "    " });
                text.push_str(field);
                text.push_str(": ");
                text.push_str(&escaped(&value.to_string()));
                text.push('\n');
            }
        }
    }
    text
}

/// The fields of an item, in the order in which they are written.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// The sections as one JSON object.
pub(super) fn to_json(sections: &[(&'static str, Vec<Fields>)]) -> Value {
    let object = |item: &Fields| {
        Value::Object(item.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    let mut whole = Map::from_iter([("version".to_owned(), Value::from(1))]);
    for (name, items) in sections {
        whole.insert((*name).to_owned(), Value::Array(items.iter().map(object).collect()));
    }
    Value::Object(whole)
}

/// JSON with the characters escaped that YAML does not allow as they are. They occur within texts only.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn json_of(text: &str) -> Value {
        read(text).map_or_else(|error| panic!("{text:?}: {error:?}"), |node| node.to_json())
    }

    fn refused(text: &str) -> String {
        read(text).expect_err("it is refused").message
    }

    #[test]
    fn words_of_yaml_1_1_are_texts() {
        let text = "a: no\nb: 22:30\nc: on\nd: 2026-12-25\ne: 0o17\nf: 12\ng: true\nh: ~\n";
        let texts = json!({"a": "no", "b": "22:30", "c": "on", "d": "2026-12-25", "e": "0o17"});
        let rest = json!({"f": 12, "g": true, "h": null});
        let (Value::Object(mut read), Value::Object(rest)) = (texts, rest) else { panic!("mappings") };
        read.extend(rest);
        assert_eq!(json_of(text), Value::Object(read));
    }

    #[test]
    fn a_value_knows_its_line() {
        let node = read("version: 1\nschedules:\n  - name: x\n    cron: y\n").expect("it is read");
        let Kind::Map(sections) = node.kind else { panic!("a mapping") };
        let Kind::List(items) = &sections[1].1.kind else { panic!("a list") };
        let Kind::Map(fields) = &items[0].kind else { panic!("a mapping") };
        assert_eq!((items[0].line, fields[1].1.line), (3, 4));
    }

    #[test]
    fn what_is_hostile_is_refused_with_its_line() {
        assert!(refused("a: &x 1\nb: 2\n").starts_with("line 1: anchors"));
        assert!(refused("a: &x [1]\nb: [*x, *x]\n").contains("anchors"));
        assert!(refused("a: !!binary aGk=\n").contains("tags"));
        assert!(refused("a: 1\na: 2\n").starts_with("line 2: `a` is there twice"));
        assert!(refused("a: 1\n---\nb: 2\n").contains("one document"));
        assert!(!refused(&"[".repeat(100_000)).is_empty());
        assert!(refused(&format!("a: {}{}", "[".repeat(16), "]".repeat(16))).contains("16 deep"));
        assert!(refused("a:\n\t- 1\n").starts_with("line "));
        assert!(refused("a: \"\u{0}\"\n").starts_with("line "));
        assert!(refused("").contains("empty"));
        assert!(refused(&format!("a: {}", "x".repeat(MAX_BYTES))).contains("1 MiB"));
        assert!(refused("{\"a\": 1, \"a\": 2}").contains("twice"));
        assert!(refused("{\"a\": ").starts_with("line 1: this is no JSON"));
        assert!(refused("b: 1\na: \"\\0\"\n").starts_with("line 2: there is a character"));
        assert!(refused("{\"a\": \"\\u0000\"}").contains("there is a character"));
        assert!(refused("[a]: 1\n").contains("a word"));
    }

    #[test]
    fn json_is_read_too() {
        assert_eq!(
            json_of("{\"a\": [1, \"\\ud83d\\ude00\"], \"b\": null}"),
            json!({"a": [1, "😀"], "b": null})
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = read(&text);
        }

        #[test]
        fn no_nest_of_marks_makes_the_reader_panic(text in "[-:?{}\\[\\], \\n\\t&*!|>'\"%@`#a1]{0,120}") {
            let _ = read(&text);
        }

        #[test]
        fn every_text_comes_back(text in "\\PC{0,60}|.{0,60}") {
            let text = text.replace('\0', "");
            let written = write(&[("schedules", vec![vec![("name", Value::String(text.clone()))]])]);
            let back = json_of(&written);
            prop_assert_eq!(&back["schedules"][0]["name"], &Value::String(text));
        }
    }
}
