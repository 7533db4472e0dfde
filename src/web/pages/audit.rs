//! The page of the audit log, grouped by day, and the log as a file.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use jiff::{RoundMode, SignedDuration, Timestamp, Unit, ZonedRound};

use crate::app::Result;
use crate::app::audit::{self, AuditFilter};
use crate::app::paging::Paged;
use crate::domain::audit::AuditRow;
use crate::domain::ids::RunId;
use crate::domain::text::capital;
use crate::web::export::{File, Form, instant};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::events::{EVENTS, deed};
use crate::web::view::{self, Now};

pub(super) fn routes() -> Routes {
    Routes::new().get("/audit", Access::VIEWER, index).get("/audit.csv", Access::VIEWER, file).get(
        "/audit.json",
        Access::VIEWER,
        file,
    )
}

/// The number of audit rows in each of 24 hours, as a bar chart.
struct Activity {
    /// The title: `The last 24 hours`, `24 hours until 26 Nov 00:00`.
    title: String,
    /// The chart in words.
    told: String,
    /// The bars as pairs of state (which chooses the colour) and SVG path data.
    paths: [(&'static str, String); 2],
    /// The hours with at least one row, newest first.
    hours: Vec<Hour>,
}

/// The counts of one hour.
struct Hour {
    begins: Timestamp,
    /// The number of rows.
    all: i64,
    /// The number of rows whose outcome is refused, failed, partial or interrupted.
    bad: i64,
}

impl Activity {
    /// The number of hours shown.
    const HOURS: usize = 24;
    /// The maximum height of a bar, in units of the drawing.
    const HIGH: i64 = 44;

    /// The start of the first of the hours before `end`. The hours are full hours of the reader's clock.
    fn start(end: Timestamp, now: &Now) -> Timestamp {
        let last = (end - SignedDuration::from_millis(1)).to_zoned(now.zone.clone());
        let hour = ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc);
        let hour = last.round(hour).unwrap_or(last).timestamp();
        let before = SignedDuration::from_hours(i64::try_from(Self::HOURS - 1).unwrap_or(0));
        // The day of the filter may be the first that there is.
        hour.checked_sub(before).unwrap_or(Timestamp::MIN)
    }

    fn new(
        start: Timestamp,
        until: Option<Timestamp>,
        counted: &[(usize, i64, i64)],
        now: &Now,
    ) -> Option<Self> {
        let most = counted.iter().map(|(_, all, _)| *all).max().filter(|most| *most > 0)?;
        let mut paths = [("executing", String::new()), ("failed", String::new())];
        let mut hours = Vec::new();
        for (at, all, bad) in counted.iter().filter(|(at, ..)| *at < Self::HOURS) {
            let height = |count: i64| if count == 0 { 0 } else { (count * (Self::HIGH - 2) / most).max(2) };
            let (x, good) = (12 * at + 6, height(all - bad));
            if good > 0 {
                let _ = write!(paths[0].1, "M{x} {}v-{good}", Self::HIGH);
            }
            if *bad > 0 {
                let _ = write!(paths[1].1, "M{x} {}v-{}", Self::HIGH - good, height(*bad));
            }
            let begins = start + SignedDuration::from_hours(i64::try_from(*at).unwrap_or(0));
            hours.push(Hour { begins, all: *all, bad: *bad });
        }
        hours.reverse();
        let sum = |of: fn(&Hour) -> i64| hours.iter().map(of).sum::<i64>();
        let (all, bad) = (sum(|hour| hour.all), sum(|hour| hour.bad));
        let title = match until {
            Some(until) => format!("24 hours until {}", now.when(until).short),
            None => "The last 24 hours".to_owned(),
        };
        let rows = view::count(usize::try_from(all).unwrap_or_default(), "row");
        Some(Self { told: format!("{title}: {rows}, {bad} of them did not end well"), title, paths, hours })
    }
}

/// The page of the audit log.
#[derive(Template)]
#[template(path = "audit/index.html")]
struct AuditPage<'a> {
    shell: &'a Shell,
    list: &'a ListQuery,
    /// The active filters besides the kind, as pairs of field and text.
    narrowed: Vec<(&'static str, String)>,
    /// The bar chart; `None` on later pages, for a single run, and without rows.
    activity: Option<Activity>,
    rows: &'a [AuditRow],
    next_cursor: Option<&'a str>,
}

impl AuditPage<'_> {
    /// The rows of each day, with the name of the day.
    fn days(&self) -> Vec<(String, &[AuditRow])> {
        let now = &self.shell.now;
        let date = |row: &AuditRow| row.at.to_zoned(now.zone.clone()).date();
        self.rows
            .chunk_by(|one, next| date(one) == date(next))
            .map(|rows| (now.day(rows[0].at), rows))
            .collect()
    }
}

/// The filter fields in the URL. `host`, `group`, `about` and `run` are not in the form.
const FIELDS: [&str; 10] = ["host", "group", "about", "who", "what", "event", "ip", "from", "to", "run"];

