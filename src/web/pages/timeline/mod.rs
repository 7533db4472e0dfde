//! The timeline: what was and what is to come, as a day, a week, a month or a list (ui 4.8).
//!
//! The list is the same without a picture. Each view is one region, drawn anew at each minute and after each run.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan};

use super::schedules::form::{Group, targets};
use super::{html, now, target_of};
use crate::app::stacks::{self, Overview};
use crate::app::timeline::{self as service, Look, Wanted};
use crate::app::{Error, FieldError, Result, zone};
use crate::domain::target::Target;
use crate::domain::timeline::Day;
use crate::domain::user::WeekStart;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Link, Now};

pub mod agenda;
pub mod day;
pub mod month;
pub mod slots;
pub mod week;

use agenda::Agenda;
use day::DayView;
use month::MonthView;
use slots::Slots;
use week::WeekView;

/// Days of the list where its end is not said.
const LISTED: i64 = 7;

pub(super) fn routes() -> Routes {
    Routes::new().get("/timeline", Access::VIEWER, index).get("/simulate", Access::VIEWER, moved)
}

/// How time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A band for each target.
    Day,
    /// How much happens in each hour.
    Week,
    /// How much happens on each day.
    Month,
    /// A list.
    Agenda,
}

impl View {
    /// All of them: the word in the URL, the word on the page.
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Day, "day", "Day"),
        (Self::Week, "week", "Week"),
        (Self::Month, "month", "Month"),
        (Self::Agenda, "agenda", "Agenda"),
    ];

    /// The one that is asked for; where none is, the list on a phone and the day elsewhere.
    fn of(word: &str, headers: &HeaderMap) -> Self {
        let found = Self::ALL.into_iter().find(|(_, name, _)| *name == word);
        let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        // What browsers on phones have in common, and those on tablets and desks lack.
        let is_phone = agent.is_some_and(|agent| agent.contains("Mobi"));
        found.map_or(if is_phone { Self::Agenda } else { Self::Day }, |(view, ..)| view)
    }

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(view, ..)| *view == self).map_or("day", |(_, word, _)| word)
    }

    /// The first date shown, and the first not shown, around a date.
    fn dates(self, date: Date, start: WeekStart) -> (Date, Date) {
        let after = |date: Date, days: i64| date.saturating_add(days.days());
        match self {
            Self::Day => (date, after(date, 1)),
            Self::Week => (start.week_of(date), after(start.week_of(date), 7)),
            Self::Month => {
                let last = start.week_of(date.last_of_month());
                (start.week_of(date.first_of_month()), after(last, 7))
            }
            Self::Agenda => (date, after(date, LISTED)),
        }
    }

    /// What is shown, as its heading.
    fn title(self, date: Date, first: Date, beyond: Date) -> String {
        let last = beyond.yesterday().unwrap_or(first);
        match self {
            Self::Day => date.strftime("%A %-d %B %Y").to_string(),
            Self::Month => date.strftime("%B %Y").to_string(),
            _ if first == last => first.strftime("%A %-d %B %Y").to_string(),
            _ if first.month() == last.month() && first.year() == last.year() => {
                format!("{} – {}", first.strftime("%-d"), last.strftime("%-d %B %Y"))
            }
            _ => format!("{} – {}", first.strftime("%-d %b"), last.strftime("%-d %b %Y")),
        }
    }
}

/// A way of showing time.
#[derive(Clone, Debug)]
pub struct Tab {
    /// It, with what else is chosen.
    pub link: Link,
    /// It is the one.
    pub chosen: bool,
}

