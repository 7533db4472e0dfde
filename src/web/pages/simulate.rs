//! Look ahead: what happens when, if nobody does anything meanwhile, day by day.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::schedules::form::{Group, targets};
use super::{html, now, target_of};
use crate::app::simulate::{self, Foretold, Mark, Question};
use crate::app::{Error, FieldError, Result, stacks};
use crate::domain::simulate::{Event, EventKind};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::form::Typed;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now, Sampled, When};

/// Events on one page; the rest begins on the next.
const MOST: usize = 300;

pub(super) fn routes() -> Routes {
    Routes::new().get("/simulate", Access::VIEWER, index)
}

/// What happens at an instant.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// When.
    pub when: When,
    /// For an edge: what is wanted from then on; `None` for a fire.
    pub begins: Option<Badge>,
    /// For a fire: what it does, and its symbol.
    pub does: Option<(&'static str, &'static str)>,
    /// The stack or container.
    pub target: Link,
    /// Whose it is; `None` for an override.
    pub schedule: Option<Link>,
    /// It counts.
    pub acts: bool,
    /// Why it does not, or what comes of it; may be empty.
    pub reason: String,
}

/// One day.
#[derive(Clone, Debug)]
pub struct Day {
    /// `Friday 27 November 2026`.
    pub title: String,
    /// What is special about it: `Clocks go back 1 h`, `A calendar day of Nights`.
    pub marks: Vec<String>,
    /// In time order.
    pub rows: Vec<EventRow>,
}

/// The page.
#[derive(Template, Clone, Debug)]
#[template(path = "simulate/index.html")]
pub struct SimulatePage {
    /// The surroundings.
    pub shell: Shell,
    /// What can be looked at.
    pub groups: Vec<Group>,
    /// Something is picked among them.
    pub picked: bool,
    /// As typed, else what is shown.
    pub from: String,
    /// As typed, else what is shown.
    pub to: String,
    /// What is wrong with what was typed.
    pub errors: Vec<FieldError>,
    /// Days on which something happens or is special.
    pub days: Vec<Day>,
    /// Things that happen.
    pub count: usize,
    /// Those among them that are left out.
    pub left_out: usize,
    /// Where it goes on, since there is too much for one page.
    pub more: Option<String>,
}

impl SimulatePage {
    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Query(fields): Query<Vec<(String, String)>>,
    shell: Shell,
) -> Result<Response> {
    web.previews.admit(&caller.user().id)?;
    let typed = Typed::of(fields);
    let overview = stacks::overview(&web.app, &caller.actor).await?;
    let picked = typed.get("target");
    let mut page = SimulatePage {
        groups: targets(&overview, picked, None),
        picked: !picked.is_empty(),
        from: typed.get("from").to_owned(),
        to: typed.get("to").to_owned(),
        errors: Vec::new(),
        days: Vec::new(),
        count: 0,
        left_out: 0,
        more: None,
        shell,
    };
    let target = target_of(&web.app, picked);
    let target = match target {
        Ok(target) => target,
        Err(Error::NotFound { .. }) => {
            page.errors.push(FieldError::new("target", "this is not there now; pick another one"));
            None
        }
        Err(other) => return Err(other),
    };
    let question =
        Question { from: typed.filled("from").map(str::to_owned), to: typed.filled("to").map(after), target };
    if page.errors.is_empty() {
        match simulate::simulate(&web.app, &caller.actor, &question).await {
            Ok(foretold) => page.tell(foretold, picked, &now(&web, &page.shell)),
            Err(Error::Invalid(errors)) => page.errors = errors,
            Err(other) => return Err(other),
        }
    }
    let status = if page.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, html(&page)?).into_response())
}

/// The form speaks of the last day, the service of the first instant after it.
fn after(text: &str) -> String {
    let next = text.trim().parse::<Date>().ok().and_then(|day| day.tomorrow().ok());
    next.map_or_else(|| text.to_owned(), |day| day.to_string())
}

