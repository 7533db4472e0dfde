//! How long what napped in a week, and what that gave back.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use crate::app::report::{self, Report, Row};
use crate::app::{Error, Result};
use crate::domain::report::{Amount, Prices, Week};
use crate::domain::target::TargetType;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view;

/// The highest bar stands for an hour at least, in milliseconds: a few seconds are no tower.
const HOUR_MS: i64 = 3_600_000;
/// Height of the highest bar, and where it stands, in the picture's units.
const BAR: (f64, f64) = (52.0, 68.0);

pub(super) fn routes() -> Routes {
    Routes::new().get("/report", Access::VIEWER, show)
}

/// One figure of the whole week: what it is, how much, and what must be known beside it.
type Sum = (&'static str, String, &'static str, String);

/// One week of the trend.
struct Bar<'a> {
    week: Week,
    amount: &'a Amount,
    /// Where it stands, in the picture's units.
    x: usize,
    /// Of the picture's units.
    height: f64,
}

impl Bar<'_> {
    /// Its upper edge.
    fn y(&self) -> String {
        format!("{:.1}", BAR.1 - self.height)
    }

    /// Where its number stands.
    fn above(&self) -> String {
        format!("{:.1}", BAR.1 - self.height - 4.0)
    }

    fn hours(&self) -> String {
        hours(self.amount)
    }

    fn span(&self) -> String {
        span(self.week, false)
    }
}

/// The report of one week.
#[derive(Template)]
#[template(path = "report/index.html")]
struct ReportPage<'a> {
    shell: &'a Shell,
    report: &'a Report,
}

impl<'a> ReportPage<'a> {
    fn sentence(&self) -> String {
        sentence(self.report)
    }

    /// `23–29 Nov 2026`
    fn span(&self) -> String {
        span(self.report.week, true)
    }

    fn before(&self) -> String {
        self.report.week.later(-1).text()
    }

    /// The week after, where it has begun.
    fn after(&self) -> Option<String> {
        let has_begun = !self.report.is_current() && self.report.span.1 <= self.shell.now.at;
        has_begun.then(|| self.report.week.later(1).text())
    }

    fn has_money(&self) -> bool {
        self.report.prices.has_watts() && self.report.prices.price_per_kwh.is_some()
    }

    /// How many were looked at, and what that means.
    fn note(&self) -> String {
        note(&self.report.total)
    }

    fn naps(&self, row: &Row) -> String {
        match (row.target.target_type(), row.amount.pauses) {
            (TargetType::Stack, 0) => naps(row.amount.naps),
            (TargetType::Container, 0) => format!("{}, no stack", naps(row.amount.naps)),
            (_, pauses) => format!("{}, {pauses} of them paused", naps(row.amount.naps)),
        }
    }

    fn hours(&self, row: &Row) -> String {
        hours(&row.amount)
    }

    /// Of the time that has passed, in percent.
    fn share(&self, row: &Row) -> f64 {
        percent(row.amount.asleep_ms, self.report.elapsed_ms().max(1))
    }

    fn width(&self, row: &Row) -> String {
        format!("{:.1}", self.share(row).min(100.0))
    }

    fn memory(&self, amount: &Amount) -> Option<String> {
        amount.gib_hours().map(figure)
    }

    fn cpu(&self, row: &Row) -> Option<String> {
        row.amount.core_hours().map(figure)
    }

    fn energy(&self, row: &Row) -> Option<String> {
        self.report.prices.kwh(&row.amount).map(figure)
    }

    fn money(&self, row: &Row) -> Option<String> {
        let prices = &self.report.prices;
        prices.money(&row.amount).map(|money| priced(money, prices))
    }

