//! What the schedule form's fields hold: kept as it was typed whatever happens to it.

use super::views::{Sentence, WeekFields};
use crate::app::schedules::{Draft, GuardDraft, ScheduleView};
use crate::domain::action::Action;
use crate::domain::guard::{Guard, Then};
use crate::domain::schedule::{DEFAULT_CATCH_UP, Policy, Schedule, Wake, When as Timing};
use crate::web::form::Typed;

/// What the form's fields hold, as text: nothing checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `stack/KEY` or `container/KEY`; a name in place of the key for a target that is gone.
    pub target: String,
    /// One of the five actions.
    pub action: String,
    /// `window`, `cron` or `once`.
    pub kind: String,
    /// Window text.
    pub window: String,
    /// How a window puts to sleep: `stop` or `pause`.
    pub mode: String,
    /// What a window does about changes by hand: `respect`, `enforce` or `observe`.
    pub policy: String,
    /// What a window wakes: `restore` or `all`.
    pub wake: String,
    /// A cron expression.
    pub cron: String,
    /// `YYYY-MM-DDTHH:MM`, in the schedule's zone.
    pub at: String,
    /// IANA name; empty = the default zone.
    pub timezone: String,
    /// What to call it.
    pub name: String,
    /// Seconds.
    pub catch_up_seconds: String,
    /// Seconds; empty = the container's own.
    pub stop_timeout_seconds: String,
    /// A whole number.
    pub priority: String,
    /// A calendar's id; empty = none.
    pub calendar_id: String,
    /// What a window does on the calendar's days: `awake`, `asleep`, `as:Sun`.
    pub calendar_effect: String,
    /// Minutes it must have been up; empty = any.
    pub min_uptime_minutes: String,
    /// Percent of one core above which it is busy; empty = that does not matter.
    pub busy_cpu_percent: String,
    /// Minutes; empty = the usual time.
    pub busy_wait_minutes: String,
    /// What happens when it is busy to the end: `go` or `skip`.
    pub then: String,
    /// Free text.
    pub note: String,
    /// The revision the form was made from.
    pub rev: String,
    /// Which button was pressed: `on`, `off`, `next` for on but from the next nap, `dry` for a dry run; empty for a
    /// preview.
    pub save: String,
    /// The view on show: `week`, `sentence` or `text`.
    pub view: String,
    /// The painted week.
    pub week: WeekFields,
    /// The sentence of a window, where one holds it.
    pub said: Option<Sentence>,
    /// The sentence of a cron expression, where one holds it.
    pub acts: Option<Sentence>,
    /// The text each view was made from; `None` where the form did not show it.
    pub window_of: Option<String>,
    /// The same of the painted week.
    pub week_of: Option<String>,
    /// The same of a window's sentence.
    pub said_of: Option<String>,
    /// The same of the cron expression.
    pub cron_of: Option<String>,
    /// The same of its sentence.
    pub acts_of: Option<String>,
}

impl Fields {
    /// An empty form for a target.
    pub fn new(target: String) -> Self {
        let mut fields = Self {
            view: "week".to_owned(),
            target,
            action: "stop".to_owned(),
            kind: "window".to_owned(),
            window: "sleep 23:00-07:00".to_owned(),
            mode: "stop".to_owned(),
            policy: Policy::Respect.as_str().to_owned(),
            wake: Wake::Restore.as_str().to_owned(),
            cron: "0 23 * * *".to_owned(),
            catch_up_seconds: DEFAULT_CATCH_UP.to_string(),
            priority: "0".to_owned(),
            then: Then::Go.as_str().to_owned(),
            ..Self::default()
        };
        fields.rebase();
        fields
    }

    /// A form that begins with sleep hours, or with a cron expression; either may be empty.
    pub fn beginning(target: String, window: String, cron: String) -> Self {
        let mut fields = Self::new(target);
        if !window.is_empty() {
            fields.window = window;
        } else if !cron.is_empty() {
            "cron".clone_into(&mut fields.kind);
            fields.cron = cron;
        }
        fields.rebase();
        fields
    }

    pub fn typed(typed: &Typed) -> Self {
        let text = |name: &str| typed.get(name).to_owned();
        let mut fields = Self {
            target: text("target"),
            action: text("action"),
            kind: text("kind"),
            window: text("window"),
            mode: text("mode"),
            policy: text("policy"),
            wake: text("wake"),
            cron: text("cron"),
            at: text("at"),
            timezone: text("timezone"),
            name: text("name"),
            catch_up_seconds: text("catch_up_seconds"),
            stop_timeout_seconds: text("stop_timeout_seconds"),
            priority: text("priority"),
            calendar_id: text("calendar_id"),
            calendar_effect: text("calendar_effect"),
            min_uptime_minutes: text("guard.min_uptime_minutes"),
            busy_cpu_percent: text("guard.busy_cpu_percent"),
            busy_wait_minutes: text("guard.busy_wait_minutes"),
            then: text("guard.then"),
            note: text("note"),
            rev: text("rev"),
            save: text("save"),
            ..Self::default()
        };
        fields.take_views(typed);
        if let Some(preset) = typed.filled("preset") {
            let is_window = preset.starts_with("sleep ") || preset.starts_with("awake ");
            let (kind, field) =
                if is_window { ("window", &mut fields.window) } else { ("cron", &mut fields.cron) };
            preset.clone_into(field);
            kind.clone_into(&mut fields.kind);
            fields.save.clear();
            fields.rebase();
        }
        fields
    }

