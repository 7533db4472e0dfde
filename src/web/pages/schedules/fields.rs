//! The fields of the schedule form: one table says what each is called, begins with and shows of what is stored. What
//! was typed is kept as it was typed, whatever is wrong with it.

use serde_json::{Value, json};

use super::views::{Sentence, WeekFields};
use crate::app::FieldError;
use crate::app::schedules::{Draft, ScheduleView};
use crate::domain::guard::Guard;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Schedule, When};
use crate::web::api::schedules::ScheduleJson;
use crate::web::form::Typed;
use crate::web::pages::choices::Difference;

/// One field of the form.
pub struct Field {
    /// What the form and the API call it; `guard.then` is a field of the API's object.
    pub name: &'static str,
    /// What the page calls it where two people changed it.
    pub label: &'static str,
    /// What it holds in a new form.
    usual: &'static str,
    of: Of,
    /// It is rarely needed and stands under "More".
    is_rare: bool,
    /// Its values with their words, where there are only these.
    pub options: Options,
}

/// Values with their words.
pub type Options = &'static [(&'static str, &'static str)];

/// For which schedules a field counts.
#[derive(Clone, Copy)]
enum Of {
    All,
    Kind(&'static str),
    /// Those that act at an instant.
    Edge,
    /// Those that put something to sleep.
    Sleep,
}

impl Field {
    const fn new(name: &'static str, label: &'static str, usual: &'static str, of: Of) -> Self {
        Self { name, label, usual, of, is_rare: false, options: &[] }
    }

    /// It stands under "More".
    const fn rare(self) -> Self {
        Self { is_rare: true, ..self }
    }

    const fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// What it holds of a schedule as the API tells it.
    fn stored(&self, json: &Value) -> String {
        match json.pointer(&format!("/{}", self.name.replace('.', "/"))) {
            None => self.usual.to_owned(),
            Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }
}

const WINDOW: Of = Of::Kind("window");

/// Every field, in the order in which differences are told.
static FIELDS: [Field; 21] = [
    Field::new("target", "Target", "", Of::All),
    Field::new("action", "Action", "stop", Of::Edge),
    Field::new("kind", "Kind", "window", Of::All),
    Field::new("window", "Sleep hours", "sleep 23:00-07:00", WINDOW),
    Field::new("mode", "Sleeps by", "stop", WINDOW),
    Field::new("policy", "Changes by hand", "respect", WINDOW).rare().with(&[
        ("respect", "Leave it until the next change"),
        ("enforce", "Put it back after 5 minutes"),
        ("observe", "Only record it"),
    ]),
    Field::new("wake", "Wakes", "restore", WINDOW)
        .rare()
        .with(&[("restore", "What it put to sleep"), ("all", "Every container of it")]),
    Field::new("calendar_id", "Calendar", "", Of::All).rare(),
    Field::new("calendar_effect", "On its days", "", WINDOW).rare().with(&[
        ("awake", "Stays awake"),
        ("asleep", "Sleeps all day"),
        ("as:Mon", "Keeps Monday’s hours"),
        ("as:Tue", "Keeps Tuesday’s hours"),
        ("as:Wed", "Keeps Wednesday’s hours"),
        ("as:Thu", "Keeps Thursday’s hours"),
        ("as:Fri", "Keeps Friday’s hours"),
        ("as:Sat", "Keeps Saturday’s hours"),
        ("as:Sun", "Keeps Sunday’s hours"),
    ]),
    Field::new("cron", "Cron", "0 23 * * *", Of::Kind("cron")),
    Field::new("at", "Date and time", "", Of::Kind("once")),
    Field::new("timezone", "Time zone", "", Of::All),
    Field::new("name", "Name", "", Of::All),
    Field::new("catch_up_seconds", "If it was missed", "3600", Of::All),
    Field::new("stop_timeout_seconds", "Stop grace", "", Of::All).rare(),
    Field::new("priority", "Priority", "0", Of::All).rare(),
    Field::new("guard.min_uptime_minutes", "Only after it has been up", "", Of::Sleep).rare(),
    Field::new("guard.busy_cpu_percent", "Busy above", "", Of::Sleep).rare(),
    Field::new("guard.busy_wait_minutes", "Waits at most", "", Of::Sleep).rare(),
    Field::new("guard.then", "If it is busy to the end", "go", Of::Sleep)
        .rare()
        .with(&[("go", "Put it to sleep all the same"), ("skip", "Leave it awake this time")]),
    Field::new("note", "Note", "", Of::All).rare(),
];

/// What `POST /api/schedules` takes, in the order in which a file tells it.
pub(super) const IN_FILES: [&str; 21] = [
    "name",
    "host",
    "target_type",
    "target_id",
    "kind",
    "window",
    "mode",
    "policy",
    "wake",
    "action",
    "cron",
    "at",
    "timezone",
    "enabled",
    "catch_up_seconds",
    "priority",
    "stop_timeout_seconds",
    "calendar_id",
    "calendar_effect",
    "guard",
    "note",
];

fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// What the form holds: nothing checked. Beside the fields of the table there are `rev`, the revision it was made from;
/// `save`, the button that was pressed (`on`, `off`, `next` for on but from the next nap, `dry` for a dry run, empty
/// for a preview); and what the views of a rule hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub(super) typed: Typed,
    /// What is wrong, by field.
    pub errors: Vec<FieldError>,
    /// The painted week.
    pub week: WeekFields,
    /// The sentence of a window, where one holds it.
    pub sentence: Option<Sentence>,
    /// The sentence of a cron expression, where one holds it.
    pub cron_sentence: Option<Sentence>,
}

impl Fields {
    fn new(typed: Typed) -> Self {
        let mut fields = Self { typed, ..Self::default() };
        fields.rebase();
        fields
    }

