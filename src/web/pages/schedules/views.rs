//! Three views of a rule: a painted week, a sentence, and text. The text is stored. Each view carries the text it was
//! made from, so that the server can see which view the user changed, even without scripts.

use crate::app::FieldError;
use crate::domain::cron::Cron;
use crate::domain::days::{Days, short};
use crate::domain::window::{Clock, Grid, Part, Phase, SLOTS, Week, Window, weekday};
use crate::web::form::Typed;

/// The largest number of rows with exact times that the server reads. No rule has more.
const MOST_ROWS: usize = 64;
/// The longest part of a rule that a row can hold, in minutes.
const DAY: i16 = 24 * 60;

/// The content of the week view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekFields {
    /// Whether the text names the times asleep or the times awake.
    pub names: Phase,
    /// The half hours painted as asleep.
    pub asleep: Grid,
    /// Times that are not on a half hour.
    pub rows: Vec<Row>,
}

/// A row with exact times, as entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The days on which the time range starts.
    pub days: Days,
    /// The start, as in `23:10`.
    pub from: String,
    /// The end, as in `07:20`. On the next day if it is not later than the start.
    pub to: String,
    /// The text of a part that is longer than a day. A row cannot hold such a part, so the text stays unchanged.
    pub kept: String,
}

impl Default for WeekFields {
    fn default() -> Self {
        Self { names: Phase::Asleep, asleep: Grid::default(), rows: Vec::new() }
    }
}

impl Row {
    /// An empty row for every day.
    pub(super) fn empty() -> Self {
        Self { days: Days::ALL, from: String::new(), to: String::new(), kept: String::new() }
    }

    fn is_empty(&self) -> bool {
        [&self.from, &self.to, &self.kept].iter().all(|text| text.trim().is_empty())
    }

    fn of(part: Part) -> Self {
        if part.length > DAY {
            return Self { kept: part.to_string(), ..Self::empty() };
        }
        Self { days: part.days, from: Clock(part.start).to_string(), to: clock(part), ..Self::empty() }
    }

    /// The parts of the rule that the row stands for. Empty for an empty row.
    fn parts(&self, number: usize) -> Result<Vec<Part>, FieldError> {
        let wrong = |field: &str, message: String| FieldError::new(format!("row-{number}-{field}"), message);
        let (from, to) = (self.from.trim(), self.to.trim());
        let text = match (from, to) {
            _ if !self.kept.is_empty() => self.kept.clone(),
            ("", "") => return Ok(Vec::new()),
            ("", _) => return Err(wrong("from", "say from when".to_owned())),
            (_, "") => return Err(wrong("to", "say until when".to_owned())),
            _ if self.days == Days::default() => {
                return Err(wrong("from", "tick a day for this time".to_owned()));
            }
            _ => format!("{} {from}-{to}", self.days),
        };
        let window = Window::parse(&format!("sleep {text}"));
        window.map(|window| window.parts).map_err(|error| wrong("from", error.to_string()))
    }
}

/// The end of a part in the format of a time field, where midnight is 00:00.
fn clock(part: Part) -> String {
    Clock(part.end_minute() % DAY).to_string()
}

impl WeekFields {
    /// The week of a window's text. Empty if the text cannot be parsed.
    pub fn of(text: &str) -> Self {
        let Ok(window) = Window::parse(text) else { return Self::default() };
        let week = Week::of(&window);
        let rows = week.exact.into_iter().map(Row::of).collect();
        Self { names: week.names, asleep: week.asleep, rows }
    }

    pub(super) fn typed(typed: &Typed) -> Self {
        let mut asleep = Grid::default();
        for at in typed.all("w").filter_map(|at| at.parse::<usize>().ok()) {
            asleep.paint(at / SLOTS, at % SLOTS);
        }
        let row = |number: usize| {
            let field = |name: &str| typed.get(&format!("row-{number}-{name}")).to_owned();
            let day_field = format!("row-{number}-day");
            let ticked: Vec<&str> = typed.all(&day_field).collect();
            let days = (0..7).map(weekday).filter(|day| ticked.contains(&short(*day)));
            Row {
                days: days.fold(Days::default(), |days, day| days.with(Days::only(day))),
                from: field("from"),
                to: field("to"),
                kept: field("kept"),
            }
        };
        let is_there =
            |number: &usize| ["from", "kept"].iter().any(|name| typed.has(&format!("row-{number}-{name}")));
        let rows = (0..MOST_ROWS).filter(is_there).map(row);
        let rows =
            rows.map(|row| if row.kept.is_empty() { row } else { Row { days: Days::ALL, ..row } }).collect();
        Self { names: Phase::parse(typed.get("week.names")).unwrap_or(Phase::Asleep), asleep, rows }
    }

