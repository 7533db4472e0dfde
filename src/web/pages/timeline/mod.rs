//! The timeline: what was and what is to come, as a day, a week, a month or a list (ui 4.8).
//!
//! The list is the same without a picture. Each view is one region, drawn anew at each minute and after each run.

use askama::Template;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::response::{Redirect, Response};
use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan};

use super::choices::{Group, targets};
use super::target_of;
use crate::app::stacks::{self, Overview};
use crate::app::timeline::{self as service, TimelineData, TimelineFilter, Unreadable};
use crate::app::{Error, FieldError, Result, zone};
use crate::domain::target::Target;
use crate::domain::timeline::Day;
use crate::domain::user::WeekStart;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::Now;

mod agenda;
mod day;
mod month;
mod slots;
mod week;

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
enum View {
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

#[derive(Template)]
#[template(path = "timeline/index.html", blocks = ["region"])]
struct TimelinePage<'a> {
    shell: &'a Shell,
    asked: &'a TimelineQuery,
    /// What can be looked at.
    groups: Vec<Group>,
    /// What is wrong with what was typed.
    errors: Vec<FieldError>,
    /// Schedules whose text nobody understands, with what is wrong.
    unreadable: Vec<Unreadable>,
    /// Why it is not all there.
    cut: Option<String>,
    /// One of these four is there, unless something is wrong.
    day: Option<DayView>,
    /// See `day`.
    week: Option<WeekView>,
    /// See `day`.
    month: Option<MonthView>,
    /// See `day`.
    agenda: Option<Agenda>,
}

impl<'a> TimelinePage<'a> {
    /// The page without what happens.
    fn new(shell: &'a Shell, asked: &'a TimelineQuery, overview: &Overview) -> Self {
        Self {
            groups: targets(overview, &asked.picked, None),
            errors: asked.errors.clone(),
            shell,
            asked,
            unreadable: Vec::new(),
            cut: None,
            day: None,
            week: None,
            month: None,
            agenda: None,
        }
    }

    /// The ways of showing it: the address, the word, and whether it is the one.
    fn tabs(&self) -> [(String, &'static str, bool); 4] {
        View::ALL
            .map(|(view, _, words)| (self.asked.href(view, self.asked.date), words, view == self.asked.view))
    }

    fn title(&self) -> String {
        self.asked.view.title(self.asked.date, self.asked.dates.0, self.asked.dates.1)
    }

    /// The stretch that holds today; none where this is it.
    fn today(&self) -> Option<String> {
        let (asked, today) = (self.asked, self.shell.now.today());
        let is_here = asked.dates.0 <= today && today < asked.dates.1;
        let is_here = is_here && (asked.view != View::Month || today.month() == asked.date.month());
        (!is_here).then(|| asked.href(asked.view, today))
    }

    /// The page's own address, where it changes as time goes on.
    fn live(&self) -> Option<String> {
        let asked = self.asked;
        (asked.dates.1 > self.shell.now.today()).then(|| asked.href(asked.view, asked.date))
    }

    /// What is wrong with a field.
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// What the URL asks for.
struct TimelineQuery {
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

impl TimelineQuery {
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

    /// The last date shown.
    fn last(&self) -> Date {
        self.dates.1.yesterday().unwrap_or(self.dates.0)
    }

    fn is_agenda(&self) -> bool {
        self.view == View::Agenda
    }

    fn earlier(&self) -> String {
        self.shifted(-1)
    }

    fn later(&self) -> String {
        self.shifted(1)
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
    page: Page<Viewer>,
    Query(fields): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response> {
    page.web.previews.admit(&page.caller.user().id)?;
    let asked = TimelineQuery::of(&Typed::of(fields), &headers, &page.shell.now);
    let overview = stacks::overview(&page.app, &page.actor).await?;
    let mut timeline = TimelinePage::new(&page.shell, &asked, &overview);
    let target = match target_of(&page.app, &asked.picked) {
        Ok(target) => target,
        Err(Error::NotFound { .. }) => {
            timeline.errors.push(FieldError::new("target", "this is not there now; pick another one"));
            None
        }
        Err(other) => return Err(other),
    };
    if timeline.errors.is_empty() {
        match fill(&page, &mut timeline, &asked, target, &overview).await {
            Ok(()) => {}
            Err(Error::Invalid(errors)) => {
                let own = |error: FieldError| {
                    let known = matches!(error.field.as_str(), "date" | "to" | "target");
                    let known = known && (error.field != "to" || asked.view == View::Agenda);
                    FieldError { field: if known { error.field } else { "date".to_owned() }, ..error }
                };
                timeline.errors = errors.into_iter().map(own).collect();
            }
            Err(other) => return Err(other),
        }
    }
    if !timeline.errors.is_empty() {
        return page.refuse(&timeline);
    }
    page.render_live(&timeline, &timeline.as_region())
}

/// Looks what happens, and shows it.
async fn fill(
    page: &Page<Viewer>,
    timeline: &mut TimelinePage<'_>,
    asked: &TimelineQuery,
    target: Option<Target>,
    overview: &Overview,
) -> Result<()> {
    let Page { app, actor, shell, .. } = page;
    let now = &shell.now;
    let Some((from, until)) = asked.stretch(now) else {
        return Err(Error::field("date", "this is too far away"));
    };
    let look = service::look(app, actor, &TimelineFilter { from, until, target }).await?;
    let default_zone = zone::default_zone(app).await?.zone;
    let slots = Slots {
        base: shell.base.clone(),
        zone: default_zone,
        picked: asked.picked.clone(),
        can_operate: shell.can_operate(),
    };
    timeline.unreadable.clone_from(&look.unreadable);
    timeline.cut = cut(&look, now);
    match asked.view {
        View::Day => {
            let day =
                Day::of(asked.date, &now.zone).ok_or_else(|| Error::field("date", "this is too far away"))?;
            let known = day::known(app, actor, &look, day, now).await?;
            timeline.day = Some(DayView::new(&look, &known, day, overview, &slots, now));
        }
        View::Week => timeline.week = Some(WeekView::new(&look, asked.dates.0, &slots, now)),
        View::Month => {
            timeline.month =
                Some(MonthView::new(&look, asked.date, asked.dates, |date| asked.href(View::Day, date), now));
        }
        View::Agenda => {
            let agenda = Agenda::new(look, until, &asked.picked, &asked.last().to_string(), now);
            timeline.cut = timeline.cut.take().filter(|_| agenda.more.is_none());
            timeline.agenda = Some(agenda);
        }
    }
    Ok(())
}

/// Why not everything is there.
fn cut(look: &TimelineData, now: &Now) -> Option<String> {
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
async fn moved(page: Page<Viewer>, Query(fields): Query<Vec<(String, String)>>) -> Redirect {
    let typed = Typed::of(fields);
    let mut query = vec![("view", "agenda")];
    for (old, new) in [("from", "date"), ("to", "to"), ("target", "target")] {
        query.extend(typed.filled(old).map(|value| (new, value)));
    }
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    Redirect::to(&page.web.link(&format!("/timeline?{query}")))
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
