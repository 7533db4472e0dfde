//! How long a nap or a wake lasts, to choose, and what comes then.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::app::nap::Course;
use crate::domain::time::resolve;
use crate::web::form::Typed;
use crate::web::view::{Choice, Now};

/// How long something lasts, to choose.
#[derive(Clone, Debug)]
pub struct Ends {
    /// What is offered: no end named, a span, an instant, or `at` for the time in the field.
    pub choices: Vec<Choice>,
    /// The time that was typed.
    pub at: String,
    /// What comes at an end that is chosen; may be empty.
    pub note: &'static str,
}

/// An hour, three, the next 23:00, and the next 07:00: what is sent, what it is called, and when it is.
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
    /// What is offered for one: until its windows' next edge where it has any, else for good; and ends to choose.
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

    /// What is offered for several: each goes by its own windows.
    pub fn of_several(wakes: bool, now: &Now, typed: &Typed) -> Self {
        let offered = offers(now).map(|(value, name, at)| (value, format!("{name}, {}", now.when(at).short)));
        let (edge, note) = if wakes {
            ("nap", "At an end that you choose, what this woke sleeps again where no hours decide.")
        } else {
            ("wake", "At an end that you choose, what this put to sleep wakes where no hours decide.")
        };
        Self::offered(format!("Until the next {edge} of each, where it has hours"), offered, note, typed)
    }

    /// When it ends where no end is chosen: "Until the next wake, 07:00".
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