#[derive(Template, Clone, Debug)]
#[template(path = "timeline/index.html", blocks = ["region"])]
pub struct TimelinePage {
    pub shell: Shell,
    /// `day`, `week`, `month`, `agenda`.
    pub view: &'static str,
    /// The ways of showing it.
    pub tabs: Vec<Tab>,
    /// What is shown: `Friday 27 November 2026`.
    pub title: String,
    /// The stretch before.
    pub earlier: String,
    /// The stretch after.
    pub later: String,
    /// The stretch that holds today; `None` where this is it.
    pub today: Option<String>,
    /// What can be looked at.
    pub groups: Vec<Group>,
    /// Something is picked among them.
    pub picked: bool,
    /// The day that is shown, or the first, as typed.
    pub date: String,
    /// The last day of the list, as typed.
    pub to: String,
    /// What is wrong with what was typed.
    pub errors: Vec<FieldError>,
    /// Schedules whose text nobody understands, with what is wrong.
    pub unreadable: Vec<(Link, String)>,
    /// Why it is not all there.
    pub cut: Option<String>,
    /// The page's own address, where it changes as time goes on.
    pub live: Option<String>,
    /// One of these four is there, unless something is wrong.
    pub day: Option<DayView>,
    /// See `day`.
    pub week: Option<WeekView>,
    /// See `day`.
    pub month: Option<MonthView>,
    /// See `day`.
    pub agenda: Option<Agenda>,
}

impl TimelinePage {
    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// What the URL asks for.
struct Asked {
    view: View,
    date: Date,
    /// The first and the first not shown.
    dates: (Date, Date),
    /// Where the list goes on in the middle of a day.
    from: Option<Timestamp>,
    /// `stack/KEY` or `container/KEY`; empty = everything.
    picked: String,
    errors: Vec<FieldError>,
}

impl Asked {
    fn of(typed: &Typed, headers: &HeaderMap, now: &Now) -> Self {
        let view = View::of(typed.get("view"), headers);
        let mut errors = Vec::new();
        let mut date_of = |field: &str| {
            let text = typed.filled(field)?.trim();
            let date = text.parse::<Date>().ok();
            if date.is_none() {
                errors.push(FieldError::new(field, "use a date such as 2026-12-24"));
            }
            date
        };
        let from = typed.filled("from").and_then(|text| text.parse::<Timestamp>().ok());
        let today = now.at.to_zoned(now.zone.clone()).date();
        let from_date = from.map(|at| at.to_zoned(now.zone.clone()).date());
        let date = date_of("date").or(from_date).unwrap_or(today);
        let mut dates = view.dates(date, now.habits.week_start);
        if view == View::Agenda
            && let Some(to) = date_of("to")
        {
            dates.1 = to.tomorrow().unwrap_or(to);
            if to < date {
                errors.push(FieldError::new("to", "use a day that is not before the first"));
            }
        }
        Self { view, date, dates, from, picked: typed.get("target").to_owned(), errors }
    }

    /// The address of a view of a date, with what is picked.
    fn href(&self, view: View, date: Date) -> String {
        let mut query = vec![("view", view.word().to_owned()), ("date", date.to_string())];
        let days = self.dates.1.since(self.dates.0).map_or(LISTED, |span| i64::from(span.get_days()));
        if view == View::Agenda && self.view == View::Agenda && days != LISTED {
            query.push(("to", date.saturating_add((days - 1).days()).to_string()));
        }
        if !self.picked.is_empty() {
            query.push(("target", self.picked.clone()));
        }
        format!("/timeline?{}", serde_urlencoded::to_string(query).unwrap_or_default())
    }

    /// The stretch so many stretches later.
    fn shifted(&self, by: i64) -> String {
        let date = match self.view {
            View::Month => self.date.first_of_month().saturating_add(by.months()),
            _ => {
                let days = self.dates.1.since(self.dates.0).map_or(1, |span| i64::from(span.get_days()));
                self.date.saturating_add((by * days.max(1)).days())
            }
        };
        self.href(self.view, date)
    }

