//! The data for the templates of the three views: the week grid, the rows with exact times, and the day options of the
//! sentences.

use super::fields::Fields;
use super::views::{Renewed, Row, Sentence};
use crate::domain::days::{Days, short};
use crate::domain::user::Habits;
use crate::domain::window::{Clock, SLOTS, Window, weekday};
use crate::web::view::{Choice, clocked};

/// The grid of a week.
#[derive(Clone, Debug, Default)]
pub struct WeekView {
    /// The hours `00` to `23`.
    pub hours: Vec<String>,
    /// The days, in the reader's order.
    pub days: Vec<DayView>,
    /// The rows with exact times.
    pub rows: Vec<RowView>,
    /// `asleep` or `awake`: which of the two the text and the exact times name.
    pub names: &'static str,
}

/// One day of the grid.
#[derive(Clone, Debug)]
pub struct DayView {
    /// The number of the day; 0 is Monday.
    pub number: usize,
    /// The short name, as in `Mon`.
    pub name: &'static str,
    /// The full name, as in `Monday`.
    pub long: String,
    /// The half hours of the day.
    pub cells: Vec<Cell>,
}

/// One half hour of the grid.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The value of the checkbox: the index of the half hour in the week.
    pub value: usize,
    /// The label, as in `Mon 07:30, asleep`.
    pub label: String,
    /// Whether the half hour is painted as asleep.
    pub asleep: bool,
    /// Whether an exact time covers part of the half hour.
    pub exact: bool,
}

/// A row with exact times.
#[derive(Clone, Debug)]
pub struct RowView {
    pub row: Row,
    /// The days with their checkboxes.
    pub days: Vec<Choice>,
}

impl WeekView {
    fn new(f: &Fields, habits: Habits) -> Self {
        let exact = exact(&f.week.rows);
        let cell = |day: usize, slot: usize| {
            let minute = i16::try_from(slot * 30).unwrap_or(0);
            let time = Clock(minute);
            let touches = |(from, to): &(i16, i16)| *from < minute + 30 && *to > minute;
            Cell {
                value: day * SLOTS + slot,
                label: clocked(&format!("{} {time}, asleep", short(weekday(day))), habits.clock),
                asleep: f.week.asleep.has(day, slot),
                exact: exact
                    .as_ref()
                    .is_some_and(|days| days.get(day).is_some_and(|day| day.iter().any(touches))),
            }
        };
        let day = |number: usize| DayView {
            number,
            name: short(weekday(number)),
            long: Days::only(weekday(number)).meaning(),
            cells: (0..SLOTS).map(|slot| cell(number, slot)).collect(),
        };
        let tick = |row: &Row| {
            let choice = |day| Choice {
                value: short(day).to_owned(),
                label: short(day).chars().take(2).collect(),
                chosen: row.days.has(day),
            };
            habits.week_start.days().map(weekday).into_iter().map(choice).collect()
        };
        Self {
            hours: (0..24).map(|hour| format!("{hour:02}")).collect(),
            days: habits.week_start.days().into_iter().map(day).collect(),
            rows: f.week.rows.iter().map(|row| RowView { days: tick(row), row: row.clone() }).collect(),
            names: f.week.names.as_str(),
        }
    }
}

/// The time ranges of the exact times for each day, in minutes of the day. `None` if there are none.
fn exact(rows: &[Row]) -> Option<[Vec<(i16, i16)>; 7]> {
    let part = |row: &Row| {
        if row.kept.is_empty() { format!("{} {}-{}", row.days, row.from, row.to) } else { row.kept.clone() }
    };
    let is_right = |text: &String| Window::parse(&format!("sleep {text}")).is_ok();
    let parts: Vec<String> = rows.iter().map(part).filter(is_right).collect();
    Window::parse(&format!("sleep {}", parts.join(";"))).ok().map(|window| window.asleep_by_day())
}

/// The data of the views that is not in the form fields.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// The grid of the week.
    pub week: WeekView,
    /// The day options of a window's sentence.
    pub sentence_days: Vec<Choice>,
    /// The day options of a cron expression's sentence.
    pub cron_sentence_days: Vec<Choice>,
    /// Whether each view is sent as an out-of-band swap for an open page.
    pub oob: bool,
    /// The views that are sent to an open page.
    pub renewed: Renewed,
}

impl Views {
    /// The views of the fields.
    pub fn new(f: &Fields, habits: Habits) -> Self {
        Self { week: WeekView::new(f, habits), ..Self::without_week(f, habits) }
    }

    fn without_week(f: &Fields, habits: Habits) -> Self {
        let (sentence_days, cron_sentence_days) =
            (days(f.sentence.as_ref(), habits), days(f.cron_sentence.as_ref(), habits));
        Self { sentence_days, cron_sentence_days, ..Self::default() }
    }

    /// The views for an open page: only those with changed content.
    pub fn renewing(f: &Fields, renewed: Renewed, habits: Habits) -> Self {
        // Most input does not change the week, so the grid is built only if necessary.
        let views = if renewed.week { Self::new(f, habits) } else { Self::without_week(f, habits) };
        Self { oob: true, renewed, ..views }
    }
}

/// The day options of a sentence: the usual ones, and the present value.
fn days(sentence: Option<&Sentence>, habits: Habits) -> Vec<Choice> {
    let Some(sentence) = sentence else { return Vec::new() };
    let usual = [("Mon-Sun", "every day"), ("Mon-Fri", "every weekday"), ("Sat,Sun", "every weekend")];
    let mut pairs: Vec<(String, String)> =
        usual.map(|(value, label)| (value.to_owned(), label.to_owned())).to_vec();
    pairs.extend(
        habits
            .week_start
            .days()
            .map(weekday)
            .map(|day| (short(day).to_owned(), format!("every {}", Days::only(day).meaning()))),
    );
    if pairs.iter().all(|(value, _)| *value != sentence.days) {
        let window = Window::parse(&format!("sleep {} 00:00-01:00", sentence.days));
        let label = window.ok().and_then(|window| window.parts.first().map(|part| part.days.meaning()));
        pairs.push((sentence.days.clone(), label.unwrap_or_else(|| sentence.days.clone())));
    }
    let choice = |(value, label): (String, String)| Choice { chosen: value == sentence.days, value, label };
    pairs.into_iter().map(choice).collect()
}
