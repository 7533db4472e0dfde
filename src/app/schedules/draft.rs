//! A schedule as submitted by a form or as JSON, and its fields as name and value.

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::draft;
use crate::domain::action::Action;
use crate::domain::guard::{Guard, Then};
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Policy, Schedule, ScheduleKind, Wake, When};
use crate::domain::target::{Target, TargetType};
use crate::domain::time::to_text;

/// A schedule as submitted by a form or as JSON, not validated. `None` and an empty text are equivalent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(
    as = ScheduleBody,
    description = "The settings of a schedule. Read-only fields of a schedule may be sent too and are ignored."
)]
pub struct Draft {
    // The stored schedule this draft would replace: it does not conflict with itself.
    #[serde(default, deserialize_with = "draft::if_it_is")]
    #[schema(ignore)]
    pub id: Option<ScheduleId>,
    #[schema(max_length = 120)]
    pub name: Option<String>,
    /// The id of the host. Default: the host that has such a target.
    pub host: Option<String>,
    #[schema(value_type = TargetType, required = true)]
    pub target_type: Option<String>,
    /// The name or key of the target.
    #[schema(value_type = String, required = true)]
    pub target_id: Option<String>,
    /// Only these services of the stack; empty = all of it.
    #[serde(default, deserialize_with = "draft::numbers")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["web", "worker"]))]
    pub services: Option<String>,
    /// Default: derived from whichever of `cron`, `at` and `window` is set.
    #[schema(value_type = Option<ScheduleKind>)]
    pub kind: Option<String>,
    /// Not allowed for a window.
    #[schema(value_type = Option<Action>)]
    pub action: Option<String>,
    #[schema(max_length = 256, example = "0 23 * * *")]
    pub cron: Option<String>,
    /// RFC 3339, or `YYYY-MM-DDTHH:MM` in the zone of the schedule.
    pub at: Option<String>,
    #[schema(max_length = 512, example = "sleep Mon-Fri 23:00-07:00")]
    pub window: Option<String>,
    #[schema(example = "Europe/Berlin")]
    pub timezone: Option<String>,
    /// Default: true.
    pub enabled: Option<bool>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 604_800)]
    pub catch_up_seconds: Option<String>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = -1000, maximum = 1000)]
    pub priority: Option<String>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 3600)]
    pub stop_timeout_seconds: Option<String>,
    #[schema(value_type = Option<Policy>)]
    pub policy: Option<String>,
    /// For a window: `stop` or `pause`.
    pub mode: Option<String>,
    #[schema(value_type = Option<Wake>)]
    pub wake: Option<String>,
    /// For a cron schedule or a `sleep` window: acts every so many weeks only. Needs `anchor`.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 2, maximum = 52)]
    pub every_weeks: Option<String>,
    /// Any date of one of these weeks. A week begins on Monday; a sleep counts for the date on which it begins.
    #[schema(value_type = Option<String>, format = Date, example = "2026-11-30")]
    pub anchor: Option<String>,
    /// For a cron schedule or a `sleep` window: acts on these of the like weekdays of a month only, 1 to 5, and -1 for the
    /// last. With `every_weeks` both must hold.
    #[serde(default, deserialize_with = "draft::numbers")]
    #[schema(value_type = Option<Vec<i8>>, example = json!([1, -1]))]
    pub nth: Option<String>,
    pub calendar_id: Option<String>,
    /// For a window `awake`, `asleep` or a day like `as:Sun`; otherwise `skip`. For a `sleep` window and for cron also
    /// `only`: it acts on the dates of the calendar alone. Default: `skip`, except for a window.
    pub calendar_effect: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<GuardDraft>)]
    pub guard: GuardDraft,
    #[schema(max_length = 2000)]
    pub note: Option<String>,
    /// Accepts a target that does not exist yet.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub allow_missing: bool,
    /// For a window saved during its sleep: begins with the next sleep.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub from_next: bool,
    // The target as a rules file or a label names it; it need not be there, and its host may be a new one of the file.
    #[serde(skip)]
    #[schema(ignore)]
    pub known: Option<Target>,
}

