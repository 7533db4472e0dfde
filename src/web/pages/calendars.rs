//! The pages of calendars: a list for all users, a form for admins.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;

use super::actions::Question;
use super::choices::Difference;
use crate::app::calendars::{self, Dates, Listed};
use crate::app::{Error, FieldError, Result};
use crate::domain::calendar::{Calendar, CalendarDays, CalendarDraft, CalendarSpec, check, yearly_text};
use crate::domain::ids::{CalendarId, ScheduleId};
use crate::web::auth::{Admin, Needs, Viewer};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Link};

/// The maximum number of coming days on the page of a calendar.
const COMING: usize = 12;
/// The maximum length of a value in the comparison of two versions, in characters.
const MAX_SHOWN: usize = 200;

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

/// The number of days of a calendar in the next 12 months.
fn year(days: &CalendarDays, shell: &Shell) -> usize {
    let today = shell.now.today();
    let end = today.saturating_add(jiff::Span::new().years(1));
    days.coming(today).take_while(|date| *date < end).count()
}

/// `2 entries of its file left out`; `None` if all entries count.
fn left_text(left: usize) -> Option<String> {
    match left {
        0 => None,
        1 => Some("1 entry of its file left out".to_owned()),
        more => Some(format!("{more} entries of its file left out")),
    }
}

#[derive(Template)]
#[template(path = "calendars/index.html")]
struct CalendarsPage<'a> {
    shell: &'a Shell,
    /// The calendars, sorted by name.
    rows: Vec<Listed>,
}

async fn index(page: Page<Viewer>) -> Result<Response> {
    let rows = calendars::overview(&page.app, &page.actor).await?;
    page.render(&CalendarsPage { shell: &page.shell, rows })
}

/// The stored calendar as fields of the form; the days are one per line.
fn stored(calendar: &Calendar) -> Typed {
    let CalendarSpec { name, dates, ranges, yearly, ics } = &calendar.spec;
    let dates = dates.iter().map(ToString::to_string);
    let ranges = ranges.iter().map(|(first, last)| format!("{first} to {last}"));
    let yearly = yearly.iter().map(|day| yearly_text(*day));
    Typed::of([
        ("name", name.clone()),
        ("days", dates.chain(ranges).chain(yearly).collect::<Vec<_>>().join("\n")),
        ("ics", ics.clone().unwrap_or_default()),
        ("rev", calendar.rev.to_string()),
    ])
}

/// The fields of the form, parsed into the draft that the service takes.
#[derive(Default)]
struct Read {
    draft: CalendarDraft,
    /// The name of each item in the errors of the service, with the number of its line in the form.
    items: Vec<(String, usize)>,
    /// The errors of lines that cannot be parsed.
    faults: Vec<FieldError>,
}

impl Read {
    fn of(typed: &Typed) -> Self {
        let mut read = Self::default();
        typed.get("name").clone_into(&mut read.draft.name);
        read.draft.ics = Some(typed.get("ics").to_owned());
        for (number, line) in typed.get("days").lines().enumerate() {
            for text in line.split([',', ';']).map(str::trim).filter(|text| !text.is_empty()) {
                read.take(number + 1, text);
            }
        }
        read
    }

    fn take(&mut self, line: usize, text: &str) {
        let dashes = text.matches('-').count();
        let CalendarDraft { dates, ranges, yearly, .. } = &mut self.draft;
        let (field, place) = if let Some((first, last)) = range(text) {
            ranges.push((first.to_owned(), last.to_owned()));
            ("ranges", ranges.len() - 1)
        } else if check::date(text).is_some() || dashes == 2 {
            dates.push(text.to_owned());
            ("dates", dates.len() - 1)
        } else if check::yearly(text).is_some() || dashes == 1 {
            yearly.push(text.to_owned());
            ("yearly", yearly.len() - 1)
        } else {
            if self.faults.len() < COMING {
                let shown: String = view::shown_name(text).chars().take(40).collect();
                let forms = "write 2026-12-25, 2026-12-24 to 2026-12-31, or 12-25 for every year";
                let fault = format!("line {line}: `{shown}` is no day; {forms}");
                self.faults.push(FieldError::new("days", fault));
            }
            return;
        };
        self.items.push((format!("{field}[{place}]"), line));
    }

    /// An error of the service, changed to name the line of the form.
    fn by_line(&self, fault: FieldError) -> FieldError {
        let line = self.items.iter().find(|(item, _)| *item == fault.field).map(|(_, line)| line);
        match (line, fault.field.as_str()) {
            (Some(line), _) => FieldError::new("days", format!("line {line}: {}", fault.message)),
            (None, "dates" | "ranges" | "yearly") => FieldError::new("days", fault.message),
            _ => fault,
        }
    }
}

/// First and last day of a range such as `2026-12-24 to 2026-12-31`, with any of several separators.
fn range(text: &str) -> Option<(&str, &str)> {
    [" to ", " until ", " - ", "–", "—", "..", "/"].iter().find_map(|joint| text.split_once(joint))
}

/// The stored calendar, which the page shows beside the form.
struct StoredCalendar<'a> {
    calendar: &'a Calendar,
    dates: Dates,
    /// The schedules that use the calendar.
    schedules: Vec<(ScheduleId, String)>,
}

impl StoredCalendar<'_> {
    fn called(&self, date: &Date) -> Option<&str> {
        self.dates.names.get(date).map(String::as_str).filter(|name| !name.is_empty())
    }
}

