//! Overrides: a wish for a while, with its end and its reason.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::{Asked, Body};
use super::instant::Instant;
use super::openapi::{Items, Problem};
use crate::app::{App, Result, overrides};
use crate::domain::ids::OverrideId;
use crate::domain::overrides::{Override, Reach, Wanted};
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get_by_query("/overrides", Access::VIEWER, list)
        .post("/overrides", Access::OPERATOR, create)
        .get("/overrides/{id}", Access::VIEWER, get)
        .delete("/overrides/{id}", Access::OPERATOR, end)
}

/// An override.
#[derive(Serialize, ToSchema)]
pub struct OverrideJson {
    id: String,
    /// `null` for everything.
    host: Option<String>,
    /// `container`, `stack`, `host` or `all`.
    target_type: &'static str,
    /// The stack's or container's name; `null` for a host and for everything.
    target_id: Option<String>,
    target_key: Option<String>,
    state: Wanted,
    until: Instant,
    reason: String,
    author: String,
    /// It remembers what somebody did by hand, rather than being asked for.
    by_hand: bool,
    /// At its end what it changed becomes as it was, where no window and no other override decides then.
    puts_back: bool,
    created_at: Instant,
    /// When it ended and was dealt with; `null` while it counts.
    closed_at: Option<Instant>,
    /// How it ended.
    closed_reason: String,
}

impl From<Override> for OverrideJson {
    fn from(one: Override) -> Self {
        let target = match &one.reach {
            Reach::Target(target) => Some(target),
            Reach::All | Reach::Host(_) => None,
        };
        Self {
            host: one.reach.host().map(|host| host.0.clone()),
            target_type: one.reach.type_str(),
            target_key: target.map(crate::domain::target::Target::key),
            target_id: target.is_some().then_some(one.target_name),
            id: one.id.0,
            state: one.wanted,
            until: Instant(one.until),
            reason: one.reason,
            author: one.author.name,
            by_hand: one.by_hand,
            puts_back: one.puts_back,
            created_at: Instant(one.created_at),
            closed_at: one.closed_at.map(Instant),
            closed_reason: one.closed_reason,
        }
    }
}

/// An override as it is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub(super) struct OverrideBody {
    /// `local` where it is left out.
    host: Option<String>,
    /// `container`, `stack`, `host` or `all`.
    target_type: String,
    /// Name or key of a stack or container.
    target_id: Option<String>,
    state: Wanted,
    /// RFC 3339, `YYYY-MM-DDTHH:MM` in the default zone, or a span such as `3h`; at most 30 days away.
    until: String,
    #[schema(max_length = 500)]
    reason: String,
}

/// The overrides that count, newest first; with `ended=true` those that ended too.
#[utoipa::path(get, path = "/api/overrides", tag = "overrides", operation_id = "list_overrides",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query), ("ended" = Option<bool>, Query)),
    responses((status = 200, body = Items<OverrideJson>)))]
pub(super) async fn list(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Asked(mut fields): Asked,
) -> Result<Json<Items<OverrideJson>>> {
    let ended = fields.flag("ended").unwrap_or(false);
    let page = fields.page("overrides")?;
    fields.finish()?;
    let page = overrides::list(&app, &caller.actor, ended, &page).await?;
    Ok(Json(Items::new("overrides", page)))
}

/// Makes an override; one that counted for the same target ends.
#[utoipa::path(post, path = "/api/overrides", tag = "overrides", operation_id = "create_override", request_body = OverrideBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = OverrideJson), (status = 422, body = Problem)))]
pub(super) async fn create(
    caller: Caller<Operator>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let Body { mut fields, bytes } = body;
    let draft = overrides::Draft {
        host: fields.text("host"),
        target_type: fields.text("target_type"),
        target_id: fields.text("target_id"),
        state: fields.text("state"),
        until: fields.text("until"),
        reason: fields.text("reason"),
    };
    fields.finish()?;
    act::once(&app, &caller.actor, &headers, "/api/overrides", &bytes, async {
        let one = overrides::create(&app, &caller.actor, &draft).await?;
        act::answer(StatusCode::CREATED, &OverrideJson::from(one))
    })
    .await
}

/// One override.
#[utoipa::path(get, path = "/api/overrides/{id}", tag = "overrides", operation_id = "get_override", params(("id" = String, Path)),
    responses((status = 200, body = OverrideJson), (status = 404, body = Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<OverrideJson>> {
    Ok(Json(overrides::get(&app, &caller.actor, &OverrideId(id)).await?.into()))
}

/// Ends an override before its time.
#[utoipa::path(delete, path = "/api/overrides/{id}", tag = "overrides", operation_id = "end_override", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn end(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    overrides::finish(&app, &caller.actor, &OverrideId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
