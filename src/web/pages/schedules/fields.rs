//! The fields of the schedule form: one table says what each is called, begins with and shows of what is stored. What
//! was typed is kept as it was typed, whatever is wrong with it.

use super::views::{Sentence, WeekFields};
use crate::app::FieldError;
use crate::app::schedules::{Draft, GuardDraft, ScheduleView};
use crate::domain::guard::Guard;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{ScheduleSpec, When};
use crate::web::form::Typed;

/// One field of the form.
pub struct Field {
    /// What the form and the API call it.
    name: &'static str,
    /// What the page calls it where two people changed it.
    pub label: &'static str,
    /// What it holds in a new form.
    usual: &'static str,
    of: Of,
    /// It is rarely needed and stands under "More".
    is_rare: bool,
    /// Its values with their words, where there are only these.
    pub options: Options,
    /// What it holds of a stored schedule.
    stored: fn(&ScheduleView) -> String,
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
    const fn new(
        name: &'static str,
        label: &'static str,
        usual: &'static str,
        of: Of,
        stored: fn(&ScheduleView) -> String,
    ) -> Self {
        Self { name, label, usual, of, is_rare: false, options: &[], stored }
    }

    /// It stands under "More".
    const fn rare(self) -> Self {
        Self { is_rare: true, ..self }
    }

    const fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }
}

const WINDOW: Of = Of::Kind("window");

/// Every field, in the order in which differences are told.
static FIELDS: [Field; 21] = [
    Field::new("target", "Target", "", Of::All, |v| format!("{}/{}", v.schedule.target_type(), v.target_key)),
    Field::new("action", "Action", "stop", Of::Edge, |v| spec(v).action.to_string()),
    Field::new("kind", "Kind", "window", Of::All, |v| v.schedule.kind().as_str().to_owned()),
    Field::new("window", "Sleep hours", "sleep 23:00-07:00", WINDOW, |v| match &spec(v).when {
        When::Window(text) => text.clone(),
        _ => String::new(),
    }),
    Field::new("mode", "Sleeps by", "stop", WINDOW, |v| spec(v).mode().to_owned()),
    Field::new("policy", "Changes by hand", "respect", WINDOW, |v| spec(v).policy.as_str().to_owned())
        .rare()
        .with(&[
            ("respect", "Leave it until the next change"),
            ("enforce", "Put it back after 5 minutes"),
            ("observe", "Only record it"),
        ]),
    Field::new("wake", "Wakes", "restore", WINDOW, |v| spec(v).wake.as_str().to_owned())
        .rare()
        .with(&[("restore", "What it put to sleep"), ("all", "Every container of it")]),
    Field::new("calendar_id", "Calendar", "", Of::All, |v| {
        spec(v).calendar.as_ref().map(|(id, _)| id.to_string()).unwrap_or_default()
    })
    .rare(),
    Field::new("calendar_effect", "On its days", "", WINDOW, |v| {
        spec(v).calendar.as_ref().map(|(_, effect)| effect.as_str().to_owned()).unwrap_or_default()
    })
    .rare()
    .with(&[
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
    Field::new("cron", "Cron", "0 23 * * *", Of::Kind("cron"), |v| match &spec(v).when {
        When::Cron(text) => text.clone(),
        _ => String::new(),
    }),
    Field::new("at", "Date and time", "", Of::Kind("once"), |v| match spec(v).when {
        When::Once(at) => at.to_zoned(v.zone()).strftime("%Y-%m-%dT%H:%M").to_string(),
        _ => String::new(),
    }),
    Field::new("timezone", "Time zone", "", Of::All, |v| spec(v).timezone.clone().unwrap_or_default()),
    Field::new("name", "Name", "", Of::All, |v| spec(v).name.clone()),
    Field::new("catch_up_seconds", "If it was missed", "3600", Of::All, |v| {
        spec(v).catch_up_seconds.to_string()
    }),
    Field::new("stop_timeout_seconds", "Stop grace", "", Of::All, |v| number(spec(v).stop_timeout_seconds))
        .rare(),
    Field::new("priority", "Priority", "0", Of::All, |v| spec(v).priority.to_string()).rare(),
    Field::new("guard.min_uptime_minutes", "Only after it has been up", "", Of::Sleep, |v| {
        number(guard(v).and_then(|guard| guard.min_uptime_minutes))
    })
    .rare(),
    Field::new("guard.busy_cpu_percent", "Busy above", "", Of::Sleep, |v| {
        number(guard(v).and_then(|guard| guard.busy_cpu_percent))
    })
    .rare(),
    Field::new("guard.busy_wait_minutes", "Waits at most", "", Of::Sleep, |v| {
        number(guard(v).and_then(|guard| guard.busy_wait_minutes))
    })
    .rare(),
    Field::new("guard.then", "If it is busy to the end", "go", Of::Sleep, |v| {
        guard(v).map(|guard| guard.then).unwrap_or_default().as_str().to_owned()
    })
    .rare()
    .with(&[("go", "Put it to sleep all the same"), ("skip", "Leave it awake this time")]),
    Field::new("note", "Note", "", Of::All, |v| spec(v).note.clone()).rare(),
];

fn spec(view: &ScheduleView) -> &ScheduleSpec {
    &view.schedule.spec
}

fn guard(view: &ScheduleView) -> Option<&Guard> {
    spec(view).guard.as_ref()
}

fn number(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// A field on which two people differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The field's label.
    pub field: &'static str,
    /// What the reader typed.
    pub yours: String,
    /// What is stored now.
    pub theirs: String,
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
        let mut typed = Typed::of(FIELDS.iter().map(|field| (field.name, (field.stored)(view))));
        typed.set("view", if view.schedule.is_window() { "week" } else { "text" });
        typed.set("rev", &view.schedule.rev.to_string());
        Self::new(typed)
    }

    /// A copy of what is stored, for a schedule of its own.
    pub fn copy_of(view: &ScheduleView) -> Self {
        let mut fields = Self::of(view);
        fields.set("rev", "");
        if !fields.value("name").is_empty() {
            fields.set("name", &format!("{} (copy)", spec(view).name));
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
        let text = |name: &str| {
            let counts = field(name).is_none_or(|field| self.counts(field));
            Some(self.value(name).to_owned()).filter(|_| counts)
        };
        let (target_type, target_id) = self.value("target").split_once('/').unwrap_or_default();
        Draft {
            id: id.cloned(),
            name: text("name"),
            target_type: Some(target_type.to_owned()),
            target_id: Some(target_id.to_owned()),
            kind: text("kind"),
            action: text("action"),
            window: text("window"),
            mode: text("mode"),
            policy: text("policy"),
            wake: text("wake"),
            cron: text("cron"),
            at: text("at"),
            timezone: text("timezone"),
            enabled: Some(self.value("save") != "off"),
            catch_up_seconds: text("catch_up_seconds"),
            priority: text("priority"),
            stop_timeout_seconds: text("stop_timeout_seconds"),
            calendar_id: text("calendar_id"),
            calendar_effect: text("calendar_effect").filter(|_| !self.value("calendar_id").is_empty()),
            guard: GuardDraft {
                min_uptime_minutes: text("guard.min_uptime_minutes"),
                busy_cpu_percent: text("guard.busy_cpu_percent"),
                busy_wait_minutes: text("guard.busy_wait_minutes"),
                then: text("guard.then"),
            },
            note: text("note"),
            from_next: self.value("save") == "next",
            ..Draft::default()
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
}
