//! Overrides: what counts, what counted lately, and a form that makes one.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::schedules::form::{Group, targets};
use super::wanted::Imposed;
use super::{go, html, now};
use crate::app::overrides::{self, Draft};
use crate::app::paging::Page;
use crate::app::{Error, FieldError, Result, stacks};
use crate::domain::ids::OverrideId;
use crate::domain::overrides::{Override, Reach, Wanted};
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::session::Kept;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Badge, Choice, Link, Now, When};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/overrides", Access::VIEWER, index)
        .post("/overrides", Access::OPERATOR, create)
        .get("/overrides/new", Access::OPERATOR, new)
        .post("/overrides/{id}/end", Access::OPERATOR, end)
}

/// An override in the list.
#[derive(Clone, Debug)]
pub struct OverrideRow {
    /// What it wants, until when and why.
    pub imposed: Imposed,
    /// What it reaches; a stack or container is a link.
    pub target: Link,
    pub made: When,
    /// When and how it ended; `None` while it counts.
    pub ended: Option<(When, String)>,
}

impl OverrideRow {
    fn new(one: &Override, now: &Now) -> Self {
        Self {
            imposed: Imposed::new(one, now),
            target: Link::new(page_of(&one.reach).unwrap_or_default(), reached(one)),
            made: now.when(one.created_at),
            ended: one.closed_at.map(|at| {
                let how = if one.closed_reason.is_empty() { "over" } else { &one.closed_reason };
                (now.when(at.min(one.until)), how.to_owned())
            }),
        }
    }
}

/// The page of what it reaches; `None` for a host and for everything.
fn page_of(reach: &Reach) -> Option<String> {
    match reach {
        Reach::Target(target) => Some(format!("/{}s/{}", target.target_type(), target.key())),
        Reach::All | Reach::Host(_) => None,
    }
}

fn reached(one: &Override) -> String {
    match &one.reach {
        Reach::All => "Everything".to_owned(),
        Reach::Host(host) => format!("Host {host}"),
        Reach::Target(_) => view::shown_name(&one.target_name),
    }
}

#[derive(Template, Clone, Debug)]
#[template(path = "overrides/index.html", blocks = ["live"])]
pub struct OverridesPage {
    pub shell: Shell,
    /// Those that count.
    pub open: Vec<OverrideRow>,
    /// Those that ended, newest first.
    pub ended: Vec<OverrideRow>,
}

#[derive(Template, Clone, Debug)]
#[template(path = "overrides/new.html")]
pub struct OverrideForm {
    pub shell: Shell,
    /// What can be reached.
    pub groups: Vec<Group>,
    /// What can be wanted.
    pub states: Vec<Choice>,
    /// How long; the last is the time in the field.
    pub spans: Vec<Choice>,
    /// The time that was typed.
    pub at: String,
    pub reason: String,
    pub errors: Vec<FieldError>,
}