    /// A new form, which begins with sleep hours or with a cron expression; either may be empty.
    pub fn beginning(target: &str, window: &str, cron: &str) -> Self {
        let mut typed = Typed::of(FIELDS.iter().map(|field| (field.name, field.usual)));
        typed.set("view", "week");
        typed.set("target", target);
        if !window.is_empty() {
            typed.set("window", window);
        } else if !cron.is_empty() {
            typed.set("kind", "cron");
            typed.set("cron", cron);
        }
        Self::new(typed)
    }

    /// What is stored.
    pub fn of(view: &ScheduleView) -> Self {
        let json = serde_json::to_value(ScheduleJson::from(view.clone())).unwrap_or_default();
        let mut typed = Typed::of(FIELDS.iter().map(|field| (field.name, field.stored(&json))));
        let Schedule { spec, rev, .. } = &view.schedule;
        typed.set("target", &format!("{}/{}", spec.target.target_type(), view.target_key));
        // A form has both, whatever the kind.
        typed.set("action", spec.action.as_str());
        typed.set("mode", spec.mode());
        if let When::Once(at) = spec.when {
            typed.set("at", &at.to_zoned(view.zone()).strftime("%Y-%m-%dT%H:%M").to_string());
        }
        typed.set("view", if view.schedule.is_window() { "week" } else { "text" });
        typed.set("rev", &rev.to_string());
        Self::new(typed)
    }

    /// A copy of what is stored, for a schedule of its own.
    pub fn copy_of(view: &ScheduleView) -> Self {
        let mut fields = Self::of(view);
        fields.set("rev", "");
        if !fields.value("name").is_empty() {
            fields.set("name", &format!("{} (copy)", view.schedule.spec.name));
        }
        fields
    }

    /// What was sent.
    pub fn typed(typed: Typed) -> Self {
        let preset = typed.filled("preset").map(str::to_owned);
        let mut fields = Self { typed, ..Self::default() };
        fields.take_views();
        if let Some(preset) = preset {
            let is_window = preset.starts_with("sleep ") || preset.starts_with("awake ");
            let kind = if is_window { "window" } else { "cron" };
            // A preset's field is called as its kind.
            fields.set(kind, &preset);
            fields.set("kind", kind);
            fields.set("save", "");
            fields.rebase();
        }
        fields
    }

    /// Makes every view from the text.
    fn rebase(&mut self) {
        let (window, cron) = (self.value("window").to_owned(), self.value("cron").to_owned());
        for (of, text) in [
            ("window.of", &window),
            ("week.of", &window),
            ("sentence.of", &window),
            ("cron.of", &cron),
            ("cron_sentence.of", &cron),
        ] {
            self.set(of, text);
        }
        self.week = WeekFields::of(&window);
        self.sentence = Sentence::of_window(&window);
        self.cron_sentence = Sentence::of_cron(&cron);
    }

    /// Takes up the views as they were sent.
    fn take_views(&mut self) {
        if !matches!(self.value("view"), "week" | "sentence") {
            self.set("view", "text");
        }
        if self.typed.has("week.of") {
            self.week = WeekFields::typed(&self.typed);
            if let Some(asked) = self.typed.filled("do") {
                self.week.change(asked);
                self.set("save", "");
            }
        }
        self.sentence = Sentence::typed(&self.typed, "sentence");
        self.cron_sentence = Sentence::typed(&self.typed, "cron_sentence");
    }

    pub fn value(&self, name: &str) -> &str {
        self.typed.get(name)
    }

    /// Whether a field holds just that.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.value(name).trim() == value
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.typed.set(name, value);
    }

