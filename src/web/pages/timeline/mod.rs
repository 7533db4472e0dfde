//! The timeline: what was and what is to come, as a day, a week, a month or a list (ui 4.8).
//!
//! The list is the same without a picture. Each view is one region, drawn anew at each minute and after each run.

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

/// Days of the list where its end is not said.
const LISTED: i64 = 7;

pub(super) fn routes() -> Routes {
    Routes::new().get("/timeline", Access::VIEWER, index).get("/simulate", Access::VIEWER, moved)
}

/// How time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::AsRefStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
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
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The one that is asked for; where none is, the list on a phone and the day elsewhere.
    fn of(word: &str, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        // What browsers on phones have in common, and those on tablets and desks lack.
        let is_phone = agent.is_some_and(|agent| agent.contains("Mobi"));
        word.parse().unwrap_or(if is_phone { Self::Agenda } else { Self::Day })
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

/// What the URL asks for.
struct TimelineQuery {
    list: ListQuery,
    view: View,
    date: Date,
    /// The first and the first not shown.
    dates: (Date, Date),
    /// Where the list goes on in the middle of a day.
    from: Option<Timestamp>,
}

impl TimelineQuery {
    fn of(typed: Typed, headers: &HeaderMap, now: &Now) -> Self {
        let mut list = ListQuery::new("/timeline", &["view", "date", "to", "target"], typed);
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

    /// `stack/KEY` or `container/KEY`; empty = everything.
    fn picked(&self) -> &str {
        self.list.get("target")
    }

    fn days(&self) -> i64 {
        self.dates.1.since(self.dates.0).map_or(1, |span| i64::from(span.get_days()))
    }

    /// The address of a view of a date, with what is picked.
    fn href(&self, view: View, date: Date) -> String {
        let lists = view == View::Agenda && self.view == View::Agenda && self.days() != LISTED;
        let to = lists.then(|| date.saturating_add((self.days() - 1).days()).to_string());
        let to = to.unwrap_or_default();
        self.list.with(&[("view", view.as_ref()), ("date", &date.to_string()), ("to", &to)])
    }

    /// The list of one day.
    fn list_of(&self, date: Date) -> String {
        let date = date.to_string();
        self.list.with(&[("view", "agenda"), ("date", &date), ("to", &date)])
    }

    /// The last date shown.
    fn last(&self) -> Date {
        self.dates.1.yesterday().unwrap_or(self.dates.0)
    }

    fn is_agenda(&self) -> bool {
        self.view == View::Agenda
    }

    /// The stretch so many stretches later.
    fn shifted(&self, by: i64) -> String {
        let date = match self.view {
            View::Month => self.date.first_of_month().saturating_add(by.months()),
            _ => self.date.saturating_add((by * self.days().max(1)).days()),
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

/// What all views are drawn from.
struct Scene<'a> {
    shell: &'a Shell,
    asked: &'a TimelineQuery,
    look: &'a TimelineData,
    /// The zone in which a new schedule is read.
    zone: TimeZone,
}

impl Scene<'_> {
    /// The form of a new schedule for the hour that begins then; `None` for whoever may not make one.
    fn new_rule(&self, target: Option<&Target>, at: Timestamp) -> Option<String> {
        let target = target.map_or_else(|| self.asked.picked().to_owned(), view::target_value);
        let query = [("target", target), ("window", hour_of(at, &self.zone))];
        let filled: Vec<_> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let query = serde_urlencoded::to_string(filled).unwrap_or_default();
        self.shell.can_operate().then(|| format!("/schedules/new?{query}"))
    }
}

/// A rule that sleeps for the hour that begins then.
fn hour_of(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    let (hour, minute) = (local.hour(), local.minute());
    let end = if hour == 23 && minute > 0 { 0 } else { hour + 1 };
    format!("sleep {}-{end:02}:{minute:02}", local.strftime("%a %H:%M"))
}

/// What is shown.
enum Shown<'a> {
    Day(DayView<'a>),
    Week(WeekView),
    Month(MonthView<'a>),
    Agenda(Agenda<'a>),
    /// Something is wrong with what was asked.
    Nothing,
}

#[derive(Template)]
#[template(path = "timeline/index.html", blocks = ["region"])]
struct TimelinePage<'a> {
    shell: &'a Shell,
    asked: &'a TimelineQuery,
    /// What can be looked at.
    groups: Vec<Group>,
    look: Option<&'a TimelineData>,
    shown: Shown<'a>,
}

impl TimelinePage<'_> {
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

    /// From when on what comes is not shown, and the list has no further page.
    fn cut(&self) -> Option<Timestamp> {
        self.look?.foretold.as_ref()?.simulation.cut.filter(|_| !self.goes_on())
    }

    /// The first run that is shown, where there are too many.
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
    let overview = stacks::overview(&page.app, &page.actor).await?;
    let look = look(&page, &mut asked).await?;
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

/// What happens then, and until when that is; where something is wrong with what was asked, that is noted instead.
async fn look(page: &Page, asked: &mut TimelineQuery) -> Result<Option<(TimelineData, Timestamp)>> {
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
            let filter = TimelineFilter { from, until, target };
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

/// What happened is a run that was left out, or whose time passed while DockNap was down.
fn did_nothing(run: &Run) -> bool {
    matches!(run.state, RunState::Skipped | RunState::Missed)
}

/// Where "Look ahead" was.
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
            // Seen from a zone that is half an hour apart.
            ("2026-11-27T22:30:00Z", "sleep Fri 23:30-00:30"),
            ("2026-11-28T23:00:00Z", "sleep Sun 00:00-01:00"),
        ] {
            assert_eq!(hour_of(at.parse().expect("an instant"), &zone), window);
            assert!(Window::parse(window).is_ok(), "{window}");
        }
    }
}
