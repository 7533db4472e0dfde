//! The page of a stack or container that no longer exists but still has schedules. The page can re-attach the schedules
//! to another target.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::ScheduleLine;
use super::fields::Fields;
use crate::app::schedules::{self as service, Draft, ScheduleFilter, ScheduleView};
use crate::app::{Actor, Error, FieldError, Result, paging, stacks};
use crate::domain::target::TargetType;
use crate::web::Web;
use crate::web::auth::Operator;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::pages;
use crate::web::pages::choices::{Group, targets};
use crate::web::shell::{Flash, Shell};
use crate::web::view;

/// The largest number of schedules to search.
const MOST: u32 = 200;

/// The page of a target that no longer exists.
#[derive(Template)]
#[template(path = "schedules/orphans.html")]
struct OrphansPage {
    shell: Shell,
    /// `stack` or `container`.
    kind: &'static str,
    /// `container/0123456789abcdef`
    target: String,
    /// The last known name of the target.
    name: String,
    /// The schedules of the target.
    schedules: Vec<ScheduleLine>,
    /// The targets to choose from. Empty if the reader may not change schedules.
    groups: Vec<Group>,
    /// Errors in the form fields.
    errors: Vec<FieldError>,
}

impl OrphansPage {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// The schedules of the target with this key.
async fn schedules_of(web: &Web, actor: &Actor, kind: TargetType, key: &str) -> Result<Vec<ScheduleView>> {
    let all = paging::Page { limit: MOST, cursor: None };
    let mut schedules = service::list(&web.app, actor, &ScheduleFilter::default(), &all).await?.items;
    schedules.retain(|view| view.schedule.target_type() == kind && view.target_key == key);
    Ok(schedules)
}

/// The page of a target that no longer exists, with status 404.
///
/// # Errors
/// Returns `missing` if the target has no schedules.
pub async fn page(
    web: &Web,
    actor: &Actor,
    shell: Shell,
    (kind, key): (TargetType, &str),
    missing: Error,
) -> Result<Response> {
    let remaining = schedules_of(web, actor, kind, key).await?;
    if remaining.is_empty() {
        return Err(missing);
    }
    let page = orphans_page(web, actor, shell, (kind, key), &remaining, Vec::new()).await?;
    Ok((StatusCode::NOT_FOUND, pages::html(&page)?).into_response())
}

async fn orphans_page(
    web: &Web,
    actor: &Actor,
    shell: Shell,
    (kind, key): (TargetType, &str),
    remaining: &[ScheduleView],
    errors: Vec<FieldError>,
) -> Result<OrphansPage> {
    let groups = if shell.can_operate() {
        targets(&stacks::overview(&web.app, actor).await?, "", None)
    } else {
        Vec::new()
    };
    Ok(OrphansPage {
        kind: kind.as_str(),
        target: format!("{kind}/{key}"),
        name: remaining.first().map(|view| view::shown_name(&view.target_name)).unwrap_or_default(),
        schedules: remaining.iter().map(|view| ScheduleLine::new(view, &shell.now)).collect(),
        groups,
        errors,
        shell,
    })
}

/// Moves the schedules of a target that no longer exists to another target. Each schedule stays on or off. It acts from
/// its next edge or fire on, because nobody has checked what it would do to the new target at once.
pub(super) async fn reattach(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let missing = || Error::not_found("target", typed.get("from"));
    let (kind, key) = typed.get("from").split_once('/').ok_or_else(missing)?;
    let kind = TargetType::parse(kind).ok_or_else(missing)?;
    let remaining = schedules_of(&page.web, &page.actor, kind, key).await?;
    if remaining.is_empty() {
        return Err(missing());
    }
    let to = typed.get("to");
    let mut moved = 0;
    let mut refused = Vec::new();
    for view in remaining.iter().filter(|view| view.schedule.source.is_editable()) {
        let mut fields = Fields::of(view);
        fields.set("target", to);
        let draft = Draft {
            enabled: Some(view.schedule.spec.enabled),
            from_next: true,
            ..fields.draft(Some(&view.schedule.id))
        };
        let rev = Some(view.schedule.rev);
        match service::update(&page.app, &page.actor, &view.schedule.id, &draft, rev).await {
            Ok(_) => moved += 1,
            Err(Error::Invalid(errors)) if errors.iter().any(|error| error.field.starts_with("target")) => {
                let errors = vec![FieldError::new("to", "pick the stack or container they are for now")];
                let Page { web, actor, shell, .. } = &page;
                return page.refuse(
                    &orphans_page(web, actor, shell.clone(), (kind, key), &remaining, errors).await?,
                );
            }
            Err(error @ (Error::Invalid(_) | Error::Stale { .. } | Error::Conflict { .. })) => {
                refused.push(format!("{}: {error}", view::shown_name(&view.title)));
            }
            Err(error) => return Err(error),
        }
    }
    let message = format!("{} re-attached.", view::count(moved, "schedule"));
    let (kind, key) = to.split_once('/').unwrap_or(("stack", ""));
    Ok(page.redirect_with(&format!("/{kind}s/{key}"), Flash::of_many(message, &refused)).await)
}
