//! Simulation: every fire, edge and conflict of a future time range.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::ApiQuery;
use super::target::{self, known_area};
use crate::app::simulate::{self, Foretold, Mark, Question};
use crate::app::{Error, Result};
use crate::domain::overrides::DesiredState;
use crate::domain::simulate::{Event, EventKind};
use crate::domain::target::Target;
use crate::domain::time::Instant;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get_by_query("/simulate", Access::VIEWER, get)
}

/// The events of a time range.
#[derive(Serialize, ToSchema)]
pub struct SimulationJson {
    from: Instant,
    to: Instant,
    /// The zone of days and sentences.
    timezone: String,
    /// In time order.
    events: Vec<EventJson>,
    /// The end of the complete part, where there are too many events; `null` where the list is complete.
    cut_at: Option<Instant>,
    /// Dates with a clock change or a calendar.
    days: Vec<DayJson>,
}

/// An event: a fire or an edge.
#[derive(Serialize, ToSchema)]
pub struct EventJson {
    at: Instant,
    /// `null` for a group.
    host: Option<String>,
    target_type: &'static str,
    target_id: String,
    /// The services, if the event is about a part of the stack only; otherwise `null`.
    services: Option<BTreeSet<String>>,
    /// The action of a fire; `null` for an edge.
    action: Option<&'static str>,
    /// The desired state from this edge on: `awake`, `asleep`, `hold` or `none`; `null` for a fire.
    state: Option<&'static str>,
    schedule_id: Option<String>,
    schedule_title: Option<String>,
    /// Whether it takes effect; otherwise `reason` explains why not.
    acts: bool,
    reason: String,
}

impl EventJson {
    fn new(event: Event, names: &HashMap<Target, String>) -> Self {
        let (action, state) = match event.kind {
            EventKind::Fire(action) => (Some(action.as_str()), None),
            EventKind::Edge(wanted) => (None, Some(wanted.map_or("none", DesiredState::as_str))),
        };
        let (id, title) = event.schedule.unzip();
        Self {
            at: Instant(event.at),
            host: event.target.on_host().map(ToString::to_string),
            target_type: event.target.target_type().as_str(),
            target_id: target::target_id(
                &event.target,
                names.get(&event.target).cloned().unwrap_or_default(),
            ),
            services: event.target.subject.services().cloned(),
            action,
            state,
            schedule_id: id.map(|id| id.0),
            schedule_title: title,
            acts: event.acts,
            reason: event.reason,
        }
    }
}

/// A date with a clock change or a calendar.
#[derive(Serialize, ToSchema)]
pub struct DayJson {
    #[schema(format = Date)]
    date: String,
    /// The minutes by which the clocks change; 0 without a clock change.
    clock_change_minutes: i64,
    /// Titles of the schedules whose calendars contain the date.
    calendar_of: Vec<String>,
}

impl From<Foretold> for SimulationJson {
    fn from(foretold: Foretold) -> Self {
        let Foretold { from, until, zone, simulation, names, marks } = foretold;
        let days = marks.into_iter().map(|(date, marks)| {
            let mut day =
                DayJson { date: date.to_string(), clock_change_minutes: 0, calendar_of: Vec::new() };
            for mark in marks {
                match mark {
                    Mark::ClockChange(minutes) => day.clock_change_minutes += minutes,
                    Mark::Calendar(titles) => day.calendar_of.extend(titles),
                }
            }
            day
        });
        Self {
            from: Instant(from),
            to: Instant(until),
            timezone: zone.name,
            cut_at: simulation.cut.map(Instant),
            days: days.collect(),
            events: simulation.events.into_iter().map(|event| EventJson::new(event, &names)).collect(),
        }
    }
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct SimulateQuery {
    from: Option<String>,
    to: Option<String>,
    host: Option<String>,
    /// The id of a group
    group: Option<String>,
    target_type: Option<String>,
    target_id: Option<String>,
}

/// Returns the fires, edges, skips and conflicts that happen without further user actions, for at most 92 days at once
/// and 400 days ahead.
#[utoipa::path(get, path = "/api/simulate", tag = "schedules", operation_id = "simulate",
    params(SimulateQuery), responses((status = 200, body = SimulationJson), (status = 429)))]
pub async fn get(
    caller: Caller<Viewer>,
    State(web): State<Web>,
    query: ApiQuery,
) -> Result<Json<SimulationJson>> {
    web.previews.admit(&caller.user().id)?;
    let SimulateQuery { from, to, host, group, target_type, target_id } = query.read()?;
    let area = known_area(&caller.app, host, group).await?;
    let target = match (target_type, target_id) {
        (None, None) => None,
        (Some(target_type), Some(target_id)) => {
            Some(target::existing(&caller.app, area.host.as_ref(), target_type, target_id).await?)
        }
        (None, Some(_)) => {
            return Err(Error::field("target_type", "say which type too: stack, container, host or group"));
        }
        (Some(_), None) => return Err(Error::field("target_id", "say which one too")),
    };
    let question = Question { from, to, area, target };
    Ok(Json(simulate::simulate(&caller.app, &caller.actor, &question).await?.into()))
}
