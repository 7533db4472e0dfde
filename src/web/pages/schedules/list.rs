//! The list of schedules. Each row shows the rule, the next instant and the newest run; the list can be sorted and
//! grouped.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use jiff::Timestamp;

use super::{runs_now, sentence};
use crate::app::schedules::{self as service, Clash, ScheduleFilter, ScheduleView};
use crate::app::{Result, paging, rules_file};
use crate::domain::group::Area;
use crate::domain::schedule::Source;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::pages::actions::Act;
use crate::web::pages::choices::WINDOWS;
use crate::web::pages::import;
use crate::web::picture::RuleWeek;
use crate::web::shell::Shell;
use crate::web::view;

/// A row of the list.
pub(super) struct Row<'a> {
    pub shell: &'a Shell,
    pub view: &'a ScheduleView,
    /// The first warning about the schedule, as a rule a conflict with another one. `None` if there is none.
    pub clash: Option<&'a Clash>,
    /// The heading above the row. Set for the first row of a group.
    pub heading: Option<String>,
}

impl Row<'_> {
    fn sentence(&self) -> String {
        sentence(self.view, &self.shell.now)
    }

    /// The schedule's time zone. `None` if it is the reader's.
    fn zone(&self) -> Option<&str> {
        Some(self.view.effective_timezone.as_str()).filter(|zone| *zone != self.shell.zone)
    }

    fn is_skipping(&self) -> bool {
        service::is_skipping(&self.view.schedule, self.shell.now.at)
    }

    /// The path data of the chart of a week.
    fn week(&self) -> Option<String> {
        let (when, now) = (&self.view.schedule.spec.when, &self.shell.now);
        RuleWeek::of(&service::marks(when, &self.view.zone(), now.at), "", now).map(|picture| picture.path)
    }

    /// The source of the schedule. `None` for a schedule from the form.
    fn source(&self) -> Option<&'static str> {
        match self.view.schedule.source {
            Source::Ui => None,
            Source::Api => Some("API"),
            Source::Label => Some("Label"),
            Source::Import => Some("Import"),
            Source::File => Some("File"),
        }
    }

    /// The label that defines the schedule, as `docknap.sleep of media-web-1`.
    fn origin(&self) -> Option<String> {
        origin(self.view)
    }

    /// When the newest run ended or, if it has not ended, was due.
    fn last_at(&self) -> Option<Timestamp> {
        self.view.last_run.as_ref().and_then(|run| run.finished_at.or(run.fire_at))
    }

    /// The last segment of the URL of the row's switch.
    fn switch(&self) -> &'static str {
        if self.view.schedule.spec.enabled { "disable" } else { "enable" }
    }

    fn runs_now(&self) -> Vec<Act> {
        runs_now(self.view)
    }

    /// Whether the schedule can be changed in the form.
    fn is_editable(&self) -> bool {
        self.view.schedule.source.is_editable()
    }
}

/// The label that defines a schedule, as `docknap.sleep of media-web-1`.
pub(super) fn origin(view: &ScheduleView) -> Option<String> {
    let label = view.schedule.label.as_ref()?;
    Some(view::shown_name(&format!("{} of {}", label.label, label.carrier_name)))
}

/// One row alone, after the user switched the schedule on or off.
#[derive(Template)]
#[template(path = "schedules/_row.html")]
pub(super) struct SwitchedRow<'a> {
    pub shell: &'a Shell,
    pub row: Row<'a>,
}

/// The page with the list of schedules.
#[derive(Template)]
#[template(path = "schedules/index.html", blocks = ["rows"])]
struct SchedulesPage<'a> {
    shell: &'a Shell,
    query: ListQuery,
    rows: Vec<Row<'a>>,
    older: Option<String>,
    /// The largest number of rows in a sorted or grouped list. Set only if the list has more.
    laid_out: Option<u32>,
}

/// The sort orders and groupings: label, value of `sort`, value of `by`.
const ORDERS: [(&str, &str, &str); 5] = [
    ("Newest first", "", ""),
    ("By name", "name", ""),
    ("By next", "next", ""),
    ("By stack", "", "stack"),
    ("By time", "", "time"),
];

/// The query parameters: a host; a group; a search text; `sort` by `name` or `next`; lists `by` `stack` or `time`.
const URL: [&str; 5] = ["host", "group", "q", "sort", "by"];