    /// The figures of the whole week.
    fn sums(&self) -> Vec<Sum> {
        let (total, prices) = (&self.report.total, &self.report.prices);
        let value = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), figure);
        let over = match self.report.rows.len() {
            1 => "one stack".to_owned(),
            more => format!("all {more} stacks together"),
        };
        let mut sums = vec![
            ("Asleep", hours(total), "h", over),
            (
                "Memory given back",
                value(total.gib_hours()),
                "GiB·h",
                "a GiB free for an hour is one".to_owned(),
            ),
            (
                "CPU given back",
                value(total.core_hours()),
                "core·h",
                "at each one’s average before".to_owned(),
            ),
        ];
        if prices.has_watts() {
            let money = prices.money(total).map(|money| format!("about {}", priced(money, prices)));
            let note = money.unwrap_or_else(|| "an estimate".to_owned());
            sums.push(("Energy not used", value(prices.kwh(total)), "kWh", note));
        }
        sums
    }

    /// Eight weeks, the oldest first.
    fn trend(&self) -> Vec<Bar<'a>> {
        let trend = &self.report.trend;
        let highest = trend.iter().map(|(_, amount)| amount.asleep_ms).max().unwrap_or(0).max(HOUR_MS);
        let bar = |(place, (week, amount)): (usize, &'a (Week, Amount))| {
            let height = percent(amount.asleep_ms, highest) / 100.0 * BAR.0;
            // What is not nothing can be seen.
            let height = if amount.asleep_ms > 0 { height.max(2.0) } else { 0.0 };
            Bar { week: *week, amount, x: place * 40 + 5, height }
        };
        trend.iter().enumerate().map(bar).collect()
    }

    /// What the picture shows, in words.
    fn trend_title(&self) -> String {
        let hours: Vec<String> = self.report.trend.iter().map(|(_, amount)| hours(amount)).collect();
        format!("Hours asleep in each of the last eight weeks: {}", hours.join(", "))
    }
}

fn naps(count: u64) -> String {
    view::count(usize::try_from(count).unwrap_or(usize::MAX), "container nap")
}

fn priced(money: f64, prices: &Prices) -> String {
    format!("{money:.2} {}", prices.currency).trim_end().to_owned()
}

/// `41`, `4.1`, `0.41`: three digits at most below a hundred.
fn figure(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        small if small < 0.005 => "<0.01".to_owned(),
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
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
fn span(week: Week, year: bool) -> String {
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

fn sentence(report: &Report) -> String {
    let number = report.week.number();
    let when = if report.is_current() { "this week".to_owned() } else { format!("in week {number}") };
    if report.total.asleep_ms == 0 {
        return format!("Nothing slept {when}.");
    }
    let slept = format!("Slept {} h {when}", hours(&report.total));
    match report.total.gib_hours() {
        Some(gib) if gib > 0.0 => format!("{slept}: {} GiB·h of memory given back.", figure(gib)),
        _ => format!("{slept}."),
    }
}

/// How many were looked at.
fn note(total: &Amount) -> String {
    let looked = match (total.stops(), total.sampled) {
        (0, _) => String::new(),
        (stops, sampled) if sampled == stops => {
            "Each container was looked at before it was stopped.".to_owned()
        }
        (stops, 0) => {
            format!(
                "None of {stops} naps could be looked at before the stop: what they gave back is not known."
            )
        }
        (stops, sampled) => {
            format!(
                "{sampled} of {stops} naps were looked at before the stop; the others count as nothing given back."
            )
        }
    };
    let paused = if total.pauses > 0 { "A pause frees CPU only, and nobody looks before it." } else { "" };
    [looked.as_str(), paused].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// Which week is wanted.
#[derive(Debug, Default, Deserialize)]
struct ReportQuery {
    week: Option<String>,
}

async fn show(page: Page<Viewer>, Query(asked): Query<ReportQuery>) -> Result<Response> {
    let now = &page.shell.now;
    let week = match asked.week.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Some(Week::parse(text).ok_or_else(|| Error::not_found("week", text))?),
        None => None,
    };
    let first = now.habits.week_start.day();
    let report = report::of_week(&page.app, &page.actor, week, &now.zone, first).await?;
    page.render(&ReportPage { shell: &page.shell, report: &report })
}
