//! The fields of the schedule form. One table holds the name, label, initial value and options of each field. The form
//! keeps every value as it was entered, even an invalid one.

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
use crate::web::view;

/// One field of the form.
pub struct Field {
    /// The field's name in the form and in the API. A dot separates an object from its field, as in `guard.then`.
    pub name: &'static str,
    /// The field's label in the list of differences, after two users changed the same schedule.
    pub label: &'static str,
    /// The field's value in a new form.
    usual: &'static str,
    of: Of,
    /// Whether the field is rarely needed and is below "More".
    is_rare: bool,
    /// The allowed values with their labels. Empty if the field is free text.
    pub options: Options,
    /// The field's name in the API, if it is another one.
    of_api: Option<&'static str>,
}

/// Values with their labels.
pub type Options = &'static [(&'static str, &'static str)];

/// The schedules for which a field has a meaning. The values of other fields are ignored.
#[derive(Clone, Copy)]
enum Of {
    All,
    Kind(&'static str),
    /// Schedules that act at an instant: cron and one-off schedules.
    Edge,
    /// Cron schedules and windows.
    Repeats,
    /// Schedules that put their target to sleep.
    Sleep,
    /// Schedules that wake their target.
    Wake,
}

impl Field {
    const fn new(name: &'static str, label: &'static str, usual: &'static str, of: Of) -> Self {
        Self { name, label, usual, of, is_rare: false, options: &[], of_api: None }
    }

    /// Puts the field below "More".
    const fn rare(self) -> Self {
        Self { is_rare: true, ..self }
    }

    const fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Gives the field another name in the API, because one kind of schedule has other options than another.
    const fn for_api(self, name: &'static str) -> Self {
        Self { of_api: Some(name), ..self }
    }

    fn name_in_api(&self) -> &'static str {
        self.of_api.unwrap_or(self.name)
    }

    /// The field's value in the API's JSON of a schedule.
    fn stored(&self, json: &Value) -> String {
        match json.pointer(&format!("/{}", self.name_in_api().replace('.', "/"))) {
            None => {
                // A schedule without a guard has no fields of one, and the target is set from the view.
                debug_assert!(self.name.contains('.') || self.name == "target", "no {} in {json}", self.name);
                self.usual.to_owned()
            }
            Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                items.iter().map(text).collect::<Vec<_>>().join(", ")
            }
            Some(other) => other.to_string(),
        }
    }
}

const WINDOW: Of = Of::Kind("window");

/// All fields, in the order in which differences are listed.
static FIELDS: [Field; 26] = [
    Field::new("target", "Target", "", Of::All),
    Field::new("services", "Services", "", Of::All).rare(),
    Field::new("action", "Action", "stop", Of::Edge),
    Field::new("kind", "Kind", "window", Of::All),
    Field::new("window", "Sleep hours", "sleep 23:00-07:00", WINDOW),
    Field::new("mode", "Sleeps by", "stop", WINDOW),
    Field::new("policy", "Changes by hand", "respect", WINDOW).rare().with(&[
        ("respect", "Leave it until the next change"),
        ("enforce", "Put it back after 5 minutes"),
        ("observe", "Only record it"),
    ]),
    Field::new("wake", "Wakes", "restore", Of::Wake)
        .rare()
        .with(&[("restore", "What it put to sleep"), ("all", "Every container of it")]),
    Field::new("every_weeks", "Every so many weeks", "", Of::Repeats).rare(),
    Field::new("anchor", "Counted from the week of", "", Of::Repeats).rare(),
    Field::new("nth", "Only on the", "", Of::Repeats).rare(),
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
        ("only", "Sleeps, and on no other day"),
    ]),
    Field::new("fire_effect", "On its days", "skip", Of::Kind("cron"))
        .for_api("calendar_effect")
        .rare()
        .with(&[("skip", "Is left out"), ("only", "Runs, and on no other day")]),
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

fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// The content of the form, unchecked. Besides the fields of the table, `typed` holds `rev` (the revision that the form
/// was made from), `save` (the pressed button: `on`, `off`, `next` for on from the next nap, `dry` for a dry run, empty
/// for a preview), and the fields of the views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub(super) typed: Typed,
    /// Errors in the form fields.
    pub errors: Vec<FieldError>,
    /// The content of the week view.
    pub week: WeekFields,
    /// The sentence of the window. `None` if the window does not fit into one sentence.
    pub sentence: Option<Sentence>,
    /// The sentence of the cron expression. `None` if the expression does not fit into one sentence.
    pub cron_sentence: Option<Sentence>,
}

impl Fields {
    fn new(typed: Typed) -> Self {
        let mut fields = Self { typed, ..Self::default() };
        fields.rebase();
        fields
    }

    /// A new form with a sleep window or a cron expression. Both may be empty.
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

    /// The form of a stored schedule.
    pub fn of(view: &ScheduleView) -> Self {
        let json = serde_json::to_value(ScheduleJson::from(view.clone())).unwrap_or_default();
        let mut typed = Typed::of(FIELDS.iter().map(|field| (field.name, field.stored(&json))));
        let Schedule { spec, rev, .. } = &view.schedule;
        typed.set("target", &view::target_value(&spec.target));
        // The form has both fields for every kind of schedule.
        typed.set("action", spec.action.as_str());
        typed.set("mode", spec.mode());
        if let When::Once(at) = spec.when {
            typed.set("at", &at.to_zoned(view.zone()).strftime("%Y-%m-%dT%H:%M").to_string());
        }
        typed.set("view", if view.schedule.is_window() { "week" } else { "text" });
        typed.set("rev", &rev.to_string());
        Self::new(typed)
    }

    /// The form of a new schedule that is a copy of a stored one.
    pub fn copy_of(view: &ScheduleView) -> Self {
        let mut fields = Self::of(view);
        fields.set("rev", "");
        if !fields.value("name").is_empty() {
            fields.set("name", &format!("{} (copy)", view.schedule.spec.name));
        }
        fields
    }

    /// The form as the browser sent it.
    pub fn typed(typed: Typed) -> Self {
        let preset = typed.filled("preset").map(str::to_owned);
        let mut fields = Self { typed, ..Self::default() };
        // A browser sends one field for each ticked box.
        let nth = fields.typed.all("nth").collect::<Vec<_>>().join(",");
        fields.set("nth", &nth);
        // The date that the form begins with says nothing without a number of weeks.
        if fields.value("every_weeks").trim().is_empty() && fields.is("anchor", fields.value("anchor.of")) {
            fields.set("anchor", "");
        }
        fields.take_views();
        if let Some(preset) = preset {
            let is_window = preset.starts_with("sleep ") || preset.starts_with("awake ");
            let kind = if is_window { "window" } else { "cron" };
            // The field of a preset has the same name as its kind.
            fields.set(kind, &preset);
            fields.set("kind", kind);
            fields.set("save", "");
            fields.rebase();
        }
        fields
    }

    /// Renders every view from the stored text of the rule.
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

    /// Reads the fields of the views that the browser sent.
    fn take_views(&mut self) {
        if !matches!(self.value("view"), "week" | "sentence") {
            self.set("view", "text");
        }
        if self.typed.has("week.of") {
            self.week = WeekFields::typed(&self.typed);
            if let Some(button) = self.typed.filled("do") {
                self.week.change(button);
                self.set("save", "");
            }
        }
        self.sentence = Sentence::typed(&self.typed, "sentence");
        self.cron_sentence = Sentence::typed(&self.typed, "cron_sentence");
    }

    pub fn value(&self, name: &str) -> &str {
        self.typed.get(name)
    }

