//! The sleep report.

use axum::Json;
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::ApiQuery;
use super::target::known_area;
use crate::app::report::{self, Report, Row};
use crate::app::{Error, Result, zone};
use crate::domain::report::{Amount, Prices, Week};
use crate::domain::time::{Instant, zone as zone_of, zone_name};
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get_by_query("/report", Access::VIEWER, get)
}

/// The amount of sleep, and its savings.
#[derive(Serialize, ToSchema)]
pub struct AmountJson {
    /// Seconds asleep; of a stack, the time during which any of its containers was asleep.
    napped_seconds: i64,
    /// Seconds asleep, summed over containers.
    container_seconds: i64,
    /// The number of sleeps of single containers.
    naps: u64,
    /// The number of those sleeps by pause, which frees no memory.
    pauses: u64,
    /// The number of stopped containers whose usage was read before; the others count as no savings.
    sampled: u64,
    /// `null` without a usage reading.
    memory_gib_hours: Option<f64>,
    /// `null` without a usage reading.
    cpu_core_hours: Option<f64>,
    /// `null` where no watts are configured, or without a usage reading.
    energy_kwh: Option<f64>,
    /// `null` where no price is configured.
    money: Option<f64>,
}

impl AmountJson {
    fn new(amount: &Amount, prices: &Prices) -> Self {
        Self {
            napped_seconds: amount.asleep_ms / 1000,
            container_seconds: amount.container_ms / 1000,
            naps: amount.naps,
            pauses: amount.pauses,
            sampled: amount.sampled,
            memory_gib_hours: amount.gib_hours(),
            cpu_core_hours: amount.core_hours(),
            energy_kwh: prices.kwh(amount),
            money: prices.money(amount),
        }
    }
}

/// The report of a stack, or of a container without a stack.
#[derive(Serialize, ToSchema)]
pub struct TargetReport {
    host: String,
    #[schema(example = "stack")]
    target_type: String,
    target_id: String,
    #[serde(flatten)]
    amount: AmountJson,
}

/// One week of the trend.
#[derive(Serialize, ToSchema)]
pub struct WeekReport {
    week: String,
    #[serde(flatten)]
    amount: AmountJson,
}

/// The report of one week.
#[derive(Serialize, ToSchema)]
pub struct ReportJson {
    /// ISO week.
    #[schema(example = "2026-W48")]
    week: String,
    /// The zone of the caller, in which the week begins on Monday at 00:00.
    timezone: String,
    from: Instant,
    until: Instant,
    /// The currency of `money`; may be empty.
    currency: String,
    total: AmountJson,
    /// Longest asleep first.
    targets: Vec<TargetReport>,
    /// This week and the seven before, oldest first.
    trend: Vec<WeekReport>,
}

impl ReportJson {
    fn new(report: &Report, timezone: &str) -> Self {
        let prices = &report.prices;
        let target = |row: &Row| TargetReport {
            host: row.target.host.as_str().to_owned(),
            target_type: row.target.target_type().as_str().to_owned(),
            target_id: row.name.clone(),
            amount: AmountJson::new(&row.amount, prices),
        };
        let week = |(week, amount): &(Week, Amount)| WeekReport {
            week: week.text(),
            amount: AmountJson::new(amount, prices),
        };
        Self {
            week: report.week.text(),
            timezone: timezone.to_owned(),
            from: Instant(report.span.0),
            until: Instant(report.span.1),
            currency: prices.currency.clone(),
            total: AmountJson::new(&report.total, prices),
            targets: report.rows.iter().map(target).collect(),
            trend: report.trend.iter().map(week).collect(),
        }
    }
}

#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// ISO week such as 2026-W48; default: the current week
    week: Option<String>,
    /// The id of a host; default: all hosts
    host: Option<String>,
    /// The id of a group; default: everything
    group: Option<String>,
}

/// Returns how long targets napped in a week, and the savings.
#[utoipa::path(get, path = "/api/report", tag = "report", operation_id = "get_report",
    params(ReportQuery), responses((status = 200, body = ReportJson)))]
pub async fn get(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<ReportJson>> {
    let ReportQuery { week, host, group } = query.read()?;
    let area = known_area(&caller.app, host, group).await?;
    let week = match week.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => {
            let week = Week::parse(text);
            Some(week.ok_or_else(|| Error::field("week", "use an ISO week such as 2026-W48"))?)
        }
        None => None,
    };
    let own = caller.user().timezone.as_deref().and_then(|name| zone_of(name).ok());
    let zone = match own {
        Some(zone) => zone,
        None => zone::default_zone(&caller.app).await?.zone,
    };
    let report = report::of_week(&caller.app, &caller.actor, &area, week, &zone, Weekday::Monday);
    let report = report.await?;
    Ok(Json(ReportJson::new(&report, zone_name(&zone))))
}