    /// What is stored.
    pub fn of(view: &ScheduleView) -> Self {
        let Schedule { spec, rev, .. } = &view.schedule;
        let zone = crate::domain::time::zone(&view.effective_timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let (mut window, mut cron, mut at) = (String::new(), String::new(), String::new());
        match &spec.when {
            Timing::Window(text) => window.clone_from(text),
            Timing::Cron(text) => cron.clone_from(text),
            Timing::Once(instant) => {
                at = instant.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string();
            }
        }
        let guard = spec.guard.as_ref();
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let mut fields = Self {
            view: if view.schedule.is_window() { "week" } else { "text" }.to_owned(),
            min_uptime_minutes: number(guard.and_then(|guard| guard.min_uptime_minutes)),
            busy_cpu_percent: number(guard.and_then(|guard| guard.busy_cpu_percent)),
            busy_wait_minutes: number(guard.and_then(|guard| guard.busy_wait_minutes)),
            then: guard.map(|guard| guard.then).unwrap_or_default().as_str().to_owned(),
            target: format!("{}/{}", view.schedule.target_type(), view.target_key),
            action: spec.action.to_string(),
            kind: view.schedule.kind().as_str().to_owned(),
            window,
            mode: if spec.action == Action::Pause { "pause" } else { "stop" }.to_owned(),
            policy: spec.policy.as_str().to_owned(),
            wake: spec.wake.as_str().to_owned(),
            cron,
            at,
            calendar_id: spec.calendar.as_ref().map(|(id, _)| id.to_string()).unwrap_or_default(),
            calendar_effect: spec
                .calendar
                .as_ref()
                .map(|(_, effect)| effect.as_str().to_owned())
                .unwrap_or_default(),
            timezone: spec.timezone.clone().unwrap_or_default(),
            name: spec.name.clone(),
            catch_up_seconds: spec.catch_up_seconds.to_string(),
            stop_timeout_seconds: number(spec.stop_timeout_seconds),
            priority: spec.priority.to_string(),
            note: spec.note.clone(),
            rev: rev.to_string(),
            ..Self::default()
        };
        fields.rebase();
        fields
    }

    /// A button that stores was pressed.
    pub fn is_saved(&self) -> bool {
        matches!(self.save.as_str(), "on" | "off" | "next")
    }

    /// What the service takes. Of the three ways to say when, only the chosen one counts, and
    /// what may hold back a sleep only where there is one.
    pub fn draft(&self, id: Option<&crate::domain::ids::ScheduleId>) -> Draft {
        let filled = |text: &str| Some(text.to_owned());
        let (target_type, target_id) = self.target.split_once('/').unwrap_or(("", ""));
        let of_kind = |kind: &str, text: &str| Some(if self.kind == kind { text } else { "" }.to_owned());
        let is_window = self.kind == "window";
        let of_edge = |text: &str| Some(text.to_owned()).filter(|_| !is_window);
        Draft {
            id: id.cloned(),
            name: filled(&self.name),
            target_type: filled(target_type),
            target_id: filled(target_id),
            kind: filled(&self.kind),
            action: of_edge(&self.action),
            window: of_kind("window", &self.window),
            mode: of_kind("window", &self.mode),
            policy: of_kind("window", &self.policy),
            wake: of_kind("window", &self.wake),
            cron: of_kind("cron", &self.cron),
            at: of_kind("once", &self.at),
            timezone: filled(&self.timezone),
            enabled: Some(self.save != "off"),
            catch_up_seconds: filled(&self.catch_up_seconds),
            priority: filled(&self.priority),
            stop_timeout_seconds: filled(&self.stop_timeout_seconds),
            calendar_id: filled(&self.calendar_id),
            calendar_effect: of_kind(
                "window",
                if self.calendar_id.is_empty() { "" } else { &self.calendar_effect },
            ),
            guard: if is_window || self.action.parse().is_ok_and(Guard::applies_to) {
                GuardDraft {
                    min_uptime_minutes: filled(&self.min_uptime_minutes),
                    busy_cpu_percent: filled(&self.busy_cpu_percent),
                    busy_wait_minutes: filled(&self.busy_wait_minutes),
                    then: filled(&self.then),
                }
            } else {
                GuardDraft::default()
            },
            note: filled(&self.note),
            from_next: self.save == "next",
            ..Draft::default()
        }
    }

    /// The revision the form was made from.
    pub fn revision(&self) -> Option<i64> {
        self.rev.parse().ok()
    }
}
