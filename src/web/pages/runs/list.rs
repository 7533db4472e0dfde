//! The list of runs: filters, the last thirty days, what is new, and the list as a file.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, Response};
use jiff::Timestamp;

use super::RunLine;
use super::filter::{FIELDS, FilterForm, Narrowed, filter, form, href, narrowed, query};
use super::picture::{self, Ribbon, Spark};
use crate::app::history::{self, MOST_NEWER, Past, RunFilter};
use crate::app::paging::{Page, Paged};
use crate::app::schedules;
use crate::app::{App, Error, Result};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState};
use crate::domain::target::Target;
use crate::domain::time;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::pages;
use crate::web::shell::Shell;
use crate::web::view::{self, Choice, Now, When};

/// The states the list offers; the first shows all.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("attention", "Failed"),
    ("succeeded", "Succeeded"),
    ("skipped", "Skipped"),
    ("missed", "Missed"),
    ("executing", "Running now"),
];

/// A run in the list, compared with its own past.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// What every list of runs says.
    pub line: RunLine,
    /// How long after its instant it began: `3 min late`; empty where it was on time.
    pub late: String,
    /// Both instants in full, for the title.
    pub instants: String,
    /// The durations of the last runs of that kind.
    pub spark: Option<Spark>,
    /// What is usual, where this one was slower.
    pub slow: Option<String>,
}

impl RunRow {
    fn new(run: &Run, past: Option<&Past>, now: &Now) -> Self {
        let exact = |at: Timestamp| now.when(at).exact;
        let mut instants = String::new();
        if let Some(at) = run.fire_at {
            instants = format!("Due {}", exact(at));
        }
        if let (Some(at), false) = (run.started_at, instants.is_empty()) {
            instants = format!("{instants}; began {}", exact(at));
        }
        Self {
            late: late(run),
            instants,
            spark: run.duration_ms().and(past).and_then(|past| Spark::new(past, &run.id)),
            slow: past.and_then(|past| slow(run, past)),
            line: RunLine::new(run, now),
        }
    }

    /// The id of its picture's title.
    pub fn spark_id(&self) -> String {
        format!("spark-{}", self.line.id)
    }
}

/// How long after its instant a run began, where that is worth a word.
pub(super) fn late(run: &Run) -> String {
    /// The scheduler looks once a second, and claims what is due within the minute (rulings 10).
    const ON_TIME_MS: i64 = 60_000;
    let late = run.late_ms().filter(|late| *late >= ON_TIME_MS);
    late.map(|late| format!("{} late", view::span(late / 60_000 * 60))).unwrap_or_default()
}

/// What is usual, where a run was slower than that.
pub(super) fn slow(run: &Run, past: &Past) -> Option<String> {
    let (pace, took) = (past.without(&run.id)?, run.duration_ms()?);
    (run.state == RunState::Succeeded && pace.is_slow(took)).then(|| {
        format!(
            "slower than usual: half of the last {} took {} or less",
            pace.runs,
            view::duration(pace.median_ms)
        )
    })
}

/// The list of runs.
#[derive(Template, Clone, Debug)]
#[template(path = "runs/index.html", blocks = ["newer", "rows"])]
pub struct RunsPage {
    pub shell: Shell,
    /// The choices of the filter by state, each a link; the first shows all.
    pub states: Vec<Choice>,
    /// What else narrows the list, each removable.
    pub narrowed: Vec<Narrowed>,
    /// The form of the filter.
    pub form: FilterForm,
    /// How the last days ended.
    pub ribbon: Option<Ribbon>,
    /// How many runs are newer than the first that is shown.
    pub newer: Newer,
    /// The runs.
    pub runs: Vec<RunRow>,
    pub older: Option<String>,
    /// The first page, where this is not it.
    pub newest: Option<String>,
    /// Something narrows the list: an empty one then says so.
    pub filtered: bool,
    /// What runs first, where nothing has run yet: `Stop media, in 3 h · 23:00`.
    pub first: Option<(String, When)>,
    /// The list as a file, but for the ending of its name and with its query: `?state=failed`.
    pub query: String,
    /// Where the list asks for itself again, with the same first run: it never jumps.
    pub stay: String,
    /// Rows of such a file, at most.
    pub most: &'static str,
}

/// What to press for runs that came after the list was made.
#[derive(Clone, Debug)]
pub struct Newer {
    /// Where to ask again; empty on a page that is not the first.
    pub ask: String,
    /// `3 new`; empty where there are none.
    pub label: String,
    /// The list from its newest run on.
    pub href: String,
}

