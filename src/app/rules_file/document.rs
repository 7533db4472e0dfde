//! The sections and fields of a rules file. Each item becomes the draft that a form or an API body becomes, so that the
//! same checks apply.

use serde_json::{Map, Value};

use super::tree::{self, Kind, Node, at_line};
use crate::app::FieldError;
use crate::app::draft::did_you_mean;
use crate::app::suggest::suggest;
use crate::domain::text::shorten;

/// The most items of one section.
const MAX_ITEMS: usize = 2000;
/// The most faults that are reported at once.
pub(super) const MAX_FAULTS: usize = 50;

/// The sections, in the order in which they are written and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    Hosts,
    Groups,
    Calendars,
    Locks,
    Order,
    Schedules,
}

impl Section {
    pub const ALL: [Self; 6] =
        [Self::Hosts, Self::Groups, Self::Calendars, Self::Locks, Self::Order, Self::Schedules];

    /// The name in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Groups => "groups",
            Self::Calendars => "calendars",
            Self::Locks => "locks",
            Self::Order => "order",
            Self::Schedules => "schedules",
        }
    }

    /// One item, in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Hosts => "host",
            Self::Groups => "group",
            Self::Calendars => "calendar",
            Self::Locks => "lock",
            Self::Order => "order",
            Self::Schedules => "schedule",
        }
    }

    fn fields(self) -> &'static [(&'static str, Shape)] {
        match self {
            Self::Hosts => &HOST,
            Self::Groups => &GROUP,
            Self::Calendars => &CALENDAR,
            Self::Locks => &LOCK,
            Self::Order => &EDGE,
            Self::Schedules => &SCHEDULE,
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text,
    Flag,
    /// A whole number, also in quotes.
    Number,
    /// Whole numbers, or one text with commas.
    Numbers,
    Texts,
    /// Pairs of texts.
    Pairs,
    /// A mapping with these fields.
    Map(&'static [(&'static str, Shape)]),
    /// A list of mappings with these fields.
    Maps(&'static [(&'static str, Shape)]),
}

const HOST: [(&str, Shape); 10] = [
    ("id", Shape::Text),
    ("name", Shape::Text),
    ("endpoint", Shape::Text),
    ("insecure", Shape::Flag),
    ("ca", Shape::Text),
    ("cert", Shape::Text),
    ("key", Shape::Text),
    ("parallelism", Shape::Number),
    ("note", Shape::Text),
    ("enabled", Shape::Flag),
];

const MEMBER: [(&str, Shape); 4] = [
    ("host", Shape::Text),
    ("target_type", Shape::Text),
    ("target_id", Shape::Text),
    ("identity", Shape::Text),
];

const GROUP: [(&str, Shape); 5] = [
    ("id", Shape::Text),
    ("name", Shape::Text),
    ("colour", Shape::Text),
    ("note", Shape::Text),
    ("members", Shape::Maps(&MEMBER)),
];

const CALENDAR: [(&str, Shape); 5] = [
    ("name", Shape::Text),
    ("dates", Shape::Texts),
    ("ranges", Shape::Pairs),
    ("yearly", Shape::Texts),
    ("ics", Shape::Text),
];

const LOCK: [(&str, Shape); 5] = [
    ("host", Shape::Text),
    ("target_type", Shape::Text),
    ("target_id", Shape::Text),
    ("identity", Shape::Text),
    ("reason", Shape::Text),
];

const EDGE: [(&str, Shape); 9] = [
    ("host", Shape::Text),
    ("dependant_type", Shape::Text),
    ("dependant_id", Shape::Text),
    ("dependant_identity", Shape::Text),
    ("dependency_type", Shape::Text),
    ("dependency_id", Shape::Text),
    ("dependency_identity", Shape::Text),
    ("condition", Shape::Text),
    ("wait_seconds", Shape::Number),
];

const GUARD: [(&str, Shape); 4] = [
    ("min_uptime_minutes", Shape::Number),
    ("busy_cpu_percent", Shape::Number),
    ("busy_wait_minutes", Shape::Number),
    ("then", Shape::Text),
];

