//! Pages about several schedules: the bulk actions of the list, and two conflicting schedules side by side.

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

/// The largest number of schedules in one bulk action.
const MOST: usize = 200;

/// The bulk actions: the word in the form field `do`, the verb of the button, and the participle in the message.
const TARGET_ACTIONS: [(&str, &str, &str); 3] = [
    ("enable", "Switch on", "switched on"),
    ("disable", "Switch off", "switched off"),
    ("delete", "Delete", "deleted"),
];

/// Shows a confirmation first. With the form field `sure` it acts on each schedule.
pub(super) async fn bulk(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let ids: Vec<ScheduleId> = typed.all("id").take(MOST).map(ScheduleId::from).collect();
    let action = TARGET_ACTIONS.into_iter().find(|(word, ..)| *word == typed.get("do"));
    let (Some((word, verb, done)), false) = (action, ids.is_empty()) else {
        let message = Flash::new("info", "Nothing was ticked, so nothing was done.");
        return Ok(page.redirect_with("/schedules", message).await);
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
    let message = format!("{} {done}.", view::count(changed, "schedule"));
    Ok(page.redirect_with("/schedules", Flash::of_many(message, &refused)).await)
}

/// The page of two conflicting schedules.
#[derive(Template)]
#[template(path = "schedules/conflict.html")]
struct ConflictPage<'a> {
    shell: &'a Shell,
    /// What happens where the schedules conflict. `None` if there is no conflict.
    sentence: Option<&'a str>,
    /// The schedule from the URL and, if there is one, the schedule it conflicts with.
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

/// The conflict of a schedule, if it has one.
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
