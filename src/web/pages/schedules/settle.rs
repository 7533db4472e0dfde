//! Synchronizes the three views of a rule: the view that the user changed determines the stored text, and the other
//! views are rendered from that text. This works with scripts and without.

use super::fields::Fields;
use super::views::{Renewed, Sentence, WeekFields};
use crate::app::FieldError;
use crate::domain::cron::Cron;
use crate::domain::window::Window;

/// The views. If two hidden views were changed, the earlier one in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Text,
    Week,
    Sentence,
}

impl Fields {
    /// The view that the user changed. If several were changed, the visible one counts.
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

    /// Whether the form had this view and its content differs from the text that the view was made from.
    fn is_new(&self, of: &str, differs: impl Fn(&str) -> bool) -> bool {
        self.typed.has(of) && differs(self.value(of))
    }

    /// Stores the text of the changed view and renders the other views from it. If the changed view has an error, all
    /// fields stay as they were entered.
    pub(super) fn settle(&mut self) -> Result<Renewed, FieldError> {
        match self.value("kind") {
            "window" => self.settle_window(),
            "once" => Ok(Renewed::default()),
            _ => self.settle_cron(),
        }
    }

    fn settle_window(&mut self) -> Result<Renewed, FieldError> {
        let week = self.is_new("week.of", |of| self.week.differs(of));
        let sentence = self.sentence.is_some()
            && self.is_new("sentence.of", |of| Sentence::of_window(of) != self.sentence);
        let text = self.is_new("window.of", |of| of.trim() != self.value("window").trim());
        let leads = self.changed([(View::Week, week), (View::Sentence, sentence), (View::Text, text)]);
        let text = match (leads, &self.sentence) {
            (View::Week, _) => self.week.text()?,
            (View::Sentence, Some(sentence)) => sentence.window()?,
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
        let sentence = self.cron_sentence.is_some()
            && self.is_new("cron_sentence.of", |of| Sentence::of_cron(of) != self.cron_sentence);
        let cron = self.value("cron").to_owned();
        let text = self.is_new("cron.of", |of| of.trim() != cron.trim());
        let leads = self.changed([(View::Sentence, sentence), (View::Text, text), (View::Week, false)]);
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
    use super::super::views::Row;
    use super::*;
    use crate::domain::days::short;
    use crate::domain::window::{SLOTS, weekday};
    use crate::web::form::Typed;

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
        if let Some(sentence) = fields.sentence {
            all.extend(
                [
                    ("sentence.days", sentence.days),
                    ("sentence.from", sentence.from),
                    ("sentence.to", sentence.to),
                ]
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
        // If both views were changed, the visible one counts.
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
