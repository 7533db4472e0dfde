//! The question before a schedule is copied or moved to another host.

use axum::extract::Path;
use axum::response::Response;

use super::page_of;
use crate::app::schedules::{self as service, Elsewhere, ScheduleView};
use crate::app::{Error, FieldError, Result, stacks};
use crate::domain::ids::{HostId, ScheduleId};
use crate::domain::schedule::Source;
use crate::domain::target::TargetType;
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::pages::actions::{Pick, Question};
use crate::web::shell::Flash;
use crate::web::view::{self, Choice};

/// What becomes of the original.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Copy,
    Move,
}

impl Way {
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Copy => ("copy", "Copy", "copied"),
            Self::Move => ("move", "Move", "moved"),
        }
    }
}

pub(super) async fn ask(page: Page<Operator>, Path(id): Path<ScheduleId>, way: Way) -> Result<Response> {
    let view = service::get(&page.app, &page.actor, &id).await?;
    question(&page, &view, way, None, Vec::new()).await?.ask(&page)
}

/// Copies or moves the schedule to the chosen place, `HOST` for the target of the same name there, or `HOST/KEY`.
pub(super) async fn act(
    page: Page<Operator>,
    Path(id): Path<ScheduleId>,
    typed: Typed,
    way: Way,
) -> Result<Response> {
    let (app, actor, chosen) = (&page.app, &page.actor, typed.get("to"));
    let (host, target) = match chosen.split_once('/') {
        Some((host, key)) => (host, Some(key.to_owned())),
        None => (chosen, None),
    };
    let to = Elsewhere { host: host.to_owned(), target, ..Elsewhere::default() };
    let outcome = match way {
        Way::Copy => service::copy(app, actor, &id, &to, Source::Ui).await,
        Way::Move => {
            let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
            service::move_to(app, actor, &id, &to, rev).await
        }
    };
    let saved = match outcome {
        Ok(saved) => saved,
        Err(Error::Invalid(faults)) => {
            let wrong: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            let errors = vec![FieldError::new("to", wrong.join("; "))];
            let view = service::get(app, actor, &id).await?;
            return question(&page, &view, way, Some(chosen), errors).await?.ask(&page);
        }
        Err(other) => return Err(other),
    };
    let (view, (_, _, done)) = (&saved.view, way.words());
    let place = page.shell.placed(&view.target_name, &view.schedule.spec.target.host);
    let title = view::shown_name(&view.title);
    let mut sentences = vec![format!("“{title}” is {done} to {}.", view::shown_name(&place))];
    sentences.extend_from_slice(&saved.warnings);
    let tone = if saved.warnings.is_empty() { "good" } else { "warn" };
    let path = format!("/schedules/{}", view.schedule.id);
    Ok(page.redirect_with(&path, Flash::new(tone, sentences.join(" "))).await)
}

async fn question(
    page: &Page<Operator>,
    view: &ScheduleView,
    way: Way,
    chosen: Option<&str>,
    errors: Vec<FieldError>,
) -> Result<Question> {
    let (word, verb, _) = way.words();
    let (options, missing) = options(page, view, chosen).await?;
    let present = page.shell.placed(&view.target_name, &view.schedule.spec.target.host);
    let mut text = match way {
        Way::Copy => {
            "The copy begins with its next change; nothing happens at once. This one stays.".to_owned()
        }
        Way::Move => format!(
            "It begins with its next change; nothing happens at once. Its runs stay in the list, and overrides stay \
             with {}.",
            view::shown_name(&present)
        ),
    };
    if !missing.is_empty() {
        let (kind, name) = (view.schedule.target_type(), view::shown_name(&view.target_name));
        let hosts = view::first_few(&missing, ", ", " and ");
        let missing =
            format!(" There is no {kind} {name} on {hosts}: choose another one there, or bring it up first.");
        text.push_str(&missing);
    }
    Ok(Question {
        title: format!("{verb} “{}” to another host?", view::shown_name(&view.title)),
        label: verb.to_owned(),
        icon: if way == Way::Copy { "copy" } else { "server" },
        action: format!("/schedules/{}/{word}", view.schedule.id),
        back: page_of(view),
        text,
        rev: (way == Way::Move).then_some(view.schedule.rev),
        pick: Some(Pick { name: "to", label: "For".to_owned(), options }),
        errors,
        ..Question::default()
    })
}

/// The places to choose from, and the names of the connected hosts without a target of this name. The first target of
/// the same name is chosen.
async fn options(
    page: &Page<Operator>,
    view: &ScheduleView,
    chosen: Option<&str>,
) -> Result<(Vec<Choice>, Vec<String>)> {
    let (schedule, overview) = (&view.schedule, stacks::overview(&page.app, &page.actor).await?);
    let (mut same, mut others, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let label = |name: &str, host: &HostId| view::shown_name(&page.shell.placed(name, host));
    let choice = |value: String, label: String| Choice { chosen: chosen == Some(&*value), value, label };
    for host in overview.hosts.iter().filter(|host| host.id != schedule.spec.target.host) {
        let name = service::same_name(&page.app, schedule, host.id.as_str());
        let there = service::counterpart(&page.app, schedule, host.id.as_str());
        if there.is_some() {
            same.push(choice(host.id.to_string(), label(&name, &host.id)));
        } else if host.is_connected() {
            missing.push(view::shown_name(&host.name));
        } else {
            let label = format!("{}, which is not connected", label(&name, &host.id));
            others.push(choice(host.id.to_string(), label));
        }
        let mut add = |key: String, name: &str, is_free: bool| {
            if is_free && there.as_ref().is_none_or(|there| there.key() != key) {
                others.push(choice(format!("{}/{key}", host.id), label(name, &host.id)));
            }
        };
        match schedule.target_type() {
            TargetType::Stack => {
                for one in overview.stacks.iter().filter(|one| one.stack.host == host.id) {
                    add(one.stack.key.clone(), &one.stack.name, one.protected.is_none());
                }
            }
            TargetType::Container => {
                for one in overview.containers().filter(|one| one.container.host == host.id) {
                    let is_free = one.protected.is_none() && one.container.is_ordinary();
                    add(one.container.key(), &one.container.name, is_free);
                }
            }
            TargetType::Host | TargetType::Group => {}
        }
    }
    if chosen.is_none()
        && let Some(first) = same.first_mut()
    {
        first.chosen = true;
    }
    let mut options = Vec::new();
    if same.is_empty() {
        options.push(choice(String::new(), "Choose …".to_owned()));
    }
    options.append(&mut same);
    options.append(&mut others);
    Ok((options, missing))
}
