//! Schedules: their settings ([`ScheduleSpec`]), the stored form ([`Schedule`]), and the enums of their fields. A
//! schedule is a cron expression, a one-off instant or a window, for one target.

use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize, Serializer};

use super::action::Action;
use super::calendar::{CalendarDays, CalendarEffect};
use super::fires::HORIZON_YEARS;
use super::guard::Guard;
use super::ids::{CalendarId, ScheduleId, UserId};
use super::target::{Target, TargetType};
use super::window::Days;
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

/// The weeks in which a schedule acts. A week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EveryWeeks {
    /// Every how many weeks: 2 to [`MAX_EVERY_WEEKS`].
    pub weeks: i64,
    /// A date of one of these weeks, before or after which the weeks are counted.
    pub anchor: Date,
}

/// The largest [`EveryWeeks::weeks`].
pub const MAX_EVERY_WEEKS: i64 = 52;

impl EveryWeeks {
    /// Reads the texts of both fields; `None` if both are missing or one is invalid. `refuse` takes the name of a field
    /// and what is wrong with it.
    pub fn read(
        weeks: Option<&str>,
        anchor: Option<&str>,
        mut refuse: impl FnMut(&'static str, &'static str),
    ) -> Option<Self> {
        let is_given = (weeks.is_some(), anchor.is_some());
        let weeks = weeks.and_then(|typed| {
            let weeks = typed.parse().ok().filter(|weeks| (2..=MAX_EVERY_WEEKS).contains(weeks));
            weeks.or_else(|| {
                refuse("every_weeks", "use a whole number from 2 to 52");
                None
            })
        });
        let anchor = anchor.and_then(|typed| {
            // `Date` accepts other forms too, and ignores a time.
            let date = typed.parse().ok().filter(|date: &Date| date.to_string() == typed);
            date.or_else(|| {
                refuse("anchor", "use a date such as 2026-11-30");
                None
            })
        });
        match is_given {
            (true, false) => {
                refuse("anchor", "say which weeks: give any date of one of them, such as 2026-11-30")
            }
            (false, true) => {
                refuse("every_weeks", "say every how many weeks, 2 to 52, or leave out the date")
            }
            _ => {}
        }
        Some(Self { weeks: weeks?, anchor: anchor? })
    }

    /// Whether a date lies in one of the weeks.
    fn holds(self, date: Date) -> bool {
        (week(date) - week(self.anchor)).rem_euclid(self.weeks) == 0
    }

    fn words(self) -> String {
        let ending = match self.weeks % 10 {
            2 if self.weeks != 12 => "nd",
            3 if self.weeks != 13 => "rd",
            1 if self.weeks != 11 => "st",
            _ => "th",
        };
        let anchor = self.anchor.strftime("%-d %b %Y");
        format!(", every {}{ending} week, counted from the week of {anchor}", self.weeks)
    }
}

/// Which of the like weekdays of a month a schedule acts on, such as the first and the last Friday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nth {
    /// Bit k is the k-th, 1 to 5; bit 0 is the last. No bit means all of them.
    bits: u8,
}

impl Nth {
    /// All weekdays of a month.
    pub const ALL: Self = Self { bits: 0 };
    /// The numbers in the order in which they are shown.
    const NUMBERS: [(i8, &str); 6] =
        [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (5, "5th"), (-1, "last")];

    /// Reads numbers with commas or spaces between them.
    ///
    /// # Errors
    /// The message for the user.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let numbers = text.split([',', ' ']).filter(|word| !word.is_empty());
        numbers.map(str::parse).try_fold(Self::ALL, |all, number| match number {
            Ok(number @ (-1 | 1..=5)) => Ok(Self { bits: all.bits | Self::bit(number) }),
            _ => Err("use numbers from 1 to 5, and -1 for the last, such as `1, -1`"),
        })
    }

    fn bit(number: i8) -> u8 {
        1 << number.max(0)
    }

    /// The names of the chosen numbers, in order.
    fn chosen(self) -> impl Iterator<Item = (i8, &'static str)> {
        Self::NUMBERS.into_iter().filter(move |(number, _)| self.bits & Self::bit(*number) != 0)
    }

    /// The numbers with commas between them, as [`Nth::parse`] reads them; `None` for all weekdays.
    pub fn to_text(self) -> Option<String> {
        let numbers: Vec<String> = self.chosen().map(|(number, _)| number.to_string()).collect();
        (self != Self::ALL).then(|| numbers.join(","))
    }

    fn holds(self, date: Date) -> bool {
        let is_last = date.day() + 7 > date.days_in_month();
        self == Self::ALL
            || self.bits & Self::bit((date.day() + 6) / 7) != 0
            || is_last && self.bits & Self::bit(-1) != 0
    }

    /// `weekday` is the only weekday on which the schedule acts.
    fn words(self, weekday: Option<Weekday>) -> String {
        let chosen: Vec<&str> = self.chosen().map(|(_, word)| word).collect();
        let Some((last, others)) = chosen.split_last() else { return String::new() };
        let joined =
            if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
        match weekday {
            Some(day) => format!(", only on the {joined} {} of the month", Days::only(day).meaning()),
            None => format!(", only on the {joined} of each weekday in the month"),
        }
    }
}

impl Serialize for Nth {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let numbers: Vec<i8> = self.chosen().map(|(number, _)| number).collect();
        Some(numbers).filter(|numbers| !numbers.is_empty()).serialize(to)
    }
}

