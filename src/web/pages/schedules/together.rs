//! Several schedules at once: switched or deleted together, or two that meet, side by side.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};

use super::{icon, sentence};
use crate::app::schedules::{self as service, ScheduleView};
use crate::app::{Error, Result};
use crate::domain::ids::ScheduleId;
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::pages::actions::{self, Question};
use crate::web::pages::{go, html, now};
use crate::web::picture::RuleWeek;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Link, Now, When};

/// Schedules changed at once at most.
const MOST: usize = 200;

/// What is done to all of them: its word in the form, its verb, what they are afterwards.
const DEEDS: [(&str, &str, &str); 3] = [
    ("enable", "Switch on", "switched on"),
    ("disable", "Switch off", "switched off"),
    ("delete", "Delete", "deleted"),
];

/// Asks once, then does it to each.
pub(super) async fn bulk(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let ids: Vec<ScheduleId> = typed.all("id").take(MOST).map(ScheduleId::from).collect();
    let deed = DEEDS.into_iter().find(|(word, ..)| *word == typed.get("do"));
    let (Some((word, verb, done)), false) = (deed, ids.is_empty()) else {
        notes.leave(Flash::new("info", "Nothing was ticked, so nothing was done.")).await;
        return Ok(go(&web, &htmx, "/schedules"));
    };
    if !typed.has("sure") {
        let mut names = Vec::new();
        for id in &ids {
            names.push(format!(
                "“{}”",
                view::shown_name(&service::get(&web.app, &caller.actor, id).await?.title)
            ));
        }
        let mut hidden: Vec<(&'static str, String)> = ids.iter().map(|id| ("id", id.to_string())).collect();
        hidden.extend([("do", word.to_owned()), ("sure", "yes".to_owned())]);
        let question = Question {
            title: format!("{verb} {}?", view::count(ids.len(), "schedule")),
            label: format!("{verb} {}", view::count(ids.len(), "schedule")),
            icon: if word == "delete" { "trash-2" } else { "calendar-clock" },
            harsh: word == "delete",
            action: "/schedules/bulk".to_owned(),
            back: Link::new("/schedules", "Schedules"),
            text: format!("{}.", names.join(", ")),
            hidden,
            ..Question::default()
        };
        return Ok(actions::asked(shell, &htmx, question)?.into_response());
    }
    let mut refused = Vec::new();
    let mut changed = 0;
    for id in &ids {
        let outcome = match word {
            "enable" => service::enable(&web.app, &caller.actor, id).await.map(drop),
            "disable" => service::disable(&web.app, &caller.actor, id).await.map(drop),
            _ => service::delete(&web.app, &caller.actor, id, None).await,
        };
        match outcome {
            Ok(()) => changed += 1,
            Err(
                error @ (Error::Conflict { .. }
                | Error::NotFound { .. }
                | Error::Invalid(_)
                | Error::Stale { .. }),
            ) => {
                refused.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    let told = format!("{} {done}.", view::count(changed, "schedule"));
    notes.leave(Flash::of_many(told, &refused)).await;
    Ok(go(&web, &htmx, "/schedules"))
}

/// One of two schedules that meet.
#[derive(Clone, Debug)]
pub struct Side {
    /// Of its picture.
    pub id: String,
    pub link: Link,
    /// What it does.
    pub sentence: String,
    pub icon: &'static str,
    /// What it acts on.
    pub target: String,
    /// Its week.
    pub week: Option<RuleWeek>,
    /// When it acts next.
    pub next: Option<When>,
}

/// Two schedules that meet, side by side.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/conflict.html")]
pub struct ConflictPage {
    pub shell: Shell,
    /// What happens where they meet; empty where they do not.
    pub sentence: String,
    /// The one asked about, and the one it meets.
    pub sides: Vec<Side>,
}

impl Side {
    fn new(view: &ScheduleView, now: &Now) -> Self {
        let zone = crate::domain::time::zone(&view.effective_timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let title = view::shown_name(&view.title);
        let marks = service::marks(&view.schedule.spec.when, &zone, now.at);
        Self {
            id: format!("week-{}", view.schedule.id),
            week: RuleWeek::of(&marks, &format!("“{title}” in a week"), now),
            link: Link::new(format!("/schedules/{}", view.schedule.id), title),
            sentence: sentence(view, now),
            icon: icon(view),
            target: view::shown_name(&view.target_name),
            next: view.next_at.map(|at| now.when(at)),
        }
    }
}

/// What a schedule meets.
pub(super) async fn conflict(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let one = service::get(&web.app, &caller.actor, &ScheduleId(id)).await?;
    let conflicts = service::conflicts(&web.app, &caller.actor, std::slice::from_ref(&one)).await?;
    let clash = conflicts.get(&one.schedule.id);
    let now = now(&web, &shell);
    let mut sides = vec![Side::new(&one, &now)];
    let (sentence, other) =
        clash.map_or((String::new(), None), |clash| (now.words(&clash.sentence), clash.other.as_ref()));
    if let Some(other) = other {
        sides.push(Side::new(&service::get(&web.app, &caller.actor, other).await?, &now));
    }
    html(&ConflictPage { shell, sentence, sides })
}