    /// Whether the week differs from a window's text. Empty rows are ignored.
    pub(super) fn differs(&self, text: &str) -> bool {
        let rows = self.rows.iter().filter(|row| !row.is_empty()).cloned().collect();
        Self { rows, ..self.clone() } != Self::of(text)
    }

    /// The text of the window that the week shows.
    pub(super) fn text(&self) -> Result<String, FieldError> {
        let mut exact = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            exact.extend(row.parts(number)?);
        }
        let week = Week { names: self.names, asleep: self.asleep, exact };
        let window = week.window().map_err(|error| FieldError::new("week", error.to_string()))?;
        Ok(window.to_string())
    }

    /// Applies a button of the view: `copy-0-all`, `copy-0-weekdays`, `turn-0`, `row-add`, `row-del-2`. The number is
    /// the day (0 is Monday) or the row.
    pub(super) fn change(&mut self, button: &str) {
        let words: Vec<&str> = button.split('-').collect();
        match (words.as_slice(), words.get(1).and_then(|number| number.parse().ok())) {
            (["copy", _, "all"], Some(day)) => self.asleep.copy(day, 0..7),
            (["copy", _, "weekdays"], Some(day)) => self.asleep.copy(day, 0..5),
            (["turn", _], Some(day)) => self.asleep.turn(day),
            (["row", "add"], _) if self.rows.len() < MOST_ROWS => self.rows.push(Row::empty()),
            (["row", "del", number], _) => {
                if let Ok(number) = number.parse::<usize>()
                    && number < self.rows.len()
                {
                    self.rows.remove(number);
                }
            }
            _ => {}
        }
    }
}

/// The fields of the sentence of a window or of a cron expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// The days, as in `Mon-Fri`.
    pub days: String,
    /// When the target falls asleep or, for a cron expression, when the schedule fires.
    pub from: String,
    /// When the target wakes. Empty for a cron expression.
    pub to: String,
}

impl Sentence {
    /// The sentence of a window's text. `None` if the window does not fit into one sentence.
    pub fn of_window(text: &str) -> Option<Self> {
        let window = Window::parse(text).ok()?;
        let [part] = window.parts[..] else { return None };
        (window.names == Phase::Asleep && part.length <= DAY).then(|| Self {
            days: part.days.to_string(),
            from: Clock(part.start).to_string(),
            to: clock(part),
        })
    }

    /// The sentence of a cron expression. `None` if the expression does not fit into one sentence.
    pub fn of_cron(text: &str) -> Option<Self> {
        let (days, minute) = Cron::parse(text.trim()).ok()?.daily()?;
        Some(Self { days: days.to_string(), from: Clock(minute).to_string(), to: String::new() })
    }

    /// The sentence that the browser sent. `None` if the form did not have it.
    pub(super) fn typed(typed: &Typed, prefix: &str) -> Option<Self> {
        let name = |field: &str| format!("{prefix}.{field}");
        typed.has(&name("from")).then(|| Self {
            days: typed.get(&name("days")).to_owned(),
            from: typed.get(&name("from")).to_owned(),
            to: typed.get(&name("to")).to_owned(),
        })
    }

    pub(super) fn window(&self) -> Result<String, FieldError> {
        let (from, to) = (self.from.trim(), self.to.trim());
        if from.is_empty() || to.is_empty() {
            let field = if from.is_empty() { "sentence.from" } else { "sentence.to" };
            return Err(FieldError::new(field, "say from when to when it sleeps"));
        }
        let window = Window::parse(&format!("sleep {} {from}-{to}", self.days));
        window
            .map(|window| window.to_string())
            .map_err(|error| FieldError::new("sentence.from", error.to_string()))
    }

    pub(super) fn cron(&self) -> Result<String, FieldError> {
        let wrong = |message: String| FieldError::new("cron_sentence.from", message);
        if self.from.trim().is_empty() {
            return Err(wrong("say at what time".to_owned()));
        }
        // A window that starts at this time serves to parse the days and the minute.
        let window = Window::parse(&format!("sleep {} {}-24:00", self.days, self.from.trim()));
        let window = window.map_err(|error| wrong(error.to_string()))?;
        let part = window.parts.first().ok_or_else(|| wrong("say at what time".to_owned()))?;
        Ok(Cron::of_daily(part.days, part.start))
    }
}

/// The views whose content changed since the page was rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// The painted week.
    pub week: bool,
    /// The sentence of a window.
    pub sentence: bool,
    /// The window's text.
    pub window: bool,
    /// The sentence of a cron expression.
    pub cron_sentence: bool,
    /// The cron expression.
    pub cron: bool,
}
