//! The choice of how long a nap or a wake lasts, as the confirmation offers it. Each option says what happens at its
//! end.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::app::nap::Course;
use crate::domain::time::resolve;
use crate::web::form::Typed;
use crate::web::view::{Choice, Now};

/// The options for how long a nap or a wake lasts.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The options. The value is empty (no chosen end), a duration (`3h`), an instant, or `at` for the time in the text
    /// field.
    pub choices: Vec<Choice>,
    /// The time in the text field, as it was entered.
    pub at: String,
    /// A hint about what happens at a chosen end. May be empty.
    pub note: &'static str,
}

/// The fixed options: one hour, three hours, the next 23:00 and the next 07:00. Each has its form value, its name and
/// its instant.
fn offers(now: &Now) -> impl Iterator<Item = (String, &'static str, Timestamp)> {
    let hours = |number: i64, name| {
        let at = now.at.checked_add(SignedDuration::from_hours(number)).ok()?;
        Some((format!("{number}h"), name, at))
    };
    let clock = |hour: i8, today, tomorrow| {
        let of = |date: Date| resolve(date.at(hour, 0, 0, 0), &now.zone);
        let (name, at) = match of(now.today()).filter(|at| *at > now.at) {
            Some(at) => (today, at),
            None => (tomorrow, of(now.today().tomorrow().ok()?)?),
        };
        Some((at.to_string(), name, at))
    };
    let night = clock(23, "Until tonight", "Until tomorrow night");
    let morning = clock(7, "Until this morning", "Until tomorrow morning");
    [hours(1, "For 1 hour"), hours(3, "For 3 hours"), night, morning].into_iter().flatten()
}

impl Ends {
    /// The options for one target. The first one lasts until the next edge of the target's windows, or until somebody
    /// changes the state where the target has no window.
    pub fn new(course: &Course, now: &Now, typed: &Typed) -> Self {
        let offered = offers(now).map(|(value, name, at)| {
            let when = now.when(at).short;
            let label = match (course.turns_at(at), course.wakes()) {
                (true, true) => format!("{name}: sleeps again {when}"),
                (true, false) => format!("{name}: wakes {when}"),
                (false, true) => format!("{name}, {when}: its hours keep it awake then"),
                (false, false) => format!("{name}, {when}: its hours keep it asleep then"),
            };
            (value, label)
        });
        let note = match (course.has_hours(), course.wakes()) {
            (true, _) => "",
            (false, true) => {
                "At an end that you choose, what this woke sleeps again; what others change meanwhile stays."
            }
            (false, false) => {
                "At an end that you choose, what this put to sleep wakes; what others change meanwhile stays."
            }
        };
        Self::offered(Self::open(course, now), offered, note, typed)
    }

    /// The options for several targets. Each target follows its own windows.
    pub fn of_several(wakes: bool, now: &Now, typed: &Typed) -> Self {
        let offered = offers(now).map(|(value, name, at)| (value, format!("{name}, {}", now.when(at).short)));
        let (edge, note) = if wakes {
            ("nap", "At an end that you choose, what this woke sleeps again where no hours decide.")
        } else {
            ("wake", "At an end that you choose, what this put to sleep wakes where no hours decide.")
        };
        Self::offered(format!("Until the next {edge} of each, where it has hours"), offered, note, typed)
    }

    /// The label of the option without a chosen end, as in "Until the next wake, 07:00".
    pub fn open(course: &Course, now: &Now) -> String {
        match (course.edge().map(|at| now.when(at).short), course.wakes()) {
            (Some(when), true) => format!("Until the next nap, {when}"),
            (Some(when), false) => format!("Until the next wake, {when}"),
            (None, _) => "Until someone changes it".to_owned(),
        }
    }

    fn offered(
        open: String,
        offers: impl Iterator<Item = (String, String)>,
        note: &'static str,
        typed: &Typed,
    ) -> Self {
        let all = [(String::new(), open)].into_iter().chain(offers);
        let all = all.chain([("at".to_owned(), "Until a time".to_owned())]);
        let choice = |(value, label): (String, String)| {
            let chosen = value == typed.get("until");
            Choice { value, label, chosen }
        };
        Self { choices: all.map(choice).collect(), at: typed.get("at").to_owned(), note }
    }
}