const SCHEDULE: [(&str, Shape); 27] = [
    ("key", Shape::Text),
    ("id", Shape::Text),
    ("name", Shape::Text),
    ("host", Shape::Text),
    ("target_type", Shape::Text),
    ("target_id", Shape::Text),
    ("identity", Shape::Text),
    ("services", Shape::Texts),
    ("kind", Shape::Text),
    ("action", Shape::Text),
    ("cron", Shape::Text),
    ("at", Shape::Text),
    ("window", Shape::Text),
    ("timezone", Shape::Text),
    ("enabled", Shape::Flag),
    ("catch_up_seconds", Shape::Number),
    ("priority", Shape::Number),
    ("stop_timeout_seconds", Shape::Number),
    ("policy", Shape::Text),
    ("mode", Shape::Text),
    ("wake", Shape::Text),
    ("every_weeks", Shape::Number),
    ("anchor", Shape::Text),
    ("nth", Shape::Numbers),
    ("calendar", Shape::Text),
    ("calendar_effect", Shape::Text),
    ("guard", Shape::Map(&GUARD)),
];

/// `note` is the last field, since it is long.
const NOTE: (&str, Shape) = ("note", Shape::Text);

/// An item of a section, with the types of its fields checked.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The path: `schedules[3]`.
    pub path: String,
    line: usize,
    /// The fields that are there.
    pub fields: Map<String, Value>,
    /// The line of each of them.
    lines: Vec<(String, usize)>,
}

impl Item {
    /// The text of a field, trimmed; `None` where it is missing or empty.
    pub fn text(&self, field: &str) -> Option<&str> {
        text_of(&self.fields, field)
    }

    /// A fault of one of the fields, or of a part of it such as `dates[2]`.
    pub fn fault(&self, field: &str, message: &str) -> FieldError {
        let whole = field.split(['[', '.']).next().unwrap_or(field);
        let line = self.lines.iter().find(|(name, _)| name == whole).map_or(self.line, |(_, line)| *line);
        let dot = if field.is_empty() { "" } else { "." };
        FieldError::new(format!("{}{dot}{field}", self.path), at_line(line, message))
    }

    /// The faults that a check of the draft has found.
    pub fn faults(&self, found: Vec<FieldError>) -> impl Iterator<Item = FieldError> {
        found.into_iter().map(|fault| self.fault(&fault.field, &fault.message))
    }

    /// The mappings of a field that is a list of them.
    pub fn maps(&self, field: &str) -> Vec<&Map<String, Value>> {
        let list = self.fields.get(field).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object).collect()
    }
}

/// The text of a field of a mapping, trimmed; `None` where it is missing or empty.
pub(super) fn text_of<'a>(fields: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    fields.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// A rules file whose form is right.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The sections that are there.
    pub(super) sections: Vec<(Section, Vec<Item>)>,
}

impl Document {
    /// Reads a file in YAML or JSON.
    ///
    /// # Errors
    /// All faults of its form, each with line and path.
    pub fn read(text: &str) -> Result<Self, Vec<FieldError>> {
        let node = tree::read(text).map_err(|fault| vec![fault])?;
        let Kind::Map(fields) = node.kind else {
            let message = at_line(node.line, "a rules file is a mapping; begin with `version: 1`");
            return Err(vec![FieldError::new("file", message)]);
        };
        let (mut document, mut faults, mut version) = (Self::default(), Vec::new(), false);
        for (name, value) in fields {
            if name == "version" {
                version = true;
                if !matches!(value.to_json().to_string().trim_matches('"'), "1") {
                    let message = "this DockNap reads version 1; a newer one may read the others";
                    faults.push(FieldError::new("version", at_line(value.line, message)));
                }
                continue;
            }
            let Some(section) = Section::ALL.into_iter().find(|section| section.as_str() == name) else {
                let known = Section::ALL.iter().map(|section| section.as_str()).chain(["version"]);
                faults.push(unknown("", &name, value.line, known));
                continue;
            };
            let items = match value.kind {
                Kind::List(items) => items,
                // A file that is cut off here must not remove everything.
                Kind::Null => {
                    let message = "nothing follows; write `[]` for an empty list, or take the line out";
                    faults.push(FieldError::new(name, at_line(value.line, message)));
                    continue;
                }
                _ => {
                    let message = at_line(value.line, "this is a list: each item begins with `-`");
                    faults.push(FieldError::new(name, message));
                    continue;
                }
            };
            if items.len() > MAX_ITEMS {
                let message = format!("a file holds at most {MAX_ITEMS} of them; split it");
                faults.push(FieldError::new(name, at_line(value.line, message)));
                continue;
            }
            let items = items.into_iter().enumerate();
            let items = items.filter_map(|(at, node)| item(section, at, node, &mut faults)).collect();
            document.sections.push((section, items));
        }
        if !version {
            faults.push(FieldError::new("version", "the first line is `version: 1`"));
        }
        faults.truncate(MAX_FAULTS);
        document.sections.sort_by_key(|(section, _)| *section);
        if faults.is_empty() { Ok(document) } else { Err(faults) }
    }