    /// The instants of it.
    fn stretch(&self, now: &Now) -> Option<(Timestamp, Timestamp)> {
        let start = |date| Some(Day::of(date, &now.zone)?.start);
        let (first, beyond) = (start(self.dates.0)?, start(self.dates.1)?);
        Some((self.from.unwrap_or(first).max(first), beyond))
    }
}

async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Query(fields): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    htmx: Htmx,
    shell: Shell,
) -> Result<Response> {
    web.previews.admit(&caller.user().id)?;
    let now = now(&web, &shell);
    let asked = Asked::of(&Typed::of(fields), &headers, &now);
    let overview = stacks::overview(&web.app, &caller.actor).await?;
    let mut page = page(shell, &asked, &overview, &now);
    let target = match target_of(&web.app, &asked.picked) {
        Ok(target) => target,
        Err(Error::NotFound { .. }) => {
            page.errors.push(FieldError::new("target", "this is not there now; pick another one"));
            None
        }
        Err(other) => return Err(other),
    };
    if page.errors.is_empty() {
        match fill(&web, &caller, &mut page, &asked, target, &overview, &now).await {
            Ok(()) => {}
            Err(Error::Invalid(errors)) => {
                let own = |error: FieldError| {
                    let known = matches!(error.field.as_str(), "date" | "to" | "target");
                    let known = known && (error.field != "to" || asked.view == View::Agenda);
                    FieldError { field: if known { error.field } else { "date".to_owned() }, ..error }
                };
                page.errors = errors.into_iter().map(own).collect();
            }
            Err(other) => return Err(other),
        }
    }
    if !page.errors.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response());
    }
    let shown = if htmx.partial { html(&page.as_region())? } else { html(&page)? };
    Ok(shown.into_response())
}

/// The page without what happens.
fn page(shell: Shell, asked: &Asked, overview: &Overview, now: &Now) -> TimelinePage {
    let today = now.at.to_zoned(now.zone.clone()).date();
    let (first, beyond) = asked.dates;
    let shows_today = first <= today && today < beyond;
    let shows_today = shows_today && (asked.view != View::Month || today.month() == asked.date.month());
    TimelinePage {
        view: asked.view.word(),
        tabs: View::ALL
            .into_iter()
            .map(|(view, _, label)| Tab {
                link: Link::new(asked.href(view, asked.date), label),
                chosen: view == asked.view,
            })
            .collect(),
        title: asked.view.title(asked.date, first, beyond),
        earlier: asked.shifted(-1),
        later: asked.shifted(1),
        today: (!shows_today).then(|| asked.href(asked.view, today)),
        groups: targets(overview, &asked.picked, None),
        picked: !asked.picked.is_empty(),
        date: asked.date.to_string(),
        to: beyond.yesterday().unwrap_or(first).to_string(),
        errors: asked.errors.clone(),
        unreadable: Vec::new(),
        cut: None,
        live: (beyond > today).then(|| asked.href(asked.view, asked.date)),
        day: None,
        week: None,
        month: None,
        agenda: None,
        shell,
    }
}

/// Looks what happens, and shows it.
async fn fill(
    web: &Web,
    caller: &Caller<Viewer>,
    page: &mut TimelinePage,
    asked: &Asked,
    target: Option<Target>,
    overview: &Overview,
    now: &Now,
) -> Result<()> {
    let Some((from, until)) = asked.stretch(now) else {
        return Err(Error::field("date", "this is too far away"));
    };
    let look = service::look(&web.app, &caller.actor, &Wanted { from, until, target }).await?;
    let default_zone = zone::default_zone(&web.app).await?.zone;
    let slots = Slots {
        base: page.shell.base.clone(),
        zone: default_zone,
        picked: asked.picked.clone(),
        can_operate: page.shell.can_operate(),
    };
    page.unreadable = look
        .unreadable
        .iter()
        .map(|one| {
            (Link::new(format!("/schedules/{}", one.id), view::shown_name(&one.title)), one.fault.clone())
        })
        .collect();
    page.cut = cut(&look, now);
    match asked.view {
        View::Day => {
            let day =
                Day::of(asked.date, &now.zone).ok_or_else(|| Error::field("date", "this is too far away"))?;
            let known = day::known(&web.app, &caller.actor, &look, day, now).await?;
            page.day = Some(DayView::new(&look, &known, day, overview, &slots, now));
        }
        View::Week => page.week = Some(WeekView::new(&look, asked.dates.0, &slots, now)),
        View::Month => {
            page.month =
                Some(MonthView::new(&look, asked.date, asked.dates, |date| asked.href(View::Day, date), now));
        }
        View::Agenda => {
            let agenda = Agenda::new(look, until, &asked.picked, &page.to, now);
            page.cut = page.cut.take().filter(|_| agenda.more.is_none());
            page.agenda = Some(agenda);
        }
    }
    Ok(())
}

