//! Calendars: named lists of dates (rulings 2).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::{Asked, Body, Fields};
use super::openapi::{Items, Problem};
use crate::app::paging::Paged;
use crate::app::{Actor, App, Result, calendars};
use crate::domain::calendar::{Calendar, CalendarDraft, IcsError, LeftOut, check, yearly_text};
use crate::domain::ids::CalendarId;
use crate::web::auth::{Admin, Caller, Viewer};
use crate::web::routes::{Access, Routes};

/// Fields that only `DockNap` sets.
const READ_ONLY: [&str; 4] = ["id", "rev", "left_out", "left_out_total"];

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/calendars", Access::VIEWER, list)
        .post("/calendars", Access::ADMIN, create)
        .get("/calendars/{id}", Access::VIEWER, get)
        .put("/calendars/{id}", Access::ADMIN, put)
        .delete("/calendars/{id}", Access::ADMIN, delete)
}

/// A calendar.
#[derive(Serialize, ToSchema)]
pub struct CalendarJson {
    id: String,
    name: String,
    /// Single dates, in order.
    #[schema(example = json!(["2026-12-25"]))]
    dates: Vec<String>,
    /// First and last date of each range.
    #[schema(example = json!([["2026-12-24", "2026-12-31"]]))]
    ranges: Vec<[String; 2]>,
    /// Month and day of every year.
    #[schema(example = json!(["12-25"]))]
    yearly: Vec<String>,
    /// The text of a calendar file.
    ics: Option<String>,
    /// What of the file does not count, the first 20.
    left_out: Vec<LeftOutJson>,
    /// How much that is in all.
    left_out_total: usize,
    rev: i64,
}

/// An event of a file, or another part of it, that does not count.
#[derive(Serialize, ToSchema)]
pub struct LeftOutJson {
    /// Counted from 1.
    #[schema(example = 12)]
    line: usize,
    #[schema(example = "line 12 of the ICS file: `Invalid date` is not a date")]
    message: String,
}

impl CalendarJson {
    fn new(calendar: Calendar, left: &LeftOut) -> Self {
        let told = |error: &IcsError| LeftOutJson { line: error.line(), message: error.to_string() };
        let spec = calendar.spec;
        Self {
            id: calendar.id.0,
            name: spec.name,
            dates: spec.dates.iter().map(ToString::to_string).collect(),
            ranges: spec.ranges.iter().map(|(first, last)| [first.to_string(), last.to_string()]).collect(),
            yearly: spec.yearly.into_iter().map(yearly_text).collect(),
            ics: spec.ics,
            left_out: left.told.iter().map(told).collect(),
            left_out_total: left.total(),
            rev: calendar.rev,
        }
    }
}

/// What can be said about a calendar. Read-only fields of a calendar may be sent too and are not looked at.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Body` reads")]
pub struct CalendarBody {
    /// No two calendars have the same, in any case.
    #[schema(max_length = 120, example = "Public holidays")]
    name: String,
    /// Single dates.
    #[schema(example = json!(["2026-12-25"]))]
    dates: Option<Vec<String>>,
    #[schema(schema_with = check::ranges_schema)]
    ranges: Option<Vec<[String; 2]>>,
    /// Month and day of every year.
    #[schema(example = json!(["12-25"]))]
    yearly: Option<Vec<String>>,
    /// The text of a calendar file (RFC 5545), 1 MiB at most. Repeating events count for the next five years. An event
    /// that cannot be read is left out, and told in `left_out` of the answer.
    ics: Option<String>,
}

/// A calendar with what of its file does not count.
async fn json(app: &App, actor: &Actor, calendar: Calendar) -> Result<CalendarJson> {
    let dates = calendars::dates(app, actor, &calendar).await?;
    Ok(CalendarJson::new(calendar, &dates.left))
}

fn draft(fields: &mut Fields) -> CalendarDraft {
    fields.read_only(&READ_ONLY);
    CalendarDraft {
        name: fields.required("name"),
        dates: fields.texts("dates"),
        ranges: fields.pairs("ranges"),
        yearly: fields.texts("yearly"),
        ics: fields.text("ics"),
    }
}

/// The calendars, newest first.
#[utoipa::path(get, path = "/api/calendars", tag = "calendars", operation_id = "list_calendars",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Items<CalendarJson>)))]
pub(super) async fn list(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Asked(mut fields): Asked,
) -> Result<Json<Items<CalendarJson>>> {
    let page = fields.page("calendars")?;
    fields.finish()?;
    let page = calendars::list(&app, &caller.actor, &page).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for calendar in page.items {
        items.push(json(&app, &caller.actor, calendar).await?);
    }
    Ok(Json(Items::new("calendars", Paged { items, next_cursor: page.next_cursor })))
}

/// Stores a new calendar.
#[utoipa::path(post, path = "/api/calendars", tag = "calendars", operation_id = "create_calendar", request_body = CalendarBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = CalendarJson), (status = 413, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    caller: Caller<Admin>,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let Body { mut fields, bytes } = body;
    let draft = draft(&mut fields);
    fields.finish()?;
    act::once(&app, &caller.actor, &headers, "/api/calendars", &bytes, async {
        let calendar = calendars::create(&app, &caller.actor, &draft).await?;
        act::answer(StatusCode::CREATED, &json(&app, &caller.actor, calendar).await?)
    })
    .await
}

/// One calendar.
#[utoipa::path(get, path = "/api/calendars/{id}", tag = "calendars", operation_id = "get_calendar", params(("id" = String, Path)),
    responses((status = 200, body = CalendarJson), (status = 404, body = Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response> {
    let calendar = calendars::get(&app, &caller.actor, &CalendarId(id)).await?;
    show(&app, &caller.actor, calendar).await
}

async fn show(app: &App, actor: &Actor, calendar: Calendar) -> Result<Response> {
    Ok((act::etag(calendar.rev), Json(json(app, actor, calendar).await?)).into_response())
}

/// Replaces a calendar; what is left out is empty afterwards. Schedules go by it at once.
#[utoipa::path(put, path = "/api/calendars/{id}", tag = "calendars", operation_id = "replace_calendar", request_body = CalendarBody,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = CalendarJson), (status = 404, body = Problem), (status = 412, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    caller: Caller<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let mut fields = body.fields;
    let draft = draft(&mut fields);
    fields.finish()?;
    let rev = act::if_match(&headers);
    let calendar = calendars::update(&app, &caller.actor, &CalendarId(id), &draft, rev).await?;
    show(&app, &caller.actor, calendar).await
}

/// Removes a calendar that no schedule goes by.
#[utoipa::path(delete, path = "/api/calendars/{id}", tag = "calendars", operation_id = "delete_calendar",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem)))]
pub(super) async fn delete(
    caller: Caller<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode> {
    calendars::delete(&app, &caller.actor, &CalendarId(id), act::if_match(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}
