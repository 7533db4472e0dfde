//! A week to paint, and what else the views of a rule show.

use super::fields::Fields;
use super::views::{Renewed, Row, Sentence};
use crate::domain::user::Habits;
use crate::domain::window::{Clock, Days, SLOTS, Window, short, weekday};
use crate::web::view::{Choice, clocked};

/// One week to paint.
#[derive(Clone, Debug, Default)]
pub struct WeekView {
    /// `00` … `23`.
    pub hours: Vec<String>,
    /// In the order of the reader's week.
    pub days: Vec<DayView>,
    /// Exact times.
    pub rows: Vec<RowView>,
    /// `asleep` or `awake`: what the text names, and so do the exact times.
    pub names: &'static str,
}

/// One day of it.
#[derive(Clone, Debug)]
pub struct DayView {
    /// From 0, which is Monday.
    pub number: usize,
    /// `Mon`.
    pub name: &'static str,
    /// `Monday`.
    pub long: String,
    /// Its half hours.
    pub cells: Vec<Cell>,
}

/// One half hour.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What is sent.
    pub value: usize,
    /// `Mon 07:30, asleep`.
    pub label: String,
    /// It is painted.
    pub asleep: bool,
    /// An exact time reaches into it.
    pub exact: bool,
}

/// Exact times.
#[derive(Clone, Debug)]
pub struct RowView {
    pub row: Row,
    /// The days to tick.
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

/// The minutes that exact times name, day by day.
fn exact(rows: &[Row]) -> Option<[Vec<(i16, i16)>; 7]> {
    let part = |row: &Row| {
        if row.kept.is_empty() { format!("{} {}-{}", row.days, row.from, row.to) } else { row.kept.clone() }
    };
    let is_right = |text: &String| Window::parse(&format!("sleep {text}")).is_ok();
    let parts: Vec<String> = rows.iter().map(part).filter(is_right).collect();
    Window::parse(&format!("sleep {}", parts.join(";"))).ok().map(|window| window.asleep_by_day())
}

/// What the views show beside the fields' own values.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// The week to paint.
    pub week: WeekView,
    /// Days to choose in a window's sentence.
    pub sentence_days: Vec<Choice>,
    /// Days to choose in a cron expression's sentence.
    pub cron_sentence_days: Vec<Choice>,
    /// They are sent one by one, each to its place on a page that is open.
    pub oob: bool,
    /// Which of them are sent then.
    pub renewed: Renewed,
}

impl Views {
    /// What the fields say.
    pub fn new(f: &Fields, habits: Habits) -> Self {
        Self { week: WeekView::new(f, habits), ..Self::without_week(f, habits) }
    }

    fn without_week(f: &Fields, habits: Habits) -> Self {
        let (sentence_days, cron_sentence_days) =
            (days(f.sentence.as_ref(), habits), days(f.cron_sentence.as_ref(), habits));
        Self { sentence_days, cron_sentence_days, ..Self::default() }
    }

    /// The same for a page that is open: only what says something new.
    pub fn renewing(f: &Fields, renewed: Renewed, habits: Habits) -> Self {
        // Most of what is typed leaves the week as it is: it is not put together for nothing.
        let views = if renewed.week { Self::new(f, habits) } else { Self::without_week(f, habits) };
        Self { oob: true, renewed, ..views }
    }
}

/// The days a sentence offers: the usual ones, and what it says already.
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
        let said = Window::parse(&format!("sleep {} 00:00-01:00", sentence.days));
        let label = said.ok().and_then(|window| window.parts.first().map(|part| part.days.meaning()));
        pairs.push((sentence.days.clone(), label.unwrap_or_else(|| sentence.days.clone())));
    }
    let choice = |(value, label): (String, String)| Choice { chosen: value == sentence.days, value, label };
    pairs.into_iter().map(choice).collect()
}