/// The number of a week, counted from the one of 1970-01-01.
fn week(date: Date) -> i64 {
    // 1970-01-01 was a Thursday, three days after the Monday of its week.
    let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
    (days + 3).div_euclid(7)
}

/// The dates on which a schedule acts, and what it does on special ones.
#[derive(Clone, Debug, Default)]
pub struct DayRules {
    pub every_weeks: Option<EveryWeeks>,
    pub nth: Nth,
    /// The dates of the schedule's calendar, and the effect on them.
    pub calendar: Option<(Arc<CalendarDays>, CalendarEffect)>,
}

impl DayRules {
    /// The rules of a schedule that treats all dates alike.
    pub const NONE: Self = Self { every_weeks: None, nth: Nth::ALL, calendar: None };

    /// The rules of a schedule; `days` are the dates of its calendar.
    fn of(spec: &ScheduleSpec, days: Option<Arc<CalendarDays>>) -> Self {
        let effect = spec.calendar.as_ref().map(|(_, effect)| *effect);
        Self { every_weeks: spec.every_weeks, nth: spec.nth, calendar: days.zip(effect) }
    }

    /// Whether every week is like every other.
    pub fn is_weekly(&self) -> bool {
        self.every_weeks.is_none() && self.nth == Nth::ALL && self.calendar.is_none()
    }

    /// Whether intervals of a window may start on a date. What a calendar does to them is [`DayRules::effect_on`].
    pub fn holds(&self, date: Date) -> bool {
        let is_left_out =
            matches!(&self.calendar, Some((days, CalendarEffect::Only)) if !days.contains(date));
        !is_left_out && self.every_weeks.is_none_or(|every| every.holds(date)) && self.nth.holds(date)
    }

    /// Whether a cron fire on a date counts.
    pub fn counts(&self, date: Date) -> bool {
        self.holds(date) && !self.is_skipped(date)
    }

    /// Whether a cron fire on a date would count if the schedule had no calendar.
    pub fn is_taken_by_calendar(&self, date: Date) -> bool {
        self.holds(date) && self.is_skipped(date)
    }

    fn is_skipped(&self, date: Date) -> bool {
        matches!(&self.calendar, Some((days, CalendarEffect::Skip)) if days.contains(date))
    }

    /// The first date after `date` that counts, up to `last`.
    pub fn next_after(&self, date: Date, last: Date) -> Option<Date> {
        let later = date.series(1.day()).skip(1).take_while(|later| *later <= last);
        later.into_iter().find(|later| self.counts(*later))
    }

    /// The effect of the calendar on a date that it contains.
    pub fn effect_on(&self, date: Date) -> Option<CalendarEffect> {
        self.calendar.as_ref().filter(|(days, _)| days.contains(date)).map(|(_, effect)| *effect)
    }

    /// The number of days after `date` within which each change of a window comes that ever comes, beside those of a
    /// window whose weeks are all alike. The dates of a calendar count up to `most` days.
    pub fn irregular_days(&self, date: Date, most: i64) -> i64 {
        let period = match (self.every_weeks, self.nth) {
            (None, Nth::ALL) => 0,
            (None, _) => 366,
            // Six times, because the same week can have a clock change that drops an edge for years.
            (Some(every), Nth::ALL) => 6 * 7 * every.weeks,
            // Such a week can go through all days of the month before it has one that counts.
            (Some(_), _) => 366 * i64::from(HORIZON_YEARS),
        };
        let dates = match &self.calendar {
            None => 0,
            Some((days, _)) if !days.yearly.is_empty() => most,
            Some((days, _)) => {
                let last = days.last().and_then(|last| last.since(date).ok());
                last.map_or(0, |span| i64::from(span.get_days())).clamp(0, most)
            }
        };
        dates + period
    }

    /// The end of a sentence about the times of a schedule, with the comma before it; may be empty. `weekday` is the only
    /// weekday on which it acts.
    pub fn words(&self, weekday: Option<Weekday>) -> String {
        let mut words = self.nth.words(weekday);
        words.push_str(&self.every_weeks.map(EveryWeeks::words).unwrap_or_default());
        if matches!(self.calendar, Some((_, CalendarEffect::Only))) {
            words.push_str(", only on the days of its calendar");
        }
        words
    }
}

/// How the times of a schedule are converted to instants: by which zone, and on which dates.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The zone of the schedule or, if it has none, the default zone.
    pub zone: TimeZone,
    pub days: DayRules,
}

impl Reading {
    /// The zone and the dates of a schedule; `days` are the dates of its calendar.
    pub fn of(spec: &ScheduleSpec, zone: TimeZone, days: Option<Arc<CalendarDays>>) -> Self {
        Self { zone, days: DayRules::of(spec, days) }
    }

    /// A zone in which all dates are alike.
    pub fn in_zone(zone: TimeZone) -> Self {
        Self { zone, days: DayRules::NONE }
    }

    /// Whether a cron fire at `at` does not take place because of its date.
    pub fn drops(&self, at: Timestamp) -> bool {
        !self.days.counts(at.to_zoned(self.zone.clone()).date())
    }
}

// Validated and ready to store. The JSON of a response has the fields that are not skipped; `ScheduleJson` adds the
// others in another form.
/// The settings of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScheduleSpec {
    /// The name that the user chose; may be empty.
    #[serde(skip)]
    pub name: String,
    /// The stack or container of the schedule's actions.
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
