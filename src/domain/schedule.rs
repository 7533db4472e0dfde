//! A rule the user keeps.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize, Serializer};

use super::action::Action;
use super::calendar::{CalendarDays, CalendarEffect};
use super::guard::Guard;
use super::ids::{CalendarId, ScheduleId, UserId};
use super::target::{Target, TargetType};
use super::words::words;

words! {
    /// Edge or level.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ScheduleKind {
        /// Do X whenever a cron expression fires.
        Cron,
        /// Do X at one instant.
        Once,
        /// Asleep from-to.
        Window,
    }
}

words! {
    /// Where a schedule came from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Source {
        /// A form.
        Ui,
        /// The API.
        Api,
        /// A container's label: read-only.
        Label,
        /// A file.
        Import,
    }
}

words! {
    /// What happens to what others start or stop inside a window (semantics §2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Policy {
        /// It lives until the next edge, and is shown as an override.
        #[default]
        Respect,
        /// It is put back after 5 minutes, at most 3 times a window, then somebody is told.
        Enforce,
        /// It is only recorded.
        Observe,
    }
}

words! {
    /// What a window wakes at its end (rulings 5).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Wake {
        /// Exactly what DockNap put to sleep.
        #[default]
        Restore,
        /// Every member that can be started.
        All,
    }
}

/// How late a missed fire may still be made up for where nothing is said, in seconds (semantics §4).
pub const DEFAULT_CATCH_UP: i64 = 3600;
/// The longest catch-up that can be asked for, in seconds: 7 days.
pub const MAX_CATCH_UP: i64 = 7 * 24 * 3600;
/// The longest note, in characters.
pub const MAX_NOTE: usize = 2000;
/// The longest name of a schedule, in characters.
pub const MAX_SCHEDULE_NAME: usize = 120;
/// The longest stop grace that can be set, in seconds.
pub const MAX_STOP_TIMEOUT: i64 = 3600;

/// When a schedule fires, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// The normalised text of a [`super::cron::Cron`] that parsed.
    Cron(String),
    /// One instant.
    Once(Timestamp),
    /// The normalised text of a [`super::window::Window`] that parsed.
    Window(String),
}

/// How the times of a schedule are to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its own zone, else the default.
    pub zone: TimeZone,
    /// The dates of its calendar, and what it does on them.
    pub calendar: Option<(Arc<CalendarDays>, CalendarEffect)>,
}

impl Reading {
    /// Of what a user decided, in the zone and on the dates that it names.
    pub fn of(spec: &ScheduleSpec, zone: TimeZone, days: Option<Arc<CalendarDays>>) -> Self {
        let effect = spec.calendar.as_ref().map(|(_, effect)| *effect);
        Self { zone, calendar: days.zip(effect) }
    }

    /// Without a calendar.
    pub fn in_zone(zone: TimeZone) -> Self {
        Self { zone, calendar: None }
    }

    /// Whether a cron fire at `at` is dropped, since its date is one of the calendar's.
    pub fn drops(&self, at: Timestamp) -> bool {
        matches!(&self.calendar, Some((days, CalendarEffect::Skip))
            if days.contains(at.to_zoned(self.zone.clone()).date()))
    }
}

/// What the user decides about a schedule; checked, and ready to store. What is written of it is the part that stands
/// in answers as it is here; the rest is told by `ScheduleJson`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScheduleSpec {
    // May be empty.
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub target: Target,
    // The stack's, or the container's at the time of saving.
    #[serde(skip)]
    pub target_name: String,
    #[serde(skip)]
    pub when: When,
    // IANA name; `None` means the default zone.
    #[serde(skip)]
    pub timezone: Option<String>,
    pub enabled: bool,
    // How late a missed fire may be made up for; 0 = never.
    pub catch_up_seconds: i64,
    // Higher wins when two schedules meet on one target in one minute.
    pub priority: i64,
    // Stop grace; `None` leaves it to the container.
    pub stop_timeout_seconds: Option<i64>,
    /// What happens to what others do inside a window.
    pub policy: Policy,
    /// How a window puts to sleep: `stop` or `pause`.
    // Of the other kinds this is what they do.
    #[serde(rename = "mode")]
    #[schema(value_type = String)]
    pub action: Action,
    /// What a window or a start wakes.
    pub wake: Wake,
    // Dates that differ, and how.
    #[serde(flatten, serialize_with = "calendar_fields")]
    #[schema(value_type = CalendarFields)]
    pub calendar: Option<(CalendarId, CalendarEffect)>,
    /// What may hold back a stop, a pause or the sleep of a window for a while.
    pub guard: Option<Guard>,
    pub note: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct CalendarFields<'a> {
    calendar_id: Option<&'a str>,
    calendar_effect: Option<&'a str>,
}

fn calendar_fields<S: Serializer>(
    calendar: &Option<(CalendarId, CalendarEffect)>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let (calendar_id, calendar_effect) =
        calendar.as_ref().map(|(id, effect)| (id.as_str(), effect.as_str())).unzip();
    CalendarFields { calendar_id, calendar_effect }.serialize(to)
}

impl ScheduleSpec {
    /// What to call it where one line must do: its name, else what it does to what.
    pub fn title(&self) -> String {
        if self.name.is_empty() { format!("{} {}", self.deed(), self.target_name) } else { self.name.clone() }
    }

    /// What it does, in a word: the action's, or "Sleep" for a window.
    pub fn deed(&self) -> &'static str {
        match self.when {
            When::Window(_) => "Sleep",
            When::Cron(_) | When::Once(_) => self.action.label(),
        }
    }

    /// How a window puts to sleep: `stop` or `pause`.
    pub fn mode(&self) -> &'static str {
        if self.action == Action::Pause { "pause" } else { "stop" }
    }
}

/// A stored schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// What the user decided.
    pub spec: ScheduleSpec,
    /// Where it came from.
    pub source: Source,
    /// Who keeps it: the account that made it.
    pub owner: Option<UserId>,
    /// The name of that account.
    pub owner_name: Option<String>,
    /// Time before it never fires: the last edit, enable or zone change.
    pub effective_from: Timestamp,
    /// The next nominal instant, for a window its next edge; `None` while disabled, or when it will never fire again.
    pub next_due: Option<Timestamp>,
    /// The one coming occurrence that is dropped: its instant, for a window the start of a sleep.
    pub skip_at: Option<Timestamp>,
    /// Grows with every change; the `ETag`.
    pub rev: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; its runs keep its name.
    pub deleted_at: Option<Timestamp>,
}

impl Schedule {
    /// What to call it where one line must do.
    pub fn title(&self) -> String {
        self.spec.title()
    }

    /// Edge or level.
    pub fn kind(&self) -> ScheduleKind {
        match self.spec.when {
            When::Cron(_) => ScheduleKind::Cron,
            When::Once(_) => ScheduleKind::Once,
            When::Window(_) => ScheduleKind::Window,
        }
    }

    /// Whether it is a window.
    pub fn is_window(&self) -> bool {
        self.kind() == ScheduleKind::Window
    }

    /// The target's kind.
    pub fn target_type(&self) -> TargetType {
        self.spec.target.target_type()
    }
}
