//! Schedules: their settings ([`ScheduleSpec`]), the stored form ([`Schedule`]), and the enums of their fields. A
//! schedule is a cron expression, a one-off instant or a window, for one target.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize, Serializer};

use super::action::Action;
use super::calendar::{CalendarDays, CalendarEffect};
use super::day_rules::{DayRules, EveryWeeks, Nth, Reading};
use super::guard::Guard;
use super::ids::{CalendarId, ScheduleId, UserId};
use super::target::{ContainerIdentity, Target, TargetType};
use super::words::words;

words! {
    /// The kind of a schedule.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ScheduleKind {
        /// An action at every fire of a cron expression.
        Cron,
        /// An action at one instant.
        Once,
        /// A window: weekly times asleep and awake.
        Window,
    }
}

words! {
    /// The origin of a schedule.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Source {
        /// A form of the web pages.
        Ui,
        Api,
        /// A label of a container. Such a schedule is read-only.
        Label,
        /// An imported file.
        Import,
        /// A file of the watched directory. Such a schedule is read-only.
        File,
    }
}

words! {
    /// The reaction to starts and stops by others inside a window (semantics §2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Policy {
        /// The state stays until the next edge and is shown as an override.
        #[default]
        Respect,
        /// The state is put back after 5 minutes, at most 3 times per window; after that there is an alert.
        Enforce,
        /// The change is only recorded.
        Observe,
    }
}

words! {
    /// The containers that start at the end of a window's sleep (rulings 5).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Wake {
        /// The containers that DockNap stopped or paused.
        #[default]
        Restore,
        /// Every container that can be started.
        All,
    }
}

words! {
    /// Why DockNap itself switched off a schedule that a label defines.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum LabelOff {
        /// The container that carries the label is gone.
        Gone,
        /// Somebody made an editable copy, which counts until the label changes.
        Copied,
        /// `DOCKNAP_LABELS` is off.
        Setting,
        /// The label cannot be used as it is now.
        Faulty,
    }
}

/// The label that defines a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelOrigin {
    /// Such as `docknap.stack.sleep`.
    pub label: String,
    /// The container that carries it.
    pub carrier: ContainerIdentity,
    pub carrier_name: String,
    /// What it said, with the labels that go with it, when the schedule was last made from it.
    pub text: String,
    /// `None` where a person switched the schedule off, or nobody did.
    pub off: Option<LabelOff>,
    /// Since when no container carries the label.
    pub gone_at: Option<Timestamp>,
}

/// The default of [`ScheduleSpec::catch_up_seconds`] (semantics §4).
pub const DEFAULT_CATCH_UP: i64 = 3600;
/// The largest [`ScheduleSpec::catch_up_seconds`]: 7 days.
pub const MAX_CATCH_UP: i64 = 7 * 24 * 3600;
/// The longest note, in characters.
pub const MAX_NOTE: usize = 2000;
/// The longest name of a schedule, in characters.
pub const MAX_SCHEDULE_NAME: usize = 120;
/// The longest stop timeout, in seconds.
pub const MAX_STOP_TIMEOUT: i64 = 3600;

/// The time of a schedule, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// The normalised text of a valid [`super::cron::Cron`].
    Cron(String),
    /// One instant.
    Once(Timestamp),
    /// The normalised text of a valid [`super::window::Window`].
    Window(String),
}

