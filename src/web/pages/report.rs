//! The weekly report: how long targets napped, and the resources saved by that.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;

use crate::app::report::{self, Report, Row};
use crate::app::{Error, Result};
use crate::domain::report::{Amount, Week};
use crate::domain::target::TargetType;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;

/// The minimum value of the highest bar in milliseconds (one hour), so that a few seconds are not drawn as a high bar.
const HOUR_MS: i64 = 3_600_000;
/// The height of the highest bar, in units of the drawing.
const HIGHEST: f64 = 52.0;

pub(super) fn routes() -> Routes {
    Routes::new().get("/report", Access::VIEWER, show)
}

/// The page of the report of one week.
#[derive(Template)]
#[template(path = "report/index.html")]
struct ReportPage<'a> {
    shell: &'a Shell,
    list: &'a ListQuery,
    report: &'a Report,
}

impl<'a> ReportPage<'a> {
    /// The next week, if it has begun.
    fn after(&self) -> Option<Week> {
        let has_begun = !self.report.is_current() && self.report.span.1 <= self.shell.now.at;
        has_begun.then(|| self.report.week.later(1))
    }

    /// The URL of the report of a week such as `2026-W48`, with the same host and group.
    fn of(&self, week: impl AsRef<str>) -> String {
        self.list.having("week", week.as_ref())
    }

    fn has_money(&self) -> bool {
        self.report.prices.has_watts() && self.report.prices.price_per_kwh.is_some()
    }

    /// The money saved by an amount: `0.31 EUR`.
    fn money(&self, amount: &Amount) -> Option<String> {
        let prices = &self.report.prices;
        let money = prices.money(amount)?;
        Some(format!("{money:.2} {}", prices.currency).trim_end().to_owned())
    }

    /// The time asleep as a percentage of the elapsed time of the week.
    fn share(&self, row: &Row) -> f64 {
        percent(row.amount.asleep_ms, self.report.elapsed_ms().max(1))
    }

    /// The last weeks, oldest first, each with the height of its bar.
    fn trend(&self) -> Vec<(Week, &'a Amount, f64)> {
        let trend = &self.report.trend;
        let highest = trend.iter().map(|(_, amount)| amount.asleep_ms).max().unwrap_or(0).max(HOUR_MS);
        // A value above 0 has a visible bar.
        let least = |amount: &Amount| if amount.asleep_ms > 0 { 2.0 } else { 0.0 };
        let height =
            |amount: &Amount| (percent(amount.asleep_ms, highest) / 100.0 * HIGHEST).max(least(amount));
        trend.iter().map(|(week, amount)| (*week, amount, height(amount))).collect()
    }
}

/// A number with about three significant digits: `0.41`, `4.10`, `41.0`, `410`.
fn figure(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        small if small < 0.005 => "<0.01".to_owned(),
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

/// [`figure`] of an optional number.
fn figured(number: Option<f64>) -> Option<String> {
    number.map(figure)
}

fn hours(amount: &Amount) -> String {
    match amount.hours() {
        0.0 => "0".to_owned(),
        few if few < 0.05 => "<0.1".to_owned(),
        few if few < 9.95 => format!("{few:.1}"),
        many => format!("{many:.0}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, shown in whole percent")]
fn percent(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// `23–29 Nov 2026`, `28 Dec 2026 – 3 Jan 2027`.
fn span(week: &Week, year: bool) -> String {
    let (first, last) = (week.first_day(), week.last_day());
    let end = last.strftime(if year { "%-d %b %Y" } else { "%-d %b" });
    if first.month() == last.month() {
        format!("{}–{end}", first.day())
    } else if first.year() == last.year() || !year {
        format!("{} – {end}", first.strftime("%-d %b"))
    } else {
        format!("{} – {end}", first.strftime("%-d %b %Y"))
    }
}

/// The query parameters: the requested week, the current one without it, the host, and the group.
const FIELDS: [&str; 3] = ["week", "host", "group"];

async fn show(page: Page<Viewer>, Query(typed): Query<Typed>) -> Result<Response> {
    let now = &page.shell.now;
    let list = ListQuery::new("/report", &FIELDS, typed);
    let area = list.area(&page.shell)?;
    let week = match list.text("week") {
        Some(text) => Some(Week::parse(&text).ok_or_else(|| Error::not_found("week", text))?),
        None => None,
    };
    let first = now.habits.week_start.day();
    let report = report::of_week(&page.app, &page.actor, &area, week, &now.zone, first).await?;
    page.render(&ReportPage { shell: &page.shell, list: &list, report: &report })
}