    /// Whether a field has this value.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.value(name).trim() == value
    }

    /// Whether a value is one of those of a field that holds several.
    pub fn lists(&self, name: &str, value: &str) -> bool {
        self.value(name).split(',').any(|one| one.trim() == value)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.typed.set(name, value);
    }

    /// The error of a field.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == name).map(|error| error.message.as_str())
    }

    /// The allowed values of a field with their labels.
    pub fn options(&self, name: &str) -> Options {
        field(name).map_or(&[], |field| field.options)
    }

    /// Whether this option of a field is selected. The first option is selected if the entered value is none of them.
    pub fn picks(&self, name: &str, value: &str) -> bool {
        let (typed, options) = (self.value(name), self.options(name));
        let is_known = options.iter().any(|(option, _)| *option == typed);
        if is_known { typed == value } else { options.first().is_some_and(|(option, _)| *option == value) }
    }

    /// Whether the user pressed a button that stores the schedule.
    pub fn is_saved(&self) -> bool {
        matches!(self.value("save"), "on" | "off" | "next")
    }

    fn counts(&self, field: &Field) -> bool {
        let kind = self.value("kind");
        match field.of {
            Of::All => true,
            Of::Kind(one) => kind == one,
            Of::Edge => kind != "window",
            Of::Repeats => kind != "once",
            Of::Wake => kind == "window" || self.is("action", "start"),
            Of::Sleep => kind == "window" || self.value("action").parse().is_ok_and(Guard::applies_to),
        }
    }

    /// Whether a field below "More" has an error or a value that differs from the initial one.
    pub fn uses_more(&self) -> bool {
        FIELDS.iter().filter(|field| field.is_rare).any(|field| {
            let value = self.value(field.name);
            let is_shown = !matches!(field.of, Of::Kind(_) | Of::Wake) || self.counts(field);
            is_shown && !value.is_empty() && value != field.usual || self.error(field.name).is_some()
        })
    }

    /// The draft for the service. It has no values of fields that do not apply to this kind of schedule.
    pub fn draft(&self, id: Option<&ScheduleId>) -> Draft {
        let mut json = json!({});
        for field in FIELDS.iter().filter(|field| self.counts(field)) {
            let place = field.name_in_api().split('.').fold(&mut json, |place, part| &mut place[part]);
            *place = self.value(field.name).into();
        }
        let (target_type, target_id) = self.value("target").split_once('/').unwrap_or_default();
        // The draft accepts every field as text.
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

    /// The revision that the form was made from.
    pub fn revision(&self) -> Option<i64> {
        self.value("rev").parse().ok()
    }

    /// Stores the errors and selects the view that has them. The API's fields for the target (`host`, `target_type`,
    /// `target_id`) become the form's one field `target`.
    pub fn refuse(&mut self, mut errors: Vec<FieldError>) {
        for error in
            errors.iter_mut().filter(|error| error.field.starts_with("target") || error.field == "host")
        {
            "target".clone_into(&mut error.field);
        }
        let is_here = |field: &&Field| self.counts(field);
        for error in &mut errors {
            if let Some(field) =
                FIELDS.iter().filter(is_here).find(|field| field.of_api == Some(error.field.as_str()))
            {
                field.name.clone_into(&mut error.field);
            }
        }
        if !errors.is_empty() && self.value("target").is_empty() {
            // The API reports two errors for the one field of this page.
            errors.retain(|error| error.field != "target");
            errors.insert(0, FieldError::new("target", "pick a stack, container, host or group"));
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

    /// The differences between the entered values and those that another user stored meanwhile. `words` returns the
    /// label of a value.
    pub fn differences(
        &self,
        stored: &Self,
        words: impl Fn(&Field, &str) -> Option<String>,
    ) -> Vec<Difference> {
        let shown = |field: &Field, value: &str| {
            let option = field.options.iter().find(|(option, _)| *option == value);
            match option {
                Some((_, words)) => (*words).to_owned(),
                None if value.trim().is_empty() => "nothing".to_owned(),
                None => words(field, value).unwrap_or_else(|| value.to_owned()),
            }
        };
        // A field with another name in the API stands for one that other kinds have.
        let is_shown = |field: &&Field| field.of_api.is_none() || self.counts(field);
        let differs = |field: &&Field| self.value(field.name).trim() != stored.value(field.name).trim();
        let difference = |field: &Field| Difference {
            field: field.label,
            yours: shown(field, self.value(field.name)),
            theirs: shown(field, stored.value(field.name)),
        };
        FIELDS.iter().filter(is_shown).filter(differs).map(difference).collect()
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
            for field in FIELDS.iter().filter(|field| !["target", "kind", "action"].contains(&field.name)) {
                let is_there = draft.contains(&format!("\"the {}\"", field.name));
                assert_eq!(is_there, fields.counts(field), "{} of {kind}, {action}: {draft}", field.name);
            }
        }
    }
}