    /// What is wrong with a field.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == name).map(|error| error.message.as_str())
    }

    /// The values of a field with their words.
    pub fn options(&self, name: &str) -> Options {
        field(name).map_or(&[], |field| field.options)
    }

    /// Whether a value is the chosen one of its field's; the first is where none of them was typed.
    pub fn picks(&self, name: &str, value: &str) -> bool {
        let (typed, options) = (self.value(name), self.options(name));
        let is_known = options.iter().any(|(option, _)| *option == typed);
        if is_known { typed == value } else { options.first().is_some_and(|(option, _)| *option == value) }
    }

    /// A button that stores was pressed.
    pub fn is_saved(&self) -> bool {
        matches!(self.value("save"), "on" | "off" | "next")
    }

    fn counts(&self, field: &Field) -> bool {
        let kind = self.value("kind");
        match field.of {
            Of::All => true,
            Of::Kind(one) => kind == one,
            Of::Edge => kind != "window",
            Of::Sleep => kind == "window" || self.value("action").parse().is_ok_and(Guard::applies_to),
        }
    }

    /// Whether something that stands under "More" is used, or wrong.
    pub fn uses_more(&self) -> bool {
        FIELDS.iter().filter(|field| field.is_rare).any(|field| {
            let value = self.value(field.name);
            let is_window = !matches!(field.of, Of::Kind(_)) || self.counts(field);
            is_window && !value.is_empty() && value != field.usual || self.error(field.name).is_some()
        })
    }

    /// What the service takes: of a field that does not count, nothing.
    pub fn draft(&self, id: Option<&ScheduleId>) -> Draft {
        let mut json = json!({});
        for field in FIELDS.iter().filter(|field| self.counts(field)) {
            let place = field.name.split('.').fold(&mut json, |place, part| &mut place[part]);
            *place = self.value(field.name).into();
        }
        let (target_type, target_id) = self.value("target").split_once('/').unwrap_or_default();
        // Each field may be a text.
        let draft: Draft = serde_json::from_value(json).unwrap_or_default();
        Draft {
            id: id.cloned(),
            target_type: Some(target_type.to_owned()),
            target_id: Some(target_id.to_owned()),
            enabled: Some(self.value("save") != "off"),
            from_next: self.value("save") == "next",
            calendar_effect: draft.calendar_effect.filter(|_| !self.value("calendar_id").is_empty()),
            ..draft
        }
    }

    /// The revision the form was made from.
    pub fn revision(&self) -> Option<i64> {
        self.value("rev").parse().ok()
    }

    /// Takes up what is wrong, and shows where; the API's names of the target's two fields are the picker's.
    pub fn refuse(&mut self, mut errors: Vec<FieldError>) {
        for error in
            errors.iter_mut().filter(|error| error.field.starts_with("target") || error.field == "host")
        {
            "target".clone_into(&mut error.field);
        }
        if !errors.is_empty() && self.value("target").is_empty() {
            // Two fields of the API, one on this page.
            errors.retain(|error| error.field != "target");
            errors.insert(0, FieldError::new("target", "pick a stack or container"));
        }
        let view = errors.iter().find_map(|error| match error.field.as_str() {
            "window" | "cron" => Some("text"),
            "week" => Some("week"),
            field if field.starts_with("row-") => Some("week"),
            field if field.starts_with("sentence.") || field.starts_with("cron_sentence.") => {
                Some("sentence")
            }
            _ => None,
        });
        if let Some(view) = view {
            self.set("view", view);
        }
        self.errors = errors;
    }

    /// What somebody else saved in the meantime, beside what was typed; `words` are those of a value.
    pub fn differences(
        &self,
        stored: &Self,
        words: impl Fn(&Field, &str) -> Option<String>,
    ) -> Vec<Difference> {
        let said = |field: &Field, value: &str| {
            let option = field.options.iter().find(|(option, _)| *option == value);
            match option {
                Some((_, words)) => (*words).to_owned(),
                None if value.trim().is_empty() => "nothing".to_owned(),
                None => words(field, value).unwrap_or_else(|| value.to_owned()),
            }
        };
        let differs = |field: &&Field| self.value(field.name).trim() != stored.value(field.name).trim();
        let difference = |field: &Field| Difference {
            field: field.label,
            yours: said(field, self.value(field.name)),
            theirs: said(field, stored.value(field.name)),
        };
        FIELDS.iter().filter(differs).map(difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::guard::Then;
    use crate::domain::schedule::{DEFAULT_CATCH_UP, Policy, Wake};

    #[test]
    fn a_new_form_begins_with_what_the_service_takes_where_nothing_is_said() {
        let usual = Fields::beginning("", "", "");
        assert_eq!(usual.value("catch_up_seconds"), DEFAULT_CATCH_UP.to_string());
        assert_eq!(Policy::parse(usual.value("policy")), Some(Policy::default()));
        assert_eq!(Wake::parse(usual.value("wake")), Some(Wake::default()));
        assert_eq!(Then::parse(usual.value("guard.then")), Some(Then::default()));
        assert!(!usual.uses_more());
    }

    #[test]
    fn every_field_that_counts_reaches_the_draft() {
        for (kind, action) in [("window", "stop"), ("cron", "stop"), ("cron", "start"), ("once", "stop")] {
            let mut fields = Fields::beginning("stack/media", "", "");
            for field in &FIELDS[1..] {
                fields.set(field.name, &format!("the {}", field.name));
            }
            fields.set("kind", kind);
            fields.set("action", action);
            let draft = format!("{:?}", fields.draft(None));
            for field in FIELDS.iter().filter(|field| field.name.len() > 6) {
                let is_there = draft.contains(&format!("the {}", field.name));
                assert_eq!(is_there, fields.counts(field), "{} of {kind}, {action}: {draft}", field.name);
            }
        }
    }
}
