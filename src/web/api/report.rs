//! The sleep report.

use axum::Json;
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::ApiQuery;
use crate::app::report::{self, Report, Row};
use crate::app::{Error, Result, zone};
use crate::domain::report::{Amount, Prices, Week};
use crate::domain::time::{Instant, zone as zone_of, zone_name};
use crate::web::auth::{Caller, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get_by_query("/report", Access::VIEWER, get)
}

/// What sleeping came to.
#[derive(Serialize, ToSchema)]
pub struct AmountJson {
    /// Of a stack: while any of its containers slept.
    napped_seconds: i64,
    /// Summed over containers.
    container_seconds: i64,
    /// Stays asleep, one for each container.
    naps: u64,
    /// Of them by pause, which frees no memory.
    pauses: u64,
    /// Of those that were stopped, how many were looked at before; the others count as nothing given back.
    sampled: u64,
    /// `null` where nobody could look.
    memory_gib_hours: Option<f64>,
    /// `null` where nobody could look.
    cpu_core_hours: Option<f64>,
    /// `null` where no watts are set or nobody could look.
    energy_kwh: Option<f64>,
    /// `null` where no price is set.
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

/// A stack, or a container without one.
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

/// One week.
#[derive(Serialize, ToSchema)]
pub struct ReportJson {
    /// ISO week.
    #[schema(example = "2026-W48")]
    week: String,
    /// The zone in which it begins on Monday, 00:00: the caller's.
    timezone: String,
    from: Instant,
    until: Instant,
    /// Of `money`; may be empty.
    currency: String,
    total: AmountJson,
    /// The longest asleep first.
    targets: Vec<TargetReport>,
    /// This week and the seven before, the oldest first.
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
    /// ISO week such as 2026-W48; without it the present one
    week: Option<String>,
}

/// How long what napped in a week, and what that gave back.
#[utoipa::path(get, path = "/api/report", tag = "report", operation_id = "get_report",
    params(ReportQuery), responses((status = 200, body = ReportJson)))]
pub async fn get(caller: Caller<Viewer>, query: ApiQuery) -> Result<Json<ReportJson>> {
    let ReportQuery { week } = query.read()?;
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
    let report = report::of_week(&caller.app, &caller.actor, week, &zone, Weekday::Monday).await?;
    Ok(Json(ReportJson::new(&report, zone_name(&zone))))
}
