//! The timeline: past runs and coming events as a day, a week, a month or an agenda (ui 4.8).
//!
//! The agenda has the same content as text. Each view is one region of the page, which refreshes itself every minute
//! and after each run.

use askama::Template;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::response::{Redirect, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::choices::{Group, targets};
use super::target_of;
use crate::app::stacks;
use crate::app::timeline::{self as service, TimelineData, TimelineFilter};
use crate::app::{Error, FieldError, Result, zone};
use crate::domain::run::{Run, RunState};
use crate::domain::target::Target;
use crate::domain::timeline::{self, Day};
use crate::domain::user::WeekStart;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Now};

mod agenda;
mod day;
mod month;
mod week;

use agenda::Agenda;
use day::DayView;
use month::MonthView;
use week::WeekView;

/// The number of days in the agenda if the URL has no last day.
const LISTED: i64 = 7;

pub(super) fn routes() -> Routes {
    Routes::new().get("/timeline", Access::VIEWER, index).get("/simulate", Access::VIEWER, moved)
}

/// The view of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::AsRefStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
enum View {
    /// A lane for each target.
    Day,
    /// The number of changes in each hour.
    Week,
    /// The number of changes on each day.
    Month,
    /// A list of the changes.
    Agenda,
}

impl View {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The view that the URL names. Without a valid name the default is the agenda on a phone and the day elsewhere.
    fn of(word: &str, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        // Browsers on phones send this word; those on tablets and desktops do not.
        let is_phone = agent.is_some_and(|agent| agent.contains("Mobi"));
        word.parse().unwrap_or(if is_phone { Self::Agenda } else { Self::Day })
    }

    /// The first date of the view around `date`, and the date after its last.
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

    /// The heading of the view.
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

/// The query of the URL.
struct TimelineQuery {
    list: ListQuery,
    view: View,
    date: Date,
    /// The first date, and the date after the last.
    dates: (Date, Date),
    /// The instant at which a further page of the agenda begins.
    from: Option<Timestamp>,
}

impl TimelineQuery {
    fn of(typed: Typed, headers: &HeaderMap, now: &Now) -> Self {
        let mut list = ListQuery::new("/timeline", &["view", "date", "to", "host", "group", "target"], typed);
        let view = View::of(list.get("view"), headers);
        let mut date_of = |field: &str| {
            let date = list.text(field)?.parse::<Date>();
            if date.is_err() {
                list.errors.push(FieldError::new(field, "use a date such as 2026-12-24"));
            }
            date.ok()
        };
        let date = date_of("date");
        let to = if view == View::Agenda { date_of("to") } else { None };
        let from = list.text("from").and_then(|text| text.parse::<Timestamp>().ok());
        let from_date = from.map(|at| at.to_zoned(now.zone.clone()).date());
        let date = date.or(from_date).unwrap_or_else(|| now.today());
        let mut dates = view.dates(date, now.habits.week_start);
        if let Some(to) = to {
            dates.1 = to.tomorrow().unwrap_or(to);
            if to < date {
                list.errors.push(FieldError::new("to", "use a day that is not before the first"));
            }
        }
        Self { list, view, date, dates, from }
    }

    /// The selected target as `stack/KEY` or `container/KEY`. Empty for all targets.
    fn picked(&self) -> &str {
        self.list.get("target")
    }

    fn days(&self) -> i64 {
        self.dates.1.since(self.dates.0).map_or(1, |span| i64::from(span.get_days()))
    }

    /// The URL of a view of a date, with the same target.
    fn href(&self, view: View, date: Date) -> String {
        let lists = view == View::Agenda && self.view == View::Agenda && self.days() != LISTED;
        let to = lists.then(|| date.saturating_add((self.days() - 1).days()).to_string());
        let to = to.unwrap_or_default();
        self.list.with(&[("view", view.as_ref()), ("date", &date.to_string()), ("to", &to)])
    }

    /// The URL of the agenda of one day.
    fn list_of(&self, date: Date) -> String {
        let date = date.to_string();
        self.list.with(&[("view", "agenda"), ("date", &date), ("to", &date)])
    }

