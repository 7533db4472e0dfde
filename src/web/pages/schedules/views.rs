//! Three views of one rule: painted, as a sentence, as text. What is stored is the text; each view carries the text it
//! was made from, so that it is plain which of them a person changed, with scripts or without.

use super::fields::Fields;
use crate::app::FieldError;
use crate::domain::cron::Cron;
use crate::domain::window::{Clock, Days, Grid, Part, Phase, SLOTS, Week, Window, short, weekday};
use crate::web::form::Typed;

/// Rows of exact times that are read at most: no rule holds more.
const MOST_ROWS: usize = 64;
/// The longest part that a row can say, in minutes.
const DAY: i16 = 24 * 60;

/// What the week view holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekFields {
    /// What the text names: when it sleeps, or when it is awake.
    pub names: Phase,
    /// The half hours painted asleep.
    pub asleep: Grid,
    /// Exact times.
    pub rows: Vec<Row>,
}

/// Exact times, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The days on which they begin.
    pub days: Days,
    /// `23:10`.
    pub from: String,
    /// `07:20`, on the next day where it is not later.
    pub to: String,
    /// The text of a part that is longer than a day: no row can say it, so it stays as it is.
    pub kept: String,
}

impl Default for WeekFields {
    fn default() -> Self {
        Self { names: Phase::Asleep, asleep: Grid::default(), rows: Vec::new() }
    }
}

