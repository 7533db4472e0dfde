//! Calendars: named lists of dates (rulings 2).

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::act::{self, IfMatch};
use super::body::{ApiQuery, Body, Empty, Paging};
use super::openapi::Items;
use crate::app::paging::Paged;
use crate::app::{Result, calendars};
use crate::domain::calendar::{Calendar, CalendarDraft, IcsError, LeftOut, yearly_text};
use crate::domain::ids::CalendarId;
use crate::web::auth::{Admin, Caller, Needs, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get_by_query("/calendars", Access::VIEWER, list)
        .post("/calendars", Access::ADMIN, create)
        .get("/calendars/{id}", Access::VIEWER, get)
        .put("/calendars/{id}", Access::ADMIN, put)
        .delete("/calendars/{id}", Access::ADMIN, delete)
}

// A type of its own, since dates are texts here, and since it has fields that only reading the file provides.
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
    /// Month and day of dates that recur every year.
    #[schema(example = json!(["12-25"]))]
    yearly: Vec<String>,
    /// The text of a calendar file (ICS).
    ics: Option<String>,
    /// The first 20 parts of the file that are ignored.
    left_out: Vec<LeftOutJson>,
    /// The number of all ignored parts.
    left_out_total: usize,
    rev: i64,
}

/// An event or another part of a calendar file that is ignored.
#[derive(Serialize, ToSchema)]
pub struct LeftOutJson {
    /// The line number, counted from 1.
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

/// A calendar with the ignored parts of its file.
async fn json<R: Needs>(caller: &Caller<R>, calendar: Calendar) -> Result<CalendarJson> {
    let dates = calendars::dates(&caller.app, &caller.actor, &calendar).await?;
    Ok(CalendarJson::new(calendar, &dates.left))
}

/// Lists the calendars, newest first.
#[utoipa::path(get, path = "/api/calendars", tag = "calendars", operation_id = "list_calendars",
    params(Paging), responses((status = 200, body = Items<CalendarJson>)))]
pub async fn list(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<Items<CalendarJson>>> {
    let (Empty {}, page) = query.page("calendars")?;
    let page = calendars::list(&caller.app, &caller.actor, &page).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for calendar in page.items {
        items.push(json(&caller, calendar).await?);
    }
    Ok(Json(Items::new("calendars", Paged { items, next_cursor: page.next_cursor })))
}

/// Stores a new calendar.
#[utoipa::path(post, path = "/api/calendars", tag = "calendars", operation_id = "create_calendar",
    request_body = CalendarDraft, responses((status = 201, body = CalendarJson), (status = 413)))]
pub async fn create(caller: Caller<Admin>, body: Body<CalendarDraft, CalendarJson>) -> Result<Response> {
    let work = async {
        let calendar = calendars::create(&caller.app, &caller.actor, &body.value).await?;
        act::answer(StatusCode::CREATED, &json(&caller, calendar).await?)
    };
    body.once.answer(&caller, work).await
}

/// Returns one calendar.
#[utoipa::path(get, path = "/api/calendars/{id}", tag = "calendars", operation_id = "get_calendar",
    responses((status = 200, body = CalendarJson)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Path<CalendarId>) -> Result<Response> {
    let calendar = calendars::get(&caller.app, &caller.actor, &id).await?;
    show(&caller, calendar).await
}

async fn show<R: Needs>(caller: &Caller<R>, calendar: Calendar) -> Result<Response> {
    Ok((act::etag(calendar.rev), Json(json(caller, calendar).await?)).into_response())
}

/// Replaces a calendar; omitted fields become empty. Schedules use the new dates at once.
#[utoipa::path(put, path = "/api/calendars/{id}", tag = "calendars", operation_id = "replace_calendar",
    request_body = CalendarDraft, responses((status = 200, body = CalendarJson), (status = 412), (status = 413)))]
pub async fn put(
    caller: Caller<Admin>,
    Path(id): Path<CalendarId>,
    IfMatch(rev): IfMatch,
    body: Body<CalendarDraft, CalendarJson>,
) -> Result<Response> {
    let calendar = calendars::update(&caller.app, &caller.actor, &id, &body.value, rev).await?;
    show(&caller, calendar).await
}

/// Deletes a calendar that no schedule uses.
#[utoipa::path(delete, path = "/api/calendars/{id}", tag = "calendars", operation_id = "delete_calendar",
    responses((status = 204), (status = 409), (status = 412)))]
pub async fn delete(
    caller: Caller<Admin>,
    Path(id): Path<CalendarId>,
    IfMatch(rev): IfMatch,
) -> Result<StatusCode> {
    calendars::delete(&caller.app, &caller.actor, &id, rev).await?;
    Ok(StatusCode::NO_CONTENT)
}
