//! One action on several targets.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act::{self, Accepted};
use super::body::{Body, Fields};
use crate::app::execute::{self, Request};
use crate::app::targets;
use crate::app::{App, Error, Result};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::run::Trigger;
use crate::domain::target::{Target, TargetType};
use crate::web::auth::{Caller, Operator};
use crate::web::routes::{Access, Routes};

/// Targets of one call at most.
const MOST_TARGETS: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().post("/actions", Access::OPERATOR, post)
}

/// A target as a body names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetJson {
    /// `local` where it is left out.
    pub host: String,
    /// `stack` or `container`.
    pub target_type: String,
    /// Name or key.
    pub target_id: String,
}

impl TargetJson {
    /// Reads the three fields.
    pub(super) fn read(fields: &mut Fields) -> Self {
        Self {
            host: fields.text("host").unwrap_or_else(|| "local".to_owned()),
            target_type: fields.required("target_type"),
            target_id: fields.required("target_id"),
        }
    }

    /// The target it names.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field; what the execution path answers for a host that is away.
    pub(super) fn resolve(&self, app: &App) -> Result<Target> {
        let target_type = TargetType::parse(&self.target_type)
            .ok_or_else(|| Error::field("target_type", "use stack or container"))?;
        targets::named(app, &HostId(self.host.clone()), target_type, &self.target_id)
    }
}

/// What is to be done to what.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub struct BulkBody {
    action: Action,
    #[schema(min_items = 1, max_items = 200)]
    targets: Vec<TargetJson>,
    /// Why; kept with each run.
    reason: Option<String>,
}

/// What became of each target, in the order of the request.
#[derive(Serialize, ToSchema)]
pub struct BulkJson {
    items: Vec<BulkItem>,
}

/// What became of one target.
#[derive(Serialize, ToSchema)]
pub struct BulkItem {
    #[serde(flatten)]
    target: TargetJson,
    /// The run that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    /// Where that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// A run that does just this was open already; no other was made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    duplicate: bool,
    /// Why nothing was done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

impl BulkItem {
    fn accepted(target: TargetJson, accepted: Accepted) -> Self {
        let Accepted { run_id, state, duplicate } = accepted;
        Self { target, run_id: Some(run_id), state: Some(state), duplicate, error: None }
    }

    fn refused(target: TargetJson, error: &Error) -> Self {
        let error = Refusal { code: error.code().to_owned(), detail: error.to_string() };
        Self { target, run_id: None, state: None, duplicate: false, error: Some(error) }
    }
}

/// Why nothing was done to a target.
#[derive(Serialize, ToSchema)]
pub struct Refusal {
    code: String,
    detail: String,
}

/// Does one thing to several targets. A target that does not exist refuses the whole request; one that may not be
/// touched is told of in its place.
#[utoipa::path(post, path = "/api/actions", tag = "actions", operation_id = "act_on_targets", request_body = BulkBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = BulkJson), (status = 422, body = super::openapi::Problem)))]
pub(super) async fn post(
    caller: Caller<Operator>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let Body { mut fields, bytes } = body;
    let action = read_action(&mut fields);
    let reason = fields.text("reason").unwrap_or_default();
    let named = fields.objects("targets", TargetJson::read);
    if named.is_empty() || named.len() > MOST_TARGETS {
        fields.fault("targets", format!("name 1 to {MOST_TARGETS} targets"));
    }
    fields.finish()?;
    let action = action.ok_or_else(|| Error::field("action", "this is missing"))?;
    let mut targets = Vec::new();
    let mut faults = Vec::new();
    for (i, target) in named.into_iter().enumerate() {
        match target.resolve(&app) {
            Ok(resolved) => targets.push((target, resolved)),
            Err(Error::Invalid(wrong)) => faults.extend(wrong.into_iter().map(|mut fault| {
                fault.field = format!("targets[{i}].{}", fault.field);
                fault
            })),
            Err(other) => return Err(other),
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    act::once(&app, &caller.actor, &headers, "/api/actions", &bytes, async {
        let mut items = Vec::new();
        for (target, resolved) in targets {
            let request = Request { reason: reason.clone(), ..Request::now(action, resolved, Trigger::Bulk) };
            items.push(match execute::submit(&app, &caller.actor, request).await {
                Ok(submitted) => BulkItem::accepted(target, Accepted::from(&submitted)),
                Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => return Err(error),
                Err(error) => BulkItem::refused(target, &error),
            });
        }
        act::answer(StatusCode::ACCEPTED, &BulkJson { items })
    })
    .await
}

/// The action a body names; `None` after a fault.
pub(super) fn read_action(fields: &mut Fields) -> Option<Action> {
    let word = fields.required("action");
    let action = word.parse().ok();
    if action.is_none() && !word.is_empty() {
        fields.fault("action", "use start, stop, restart, pause or unpause");
    }
    action
}
