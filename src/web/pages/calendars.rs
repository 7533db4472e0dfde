//! Calendars: a list for everyone, a form for admins.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::civil::Date;

use super::actions::{self, Question};
use super::schedules::form::Difference;
use super::{go, html, now};
use crate::app::calendars::{self, Listed};
use crate::app::{Actor, Error, FieldError, Result};
use crate::domain::calendar::{Calendar, CalendarDays, CalendarDraft, CalendarSpec, check, yearly_text};
use crate::domain::ids::CalendarId;
use crate::domain::text::capital;
use crate::web::Web;
use crate::web::auth::{Admin, Caller, Viewer};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::session::Kept;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Link, Now};

/// Days to come that the page of a calendar shows.
const COMING: usize = 12;
/// The part of a long text that stands beside another, in characters.
const BESIDE: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/calendars", Access::VIEWER, index)
        .post("/calendars", Access::ADMIN, create)
        .get("/calendars/new", Access::ADMIN, new)
        .get("/calendars/{id}", Access::VIEWER, show)
        .post("/calendars/{id}", Access::ADMIN, update)
        .get("/calendars/{id}/delete", Access::ADMIN, ask_delete)
        .post("/calendars/{id}/delete", Access::ADMIN, delete)
}

/// A day to come.
#[derive(Clone, Debug)]
pub struct Day {
    /// `2026-12-25`.
    pub iso: String,
    /// `Fri 25 Dec 2026`.
    pub text: String,
    /// `today`, `in 28 days`.
    pub relative: String,
    /// What the calendar's file calls it; may be empty.
    pub name: String,
}

impl Day {
    fn new(date: Date, name: &str, now: &Now) -> Self {
        let today = today(now);
        let midnight = date.to_zoned(now.zone.clone()).map(|at| at.timestamp());
        Self {
            iso: date.to_string(),
            text: date.strftime("%a %-d %b %Y").to_string(),
            relative: match midnight {
                _ if date == today => "today".to_owned(),
                _ if today.tomorrow().is_ok_and(|tomorrow| tomorrow == date) => "tomorrow".to_owned(),
                Ok(at) => now.when(at).relative,
                Err(_) => String::new(),
            },
            name: view::shown_name(name),
        }
    }
}

/// The date where the reader is.
fn today(now: &Now) -> Date {
    now.at.to_zoned(now.zone.clone()).date()
}

/// How many days there are in the next 12 months.
fn year(days: &CalendarDays, now: &Now) -> usize {
    let today = today(now);
    let end = today.saturating_add(jiff::Span::new().years(1));
    days.coming(today).take_while(|date| *date < end).count()
}

/// `14 days`, `No day`.
fn days_text(days: usize) -> String {
    if days == 0 { "No day".to_owned() } else { view::count(days, "day") }
}

/// A calendar as a row shows it.
#[derive(Clone, Debug)]
pub struct CalendarRow {
    pub id: String,
    pub name: String,
    /// Its next day.
    pub next: Option<Day>,
    /// `14 days`.
    pub year: String,
    /// `2 schedules`; empty where none goes by it.
    pub schedules: String,
    /// `2 entries of its file left out`; empty where all of it counts.
    pub left: String,
}

/// `2 entries of its file left out`; empty where all of it counts.
fn left_text(left: usize) -> String {
    match left {
        0 => String::new(),
        1 => "1 entry of its file left out".to_owned(),
        more => format!("{more} entries of its file left out"),
    }
}

impl CalendarRow {
    fn new(listed: &Listed, now: &Now) -> Self {
        Self {
            id: listed.id.to_string(),
            name: view::shown_name(&listed.name),
            next: listed.days.coming(today(now)).next().map(|date| Day::new(date, "", now)),
            year: days_text(year(&listed.days, now)),
            schedules: match listed.schedules {
                0 => String::new(),
                some => view::count(some, "schedule"),
            },
            left: left_text(listed.left),
        }
    }
}

#[derive(Template, Clone, Debug)]
#[template(path = "calendars/index.html")]
pub struct CalendarsPage {
    pub shell: Shell,
    /// The calendars by name.
    pub rows: Vec<CalendarRow>,
}