    /// A file with these schedules alone.
    pub(super) fn of_schedules(items: Vec<Map<String, Value>>, lines: &[usize]) -> Self {
        let item = |(at, fields): (usize, Map<String, Value>)| Item {
            path: format!("schedules[{at}]"),
            line: lines.get(at).copied().unwrap_or(0),
            fields,
            lines: Vec::new(),
        };
        Self { sections: vec![(Section::Schedules, items.into_iter().enumerate().map(item).collect())] }
    }

    /// Adds the items of another file.
    pub(super) fn join(&mut self, file: &str, other: Self) {
        for (section, mut items) in other.sections {
            for item in &mut items {
                item.path = format!("{file}: {}", item.path);
            }
            match self.sections.iter_mut().find(|(known, _)| *known == section) {
                Some((_, known)) => known.extend(items),
                None => self.sections.push((section, items)),
            }
        }
    }

    /// The items of a section; `None` where the file does not have it.
    pub(super) fn section(&self, wanted: Section) -> Option<&[Item]> {
        self.sections.iter().find(|(section, _)| *section == wanted).map(|(_, items)| items.as_slice())
    }

    /// The sections of the file.
    pub fn names(&self) -> impl Iterator<Item = Section> {
        self.sections.iter().map(|(section, _)| *section)
    }
}

fn unknown<'a>(path: &str, name: &str, line: usize, known: impl Iterator<Item = &'a str>) -> FieldError {
    let message = did_you_mean("there is no such field", &suggest(name, known));
    FieldError::new(format!("{path}{}", shorten(name)), at_line(line, message))
}

fn item(section: Section, at: usize, node: Node, faults: &mut Vec<FieldError>) -> Option<Item> {
    let path = format!("{}[{at}]", section.as_str());
    let line = node.line;
    let Kind::Map(given) = node.kind else {
        faults.push(FieldError::new(path, at_line(line, "write its fields, such as `name: …`")));
        return None;
    };
    let lines = given.iter().map(|(name, value)| (name.clone(), value.line)).collect();
    let mut known = section.fields().to_vec();
    if section == Section::Schedules {
        known.push(NOTE);
    }
    let fields = fields(&format!("{path}."), given, &known, faults);
    Some(Item { path, line, fields, lines })
}

