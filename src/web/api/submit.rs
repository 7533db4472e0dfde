//! The actions on a stack or container.

use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use crate::app::execute::{self, Request};
use crate::app::{Error, FieldError, Result, nap, targets};
use crate::domain::action::Action;
use crate::domain::run::Trigger;
use crate::domain::schedule::MAX_STOP_TIMEOUT;
use crate::domain::target::Target;
use crate::domain::text::shorten;
use crate::web::auth::{Caller, Operator};

/// Options of an action.
#[derive(Deserialize, ToSchema)]
pub struct ActBody {
    /// The reason; stored with the run.
    reason: Option<String>,
    /// Stop grace in seconds; default: the container's own. Not for `nap` and `wake`.
    #[schema(minimum = 0, maximum = 3600)]
    stop_timeout_seconds: Option<i64>,
    /// For `start`: the names or keys of containers that ended with exit code 0 while DockNap did not observe them, to
    /// start them too. A plan lists them as `unwatched`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    also_start: Vec<String>,
    /// For `nap` and `wake`: the end, as for an override; default: the next edge of the windows.
    until: Option<String>,
}

/// Executes the action of a path on its target, once for each idempotency key.
pub async fn submit(
    caller: &Caller<Operator>,
    target: Result<Target>,
    action: &str,
    Body { value, once, .. }: Body<ActBody>,
) -> Result<Response> {
    let ActBody { reason, stop_timeout_seconds, also_start, until } = value;
    let (app, actor) = (&caller.app, &caller.actor);
    let is_nap = matches!(action, "nap" | "wake");
    let is_start = action == Action::Start.as_str();
    let is_grace = |seconds: i64| (0..=MAX_STOP_TIMEOUT).contains(&seconds);
    let is_line =
        |text: &String| text.chars().count() <= act::MAX_REASON && !text.chars().any(char::is_control);
    let grace = format!("use a whole number from 0 to {MAX_STOP_TIMEOUT}");
    let unknown = "there is no such field";
    let faults = [
        ("until", unknown, !is_nap && until.is_some()),
        ("stop_timeout_seconds", unknown, is_nap && stop_timeout_seconds.is_some()),
        ("also_start", unknown, is_nap && !also_start.is_empty()),
        ("stop_timeout_seconds", &grace, !stop_timeout_seconds.is_none_or(is_grace)),
        ("also_start", "only a start takes this", !is_nap && !is_start && !also_start.is_empty()),
        ("reason", "use one line of 500 characters at most", !is_nap && !reason.as_ref().is_none_or(is_line)),
    ];
    let faults = faults.into_iter().filter(|(.., is_wrong)| *is_wrong);
    let faults: Vec<FieldError> = faults.map(|(field, message, _)| FieldError::new(field, message)).collect();
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    if is_nap {
        let (target, asked) = (target?, nap::NapRequest { until, reason, schedule: None });
        let work = async {
            act::accepted(&match action {
                "nap" => nap::nap(app, actor, &target, &asked, Trigger::Api).await?,
                _ => nap::wake(app, actor, &target, &asked, Trigger::Api).await?,
            })
        };
        return once.answer(caller, work).await;
    }
    let action: Action = action.parse().map_err(|_| Error::not_found("action", shorten(action)))?;
    let target = target?;
    let also = targets::named_members(app, &target, also_start.iter().map(String::as_str))?;
    let reason = reason.unwrap_or_default();
    let request =
        Request { stop_timeout_seconds, reason, also, ..Request::now(action, target, Trigger::Api) };
    once.answer(caller, async { act::accepted(&execute::submit(app, actor, request).await?) }).await
}