#[derive(Template)]
#[template(path = "calendars/form.html")]
struct CalendarForm<'a> {
    shell: &'a Shell,
    form: Refill,
    /// The fields in which the form and the stored calendar differ, if both were changed.
    differences: Vec<Difference>,
    stored: Option<StoredCalendar<'a>>,
}

impl<'a> CalendarForm<'a> {
    fn new(shell: &'a Shell, form: Refill) -> Self {
        Self { shell, form, differences: Vec::new(), stored: None }
    }

    /// The form with the stored calendar beside it.
    async fn around<R: Needs>(page: &'a Page<R>, form: Refill, calendar: &'a Calendar) -> Result<Self> {
        let dates = calendars::dates(&page.app, &page.actor, calendar).await?;
        let schedules = calendars::users(&page.app, &page.actor, &calendar.id).await?;
        let stored = Some(StoredCalendar { calendar, dates, schedules });
        Ok(Self { stored, ..Self::new(&page.shell, form) })
    }

    /// Whether there is a calendar file, or an error about one.
    fn has_file(&self) -> bool {
        !self.form.value("ics").trim().is_empty() || self.form.error("ics").is_some()
    }

    fn file_kib(&self) -> usize {
        self.form.value("ics").len().div_ceil(1024)
    }

    /// The form after another user has saved the calendar: the typed values stay, with the differences to the stored
    /// ones.
    fn stale(mut self, stored: &Typed) -> Self {
        let shown = |name: &str, text: &str| match (name, text.lines().count()) {
            ("ics", 0) => "none".to_owned(),
            ("ics", lines) => view::count(lines, "line"),
            _ => {
                let line = text.lines().collect::<Vec<_>>().join(", ");
                let begin: String = line.chars().take(MAX_SHOWN).collect();
                match (line.is_empty(), begin.len() < line.len()) {
                    (true, _) => "nothing".to_owned(),
                    (_, true) => begin + " …",
                    (_, false) => begin,
                }
            }
        };
        for (field, name) in [("Name", "name"), ("Days", "days"), ("Calendar file", "ics")] {
            let (yours, theirs) = (self.form.value(name), stored.get(name));
            // Browsers send other line endings.
            if !yours.trim().lines().eq(theirs.trim().lines()) {
                let (yours, theirs) = (shown(name, yours), shown(name, theirs));
                self.differences.push(Difference { field, yours, theirs });
            }
        }
        self.form.typed.set("rev", stored.get("rev"));
        self
    }
}

async fn new(page: Page<Admin>, RestoredForm(restored): RestoredForm) -> Result<Response> {
    page.render(&CalendarForm::new(&page.shell, Refill::fresh(restored.unwrap_or_default())))
}

async fn create(page: Page<Admin>, typed: Typed) -> Result<Response> {
    store(&page, None, typed).await
}

async fn update(page: Page<Admin>, Path(id): Path<String>, typed: Typed) -> Result<Response> {
    store(&page, Some(CalendarId(id)), typed).await
}

/// Stores the form if all lines can be parsed; errors name the line.
async fn store(page: &Page<Admin>, id: Option<CalendarId>, typed: Typed) -> Result<Response> {
    let (app, actor, read) = (&page.app, &page.actor, Read::of(&typed));
    let rev = typed.get("rev").parse().ok();
    let outcome = match &id {
        _ if !read.faults.is_empty() => Err(Error::Invalid(read.faults.clone())),
        None => calendars::create(app, actor, &read.draft).await,
        Some(id) => calendars::update(app, actor, id, &read.draft, rev).await,
    };
    let errors: Vec<FieldError> = match outcome {
        Ok(calendar) => return saved(page, &calendar).await,
        Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| read.by_line(fault)).collect(),
        Err(Error::Stale { .. }) => Vec::new(),
        Err(other) => return Err(other),
    };
    let is_stale = errors.is_empty();
    let form = Refill::wrong(typed, errors);
    let Some(id) = id else { return page.refuse(&CalendarForm::new(&page.shell, form)) };
    let calendar = calendars::get(app, actor, &id).await?;
    let form = CalendarForm::around(page, form, &calendar).await?;
    if is_stale {
        return page.answer(StatusCode::CONFLICT, &form.stale(&stored(&calendar)));
    }
    page.refuse(&form)
}

async fn saved(page: &Page<Admin>, calendar: &Calendar) -> Result<Response> {
    let left = left_text(calendars::dates(&page.app, &page.actor, calendar).await?.left.total());
    let name = view::shown_name(&calendar.spec.name);
    let message = match left {
        None => Flash::new("good", format!("“{name}” is stored.")),
        Some(left) => Flash::new("warn", format!("“{name}” is stored, {left}.")),
    };
    Ok(page.redirect_with(&format!("/calendars/{}", calendar.id), message).await)
}

async fn show(
    page: Page<Viewer>,
    Path(id): Path<String>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    let calendar = calendars::get(&page.app, &page.actor, &CalendarId(id)).await?;
    let form = Refill::fresh(restored.unwrap_or_else(|| stored(&calendar)));
    page.render(&CalendarForm::around(&page, form, &calendar).await?)
}

async fn ask_delete(page: Page<Admin>, Path(id): Path<String>) -> Result<Response> {
    let calendar = calendars::deletable(&page.app, &page.actor, &CalendarId(id)).await?;
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
    question.ask(&page)
}

async fn delete(page: Page<Admin>, Path(id): Path<String>, typed: Typed) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    calendars::delete(&page.app, &page.actor, &CalendarId(id), rev).await?;
    Ok(page.redirect_with("/calendars", Flash::new("good", "The calendar is deleted.")).await)
}
