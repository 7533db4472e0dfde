//! Rules as files: export and import.

use axum::Json;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::ApiQuery;
use crate::app::rules_file::{self, Deed, Document, Plan, Step};
use crate::app::{Error, Result};
use crate::domain::audit::Change;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/export", Access::VIEWER, export).post_by_query("/import", Access::OPERATOR, import)
}

/// Returns the rules as a file in YAML, or in JSON where `Accept` asks for it. Secrets are never in it; hosts are in it
/// for admins.
#[utoipa::path(get, path = "/api/export", tag = "rules", operation_id = "export_rules",
    responses((status = 200, content((Value = "application/json"), (String = "application/yaml")))))]
pub async fn export(caller: Caller<Viewer>, headers: HeaderMap) -> Result<Response> {
    let export = rules_file::export(&caller.app, &caller.actor).await?;
    let wants_json = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if wants_json.is_some_and(|accept| accept.contains("application/json")) {
        return Ok(Json(export.to_json()).into_response());
    }
    Ok(([(CONTENT_TYPE, "application/yaml")], export.to_yaml()).into_response())
}

/// The query of an import.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Answers the plan and changes nothing.
    dry_run: Option<bool>,
    /// Deletes what the sections of the file do not hold, except hosts.
    prune: Option<bool>,
    /// The `plan` of an earlier answer: the import is refused where another plan has come of it.
    plan: Option<String>,
}

/// What an import changes.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportPlan)]
pub struct PlanJson {
    /// Whether it is stored.
    applied: bool,
    create: usize,
    change: usize,
    delete: usize,
    /// The number of items that are as the file says already.
    same: usize,
    /// Differs between plans that would do different things.
    plan: String,
    steps: Vec<StepJson>,
    /// Whole sentences.
    warnings: Vec<String>,
}

/// One item that changes.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportStep)]
pub struct StepJson {
    /// The section of the file: `schedules`, `calendars` and so on.
    section: String,
    deed: Deed,
    name: String,
    changes: Vec<Change>,
}

impl PlanJson {
    fn new(plan: Plan, applied: bool) -> Self {
        let step = |Step { section, deed, name, changes }| StepJson {
            section: section.as_str().to_owned(),
            deed,
            name,
            changes,
        };
        Self {
            applied,
            create: plan.count(Deed::Create),
            change: plan.count(Deed::Change),
            delete: plan.count(Deed::Delete),
            same: plan.same,
            plan: plan.hash,
            steps: plan.steps.into_iter().map(step).collect(),
            warnings: plan.warnings,
        }
    }
}

/// Reads a rules file in YAML or JSON, and returns what it changes. All of it is stored, or nothing where a part is
/// wrong. Each section needs the role of its page.
#[utoipa::path(post, path = "/api/import", tag = "rules", operation_id = "import_rules", params(ImportQuery),
    request_body(content = Value, description = "A rules file as JSON, or the text of one in YAML"),
    responses((status = 200, body = PlanJson), (status = 403), (status = 409), (status = 413)))]
pub async fn import(caller: Caller<Operator>, query: ApiQuery, body: Bytes) -> Result<Json<PlanJson>> {
    let ImportQuery { dry_run, prune, plan: expected } = query.read()?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::field("file", "send UTF-8 text"))?;
    let document = Document::read(text).map_err(Error::Invalid)?;
    let (app, actor) = (&caller.app, &caller.actor);
    let plan = Box::pin(rules_file::plan(app, actor, &document, prune.unwrap_or(false))).await?;
    let applied = !dry_run.unwrap_or(false);
    if applied {
        let hash = expected.unwrap_or_else(|| plan.hash.clone());
        Box::pin(rules_file::apply_exactly(app, actor, &plan, &hash)).await?;
    }
    Ok(Json(PlanJson::new(plan, applied)))
}