impl SimulatePage {
    fn tell(&mut self, foretold: Foretold, picked: &str, now: &Now) {
        let date_of = |at: Timestamp| at.to_zoned(now.zone.clone()).date();
        let Foretold { from, until, simulation, names, marks, .. } = foretold;
        let mut cut = simulation.cut;
        let mut events = simulation.events;
        if let Some(lost) = events.get(MOST) {
            // An instant is told whole, though it be more than a page.
            let lost = lost.at;
            let before = events.partition_point(|event| event.at < lost);
            let end = if before > 0 { before } else { events.partition_point(|event| event.at <= lost) };
            cut = events.get(end).map(|event| event.at).or(cut);
            events.truncate(end);
        }
        let shown_until = cut.unwrap_or(until);
        self.from = date_of(from).to_string();
        self.to = date_of(until.checked_sub(1.millisecond()).unwrap_or(until)).to_string();
        self.more = cut.map(|at| {
            let query = [("target", picked), ("from", &at.to_string()), ("to", &self.to)];
            format!("/simulate?{}", serde_urlencoded::to_string(query).unwrap_or_default())
        });
        self.count = events.len();
        self.left_out = events.iter().filter(|event| !event.acts).count();
        let mut days: BTreeMap<Date, Day> = BTreeMap::new();
        let title = |date: Date| date.strftime("%A %-d %B %Y").to_string();
        for (date, marks) in marks.range(date_of(from)..=date_of(shown_until)) {
            let marks = marks.iter().map(mark).collect();
            days.insert(*date, Day { title: title(*date), marks, rows: Vec::new() });
        }
        for event in events {
            let date = date_of(event.at);
            let name = names.get(&event.target).cloned().unwrap_or_default();
            let empty = || Day { title: title(date), marks: Vec::new(), rows: Vec::new() };
            days.entry(date).or_insert_with(empty).rows.push(EventRow::new(event, &name, now));
        }
        self.days = days.into_values().collect();
    }
}

impl EventRow {
    fn new(event: Event, name: &str, now: &Now) -> Self {
        let (begins, does) = match event.kind {
            EventKind::Fire(action) => (None, Some((action.label(), view::action_icon(action)))),
            EventKind::Edge(wanted) => (Some(wanted.map_or(Badge::LEFT_ALONE, Badge::from)), None),
        };
        let target = &event.target;
        Self {
            when: now.when(event.at),
            begins,
            does,
            target: Link::new(format!("/{}s/{}", target.target_type(), target.key()), view::shown_name(name)),
            schedule: event
                .schedule
                .map(|(id, title)| Link::new(format!("/schedules/{id}"), view::shown_name(&title))),
            acts: event.acts,
            reason: now.words(&event.reason),
        }
    }
}

/// What is special about a day.
fn mark(mark: &Mark) -> String {
    match mark {
        Mark::ClockChange(minutes) => {
            let (way, minutes) = if *minutes > 0 { ("forward", *minutes) } else { ("back", -minutes) };
            let amount =
                if minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") };
            format!("Clocks go {way} {amount}")
        }
        Mark::Calendar(titles) => {
            let titles: Vec<String> = titles.iter().map(|title| view::shown_name(title)).collect();
            format!("In the calendar of {}", titles.join(", "))
        }
    }
}

impl Sampled for SimulatePage {
    fn samples() -> Vec<Self> {
        let now = Now::sample();
        let row = |seconds, begins, does, acts, reason: &str| EventRow {
            when: now.plus(seconds),
            begins,
            does,
            target: Link::new("/stacks/0123456789abcdef", "media"),
            schedule: Some(Link::new("/schedules/1", "Nights")),
            acts,
            reason: reason.to_owned(),
        };
        let shell = Shell { here: "schedules", ..Shell::sample() };
        let full = Self {
            groups: vec![Group { label: "Stacks".to_owned(), options: vec![] }],
            picked: false,
            from: "2026-11-27".to_owned(),
            to: "2026-12-04".to_owned(),
            errors: vec![],
            days: vec![Day {
                title: "Friday 27 November 2026".to_owned(),
                marks: vec!["In the calendar of Nights".to_owned()],
                rows: vec![
                    row(3_600, None, Some(("Restart", "rotate-cw")), false, "on a day of its calendar"),
                    row(10_080, Some(Badge::ASLEEP), None, true, "asleep by “Nights” (sleep 23:00-07:00)"),
                ],
            }],
            count: 2,
            left_out: 1,
            more: Some("/simulate?from=2026-11-28".to_owned()),
            shell,
        };
        let empty = Self { days: vec![], count: 0, left_out: 0, more: None, ..full.clone() };
        let errors = vec![FieldError::new("to", "use a time after the start")];
        vec![Self { errors, ..empty.clone() }, Self { picked: true, ..empty.clone() }, empty, full]
    }
}