pub(super) async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Query(fields): Query<Vec<(String, String)>>,
    shell: Shell,
) -> Result<Response> {
    let (app, typed) = (&web.app, Typed::of(fields));
    let now = pages::now(&web, &shell);
    let page = Page::parse(None, Some(typed.get("cursor")))?;
    let upto = Page::parse(None, Some(typed.get("upto")))?.cursor.map(RunId);
    let (wanted, errors) = filter(app, &typed, &now);
    let wrong = !errors.is_empty();
    let listed = if wrong {
        Paged { items: Vec::new(), next_cursor: None }
    } else {
        history::list(app, &caller.actor, &RunFilter { upto, ..wanted.clone() }, &page).await?
    };
    let pasts = history::pasts(app, &caller.actor, &listed.items).await?;
    let is_first = page.cursor.is_none();
    let form = form(app, &caller, &typed, errors).await?;
    let ribbon =
        if is_first && !wrong && !htmx.partial { ribbon(app, &caller, &wanted, &now).await? } else { None };
    let narrowed = narrowed(&form, &typed, &listed.items);
    let filtered = !narrowed.is_empty() || !typed.get("state").is_empty();
    let first = if listed.items.is_empty() && !filtered {
        let coming = schedules::coming(app, &caller.actor, 1).await?;
        coming.first().map(|coming| {
            let does = format!("{} {}", coming.next.action.label(), view::shown_name(&coming.target_name));
            (does, now.when(coming.next.at))
        })
    } else {
        None
    };
    let than = listed.items.first().map_or("", |run| run.id.as_str());
    let page = RunsPage {
        states: STATES
            .iter()
            .map(|(value, label)| Choice {
                value: href(&typed, &[("state", value)]),
                label: (*label).to_owned(),
                chosen: *value == typed.get("state"),
            })
            .collect(),
        narrowed,
        form,
        ribbon,
        newer: Newer::new(&typed, than, 0, is_first && !wrong),
        runs: listed.items.iter().map(|run| RunRow::new(run, past(&pasts, run), &now)).collect(),
        older: listed.next_cursor.as_deref().map(|cursor| href(&typed, &[("cursor", cursor)])),
        newest: (!is_first).then(|| href(&typed, &[])),
        filtered,
        first,
        query: query(&typed, &FIELDS, &[]),
        stay: href(&typed, &[("cursor", typed.get("cursor")), ("upto", than)]),
        most: "50,000",
        shell,
    };
    let mut response = pages::part(&htmx, &page, &page.as_rows())?;
    if wrong {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

fn past<'a>(pasts: &'a HashMap<(Target, Action), Past>, run: &Run) -> Option<&'a Past> {
    pasts.get(&(run.target.clone(), run.action))
}

/// How the last days ended, whatever state and days the list shows.
async fn ribbon(app: &App, caller: &Caller<Viewer>, wanted: &RunFilter, now: &Now) -> Result<Option<Ribbon>> {
    let edges = time::days_to(now.at, &now.zone, Ribbon::DAYS);
    let of = RunFilter { state: None, attention: false, from: None, to: None, ..wanted.clone() };
    let outcomes = history::outcomes(app, &caller.actor, &of, &edges).await?;
    Ok(Ribbon::new(&edges, &outcomes, now))
}

impl Newer {
    fn new(typed: &Typed, than: &str, count: i64, asks: bool) -> Self {
        Self {
            ask: if asks {
                format!("/runs/newer{}", query(typed, &FIELDS, &[("than", than)]))
            } else {
                String::new()
            },
            label: match count {
                0 => String::new(),
                MOST_NEWER.. => format!("{MOST_NEWER} or more new"),
                count => format!("{count} new"),
            },
            href: href(typed, &[]),
        }
    }
}

/// What is newer than the first run of a list: the button, or nothing.
#[derive(Template, Clone, Debug)]
#[template(path = "runs/_newer.html")]
pub struct NewerPart {
    pub shell: Shell,
    /// The button.
    pub newer: Newer,
}

pub(super) async fn newer(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Query(fields): Query<Vec<(String, String)>>,
    shell: Shell,
) -> Result<Html<String>> {
    let typed = Typed::of(fields);
    let now = pages::now(&web, &shell);
    let (wanted, errors) = filter(&web.app, &typed, &now);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let than = typed.get("than");
    Page::parse(None, Some(than)).map_err(|_| Error::field("than", "use the id of a run"))?;
    let count = history::newer(&web.app, &caller.actor, &wanted, &RunId::from(than)).await?;
    let newer = Newer::new(&typed, than, count, true);
    pages::html(&NewerPart { shell, newer })
}