// Validated and ready to store. The JSON of a response has the fields that are not skipped; `ScheduleJson` adds the
// others in another form.
/// The settings of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScheduleSpec {
    /// The name that the user chose; may be empty.
    #[serde(skip)]
    pub name: String,
    /// What the schedule acts on.
    #[serde(skip)]
    pub target: Target,
    /// The name of the stack, or of the container when the schedule was saved.
    #[serde(skip)]
    pub target_name: String,
    #[serde(skip)]
    pub when: When,
    /// The IANA name of the zone; `None` means the default zone.
    #[serde(skip)]
    pub timezone: Option<String>,
    pub enabled: bool,
    /// How late a missed fire may be to be caught up, in seconds; 0 = never.
    pub catch_up_seconds: i64,
    /// If two schedules fire for one target in the same minute, the one with the higher priority goes first.
    pub priority: i64,
    /// The stop timeout in seconds; `null` uses the container's own.
    pub stop_timeout_seconds: Option<i64>,
    /// For a window, the policy for starts and stops by others inside the window.
    pub policy: Policy,
    /// The action at the start of a window's sleep: `stop` or `pause`. For other schedules `stop`.
    // In the program, the action of every schedule; an answer of the API has it in a field of its own.
    #[serde(rename = "mode")]
    #[schema(value_type = String)]
    pub action: Action,
    /// The containers that start at the end of a sleep or at a scheduled start.
    pub wake: Wake,
    /// Of a cron schedule or a sleep window: the weeks in which it acts.
    #[serde(flatten, serialize_with = "every_weeks_fields")]
    #[schema(value_type = EveryWeeksFields)]
    pub every_weeks: Option<EveryWeeks>,
    /// Of a cron schedule or a sleep window: the like weekdays of a month on which it acts, 1 to 5, and -1 for the last;
    /// `null` = all of them.
    #[schema(value_type = Option<Vec<i8>>)]
    pub nth: Nth,
    /// The calendar, and its effect on the schedule.
    #[serde(flatten, serialize_with = "calendar_fields")]
    #[schema(value_type = CalendarFields)]
    pub calendar: Option<(CalendarId, CalendarEffect)>,
    /// The guard that may delay a stop, a pause or the start of a sleep.
    pub guard: Option<Guard>,
    pub note: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct EveryWeeksFields {
    /// Acts every so many weeks only; `null` = every week.
    every_weeks: Option<i64>,
    /// A date of one of these weeks.
    anchor: Option<String>,
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn every_weeks_fields<S: Serializer>(every: &Option<EveryWeeks>, to: S) -> Result<S::Ok, S::Error> {
    let (every_weeks, anchor) = every.map(|every| (every.weeks, every.anchor.to_string())).unzip();
    EveryWeeksFields { every_weeks, anchor }.serialize(to)
}

#[derive(Serialize, utoipa::ToSchema)]
struct CalendarFields<'a> {
    calendar_id: Option<&'a str>,
    calendar_effect: Option<&'a str>,
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn calendar_fields<S: Serializer>(
    calendar: &Option<(CalendarId, CalendarEffect)>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let (calendar_id, calendar_effect) =
        calendar.as_ref().map(|(id, effect)| (id.as_str(), effect.as_str())).unzip();
    CalendarFields { calendar_id, calendar_effect }.serialize(to)
}

impl ScheduleSpec {
    /// A schedule that is switched on, with the usual settings.
    pub fn new(target: Target, target_name: &str, action: Action, when: When) -> Self {
        Self {
            name: String::new(),
            target,
            target_name: target_name.to_owned(),
            when,
            timezone: None,
            enabled: true,
            catch_up_seconds: DEFAULT_CATCH_UP,
            priority: 0,
            stop_timeout_seconds: None,
            policy: Policy::default(),
            action,
            wake: Wake::default(),
            every_weeks: None,
            nth: Nth::ALL,
            calendar: None,
            guard: None,
            note: String::new(),
        }
    }

    /// How the times are read in a zone; `days` are the dates of the calendar.
    pub fn reading(&self, zone: TimeZone, days: Option<Arc<CalendarDays>>) -> Reading {
        let effect = self.calendar.as_ref().map(|(_, effect)| *effect);
        let days = DayRules { every_weeks: self.every_weeks, nth: self.nth, calendar: days.zip(effect) };
        Reading { zone, days }
    }

    /// The title for one line of text: the name or, if that is empty, action and target.
    pub fn title(&self) -> String {
        if self.name.is_empty() { format!("{} {}", self.deed(), self.target_name) } else { self.name.clone() }
    }

    /// The label of the action, or "Sleep" for a window.
    pub fn deed(&self) -> &'static str {
        match self.when {
            When::Window(_) => "Sleep",
            When::Cron(_) | When::Once(_) => self.action.label(),
        }
    }

    /// The mode of a window: `stop` or `pause`.
    pub fn mode(&self) -> &'static str {
        if self.action == Action::Pause { "pause" } else { "stop" }
    }
}

/// A stored schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub id: ScheduleId,
    pub spec: ScheduleSpec,
    pub source: Source,
    /// The label that defines the schedule; `None` for one of another source.
    pub label: Option<LabelOrigin>,
    /// The account that created the schedule.
    pub owner: Option<UserId>,
    pub owner_name: Option<String>,
    /// The instant of the last edit, enabling or zone change. The schedule never fires for times before it.
    pub effective_from: Timestamp,
    /// The nominal instant of the next fire, for a window its next edge; `None` if the schedule is disabled or never
    /// fires again.
    pub next_due: Option<Timestamp>,
    /// The future occurrence that is skipped: the instant of a fire, or the start of a window's sleep.
    pub skip_at: Option<Timestamp>,
    /// The revision, which grows with every change; sent as `ETag`.
    pub rev: i64,
    pub created_at: Timestamp,
    /// The instant of the last change.
    pub updated_at: Timestamp,
    /// The instant of deletion. The row stays, because runs refer to its name.
    pub deleted_at: Option<Timestamp>,
}

impl Source {
    /// Whether the pages and the API may change the settings of such a schedule; it can be switched and skipped anyway.
    pub fn is_editable(self) -> bool {
        match self {
            Self::Ui | Self::Api | Self::Import => true,
            Self::Label | Self::File => false,
        }
    }
}

impl Schedule {
    /// See [`ScheduleSpec::title`].
    pub fn title(&self) -> String {
        self.spec.title()
    }

    pub fn kind(&self) -> ScheduleKind {
        match self.spec.when {
            When::Cron(_) => ScheduleKind::Cron,
            When::Once(_) => ScheduleKind::Once,
            When::Window(_) => ScheduleKind::Window,
        }
    }

    pub fn is_window(&self) -> bool {
        self.kind() == ScheduleKind::Window
    }

    pub fn target_type(&self) -> TargetType {
        self.spec.target.target_type()
    }
}
