//! How long a nap or a wake lasts, to choose, and what comes then.

use jiff::Timestamp;
use jiff::civil::time;

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
    pub note: String,
}

/// An end that is offered: what is sent for it, what it is called, and when it is.
type Offer = (String, String, Timestamp);

/// An hour, three, the next 23:00, and the next 07:00.
fn offers(now: &Now) -> Vec<Offer> {
    let here = now.at.to_zoned(now.zone.clone());
    let next = |hour: i8| {
        let of = |date: jiff::civil::Date| resolve(date.to_datetime(time(hour, 0, 0, 0)), &now.zone);
        of(here.date()).filter(|at| *at > now.at).or_else(|| of(here.date().tomorrow().ok()?))
    };
    let hours = |number: i64| {
        let name = if number == 1 { "For 1 hour".to_owned() } else { format!("For {number} hours") };
        Some((format!("{number}h"), name, now.at.checked_add(jiff::SignedDuration::from_hours(number)).ok()?))
    };
    let clock = |hour: i8| {
        let at = next(hour)?;
        let (today, day) = (here.date(), at.to_zoned(now.zone.clone()).date());
        let name = match (hour, day == today) {
            (23, true) => "Until tonight",
            (23, false) => "Until tomorrow night",
            (_, true) => "Until this morning",
            (_, false) => "Until tomorrow morning",
        };
        Some((at.to_string(), name.to_owned(), at))
    };
    [hours(1), hours(3), clock(23), clock(7)].into_iter().flatten().collect()
}

impl Ends {
    /// What is offered for one: until its windows' next edge where it has any, else for good; and ends to choose.
    pub(super) fn new(course: &Course, now: &Now, typed: &Typed) -> Self {
        let offered = offers(now).into_iter().map(|(value, name, at)| {
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
    pub(super) fn of_several(wakes: bool, now: &Now, typed: &Typed) -> Self {
        let edge = if wakes { "nap" } else { "wake" };
        let offered = offers(now)
            .into_iter()
            .map(|(value, name, at)| (value, format!("{name}, {}", now.when(at).short)));
        let note = if wakes {
            "At an end that you choose, what this woke sleeps again where no hours decide."
        } else {
            "At an end that you choose, what this put to sleep wakes where no hours decide."
        };
        Self::offered(format!("Until the next {edge} of each, where it has hours"), offered, note, typed)
    }

    /// When it ends where no end is chosen: "Until the next wake, 07:00".
    pub(super) fn open(course: &Course, now: &Now) -> String {
        match (course.edge().map(|at| now.when(at).short), course.wakes()) {
            (Some(when), true) => format!("Until the next nap, {when}"),
            (Some(when), false) => format!("Until the next wake, {when}"),
            (None, _) => "Until someone changes it".to_owned(),
        }
    }

    fn offered(
        open: String,
        offers: impl Iterator<Item = (String, String)>,
        note: &str,
        typed: &Typed,
    ) -> Self {
        let chosen = typed.get("until");
        let all = std::iter::once((String::new(), open))
            .chain(offers)
            .chain([("at".to_owned(), "Until a time".to_owned())]);
        let choices = all.map(|(value, label)| Choice { chosen: value == chosen, value, label }).collect();
        Self { choices, at: typed.get("at").to_owned(), note: note.to_owned() }
    }
}