/// The fields of a mapping that are there, by their shapes.
fn fields(
    path: &str,
    given: Vec<(String, Node)>,
    known: &[(&'static str, Shape)],
    faults: &mut Vec<FieldError>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, node) in given {
        if faults.len() >= MAX_FAULTS {
            break;
        }
        let Some((_, shape)) = known.iter().find(|(field, _)| *field == name) else {
            faults.push(unknown(path, &name, node.line, known.iter().map(|(field, _)| *field)));
            continue;
        };
        // An empty field is one that is not there.
        if node.kind != Kind::Null
            && let Some(value) = value(&format!("{path}{name}"), node, *shape, faults)
        {
            fields.insert(name, value);
        }
    }
    fields
}

/// A value of a shape; adds a fault for one of another type.
fn value(path: &str, node: Node, shape: Shape, faults: &mut Vec<FieldError>) -> Option<Value> {
    let line = node.line;
    let wanted = match (shape, node.kind) {
        // A number without quotes is kept as it is written.
        (Shape::Text, Kind::Text(text) | Kind::Number(text)) => return Some(Value::String(text)),
        (Shape::Text, Kind::Bool(_)) => "this is a text: put it in quotes",
        (Shape::Text, _) => "this is a text, not a list or mapping",
        (Shape::Flag, Kind::Bool(flag)) => return Some(Value::Bool(flag)),
        (Shape::Flag, _) => "use true or false, without quotes",
        (Shape::Number, Kind::Number(text) | Kind::Text(text)) => return Some(Value::String(text)),
        (Shape::Number, _) => "use a whole number",
        (Shape::Numbers, Kind::Text(text) | Kind::Number(text)) => return Some(Value::String(text)),
        (Shape::Numbers, Kind::List(items)) => {
            let texts = items.into_iter().map(|item| match item.kind {
                Kind::Number(text) | Kind::Text(text) => Some(Value::String(text)),
                _ => None,
            });
            if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                return Some(Value::Array(texts));
            }
            "use a list of whole numbers, such as [1, -1]"
        }
        (Shape::Numbers, _) => "use a list of whole numbers, such as [1, -1]",
        (Shape::Texts, Kind::List(items)) => {
            let texts = items.into_iter().map(text).collect::<Option<Vec<_>>>();
            if let Some(texts) = texts {
                return Some(Value::Array(texts));
            }
            "use a list of texts"
        }
        (Shape::Texts, _) => "use a list of texts",
        (Shape::Pairs, Kind::List(items)) => {
            let pairs = items.into_iter().map(|item| match item.kind {
                Kind::List(pair) if pair.len() == 2 => {
                    pair.into_iter().map(text).collect::<Option<Vec<_>>>().map(Value::Array)
                }
                _ => None,
            });
            if let Some(pairs) = pairs.collect::<Option<Vec<_>>>() {
                return Some(Value::Array(pairs));
            }
            "use a list of pairs, such as [[\"2026-12-24\", \"2026-12-31\"]]"
        }
        (Shape::Pairs, _) => "use a list of pairs, such as [[\"2026-12-24\", \"2026-12-31\"]]",
        (Shape::Map(known), Kind::Map(given)) => {
            return Some(Value::Object(fields(&format!("{path}."), given, known, faults)));
        }
        (Shape::Map(_), _) => "this is a mapping with fields of its own",
        (Shape::Maps(known), Kind::List(items)) => {
            let mut list = Vec::new();
            for (at, item) in items.into_iter().enumerate() {
                let path = format!("{path}[{at}]");
                match item.kind {
                    Kind::Map(given) => {
                        list.push(Value::Object(fields(&format!("{path}."), given, known, faults)));
                    }
                    _ => faults.push(FieldError::new(path, at_line(item.line, "write its fields"))),
                }
            }
            return Some(Value::Array(list));
        }
        (Shape::Maps(_), _) => "this is a list: each item begins with `-`",
    };
    faults.push(FieldError::new(path, at_line(line, wanted)));
    None
}

fn text(node: Node) -> Option<Value> {
    match node.kind {
        Kind::Text(text) | Kind::Number(text) => Some(Value::String(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(String, String)> {
        let faults = Document::read(text).expect_err("it is refused");
        faults.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_what_it_may_be() {
        let found = faults("version: 1\nschedules:\n  - names: x\n    cron: y\nscedules: []\n");
        let said: Vec<_> = found.iter().map(|(field, message)| format!("{field}: {message}")).collect();
        assert_eq!(
            said,
            [
                "schedules[0].names: line 3: there is no such field; did you mean `name`?",
                "scedules: line 5: there is no such field; did you mean `schedules`?",
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line() {
        let text = "version: 1\nschedules:\n  - name: true\n    cron: [x]\n    enabled: no\n    guard: 3\n  - x\n\
                    locks: 7\n";
        let found: Vec<String> = faults(text).into_iter().map(|(field, _)| field).collect();
        let fields = [
            "schedules[0].name",
            "schedules[0].cron",
            "schedules[0].enabled",
            "schedules[0].guard",
            "schedules[1]",
            "locks",
        ];
        assert_eq!(found, fields);
    }

    #[test]
    fn the_version_is_asked_for() {
        assert_eq!(faults("schedules: []\n")[0].0, "version");
        assert_eq!(faults("version: 2\n")[0].0, "version");
        assert!(Document::read("version: 1\n").is_ok());
        assert_eq!(faults("version: 1\nschedules:\n")[0].0, "schedules");
        assert!(Document::read("version: \"1\"\nroles: []\n").is_err(), "roles are not built");
    }

    #[test]
    fn a_number_without_quotes_is_kept_as_a_text() {
        let document = Document::read("version: 1\nschedules:\n  - name: 007\n").expect("it is read");
        let items = document.section(Section::Schedules).expect("it is there");
        assert_eq!(items[0].text("name"), Some("007"));
    }
}