/// The filters besides the kind, each with the words in front of its value.
const NARROWS: [(&str, &str); 7] = [
    ("who", "By "),
    ("what", "About "),
    ("event", ""),
    ("ip", "From address "),
    ("from", "From "),
    ("to", "Until "),
    ("run", ""),
];

/// The options of the filter by kind: values of `object_type` with their labels.
const KINDS: [(&str, &str); 9] = [
    ("", "All"),
    ("schedule", "Schedules"),
    ("calendar", "Calendars"),
    ("host", "Hosts"),
    ("group", "Groups"),
    ("stack", "Stacks"),
    ("container", "Containers"),
    ("run", "Ends of runs"),
    ("user", "Accounts and logins"),
];

/// Parses the query string of the page or of the file.
fn read(typed: Typed, shell: &Shell) -> (ListQuery, AuditFilter) {
    let mut list = ListQuery::new("/audit", &FIELDS, typed);
    let (from, to) = list.days(&shell.now);
    let filter = AuditFilter {
        host: list.past_host(),
        group: list.past_group(shell),
        object_type: list.text("about"),
        object_id: None,
        object_name: list.text("what"),
        event: list.text("event"),
        actor: list.text("who"),
        ip: list.text("ip"),
        run: list.text("run").map(RunId),
        from,
        to,
    };
    (list, filter)
}

async fn index(page: Page, Query(typed): Query<Typed>) -> Result<Response> {
    let shell = &page.shell;
    let (list, filter) = read(typed, shell);
    let (part, is_valid) = (list.page()?, list.errors.is_empty());
    let listed = if is_valid {
        audit::list(&page.app, &page.actor, &filter, &part).await?
    } else {
        Paged { items: Vec::new(), next_cursor: None }
    };
    let has_activity = is_valid && list.is_first() && filter.run.is_none();
    let mut narrowed = list.narrowed(&NARROWS);
    for (field, label) in &mut narrowed {
        match *field {
            "event" => *label = capital(&deed(label)),
            "run" => "One run".clone_into(label),
            _ => {}
        }
    }
    let whole = AuditPage {
        narrowed,
        activity: if has_activity { activity(&page, &filter).await? } else { None },
        rows: &listed.items,
        next_cursor: listed.next_cursor.as_deref(),
        list: &list,
        shell,
    };
    if is_valid { page.render(&whole) } else { page.refuse(&whole) }
}

async fn activity(page: &Page, filter: &AuditFilter) -> Result<Option<Activity>> {
    let now = &page.shell.now;
    let until = filter.to.filter(|to| *to < now.at);
    // A row written at this very instant is included.
    let start = Activity::start(until.unwrap_or(now.at + SignedDuration::from_millis(1)), now);
    let hour = SignedDuration::from_hours(1);
    let counted = audit::activity(&page.app, &page.actor, filter, start, hour).await?;
    Ok(Activity::new(start, until, &counted, now))
}

/// The columns of the CSV file.
const COLUMNS: [&str; 14] = [
    "id",
    "at",
    "actor_kind",
    "actor",
    "ip",
    "event",
    "object_type",
    "object",
    "outcome",
    "reason",
    "trigger",
    "run_id",
    "changes",
    "host",
];

fn cells(row: &AuditRow) -> Vec<String> {
    let changes = row.detail.changes.iter().map(|change| {
        let value = |value: &Option<String>| value.as_deref().map(view::shown_name).unwrap_or_default();
        format!("{}: {} -> {}", change.field, value(&change.old), value(&change.new))
    });
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        row.id.to_string(),
        instant(Some(row.at)),
        row.actor.kind.clone(),
        view::shown_name(&row.actor.name),
        text(&row.ip),
        row.event.clone(),
        row.object_type.clone(),
        view::shown_name(&row.object_name),
        row.outcome.clone(),
        text(&row.detail.reason),
        text(&row.detail.trigger),
        text(&row.detail.run_id),
        changes.collect::<Vec<_>>().join("; "),
        row.detail.host.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}

async fn file(page: Page, form: Form, Query(typed): Query<Typed>) -> Result<Response> {
    let (list, wanted) = read(typed, &page.shell);
    list.checked()?;
    let json = |row: AuditRow| serde_json::to_value(row).unwrap_or_default();
    let file = File { form, name: "audit", columns: &COLUMNS, cells, json };
    let (app, actor) = (page.app, page.actor);
    file.answer(page.shell.now.at, move |part| {
        let (app, actor, wanted) = (app.clone(), actor.clone(), wanted.clone());
        async move { audit::list(&app, &actor, &wanted, &part).await }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_before_the_first_day_begin_with_it() {
        assert_eq!(
            Activity::start(Timestamp::MIN + SignedDuration::from_hours(2), &Now::default()),
            Timestamp::MIN
        );
    }
}