impl SchedulesPage<'_> {
    fn order(&self, sort: &str, by: &str) -> String {
        self.query.with(&[("sort", sort), ("by", by)])
    }

    fn is_order(&self, sort: &str, by: &str) -> bool {
        (self.query.get("sort"), self.query.get("by")) == (sort, by)
    }

    fn is_filtered(&self) -> bool {
        ["host", "group", "q"].iter().any(|field| !self.query.get(field).is_empty())
    }

    /// Whether the list is filtered or shows a later page.
    fn is_part(&self) -> bool {
        self.is_filtered() || !self.query.is_first()
    }

    /// Links to a new form with a preset window, each with its label.
    fn presets(&self) -> [(String, &'static str); 5] {
        WINDOWS.map(|preset| {
            let query = serde_urlencoded::to_string([("window", preset.text)]).unwrap_or_default();
            (format!("/schedules/new?{query}"), preset.label)
        })
    }
}

/// The largest number of rows in a sorted or grouped list.
const MOST: u32 = 200;

/// Sorts the schedules as the query says.
fn sort(items: &mut [ScheduleView], query: &ListQuery) {
    let next = |view: &ScheduleView| (view.next_at.is_none(), view.next_at);
    match (query.get("by"), query.get("sort")) {
        ("stack", _) => items.sort_by_cached_key(|view| {
            (view.target_name.to_lowercase(), view.schedule.spec.target.host.clone(), next(view))
        }),
        ("time", _) | (_, "next") => items.sort_by_key(next),
        (_, "name") => items.sort_by_cached_key(|view| view.title.to_lowercase()),
        _ => {}
    }
}

/// The heading of the row's group. `None` if the list is not grouped.
fn heading(view: &ScheduleView, query: &ListQuery, shell: &Shell) -> Option<String> {
    match query.get("by") {
        "stack" => Some(view::shown_name(&shell.placed(&view.target_name, &view.schedule.spec.target.host))),
        "time" => Some(match view.next_at {
            Some(at) => shell.now.day(at),
            None if view.schedule.spec.enabled => "Never again".to_owned(),
            None => "Off".to_owned(),
        }),
        _ => None,
    }
}

fn filter(query: &ListQuery, shell: &Shell) -> Result<ScheduleFilter> {
    let text = Some(query.get("q").to_owned());
    let Area { host, group } = query.area(shell)?;
    Ok(ScheduleFilter { host, group, text, ..ScheduleFilter::default() })
}

pub(super) async fn index(page: Page<Viewer>, Query(typed): Query<Typed>) -> Result<Response> {
    let (shell, query) = (&page.shell, ListQuery::new("/schedules", &URL, typed));
    let filter = filter(&query, shell)?;
    // Sorting and grouping need the whole list, so there are no pages then.
    let is_laid_out =
        matches!(query.get("sort"), "name" | "next") || matches!(query.get("by"), "stack" | "time");
    let cut = if is_laid_out { paging::Page { limit: MOST, cursor: None } } else { query.page()? };
    let mut listed = service::list(&page.app, &page.actor, &filter, &cut).await?;
    sort(&mut listed.items, &query);
    let conflicts = service::conflicts(&page.app, &page.actor, &listed.items).await?;
    let mut above = None;
    let row = |view| {
        let group = heading(view, &query, shell);
        let heading = group.clone().filter(|_| group != above);
        above = group;
        Row { shell, view, clash: conflicts.get(&view.schedule.id), heading }
    };
    let rows = listed.items.iter().map(row).collect();
    let next = listed.next_cursor.as_deref();
    let list = SchedulesPage {
        shell,
        rows,
        older: next.map(|cursor| query.with(&[("sort", ""), ("by", ""), ("cursor", cursor)])),
        laid_out: next.filter(|_| is_laid_out).map(|_| MOST),
        query,
    };
    page.render_live(&list, &list.as_rows())
}

/// The schedules as a rules file, with the same filters as the list.
pub(super) async fn file(page: Page<Viewer>, Query(typed): Query<Typed>) -> Result<Response> {
    let filter = filter(&ListQuery::new("/schedules", &URL, typed), &page.shell)?;
    let (mut ids, mut cursor) = (BTreeSet::new(), None);
    loop {
        let part = paging::Page { limit: paging::MAX_LIMIT, cursor };
        let found = service::list(&page.app, &page.actor, &filter, &part).await?;
        ids.extend(found.items.into_iter().map(|view| view.schedule.id));
        cursor = found.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let export = rules_file::export_schedules(&page.app, &page.actor, &ids).await?;
    Ok(import::file("schedules", &export, page.shell.now.at))
}