/// Why not everything is there.
fn cut(look: &Look, now: &Now) -> Option<String> {
    let cut = look.foretold.as_ref().and_then(|foretold| foretold.simulation.cut);
    let since = look
        .runs_since
        .map(|at| format!("Only runs since {} are shown: there are too many.", now.when(at).short));
    cut.map(|at| {
        format!(
            "What comes after {} is not shown: there is too much. Look at one target, or at fewer days.",
            now.when(at).short
        )
    })
    .or(since)
}

/// Where "Look ahead" was.
async fn moved(
    State(web): State<Web>,
    _: Caller<Viewer>,
    Query(fields): Query<Vec<(String, String)>>,
) -> Redirect {
    let typed = Typed::of(fields);
    let mut query = vec![("view", "agenda")];
    for (old, new) in [("from", "date"), ("to", "to"), ("target", "target")] {
        query.extend(typed.filled(old).map(|value| (new, value)));
    }
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    Redirect::to(&web.link(&format!("/timeline?{query}")))
}

/// The days of the week as a calendar heads them.
pub(super) const WEEKDAYS: [(Weekday, &str, &str); 7] = [
    (Weekday::Monday, "Mon", "Monday"),
    (Weekday::Tuesday, "Tue", "Tuesday"),
    (Weekday::Wednesday, "Wed", "Wednesday"),
    (Weekday::Thursday, "Thu", "Thursday"),
    (Weekday::Friday, "Fri", "Friday"),
    (Weekday::Saturday, "Sat", "Saturday"),
    (Weekday::Sunday, "Sun", "Sunday"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn each_view_shows_whole_days_around_its_date() {
        for (view, first, beyond, title) in [
            (View::Day, "2026-11-25", "2026-11-26", "Wednesday 25 November 2026"),
            (View::Week, "2026-11-23", "2026-11-30", "23 – 29 November 2026"),
            (View::Month, "2026-10-26", "2026-12-07", "November 2026"),
            (View::Agenda, "2026-11-25", "2026-12-02", "25 Nov – 1 Dec 2026"),
        ] {
            let dates = view.dates(date("2026-11-25"), WeekStart::Monday);
            assert_eq!(dates, (date(first), date(beyond)), "{view:?}");
            assert_eq!(view.title(date("2026-11-25"), dates.0, dates.1), title);
        }
        let sunday = |view: View| view.dates(date("2026-11-25"), WeekStart::Sunday);
        assert_eq!(sunday(View::Week), (date("2026-11-22"), date("2026-11-29")));
        assert_eq!(sunday(View::Month), (date("2026-11-01"), date("2026-12-06")));
    }

    #[test]
    fn a_phone_begins_with_the_list() {
        let view = |word: &str, agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, agent.parse().expect("a header"));
            View::of(word, &headers)
        };
        let phone =
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36";
        assert_eq!(view("", phone), View::Agenda);
        assert_eq!(view("week", phone), View::Week);
        assert_eq!(view("", "Mozilla/5.0 (X11; Linux x86_64)"), View::Day);
        assert_eq!(View::of("nonsense", &HeaderMap::new()), View::Day);
    }
}