    /// The last date of the view.
    fn last(&self) -> Date {
        self.dates.1.yesterday().unwrap_or(self.dates.0)
    }

    fn is_agenda(&self) -> bool {
        self.view == View::Agenda
    }

    /// The URL of the same view, moved by so many days, weeks, months or agenda lengths.
    fn shifted(&self, by: i64) -> String {
        let date = match self.view {
            View::Month => self.date.first_of_month().saturating_add(by.months()),
            _ => self.date.saturating_add((by * self.days().max(1)).days()),
        };
        self.href(self.view, date)
    }

    /// The first instant of the view and the first instant after it. `None` at the ends of jiff's calendar.
    fn stretch(&self, now: &Now) -> Option<(Timestamp, Timestamp)> {
        let start = |date| Some(Day::of(date, &now.zone)?.start);
        let (first, beyond) = (start(self.dates.0)?, start(self.dates.1)?);
        Some((self.from.unwrap_or(first).max(first), beyond))
    }
}

/// The data from which all views are built.
struct Scene<'a> {
    shell: &'a Shell,
    asked: &'a TimelineQuery,
    look: &'a TimelineData,
    /// The default time zone of new schedules.
    zone: TimeZone,
}

impl Scene<'_> {
    /// The URL of the form for a new schedule that sleeps during the hour from `at`. `None` if the reader may not
    /// create schedules.
    fn new_rule(&self, target: Option<&Target>, at: Timestamp) -> Option<String> {
        let target = target.map_or_else(|| self.asked.picked().to_owned(), view::target_value);
        let query = [("target", target), ("window", hour_of(at, &self.zone))];
        let filled: Vec<_> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let query = serde_urlencoded::to_string(filled).unwrap_or_default();
        self.shell.can_operate().then(|| format!("/schedules/new?{query}"))
    }
}

/// A window that sleeps during the hour from `at`.
fn hour_of(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    let (hour, minute) = (local.hour(), local.minute());
    let end = if hour == 23 && minute > 0 { 0 } else { hour + 1 };
    format!("sleep {}-{end:02}:{minute:02}", local.strftime("%a %H:%M"))
}

/// The content of the view.
enum Shown<'a> {
    Day(DayView<'a>),
    Week(WeekView),
    Month(MonthView<'a>),
    Agenda(Agenda<'a>),
    /// The query has errors, so there is no content.
    Nothing,
}

#[derive(Template)]
#[template(path = "timeline/index.html", blocks = ["region"])]
struct TimelinePage<'a> {
    shell: &'a Shell,
    asked: &'a TimelineQuery,
    /// The targets to choose from.
    groups: Vec<Group>,
    look: Option<&'a TimelineData>,
    shown: Shown<'a>,
}

impl TimelinePage<'_> {
    fn title(&self) -> String {
        self.asked.view.title(self.asked.date, self.asked.dates.0, self.asked.dates.1)
    }

    /// The URL of the view around today. `None` if the view contains today.
    fn today(&self) -> Option<String> {
        let (asked, today) = (self.asked, self.shell.now.today());
        let is_here = asked.dates.0 <= today && today < asked.dates.1;
        let is_here = is_here && (asked.view != View::Month || today.month() == asked.date.month());
        (!is_here).then(|| asked.href(asked.view, today))
    }

    /// The URL from which the view refreshes itself. `None` for a view of the past, which does not change.
    fn live(&self) -> Option<String> {
        let asked = self.asked;
        (asked.dates.1 > self.shell.now.today()).then(|| asked.href(asked.view, asked.date))
    }

    /// The instant from which coming events are not shown. `None` if they are all shown or if the agenda has a further
    /// page.
    fn cut(&self) -> Option<Timestamp> {
        self.look?.foretold.as_ref()?.simulation.cut.filter(|_| !self.goes_on())
    }

    /// The end of the first run on the page. `None` if all runs are shown or if the agenda has a further page.
    fn runs_since(&self) -> Option<Timestamp> {
        self.look?.runs_since.filter(|_| !self.goes_on())
    }

    fn goes_on(&self) -> bool {
        matches!(&self.shown, Shown::Agenda(agenda) if agenda.more.is_some())
    }
}