impl CalendarsPage {
    /// Whether the reader may keep calendars.
    pub fn can_keep(&self) -> bool {
        self.shell.can_administer()
    }
}

async fn index(State(web): State<Web>, caller: Caller<Viewer>, shell: Shell) -> Result<Html<String>> {
    let now = now(&web, &shell);
    let listed = calendars::overview(&web.app, &caller.actor).await?;
    html(&CalendarsPage { shell, rows: listed.iter().map(|one| CalendarRow::new(one, &now)).collect() })
}

/// What the form's fields hold, as text: nothing checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// What to call it.
    pub name: String,
    /// Dates, ranges and days of every year, one a line.
    pub days: String,
    /// The text of a calendar file.
    pub ics: String,
    /// The revision the form was made from.
    pub rev: String,
}

impl Fields {
    fn typed(typed: &Typed) -> Self {
        let text = |name: &str| typed.get(name).to_owned();
        Self { name: text("name"), days: text("days"), ics: text("ics"), rev: text("rev") }
    }

    fn of(calendar: &Calendar) -> Self {
        let CalendarSpec { name, dates, ranges, yearly, ics } = &calendar.spec;
        let dates = dates.iter().map(ToString::to_string);
        let ranges = ranges.iter().map(|(first, last)| format!("{first} to {last}"));
        let yearly = yearly.iter().map(|day| yearly_text(*day));
        Self {
            name: name.clone(),
            days: dates.chain(ranges).chain(yearly).collect::<Vec<_>>().join("\n"),
            ics: ics.clone().unwrap_or_default(),
            rev: calendar.rev.to_string(),
        }
    }

    fn read(&self) -> Read {
        let mut read = Read::default();
        read.draft.name.clone_from(&self.name);
        read.draft.ics = Some(self.ics.clone());
        for (number, line) in self.days.lines().enumerate() {
            for text in line.split([',', ';']).map(str::trim).filter(|text| !text.is_empty()) {
                read.take(number + 1, text);
            }
        }
        read
    }
}

/// The form's fields as the service takes them, with the line that each item stands on.
#[derive(Default)]
struct Read {
    draft: CalendarDraft,
    dates: Vec<usize>,
    ranges: Vec<usize>,
    yearly: Vec<usize>,
    /// What no sense could be made of.
    faults: Vec<FieldError>,
}

impl Read {
    fn take(&mut self, line: usize, text: &str) {
        let dashes = text.matches('-').count();
        if let Some((first, last)) = range(text) {
            self.draft.ranges.push((first.to_owned(), last.to_owned()));
            self.ranges.push(line);
        } else if check::date(text).is_some() || dashes == 2 {
            self.draft.dates.push(text.to_owned());
            self.dates.push(line);
        } else if check::yearly(text).is_some() || dashes == 1 {
            self.draft.yearly.push(text.to_owned());
            self.yearly.push(line);
        } else if self.faults.len() < COMING {
            let shown: String = view::shown_name(text).chars().take(40).collect();
            self.faults.push(FieldError::new(
                "days",
                format!(
                    "line {line}: `{shown}` is no day; write 2026-12-25, 2026-12-24 to 2026-12-31, or 12-25 for every year"
                ),
            ));
        }
    }

    /// The service's faults, told by line.
    fn told(&self, fault: FieldError) -> FieldError {
        let place =
            |field: &str| fault.field.strip_prefix(field)?.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
        let lines = [("dates", &self.dates), ("ranges", &self.ranges), ("yearly", &self.yearly)];
        for (field, lines) in lines {
            if let Some(line) = place(field).and_then(|place: usize| lines.get(place)) {
                return FieldError::new("days", format!("line {line}: {}", fault.message));
            }
            if fault.field == field {
                return FieldError::new("days", fault.message);
            }
        }
        fault
    }
}

/// The two ends of `2026-12-24 to 2026-12-31`, however it is joined.
fn range(text: &str) -> Option<(&str, &str)> {
    [" to ", " until ", " - ", "–", "—", "..", "/"].iter().find_map(|joint| text.split_once(joint))
}

