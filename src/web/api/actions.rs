//! One action on several targets.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::act::{self, Accepted};
use super::body::Body;
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TargetJson {
    /// `local` where it is left out.
    #[serde(default = "local")]
    pub host: String,
    /// `stack` or `container`.
    pub target_type: String,
    /// Name or key.
    pub target_id: String,
}

fn local() -> String {
    HostId::local().0
}

impl TargetJson {
    pub(super) fn new(host: Option<String>, target_type: String, target_id: String) -> Self {
        Self { host: host.unwrap_or_else(local), target_type, target_id }
    }

    pub(super) fn resolve(&self, app: &App) -> Result<Target> {
        let target_type = TargetType::parse(&self.target_type)
            .ok_or_else(|| Error::field("target_type", "use stack or container"))?;
        targets::named(app, &HostId(self.host.clone()), target_type, &self.target_id)
    }
}

/// What is to be done to what.
#[derive(Deserialize, ToSchema)]
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
    responses((status = 202, body = BulkJson)))]
pub async fn post(caller: Caller<Operator>, body: Body<BulkBody>) -> Result<Response> {
    let BulkBody { action, targets: named, reason } = body.value;
    if named.is_empty() || named.len() > MOST_TARGETS {
        return Err(Error::field("targets", format!("name 1 to {MOST_TARGETS} targets")));
    }
    let (mut targets, mut faults) = (Vec::new(), Vec::new());
    for (i, target) in named.into_iter().enumerate() {
        match target.resolve(&caller.app) {
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
    let reason = reason.unwrap_or_default();
    let work = async {
        let mut items = Vec::new();
        for (target, resolved) in targets {
            let request = Request { reason: reason.clone(), ..Request::now(action, resolved, Trigger::Bulk) };
            items.push(match execute::submit(&caller.app, &caller.actor, request).await {
                Ok(submitted) => BulkItem::accepted(target, Accepted::from(&submitted)),
                Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => return Err(error),
                Err(error) => BulkItem::refused(target, &error),
            });
        }
        act::answer(StatusCode::ACCEPTED, &BulkJson { items })
    };
    body.once.answer(&caller, work).await
}