/// Conditions that defer a stop, a pause or the sleep of a window: a minimum uptime, busy containers, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = GuardBody)]
pub struct GuardDraft {
    /// The minimum uptime of the target, in minutes.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1440)]
    pub min_uptime_minutes: Option<String>,
    /// The CPU load above which a container is busy, in percent of one core.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 6400)]
    pub busy_cpu_percent: Option<String>,
    /// How long to wait for a busy target, in minutes. Default: 30.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 720)]
    pub busy_wait_minutes: Option<String>,
    /// What happens when the target is still busy at the end of the wait. Default: `go`.
    #[schema(value_type = Option<Then>)]
    pub then: Option<String>,
}

/// Whether a field is about the times of a schedule, and not about its target or name: without a valid time there is no
/// preview.
pub(super) fn is_of_time(field: &str) -> bool {
    matches!(
        field,
        "kind"
            | "cron"
            | "at"
            | "window"
            | "timezone"
            | "every_weeks"
            | "anchor"
            | "nth"
            | "calendar_id"
            | "calendar_effect"
    ) || field.starts_with("guard.")
}

/// The names of services as a draft has them.
pub(super) fn joined(services: &BTreeSet<String>) -> String {
    services.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Field names with their values.
pub(super) type FieldValues = [(&'static str, Option<String>); 26];

/// The values of a stored schedule and its skip by the field names of a draft, as the audit log compares them. Fields
/// that are empty or do not apply to this kind of schedule are `None`.
pub(super) fn field_values(schedule: &Schedule) -> FieldValues {
    let spec = &schedule.spec;
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let is_window = schedule.is_window();
    let of_window = |word: &str| is_window.then(|| word.to_owned());
    let (cron, at, window) = match &spec.when {
        When::Cron(text) => (Some(text.clone()), None, None),
        When::Once(at) => (None, Some(to_text(*at)), None),
        When::Window(text) => (None, None, Some(text.clone())),
    };
    let (calendar, effect) =
        spec.calendar.as_ref().map(|(id, effect)| (id.to_string(), effect.as_str())).unzip();
    [
        ("name", filled(&spec.name)),
        ("host", filled(spec.target.host.as_str())),
        ("target_type", filled(spec.target.target_type().as_str())),
        ("target_id", filled(spec.target.subject.stack().unwrap_or(&spec.target_name))),
        ("services", spec.target.subject.services().map(joined)),
        ("kind", filled(schedule.kind().as_str())),
        ("action", filled(spec.action.as_str()).filter(|_| !is_window)),
        ("cron", cron),
        ("at", at),
        ("window", window),
        ("mode", of_window(spec.mode())),
        ("policy", of_window(spec.policy.as_str())),
        ("wake", filled(spec.wake.as_str()).filter(|_| is_window || spec.wake != Wake::default())),
        ("every_weeks", spec.every_weeks.map(|every| every.weeks.to_string())),
        ("anchor", spec.every_weeks.map(|every| every.anchor.to_string())),
        ("nth", spec.nth.to_text()),
        ("calendar_id", calendar),
        ("calendar_effect", effect.map(str::to_owned)),
        ("timezone", spec.timezone.clone()),
        ("enabled", Some(spec.enabled.to_string())),
        ("catch_up_seconds", Some(spec.catch_up_seconds.to_string())),
        ("priority", Some(spec.priority.to_string())),
        ("stop_timeout_seconds", spec.stop_timeout_seconds.map(|seconds| seconds.to_string())),
        ("guard", spec.guard.as_ref().map(Guard::sentence)),
        ("note", filled(&spec.note)),
        ("skip_at", schedule.skip_at.map(to_text)),
    ]
}