impl OverrideForm {
    fn new(shell: Shell, groups: Vec<Group>, typed: &Typed, errors: Vec<FieldError>) -> Self {
        let choose = |pairs: &[(&str, &str)], chosen: &str| -> Vec<Choice> {
            let known = pairs.iter().any(|(value, _)| *value == chosen);
            let all = pairs.iter().enumerate().map(|(i, (value, label))| Choice {
                value: (*value).to_owned(),
                label: (*label).to_owned(),
                chosen: if known { *value == chosen } else { i == 0 },
            });
            all.collect()
        };
        let states = [
            ("awake", "Awake: woken now, and not put to sleep"),
            ("asleep", "Asleep: put to sleep now, and not woken"),
            ("hold", "Held: left as it is, whatever its schedules say"),
        ];
        let spans = [
            ("1h", "1 hour"),
            ("3h", "3 hours"),
            ("12h", "12 hours"),
            ("1d", "1 day"),
            ("7d", "7 days"),
            ("at", "Until a time"),
        ];
        let errors = errors.into_iter().map(|mut error| {
            if error.field.starts_with("target") || error.field == "host" {
                "target".clone_into(&mut error.field);
            }
            error
        });
        Self {
            states: choose(&states, typed.get("state")),
            spans: choose(&spans, typed.get("until")),
            at: typed.get("at").to_owned(),
            reason: typed.get("reason").to_owned(),
            errors: errors.collect(),
            groups,
            shell,
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// Rows under "Ended", and above.
const ENDED: u32 = 50;
const OPEN: u32 = 500;

async fn index(State(web): State<Web>, caller: Caller<Viewer>, htmx: Htmx, shell: Shell) -> Result<Response> {
    let now = now(&web, &shell);
    let newest = |limit| Page { limit, cursor: None };
    let open = overrides::list(&web.app, &caller.actor, false, &newest(OPEN)).await?.items;
    let mut ended = overrides::list(&web.app, &caller.actor, true, &newest(ENDED)).await?.items;
    ended.retain(|one| one.closed_at.is_some());
    let rows = |all: &[Override]| all.iter().map(|one| OverrideRow::new(one, &now)).collect();
    let page = OverridesPage { shell, open: rows(&open), ended: rows(&ended) };
    super::part(&htmx, &page, &page.as_live())
}

/// Everything that can be reached, with what is picked.
async fn reaches(web: &Web, caller: &Caller<Operator>, picked: &str) -> Result<Vec<Group>> {
    let all = Group {
        label: "Everything".to_owned(),
        options: vec![Choice {
            value: "all/".to_owned(),
            label: "Everything DockNap looks after".to_owned(),
            chosen: picked == "all/" || picked.is_empty(),
        }],
    };
    let overview = stacks::overview(&web.app, &caller.actor).await?;
    let picked = if picked == "all/" { "" } else { picked };
    Ok(std::iter::once(all).chain(targets(&overview, picked, None)).collect())
}

async fn new(
    State(web): State<Web>,
    caller: Caller<Operator>,
    Query(begin): Query<Vec<(String, String)>>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Html<String>> {
    let typed = kept.unwrap_or_else(|| Typed::of(begin));
    let groups = reaches(&web, &caller, typed.get("target")).await?;
    html(&OverrideForm::new(shell, groups, &typed, Vec::new()))
}

async fn create(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let text = |name: &str| Some(typed.get(name).to_owned());
    let (target_type, target_id) = typed.get("target").split_once('/').unwrap_or_default();
    let draft = Draft {
        host: None,
        target_type: Some(target_type.to_owned()),
        target_id: Some(target_id.to_owned()),
        state: text("state"),
        until: text(if typed.get("until") == "at" { "at" } else { "until" }),
        reason: text("reason"),
    };
    match overrides::create(&web.app, &caller.actor, &draft).await {
        Ok(one) => {
            let until = now(&web, &shell).when(one.until).short;
            let state = Badge::from(one.wanted).word.to_lowercase();
            notes.leave(Flash::new("good", format!("{}: {state} until {until}.", reached(&one)))).await;
            Ok(go(&web, &htmx, "/overrides"))
        }
        Err(Error::Invalid(errors)) => {
            let groups = reaches(&web, &caller, typed.get("target")).await?;
            let page = html(&OverrideForm::new(shell, groups, &typed, errors))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other),
    }
}

/// Ends it, and leads to what it reached.
async fn end(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let id = OverrideId(id);
    let one = overrides::get(&web.app, &caller.actor, &id).await?;
    overrides::finish(&web.app, &caller.actor, &id).await?;
    let then = match one.wanted {
        Wanted::Hold => "Its schedules act again; what they missed that should hold now is made up for.",
        Wanted::Awake | Wanted::Asleep if one.puts_back => {
            "Its schedules decide again; what none decides about becomes as it was."
        }
        Wanted::Awake | Wanted::Asleep => "Its schedules decide again.",
    };
    notes.leave(Flash::new("good", format!("{}: ended. {then}", reached(&one)))).await;
    Ok(go(&web, &htmx, &page_of(&one.reach).unwrap_or_else(|| "/overrides".to_owned())))
}
