//! Several schedules at once: switched or deleted together, or two that meet, side by side.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::{icon, sentence};
use crate::app::schedules::{self as service, ScheduleView};
use crate::app::{Error, Result};
use crate::domain::ids::ScheduleId;
use crate::web::auth::{Operator, Viewer};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::pages::actions::Question;
use crate::web::picture::RuleWeek;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Link};

/// Schedules changed at once at most.
const MOST: usize = 200;

/// What is done to all of them: its word in the form, its verb, what they are afterwards.
const TARGET_ACTIONS: [(&str, &str, &str); 3] = [
    ("enable", "Switch on", "switched on"),
    ("disable", "Switch off", "switched off"),
    ("delete", "Delete", "deleted"),
];

/// Asks once, then does it to each.
pub(super) async fn bulk(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let ids: Vec<ScheduleId> = typed.all("id").take(MOST).map(ScheduleId::from).collect();
    let deed = TARGET_ACTIONS.into_iter().find(|(word, ..)| *word == typed.get("do"));
    let (Some((word, verb, done)), false) = (deed, ids.is_empty()) else {
        let told = Flash::new("info", "Nothing was ticked, so nothing was done.");
        return Ok(page.redirect_with("/schedules", told).await);
    };
    if !typed.has("sure") {
        let mut names = Vec::new();
        for id in &ids {
            let view = service::get(&page.app, &page.actor, id).await?;
            names.push(format!("“{}”", view::shown_name(&view.title)));
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
        return question.ask(&page);
    }
    let mut refused = Vec::new();
    let mut changed = 0;
    for id in &ids {
        let outcome = match word {
            "enable" => service::enable(&page.app, &page.actor, id).await.map(drop),
            "disable" => service::disable(&page.app, &page.actor, id).await.map(drop),
            _ => service::delete(&page.app, &page.actor, id, None).await,
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
    Ok(page.redirect_with("/schedules", Flash::of_many(told, &refused)).await)
}

/// Two schedules that meet, side by side.
#[derive(Template)]
#[template(path = "schedules/conflict.html")]
struct ConflictPage<'a> {
    shell: &'a Shell,
    /// What happens where they meet; none where they do not.
    sentence: Option<&'a str>,
    /// The one asked about, and the one it meets.
    sides: Vec<ScheduleView>,
}

impl ConflictPage<'_> {
    fn week(&self, view: &ScheduleView) -> Option<RuleWeek> {
        let now = &self.shell.now;
        let marks = service::marks(&view.schedule.spec.when, &view.zone(), now.at);
        RuleWeek::of(&marks, &format!("“{}” in a week", view::shown_name(&view.title)), now)
    }

    fn icon(&self, view: &ScheduleView) -> &'static str {
        icon(view)
    }

    fn says(&self, view: &ScheduleView) -> String {
        sentence(view, &self.shell.now)
    }
}

/// What a schedule meets.
pub(super) async fn conflict(page: Page<Viewer>, Path(id): Path<ScheduleId>) -> Result<Response> {
    let one = service::get(&page.app, &page.actor, &id).await?;
    let conflicts = service::conflicts(&page.app, &page.actor, std::slice::from_ref(&one)).await?;
    let clash = conflicts.get(&one.schedule.id);
    let mut sides = vec![one];
    if let Some(other) = clash.and_then(|clash| clash.other.as_ref()) {
        sides.push(service::get(&page.app, &page.actor, other).await?);
    }
    let sentence = clash.map(|clash| clash.sentence.as_str());
    page.render(&ConflictPage { shell: &page.shell, sentence, sides })
}