/// What is stored, beside the form.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: String,
    /// `14 days in the next 12 months`.
    pub year: String,
    /// Its next days.
    pub coming: Vec<Day>,
    /// The schedules that go by it.
    pub schedules: Vec<Link>,
    /// What of its file does not count, in sentences.
    pub left: Vec<String>,
    /// How much more that is.
    pub left_more: usize,
}

impl Stored {
    /// `2 entries of its file left out`; empty where all of it counts.
    pub fn left_text(&self) -> String {
        left_text(self.left.len() + self.left_more)
    }
}

#[derive(Template, Clone, Debug)]
#[template(path = "calendars/form.html")]
pub struct CalendarForm {
    pub shell: Shell,
    /// `New calendar`, or its name.
    pub heading: String,
    /// What the fields hold.
    pub f: Fields,
    /// What is wrong with them.
    pub errors: Vec<FieldError>,
    /// On what the reader and somebody else differ, where both changed it.
    pub differences: Vec<Difference>,
    /// What is stored.
    pub stored: Option<Stored>,
}

impl CalendarForm {
    fn new(shell: Shell, f: Fields) -> Self {
        let heading = "New calendar".to_owned();
        Self { shell, heading, f, errors: Vec::new(), differences: Vec::new(), stored: None }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// Whether the reader may keep calendars.
    pub fn can_keep(&self) -> bool {
        self.shell.can_administer()
    }

    /// Whether there is a calendar file, or something wrong with it.
    pub fn has_file(&self) -> bool {
        !self.f.ics.trim().is_empty() || self.error("ics").is_some()
    }

    /// `38 KiB`.
    pub fn file_size(&self) -> String {
        format!("{} KiB", self.f.ics.len().div_ceil(1024))
    }

    /// The same form after somebody else saved: what is typed stays, beside what is stored now.
    fn stale(mut self, stored: &Fields) -> Self {
        let shown = |text: &str| {
            let line = text.lines().collect::<Vec<_>>().join(", ");
            let kept: String = line.chars().take(BESIDE).collect();
            match (line.is_empty(), kept.len() < line.len()) {
                (true, _) => "nothing".to_owned(),
                (_, true) => kept + " …",
                (_, false) => kept,
            }
        };
        let file = |text: &str| match text.lines().count() {
            0 => "none".to_owned(),
            lines => view::count(lines, "line"),
        };
        let fields = [
            ("Name", &self.f.name, &stored.name, shown as fn(&str) -> String),
            ("Days", &self.f.days, &stored.days, shown),
            ("Calendar file", &self.f.ics, &stored.ics, file),
        ];
        self.differences = fields
            .into_iter()
            // Browsers end lines in another way.
            .filter(|(_, yours, theirs, _)| !yours.trim().lines().eq(theirs.trim().lines()))
            .map(|(field, yours, theirs, said)| Difference {
                field,
                yours: said(yours),
                theirs: said(theirs),
            })
            .collect();
        self.f.rev.clone_from(&stored.rev);
        self
    }
}

/// The form around `fields`, beside what is stored.
async fn around(
    web: &Web,
    actor: &Actor,
    shell: Shell,
    fields: Fields,
    calendar: &Calendar,
) -> Result<CalendarForm> {
    let now = now(web, &shell);
    let today = today(&now);
    let dates = calendars::dates(&web.app, actor, calendar).await?;
    let days = dates.days;
    let name = |date: &Date| dates.names.get(date).map_or("", String::as_str);
    let schedules = calendars::users(&web.app, actor, &calendar.id).await?;
    let stored = Stored {
        id: calendar.id.to_string(),
        year: format!("{} in the next 12 months", days_text(year(&days, &now))),
        coming: days.coming(today).take(COMING).map(|date| Day::new(date, name(&date), &now)).collect(),
        schedules: schedules
            .into_iter()
            .map(|(id, title)| Link::new(format!("/schedules/{id}"), view::shown_name(&title)))
            .collect(),
        left: dates.left.told.iter().map(|left| capital(&left.to_string())).collect(),
        left_more: dates.left.more,
    };
    let heading = view::shown_name(&calendar.spec.name);
    Ok(CalendarForm { heading, stored: Some(stored), ..CalendarForm::new(shell, fields) })
}

async fn new(_: Caller<Admin>, Kept(kept): Kept, shell: Shell) -> Result<Html<String>> {
    let fields = kept.map(|typed| Fields::typed(&typed)).unwrap_or_default();
    html(&CalendarForm::new(shell, fields))
}

async fn create(
    State(web): State<Web>,
    caller: Caller<Admin>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let fields = Fields::typed(&typed);
    let read = fields.read();
    match save(&read, calendars::create(&web.app, &caller.actor, &read.draft)).await {
        Ok(calendar) => stored(&web, &caller.actor, &notes, &calendar).await,
        Err(Error::Invalid(errors)) => {
            let form = CalendarForm { errors, ..CalendarForm::new(shell, fields) };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&form)?).into_response())
        }
        Err(other) => Err(other),
    }
}