impl Row {
    /// An empty one, for every day.
    fn empty() -> Self {
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

    /// The parts it stands for; none where it is empty.
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

/// The end of a part as a time field takes it: midnight is 00:00.
fn clock(part: Part) -> String {
    Clock(part.end_minute() % DAY).to_string()
}

impl WeekFields {
    /// What a text paints; nothing where it cannot be read.
    pub fn of(text: &str) -> Self {
        let Ok(window) = Window::parse(text) else { return Self::default() };
        let week = Week::of(&window);
        let rows = week.exact.into_iter().map(Row::of).collect();
        Self { names: week.names, asleep: week.asleep, rows }
    }

    fn typed(typed: &Typed) -> Self {
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

    /// Whether it says something else than a text; rows that are still empty say nothing.
    fn differs(&self, text: &str) -> bool {
        let rows = self.rows.iter().filter(|row| !row.is_empty()).cloned().collect();
        Self { rows, ..self.clone() } != Self::of(text)
    }

    /// The text it paints.
    fn text(&self) -> Result<String, FieldError> {
        let mut exact = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            exact.extend(row.parts(number)?);
        }
        let week = Week { names: self.names, asleep: self.asleep, exact };
        let window = week.window().map_err(|error| FieldError::new("week", error.to_string()))?;
        Ok(window.to_string())
    }

    /// Does what a button asks: `copy-0-all`, `copy-0-weekdays`, `turn-0`, `row-add`, `row-del-2`.
    fn change(&mut self, asked: &str) {
        let words: Vec<&str> = asked.split('-').collect();
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

/// What the sentence of a window holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// `Mon-Fri`.
    pub days: String,
    /// When it falls asleep, or, for a cron expression, when it acts.
    pub from: String,
    /// When it wakes.
    pub to: String,
}

impl Sentence {
    /// What a window's text says where one sentence holds it.
    pub fn of_window(text: &str) -> Option<Self> {
        let window = Window::parse(text).ok()?;
        let [part] = window.parts[..] else { return None };
        (window.names == Phase::Asleep && part.length <= DAY).then(|| Self {
            days: part.days.to_string(),
            from: Clock(part.start).to_string(),
            to: clock(part),
        })
    }

    /// What a cron expression says where one sentence holds it.
    pub fn of_cron(text: &str) -> Option<Self> {
        let (days, minute) = Cron::parse(text.trim()).ok()?.daily()?;
        Some(Self { days: days.to_string(), from: Clock(minute).to_string(), to: String::new() })
    }

    /// Empty where the form did not show it.
    fn typed(typed: &Typed, prefix: &str) -> Option<Self> {
        let name = |field: &str| format!("{prefix}.{field}");
        typed.has(&name("from")).then(|| Self {
            days: typed.get(&name("days")).to_owned(),
            from: typed.get(&name("from")).to_owned(),
            to: typed.get(&name("to")).to_owned(),
        })
    }

    fn window(&self) -> Result<String, FieldError> {
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

    fn cron(&self) -> Result<String, FieldError> {
        let wrong = |message: String| FieldError::new("cron_sentence.from", message);
        if self.from.trim().is_empty() {
            return Err(wrong("say at what time".to_owned()));
        }
        // A window that begins then says which days and which minute.
        let window = Window::parse(&format!("sleep {} {}-24:00", self.days, self.from.trim()));
        let window = window.map_err(|error| wrong(error.to_string()))?;
        let part = window.parts.first().ok_or_else(|| wrong("say at what time".to_owned()))?;
        Ok(Cron::of_daily(part.days, part.start))
    }
}

/// The views, in the order in which they count where two were changed and neither is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Text,
    Week,
    Sentence,
}

/// Which views say something new since the page was made.
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

impl Fields {
    /// Makes every view from the text.
    pub(super) fn rebase(&mut self) {
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

    /// Takes up the views as they were sent.
    pub(super) fn take_views(&mut self) {
        if !matches!(self.value("view"), "week" | "sentence") {
            self.set("view", "text");
        }
        if self.typed.has("week.of") {
            self.week = WeekFields::typed(&self.typed);
            if let Some(asked) = self.typed.filled("do") {
                self.week.change(asked);
                self.set("save", "");
            }
        }
        self.sentence = Sentence::typed(&self.typed, "sentence");
        self.cron_sentence = Sentence::typed(&self.typed, "cron_sentence");
    }

    /// The view that was changed: the one on show where that is one of several.
    fn changed(&self, of: [(View, bool); 3]) -> View {
        let shown = match self.value("view") {
            "week" => View::Week,
            "sentence" => View::Sentence,
            _ => View::Text,
        };
        let is_changed = |view: View| of.contains(&(view, true));
        [shown, View::Text, View::Week, View::Sentence]
            .into_iter()
            .find(|view| is_changed(*view))
            .unwrap_or(View::Text)
    }

    /// Whether a view says something else than the text it was made from, where the form showed it.
    fn is_new(&self, of: &str, differs: impl Fn(&str) -> bool) -> bool {
        self.typed.has(of) && differs(self.value(of))
    }

    /// Lets the view that was changed say what is stored, and the others follow. What is wrong leaves all as it was
    /// typed.
    pub(super) fn settle(&mut self) -> Result<Renewed, FieldError> {
        match self.value("kind") {
            "window" => self.settle_window(),
            "once" => Ok(Renewed::default()),
            _ => self.settle_cron(),
        }
    }

    fn settle_window(&mut self) -> Result<Renewed, FieldError> {
        let week = self.is_new("week.of", |of| self.week.differs(of));
        let said = self.sentence.is_some()
            && self.is_new("sentence.of", |of| Sentence::of_window(of) != self.sentence);
        let text = self.is_new("window.of", |of| of.trim() != self.value("window").trim());
        let leads = self.changed([(View::Week, week), (View::Sentence, said), (View::Text, text)]);
        let text = match (leads, &self.sentence) {
            (View::Week, _) => self.week.text()?,
            (View::Sentence, Some(said)) => said.window()?,
            _ => self.value("window").to_owned(),
        };
        let mut renewed = Renewed::default();
        if leads != View::Text && self.value("window") != text {
            self.set("window", &text);
            self.set("window.of", &text);
            renewed.window = true;
        }
        if Window::parse(&text).is_err() {
            return Ok(renewed);
        }
        if leads != View::Week && self.value("week.of") != text {
            self.week = WeekFields::of(&text);
            self.set("week.of", &text);
            renewed.week = true;
        }
        if leads != View::Sentence && self.value("sentence.of") != text {
            self.sentence = Sentence::of_window(&text);
            self.set("sentence.of", &text);
            renewed.sentence = true;
        }
        Ok(renewed)
    }

    fn settle_cron(&mut self) -> Result<Renewed, FieldError> {
        let said = self.cron_sentence.is_some()
            && self.is_new("cron_sentence.of", |of| Sentence::of_cron(of) != self.cron_sentence);
        let cron = self.value("cron").to_owned();
        let text = self.is_new("cron.of", |of| of.trim() != cron.trim());
        let leads = self.changed([(View::Sentence, said), (View::Text, text), (View::Week, false)]);
        let mut renewed = Renewed::default();
        if let (View::Sentence, Some(acts)) = (leads, &self.cron_sentence) {
            let text = acts.cron()?;
            if cron != text {
                self.set("cron", &text);
                self.set("cron.of", &text);
                renewed.cron = true;
            }
        } else if Cron::parse(cron.trim()).is_ok() && self.value("cron_sentence.of") != cron {
            self.cron_sentence = Sentence::of_cron(&cron);
            self.set("cron_sentence.of", &cron);
            renewed.cron_sentence = true;
        }
        Ok(renewed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form as a browser sends it: made from `window`, with some fields changed or added.
    fn sent(window: &str, view: &str, changed: &[(&str, &str)]) -> Fields {
        let fields = Fields::beginning("", window, "");
        let mut all = vec![
            ("kind".to_owned(), "window".to_owned()),
            ("view".to_owned(), view.to_owned()),
            ("window".to_owned(), window.to_owned()),
            ("week.names".to_owned(), fields.week.names.to_string()),
        ];
        all.extend(["window.of", "week.of", "sentence.of"].map(|name| (name.to_owned(), window.to_owned())));
        let painted = (0..7 * SLOTS).filter(|at| fields.week.asleep.has(at / SLOTS, at % SLOTS));
        all.extend(painted.map(|at| ("w".to_owned(), at.to_string())));
        if let Some(said) = fields.sentence {
            all.extend(
                [("sentence.days", said.days), ("sentence.from", said.from), ("sentence.to", said.to)]
                    .map(|(name, value)| (name.to_owned(), value)),
            );
        }
        for (number, row) in fields.week.rows.iter().enumerate() {
            all.extend(
                (0..7)
                    .map(weekday)
                    .filter(|day| row.days.has(*day))
                    .map(|day| (format!("row-{number}-day"), short(day).to_owned())),
            );
            all.extend(
                [("from", &row.from), ("to", &row.to), ("kept", &row.kept)]
                    .map(|(name, value)| (format!("row-{number}-{name}"), value.clone())),
            );
        }
        for (name, value) in changed {
            if let Some(painted) = name.strip_prefix('-') {
                all.retain(|(name, other)| name != painted || other != value);
                continue;
            }
            if *name != "w" {
                all.retain(|(other, _)| other != name);
            }
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        Fields::typed(Typed::of(all))
    }

    fn settled(window: &str, view: &str, changed: &[(&str, &str)]) -> (String, Renewed) {
        let mut fields = sent(window, view, changed);
        let renewed = fields.settle().expect("nothing is wrong");
        (fields.value("window").to_owned(), renewed)
    }

    #[test]
    fn a_view_that_nobody_touched_changes_nothing() {
        for text in [
            "sleep 23:00-07:00",
            "sleep Mon-Fri 00:00-24:00; Sat 01:10-02:20",
            "awake Mon-Fri 07:45-20:10",
            "sleep Fri 20:10 - Mon 06:00",
        ] {
            for view in ["week", "sentence", "text"] {
                assert_eq!(settled(text, view, &[]), (text.to_owned(), Renewed::default()), "{text} {view}");
            }
        }
    }

    #[test]
    fn the_view_that_was_changed_leads_and_the_others_follow() {
        let (text, renewed) = settled("sleep Mon 22:00-23:00", "week", &[("w", "46"), ("w", "47")]);
        assert_eq!(text, "sleep Mon 22:00-24:00");
        assert!(renewed.window && renewed.sentence && !renewed.week);
        let (text, renewed) = settled(
            "sleep 22:00-23:00",
            "sentence",
            &[("sentence.days", "Mon-Fri"), ("sentence.to", "06:15")],
        );
        assert_eq!(text, "sleep Mon-Fri 22:00-06:15");
        assert!(renewed.window && renewed.week && !renewed.sentence);
        let (text, renewed) = settled("sleep 22:00-23:00", "text", &[("window", "sleep Sat 01:00-02:00")]);
        assert_eq!(text, "sleep Sat 01:00-02:00");
        assert!(renewed.week && renewed.sentence && !renewed.window);
    }

    #[test]
    fn what_was_typed_in_a_view_is_not_lost_by_looking_at_another() {
        let typed = [("window", "sleep Sat 01:00-02:00")];
        for view in ["week", "sentence"] {
            assert_eq!(settled("sleep 22:00-23:00", view, &typed).0, "sleep Sat 01:00-02:00", "{view}");
        }
        assert_eq!(settled("sleep Mon 22:00-23:00", "text", &[("w", "46")]).0, "sleep Mon 22:00-23:30");
        // Where both were changed the one on show counts.
        let both = [("window", "sleep Sat 01:00-02:00"), ("w", "46")];
        assert_eq!(settled("sleep Mon 22:00-23:00", "week", &both).0, "sleep Mon 22:00-23:30");
    }

    #[test]
    fn a_long_part_between_half_hours_is_kept() {
        let (text, _) = settled("sleep Fri 20:10 - Mon 06:00", "week", &[("w", "96")]);
        assert_eq!(text, "sleep Wed 00:00-00:30; Fri 20:10 - Mon 06:00");
    }

    #[test]
    fn rows_say_what_is_wrong_with_them() {
        let row = [("row-0-from", "23:10"), ("row-0-to", ""), ("row-0-day", "Mon")];
        let error = sent("sleep 22:00-23:00", "week", &row).settle().expect_err("no end");
        assert_eq!(error.field, "row-0-to");
        let row = [("row-0-from", "23:10"), ("row-0-to", "23:50")];
        let error = sent("sleep 22:00-23:00", "week", &row).settle().expect_err("no day");
        assert!(error.message.contains("tick a day"), "{}", error.message);
        let row = [("row-0-from", "23:10"), ("row-0-to", "00:00"), ("row-0-day", "Mon")];
        assert_eq!(settled("sleep 22:00-23:00", "week", &row).0, "sleep 22:00-23:00; Mon 23:10-24:00");
    }

    #[test]
    fn buttons_copy_days_and_add_rows() {
        let copied = settled("sleep Mon 22:00-23:00", "week", &[("do", "copy-0-weekdays")]);
        assert_eq!(copied.0, "sleep Mon-Fri 22:00-23:00");
        let turned = settled("sleep Mon 22:00-23:00", "week", &[("do", "turn-6")]);
        assert_eq!(turned.0, "sleep Mon 22:00-23:00; Sun 00:00-24:00");
        assert_eq!(sent("sleep 22:00-23:00", "week", &[("do", "row-add")]).week.rows, [Row::empty()]);
        assert!(sent("sleep 22:10-23:00", "week", &[("do", "row-del-0")]).week.rows.is_empty());
    }

    #[test]
    fn a_cron_sentence_and_its_text_follow_each_other() {
        let form = |view: &str, cron: &str, from: &str| {
            let mut fields = Fields::typed(Typed::of([
                ("kind", "cron"),
                ("view", view),
                ("cron", cron),
                ("cron.of", "0 23 * * 1-5"),
                ("cron_sentence.of", "0 23 * * 1-5"),
                ("cron_sentence.days", "Mon-Fri"),
                ("cron_sentence.from", from),
            ]));
            let renewed = fields.settle().expect("nothing is wrong");
            (fields.value("cron").to_owned(), renewed.cron, renewed.cron_sentence)
        };
        assert_eq!(form("sentence", "0 23 * * 1-5", "22:30"), ("30 22 * * 1-5".to_owned(), true, false));
        assert_eq!(form("sentence", "0 23 1 * *", "23:00"), ("0 23 1 * *".to_owned(), false, true));
        assert_eq!(form("text", "0 23 * * 1-5", "23:00"), ("0 23 * * 1-5".to_owned(), false, false));
    }
}