async fn index(page: Page, Query(typed): Query<Typed>, headers: HeaderMap) -> Result<Response> {
    page.web.previews.admit(&page.caller.user().id)?;
    let shell = &page.shell;
    let mut asked = TimelineQuery::of(typed, &headers, &shell.now);
    let mut overview = stacks::overview(&page.app, &page.actor).await?;
    overview.narrow_to(&asked.list.area(shell)?);
    let look = load_data(&page, &mut asked).await?;
    let asked = &asked;
    let groups = targets(&overview, asked.picked(), None);
    let Some((look, until)) = &look else {
        return page.refuse(&TimelinePage { shell, asked, groups, look: None, shown: Shown::Nothing });
    };
    let scene = Scene { shell, asked, look, zone: zone::default_zone(&page.app).await?.zone };
    let shown = match asked.view {
        View::Day => Shown::Day(DayView::load(&page, &scene, &overview).await?),
        View::Week => Shown::Week(WeekView::new(&scene)),
        View::Month => Shown::Month(MonthView::new(&scene)),
        View::Agenda => Shown::Agenda(Agenda::new(&scene, *until)),
    };
    let whole = TimelinePage { shell, asked, groups, look: Some(look), shown };
    page.render_live(&whole, &whole.as_region())
}

/// The data of the view, and the end of its time range. If the query has errors, they are stored in `asked` and the
/// result is `None`.
async fn load_data(page: &Page, asked: &mut TimelineQuery) -> Result<Option<(TimelineData, Timestamp)>> {
    let target = match target_of(&page.app, asked.picked()) {
        Err(Error::NotFound { .. }) => {
            let gone = FieldError::new("target", "this is not there now; pick another one");
            asked.list.errors.push(gone);
            None
        }
        target => target?,
    };
    if !asked.list.errors.is_empty() {
        return Ok(None);
    }
    let far = FieldError::new("date", "this is too far away");
    let found = match asked.stretch(&page.shell.now) {
        None => Err(Error::Invalid(vec![far])),
        Some((from, until)) => {
            let filter = TimelineFilter { from, until, area: asked.list.area(&page.shell)?, target };
            service::look(&page.app, &page.actor, &filter).await.map(|look| Some((look, until)))
        }
    };
    let Err(Error::Invalid(errors)) = found else { return found };
    asked.list.errors = errors;
    for error in &mut asked.list.errors {
        let is_shown = match error.field.as_str() {
            "to" => asked.view == View::Agenda,
            field => field == "date" || field == "target",
        };
        if !is_shown {
            "date".clone_into(&mut error.field);
        }
    }
    Ok(None)
}

/// Whether the run was skipped, or missed because DockNap was down.
fn did_nothing(run: &Run) -> bool {
    matches!(run.state, RunState::Skipped | RunState::Missed)
}

/// Redirects from the former "Look ahead" page.
async fn moved(page: Page, Query(typed): Query<Typed>) -> Redirect {
    let mut query = vec![("view", "agenda")];
    for (old, new) in [("from", "date"), ("to", "to"), ("target", "target")] {
        query.extend(typed.filled(old).map(|value| (new, value)));
    }
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    Redirect::to(&page.web.link(&format!("/timeline?{query}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::window::Window;

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

    #[test]
    fn an_hour_leads_to_a_rule_that_can_be_read() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        for (at, window) in [
            ("2026-11-27T12:00:00Z", "sleep Fri 13:00-14:00"),
            ("2026-11-27T22:00:00Z", "sleep Fri 23:00-24:00"),
            // The hour of a reader whose zone is half an hour apart begins at half past.
            ("2026-11-27T22:30:00Z", "sleep Fri 23:30-00:30"),
            ("2026-11-28T23:00:00Z", "sleep Sun 00:00-01:00"),
        ] {
            assert_eq!(hour_of(at.parse().expect("an instant"), &zone), window);
            assert!(Window::parse(window).is_ok(), "{window}");
        }
    }
}