/// Stores what sense could be made of, where that is all of it; faults are told by line.
async fn save(read: &Read, store: impl Future<Output = Result<Calendar>>) -> Result<Calendar> {
    if !read.faults.is_empty() {
        return Err(Error::Invalid(read.faults.clone()));
    }
    store.await.map_err(|error| match error {
        Error::Invalid(faults) => Error::Invalid(faults.into_iter().map(|fault| read.told(fault)).collect()),
        other => other,
    })
}

async fn stored(web: &Web, actor: &Actor, notes: &Notes, calendar: &Calendar) -> Result<Response> {
    let left = left_text(calendars::dates(&web.app, actor, calendar).await?.left.total());
    let name = view::shown_name(&calendar.spec.name);
    notes
        .leave(match &*left {
            "" => Flash::new("good", format!("“{name}” is stored.")),
            left => Flash::new("warn", format!("“{name}” is stored, {left}.")),
        })
        .await;
    Ok(Redirect::to(&web.link(&format!("/calendars/{}", calendar.id))).into_response())
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(id): Path<String>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Html<String>> {
    let calendar = calendars::get(&web.app, &caller.actor, &CalendarId(id)).await?;
    let fields = kept.map_or_else(|| Fields::of(&calendar), |typed| Fields::typed(&typed));
    html(&around(&web, &caller.actor, shell, fields, &calendar).await?)
}

async fn update(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let id = CalendarId(id);
    let fields = Fields::typed(&typed);
    let read = fields.read();
    let rev = fields.rev.parse().ok();
    let outcome = save(&read, calendars::update(&web.app, &caller.actor, &id, &read.draft, rev)).await;
    let errors = match outcome {
        Ok(calendar) => return stored(&web, &caller.actor, &notes, &calendar).await,
        Err(Error::Invalid(errors)) => Some(errors),
        Err(Error::Stale { .. }) => None,
        Err(other) => return Err(other),
    };
    let calendar = calendars::get(&web.app, &caller.actor, &id).await?;
    let form = around(&web, &caller.actor, shell, fields, &calendar).await?;
    let (status, form) = match errors {
        Some(errors) => (StatusCode::UNPROCESSABLE_ENTITY, CalendarForm { errors, ..form }),
        None => (StatusCode::CONFLICT, form.stale(&Fields::of(&calendar))),
    };
    Ok((status, html(&form)?).into_response())
}

async fn ask_delete(
    State(web): State<Web>,
    caller: Caller<Admin>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let calendar = calendars::deletable(&web.app, &caller.actor, &CalendarId(id)).await?;
    let name = view::shown_name(&calendar.spec.name);
    let question = Question {
        title: format!("Delete “{name}”?"),
        label: "Delete".to_owned(),
        icon: "trash-2",
        harsh: true,
        action: format!("/calendars/{}/delete", calendar.id),
        back: Link::new(format!("/calendars/{}", calendar.id), name),
        text: "No schedule goes by it. The audit log keeps which days it named.".to_owned(),
        rev: Some(calendar.rev),
        ..Question::default()
    };
    actions::asked(shell, &htmx, question)
}

async fn delete(
    State(web): State<Web>,
    caller: Caller<Admin>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
    typed: Typed,
) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    calendars::delete(&web.app, &caller.actor, &CalendarId(id), rev).await?;
    notes.leave(Flash::new("good", "The calendar is deleted.")).await;
    Ok(go(&web, &htmx, "/calendars"))
}
